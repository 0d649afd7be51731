//! Hash commands.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NAN_OR_INF, NOT_FLOAT, OUT_OF_RANGE, OVERFLOW, SYNTAX};
use super::hash::Hash;
use super::longdouble::LongDouble;
use super::number::{int_arg, integer};
use super::sample::{reply_fits, sample};
use super::table::SCAN_END;
use super::whole::{ScanOptions, cursor, write_scan, write_scan_head};
use crate::resp::Proto;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("HSET", -4, KeyArgs::ONE, |ctx| hset(ctx, false)),
    Row::write("HMSET", -4, KeyArgs::ONE, |ctx| hset(ctx, true)),
    Row::write("HSETNX", 4, KeyArgs::ONE, hsetnx),
    Row::read("HGET", 3, KeyArgs::ONE, hget),
    Row::read("HMGET", -3, KeyArgs::ONE, hmget),
    Row::shrink("HDEL", -3, KeyArgs::ONE, hdel),
    Row::read("HLEN", 2, KeyArgs::ONE, hlen),
    Row::read("HSTRLEN", 3, KeyArgs::ONE, hstrlen),
    Row::read("HEXISTS", 3, KeyArgs::ONE, hexists),
    Row::read("HKEYS", 2, KeyArgs::ONE, |ctx| hgetall(ctx, true, false)),
    Row::read("HVALS", 2, KeyArgs::ONE, |ctx| hgetall(ctx, false, true)),
    Row::read("HGETALL", 2, KeyArgs::ONE, |ctx| hgetall(ctx, true, true)),
    Row::write("HINCRBY", 4, KeyArgs::ONE, hincrby),
    Row::write("HINCRBYFLOAT", 4, KeyArgs::ONE, hincrbyfloat),
    Row::read("HRANDFIELD", -2, KeyArgs::ONE, hrandfield),
    Row::read("HSCAN", -3, KeyArgs::ONE, hscan),
];

fn hset(ctx: &mut Ctx, old_reply: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    if ctx.args.len() % 2 == 1 {
        return Err(Fault::arity(if old_reply { "hmset" } else { "hset" }));
    }
    let args = ctx.args;
    let hash = ctx.keys.typed_or_new::<Hash>(key)?;
    let new = (2..args.len()).step_by(2).filter(|&i| hash.set(&args[i], &args[i + 1])).count();
    ctx.keys.modified(key);
    if old_reply {
        ctx.w.ok()
    } else {
        ctx.w.int(new as i64)
    }
    Ok(())
}

fn hsetnx(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field, value) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let hash = ctx.keys.typed_or_new::<Hash>(key)?;
    let new = hash.get(field).is_none();
    if new {
        hash.set(field, value);
        ctx.keys.modified(key);
    }
    ctx.w.int(new.into());
    Ok(())
}

fn hget(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field) = (ctx.arg(1), ctx.arg(2));
    match ctx.keys.typed::<Hash>(key)?.and_then(|hash| hash.get(field)) {
        Some(value) => ctx.w.bulk(value),
        None => ctx.w.null(),
    }
    Ok(())
}

fn hmget(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, fields) = (ctx.arg(1), ctx.args.skip(2));
    let hash = ctx.keys.typed::<Hash>(key)?;
    ctx.w.array(fields.len());
    for field in fields.iter() {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => ctx.w.bulk(value),
            None => ctx.w.null(),
        }
    }
    Ok(())
}

