//! Strings: SET, GET and what changes them in place.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::expiry::{When, when_option};
use super::fault::{Fault, NAN_OR_INF, NOT_FLOAT, NOT_INTEGER, OVERFLOW, SYNTAX, TOO_LONG, WRONG_TYPE};
use super::keyspace::NEVER;
use super::longdouble::LongDouble;
use super::number::int_arg;
use super::value::Value;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("GET", 2, KeyArgs::ONE, get),
    Row::write("SET", -3, KeyArgs::ONE, set),
    Row::write("SETNX", 3, KeyArgs::ONE, setnx),
    Row::write("SETEX", 4, KeyArgs::ONE, |ctx| setex(ctx, b"ex")),
    Row::write("PSETEX", 4, KeyArgs::ONE, |ctx| setex(ctx, b"px")),
    Row::write("GETSET", 3, KeyArgs::ONE, getset),
    Row::shrink("GETDEL", 2, KeyArgs::ONE, getdel),
    Row::shrink("GETEX", -2, KeyArgs::ONE, getex),
    Row::read("MGET", -2, KeyArgs::EACH, mget),
    Row::write("MSET", -3, KeyArgs::Range(1, -1, 2), mset),
    Row::write("MSETNX", -3, KeyArgs::Range(1, -1, 2), msetnx),
    Row::read("STRLEN", 2, KeyArgs::ONE, strlen),
    Row::write("APPEND", 3, KeyArgs::ONE, append),
    Row::read("GETRANGE", 4, KeyArgs::ONE, getrange),
    Row::read("SUBSTR", 4, KeyArgs::ONE, getrange),
    Row::write("SETRANGE", 4, KeyArgs::ONE, setrange),
    Row::write("INCR", 2, KeyArgs::ONE, |ctx| increment(ctx, 1)),
    Row::write("DECR", 2, KeyArgs::ONE, |ctx| increment(ctx, -1)),
    Row::write("INCRBY", 3, KeyArgs::ONE, |ctx| {
        let by = int_arg(ctx.arg(2))?;
        increment(ctx, by)
    }),
    Row::write("DECRBY", 3, KeyArgs::ONE, |ctx| {
        let by = int_arg(ctx.arg(2))?.checked_neg();
        increment(ctx, by.ok_or(Fault::new("ERR decrement would overflow"))?)
    }),
    Row::write("INCRBYFLOAT", 3, KeyArgs::ONE, increment_float),
];

/// The longest string, as Redis's proto-max-bulk-len.
pub const MAX_STRING: usize = 512 << 20;

fn get(ctx: &mut Ctx) -> Result<(), Fault> {
    match ctx.keys.text(ctx.arg(1))? {
        Some(mut text) => ctx.w.bulk(text.bytes()),
        None => ctx.w.null(),
    }
    Ok(())
}

/// The options of SET.
#[derive(Default)]
struct SetOptions<'a> {
    nx: bool,
    xx: bool,
    get: bool,
    keep_ttl: bool,
    when: Option<When<'a>>,
}

impl<'a> SetOptions<'a> {
    fn parse(ctx: &Ctx<'a>) -> Result<Self, Fault> {
        let (args, mut options, mut i) = (ctx.args, SetOptions::default(), 3);
        let mut name: &[u8] = b"";
        while let Some(option) = args.get(i) {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" if !options.xx => options.nx = true,
                b"xx" if !options.nx => options.xx = true,
                b"get" => options.get = true,
                b"keepttl" if options.when.is_none() => options.keep_ttl = true,
                _ => {
                    let when = when_option(args, i)?.ok_or(SYNTAX)?;
                    // The same option may be repeated, another one may not be added.
                    if options.keep_ttl || options.when.is_some() && !name.eq_ignore_ascii_case(option) {
                        return Err(SYNTAX);
                    }
                    options.when = Some(when);
                    name = option;
                    i += 1;
                }
            }
            i += 1;
        }
        Ok(options)
    }
}

