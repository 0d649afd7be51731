//! HyperLogLog: an estimate of how many different members were added, in a string of Redis's own format,
//! so that GET, STRLEN and a copy to a real Redis see the same bytes.
//!
//! The format: 16 bytes of header (magic, encoding, cached count), then 16384 registers, either *dense*
//! (six bits each) or *sparse* (runs of zeros and of equal small values). A register holds the longest
//! run of zero bits seen in the hashes that belong to it; the count follows from how many registers hold
//! which value (Ertl's estimator). Bytes that do not add up are refused, never trusted.

/// How many registers: 2^14.
pub const REGISTERS: usize = 1 << 14;
/// Bits of a hash that remain for the run of zeros.
const HASH_BITS: u32 = 50;
const HEADER: usize = 16;
const MAGIC: &[u8] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const DENSE_SIZE: usize = HEADER + REGISTERS * 6 / 8;
/// A sparse string that grows beyond this becomes dense (hll-sparse-max-bytes).
const SPARSE_MAX: usize = 3000;
/// The largest value that a sparse run can hold, and its greatest length.
const RUN_MAX_VALUE: u8 = 32;
const RUN_MAX_LEN: usize = 4;
/// Zeros that fit into a run of one byte.
const SHORT_ZEROS: usize = 64;

/// The registers' values, one byte each.
pub type Registers = [u8; REGISTERS];

/// The bytes of a HyperLogLog are inconsistent.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

/// A run of registers with one value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    value: u8,
    len: usize,
    /// Bytes that it takes.
    size: usize,
}

impl Run {
    fn read(bytes: &[u8]) -> Option<Run> {
        let first = *bytes.first()?;
        Some(match first >> 6 {
            0 => Run { value: 0, len: usize::from(first & 0x3f) + 1, size: 1 },
            1 => {
                let len = usize::from(first & 0x3f) << 8 | usize::from(*bytes.get(1)?);
                Run { value: 0, len: len + 1, size: 2 }
            }
            _ => Run { value: (first >> 2 & 0x1f) + 1, len: usize::from(first & 3) + 1, size: 1 },
        })
    }

    fn write(value: u8, len: usize, out: &mut Vec<u8>) {
        match (value, len) {
            (_, 0) => {}
            (0, 1..=SHORT_ZEROS) => out.push(len as u8 - 1),
            (0, _) => out.extend(((len - 1) as u16 | 0x4000).to_be_bytes()),
            _ => out.push(0x80 | (value - 1) << 2 | (len - 1) as u8),
        }
    }
}

/// An empty one.
pub fn new() -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.push(SPARSE);
    bytes.resize(HEADER, 0);
    Run::write(0, REGISTERS, &mut bytes);
    bytes
}

/// Whether a string may be a HyperLogLog, by its header.
pub fn is_hll(bytes: &[u8]) -> bool {
    bytes.len() >= HEADER
        && bytes.starts_with(MAGIC)
        && match bytes[4] {
            DENSE => bytes.len() == DENSE_SIZE,
            SPARSE => true,
            _ => false,
        }
}

/// Whether it is dense.
pub fn is_dense(bytes: &[u8]) -> bool {
    bytes[4] == DENSE
}

/// The count that was cached, if nothing was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let card = u64::from_le_bytes(bytes[8..HEADER].try_into().ok()?);
    (card >> 63 == 0).then_some(card)
}

/// Keeps a count.
pub fn cache(bytes: &mut [u8], count: u64) {
    bytes[8..HEADER].copy_from_slice(&count.to_le_bytes());
}

/// Says that the cached count no longer holds.
pub fn forget_count(bytes: &mut [u8]) {
    bytes[HEADER - 1] |= 0x80;
}

/// Adds a member; true when that has changed a register.
pub fn add(bytes: &mut Vec<u8>, member: &[u8]) -> Result<bool, Corrupt> {
    let hash = murmur(member);
    let register = hash as usize & (REGISTERS - 1);
    let zeros = (hash >> 14 | 1 << HASH_BITS).trailing_zeros() + 1;
    raise(bytes, register, zeros as u8)
}

/// Makes a register hold at least a value; true when it held less.
pub fn raise(bytes: &mut Vec<u8>, register: usize, value: u8) -> Result<bool, Corrupt> {
    if is_dense(bytes) {
        return Ok(raise_dense(bytes, register, value));
    }
    if value <= RUN_MAX_VALUE
        && let Some(changed) = raise_sparse(bytes, register, value)?
    {
        return Ok(changed);
    }
    to_dense(bytes)?;
    Ok(raise_dense(bytes, register, value))
}

fn raise_dense(bytes: &mut [u8], register: usize, value: u8) -> bool {
    let registers = &mut bytes[HEADER..];
    if get_dense(registers, register) >= value {
        return false;
    }
    let (at, shift) = (register * 6 / 8, register * 6 % 8);
    let mask = !(0x3f_u16 << shift);
    let old = u16::from_le_bytes([registers[at], registers.get(at + 1).copied().unwrap_or(0)]);
    let [low, high] = (old & mask | u16::from(value) << shift).to_le_bytes();
    registers[at] = low;
    if let Some(second) = registers.get_mut(at + 1) {
        *second = high;
    }
    true
}

fn get_dense(registers: &[u8], register: usize) -> u8 {
    let (at, shift) = (register * 6 / 8, register * 6 % 8);
    let pair = u16::from_le_bytes([registers[at], registers.get(at + 1).copied().unwrap_or(0)]);
    (pair >> shift & 0x3f) as u8
}

