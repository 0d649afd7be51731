//! When keys expire: EXPIRE, TTL and their kin, and the expiry options of SET and GETEX.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX, quoted};
use super::keyspace::NEVER;
use super::number::{int_arg, integer};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::shrink("EXPIRE", -3, KeyArgs::ONE, |ctx| expire(ctx, Unit::Seconds, true)),
    Row::shrink("PEXPIRE", -3, KeyArgs::ONE, |ctx| expire(ctx, Unit::Milliseconds, true)),
    Row::shrink("EXPIREAT", -3, KeyArgs::ONE, |ctx| expire(ctx, Unit::Seconds, false)),
    Row::shrink("PEXPIREAT", -3, KeyArgs::ONE, |ctx| expire(ctx, Unit::Milliseconds, false)),
    Row::shrink("PERSIST", 2, KeyArgs::ONE, persist),
    Row::read("TTL", 2, KeyArgs::ONE, |ctx| time_left(ctx, Unit::Seconds, true)),
    Row::read("PTTL", 2, KeyArgs::ONE, |ctx| time_left(ctx, Unit::Milliseconds, true)),
    Row::read("EXPIRETIME", 2, KeyArgs::ONE, |ctx| time_left(ctx, Unit::Seconds, false)),
    Row::read("PEXPIRETIME", 2, KeyArgs::ONE, |ctx| time_left(ctx, Unit::Milliseconds, false)),
];

/// What a number of time counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Of 1000 milliseconds.
    Seconds,
    /// As the engine counts.
    Milliseconds,
}

/// An option of SET or GETEX that says when to expire.
#[derive(Clone, Copy)]
pub struct When<'a> {
    /// The number.
    pub text: &'a [u8],
    /// Its unit.
    pub unit: Unit,
    /// From now, rather than from 1970.
    pub relative: bool,
}

impl When<'_> {
    /// In unix milliseconds. Zero, negative and overflowing times are refused.
    pub fn resolve(&self, ctx: &Ctx) -> Result<i64, Fault> {
        let invalid = || Fault::expire_time(ctx.arg(0));
        let time = int_arg(self.text)?;
        let scale = if self.unit == Unit::Seconds { 1000 } else { 1 };
        let time = (time > 0).then(|| time.checked_mul(scale)).flatten().ok_or_else(invalid)?;
        let base = if self.relative { ctx.keys.now() } else { 0 };
        // The largest number stands for "never" here; it is 292 million years away.
        time.checked_add(base).map(|time| time.min(NEVER - 1)).ok_or_else(invalid)
    }
}

/// NX, XX, GT and LT.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(ctx: &Ctx) -> Result<Conditions, Fault> {
        let mut conditions = Conditions::default();
        for option in ctx.args.skip(3).iter() {
            match option.to_ascii_lowercase().as_slice() {
                b"nx" => conditions.nx = true,
                b"xx" => conditions.xx = true,
                b"gt" => conditions.gt = true,
                b"lt" => conditions.lt = true,
                _ => {
                    let text = format!("ERR Unsupported option {}", quoted(option));
                    return Err(Fault(text.into()));
                }
            }
        }
        let Conditions { nx, xx, gt, lt } = conditions;
        if nx && (xx || gt || lt) {
            return Err(Fault::new("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if gt && lt {
            return Err(Fault::new("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// A key that never expires counts as infinitely late.
    fn allow(&self, current: i64, new: i64) -> bool {
        !(self.nx && current != NEVER
            || self.xx && current == NEVER
            || self.gt && (current == NEVER || new <= current)
            || self.lt && current != NEVER && new >= current)
    }
}

fn expire(ctx: &mut Ctx, unit: Unit, relative: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let conditions = Conditions::parse(ctx)?;
    let invalid = || Fault::expire_time(ctx.arg(0));
    let time = int_arg(ctx.arg(2))?;
    let scale = if unit == Unit::Seconds { 1000 } else { 1 };
    let time = time.checked_mul(scale).ok_or_else(invalid)?;
    let base = if relative { ctx.keys.now() } else { 0 };
    let time = time.checked_add(base).ok_or_else(invalid)?.min(NEVER - 1);
    let Some(current) = ctx.keys.expiry(key) else {
        ctx.w.int(0);
        return Ok(());
    };
    if !conditions.allow(current, time) {
        ctx.w.int(0);
        return Ok(());
    }
    if time <= ctx.keys.now() {
        ctx.keys.delete(key);
    } else {
        ctx.keys.set_expiry(key, time);
        ctx.keys.modified(key);
    }
    ctx.w.int(1);
    Ok(())
}

fn persist(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let expires = ctx.keys.expiry(key).is_some_and(|time| time != NEVER);
    if expires {
        ctx.keys.set_expiry(key, NEVER);
        ctx.keys.modified(key);
    }
    ctx.w.int(expires.into());
    Ok(())
}

fn time_left(ctx: &mut Ctx, unit: Unit, relative: bool) -> Result<(), Fault> {
    let answer = match ctx.keys.look_at_expiry(ctx.arg(1)) {
        None => -2,
        Some(NEVER) => -1,
        Some(time) => {
            let time = if relative { (time - ctx.keys.now()).max(0) } else { time };
            // Not negative; the sum may exceed what is signed.
            if unit == Unit::Seconds { ((time as u64 + 500) / 1000) as i64 } else { time }
        }
    };
    ctx.w.int(answer);
    Ok(())
}

/// The timeout of a blocking command: seconds, fractions allowed, 0 for none.
pub fn timeout(text: &[u8], now: i64) -> Result<Option<std::time::Duration>, Fault> {
    let seconds = super::longdouble::LongDouble::parse(text)
        .ok_or(Fault::new("ERR timeout is not a float or out of range"))?
        .to_f64();
    let milliseconds = (seconds * 1000.0).ceil();
    // What does not fit turns negative in Redis.
    if milliseconds < 0.0 || milliseconds >= i64::MAX as f64 {
        return Err(Fault::new("ERR timeout is negative"));
    }
    duration(milliseconds as i64, now)
}

/// Milliseconds of waiting, 0 for no end.
fn duration(milliseconds: i64, now: i64) -> Result<Option<std::time::Duration>, Fault> {
    if milliseconds > i64::MAX - now {
        return Err(Fault::new("ERR timeout is out of range"));
    }
    Ok((milliseconds > 0).then(|| std::time::Duration::from_millis(milliseconds as u64)))
}

/// `BLOCK milliseconds` of XREAD.
pub fn timeout_ms(text: &[u8], now: i64) -> Result<Option<std::time::Duration>, Fault> {
    let milliseconds = integer(text).ok_or(Fault::new("ERR timeout is not an integer or out of range"))?;
    if milliseconds < 0 {
        return Err(Fault::new("ERR timeout is negative"));
    }
    duration(milliseconds, now)
}

/// Reads one of EX, PX, EXAT and PXAT with its number, if that is what stands at `i`.
pub fn when_option<'a>(args: crate::resp::Args<'a>, i: usize) -> Result<Option<When<'a>>, Fault> {
    let (unit, relative) = match args.get(i).map(<[u8]>::to_ascii_lowercase).as_deref() {
        Some(b"ex") => (Unit::Seconds, true),
        Some(b"px") => (Unit::Milliseconds, true),
        Some(b"exat") => (Unit::Seconds, false),
        Some(b"pxat") => (Unit::Milliseconds, false),
        _ => return Ok(None),
    };
    let text = args.get(i + 1).ok_or(SYNTAX)?;
    Ok(Some(When { text, unit, relative }))
}
