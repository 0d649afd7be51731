//! List commands that may wait, and serving those who do.

use super::block::{Wait, WaitRequest};
use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::expiry::timeout;
use super::fault::Fault;
use super::list::List;
use super::lists::{after_pop, parse_mpop, side, try_move, try_mpop, write_popped};
use super::value::Kind;
use super::view::Keys;
use crate::resp::Writer;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::shrink("BLPOP", -3, KeyArgs::Range(1, -2, 1), |ctx| blocking_pop(ctx, true)),
    Row::shrink("BRPOP", -3, KeyArgs::Range(1, -2, 1), |ctx| blocking_pop(ctx, false)),
    Row::shrink("BLMPOP", -5, KeyArgs::Counted(2), blmpop),
    Row::write("BLMOVE", 6, KeyArgs::TWO, blmove),
    Row::write("BRPOPLPUSH", 4, KeyArgs::TWO, |ctx| blocking_move(ctx, false, true, 3)),
];

/// Owned copies of the arguments that are keys.
pub fn owned_keys(ctx: &Ctx, keys: std::ops::Range<usize>) -> Vec<Box<[u8]>> {
    keys.map(|i| ctx.arg(i).into()).collect()
}

fn blocking_pop(ctx: &mut Ctx, front: bool) -> Result<(), Fault> {
    let last = ctx.args.len() - 1;
    let timeout = timeout(ctx.arg(last), ctx.keys.now())?;
    for key in ctx.args.skip(1).iter().take(last - 1) {
        if ctx.keys.typed::<List>(key)?.is_some() {
            serve_pop(&mut ctx.keys, key, front, &mut ctx.w);
            return Ok(());
        }
    }
    if ctx.in_block {
        ctx.w.null_array();
    } else {
        let keys = owned_keys(ctx, 1..last);
        ctx.wait = Some(WaitRequest { keys, wait: Wait::ListPop { front }, timeout });
    }
    Ok(())
}

fn blmpop(ctx: &mut Ctx) -> Result<(), Fault> {
    let (numkeys, front, count) = parse_mpop(ctx, 2)?;
    let timeout = timeout(ctx.arg(1), ctx.keys.now())?;
    let keys = 3..3 + numkeys;
    if try_mpop(ctx, keys.clone(), front, count)? {
        return Ok(());
    }
    if ctx.in_block {
        ctx.w.null_array();
    } else {
        let keys = owned_keys(ctx, keys);
        ctx.wait = Some(WaitRequest { keys, wait: Wait::ListPopMany { front, count }, timeout });
    }
    Ok(())
}

fn blmove(ctx: &mut Ctx) -> Result<(), Fault> {
    let (from_front, to_front) = (side(ctx.arg(3))?, side(ctx.arg(4))?);
    blocking_move(ctx, from_front, to_front, 5)
}

fn blocking_move(ctx: &mut Ctx, from_front: bool, to_front: bool, timeout_at: usize) -> Result<(), Fault> {
    let (from, to) = (ctx.arg(1), ctx.arg(2));
    let timeout = timeout(ctx.arg(timeout_at), ctx.keys.now())?;
    if try_move(&mut ctx.keys, from, to, from_front, to_front, &mut ctx.w)? {
        return Ok(());
    }
    if ctx.in_block {
        ctx.w.null();
    } else {
        let wait = Wait::ListMove { to: to.into(), from_front, to_front };
        ctx.wait = Some(WaitRequest { keys: vec![from.into()], wait, timeout });
    }
    Ok(())
}

/// True when the key is a list: it is never an empty one.
pub fn has_something(keys: &mut Keys, key: &[u8]) -> bool {
    keys.peek(key).is_some_and(|entry| List::of(&entry.value).is_ok())
}

/// BLPOP, BRPOP: key and element.
pub fn serve_pop(keys: &mut Keys, key: &[u8], front: bool, w: &mut Writer) {
    if let Ok(Some(list)) = keys.typed_mut::<List>(key) {
        w.array(2);
        w.bulk(key);
        list.pop(front, |element| w.bulk(element));
        after_pop(keys, key);
    }
}

/// BLMPOP: key and elements.
pub fn serve_pop_many(keys: &mut Keys, key: &[u8], front: bool, count: usize, w: &mut Writer) {
    if let Ok(Some(list)) = keys.typed_mut::<List>(key) {
        w.array(2);
        w.bulk(key);
        write_popped(list, front, count, w);
        after_pop(keys, key);
    }
}

/// BLMOVE, BRPOPLPUSH: the element, or the error that the destination is no list.
pub fn serve_move(keys: &mut Keys, key: &[u8], to: &[u8], from_front: bool, to_front: bool, w: &mut Writer) {
    if let Err(fault) = try_move(keys, key, to, from_front, to_front, w) {
        w.error(&fault.0);
    }
}
