//! Values as bytes: the payloads of DUMP and RESTORE, in Redis's own (RDB) encoding.
//!
//! What is written uses the plain types, which every Redis reads: a payload made here can be restored
//! there. What is read includes the packed types that Redis 7.0 writes. Input is outside input: every
//! length is checked, and anything odd is "no value" rather than a panic.

use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::value::{Kind, Value};

/// The RDB version of Redis 7.0: the newest that is read, and the one that is written.
const VERSION: u16 = 10;
/// Bytes of version and checksum behind the value.
const FOOTER: usize = 10;

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const HASH: u8 = 4;
const ZSET: u8 = 5;
const INTSET: u8 = 11;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const LIST_QUICKLIST: u8 = 18;

/// A value with its footer. Streams have no payload here.
pub fn dump(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    match value {
        Value::Int(_) | Value::Str(_) | Value::Raw(_) => {
            out.push(STRING);
            write_string(&mut out, value.text()?.bytes());
        }
        Value::List(list) => {
            write_header(&mut out, LIST, list.len());
            list.iter_from(list.seek(0)).for_each(|element| write_string(&mut out, element));
        }
        Value::Set(set) => {
            write_header(&mut out, SET, set.len());
            set.each(|member| write_string(&mut out, member));
        }
        Value::Hash(hash) => {
            write_header(&mut out, HASH, hash.len());
            hash.each(|field, value| {
                write_string(&mut out, field);
                write_string(&mut out, value);
            });
        }
        Value::ZSet(zset) => {
            write_header(&mut out, ZSET, zset.len());
            // From the highest: Redis adds each at the front of its list, so reading is fast.
            super::sort::each_scored(zset, |member, score| {
                write_string(&mut out, member);
                out.extend(score.to_le_bytes());
            });
        }
        Value::Stream(_) => return None,
    }
    out.extend(VERSION.to_le_bytes());
    out.extend(crc64(&out).to_le_bytes());
    Some(out)
}

/// True when a payload has a version that is known and the right checksum.
pub fn verify(payload: &[u8]) -> bool {
    let Some((rest, crc)) = payload.split_last_chunk::<8>() else { return false };
    let Some((_, version)) = rest.split_last_chunk::<2>() else { return false };
    let crc = u64::from_le_bytes(*crc);
    // As Redis: zero means that the checksum was left out.
    u16::from_le_bytes(*version) <= VERSION && (crc == 0 || crc == crc64(rest))
}

/// The value of a verified payload.
pub fn restore(payload: &[u8]) -> Option<Value> {
    let body = payload.get(..payload.len().checked_sub(FOOTER)?)?;
    let (&kind, rest) = body.split_first()?;
    let mut reader = Reader { rest };
    let value = match kind {
        STRING => Some(Value::string(&reader.string()?)),
        LIST => list(reader.strings(1)?),
        SET => set(reader.strings(1)?),
        HASH => hash(reader.strings(2)?),
        ZSET => {
            let mut pairs = Vec::new();
            for _ in 0..reader.count()? {
                pairs.push((reader.string()?, f64::from_le_bytes(reader.chunk()?)));
            }
            super::sort::from_scored(pairs)
        }
        INTSET => set(intset(&reader.string()?)?),
        HASH_LISTPACK => hash(listpack(&reader.string()?)?),
        ZSET_LISTPACK => {
            let items = listpack(&reader.string()?)?;
            let pairs =
                items.chunks_exact(2).map(|pair| Some((pair[0].clone(), super::number::double(&pair[1])?)));
            super::sort::from_scored(pairs.collect::<Option<_>>()?)
        }
        LIST_QUICKLIST => list(quicklist(&mut reader)?),
        _ => return None,
    }?;
    reader.rest.is_empty().then_some(value)
}

fn list(elements: Vec<Vec<u8>>) -> Option<Value> {
    let mut list = List::default();
    elements.iter().for_each(|element| list.push(element, false));
    filled(list)
}

fn set(members: Vec<Vec<u8>>) -> Option<Value> {
    let mut set = Set::default();
    // Members that are there twice mean a broken payload.
    members.iter().all(|member| set.add(member)).then(|| filled(set)).flatten()
}

