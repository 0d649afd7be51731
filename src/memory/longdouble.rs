//! C's 80-bit `long double`, as far as INCRBYFLOAT and HINCRBYFLOAT need it: reading, adding, writing.
//!
//! Redis adds in 80 bits and prints 17 decimals; doubles would print 4.09999999999999964 for 3 + 1.1.
//! A number is `mantissa * 2^exponent` with the mantissa's top bit set; every operation is exact up to
//! one rounding to the nearest 64-bit mantissa, ties to even.

/// A finite number or an infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LongDouble {
    negative: bool,
    mantissa: u64,
    exponent: i32,
    infinite: bool,
}

/// The largest exponent of a 64-bit integer mantissa.
const MAX_EXPONENT: i32 = 16383 - 63;
/// And the smallest (that of denormals).
const MIN_EXPONENT: i32 = -16445;
/// What Redis reads numbers of this kind into.
const MAX_TEXT: usize = 5 * 1024;

impl LongDouble {
    /// Zero.
    pub const ZERO: LongDouble = LongDouble { negative: false, mantissa: 0, exponent: 0, infinite: false };

    /// Reads what C's strtold reads (but not NaN), the whole text, no leading space.
    pub fn parse(text: &[u8]) -> Option<LongDouble> {
        if text.is_empty() || text.len() >= MAX_TEXT {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        if text.eq_ignore_ascii_case(b"inf") || text.eq_ignore_ascii_case(b"infinity") {
            return Some(LongDouble { negative, infinite: true, ..Self::ZERO });
        }
        if text.len() > 2 && text[..2].eq_ignore_ascii_case(b"0x") {
            return parse_number(&text[2..], 16, b'p', negative);
        }
        parse_number(text, 10, b'e', negative)
    }

    /// True for both infinities.
    pub fn is_infinite(self) -> bool {
        self.infinite
    }

    /// The sum; none when it is not a finite number.
    pub fn add(self, other: LongDouble) -> Option<LongDouble> {
        if self.infinite || other.infinite {
            return None;
        }
        let (big, small) = match (self.mantissa, other.mantissa) {
            (0, _) => return Some(other),
            (_, 0) => return Some(self),
            _ if self.exponent >= other.exponent => (self, other),
            _ => (other, self),
        };
        // 62 bits below the larger mantissa; what falls below those only matters as "not zero".
        let distance = (big.exponent - small.exponent) as u32;
        let a = u128::from(big.mantissa) << 62;
        let full = u128::from(small.mantissa) << 62;
        let b = match distance {
            0..=125 => full >> distance | u128::from(full & ((1 << distance) - 1) != 0),
            _ => 1,
        };
        let (negative, sum) = if big.negative == small.negative {
            (big.negative, a + b)
        } else if a >= b {
            (big.negative, a - b)
        } else {
            (small.negative, b - a)
        };
        round(negative, sum, big.exponent - 62)
    }

    /// The nearest double, or one beside it.
    pub fn to_f64(self) -> f64 {
        let magnitude = match self.infinite {
            true => f64::INFINITY,
            false => self.mantissa as f64 * 2f64.powi(self.exponent),
        };
        if self.negative { -magnitude } else { magnitude }
    }

    /// In decimal with at most 17 decimals, none of them a trailing zero: C's `%.17Lf`, trimmed.
    pub fn format(self) -> String {
        let digits = if self.exponent >= 0 {
            let mut whole = Big::from(self.mantissa);
            whole.shift_left(self.exponent as u32);
            whole.decimal() + &"0".repeat(17)
        } else {
            let scaled = u128::from(self.mantissa) * 10u128.pow(17);
            round_shift(scaled, self.exponent.unsigned_abs()).to_string()
        };
        let digits = format!("{digits:0>18}");
        let (whole, decimals) = digits.split_at(digits.len() - 17);
        let decimals = decimals.trim_end_matches('0');
        let dot = if decimals.is_empty() { "" } else { "." };
        let sign = if self.negative && (whole != "0" || !decimals.is_empty()) { "-" } else { "" };
        format!("{sign}{whole}{dot}{decimals}")
    }
}

/// `value / 2^shift` to the nearest integer, ties to even.
fn round_shift(value: u128, shift: u32) -> u128 {
    match shift {
        0 => value,
        1..=127 => {
            let (quotient, rest, half) = (value >> shift, value & ((1 << shift) - 1), 1 << (shift - 1));
            quotient + u128::from(rest > half || rest == half && quotient & 1 == 1)
        }
        _ => 0,
    }
}

/// `value * 2^exponent` with 64 bits of mantissa; none when it overflows.
fn round(negative: bool, value: u128, exponent: i32) -> Option<LongDouble> {
    if value == 0 {
        return Some(LongDouble::ZERO);
    }
    let bits = 128 - value.leading_zeros();
    let (mut value, mut exponent) = (value, exponent);
    if bits > 64 {
        value = round_shift(value, bits - 64);
        exponent += (bits - 64) as i32;
        if value >> 64 != 0 {
            value >>= 1;
            exponent += 1;
        }
    } else {
        value <<= 64 - bits;
        exponent -= (64 - bits) as i32;
    }
    (exponent <= MAX_EXPONENT).then_some(LongDouble {
        negative,
        mantissa: value as u64,
        exponent,
        infinite: false,
    })
}

/// Digits of a base with a point and an exponent; none when it is malformed or out of range.
fn parse_number(text: &[u8], base: u32, exponent_mark: u8, negative: bool) -> Option<LongDouble> {
    let mark = text.iter().position(|b| b.eq_ignore_ascii_case(&exponent_mark));
    let (digits, exponent) = match mark {
        Some(mark) => (&text[..mark], parse_exponent(&text[mark + 1..])?),
        None => (text, 0),
    };
    let (mut number, mut any, mut point, mut decimals) = (Big::default(), false, false, 0i64);
    for &byte in digits {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        number.multiply_add(base, (byte as char).to_digit(base)?);
        any = true;
        decimals += i64::from(point);
    }
    if !any {
        return None;
    }
    if number.is_zero() {
        return Some(LongDouble { negative, ..LongDouble::ZERO });
    }
    let mut binary = 0;
    if base == 16 {
        binary = exponent - 4 * decimals;
    } else {
        let power = exponent - decimals;
        // Beyond this it is out of range with any number of digits that the text can have.
        if power.abs() > 2 * MAX_TEXT as i64 {
            return None;
        }
        for _ in 0..power.max(0) {
            number.multiply_add(10, 0);
        }
        if power < 0 {
            let mut divisor = Big::from(1);
            (0..-power).for_each(|_| divisor.multiply_add(10, 0));
            // Shifted so that the quotient has at least 66 bits.
            let shift = (divisor.bits() + 67).saturating_sub(number.bits());
            number.shift_left(shift);
            binary = -i64::from(shift);
            number = number.divide_sticky(&divisor);
        }
    }
    let (top, dropped) = number.top();
    let exponent = i32::try_from(binary + i64::from(dropped)).ok()?;
    round(negative, top, exponent).filter(|n| n.exponent >= MIN_EXPONENT - 63)
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits.iter().fold(0i64, |n, d| (n * 10 + i64::from(d - b'0')).min(1 << 40));
    Some(if text[0] == b'-' { -magnitude } else { magnitude })
}

/// A natural number of any size, 32 bits per limb, the lowest first, no zero limb at the top.
#[derive(Clone, Default)]
struct Big(Vec<u32>);

impl From<u64> for Big {
    fn from(n: u64) -> Big {
        let mut big = Big(vec![n as u32, (n >> 32) as u32]);
        big.trim();
        big
    }
}

impl Big {
    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    fn bits(&self) -> u32 {
        self.0.last().map_or(0, |top| self.0.len() as u32 * 32 - top.leading_zeros())
    }

