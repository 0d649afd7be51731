//! List commands that never wait. (Those that may are in `listblock`.)

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, INDEX_RANGE, NO_SUCH_KEY, NOT_POSITIVE, SYNTAX, TOO_LONG};
use super::list::{List, Place};
use super::number::{int_arg, integer, positive_arg};
use super::strings::MAX_STRING;
use super::view::Keys;
use crate::resp::Writer;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("LPUSH", -3, KeyArgs::ONE, |ctx| push(ctx, true, false)),
    Row::write("RPUSH", -3, KeyArgs::ONE, |ctx| push(ctx, false, false)),
    Row::write("LPUSHX", -3, KeyArgs::ONE, |ctx| push(ctx, true, true)),
    Row::write("RPUSHX", -3, KeyArgs::ONE, |ctx| push(ctx, false, true)),
    Row::shrink("LPOP", -2, KeyArgs::ONE, |ctx| pop(ctx, true)),
    Row::shrink("RPOP", -2, KeyArgs::ONE, |ctx| pop(ctx, false)),
    Row::shrink("LMPOP", -4, KeyArgs::Counted(1), lmpop),
    Row::write("LMOVE", 5, KeyArgs::TWO, lmove),
    Row::write("RPOPLPUSH", 3, KeyArgs::TWO, |ctx| move_element(ctx, false, true)),
    Row::read("LLEN", 2, KeyArgs::ONE, llen),
    Row::read("LINDEX", 3, KeyArgs::ONE, lindex),
    Row::read("LRANGE", 4, KeyArgs::ONE, lrange),
    Row::read("LPOS", -3, KeyArgs::ONE, lpos),
    Row::write("LSET", 4, KeyArgs::ONE, lset),
    Row::write("LINSERT", 5, KeyArgs::ONE, linsert),
    Row::shrink("LREM", 4, KeyArgs::ONE, lrem),
    Row::shrink("LTRIM", 4, KeyArgs::ONE, ltrim),
];

fn push(ctx: &mut Ctx, front: bool, only_existing: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let elements = ctx.args.skip(2).iter();
    if elements.clone().any(|element| element.len() > MAX_STRING) {
        return Err(TOO_LONG);
    }
    if only_existing && ctx.keys.typed::<List>(key)?.is_none() {
        ctx.w.int(0);
        return Ok(());
    }
    let list = ctx.keys.typed_or_new::<List>(key)?;
    elements.for_each(|element| list.push(element, front));
    let len = list.len();
    ctx.keys.modified(key);
    ctx.w.int(len as i64);
    Ok(())
}

fn pop(ctx: &mut Ctx, front: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    if ctx.args.len() > 3 {
        return Err(Fault::arity(if front { "lpop" } else { "rpop" }));
    }
    let count = ctx.args.get(2).map(positive_arg).transpose()?;
    let Some(list) = ctx.keys.typed_mut::<List>(key)? else {
        if count.is_some() {
            ctx.w.null_array()
        } else {
            ctx.w.null()
        }
        return Ok(());
    };
    match count {
        None => {
            list.pop(front, |element| ctx.w.bulk(element));
        }
        Some(count) => {
            write_popped(list, front, count, &mut ctx.w);
            if count == 0 {
                return Ok(());
            }
        }
    }
    after_pop(&mut ctx.keys, key);
    Ok(())
}

/// Pops up to `count` elements into an array.
pub fn write_popped(list: &mut List, front: bool, count: usize, w: &mut Writer) {
    let count = count.min(list.len());
    w.array(count);
    for _ in 0..count {
        list.pop(front, |element| w.bulk(element));
    }
}

/// What follows a pop: an empty list goes, watchers hear of it.
pub fn after_pop(keys: &mut Keys, key: &[u8]) {
    keys.drop_if_empty::<List>(key);
    keys.modified(key);
}

/// LEFT or RIGHT: whether it is the front.
pub fn side(text: &[u8]) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_slice() {
        b"left" => Ok(true),
        b"right" => Ok(false),
        _ => Err(SYNTAX),
    }
}

/// LMPOP's and BLMPOP's arguments from `numkeys` (at `at`) on: how many keys, which end, how many elements.
pub fn parse_mpop(ctx: &Ctx, at: usize) -> Result<(usize, bool, usize), Fault> {
    let numkeys = counted(ctx.arg(at), "ERR numkeys should be greater than 0")?;
    let side_at = at.checked_add(1).and_then(|at| at.checked_add(numkeys)).ok_or(SYNTAX)?;
    let front = side(ctx.args.get(side_at).ok_or(SYNTAX)?)?;
    let (mut count, mut i) = (None, side_at + 1);
    while let Some(option) = ctx.args.get(i) {
        if count.is_some() || !option.eq_ignore_ascii_case(b"count") || i + 1 == ctx.args.len() {
            return Err(SYNTAX);
        }
        count = Some(counted(ctx.arg(i + 1), "ERR count should be greater than 0")?);
        i += 2;
    }
    Ok((numkeys, front, count.unwrap_or(1)))
}

