//! HyperLogLog: how many different elements there were, within a percent, in at most 12 KB.
//!
//! The value is a string in Redis's own format, so GET, SET and DUMP carry it between servers. After a
//! header (`HYLL`, encoding, three unused bytes, the last count, whose top bit says that it is stale)
//! come 16384 registers: *dense*, six bits each; or *sparse*, a sequence of runs:
//!
//! - `00llllll`: l+1 registers are zero
//! - `01llllll llllllll`: the same, for longer runs
//! - `1vvvvvll`: l+1 registers are v+1
//!
//! A sparse value becomes dense when a register exceeds 32 or the string 3000 bytes. What runs are split
//! and joined, and when, is as in Redis: equal elements give equal bytes.

/// Bytes before the registers.
const HEADER: usize = 16;
/// How many registers.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of a hash that choose the register.
const INDEX_BITS: u32 = 14;
/// Bits of a hash whose trailing zeros are counted.
const COUNT_BITS: u32 = 64 - INDEX_BITS;
/// Bits of a dense register.
const BITS: usize = 6;
const DENSE_SIZE: usize = HEADER + REGISTERS * BITS / 8;
/// The longest sparse string (hll-sparse-max-bytes).
const SPARSE_MAX: usize = 3000;
/// The largest register that a run can have, and the longest run of such.
const RUN_MAX_VALUE: u8 = 32;
const RUN_MAX_LEN: usize = 4;
/// The longest run of zeros in one byte.
const ZEROS_MAX: usize = 64;

/// Where the header says the encoding, and its values.
const ENCODING: usize = 4;
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// Where the last count is, and where it says that it is stale.
const COUNT: std::ops::Range<usize> = 8..16;
const STALE: usize = 15;
const STALE_BIT: u8 = 0x80;

/// The registers are not such as any sequence of elements makes them.
#[derive(Debug, PartialEq, Eq)]
pub struct Corrupt;

/// Some registers of a sparse value that are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Their value.
    pub value: u8,
    /// How many.
    pub len: usize,
    /// Bytes that the run takes.
    pub bytes: usize,
}

/// One without elements.
pub fn empty() -> Vec<u8> {
    let mut value = vec![0; HEADER];
    value[..4].copy_from_slice(b"HYLL");
    value[ENCODING] = SPARSE;
    push_zeros(&mut value, REGISTERS);
    value
}

/// Whether a string says that it is one.
pub fn is_one(value: &[u8]) -> bool {
    value.len() >= HEADER
        && value.starts_with(b"HYLL")
        && (value[ENCODING] == SPARSE || value[ENCODING] == DENSE && value.len() == DENSE_SIZE)
}

/// Whether it is dense. `value` must be one, here and below.
pub fn is_dense(value: &[u8]) -> bool {
    value[ENCODING] == DENSE
}

/// The last count, unless elements were added since.
pub fn cached(value: &[u8]) -> Option<u64> {
    let bytes = value[COUNT].try_into().expect("the range has eight bytes");
    (value[STALE] & STALE_BIT == 0).then(|| u64::from_le_bytes(bytes))
}

/// Keeps a count.
pub fn cache(value: &mut [u8], count: u64) {
    value[COUNT].copy_from_slice(&count.to_le_bytes());
}

/// Makes the count that is kept stale.
pub fn forget(value: &mut [u8]) {
    value[STALE] |= STALE_BIT;
}

