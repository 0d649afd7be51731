//! Stream commands: XADD, XDEL, XLEN, XRANGE, XREVRANGE, XSETID, XTRIM.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NO_SUCH_KEY, SYNTAX};
use super::number::int_arg;
use super::stream::{Entry, Keep, Refused, Stream, Trim};
use super::streamid::{Id, NewId};
use crate::resp::{Args, Writer};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("XADD", -5, KeyArgs::ONE, xadd),
    Row::shrink("XDEL", -3, KeyArgs::ONE, xdel),
    Row::read("XLEN", 2, KeyArgs::ONE, xlen),
    Row::read("XRANGE", -4, KeyArgs::ONE, |ctx| range(ctx, false)),
    Row::read("XREVRANGE", -4, KeyArgs::ONE, |ctx| range(ctx, true)),
    Row::write("XSETID", -3, KeyArgs::ONE, xsetid),
    Row::shrink("XTRIM", -4, KeyArgs::ONE, xtrim),
];

/// Not an id.
pub const BAD_ID: Fault = Fault::new("ERR Invalid stream ID specified as stream command argument");

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Fault {
        Fault::new(match refused {
            Refused::NotGreater => {
                "ERR The ID specified in XADD is equal or smaller than the target stream top item"
            }
            Refused::Exhausted => {
                "ERR The stream has exhausted the last possible ID, unable to add more items"
            }
            Refused::TooLarge => "ERR Elements are too large to be stored",
        })
    }
}

/// An id that stands for itself.
pub fn id_arg(text: &[u8]) -> Result<Id, Fault> {
    Id::parse(text, 0).ok_or(BAD_ID)
}

/// Writes entries, an array of them.
pub fn write_entries<'a>(entries: impl Iterator<Item = Entry<'a>> + Clone, w: &mut Writer) {
    w.array(entries.clone().count());
    entries.for_each(|entry| write_entry(entry, w));
}

/// Writes an entry: its id, and fields and values in one array.
pub fn write_entry(entry: Entry, w: &mut Writer) {
    w.array(2);
    write_id(entry.id, w);
    w.array(entry.width * 2);
    for (field, value) in entry.pairs() {
        w.bulk(field);
        w.bulk(value);
    }
}

/// Writes an id.
pub fn write_id(id: Id, w: &mut Writer) {
    id.with_text(|text| w.bulk(text));
}

/// What precedes the fields of XADD, and all there is to XTRIM.
#[derive(Default)]
struct Options {
    trim: Option<Trim>,
    only_existing: bool,
    /// The id, and the index of what follows it.
    id: Option<(NewId, usize)>,
}

fn options(args: Args, adding: bool) -> Result<Options, Fault> {
    let (mut options, mut limit, mut i) = (Options::default(), None, 2);
    while let Some(option) = args.get(i) {
        let more = args.get(i + 1);
        match (option.to_ascii_lowercase().as_slice(), more) {
            (b"*", _) if adding => {}
            (b"maxlen" | b"minid", Some(_)) => {
                if options.trim.is_some() {
                    return Err(Fault::new(
                        "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
                    ));
                }
                let (trim, next) = strategy(args, i)?;
                options.trim = Some(trim);
                i = next;
                continue;
            }
            (b"limit", Some(text)) => {
                let text = int_arg(text)?;
                let not_negative = usize::try_from(text);
                limit = Some(not_negative.map_err(|_| Fault::new("ERR The LIMIT argument must be >= 0."))?);
                i += 2;
                continue;
            }
            (b"nomkstream", _) if adding => {
                options.only_existing = true;
                i += 1;
                continue;
            }
            _ if adding => {}
            _ => return Err(SYNTAX),
        }
        options.id = Some((NewId::parse(option).ok_or(BAD_ID)?, i + 1));
        break;
    }
    apply_limit(&mut options.trim, limit, adding)?;
    Ok(options)
}

/// Reads `MAXLEN [=|~] count` or `MINID [=|~] id` at `i`; gives the index of what follows.
fn strategy(args: Args, i: usize) -> Result<(Trim, usize), Fault> {
    let sign = args.get(i + 1).filter(|sign| matches!(*sign, b"~" | b"=") && args.len() > i + 2);
    let at = i + 1 + usize::from(sign.is_some());
    let text = args.get(at).ok_or(SYNTAX)?;
    let keep = if args[i].eq_ignore_ascii_case(b"maxlen") {
        let count = usize::try_from(int_arg(text)?);
        Keep::Newest(count.map_err(|_| Fault::new("ERR The MAXLEN argument must be >= 0."))?)
    } else {
        Keep::From(id_arg(text)?)
    };
    Ok((Trim { keep, about: sign == Some(b"~"), limit: 0 }, at + 1))
}

fn apply_limit(trim: &mut Option<Trim>, limit: Option<usize>, adding: bool) -> Result<(), Fault> {
    /// Without LIMIT, trimming "about" removes no more than a hundred nodes' worth, as in Redis.
    const USUAL: usize = 100 * 100;
    if limit.unwrap_or(0) > 0 && trim.is_none() {
        let text = "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy";
        return Err(Fault::new(text));
    }
    if !adding && trim.is_none() {
        return Err(Fault::new("ERR syntax error, XTRIM must be called with a trimming strategy"));
    }
    let about = trim.is_some_and(|trim| trim.about);
    if limit.is_some() && !about {
        let text = "ERR syntax error, LIMIT cannot be used without the special ~ option";
        return Err(Fault::new(text));
    }
    if let Some(trim) = trim {
        trim.limit = if about { limit.unwrap_or(USUAL) } else { 0 };
    }
    Ok(())
}