fn set(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, value) = (ctx.arg(1), ctx.arg(2));
    if ctx.args.len() == 3 {
        ctx.keys.put_text(key, value, NEVER);
        ctx.w.ok();
        return Ok(());
    }
    let options = SetOptions::parse(ctx)?;
    let expires = options.when.map(|when| when.resolve(ctx)).transpose()?;
    if options.get {
        get(ctx)?;
    }
    let found = ctx.keys.exists(key);
    if options.nx && found || options.xx && !found {
        if !options.get {
            ctx.w.null();
        }
        return Ok(());
    }
    if options.keep_ttl {
        ctx.keys.set_keeping_expiry(key, Value::string(value));
    } else {
        ctx.keys.put_text(key, value, expires.unwrap_or(NEVER));
    }
    if !options.get {
        ctx.w.ok();
    }
    Ok(())
}

fn setnx(ctx: &mut Ctx) -> Result<(), Fault> {
    let found = ctx.keys.exists(ctx.arg(1));
    if !found {
        ctx.keys.set(ctx.arg(1), Value::string(ctx.arg(2)));
    }
    ctx.w.int((!found).into());
    Ok(())
}

fn setex(ctx: &mut Ctx, option: &[u8]) -> Result<(), Fault> {
    let unit = if option == b"ex" { super::expiry::Unit::Seconds } else { super::expiry::Unit::Milliseconds };
    let when = When { text: ctx.arg(2), unit, relative: true };
    let expires = when.resolve(ctx)?;
    ctx.keys.put_text(ctx.arg(1), ctx.arg(3), expires);
    ctx.w.ok();
    Ok(())
}

fn getset(ctx: &mut Ctx) -> Result<(), Fault> {
    get(ctx)?;
    ctx.keys.set(ctx.arg(1), Value::string(ctx.arg(2)));
    Ok(())
}

fn getdel(ctx: &mut Ctx) -> Result<(), Fault> {
    get(ctx)?;
    ctx.keys.delete(ctx.arg(1));
    Ok(())
}

fn getex(ctx: &mut Ctx) -> Result<(), Fault> {
    let (args, key) = (ctx.args, ctx.arg(1));
    let (mut persist, mut when, mut name, mut i): (_, Option<When>, &[u8], _) = (false, None, b"", 2);
    while let Some(option) = args.get(i) {
        if option.eq_ignore_ascii_case(b"persist") && when.is_none() {
            persist = true;
        } else {
            let new = when_option(args, i)?.ok_or(SYNTAX)?;
            if persist || when.is_some() && !name.eq_ignore_ascii_case(option) {
                return Err(SYNTAX);
            }
            (when, name) = (Some(new), option);
            i += 1;
        }
        i += 1;
    }
    // The key first: a missing one is null whatever the time says.
    if ctx.keys.text(key)?.is_none() {
        ctx.w.null();
        return Ok(());
    }
    let expires = when.map(|when| when.resolve(ctx)).transpose()?;
    get(ctx)?;
    match expires {
        Some(time) if time <= ctx.keys.now() => drop(ctx.keys.delete(key)),
        Some(time) => {
            ctx.keys.set_expiry(key, time);
            ctx.keys.modified(key);
        }
        None if persist && ctx.keys.expiry(key) != Some(NEVER) => {
            ctx.keys.set_expiry(key, NEVER);
            ctx.keys.modified(key);
        }
        None => {}
    }
    Ok(())
}

fn mget(ctx: &mut Ctx) -> Result<(), Fault> {
    ctx.w.array(ctx.args.len() - 1);
    for key in ctx.args.skip(1).iter() {
        match ctx.keys.get(key).and_then(Value::text) {
            Some(mut text) => ctx.w.bulk(text.bytes()),
            None => ctx.w.null(),
        }
    }
    Ok(())
}

fn set_pairs(ctx: &mut Ctx) {
    for i in (1..ctx.args.len()).step_by(2) {
        ctx.keys.put_text(ctx.arg(i), ctx.arg(i + 1), NEVER);
    }
}

fn mset(ctx: &mut Ctx) -> Result<(), Fault> {
    if ctx.args.len().is_multiple_of(2) {
        return Err(Fault::arity("mset"));
    }
    set_pairs(ctx);
    ctx.w.ok();
    Ok(())
}

