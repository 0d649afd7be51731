//! Set commands.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::hashes::random_count;
use super::number::{integer, positive_arg};
use super::sample::{reply_fits, sample};
use super::set::{Member, Set};
use super::table::SCAN_END;
use super::value::Kind;
use super::whole::{ScanOptions, cursor, write_scan_head};
use crate::resp::Writer;

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
    Row::read("SINTER", -2, KeyArgs::EACH, sinter),
    Row::read("SUNION", -2, KeyArgs::EACH, |ctx| combine(ctx, union)),
    Row::read("SDIFF", -2, KeyArgs::EACH, |ctx| combine(ctx, difference)),
    Row::write("SINTERSTORE", -3, KeyArgs::EACH, |ctx| store(ctx, intersection)),
    Row::write("SUNIONSTORE", -3, KeyArgs::EACH, |ctx| store(ctx, union)),
    Row::write("SDIFFSTORE", -3, KeyArgs::EACH, |ctx| store(ctx, difference)),
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
    let there = match ctx.keys.typed_mut::<Set>(from)? {
        None => {
            ctx.w.int(0);
            return Ok(());
        }
        Some(set) => set.contains(member),
    };
    ctx.keys.typed_mut::<Set>(to)?;
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

/// What SPOP and SRANDMEMBER answer when there is no such set.
fn write_none(w: &mut Writer, count: bool, empty: fn(&mut Writer)) {
    if count { empty(w) } else { w.null() }
}

/// When so many times the members that stay are not more than those popped, it is those that stay which
/// are chosen, and they make a new set: here a table may turn into integers (Redis's rule).
const FEW: usize = 5;

fn spop(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let count = match (ctx.args.get(2), ctx.args.len()) {
        (None, _) => None,
        (Some(count), 3) => Some(positive_arg(count)?),
        _ => return Err(SYNTAX),
    };
    let Some(set) = ctx.keys.typed_mut::<Set>(key)? else {
        write_none(&mut ctx.w, count.is_some(), |w| w.set(0));
        return Ok(());
    };
    let pops = count.unwrap_or(1).min(set.len());
    if count.is_some() {
        ctx.w.set(pops);
    }
    let stay = set.len() - pops;
    if stay > 0 && (count.is_none() || stay.saturating_mul(FEW) > pops) {
        for _ in 0..pops {
            let index = fastrand::usize(0..set.len());
            write(&mut ctx.w, set.nth(index));
            set.remove_nth(index);
        }
        if pops > 0 {
            ctx.keys.modified(key);
        }
        return Ok(());
    }
    let mut kept = Set::default();
    for _ in 0..stay {
        let index = fastrand::usize(0..set.len());
        kept.add_member(set.nth(index));
        set.remove_nth(index);
    }
    let popped = std::mem::replace(set, kept);
    popped.iter().for_each(|member| write(&mut ctx.w, member));
    ctx.keys.discard(popped.into_value());
    ctx.keys.drop_if_empty::<Set>(key);
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
        write_none(&mut ctx.w, count.is_some(), |w| w.array(0));
        return Ok(());
    };
    let Some(count) = count else {
        write(&mut ctx.w, set.nth(fastrand::usize(0..set.len())));
        return Ok(());
    };
    let chosen = sample(set.len(), count);
    ctx.w.array(chosen.len());
    let from = ctx.w.out.len();
    for index in chosen.iter() {
        write(&mut ctx.w, set.nth(index));
        reply_fits(&ctx.w, from)?;
    }
    Ok(())
}

fn write(w: &mut Writer, member: Member) {
    w.bulk(member.bytes(&mut itoa::Buffer::new()));
}

/// What the sets have in common: each member of the smallest is looked up in the others, and no more of
/// them than are asked for.
fn common<'a>(sets: Vec<Option<&'a Set>>) -> impl Iterator<Item = Member<'a>> {
    // One that is not there is empty.
    let mut sets: Vec<&Set> = sets.into_iter().collect::<Option<_>>().unwrap_or_default();
    sets.sort_by_key(|set| set.len());
    let smallest = sets.first().copied();
    let others = sets.split_off(sets.len().min(1));
    let members = smallest.into_iter().flat_map(Set::iter);
    members.filter(move |&member| others.iter().all(|other| other.has(member)))
}