/// A number from 1 on.
pub fn counted(text: &[u8], error: &'static str) -> Result<usize, Fault> {
    let count = integer(text).and_then(|count| usize::try_from(count).ok()).filter(|&count| count > 0);
    count.ok_or(Fault::new(error))
}

fn lmpop(ctx: &mut Ctx) -> Result<(), Fault> {
    let (numkeys, front, count) = parse_mpop(ctx, 1)?;
    if !try_mpop(ctx, 2..2 + numkeys, front, count)? {
        ctx.w.null_array();
    }
    Ok(())
}

/// Pops from the first list that there is among the keys; false without any.
pub fn try_mpop(
    ctx: &mut Ctx,
    keys: std::ops::Range<usize>,
    front: bool,
    count: usize,
) -> Result<bool, Fault> {
    for key in ctx.args.skip(keys.start).iter().take(keys.len()) {
        if let Some(list) = ctx.keys.typed_mut::<List>(key)? {
            ctx.w.array(2);
            ctx.w.bulk(key);
            write_popped(list, front, count, &mut ctx.w);
            after_pop(&mut ctx.keys, key);
            return Ok(true);
        }
    }
    Ok(false)
}

fn lmove(ctx: &mut Ctx) -> Result<(), Fault> {
    let (from_front, to_front) = (side(ctx.arg(3))?, side(ctx.arg(4))?);
    move_element(ctx, from_front, to_front)
}

fn move_element(ctx: &mut Ctx, from_front: bool, to_front: bool) -> Result<(), Fault> {
    let (from, to) = (ctx.arg(1), ctx.arg(2));
    if !try_move(&mut ctx.keys, from, to, from_front, to_front, &mut ctx.w)? {
        ctx.w.null();
    }
    Ok(())
}

/// Moves an element and writes it; false when there is none.
pub fn try_move(
    keys: &mut Keys,
    from: &[u8],
    to: &[u8],
    from_front: bool,
    to_front: bool,
    w: &mut Writer,
) -> Result<bool, Fault> {
    if keys.typed::<List>(from)?.is_none() {
        return Ok(false);
    }
    keys.typed::<List>(to)?;
    let element = keys.typed_mut::<List>(from)?.and_then(|list| list.pop(from_front, <[u8]>::to_vec));
    let Some(element) = element else { return Ok(false) };
    // First the push: a list that gives to itself must not vanish in between.
    keys.typed_or_new::<List>(to)?.push(&element, to_front);
    keys.modified(to);
    after_pop(keys, from);
    w.bulk(&element);
    Ok(true)
}

fn llen(ctx: &mut Ctx) -> Result<(), Fault> {
    let len = ctx.keys.typed::<List>(ctx.args.get(1).unwrap_or_default())?.map_or(0, List::len);
    ctx.w.int(len as i64);
    Ok(())
}

fn lindex(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, index) = (ctx.arg(1), ctx.arg(2));
    let Some(list) = ctx.keys.typed::<List>(key)? else {
        ctx.w.null();
        return Ok(());
    };
    match list.seek(int_arg(index)?) {
        Some(place) => ctx.w.bulk(list.get(place)),
        None => ctx.w.null(),
    }
    Ok(())
}

/// First and last index, from the front, that a range selects; none when that is nothing.
pub fn index_range(start: i64, end: i64, len: usize) -> Option<(usize, usize)> {
    let len = len as i64;
    let start = if start < 0 { start.saturating_add(len).max(0) } else { start };
    let end = if end < 0 { end.saturating_add(len) } else { end }.min(len - 1);
    (start <= end && start < len).then_some((start as usize, end as usize))
}

fn lrange(ctx: &mut Ctx) -> Result<(), Fault> {
    let (start, end) = (int_arg(ctx.arg(2))?, int_arg(ctx.arg(3))?);
    let list = ctx.keys.typed::<List>(ctx.args.get(1).unwrap_or_default())?;
    let range = list.and_then(|list| Some((list, index_range(start, end, list.len())?)));
    let Some((list, (first, last))) = range else {
        ctx.w.array(0);
        return Ok(());
    };
    ctx.w.array(last - first + 1);
    list.iter_from(list.seek(first as i64)).take(last - first + 1).for_each(|element| ctx.w.bulk(element));
    Ok(())
}

struct PosOptions {
    rank: i64,
    count: Option<usize>,
    max_len: usize,
}

fn parse_lpos(ctx: &Ctx) -> Result<PosOptions, Fault> {
    let mut options = PosOptions { rank: 1, count: None, max_len: 0 };
    for i in (3..ctx.args.len()).step_by(2) {
        let value = ctx.args.get(i + 1).ok_or(SYNTAX)?;
        let positive = |text: &'static str| {
            let n = integer(value).ok_or(NOT_POSITIVE).map_err(|_| Fault::new(text))?;
            usize::try_from(n).map_err(|_| Fault::new(text))
        };
        match ctx.arg(i).to_ascii_lowercase().as_slice() {
            b"rank" => {
                options.rank = int_arg(value)?;
                if options.rank == 0 {
                    return Err(Fault::new(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                         or use negative to start from the end of the list",
                    ));
                }
            }
            b"count" => options.count = Some(positive("ERR COUNT can't be negative")?),
            b"maxlen" => options.max_len = positive("ERR MAXLEN can't be negative")?,
            _ => return Err(SYNTAX),
        }
    }
    Ok(options)
}

