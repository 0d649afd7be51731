//! Sorted set commands that may wait, and serving those who do.

use super::block::{Wait, WaitRequest};
use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::expiry::timeout;
use super::fault::Fault;
use super::listblock::owned_keys;
use super::value::Kind;
use super::view::Keys;
use super::zset::ZSet;
use super::zsets::{after_removal, parse_mpop, pop, try_mpop, write_popped};
use crate::resp::Writer;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::shrink("BZPOPMIN", -3, KeyArgs::Range(1, -2, 1), |ctx| blocking_pop(ctx, true)),
    Row::shrink("BZPOPMAX", -3, KeyArgs::Range(1, -2, 1), |ctx| blocking_pop(ctx, false)),
    Row::shrink("BZMPOP", -5, KeyArgs::Counted(2), bzmpop),
];

fn blocking_pop(ctx: &mut Ctx, min: bool) -> Result<(), Fault> {
    let last = ctx.args.len() - 1;
    let timeout = timeout(ctx.arg(last), ctx.keys.now())?;
    for key in ctx.args.skip(1).iter().take(last - 1) {
        if ctx.keys.typed_mut::<ZSet>(key)?.is_some() {
            serve_pop(&mut ctx.keys, key, min, &mut ctx.w);
            return Ok(());
        }
    }
    if ctx.in_block {
        ctx.w.null_array();
    } else {
        let keys = owned_keys(ctx, 1..last);
        ctx.wait = Some(WaitRequest { keys, wait: Wait::ZSetPop { min }, timeout });
    }
    Ok(())
}

fn bzmpop(ctx: &mut Ctx) -> Result<(), Fault> {
    let (numkeys, min, count) = parse_mpop(ctx, 2)?;
    let timeout = timeout(ctx.arg(1), ctx.keys.now())?;
    let keys = 3..3 + numkeys;
    if try_mpop(ctx, keys.clone(), min, count)? {
        return Ok(());
    }
    if ctx.in_block {
        ctx.w.null_array();
    } else {
        let keys = owned_keys(ctx, keys);
        ctx.wait = Some(WaitRequest { keys, wait: Wait::ZSetPopMany { min, count }, timeout });
    }
    Ok(())
}

/// True when the key is a sorted set: it is never an empty one.
pub fn has_something(keys: &mut Keys, key: &[u8]) -> bool {
    keys.peek(key).is_some_and(|entry| ZSet::of(&entry.value).is_ok())
}

/// BZPOPMIN, BZPOPMAX: key, member, score.
pub fn serve_pop(keys: &mut Keys, key: &[u8], min: bool, w: &mut Writer) {
    if let Ok(Some(set)) = keys.typed_mut::<ZSet>(key) {
        w.array(3);
        w.bulk(key);
        pop(set, min, 1, false, w);
        after_removal(keys, key);
    }
}

/// BZMPOP: key, then pairs.
pub fn serve_pop_many(keys: &mut Keys, key: &[u8], min: bool, count: usize, w: &mut Writer) {
    write_popped(keys, key, min, count, w);
}