fn union(sets: &[Option<&Set>]) -> Set {
    let mut result = Set::default();
    for member in sets.iter().copied().flatten().flat_map(Set::iter) {
        result.add_member(member);
    }
    result
}

/// What the first has and no other: by looking its members up in the others, or by taking the others'
/// members out of it, whichever is less work (Redis's rule; it shows in the encoding of what is stored).
fn difference(sets: &[Option<&Set>]) -> Set {
    let mut result = Set::default();
    let Some(first) = sets.first().copied().flatten() else { return result };
    let mut others: Vec<&Set> = sets[1..].iter().copied().flatten().collect();
    if others.iter().any(|other| std::ptr::eq(*other, first)) {
        return result;
    }
    let lookups = first.len().saturating_mul(others.len() + 1) / 2;
    if lookups <= first.len() + others.iter().map(|set| set.len()).sum::<usize>() {
        // The largest first: it is the one most likely to have a member.
        others.sort_by_key(|set| std::cmp::Reverse(set.len()));
        let alone = |member: &Member| !others.iter().any(|other| other.has(*member));
        for member in first.iter().filter(alone) {
            result.add_member(member);
        }
        return result;
    }
    for member in first.iter() {
        result.add_member(member);
    }
    for other in others {
        if result.len() == 0 {
            break;
        }
        other.each(|member| {
            result.remove(member);
        });
    }
    result
}

fn sinter(ctx: &mut Ctx) -> Result<(), Fault> {
    let sources: Vec<_> = ctx.args.skip(1).iter().collect();
    let members: Vec<_> = common(ctx.keys.typed_each(&sources)?).collect();
    ctx.w.set(members.len());
    members.into_iter().for_each(|member| write(&mut ctx.w, member));
    Ok(())
}

/// SUNION and SDIFF.
fn combine(ctx: &mut Ctx, how: fn(&[Option<&Set>]) -> Set) -> Result<(), Fault> {
    let sources: Vec<_> = ctx.args.skip(1).iter().collect();
    let result = how(&ctx.keys.typed_each(&sources)?);
    ctx.w.set(result.len());
    result.iter().for_each(|member| write(&mut ctx.w, member));
    ctx.keys.discard(result.into_value());
    Ok(())
}

/// SINTERSTORE, SUNIONSTORE and SDIFFSTORE.
fn store(ctx: &mut Ctx, how: fn(&[Option<&Set>]) -> Set) -> Result<(), Fault> {
    let sources: Vec<_> = ctx.args.skip(2).iter().collect();
    let result = how(&ctx.keys.typed_each(&sources)?);
    let (target, len) = (ctx.arg(1), result.len());
    if len == 0 {
        ctx.keys.delete(target);
    } else {
        ctx.keys.set(target, result.into_value());
    }
    ctx.w.int(len as i64);
    Ok(())
}

fn intersection(sets: &[Option<&Set>]) -> Set {
    let mut result = Set::default();
    for member in common(sets.to_vec()) {
        result.add_member(member);
    }
    result
}

fn sintercard(ctx: &mut Ctx) -> Result<(), Fault> {
    let numkeys = integer(ctx.arg(1)).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    let numkeys = numkeys.ok_or(Fault::new("ERR numkeys should be greater than 0"))?;
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
    let count = common(ctx.keys.typed_each(&sources)?).take(limit).count();
    ctx.w.int(count as i64);
    Ok(())
}

fn sscan(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let start = cursor(ctx.arg(2))?;
    // Redis looks for the key before it looks at the options.
    let options = ScanOptions::parse(ctx, 3, false);
    let Some(set) = ctx.keys.typed::<Set>(key)? else {
        write_scan_head(&mut ctx.w, 0, 0);
        return Ok(());
    };
    let options = options?;
    let (mut found, mut at, mut seen, mut steps) = (Vec::new(), start, 0, 0);
    if let Set::Ints(_) = set {
        at = 0;
    }
    while at < SCAN_END && seen < options.count && steps < options.count.saturating_mul(10) {
        steps += 1;
        at = set.scan(at, |member| {
            seen += 1;
            if options.wants(member.bytes(&mut itoa::Buffer::new())) {
                found.push(member);
            }
        });
    }
    write_scan_head(&mut ctx.w, if at >= SCAN_END { 0 } else { at }, found.len());
    found.into_iter().for_each(|member| write(&mut ctx.w, member));
    Ok(())
}
