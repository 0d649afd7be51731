//! HyperLogLog commands: PFADD, PFCOUNT, PFMERGE.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::Fault;
use super::hll::{self, Corrupt, REGISTERS, Registers};
use super::value::Value;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("PFADD", -2, KeyArgs::ONE, pfadd),
    Row::read("PFCOUNT", -2, KeyArgs::EACH, pfcount),
    Row::write("PFMERGE", -2, KeyArgs::EACH, pfmerge),
];

impl From<Corrupt> for Fault {
    fn from(_: Corrupt) -> Fault {
        Fault::new("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The bytes of a string that must be a HyperLogLog.
fn check(bytes: &[u8]) -> Result<&[u8], Fault> {
    let is_hll = hll::is_hll(bytes).then_some(bytes);
    is_hll.ok_or(Fault::new("WRONGTYPE Key is not a valid HyperLogLog string value."))
}

/// A copy of a key's HyperLogLog; none when there is no such key.
fn bytes(ctx: &mut Ctx, key: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    ctx.keys.text(key)?.map(|mut text| check(text.bytes()).map(<[u8]>::to_vec)).transpose()
}

fn pfadd(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, members) = (ctx.arg(1), ctx.args.skip(2));
    let new = match ctx.keys.text(key)? {
        None => true,
        Some(mut text) => check(text.bytes()).map(|_| false)?,
    };
    if new {
        ctx.keys.set(key, Value::Raw(Box::new(hll::new())));
    }
    let bytes = ctx.keys.raw_or_new(key)?;
    let mut changed = new;
    for member in members.iter() {
        changed |= hll::add(bytes, member)?;
    }
    if changed {
        hll::forget_count(bytes);
        ctx.keys.modified(key);
    }
    ctx.w.int(changed.into());
    Ok(())
}

fn pfcount(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let mut registers = [0; REGISTERS];
    if ctx.args.len() > 2 {
        collect(ctx, 1, &mut registers)?;
        ctx.w.int(hll::estimate(&registers) as i64);
        return Ok(());
    }
    let Some(bytes) = bytes(ctx, key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    if let Some(count) = hll::cached(&bytes) {
        ctx.w.int(count as i64);
        return Ok(());
    }
    hll::read(&bytes, &mut registers)?;
    let count = hll::estimate(&registers);
    hll::cache(ctx.keys.raw_or_new(key)?, count);
    // The string has changed, and Redis tells watchers too.
    ctx.keys.modified(key);
    ctx.w.int(count as i64);
    Ok(())
}

/// The greatest values of all keys from argument `from` on; true when any of them is dense.
fn collect(ctx: &mut Ctx, from: usize, registers: &mut Registers) -> Result<bool, Fault> {
    let mut dense = false;
    for key in ctx.args.skip(from).iter() {
        if let Some(bytes) = bytes(ctx, key)? {
            dense |= hll::is_dense(&bytes);
            hll::read(&bytes, registers)?;
        }
    }
    Ok(dense)
}

fn pfmerge(ctx: &mut Ctx) -> Result<(), Fault> {
    let target = ctx.arg(1);
    let mut registers = [0; REGISTERS];
    let dense = collect(ctx, 1, &mut registers)?;
    if !ctx.keys.exists(target) {
        ctx.keys.set(target, Value::Raw(Box::new(hll::new())));
    }
    let bytes = ctx.keys.raw_or_new(target)?;
    if dense {
        hll::to_dense(bytes)?;
    }
    for (register, &value) in registers.iter().enumerate().filter(|(_, value)| **value > 0) {
        hll::raise(bytes, register, value)?;
    }
    hll::forget_count(bytes);
    ctx.keys.modified(target);
    ctx.w.ok();
    Ok(())
}
