//! Strings as arrays of bits: SETBIT, BITCOUNT, BITPOS, BITOP. (BITFIELD is in `bitfield`.)

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX, WRONG_TYPE};
use super::number::{int_arg, integer};
use super::strings::MAX_STRING;
use super::value::Value;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("SETBIT", 4, KeyArgs::ONE, setbit),
    Row::read("GETBIT", 3, KeyArgs::ONE, getbit),
    Row::read("BITCOUNT", -2, KeyArgs::ONE, bitcount),
    Row::read("BITPOS", -3, KeyArgs::ONE, bitpos),
    Row::write("BITOP", -4, KeyArgs::Range(2, -1, 1), bitop),
    Row::write("BITFIELD", -2, KeyArgs::ONE, |ctx| super::bitfield::bitfield(ctx, false)),
    Row::read("BITFIELD_RO", -2, KeyArgs::ONE, |ctx| super::bitfield::bitfield(ctx, true)),
];

/// A bit's number; with `width`, `#n` is the nth field of that width.
pub fn bit_offset(text: &[u8], width: Option<i64>) -> Result<usize, Fault> {
    const BAD: Fault = Fault::new("ERR bit offset is not an integer or out of range");
    let (text, scale) = match (text, width) {
        ([b'#', rest @ ..], Some(width)) => (rest, width),
        _ => (text, 1),
    };
    let offset = integer(text).and_then(|n| n.checked_mul(scale)).ok_or(BAD)?;
    usize::try_from(offset).ok().filter(|offset| offset / 8 < MAX_STRING).ok_or(BAD)
}

fn setbit(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, offset) = (ctx.arg(1), bit_offset(ctx.arg(2), None)?);
    let bit = match integer(ctx.arg(3)) {
        Some(bit @ (0 | 1)) => bit as u8,
        _ => return Err(Fault::new("ERR bit is not an integer or out of range")),
    };
    let bytes = ctx.keys.raw_or_new(key)?;
    let grows = bytes.len() <= offset / 8;
    if grows {
        bytes.resize(offset / 8 + 1, 0);
    }
    let byte = &mut bytes[offset / 8];
    let shift = 7 - offset % 8;
    let old = *byte >> shift & 1;
    *byte = *byte & !(1 << shift) | bit << shift;
    if grows || old != bit {
        ctx.keys.modified(key);
    }
    ctx.w.int(old.into());
    Ok(())
}

fn getbit(ctx: &mut Ctx) -> Result<(), Fault> {
    let offset = bit_offset(ctx.arg(2), None)?;
    let bit = ctx
        .keys
        .text(ctx.arg(1))?
        .map_or(0, |mut text| text.bytes().get(offset / 8).map_or(0, |byte| byte >> (7 - offset % 8) & 1));
    ctx.w.int(bit.into());
    Ok(())
}

/// Whether positions count bits rather than bytes.
fn is_bits(text: Option<&[u8]>) -> Result<bool, Fault> {
    match text.map(<[u8]>::to_ascii_lowercase).as_deref() {
        None | Some(b"byte") => Ok(false),
        Some(b"bit") => Ok(true),
        _ => Err(SYNTAX),
    }
}

/// The bits, first and last, that positions select of so many bytes; none when there are none.
fn bit_range(start: i64, end: i64, bits: bool, bytes: usize) -> Option<(usize, usize)> {
    let len = if bits { bytes as i64 * 8 } else { bytes as i64 };
    let clamp = |n: i64| if n < 0 { n.saturating_add(len).max(0) } else { n };
    let (start, end) = (clamp(start), clamp(end).min(len - 1));
    if start > end {
        return None;
    }
    let (start, end) = (start as usize, end as usize);
    Some(if bits { (start, end) } else { (start * 8, end * 8 + 7) })
}

