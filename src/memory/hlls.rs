//! HyperLogLog commands: PFADD, PFCOUNT, PFMERGE and PFDEBUG.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, WRONG_TYPE};
use super::hll::{self, Corrupt, REGISTERS};
use super::value::Value;
use super::view::Keys;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("PFADD", -2, KeyArgs::ONE, pfadd),
    Row::read("PFCOUNT", -2, KeyArgs::EACH, pfcount),
    Row::write("PFMERGE", -2, KeyArgs::EACH, pfmerge),
    Row::write("PFDEBUG", 3, KeyArgs::Range(2, 2, 1), pfdebug),
];

const NOT_ONE: Fault = Fault::new("WRONGTYPE Key is not a valid HyperLogLog string value.");

impl From<Corrupt> for Fault {
    fn from(_: Corrupt) -> Fault {
        Fault::new("INVALIDOBJ Corrupted HLL object detected")
    }
}

/// The bytes of a value that must be a HyperLogLog.
fn check(value: &Value) -> Result<&[u8], Fault> {
    let bytes: &[u8] = match value {
        Value::Str(blob) => blob,
        Value::Raw(bytes) => bytes,
        Value::Int(_) => return Err(NOT_ONE),
        _ => return Err(WRONG_TYPE),
    };
    if hll::is_one(bytes) { Ok(bytes) } else { Err(NOT_ONE) }
}

fn read<'k>(keys: &'k mut Keys, key: &[u8]) -> Result<Option<&'k [u8]>, Fault> {
    keys.get(key).map(check).transpose()
}

/// A HyperLogLog, to be changed in place.
fn change<'k>(keys: &'k mut Keys, key: &[u8]) -> Result<Option<&'k mut Vec<u8>>, Fault> {
    let Some(value) = keys.get_mut(key) else { return Ok(None) };
    check(value)?;
    value.raw_mut().map(Some)
}

/// As `change`, or a new one; true when it is new.
fn change_or_new<'k>(keys: &'k mut Keys, key: &[u8]) -> Result<(&'k mut Vec<u8>, bool), Fault> {
    let new = change(keys, key)?.is_none();
    let value = keys.raw_or_new(key)?;
    if new {
        *value = hll::empty();
    }
    Ok((value, new))
}

fn pfadd(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, elements) = (ctx.arg(1), ctx.args.skip(2));
    let (value, mut changed) = change_or_new(&mut ctx.keys, key)?;
    for element in elements.iter() {
        changed |= hll::add(value, element)?;
    }
    if changed {
        hll::forget(value);
        ctx.keys.modified(key);
    }
    ctx.w.int(changed.into());
    Ok(())
}

fn pfcount(ctx: &mut Ctx) -> Result<(), Fault> {
    if ctx.args.len() > 2 {
        let mut registers = vec![0; REGISTERS];
        for key in ctx.args.skip(1).iter() {
            if let Some(value) = read(&mut ctx.keys, key)? {
                hll::merge(&mut registers, value)?;
            }
        }
        ctx.w.int(hll::estimate(registers.iter().map(|&register| (register, 1))) as i64);
        return Ok(());
    }
    let key = ctx.arg(1);
    // Noted as a read, though the count may be kept in the value.
    read(&mut ctx.keys, key)?;
    let Some(value) = change(&mut ctx.keys, key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let count = match hll::cached(value) {
        Some(count) => count,
        None => {
            let count = hll::count(value)?;
            hll::cache(value, count);
            ctx.keys.modified(key);
            count
        }
    };
    ctx.w.int(count as i64);
    Ok(())
}

fn pfmerge(ctx: &mut Ctx) -> Result<(), Fault> {
    let target = ctx.arg(1);
    let (mut registers, mut dense) = (vec![0; REGISTERS], false);
    for key in ctx.args.skip(1).iter() {
        if let Some(value) = read(&mut ctx.keys, key)? {
            dense |= hll::is_dense(value);
            hll::merge(&mut registers, value)?;
        }
    }
    let (value, _) = change_or_new(&mut ctx.keys, target)?;
    if dense {
        hll::make_dense(value)?;
    }
    for (index, &register) in registers.iter().enumerate().filter(|(_, register)| **register > 0) {
        hll::set(value, index, register)?;
    }
    hll::forget(value);
    ctx.keys.modified(target);
    ctx.w.ok();
    Ok(())
}

fn pfdebug(ctx: &mut Ctx) -> Result<(), Fault> {
    let (name, key) = (ctx.arg(1), ctx.arg(2));
    let missing = Fault::new("ERR The specified key does not exist");
    let value = change(&mut ctx.keys, key)?.ok_or(missing)?;
    match name.to_ascii_lowercase().as_slice() {
        b"getreg" => {
            hll::make_dense(value)?;
            ctx.w.array(REGISTERS);
            hll::each(value, |_, register| ctx.w.int(register.into()))?;
        }
        b"decode" if hll::is_dense(value) => return Err(Fault::new("ERR HLL encoding is not sparse")),
        b"decode" => {
            let runs = hll::runs(value).map(|run| match (run.value, run.bytes) {
                (0, 1) => format!("z:{}", run.len),
                (0, _) => format!("Z:{}", run.len),
                (value, _) => format!("v:{value},{}", run.len),
            });
            ctx.w.bulk(runs.collect::<Vec<_>>().join(" ").as_bytes());
        }
        b"encoding" => ctx.w.simple(if hll::is_dense(value) { "dense" } else { "sparse" }),
        b"todense" => ctx.w.int(hll::make_dense(value)?.into()),
        _ => {
            let name = super::fault::quoted(name);
            return Err(Fault(format!("ERR Unknown PFDEBUG subcommand '{name}'").into()));
        }
    }
    Ok(())
}
