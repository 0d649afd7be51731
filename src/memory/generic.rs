//! Keys whatever they hold: DEL, RENAME, COPY, TYPE, OBJECT and their kin.

use super::commands::{KeyArgs, Row};
use super::engine::{Ctx, Eviction};
use super::fault::{DB_RANGE, Fault, NO_SUCH_KEY, SYNTAX};
use super::number::{int_arg, int32_arg};
use super::value::Value;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::shrink("DEL", -2, KeyArgs::EACH, delete),
    Row::shrink("UNLINK", -2, KeyArgs::EACH, delete),
    Row::read("EXISTS", -2, KeyArgs::EACH, exists),
    Row::read("TOUCH", -2, KeyArgs::EACH, touch),
    Row::read("TYPE", 2, KeyArgs::ONE, type_of),
    Row::shrink("RENAME", 3, KeyArgs::TWO, |ctx| rename(ctx, false)),
    Row::shrink("RENAMENX", 3, KeyArgs::TWO, |ctx| rename(ctx, true)),
    Row::write("COPY", -3, KeyArgs::TWO, copy),
    Row::shrink("MOVE", 3, KeyArgs::ONE, move_key),
    Row::read("MEMORY", -2, KeyArgs::Range(2, 2, 1), memory),
    Row::read("OBJECT", -2, KeyArgs::Range(2, 2, 1), object),
];

fn delete(ctx: &mut Ctx) -> Result<(), Fault> {
    let deleted = ctx.args.skip(1).iter().filter(|key| ctx.keys.delete(key)).count();
    ctx.w.int(deleted as i64);
    Ok(())
}

fn exists(ctx: &mut Ctx) -> Result<(), Fault> {
    let found = ctx.args.skip(1).iter().filter(|key| ctx.keys.look(key).is_some()).count();
    ctx.w.int(found as i64);
    Ok(())
}

fn touch(ctx: &mut Ctx) -> Result<(), Fault> {
    let found = ctx.args.skip(1).iter().filter(|key| ctx.keys.get(key).is_some()).count();
    ctx.w.int(found as i64);
    Ok(())
}

fn type_of(ctx: &mut Ctx) -> Result<(), Fault> {
    let name = ctx.keys.look(ctx.arg(1)).map_or("none", |entry| entry.value.type_name());
    ctx.w.simple(name);
    Ok(())
}

fn rename(ctx: &mut Ctx, only_new: bool) -> Result<(), Fault> {
    let (from, to) = (ctx.arg(1), ctx.arg(2));
    let expires = ctx.keys.expiry(from).ok_or(NO_SUCH_KEY)?;
    let target = ctx.keys.exists(to);
    let refused = only_new && target;
    if from != to && !refused {
        let value = ctx.keys.take(from).ok_or(NO_SUCH_KEY)?;
        if target {
            ctx.keys.delete(to);
        }
        ctx.keys.put(to, value, expires);
        ctx.keys.modified(from);
    }
    match only_new {
        true => ctx.w.int((from != to && !refused).into()),
        false => ctx.w.ok(),
    }
    Ok(())
}

fn copy(ctx: &mut Ctx) -> Result<(), Fault> {
    let (from, to) = (ctx.arg(1), ctx.arg(2));
    let (mut db, mut replace, mut i) = (ctx.keys.db, false, 3);
    while let Some(option) = ctx.args.get(i) {
        match (option.to_ascii_lowercase().as_slice(), ctx.args.get(i + 1)) {
            (b"replace", _) => replace = true,
            (b"db", Some(number)) => {
                db = database(ctx, number)?;
                i += 1;
            }
            _ => return Err(SYNTAX),
        }
        i += 1;
    }
    if db == ctx.keys.db && from == to {
        return Err(Fault::new("ERR source and destination objects are the same"));
    }
    let value = ctx.keys.peek(from).map(|entry| entry.value.clone());
    let Some((value, expires)) = value.zip(ctx.keys.expiry(from)) else {
        ctx.w.int(0);
        return Ok(());
    };
    let copied = ctx.keys.in_db(db, |keys| {
        if !replace && keys.exists(to) {
            return false;
        }
        // Deleted first, so that who waits for the key hears of the new one.
        keys.delete(to);
        keys.put(to, value, expires);
        true
    });
    ctx.w.int(copied.into());
    Ok(())
}

