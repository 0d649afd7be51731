//! BITFIELD: integers of any width inside a string.

use super::bits::bit_offset;
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX};
use super::number::{int_arg, integer};

/// What happens to a number that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// One subcommand.
struct Field {
    signed: bool,
    width: usize,
    offset: usize,
    action: Action,
    overflow: Overflow,
}

/// BITFIELD and BITFIELD_RO.
pub fn bitfield(ctx: &mut Ctx, read_only: bool) -> Result<(), Fault> {
    let key = ctx.arg(1);
    let fields = parse(ctx)?;
    let writes = fields.iter().filter(|field| !matches!(field.action, Action::Get));
    let needed = writes.map(|field| (field.offset + field.width - 1) / 8 + 1).max();
    let Some(needed) = needed else {
        let mut text = ctx.keys.text(key)?;
        let bytes = text.as_mut().map_or(&[][..], |text| text.bytes());
        ctx.w.array(fields.len());
        fields.iter().for_each(|field| ctx.w.int(field.value(field.read(bytes)) as i64));
        return Ok(());
    };
    if read_only {
        return Err(Fault::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let bytes = ctx.keys.raw_or_new(key)?;
    let grows = bytes.len() < needed;
    if grows {
        bytes.resize(needed, 0);
    }
    ctx.w.array(fields.len());
    let mut changed = false;
    for field in &fields {
        let old = field.value(field.read(bytes));
        let wanted = match field.action {
            Action::Get => {
                ctx.w.int(old as i64);
                continue;
            }
            Action::Set(value) if field.signed => i128::from(value),
            Action::Set(value) => i128::from(value as u64),
            Action::Add(by) => old + i128::from(by),
        };
        match field.fit(wanted) {
            None => ctx.w.null(),
            Some(new) => {
                field.write(bytes, new as u64);
                changed |= grows || new != old;
                let answer = if matches!(field.action, Action::Set(_)) { old } else { new };
                ctx.w.int(answer as i64);
            }
        }
    }
    if changed {
        ctx.keys.modified(key);
    }
    Ok(())
}

fn parse(ctx: &Ctx) -> Result<Vec<Field>, Fault> {
    let (args, mut fields, mut overflow, mut i) = (ctx.args, Vec::new(), Overflow::Wrap, 2);
    while let Some(name) = args.get(i) {
        let rest = args.len() - i - 1;
        let name = name.to_ascii_lowercase();
        let len = match name.as_slice() {
            b"get" if rest >= 2 => 2,
            b"set" | b"incrby" if rest >= 3 => 3,
            b"overflow" if rest >= 1 => {
                overflow = match args[i + 1].to_ascii_lowercase().as_slice() {
                    b"wrap" => Overflow::Wrap,
                    b"sat" => Overflow::Saturate,
                    b"fail" => Overflow::Fail,
                    _ => return Err(Fault::new("ERR Invalid OVERFLOW type specified")),
                };
                i += 2;
                continue;
            }
            _ => return Err(SYNTAX),
        };
        let (signed, width) = parse_type(&args[i + 1])?;
        let offset = bit_offset(&args[i + 2], Some(width as i64))?;
        let action = match name.as_slice() {
            b"get" => Action::Get,
            b"set" => Action::Set(int_arg(&args[i + 3])?),
            _ => Action::Add(int_arg(&args[i + 3])?),
        };
        fields.push(Field { signed, width, offset, action, overflow });
        i += len + 1;
    }
    Ok(fields)
}

fn parse_type(text: &[u8]) -> Result<(bool, usize), Fault> {
    let bad = Fault::new(
        "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
    );
    let (signed, most) = match text.first() {
        Some(b'i') => (true, 64),
        Some(b'u') => (false, 63),
        _ => return Err(bad),
    };
    let width = integer(&text[1..]).filter(|width| (1..=most).contains(width));
    width.map(|width| (signed, width as usize)).ok_or(bad)
}

impl Field {
    fn sets(&self) -> bool {
        matches!(self.action, Action::Set(_))
    }

    /// The field's bits; beyond the end of the string they are zero.
    fn read(&self, bytes: &[u8]) -> u64 {
        let mut bits = 0u128;
        let from = self.offset / 8;
        // 64 bits at any offset touch nine bytes.
        for i in from..from + 9 {
            bits = bits << 8 | u128::from(bytes.get(i).copied().unwrap_or(0));
        }
        let bits = bits >> (72 - self.offset % 8 - self.width);
        (bits & ((1 << self.width) - 1)) as u64
    }

    /// The number that bits stand for.
    fn value(&self, bits: u64) -> i128 {
        let bits = i128::from(bits);
        if self.signed && bits >> (self.width - 1) & 1 == 1 { bits - (1 << self.width) } else { bits }
    }

    /// A number that is in range: this one, or what the overflow rule makes of it.
    fn fit(&self, wanted: i128) -> Option<i128> {
        let (low, high) = match self.signed {
            true => (-(1i128 << (self.width - 1)), (1i128 << (self.width - 1)) - 1),
            false => (0, (1i128 << self.width) - 1),
        };
        if (low..=high).contains(&wanted) {
            return Some(wanted);
        }
        match self.overflow {
            Overflow::Fail => None,
            // A SET so far below that Redis's own distance to the top overflows comes out at the top.
            Overflow::Saturate if self.signed && high - wanted > i128::from(i64::MAX) && self.sets() => {
                Some(high)
            }
            Overflow::Saturate => Some(wanted.clamp(low, high)),
            Overflow::Wrap => Some(self.value((wanted & ((1 << self.width) - 1)) as u64)),
        }
    }

    /// Puts the lowest bits of a number into the field, which is inside the string.
    fn write(&self, bytes: &mut [u8], number: u64) {
        for i in 0..self.width {
            let bit = (number >> (self.width - 1 - i) & 1) as u8;
            let at = self.offset + i;
            let shift = 7 - at % 8;
            bytes[at / 8] = bytes[at / 8] & !(1 << shift) | bit << shift;
        }
    }
}