    fn multiply_add(&mut self, factor: u32, add: u32) {
        let mut carry = u64::from(add);
        for limb in &mut self.0 {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    fn shift_left(&mut self, by: u32) {
        let factor = 1 << (by % 32);
        self.multiply_add(factor, 0);
        if !self.is_zero() {
            self.0.splice(0..0, std::iter::repeat_n(0, by as usize / 32));
        }
    }

    /// The quotient, its lowest bit set if there is a rest. The quotient is short.
    fn divide_sticky(mut self, divisor: &Big) -> Big {
        let mut quotient = Big::default();
        for shift in (0..=self.bits().saturating_sub(divisor.bits())).rev() {
            let mut shifted = divisor.clone();
            shifted.shift_left(shift);
            let fits = !self.less_than(&shifted);
            if fits {
                self.subtract(&shifted);
            }
            quotient.multiply_add(2, fits.into());
        }
        if !self.is_zero() {
            match quotient.0.first_mut() {
                Some(low) => *low |= 1,
                None => quotient.0.push(1),
            }
        }
        quotient
    }

    fn less_than(&self, other: &Big) -> bool {
        let (ours, theirs) = (self.0.len(), other.0.len());
        ours < theirs || ours == theirs && self.0.iter().rev().lt(other.0.iter().rev())
    }

    fn subtract(&mut self, other: &Big) {
        let mut borrow = 0;
        for (i, limb) in self.0.iter_mut().enumerate() {
            let take = i64::from(other.0.get(i).copied().unwrap_or(0)) + borrow;
            let rest = i64::from(*limb) - take;
            borrow = i64::from(rest < 0);
            *limb = rest as u32;
        }
        self.trim();
    }

    /// The top 127 bits, the lowest set if any was cut off, and how many were.
    fn top(&self) -> (u128, u32) {
        let dropped = self.bits().saturating_sub(127);
        let (skip, shift) = (dropped as usize / 32, dropped % 32);
        let mut value = 0u128;
        for (i, &limb) in self.0.iter().enumerate().skip(skip) {
            let place = (i - skip) as i32 * 32 - shift as i32;
            value |= if place < 0 { u128::from(limb) >> -place } else { u128::from(limb) << place };
        }
        let cut = self.0[..skip].iter().any(|&limb| limb != 0)
            || self.0.get(skip).is_some_and(|limb| limb & ((1u64 << shift) - 1) as u32 != 0);
        (value | u128::from(cut), dropped)
    }

    fn decimal(mut self) -> String {
        const GROUP: u64 = 1_000_000_000;
        let mut groups = Vec::new();
        while !self.is_zero() {
            let mut rest = 0;
            for limb in self.0.iter_mut().rev() {
                let n = rest << 32 | u64::from(*limb);
                *limb = (n / GROUP) as u32;
                rest = n % GROUP;
            }
            self.trim();
            groups.push(rest);
        }
        let mut text = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().for_each(|group| text.push_str(&format!("{group:09}")));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let parse = |text: &str| LongDouble::parse(text.as_bytes()).expect("a number");
        parse(a).add(parse(b)).expect("finite").format()
    }

    #[test]
    fn sums_print_as_redis_prints_them() {
        for (a, b, text) in [
            ("3.0", "1.1", "4.1"),
            ("10.5", "0.1", "10.6"),
            ("5.0e3", "2.0e2", "5200"),
            ("1", "-1", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("1e30", "1", "1000000000000000000024696061952"),
            ("0", "1e-18", "0"),
            ("0", "0x10", "16"),
            ("0.1", "0.2", "0.3"),
            ("17179869184.75", "-0.25", "17179869184.5"),
        ] {
            assert_eq!(sum(a, b), text, "{a} + {b}");
        }
    }

    #[test]
    fn refuses_what_is_no_number() {
        for text in ["", " 1", "1 ", "nan", "1e", "e1", ".", "1e5000", "1e-5000", "--1", "0x"] {
            assert_eq!(LongDouble::parse(text.as_bytes()), None, "{text}");
        }
        let inf = LongDouble::parse(b"-inf").expect("an infinity");
        assert_eq!(inf.add(LongDouble::ZERO), None);
    }
}
