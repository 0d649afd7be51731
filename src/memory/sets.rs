//! Set commands.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NOT_POSITIVE, SYNTAX};
use super::hashes::random_count;
use super::lists::counted;
use super::number::integer;
use super::sample::{Sample, sample};
use super::set::Set;
use super::table::SCAN_END;
use super::value::Kind;
use super::whole::{ScanOptions, cursor, write_scan};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("SADD", -3, KeyArgs::ONE, sadd),
    Row::shrink("SREM", -3, KeyArgs::ONE, srem),
    Row::read("SCARD", 2, KeyArgs::ONE, scard),
    Row::read("SISMEMBER", 3, KeyArgs::ONE, sismember),
    Row::read("SMISMEMBER", -3, KeyArgs::ONE, smismember),
    Row::read("SMEMBERS", 2, KeyArgs::ONE, smembers),
    Row::shrink("SMOVE", 4, KeyArgs::TWO, smove),
    Row::shrink("SPOP", -2, KeyArgs::ONE, spop),
    Row::read("SRANDMEMBER", -2, KeyArgs::ONE, srandmember),
    Row::read("SINTER", -2, KeyArgs::EACH, |ctx| combine(ctx, Combine::Intersection, false)),
    Row::read("SUNION", -2, KeyArgs::EACH, |ctx| combine(ctx, Combine::Union, false)),
    Row::read("SDIFF", -2, KeyArgs::EACH, |ctx| combine(ctx, Combine::Difference, false)),
    Row::write("SINTERSTORE", -3, KeyArgs::EACH, |ctx| combine(ctx, Combine::Intersection, true)),
    Row::write("SUNIONSTORE", -3, KeyArgs::EACH, |ctx| combine(ctx, Combine::Union, true)),
    Row::write("SDIFFSTORE", -3, KeyArgs::EACH, |ctx| combine(ctx, Combine::Difference, true)),
    Row::read("SINTERCARD", -3, KeyArgs::Counted(1), sintercard),
    Row::read("SSCAN", -3, KeyArgs::ONE, sscan),
];

fn sadd(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let set = ctx.keys.typed_or_new::<Set>(key)?;
    let added = members.iter().filter(|member| set.add(member)).count();
    if added > 0 {
        ctx.keys.modified(key);
    }
    ctx.w.int(added as i64);
    Ok(())
}