fn hdel(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, fields) = (ctx.arg(1), ctx.args.skip(2));
    let Some(hash) = ctx.keys.typed_mut::<Hash>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let removed = fields.iter().filter(|field| hash.remove(field)).count();
    if removed > 0 {
        ctx.keys.drop_if_empty::<Hash>(key);
        ctx.keys.modified(key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

fn hlen(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let len = ctx.keys.typed::<Hash>(key)?.map_or(0, Hash::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn hstrlen(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field) = (ctx.arg(1), ctx.arg(2));
    let len = ctx.keys.typed::<Hash>(key)?.and_then(|hash| hash.get(field)).map_or(0, <[u8]>::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn hexists(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field) = (ctx.arg(1), ctx.arg(2));
    let there = ctx.keys.typed::<Hash>(key)?.is_some_and(|hash| hash.get(field).is_some());
    ctx.w.int(there.into());
    Ok(())
}

fn hgetall(ctx: &mut Ctx, fields: bool, values: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let hash = ctx.keys.typed::<Hash>(key)?;
    let len = hash.map_or(0, Hash::len);
    if fields && values {
        ctx.w.map(len)
    } else {
        ctx.w.array(len)
    }
    if let Some(hash) = hash {
        hash.each(|field, value| {
            if fields {
                ctx.w.bulk(field);
            }
            if values {
                ctx.w.bulk(value);
            }
        });
    }
    Ok(())
}

fn hincrby(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field) = (ctx.arg(1), ctx.arg(2));
    let by = int_arg(ctx.arg(3))?;
    // A new hash gets its field in any case: 0 and a number make a number.
    let hash = ctx.keys.typed_or_new::<Hash>(key)?;
    let old = match hash.get(field) {
        Some(value) => integer(value).ok_or(Fault::new("ERR hash value is not an integer"))?,
        None => 0,
    };
    let sum = old.checked_add(by).ok_or(OVERFLOW)?;
    hash.set(field, itoa::Buffer::new().format(sum).as_bytes());
    ctx.keys.modified(key);
    ctx.w.int(sum);
    Ok(())
}

fn hincrbyfloat(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, field) = (ctx.arg(1), ctx.arg(2));
    let by = LongDouble::parse(ctx.arg(3)).ok_or(NOT_FLOAT)?;
    if by.is_infinite() {
        return Err(Fault::new("ERR value is NaN or Infinity"));
    }
    // As above, now that the number is finite.
    let hash = ctx.keys.typed_or_new::<Hash>(key)?;
    let old = match hash.get(field) {
        Some(value) => LongDouble::parse(value).ok_or(Fault::new("ERR hash value is not a float"))?,
        None => LongDouble::ZERO,
    };
    let sum = old.add(by).ok_or(NAN_OR_INF)?.format();
    hash.set(field, sum.as_bytes());
    ctx.keys.modified(key);
    ctx.w.bulk(sum.as_bytes());
    Ok(())
}

fn hrandfield(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let Some(count) = ctx.args.get(2) else {
        match ctx.keys.typed::<Hash>(key)? {
            Some(hash) => ctx.w.bulk(hash.nth(fastrand::usize(0..hash.len())).0),
            None => ctx.w.null(),
        }
        return Ok(());
    };
    let count = random_count(count)?;
    let with_values = match ctx.args.get(3) {
        None => false,
        Some(option) if option.eq_ignore_ascii_case(b"withvalues") && ctx.args.len() == 4 => true,
        Some(_) => return Err(SYNTAX),
    };
    if with_values && !(-(i64::MAX / 2)..=i64::MAX / 2).contains(&count) {
        return Err(OUT_OF_RANGE);
    }
    let Some(hash) = ctx.keys.typed::<Hash>(key)? else {
        ctx.w.array(0);
        return Ok(());
    };
    let chosen = sample(hash.len(), count);
    let pick = hash.by_number(chosen.len());
    let nested = with_values && ctx.w.proto == Proto::Resp3;
    ctx.w.array(chosen.len() * if with_values && !nested { 2 } else { 1 });
    let from = ctx.w.out.len();
    for index in chosen.iter() {
        let (field, value) = pick(index);
        if nested {
            ctx.w.array(2);
        }
        ctx.w.bulk(field);
        if with_values {
            ctx.w.bulk(value);
        }
        reply_fits(&ctx.w, from)?;
    }
    Ok(())
}

/// A count whose sign says whether members may be repeated.
pub fn random_count(text: &[u8]) -> Result<i64, Fault> {
    let count = int_arg(text)?;
    if count == i64::MIN {
        return Err(Fault::new(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    Ok(count)
}

fn hscan(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let start = cursor(ctx.arg(2))?;
    // Redis looks for the key before it looks at the options.
    let options = ScanOptions::parse(ctx, 3, false);
    let Some(hash) = ctx.keys.typed::<Hash>(key)? else {
        write_scan_head(&mut ctx.w, 0, 0);
        return Ok(());
    };
    let options = options?;
    let (mut found, mut at, mut seen, mut steps) = (Vec::new(), start, 0, 0);
    if let Hash::Packed(_) = hash {
        at = 0;
    }
    while at < SCAN_END && seen < options.count && steps < options.count.saturating_mul(10) {
        steps += 1;
        at = hash.scan(at, |field, value| {
            seen += 1;
            if options.wants(field) {
                found.extend([field, value]);
            }
        });
    }
    write_scan(&mut ctx.w, if at >= SCAN_END { 0 } else { at }, &found);
    Ok(())
}