fn msetnx(ctx: &mut Ctx) -> Result<(), Fault> {
    if ctx.args.len().is_multiple_of(2) {
        return Err(Fault::arity("msetnx"));
    }
    for i in (1..ctx.args.len()).step_by(2) {
        if ctx.keys.exists(ctx.arg(i)) {
            ctx.w.int(0);
            return Ok(());
        }
    }
    set_pairs(ctx);
    ctx.w.int(1);
    Ok(())
}

fn strlen(ctx: &mut Ctx) -> Result<(), Fault> {
    let len = ctx.keys.text(ctx.arg(1))?.map_or(0, |mut text| text.bytes().len());
    ctx.w.int(len as i64);
    Ok(())
}

fn append(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, more) = (ctx.arg(1), ctx.arg(2));
    let len = match ctx.keys.get_mut(key) {
        None => {
            ctx.keys.set(key, Value::string(more));
            more.len()
        }
        Some(value) => {
            let old = value.text().ok_or(WRONG_TYPE)?.bytes().len();
            if old + more.len() > MAX_STRING {
                return Err(TOO_LONG);
            }
            let bytes = value.raw_mut()?;
            bytes.extend_from_slice(more);
            let len = bytes.len();
            ctx.keys.modified(key);
            len
        }
    };
    ctx.w.int(len as i64);
    Ok(())
}

fn getrange(ctx: &mut Ctx) -> Result<(), Fault> {
    let (start, end) = (int_arg(ctx.arg(2))?, int_arg(ctx.arg(3))?);
    let Some(mut text) = ctx.keys.text(ctx.arg(1))? else {
        ctx.w.bulk(b"");
        return Ok(());
    };
    let bytes = text.bytes();
    let range = byte_range(start, end, bytes.len());
    ctx.w.bulk(&bytes[range]);
    Ok(())
}

/// What `start` and `end`, inclusive and maybe from the end, select of `len` bytes.
pub fn byte_range(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let len = len as i64;
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from = if start < 0 { (start + len).max(0) } else { start };
    let to = if end < 0 { (end.saturating_add(len)).max(0) } else { end }.min(len - 1);
    if from > to || len == 0 { 0..0 } else { from as usize..to as usize + 1 }
}

fn setrange(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, offset, bytes) = (ctx.arg(1), int_arg(ctx.arg(2))?, ctx.arg(3));
    let offset = usize::try_from(offset).map_err(|_| Fault::new("ERR offset is out of range"))?;
    let old = match ctx.keys.get_mut(key) {
        None => 0,
        Some(value) => value.text().ok_or(WRONG_TYPE)?.bytes().len(),
    };
    if bytes.is_empty() {
        ctx.w.int(old as i64);
        return Ok(());
    }
    let end = offset.checked_add(bytes.len()).filter(|&end| end <= MAX_STRING).ok_or(TOO_LONG)?;
    let raw = ctx.keys.raw_or_new(key)?;
    if raw.len() < end {
        raw.resize(end, 0);
    }
    raw[offset..end].copy_from_slice(bytes);
    let len = raw.len();
    ctx.keys.modified(key);
    ctx.w.int(len as i64);
    Ok(())
}

fn increment(ctx: &mut Ctx, by: i64) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let n = match ctx.keys.get_mut(key) {
        None => {
            ctx.keys.set(key, Value::Int(by));
            by
        }
        Some(value) => {
            let old = match &*value {
                Value::Int(n) => *n,
                other => {
                    super::number::integer(other.text().ok_or(WRONG_TYPE)?.bytes()).ok_or(NOT_INTEGER)?
                }
            };
            let new = old.checked_add(by).ok_or(OVERFLOW)?;
            *value = Value::Int(new);
            ctx.keys.modified(key);
            new
        }
    };
    ctx.w.int(n);
    Ok(())
}

fn increment_float(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let old = match ctx.keys.text(key)? {
        None => LongDouble::ZERO,
        Some(mut text) => LongDouble::parse(text.bytes()).ok_or(NOT_FLOAT)?,
    };
    let by = LongDouble::parse(ctx.arg(2)).ok_or(NOT_FLOAT)?;
    let sum = old.add(by).ok_or(NAN_OR_INF)?.format();
    ctx.keys.set_keeping_expiry(key, Value::Str(super::blob::Blob::new(sum.as_bytes())));
    ctx.w.bulk(sum.as_bytes());
    Ok(())
}