fn bitcount(ctx: &mut Ctx) -> Result<(), Fault> {
    let args = ctx.args;
    let Some(mut text) = ctx.keys.text(ctx.args.get(1).unwrap_or_default())? else {
        ctx.w.int(0);
        return Ok(());
    };
    let bytes = text.bytes();
    let range = match args.len() {
        2 => bit_range(0, -1, false, bytes.len()),
        4 | 5 => {
            let (start, end) = (int_arg(&args[2])?, int_arg(&args[3])?);
            let reversed = start < 0 && end < 0 && start > end;
            // Redis does not look at the unit of a range that is empty anyway.
            if reversed { None } else { bit_range(start, end, is_bits(args.get(4))?, bytes.len()) }
        }
        _ => return Err(SYNTAX),
    };
    let count = range.map_or(0, |(first, last)| {
        let ones = |bytes: &[u8]| bytes.iter().map(|byte| byte.count_ones() as i64).sum::<i64>();
        let (from, to) = (first / 8, last / 8);
        let before = (bytes[from] & !(0xff >> (first % 8))).count_ones();
        let after = (bytes[to] & ((1 << (7 - last % 8)) - 1)).count_ones();
        ones(&bytes[from..=to]) - i64::from(before + after)
    });
    ctx.w.int(count);
    Ok(())
}

fn bitpos(ctx: &mut Ctx) -> Result<(), Fault> {
    let args = ctx.args;
    let bit = match int_arg(ctx.arg(2))? {
        bit @ (0 | 1) => bit == 1,
        _ => return Err(Fault::new("ERR The bit argument must be 1 or 0.")),
    };
    let Some(mut text) = ctx.keys.text(ctx.args.get(1).unwrap_or_default())? else {
        ctx.w.int(if bit { -1 } else { 0 });
        return Ok(());
    };
    let bytes = text.bytes();
    let (mut start, mut end, mut bits) = (0, -1, false);
    match args.len() {
        3 => {}
        4..=6 => {
            start = int_arg(&args[3])?;
            bits = is_bits(args.get(5))?;
            end = args.get(4).map_or(Ok(-1), int_arg)?;
        }
        _ => return Err(SYNTAX),
    }
    let position = match bit_range(start, end, bits, bytes.len()) {
        None => -1,
        Some((first, last)) => match find_bit(bytes, bit, first, last) {
            Some(position) => position as i64,
            // Behind a string whose end was not named come zeros without end.
            None if !bit && args.len() < 5 => last as i64 + 1,
            None => -1,
        },
    };
    ctx.w.int(position);
    Ok(())
}

/// The first such bit from `first` to `last`.
fn find_bit(bytes: &[u8], bit: bool, first: usize, last: usize) -> Option<usize> {
    let flip = if bit { 0 } else { 0xff };
    let (from, to) = (first / 8, last / 8);
    let at = (bytes[from] ^ flip) & (0xff >> (first % 8));
    let (byte, found) = if at != 0 {
        (from, at)
    } else {
        let dull = if bit { 0 } else { 0xff };
        let skipped = bytes[from + 1..=to].iter().position(|&byte| byte != dull)?;
        (from + 1 + skipped, bytes[from + 1 + skipped] ^ flip)
    };
    let position = byte * 8 + found.leading_zeros() as usize;
    (position <= last).then_some(position)
}

fn bitop(ctx: &mut Ctx) -> Result<(), Fault> {
    let operation = ctx.arg(1).to_ascii_lowercase();
    let combine: fn(u8, u8) -> u8 = match operation.as_slice() {
        b"and" => |a, b| a & b,
        b"or" => |a, b| a | b,
        b"xor" => |a, b| a ^ b,
        b"not" if ctx.args.len() == 4 => |a, _| !a,
        b"not" => return Err(Fault::new("ERR BITOP NOT must be called with a single source key.")),
        _ => return Err(SYNTAX),
    };
    let mut sources = Vec::new();
    for key in ctx.args.skip(3).iter() {
        let text = ctx.keys.get(key).map(|value| value.text().ok_or(WRONG_TYPE)).transpose()?;
        sources.push(text.map_or(Vec::new(), |mut text| text.bytes().to_vec()));
    }
    let len = sources.iter().map(Vec::len).max().unwrap_or(0);
    let target = ctx.arg(2);
    if len == 0 {
        ctx.keys.delete(target);
        ctx.w.int(0);
        return Ok(());
    }
    let mut sources = sources.into_iter();
    let mut result = sources.next().unwrap_or_default();
    result.resize(len, 0);
    if operation == b"not" {
        result.iter_mut().for_each(|byte| *byte = !*byte);
    }
    for source in sources {
        let (overlap, rest) = result.split_at_mut(source.len());
        overlap.iter_mut().zip(&source).for_each(|(a, b)| *a = combine(*a, *b));
        rest.iter_mut().for_each(|a| *a = combine(*a, 0));
    }
    ctx.keys.set(target, Value::Raw(Box::new(result)));
    ctx.w.int(len as i64);
    Ok(())
}
