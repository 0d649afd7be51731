//! Sorted set commands on single members: ZADD, ZSCORE, ZRANK, ZPOPMIN and their kin.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, OUT_OF_RANGE, SYNTAX};
use super::hashes::random_count;
use super::number::{double_arg, format_double, integer, positive_arg};
use super::sample::{Sample, reply_fits, sample};
use super::table::SCAN_END;
use super::view::Keys;
use super::whole::{ScanOptions, cursor, write_scan};
use super::zset::ZSet;
use crate::resp::{Proto, Writer};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("ZADD", -4, KeyArgs::ONE, |ctx| zadd(ctx, false)),
    Row::write("ZINCRBY", 4, KeyArgs::ONE, |ctx| zadd(ctx, true)),
    Row::shrink("ZREM", -3, KeyArgs::ONE, zrem),
    Row::read("ZCARD", 2, KeyArgs::ONE, zcard),
    Row::read("ZSCORE", 3, KeyArgs::ONE, zscore),
    Row::read("ZMSCORE", -3, KeyArgs::ONE, zmscore),
    Row::read("ZRANK", 3, KeyArgs::ONE, |ctx| zrank(ctx, false)),
    Row::read("ZREVRANK", 3, KeyArgs::ONE, |ctx| zrank(ctx, true)),
    Row::shrink("ZPOPMIN", -2, KeyArgs::ONE, |ctx| zpop(ctx, true)),
    Row::shrink("ZPOPMAX", -2, KeyArgs::ONE, |ctx| zpop(ctx, false)),
    Row::shrink("ZMPOP", -4, KeyArgs::Counted(1), zmpop),
    Row::read("ZRANDMEMBER", -2, KeyArgs::ONE, zrandmember),
    Row::read("ZSCAN", -3, KeyArgs::ONE, zscan),
];

/// What ZADD is asked to do, and not to do.
#[derive(Clone, Copy, Default)]
pub struct AddFlags {
    /// Only new members.
    pub nx: bool,
    /// Only members that are there.
    pub xx: bool,
    /// Only if the score gets greater.
    pub gt: bool,
    /// Only if it gets less.
    pub lt: bool,
    /// Count the changed ones too.
    pub ch: bool,
    /// Add to the score.
    pub incr: bool,
}