fn xadd(ctx: &mut Ctx) -> Result<(), Fault> {
    let options = options(ctx.args, true)?;
    let key = ctx.arg(1);
    let fields = options.id.map_or(ctx.args.skip(ctx.args.len()), |(_, from)| ctx.args.skip(from));
    let (Some((id, _)), false, 0) = (options.id, fields.is_empty(), fields.len() % 2) else {
        return Err(Fault::arity("xadd"));
    };
    if id == NewId::Exactly(Id::MIN) {
        return Err(Fault::new("ERR The ID specified in XADD must be greater than 0-0"));
    }
    if ctx.keys.typed_mut::<Stream>(key)?.is_none() && options.only_existing {
        ctx.w.null();
        return Ok(());
    }
    let pairs: Vec<(&[u8], &[u8])> = fields.iter().step_by(2).zip(fields.skip(1).iter().step_by(2)).collect();
    let now = u64::try_from(ctx.keys.now()).unwrap_or(0);
    let stream = ctx.keys.typed_or_new::<Stream>(key)?;
    let id = stream.add(id, now, &pairs)?;
    if let Some(trim) = options.trim {
        stream.trim(trim);
    }
    write_id(id, &mut ctx.w);
    ctx.keys.modified(key);
    ctx.keys.signal(key);
    Ok(())
}

fn xtrim(ctx: &mut Ctx) -> Result<(), Fault> {
    let trim = options(ctx.args, false)?.trim;
    let key = ctx.arg(1);
    let stream = ctx.keys.typed_mut::<Stream>(key)?;
    let removed = stream.zip(trim).map_or(0, |(stream, trim)| stream.trim(trim));
    if removed > 0 {
        ctx.keys.modified(key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

fn xdel(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let Some(stream) = ctx.keys.typed_mut::<Stream>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let ids = ctx.args.skip(2);
    ids.iter().try_for_each(|text| id_arg(text).map(drop))?;
    let removed = ids.iter().filter(|text| id_arg(text).is_ok_and(|id| stream.remove(id))).count();
    if removed > 0 {
        ctx.keys.modified(key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

fn xlen(ctx: &mut Ctx) -> Result<(), Fault> {
    let len = ctx.keys.typed::<Stream>(ctx.arg(1))?.map_or(0, Stream::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn range(ctx: &mut Ctx, reverse: bool) -> Result<(), Fault> {
    let (from, to) = if reverse { (3, 2) } else { (2, 3) };
    let from = range_end(ctx.arg(from), 0, Id::next, "ERR invalid start ID for the interval")?;
    let to = range_end(ctx.arg(to), u64::MAX, Id::previous, "ERR invalid end ID for the interval")?;
    let (mut count, mut i) = (None, 4);
    while let Some(option) = ctx.args.get(i) {
        let text = ctx.args.get(i + 1).filter(|_| option.eq_ignore_ascii_case(b"count")).ok_or(SYNTAX)?;
        count = Some(usize::try_from(int_arg(text)?).unwrap_or(0));
        i += 2;
    }
    let Some(stream) = ctx.keys.typed::<Stream>(ctx.arg(1))? else {
        ctx.w.array(0);
        return Ok(());
    };
    let (entries, count) = (stream.range(from..=to), count.unwrap_or(usize::MAX));
    match (count, reverse) {
        (0, _) => ctx.w.null_array(),
        (_, false) => write_entries(entries.take(count), &mut ctx.w),
        (_, true) => write_entries(entries.rev().take(count), &mut ctx.w),
    }
    Ok(())
}

/// One end of a range; after `(` the id itself is not part of it.
pub fn range_end(
    text: &[u8],
    missing_seq: u64,
    inward: fn(Id) -> Option<Id>,
    none_left: &'static str,
) -> Result<Id, Fault> {
    match text {
        [b'(', text @ ..] if !text.is_empty() => {
            let id = Id::parse(text, missing_seq).ok_or(BAD_ID)?;
            inward(id).ok_or(Fault::new(none_left))
        }
        _ => Id::parse_end(text, missing_seq).ok_or(BAD_ID),
    }
}

fn xsetid(ctx: &mut Ctx) -> Result<(), Fault> {
    let last_id = id_arg(ctx.arg(2))?;
    let (mut added, mut max_deleted, mut i) = (None, Id::MIN, 3);
    while let Some(option) = ctx.args.get(i) {
        match (option.to_ascii_lowercase().as_slice(), ctx.args.get(i + 1)) {
            (b"entriesadded", Some(text)) => {
                let count = u64::try_from(int_arg(text)?);
                added = Some(count.map_err(|_| Fault::new("ERR entries_added must be positive"))?);
            }
            (b"maxdeletedid", Some(text)) => {
                max_deleted = id_arg(text)?;
                if last_id < max_deleted {
                    return Err(Fault::new(
                        "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                    ));
                }
            }
            _ => return Err(SYNTAX),
        }
        i += 2;
    }
    let stream = ctx.keys.typed_mut::<Stream>(ctx.arg(1))?.ok_or(NO_SUCH_KEY)?;
    check_last_id(stream, last_id, added)?;
    stream.last_id = last_id;
    stream.added = added.unwrap_or(stream.added);
    if max_deleted != Id::MIN {
        stream.max_deleted = max_deleted;
    }
    ctx.w.ok();
    Ok(())
}

fn check_last_id(stream: &Stream, last_id: Id, added: Option<u64>) -> Result<(), Fault> {
    let Some(top) = stream.entries().next_back() else { return Ok(()) };
    if last_id < top.id {
        return Err(Fault::new("ERR The ID specified in XSETID is smaller than the target stream top item"));
    }
    if added.is_some_and(|added| added < stream.len() as u64) {
        return Err(Fault::new(
            "ERR The entries_added specified in XSETID is smaller than the target stream length",
        ));
    }
    Ok(())
}