fn hash(items: Vec<Vec<u8>>) -> Option<Value> {
    let mut hash = Hash::default();
    let mut pairs = items.chunks(2);
    pairs.all(|pair| pair.len() == 2 && hash.set(&pair[0], &pair[1])).then(|| filled(hash)).flatten()
}

fn filled<T: Kind>(value: T) -> Option<Value> {
    (!value.is_empty()).then(|| value.into_value())
}

fn write_header(out: &mut Vec<u8>, kind: u8, len: usize) {
    out.push(kind);
    write_len(out, len);
}

fn write_len(out: &mut Vec<u8>, len: usize) {
    match len {
        0..=0x3f => out.push(len as u8),
        0x40..=0x3fff => out.extend((len as u16 | 0x4000).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend((len as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend((len as u64).to_be_bytes());
        }
    }
}

fn write_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let small = super::number::integer(bytes).filter(|_| bytes.len() <= 11);
    match small.and_then(|n| i32::try_from(n).ok()) {
        Some(n) if i8::try_from(n).is_ok() => out.extend([0xc0, n as u8]),
        Some(n) if i16::try_from(n).is_ok() => {
            out.push(0xc1);
            out.extend((n as i16).to_le_bytes());
        }
        Some(n) => {
            out.push(0xc2);
            out.extend(n.to_le_bytes());
        }
        None => {
            write_len(out, bytes.len());
            out.extend(bytes);
        }
    }
}

/// Reads a payload from its front.
struct Reader<'a> {
    rest: &'a [u8],
}

enum Len {
    Plain(usize),
    Special(u8),
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn len(&mut self) -> Option<Len> {
        let [first] = self.chunk()?;
        let low = first & 0x3f;
        let len = match first >> 6 {
            0 => low.into(),
            1 => {
                let [second] = self.chunk()?;
                usize::from(low) << 8 | usize::from(second)
            }
            2 if first == 0x80 => u32::from_be_bytes(self.chunk()?) as usize,
            2 if first == 0x81 => usize::try_from(u64::from_be_bytes(self.chunk()?)).ok()?,
            2 => return None,
            _ => return Some(Len::Special(low)),
        };
        Some(Len::Plain(len))
    }

    /// A number of things that follow, each at least a byte long.
    fn count(&mut self) -> Option<usize> {
        match self.len()? {
            Len::Plain(count) if count <= self.rest.len() => Some(count),
            _ => None,
        }
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        let n = match self.len()? {
            Len::Plain(len) => return self.take(len).map(<[u8]>::to_vec),
            Len::Special(0) => i64::from(i8::from_le_bytes(self.chunk()?)),
            Len::Special(1) => i64::from(i16::from_le_bytes(self.chunk()?)),
            Len::Special(2) => i64::from(i32::from_le_bytes(self.chunk()?)),
            Len::Special(3) => {
                let (Len::Plain(packed), Len::Plain(len)) = (self.len()?, self.len()?) else { return None };
                return unpack(self.take(packed)?, len);
            }
            Len::Special(_) => return None,
        };
        Some(n.to_string().into_bytes())
    }

    /// As many strings as the count says, times `each`.
    fn strings(&mut self, each: usize) -> Option<Vec<Vec<u8>>> {
        let count = self.count()?.checked_mul(each)?;
        (0..count).map(|_| self.string()).collect()
    }
}

/// LZF: runs of literal bytes, and references to what is already out.
fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    // A reference makes at most 264 bytes of two.
    if len > packed.len().saturating_mul(264) {
        return None;
    }
    let mut out = Vec::with_capacity(len);
    let mut rest = packed.iter().copied();
    while let Some(control) = rest.next() {
        if control < 32 {
            for _ in 0..=control {
                out.push(rest.next()?);
            }
            continue;
        }
        let mut count = usize::from(control >> 5);
        if count == 7 {
            count += usize::from(rest.next()?);
        }
        let back = (usize::from(control & 0x1f) << 8 | usize::from(rest.next()?)) + 1;
        let from = out.len().checked_sub(back)?;
        for i in 0..count + 2 {
            out.push(out[from + i]);
        }
    }
    (out.len() == len).then_some(out)
}