fn database(ctx: &Ctx, text: &[u8]) -> Result<usize, Fault> {
    let number = int32_arg(text)?;
    usize::try_from(number).ok().filter(|&number| number < ctx.config.databases).ok_or(DB_RANGE)
}

fn move_key(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let db = database(ctx, ctx.arg(2))?;
    if db == ctx.keys.db {
        return Err(Fault::new("ERR source and destination objects are the same"));
    }
    let expires = ctx.keys.expiry(key);
    let occupied = ctx.keys.in_db(db, |keys| keys.exists(key));
    let (Some(expires), false) = (expires, occupied) else {
        ctx.w.int(0);
        return Ok(());
    };
    if let Some(value) = ctx.keys.take(key) {
        ctx.keys.in_db(db, |keys| keys.put(key, value, expires));
        ctx.keys.modified(key);
    }
    ctx.w.int(1);
    Ok(())
}

/// MEMORY USAGE. What it counts is exact: `SAMPLES` is accepted and not needed.
fn memory(ctx: &mut Ctx) -> Result<(), Fault> {
    if !ctx.arg(1).eq_ignore_ascii_case(b"usage") {
        return Err(Fault::subcommand("MEMORY", ctx.arg(1)));
    }
    if ctx.args.len() < 3 {
        return Err(Fault::arity("memory|usage"));
    }
    let options = ctx.args.skip(3);
    for i in (0..options.len()).step_by(2) {
        match (&options[i], options.get(i + 1)) {
            (name, Some(count)) if name.eq_ignore_ascii_case(b"samples") => {
                if int_arg(count)? < 0 {
                    return Err(SYNTAX);
                }
            }
            _ => return Err(SYNTAX),
        }
    }
    match ctx.keys.peek(ctx.arg(2)) {
        Some(entry) => ctx.w.int(entry.footprint() as i64),
        None => ctx.w.null(),
    }
    Ok(())
}

const OBJECT_HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

fn object(ctx: &mut Ctx) -> Result<(), Fault> {
    let subcommand = ctx.args[1].to_ascii_lowercase();
    let arity = match subcommand.as_slice() {
        b"help" => 2,
        b"encoding" | b"freq" | b"idletime" | b"refcount" => 3,
        _ => return Err(Fault::subcommand("OBJECT", ctx.arg(1))),
    };
    if ctx.args.len() != arity {
        return Err(Fault::arity(&format!("object|{}", String::from_utf8_lossy(&subcommand))));
    }
    if subcommand == b"help" {
        ctx.w.array(OBJECT_HELP.len());
        OBJECT_HELP.iter().for_each(|line| ctx.w.simple(line));
        return Ok(());
    }
    let now = ctx.keys.now();
    // Shared small integers have no reference count where values may be evicted one by one.
    let shares = ctx.config.max_memory == 0 || ctx.config.eviction == Eviction::Refuse;
    let Some(entry) = ctx.keys.peek(ctx.arg(2)) else {
        ctx.w.null();
        return Ok(());
    };
    match subcommand.as_slice() {
        b"encoding" => ctx.w.bulk(entry.value.encoding().as_bytes()),
        b"idletime" => ctx.w.int(entry.idle_ms(now) / 1000),
        b"refcount" => {
            let shared = matches!(entry.value, Value::Int(0..=9999)) && shares;
            ctx.w.int(if shared { i32::MAX.into() } else { 1 });
        }
        _ => {
            return Err(Fault::new(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                 when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
    }
    Ok(())
}
