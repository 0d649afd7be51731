//! DUMP and RESTORE.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::keyspace::NEVER;
use super::number::int_arg;
use super::rdb;

/// The commands.
pub const ROWS: &[Row] =
    &[Row::read("DUMP", 2, KeyArgs::ONE, dump), Row::write("RESTORE", -4, KeyArgs::ONE, restore)];

fn dump(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    match ctx.keys.get(key) {
        None => ctx.w.null(),
        Some(value) => {
            let payload = rdb::dump(value);
            ctx.w.bulk(&payload.ok_or(Fault::new("ERR DUMP of a stream is not supported in memory"))?);
        }
    }
    Ok(())
}

fn restore(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let (mut replace, mut absolute, mut i) = (false, false, 4);
    let (mut idle, mut frequency) = (false, false);
    while let Some(option) = ctx.args.get(i) {
        let number = ctx.args.get(i + 1);
        match (option.to_ascii_lowercase().as_slice(), number) {
            (b"replace", _) => replace = true,
            (b"absttl", _) => absolute = true,
            (b"idletime", Some(number)) if !frequency => {
                if int_arg(number)? < 0 {
                    return Err(Fault::new("ERR Invalid IDLETIME value, must be >= 0"));
                }
                idle = true;
                i += 1;
            }
            (b"freq", Some(number)) if !idle => {
                if !(0..=255).contains(&int_arg(number)?) {
                    return Err(Fault::new("ERR Invalid FREQ value, must be >= 0 and <= 255"));
                }
                frequency = true;
                i += 1;
            }
            _ => return Err(SYNTAX),
        }
        i += 1;
    }
    if !replace && ctx.keys.exists(key) {
        return Err(Fault::new("BUSYKEY Target key name already exists."));
    }
    let ttl = int_arg(ctx.arg(2))?;
    if ttl < 0 {
        return Err(Fault::new("ERR Invalid TTL value, must be >= 0"));
    }
    let payload = ctx.arg(3);
    if !rdb::verify(payload) {
        return Err(Fault::new("ERR DUMP payload version or checksum are wrong"));
    }
    let value = rdb::restore(payload).ok_or(Fault::new("ERR Bad data format"))?;
    let expires = match (ttl, absolute) {
        (0, _) => NEVER,
        (ttl, true) => ttl.min(NEVER - 1),
        // Wrapping, as in Redis: what lies beyond the end of time is past.
        (ttl, false) => ttl.wrapping_add(ctx.keys.now()).min(NEVER - 1),
    };
    // Deleted first, so that who waits for the key hears of the new one.
    ctx.keys.delete(key);
    if expires > ctx.keys.now() {
        ctx.keys.put(key, value, expires);
    }
    ctx.w.ok();
    Ok(())
}