impl AddFlags {
    /// Notes an option; false if it is none.
    pub fn take(&mut self, option: &[u8]) -> bool {
        let flags = [
            (&b"nx"[..], &mut self.nx),
            (b"xx", &mut self.xx),
            (b"gt", &mut self.gt),
            (b"lt", &mut self.lt),
            (b"ch", &mut self.ch),
            (b"incr", &mut self.incr),
        ];
        let named = flags.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(option));
        named.map(|(_, flag)| *flag = true).is_some()
    }

    fn check(&self) -> Result<(), Fault> {
        if self.nx && self.xx {
            return Err(Fault::new("ERR XX and NX options at the same time are not compatible"));
        }
        if [self.gt, self.lt, self.nx].into_iter().filter(|&flag| flag).count() > 1 {
            return Err(Fault::new("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        Ok(())
    }
}

/// What became of one member.
enum Added {
    New(f64),
    Changed(f64),
    Same(f64),
    /// The flags forbade it.
    Refused,
}

fn zadd(ctx: &mut Ctx, incr: bool) -> Result<(), Fault> {
    let mut flags = AddFlags { incr, ..AddFlags::default() };
    let options = ctx.args.skip(2).iter().take_while(|option| flags.take(option)).count();
    let args = ctx.args.skip(2 + options);
    if args.is_empty() || args.len() % 2 == 1 {
        return Err(SYNTAX);
    }
    flags.check()?;
    if flags.incr && args.len() > 2 {
        return Err(Fault::new("ERR INCR option supports a single increment-element pair"));
    }
    if args.len() == 2 {
        return add(ctx, flags, &[(double_arg(&args[0])?, args.get(1).unwrap_or_default())]);
    }
    let mut pairs = Vec::with_capacity(args.len() / 2);
    for i in (0..args.len()).step_by(2) {
        pairs.push((double_arg(&args[i])?, args.get(i + 1).unwrap_or_default()));
    }
    add(ctx, flags, &pairs)
}

/// Adds members (at least one) to the set that the first argument names.
pub fn add(ctx: &mut Ctx, flags: AddFlags, pairs: &[(f64, &[u8])]) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let wanted = !flags.xx || ctx.keys.typed_mut::<ZSet>(key)?.is_some();
    let (mut added, mut changed, mut score) = (0, 0, None);
    if wanted {
        let set = ctx.keys.typed_or_new::<ZSet>(key)?;
        for &(new, member) in pairs {
            score = match add_one(set, flags, new, member)? {
                Added::New(score) => {
                    added += 1;
                    Some(score)
                }
                Added::Changed(score) => {
                    changed += 1;
                    Some(score)
                }
                Added::Same(score) => Some(score),
                Added::Refused => None,
            };
        }
    }
    if added + changed > 0 {
        ctx.keys.modified(key);
    }
    match (flags.incr, score) {
        (false, _) => ctx.w.int(if flags.ch { added + changed } else { added }),
        (true, Some(score)) => write_score(&mut ctx.w, score),
        (true, None) => ctx.w.null(),
    }
    Ok(())
}

fn add_one(set: &mut ZSet, flags: AddFlags, score: f64, member: &[u8]) -> Result<Added, Fault> {
    let Some(old) = set.score(member) else {
        if flags.xx {
            return Ok(Added::Refused);
        }
        set.set(member, score);
        return Ok(Added::New(score));
    };
    if flags.nx {
        return Ok(Added::Refused);
    }
    let score = if flags.incr { old + score } else { score };
    if score.is_nan() {
        return Err(Fault::new("ERR resulting score is not a number (NaN)"));
    }
    if flags.lt && score >= old || flags.gt && score <= old {
        return Ok(Added::Refused);
    }
    if score == old {
        return Ok(Added::Same(score));
    }
    set.set(member, score);
    Ok(Added::Changed(score))
}

/// A score in a reply.
pub fn write_score(w: &mut Writer, score: f64) {
    /// Integers below this are written as such by `%.17g`, and are exact.
    const EXACT: f64 = (1i64 << 53) as f64;
    if score.abs() < EXACT && score.fract() == 0.0 && (score != 0.0 || score.is_sign_positive()) {
        return w.double_digits(itoa::Buffer::new().format(score as i64).as_bytes());
    }
    w.double_digits(format_double(score).as_bytes());
}

/// The header of a list of members: with scores they are pairs in RESP3, and a flat list in RESP2.
pub fn write_header(w: &mut Writer, members: usize, scores: bool) {
    w.array(if scores && w.proto == Proto::Resp2 { members * 2 } else { members });
}

/// A member of such a list.
pub fn write_member(w: &mut Writer, member: &[u8], score: f64, scores: bool) {
    if scores && w.proto == Proto::Resp3 {
        w.array(2);
    }
    w.bulk(member);
    if scores {
        write_score(w, score);
    }
}

fn zrem(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let Some(set) = ctx.keys.typed_mut::<ZSet>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let removed = members.iter().filter(|member| set.remove(member)).count();
    if removed > 0 {
        after_removal(&mut ctx.keys, key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

/// Members were taken out: the key goes if it was the last one, and watchers hear of it.
pub fn after_removal(keys: &mut Keys, key: &[u8]) {
    keys.drop_if_empty::<ZSet>(key);
    keys.modified(key);
}

fn zcard(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let len = ctx.keys.typed::<ZSet>(key)?.map_or(0, ZSet::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn zscore(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    match ctx.keys.typed::<ZSet>(key)?.and_then(|set| set.score(member)) {
        Some(score) => write_score(&mut ctx.w, score),
        None => ctx.w.null(),
    }
    Ok(())
}

fn zmscore(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let set = ctx.keys.typed::<ZSet>(key)?;
    ctx.w.array(members.len());
    for member in members.iter() {
        match set.and_then(|set| set.score(member)) {
            Some(score) => write_score(&mut ctx.w, score),
            None => ctx.w.null(),
        }
    }
    Ok(())
}

fn zrank(ctx: &mut Ctx, reverse: bool) -> Result<(), Fault> {
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    let set = ctx.keys.typed::<ZSet>(key)?;
    match set.and_then(|set| Some((set.rank(member)?, set.len()))) {
        Some((rank, len)) => ctx.w.int(if reverse { len - 1 - rank } else { rank } as i64),
        None => ctx.w.null(),
    }
    Ok(())
}

fn zpop(ctx: &mut Ctx, min: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let count = match (ctx.args.get(2), ctx.args.len()) {
        (None, _) => None,
        (Some(count), 3) => Some(positive_arg(count)?),
        _ => return Err(SYNTAX),
    };
    let Some(set) = ctx.keys.typed_mut::<ZSet>(key)? else {
        ctx.w.array(0);
        return Ok(());
    };
    let nested = count.is_some() && ctx.w.proto == Proto::Resp3;
    let count = count.unwrap_or(1).min(set.len());
    ctx.w.array(if nested { count } else { count * 2 });
    if count > 0 {
        pop(set, min, count, nested, &mut ctx.w);
        after_removal(&mut ctx.keys, key);
    }
    Ok(())
}

/// Takes out the members with the lowest or the highest scores (at most all of them) and writes them.
pub fn pop(set: &mut ZSet, min: bool, count: usize, nested: bool, w: &mut Writer) {
    let len = set.len();
    let first = if min { 0 } else { len.saturating_sub(1) };
    for (member, score) in set.iter(first, count, !min) {
        if nested {
            w.array(2);
        }
        w.bulk(member);
        write_score(w, score);
    }
    set.remove_ranks(if min { 0..count } else { len - count..len });
}

/// ZMPOP's and BZMPOP's arguments from numkeys on: how many keys, the lowest or not, how many members.
pub fn parse_mpop(ctx: &Ctx, at: usize) -> Result<(usize, bool, usize), Fault> {
    let counted = |i: usize, text| {
        integer(ctx.arg(i)).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0).ok_or(Fault::new(text))
    };
    let numkeys = counted(at, "ERR numkeys should be greater than 0")?;
    let side_at = at.saturating_add(numkeys).saturating_add(1);
    let min = match ctx.args.get(side_at).ok_or(SYNTAX)?.to_ascii_lowercase().as_slice() {
        b"min" => true,
        b"max" => false,
        _ => return Err(SYNTAX),
    };
    let (mut count, mut i) = (None, side_at + 1);
    while let Some(option) = ctx.args.get(i) {
        if count.is_some() || !option.eq_ignore_ascii_case(b"count") || i + 1 == ctx.args.len() {
            return Err(SYNTAX);
        }
        count = Some(counted(i + 1, "ERR count should be greater than 0")?);
        i += 2;
    }
    Ok((numkeys, min, count.unwrap_or(1)))
}

fn zmpop(ctx: &mut Ctx) -> Result<(), Fault> {
    let (numkeys, min, count) = parse_mpop(ctx, 1)?;
    if !try_mpop(ctx, 2..2 + numkeys, min, count)? {
        ctx.w.null_array();
    }
    Ok(())
}

/// Pops from the first sorted set that there is among the keys; false without any.
pub fn try_mpop(ctx: &mut Ctx, keys: std::ops::Range<usize>, min: bool, count: usize) -> Result<bool, Fault> {
    for key in ctx.args.skip(keys.start).iter().take(keys.len()) {
        if ctx.keys.typed_mut::<ZSet>(key)?.is_some() {
            write_popped(&mut ctx.keys, key, min, count, &mut ctx.w);
            return Ok(true);
        }
    }
    Ok(false)
}

/// ZMPOP's reply: the key, and pairs.
pub fn write_popped(keys: &mut Keys, key: &[u8], min: bool, count: usize, w: &mut Writer) {
    if let Ok(Some(set)) = keys.typed_mut::<ZSet>(key) {
        let count = count.min(set.len());
        w.array(2);
        w.bulk(key);
        w.array(count);
        pop(set, min, count, true, w);
        after_removal(keys, key);
    }
}

fn zrandmember(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let Some(count) = ctx.args.get(2) else {
        match ctx.keys.typed::<ZSet>(key)? {
            Some(set) => ctx.w.bulk(set.nth(fastrand::usize(0..set.len())).0),
            None => ctx.w.null(),
        }
        return Ok(());
    };
    let count = random_count(count)?;
    let scores = match ctx.args.get(3) {
        None => false,
        Some(option) if option.eq_ignore_ascii_case(b"withscores") && ctx.args.len() == 4 => true,
        Some(_) => return Err(SYNTAX),
    };
    if scores && !(i64::MIN / 2..=i64::MAX / 2).contains(&count) {
        return Err(OUT_OF_RANGE);
    }
    let Some(set) = ctx.keys.typed::<ZSet>(key)? else {
        ctx.w.array(0);
        return Ok(());
    };
    let (chosen, from) = (sample(set.len(), count), ctx.w.out.len());
    write_header(&mut ctx.w, chosen.len(), scores);
    if let Sample::All(_) = chosen {
        // As Redis: from the highest score down.
        let last = set.len() - 1;
        set.iter(last, set.len(), true).for_each(|(m, score)| write_member(&mut ctx.w, m, score, scores));
        return Ok(());
    }
    let pick = set.by_number(chosen.len());
    for index in chosen.iter() {
        let (member, score) = pick(index);
        write_member(&mut ctx.w, member, score, scores);
        reply_fits(&ctx.w, from)?;
    }
    Ok(())
}

/// A score as ZSCAN shows it where Redis keeps it as an integer.
fn packed_text(score: f64) -> String {
    const LARGE: f64 = (1i64 << 62) as f64;
    if score.fract() == 0.0 && score.abs() < LARGE {
        (score as i64).to_string()
    } else {
        format_double(score)
    }
}

fn zscan(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let start = cursor(ctx.arg(2))?;
    // Redis looks for the key before it looks at the options.
    let options = ScanOptions::parse(ctx, 3, false);
    let Some(set) = ctx.keys.typed::<ZSet>(key)? else {
        write_scan(&mut ctx.w, 0, &[b""; 0]);
        return Ok(());
    };
    let options = options?;
    let (mut found, mut at, mut seen, mut steps) = (Vec::new(), start, 0, 0);
    let packed = matches!(set, ZSet::Packed(_));
    if packed {
        at = 0;
    }
    while at < SCAN_END && seen < options.count && steps < options.count.saturating_mul(10) {
        steps += 1;
        at = set.scan(at, |member, score| {
            seen += 1;
            if options.wants(member) {
                let score = if packed { packed_text(score) } else { format_double(score) };
                found.extend([member.to_vec(), score.into_bytes()]);
            }
        });
    }
    write_scan(&mut ctx.w, if at >= SCAN_END { 0 } else { at }, &found);
    Ok(())
}