fn intset(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader { rest: bytes };
    let width = u32::from_le_bytes(reader.chunk()?);
    let count = u32::from_le_bytes(reader.chunk()?);
    (0..count)
        .map(|_| {
            let n = match width {
                2 => i64::from(i16::from_le_bytes(reader.chunk()?)),
                4 => i64::from(i32::from_le_bytes(reader.chunk()?)),
                8 => i64::from_le_bytes(reader.chunk()?),
                _ => return None,
            };
            Some(n.to_string().into_bytes())
        })
        .collect()
}

fn quicklist(reader: &mut Reader) -> Option<Vec<Vec<u8>>> {
    let mut elements = Vec::new();
    for _ in 0..reader.count()? {
        match reader.len()? {
            Len::Plain(1) => elements.push(reader.string()?),
            Len::Plain(2) => elements.extend(listpack(&reader.string()?)?),
            _ => return None,
        }
    }
    Some(elements)
}

/// Redis's listpack: total bytes, count, items, 0xff.
fn listpack(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader { rest: bytes };
    let [_total, _count] = [u32::from_le_bytes(reader.chunk()?), u16::from_le_bytes(reader.chunk()?).into()];
    let mut items = Vec::new();
    loop {
        let before = reader.rest.len();
        let [first] = reader.chunk()?;
        let low = usize::from(first);
        let item = match first {
            0xff => return reader.rest.is_empty().then_some(items),
            0x00..=0x7f => int_item(first.into()),
            0x80..=0xbf => reader.take(low & 0x3f)?.to_vec(),
            0xc0..=0xdf => {
                let [second] = reader.chunk()?;
                let n = (i64::from(first) & 0x1f) << 8 | i64::from(second);
                int_item(if n >= 1 << 12 { n - (1 << 13) } else { n })
            }
            0xe0..=0xef => {
                let [second] = reader.chunk()?;
                reader.take((low & 0x0f) << 8 | usize::from(second))?.to_vec()
            }
            0xf0 => {
                let len = u32::from_le_bytes(reader.chunk()?) as usize;
                reader.take(len)?.to_vec()
            }
            0xf1 => int_item(i16::from_le_bytes(reader.chunk()?).into()),
            0xf2 => {
                let [a, b, c] = reader.chunk()?;
                int_item((i32::from_le_bytes([0, a, b, c]) >> 8).into())
            }
            0xf3 => int_item(i32::from_le_bytes(reader.chunk()?).into()),
            0xf4 => int_item(i64::from_le_bytes(reader.chunk()?)),
            _ => return None,
        };
        items.push(item);
        // Each item is followed by its length, 7 bits per byte.
        let size = before - reader.rest.len();
        let back = (usize::BITS - size.leading_zeros()).div_ceil(7) as usize;
        reader.take(back)?;
    }
}

fn int_item(n: i64) -> Vec<u8> {
    n.to_string().into_bytes()
}

/// CRC-64 with the polynomial of Jones, as Redis uses it.
fn crc64(bytes: &[u8]) -> u64 {
    const TABLE: [u64; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u64;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    bytes.iter().fold(0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_redis_s() {
        assert_eq!(crc64(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
    }

    #[test]
    fn broken_payloads_are_no_values() {
        let mut list = List::default();
        (0..50).for_each(|n| list.push(format!("element {n}").as_bytes(), false));
        let payload = dump(&list.into_value()).expect("lists have payloads");
        assert!(verify(&payload) && restore(&payload).is_some());
        fastrand::seed(1);
        for _ in 0..100_000 {
            let mut broken = payload.clone();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(0..broken.len());
                broken[at] = fastrand::u8(..);
            }
            broken[0] = [0, 1, 2, 4, 5, 11, 16, 17, 18][fastrand::usize(0..9)];
            broken.truncate(fastrand::usize(0..=broken.len()));
            // Whatever it is, it must not panic.
            let _ = restore(&broken);
        }
    }
}