/// As `raise`; none when the string would grow too long to stay sparse.
fn raise_sparse(bytes: &mut Vec<u8>, register: usize, value: u8) -> Result<Option<bool>, Corrupt> {
    // The run with the register, and the one before it.
    let (mut at, mut previous, mut first) = (HEADER, HEADER, 0);
    let run = loop {
        let run = Run::read(&bytes[at..]).ok_or(Corrupt)?;
        if register < first + run.len {
            break run;
        }
        (previous, at, first) = (at, at + run.size, first + run.len);
    };
    if run.value >= value {
        return Ok(Some(false));
    }
    // In its place: what was before, the register alone, what was after.
    let mut parts = Vec::with_capacity(5);
    Run::write(run.value, register - first, &mut parts);
    Run::write(value, 1, &mut parts);
    Run::write(run.value, first + run.len - register - 1, &mut parts);
    if parts.len() > run.size && bytes.len() + parts.len() - run.size > SPARSE_MAX {
        return Ok(None);
    }
    bytes.splice(at..at + run.size, parts);
    merge(bytes, previous);
    forget_count(bytes);
    Ok(Some(true))
}

/// Joins equal runs of values among the few around a change.
fn merge(bytes: &mut Vec<u8>, mut at: usize) {
    /// As many as a change can have touched: the run before, three new ones, the run behind.
    const LOOKED_AT: usize = 5;
    for _ in 0..LOOKED_AT {
        let Some(run) = Run::read(&bytes[at.min(bytes.len())..]) else { return };
        if run.value > 0 {
            let next = Run::read(&bytes[at + 1..]);
            let joined = next.filter(|next| next.value == run.value).map(|next| run.len + next.len);
            if let Some(len) = joined.filter(|&len| len <= RUN_MAX_LEN) {
                let mut both = Vec::with_capacity(1);
                Run::write(run.value, len, &mut both);
                bytes.splice(at..at + 2, both);
                continue;
            }
        }
        at += run.size;
    }
}

/// Makes it dense, if it is not.
pub fn to_dense(bytes: &mut Vec<u8>) -> Result<(), Corrupt> {
    if is_dense(bytes) {
        return Ok(());
    }
    let mut registers = [0; REGISTERS];
    read(bytes, &mut registers)?;
    let mut dense = bytes[..HEADER].to_vec();
    dense[4] = DENSE;
    dense.resize(DENSE_SIZE, 0);
    for (register, &value) in registers.iter().enumerate() {
        raise_dense(&mut dense, register, value);
    }
    *bytes = dense;
    Ok(())
}

/// Raises `registers` to what this one holds.
pub fn read(bytes: &[u8], registers: &mut Registers) -> Result<(), Corrupt> {
    let mut rest = &bytes[HEADER..];
    if is_dense(bytes) {
        for (register, value) in registers.iter_mut().enumerate() {
            *value = (*value).max(get_dense(rest, register));
        }
        return Ok(());
    }
    let mut first = 0;
    while let Some(run) = Run::read(rest) {
        let here = registers.get_mut(first..first + run.len).ok_or(Corrupt)?;
        here.iter_mut().for_each(|value| *value = (*value).max(run.value));
        (first, rest) = (first + run.len, &rest[run.size..]);
    }
    // A long run may have been cut off in the middle.
    if first == REGISTERS && rest.is_empty() { Ok(()) } else { Err(Corrupt) }
}

/// How many different members the registers have seen.
pub fn estimate(registers: &Registers) -> u64 {
    let mut histogram = [0u32; 64];
    registers.iter().for_each(|&value| histogram[usize::from(value & 0x3f)] += 1);
    let m = REGISTERS as f64;
    let full = f64::from(histogram[HASH_BITS as usize + 1]);
    let mut z = m * tau((m - full) / m);
    for &count in histogram[1..=HASH_BITS as usize].iter().rev() {
        z = (z + f64::from(count)) * 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    // Half of 1 / ln 2.
    const ALPHA: f64 = std::f64::consts::LOG2_E / 2.0;
    (ALPHA * m * m / z).round() as u64
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// MurmurHash64A with Redis's seed.
fn murmur(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k = (k ^ k >> 47).wrapping_mul(MULTIPLIER);
        hash = (hash ^ k).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(MULTIPLIER);
    hash ^ hash >> 47
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_close_and_encodings_agree() {
        let (mut sparse, mut dense) = (new(), new());
        to_dense(&mut dense).expect("an empty one is sound");
        for n in 0..50_000u32 {
            let member = n.to_string();
            let changed = add(&mut sparse, member.as_bytes()).expect("sound");
            assert_eq!(changed, add(&mut dense, member.as_bytes()).expect("sound"));
            if [10, 100, 1_000, 10_000, 49_999].contains(&n) {
                let (mut a, mut b) = ([0; REGISTERS], [0; REGISTERS]);
                read(&sparse, &mut a).expect("sound");
                read(&dense, &mut b).expect("sound");
                assert_eq!(a, b);
                let error = estimate(&a) as f64 / f64::from(n + 1) - 1.0;
                assert!(error.abs() < 0.03, "{n}: {error}");
            }
        }
        assert!(is_dense(&sparse) && is_hll(&sparse));
    }

    #[test]
    fn broken_bytes_are_refused() {
        fastrand::seed(4);
        let mut sound = new();
        (0..300).for_each(|n: u32| drop(add(&mut sound, &n.to_le_bytes())));
        for _ in 0..20_000 {
            let mut broken = sound.clone();
            let at = fastrand::usize(HEADER..broken.len());
            broken[at] = fastrand::u8(..);
            broken.truncate(fastrand::usize(HEADER..=broken.len()));
            // Refused or not, it must not panic.
            let _ = read(&broken, &mut [0; REGISTERS]);
            let _ = raise(&mut broken, fastrand::usize(0..REGISTERS), fastrand::u8(1..51));
        }
        sound.pop();
        assert_eq!(read(&sound, &mut [0; REGISTERS]), Err(Corrupt));
    }
}