fn srem(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let Some(set) = ctx.keys.typed_mut::<Set>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let removed = members.iter().filter(|member| set.remove(member)).count();
    if removed > 0 {
        ctx.keys.drop_if_empty::<Set>(key);
        ctx.keys.modified(key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

fn scard(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let len = ctx.keys.typed::<Set>(key)?.map_or(0, Set::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn sismember(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, member) = (ctx.arg(1), ctx.arg(2));
    let there = ctx.keys.typed::<Set>(key)?.is_some_and(|set| set.contains(member));
    ctx.w.int(there.into());
    Ok(())
}

fn smismember(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let set = ctx.keys.typed::<Set>(key)?;
    ctx.w.array(members.len());
    members.iter().for_each(|member| ctx.w.int(set.is_some_and(|set| set.contains(member)).into()));
    Ok(())
}

fn smembers(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let set = ctx.keys.typed::<Set>(key)?;
    ctx.w.set(set.map_or(0, Set::len));
    if let Some(set) = set {
        set.each(|member| ctx.w.bulk(member));
    }
    Ok(())
}

fn smove(ctx: &mut Ctx) -> Result<(), Fault> {
    let (from, to, member) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let there = match ctx.keys.typed::<Set>(from)? {
        None => {
            ctx.w.int(0);
            return Ok(());
        }
        Some(set) => set.contains(member),
    };
    ctx.keys.typed::<Set>(to)?;
    if there && from != to {
        if let Some(set) = ctx.keys.typed_mut::<Set>(from)? {
            set.remove(member);
        }
        ctx.keys.drop_if_empty::<Set>(from);
        ctx.keys.modified(from);
        if ctx.keys.typed_or_new::<Set>(to)?.add(member) {
            ctx.keys.modified(to);
        }
    }
    ctx.w.int(there.into());
    Ok(())
}

fn spop(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let count = match (ctx.args.get(2), ctx.args.len()) {
        (None, _) => None,
        (Some(count), 3) => {
            let count = integer(count).and_then(|n| usize::try_from(n).ok());
            Some(count.ok_or(NOT_POSITIVE)?)
        }
        _ => return Err(SYNTAX),
    };
    let Some(set) = ctx.keys.typed_mut::<Set>(key)? else {
        if count.is_some() {
            ctx.w.set(0)
        } else {
            ctx.w.null()
        }
        return Ok(());
    };
    if count == Some(0) {
        ctx.w.set(0);
        return Ok(());
    }
    let pops = count.unwrap_or(1).min(set.len());
    if count.is_some() {
        ctx.w.set(pops);
    }
    if pops == set.len() {
        // All of them: in their order, and without taking each out.
        set.each(|member| ctx.w.bulk(member));
        ctx.keys.delete(key);
        return Ok(());
    }
    for _ in 0..pops {
        let member = set.nth(fastrand::usize(0..set.len()), <[u8]>::to_vec);
        set.remove(&member);
        ctx.w.bulk(&member);
    }
    ctx.keys.modified(key);
    Ok(())
}

fn srandmember(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let count = match (ctx.args.get(2), ctx.args.len()) {
        (None, _) => None,
        (Some(count), 3) => Some(random_count(count)?),
        _ => return Err(SYNTAX),
    };
    let Some(set) = ctx.keys.typed::<Set>(key)? else {
        if count.is_some() {
            ctx.w.array(0)
        } else {
            ctx.w.null()
        }
        return Ok(());
    };
    let Some(count) = count else {
        set.nth(fastrand::usize(0..set.len()), |member| ctx.w.bulk(member));
        return Ok(());
    };
    let chosen = sample(set.len(), count);
    ctx.w.array(chosen.len());
    if let Sample::All(_) = chosen {
        set.each(|member| ctx.w.bulk(member));
    } else {
        chosen.iter().for_each(|index| set.nth(index, |member| ctx.w.bulk(member)));
    }
    Ok(())
}

/// How sets are combined.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Combine {
    Intersection,
    Union,
    Difference,
}

fn combine(ctx: &mut Ctx, how: Combine, store: bool) -> Result<(), Fault> {
    let sources: Vec<_> = ctx.args.skip(if store { 2 } else { 1 }).iter().collect();
    let result = match how {
        Combine::Intersection => intersection(ctx, &sources, usize::MAX)?,
        Combine::Union => union(ctx, &sources)?,
        Combine::Difference => difference(ctx, &sources)?,
    };
    if !store {
        ctx.w.set(result.len());
        result.each(|member| ctx.w.bulk(member));
        return Ok(());
    }
    let (target, len) = (ctx.arg(1), result.len());
    if len == 0 {
        ctx.keys.delete(target);
    } else {
        ctx.keys.set(target, result.into_value());
    }
    ctx.w.int(len as i64);
    Ok(())
}

/// Sizes of the sets; all must be sets, even if the result is known before.
fn sizes(ctx: &mut Ctx, sources: &[&[u8]]) -> Result<Vec<usize>, Fault> {
    sources.iter().map(|key| Ok(ctx.keys.typed::<Set>(key)?.map_or(0, Set::len))).collect()
}

/// What all have, at most `limit` of it: each member of the smallest set is looked up in the others.
fn intersection(ctx: &mut Ctx, sources: &[&[u8]], limit: usize) -> Result<Set, Fault> {
    let sizes = sizes(ctx, sources)?;
    let mut result = Set::default();
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|&i| sizes[i]);
    if order.first().is_none_or(|&first| sizes[first] == 0) {
        return Ok(result);
    }
    let mut candidates = Vec::new();
    if let Some(set) = ctx.keys.typed::<Set>(sources[order[0]])? {
        set.each(|member| candidates.push(member.to_vec()));
    }
    for &other in &order[1..] {
        if let Some(set) = ctx.keys.typed::<Set>(sources[other])? {
            candidates.retain(|member| set.contains(member));
        }
    }
    candidates.iter().take(limit).for_each(|member| drop(result.add(member)));
    Ok(result)
}

fn union(ctx: &mut Ctx, sources: &[&[u8]]) -> Result<Set, Fault> {
    sizes(ctx, sources)?;
    let mut result = Set::default();
    for key in sources {
        if let Some(set) = ctx.keys.typed::<Set>(key)? {
            set.each(|member| drop(result.add(member)));
        }
    }
    Ok(result)
}

/// What the first has and no other: by looking its members up in the others, or by taking the others'
/// members out of it, whichever is less work (Redis's rule).
fn difference(ctx: &mut Ctx, sources: &[&[u8]]) -> Result<Set, Fault> {
    let sizes = sizes(ctx, sources)?;
    let mut result = Set::default();
    if let Some(first) = ctx.keys.typed::<Set>(sources[0])? {
        first.each(|member| drop(result.add(member)));
    }
    let lookups = sizes[0].saturating_mul(sources.len()) / 2;
    let by_lookup = lookups <= sizes.iter().sum::<usize>();
    for key in &sources[1..] {
        let Some(other) = ctx.keys.typed::<Set>(key)? else { continue };
        if by_lookup {
            let mut gone = Vec::new();
            result.each(|member| {
                if other.contains(member) {
                    gone.push(member.to_vec());
                }
            });
            gone.iter().for_each(|member| drop(result.remove(member)));
        } else {
            other.each(|member| drop(result.remove(member)));
        }
    }
    Ok(result)
}

fn sintercard(ctx: &mut Ctx) -> Result<(), Fault> {
    let numkeys = counted(ctx.arg(1), "ERR numkeys should be greater than 0")?;
    if numkeys > ctx.args.len() - 2 {
        return Err(Fault::new("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = 0;
    let options = ctx.args.skip(2 + numkeys);
    for i in (0..options.len()).step_by(2) {
        let value = options.get(i + 1).filter(|_| options[i].eq_ignore_ascii_case(b"limit")).ok_or(SYNTAX)?;
        let value = integer(value).and_then(|n| usize::try_from(n).ok());
        limit = value.ok_or(Fault::new("ERR LIMIT can't be negative"))?;
    }
    let sources: Vec<_> = ctx.args.skip(2).iter().take(numkeys).collect();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let count = intersection(ctx, &sources, limit)?.len();
    ctx.w.int(count as i64);
    Ok(())
}

fn sscan(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let start = cursor(ctx.arg(2))?;
    if ctx.keys.typed::<Set>(key)?.is_none() {
        write_scan(&mut ctx.w, 0, &[]);
        return Ok(());
    }
    let options = ScanOptions::parse(ctx, 3, false)?;
    let Some(set) = ctx.keys.typed::<Set>(key)? else { return Ok(()) };
    let (mut found, mut at, mut seen, mut steps) = (Vec::new(), start, 0, 0);
    if let Set::Ints(_) = set {
        at = 0;
    }
    while at < SCAN_END && seen < options.count && steps < options.count.saturating_mul(10) {
        steps += 1;
        at = set.scan(at, |member| {
            seen += 1;
            if options.wants(member) {
                found.push(member.to_vec());
            }
        });
    }
    write_scan(&mut ctx.w, if at >= SCAN_END { 0 } else { at }, &found);
    Ok(())
}