/// Adds an element; true when a register has changed.
pub fn add(value: &mut Vec<u8>, element: &[u8]) -> Result<bool, Corrupt> {
    let hash = murmur(element);
    // One more bit, so that there is always one to be found.
    let rest = hash >> INDEX_BITS | 1 << COUNT_BITS;
    set(value, hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// Raises a register; false when it is not below `count` already.
pub fn set(value: &mut Vec<u8>, index: usize, count: u8) -> Result<bool, Corrupt> {
    if !is_dense(value) {
        if count <= RUN_MAX_VALUE
            && let Some(changed) = set_sparse(value, index, count)?
        {
            return Ok(changed);
        }
        make_dense(value)?;
    }
    let registers = &mut value[HEADER..];
    let raised = count > get_dense(registers, index);
    if raised {
        set_dense(registers, index, count);
    }
    Ok(raised)
}

/// Makes it dense; false when it is already.
pub fn make_dense(value: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if is_dense(value) {
        return Ok(false);
    }
    let mut dense = vec![0; DENSE_SIZE];
    dense[..HEADER].copy_from_slice(&value[..HEADER]);
    dense[ENCODING] = DENSE;
    each(value, |index, register| set_dense(&mut dense[HEADER..], index, register))?;
    *value = dense;
    Ok(true)
}

/// Visits all registers of a value that are not zero.
pub fn each(value: &[u8], mut visit: impl FnMut(usize, u8)) -> Result<(), Corrupt> {
    if is_dense(value) {
        (0..REGISTERS).for_each(|index| visit(index, get_dense(&value[HEADER..], index)));
        return Ok(());
    }
    let mut index = 0;
    for run in runs(value) {
        if run.value > 0 {
            if index + run.len > REGISTERS {
                break;
            }
            (index..index + run.len).for_each(|index| visit(index, run.value));
        }
        index += run.len;
    }
    if index == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// Raises registers to those of a value.
pub fn merge(registers: &mut [u8], value: &[u8]) -> Result<(), Corrupt> {
    each(value, |index, register| registers[index] = registers[index].max(register))
}

/// The estimate for a value.
pub fn count(value: &[u8]) -> Result<u64, Corrupt> {
    if is_dense(value) {
        let registers = &value[HEADER..];
        return Ok(estimate((0..REGISTERS).map(|index| (get_dense(registers, index), 1))));
    }
    if runs(value).map(|run| run.len).sum::<usize>() != REGISTERS {
        return Err(Corrupt);
    }
    Ok(estimate(runs(value).map(|run| (run.value, run.len))))
}

/// The estimate for registers, given as (value, how many). Ertl's estimator: "New cardinality estimation
/// algorithms for HyperLogLog sketches", arXiv:1702.01284.
pub fn estimate(registers: impl Iterator<Item = (u8, usize)>) -> u64 {
    /// 0.5 / ln 2.
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    const M: f64 = REGISTERS as f64;
    let mut histogram = [0usize; 1 << BITS];
    registers.for_each(|(value, len)| histogram[usize::from(value) % (1 << BITS)] += len);
    let mut z = M * tau((M - histogram[COUNT_BITS as usize + 1] as f64) / M);
    for &registers in histogram[1..=COUNT_BITS as usize].iter().rev() {
        z += registers as f64;
        z *= 0.5;
    }
    z += M * sigma(histogram[0] as f64 / M);
    (ALPHA * M * M / z).round() as u64
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

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// The runs of a sparse value.
pub fn runs(value: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = (at < value.len()).then(|| run_at(value, at))?;
        at += run.bytes;
        Some(run)
    })
}

fn run_at(value: &[u8], at: usize) -> Run {
    let byte = value[at];
    let low = usize::from(byte & 0x3f);
    match byte >> 6 {
        0 => Run { value: 0, len: low + 1, bytes: 1 },
        1 => {
            let next = value.get(at + 1).copied().unwrap_or(0);
            Run { value: 0, len: (low << 8 | usize::from(next)) + 1, bytes: 2 }
        }
        _ => Run { value: (byte >> 2 & 0x1f) + 1, len: usize::from(byte & 3) + 1, bytes: 1 },
    }
}

fn run_byte(value: u8, len: usize) -> u8 {
    0x80 | (value - 1) << 2 | (len - 1) as u8
}

fn push_zeros(out: &mut Vec<u8>, len: usize) {
    match len {
        0 => {}
        1..=ZEROS_MAX => out.push((len - 1) as u8),
        _ => out.extend([0x40 | ((len - 1) >> 8) as u8, (len - 1) as u8]),
    }
}

/// Raises a register of a sparse value; none if that would make the string too long.
fn set_sparse(value: &mut Vec<u8>, index: usize, count: u8) -> Result<Option<bool>, Corrupt> {
    let (mut at, mut first, mut previous) = (HEADER, 0, HEADER);
    let run = loop {
        if at >= value.len() {
            return Err(Corrupt);
        }
        let run = run_at(value, at);
        if index < first + run.len {
            break run;
        }
        previous = at;
        at += run.bytes;
        first += run.len;
    };
    if run.value >= count {
        return Ok(Some(false));
    }
    let (before, after) = (index - first, first + run.len - 1 - index);
    let mut new = Vec::with_capacity(5);
    if run.value == 0 {
        push_zeros(&mut new, before);
        new.push(run_byte(count, 1));
        push_zeros(&mut new, after);
    } else {
        new.extend((before > 0).then(|| run_byte(run.value, before)));
        new.push(run_byte(count, 1));
        new.extend((after > 0).then(|| run_byte(run.value, after)));
    }
    if new.len() > run.bytes && value.len() + new.len() - run.bytes > SPARSE_MAX {
        return Ok(None);
    }
    value.splice(at..(at + run.bytes).min(value.len()), new);
    join(value, previous);
    forget(value);
    Ok(Some(true))
}

/// Joins equal neighbours from a run on, as far as one change can have made any.
fn join(value: &mut Vec<u8>, mut at: usize) {
    for _ in 0..5 {
        if at >= value.len() {
            return;
        }
        let run = run_at(value, at);
        let next = (run.value > 0 && at + 1 < value.len()).then(|| run_at(value, at + 1));
        match next {
            Some(next) if next.value == run.value && next.len + run.len <= RUN_MAX_LEN => {
                value[at + 1] = run_byte(run.value, run.len + next.len);
                value.remove(at);
            }
            _ => at += run.bytes,
        }
    }
}

fn get_dense(registers: &[u8], index: usize) -> u8 {
    let (byte, shift) = (index * BITS / 8, index * BITS % 8);
    let next = registers.get(byte + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([registers[byte], next]) >> shift) as u8 & 0x3f
}

fn set_dense(registers: &mut [u8], index: usize, value: u8) {
    let (byte, shift) = (index * BITS / 8, index * BITS % 8);
    let next = registers.get(byte + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([registers[byte], next]) & !(0x3f << shift) | u16::from(value) << shift;
    let [low, high] = both.to_le_bytes();
    registers[byte] = low;
    if let Some(next) = registers.get_mut(byte + 1) {
        *next = high;
    }
}

/// MurmurHash64A with Redis's seed.
fn murmur(element: &[u8]) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const SEED: u64 = 0xadc8_3b19;
    let mut hash = SEED ^ (element.len() as u64).wrapping_mul(M);
    let (words, tail) = element.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 47;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !tail.is_empty() {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(M);
    }
    hash ^= hash >> 47;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> 47
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_agree_with_an_array_through_both_encodings() {
        fastrand::seed(9);
        let (mut value, mut model) = (empty(), vec![0u8; REGISTERS]);
        for step in 0..20_000 {
            let index = if step % 2 == 0 { fastrand::usize(0..REGISTERS) } else { fastrand::usize(0..900) };
            let count = fastrand::u8(1..=if step > 10_000 { 51 } else { 32 });
            assert_eq!(set(&mut value, index, count), Ok(count > model[index]));
            model[index] = model[index].max(count);
            assert!(is_one(&value));
            if step % 500 == 0 {
                let mut registers = vec![0; REGISTERS];
                assert_eq!(merge(&mut registers, &value), Ok(()));
                assert_eq!(registers, model);
                assert_eq!(count_of(&model), super::count(&value));
            }
        }
        assert!(is_dense(&value));
    }

    fn count_of(model: &[u8]) -> Result<u64, Corrupt> {
        Ok(estimate(model.iter().map(|&register| (register, 1))))
    }

    #[test]
    fn estimates_within_three_percent() {
        let mut value = empty();
        for n in 1..=100_000u32 {
            add(&mut value, &n.to_le_bytes()).expect("it is intact");
            if [1, 10, 1000, 100_000].contains(&n) {
                let error = count(&value).expect("it is intact").abs_diff(n.into());
                assert!(error * 100 <= u64::from(n) * 3, "{n}: {error}");
            }
        }
    }

    #[test]
    fn any_bytes_are_safe() {
        fastrand::seed(4);
        for _ in 0..20_000 {
            let mut value = empty();
            value.truncate(HEADER);
            let len = fastrand::usize(0..200);
            value.extend((0..len).map(|_| fastrand::u8(..)));
            let _ = count(&value);
            let _ = merge(&mut vec![0; REGISTERS], &value);
            for _ in 0..20 {
                let _ = set(&mut value, fastrand::usize(0..REGISTERS), fastrand::u8(1..=51));
            }
        }
    }
}