fn lpos(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, element) = (ctx.arg(1), ctx.arg(2));
    let options = parse_lpos(ctx)?;
    let Some(list) = ctx.keys.typed::<List>(key)? else {
        if options.count.is_some() {
            ctx.w.array(0)
        } else {
            ctx.w.null()
        }
        return Ok(());
    };
    let forward = options.rank > 0;
    // The lowest number has no opposite: in Redis it comes to mean -1, and then no count is ever reached.
    let opposite = options.rank.checked_abs();
    let mut skip = opposite.map_or(0, |rank| rank - 1);
    let wanted = match options.count {
        None => 1,
        Some(_) if opposite.is_none() => usize::MAX,
        Some(0) => usize::MAX,
        Some(count) => count,
    };
    let limit = if options.max_len == 0 { usize::MAX } else { options.max_len };
    let (mut found, mut place, mut looked) = (Vec::new(), list.seek(if forward { 0 } else { -1 }), 0);
    while let Some(here) = place {
        if looked == limit || found.len() == wanted {
            break;
        }
        if list.get(here) == element {
            match skip {
                0 => found.push(if forward { looked } else { list.len() - 1 - looked }),
                _ => skip -= 1,
            }
        }
        looked += 1;
        place = if forward { list.after(here) } else { list.before(here) };
    }
    if options.count.is_some() {
        ctx.w.array(found.len());
        found.iter().for_each(|&index| ctx.w.int(index as i64));
    } else {
        match found.first() {
            Some(&index) => ctx.w.int(index as i64),
            None => ctx.w.null(),
        }
    }
    Ok(())
}

fn lset(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, index, element) = (ctx.arg(1), ctx.arg(2), ctx.arg(3));
    let list = ctx.keys.typed_mut::<List>(key)?.ok_or(NO_SUCH_KEY)?;
    let place = list.seek(int_arg(index)?).ok_or(INDEX_RANGE)?;
    list.replace(place, element);
    ctx.keys.modified(key);
    ctx.w.ok();
    Ok(())
}

fn linsert(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, pivot, element) = (ctx.arg(1), ctx.arg(3), ctx.arg(4));
    let before = match ctx.arg(2).to_ascii_lowercase().as_slice() {
        b"before" => true,
        b"after" => false,
        _ => return Err(SYNTAX),
    };
    let Some(list) = ctx.keys.typed_mut::<List>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let Some(place) = find(list, pivot, list.seek(0), true) else {
        ctx.w.int(-1);
        return Ok(());
    };
    list.insert(place, element, before);
    let len = list.len();
    ctx.keys.modified(key);
    ctx.w.int(len as i64);
    Ok(())
}

/// The next place, this one included, that holds such an element.
fn find(list: &List, element: &[u8], from: Option<Place>, forward: bool) -> Option<Place> {
    let mut place = from?;
    while list.get(place) != element {
        place = if forward { list.after(place)? } else { list.before(place)? };
    }
    Some(place)
}

fn lrem(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, element) = (ctx.arg(1), ctx.arg(3));
    let count = int_arg(ctx.arg(2))?;
    let Some(list) = ctx.keys.typed_mut::<List>(key)? else {
        ctx.w.int(0);
        return Ok(());
    };
    let forward = count >= 0;
    let limit = if count == 0 { usize::MAX } else { count.unsigned_abs() as usize };
    let mut removed = 0;
    let mut place = find(list, element, list.seek(if forward { 0 } else { -1 }), forward);
    while let Some(here) = place.filter(|_| removed < limit) {
        let next = list.remove(here);
        removed += 1;
        let next = if forward {
            next
        } else {
            // Before what followed the removed one; at the end that is the last element.
            next.map_or(list.seek(-1), |next| list.before(next))
        };
        place = find(list, element, next, forward);
    }
    if removed > 0 {
        after_pop(&mut ctx.keys, key);
    }
    ctx.w.int(removed as i64);
    Ok(())
}

fn ltrim(ctx: &mut Ctx) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let (start, end) = (int_arg(ctx.arg(2))?, int_arg(ctx.arg(3))?);
    if let Some(list) = ctx.keys.typed_mut::<List>(key)? {
        match index_range(start, end, list.len()) {
            None => list.cut(list.len(), true),
            Some((first, last)) => {
                list.cut(list.len() - 1 - last, false);
                list.cut(first, true);
            }
        }
        after_pop(&mut ctx.keys, key);
    }
    ctx.w.ok();
    Ok(())
}
