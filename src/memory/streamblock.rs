//! XREAD, which may wait, and serving those who do.

use super::block::{Wait, WaitRequest};
use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::expiry::timeout_ms;
use super::fault::{Fault, SYNTAX};
use super::number::int_arg;
use super::stream::Stream;
use super::streamid::Id;
use super::streams::{id_arg, write_entries};
use super::view::Keys;
use crate::resp::{Args, Proto, Writer};
use std::time::Duration;

/// The command.
pub const ROWS: &[Row] = &[Row::read("XREAD", -4, KeyArgs::Find(keys), xread)];

/// What an XREAD BLOCK wants of its keys.
pub struct Read {
    /// Each key, once, and the id after which it reads.
    after: Vec<(Box<[u8]>, Id)>,
    /// At most so many entries.
    count: usize,
}

/// What precedes the ids of XREAD and XREADGROUP.
pub struct Options<'a> {
    /// `Some(None)`: wait for ever.
    pub block: Option<Option<Duration>>,
    /// At most so many entries of each stream.
    pub count: usize,
    /// Group and consumer.
    pub group: Option<(&'a [u8], &'a [u8])>,
    /// Nothing that is read will be acknowledged.
    pub no_ack: bool,
    /// Index of the first key.
    pub first: usize,
    /// How many keys; as many ids follow.
    pub keys: usize,
}

/// Reads the options, of XREADGROUP if it is `for_group`.
pub fn options(args: Args<'_>, for_group: bool, now: i64) -> Result<Options<'_>, Fault> {
    let (mut block, mut count, mut group, mut no_ack, mut i) = (None, usize::MAX, None, false, 1);
    while let Some(option) = args.get(i) {
        match (option.to_ascii_lowercase().as_slice(), args.get(i + 1)) {
            (b"block", Some(text)) => block = Some(timeout_ms(text, now)?),
            (b"count", Some(text)) => {
                let most = usize::try_from(int_arg(text)?).unwrap_or(0);
                // Neither zero nor a negative number is a limit.
                count = if most == 0 { usize::MAX } else { most };
            }
            (b"streams", Some(_)) => {
                let rest = args.len() - i - 1;
                if !rest.is_multiple_of(2) {
                    return Err(Fault::new(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be \
                         specified.",
                    ));
                }
                return Ok(Options { block, count, group, no_ack, first: i + 1, keys: rest / 2 });
            }
            (b"group", Some(name)) if for_group && args.len() > i + 2 => {
                group = Some((name, args.get(i + 2).unwrap_or_default()));
                i += 1;
            }
            (b"noack", _) if for_group => {
                no_ack = true;
                i += 1;
                continue;
            }
            (b"group", Some(_)) if args.len() > i + 2 => {
                return Err(Fault::new(
                    "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            (b"noack", _) => {
                return Err(Fault::new(
                    "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                ));
            }
            _ => return Err(SYNTAX),
        }
        i += 2;
    }
    Err(SYNTAX)
}

/// The keys of XREAD, and of XREADGROUP, whose name is longer.
pub fn keys(args: Args, visit: &mut dyn FnMut(&[u8])) {
    // The time matters to a timeout only.
    if let Ok(options) = options(args, args.get(0).is_some_and(|name| name.len() > 5), 0) {
        args.skip(options.first).iter().take(options.keys).for_each(visit);
    }
}

fn xread(ctx: &mut Ctx) -> Result<(), Fault> {
    let options = options(ctx.args, false, ctx.keys.now())?;
    let mut after = Vec::with_capacity(options.keys);
    for i in options.first..options.first + options.keys {
        let (key, id) = (ctx.arg(i), ctx.arg(i + options.keys));
        after.push((key, position(&mut ctx.keys, key, id)?));
    }
    let mut found = Vec::new();
    for &(key, id) in &after {
        let stream = ctx.keys.typed::<Stream>(key)?;
        if stream.is_some_and(|stream| stream.entries().next_back().is_some_and(|last| last.id > id)) {
            found.push((key, id));
        }
    }
    if !found.is_empty() {
        write_header(found.len(), &mut ctx.w);
        found.iter().for_each(|(key, id)| write_stream(&mut ctx.keys, key, *id, options.count, &mut ctx.w));
        return Ok(());
    }
    match options.block {
        Some(timeout) if !ctx.in_block => {
            let after = after.iter().map(|&(key, id)| (key.into(), id)).collect();
            let keys = super::listblock::owned_keys(ctx, options.first..options.first + options.keys);
            let wait = Wait::Stream(Read { after, count: options.count });
            ctx.wait = Some(WaitRequest { keys, wait, timeout });
        }
        _ => ctx.w.null_array(),
    }
    Ok(())
}

/// After which id a key is to be read.
fn position(keys: &mut Keys, key: &[u8], id: &[u8]) -> Result<Id, Fault> {
    let stream = keys.typed::<Stream>(key)?;
    match id {
        b"$" => Ok(stream.map_or(Id::MIN, |stream| stream.last_id)),
        b">" => Err(Fault::new(
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> \
             option.",
        )),
        _ => id_arg(id),
    }
}

/// Streams by key: a map, or in RESP2 an array of pairs.
pub fn write_header(streams: usize, w: &mut Writer) {
    if w.proto == Proto::Resp3 { w.map(streams) } else { w.array(streams) }
}

fn write_stream(keys: &mut Keys, key: &[u8], after: Id, count: usize, w: &mut Writer) {
    let Ok(Some(stream)) = keys.typed::<Stream>(key) else { return };
    if w.proto == Proto::Resp2 {
        w.array(2);
    }
    w.bulk(key);
    match after.next() {
        Some(from) => write_entries(stream.range(from..=Id::MAX).take(count), w),
        None => w.array(0),
    }
}

impl Read {
    fn after(&self, key: &[u8]) -> Option<Id> {
        self.after.iter().find(|(name, _)| **name == *key).map(|(_, id)| *id)
    }
}

/// True when the stream has had something after what the reader has seen.
pub fn has_something(keys: &mut Keys, key: &[u8], read: &Read) -> bool {
    let stream = keys.typed::<Stream>(key).ok().flatten();
    stream.zip(read.after(key)).is_some_and(|(stream, after)| stream.last_id > after)
}

/// The reply for one key.
pub fn serve(keys: &mut Keys, key: &[u8], read: &Read, w: &mut Writer) {
    if let Some(after) = read.after(key) {
        write_header(1, w);
        write_stream(keys, key, after, read.count, w);
    }
}
