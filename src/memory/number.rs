//! Numbers as Redis reads and writes them.

use super::fault::{Fault, NOT_FLOAT, NOT_INTEGER, NOT_POSITIVE};

/// A 64-bit integer in its one canonical form: no plus sign, no leading zeros, no spaces.
pub fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut n: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        n = n * 10 + u64::from(digit - b'0');
    }
    if negative { 0i64.checked_sub_unsigned(n) } else { i64::try_from(n).ok() }
}

/// An argument that must be an integer.
pub fn int_arg(text: &[u8]) -> Result<i64, Fault> {
    integer(text).ok_or(NOT_INTEGER)
}

/// An argument that must fit into 32 bits.
pub fn int32_arg(text: &[u8]) -> Result<i32, Fault> {
    i32::try_from(int_arg(text)?)
        .map_err(|_| Fault::new("ERR value is out of range, value must between -2147483648 and 2147483647"))
}

/// An argument that must be an integer and not negative (Redis has two texts for the two mistakes).
pub fn positive_arg(text: &[u8]) -> Result<usize, Fault> {
    let n = integer(text).ok_or(NOT_POSITIVE)?;
    usize::try_from(n).map_err(|_| NOT_POSITIVE)
}

/// A double as C's strtod reads it: decimal, hexadecimal, infinities. Not a number is refused, as are
/// values too large or too small for a double.
pub fn double(text: &[u8]) -> Option<f64> {
    /// Integers of this many digits are exact.
    const EXACT: usize = 15;
    if text.len() <= EXACT
        && let Some(n) = integer(text)
    {
        return Some(n as f64);
    }
    let first = text.first()?;
    if first.is_ascii_whitespace() || *first == 0x0b {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.len() > 1 && unsigned[..2].eq_ignore_ascii_case("0x") {
        let n = hexadecimal(&unsigned[2..])?;
        return Some(if text.starts_with('-') { -n } else { n });
    }
    let n: f64 = text.parse().ok()?;
    let infinite = unsigned.starts_with(['i', 'I']);
    if n.is_nan() || n.is_infinite() && !infinite {
        return None;
    }
    let zero_digits = |c: char| c == '0' || c == '.';
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or("");
    if n == 0.0 && !mantissa.chars().all(zero_digits) {
        return None;
    }
    Some(n)
}

fn hexadecimal(text: &str) -> Option<f64> {
    let (digits, exponent) = match text.split_once(['p', 'P']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut n = 0.0;
    for c in whole.chars().chain(fraction.chars()) {
        n = n * 16.0 + f64::from(c.to_digit(16)?);
    }
    let n = n * 2f64.powi(exponent - 4 * i32::try_from(fraction.len()).ok()?);
    n.is_finite().then_some(n)
}

/// An argument that must be a double.
pub fn double_arg(text: &[u8]) -> Result<f64, Fault> {
    double(text).ok_or(NOT_FLOAT)
}

/// A double in C's `%.17g`, as scores are written by Redis 7.0.
pub fn format_double(n: f64) -> String {
    if n.is_infinite() {
        return if n > 0.0 { "inf" } else { "-inf" }.into();
    }
    if n.is_nan() {
        return if n.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if n == 0.0 {
        return if n.is_sign_negative() { "-0" } else { "0" }.into();
    }
    // Sixteen decimals after the first digit, correctly rounded: "-1.2345678901234567e-5".
    let scientific = format!("{n:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a small integer");
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |m| ("-", m));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    let digits = digits.trim_end_matches('0');
    if !(-4..17).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{dot}{rest}e{exponent_sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat((-exponent - 1) as usize));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        for (text, n) in
            [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(integer(text.as_bytes()), Some(n));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "9223372036854775808",
            "1.0",
            "99999999999999999999",
        ] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_read_as_c_reads_them() {
        for (text, n) in
            [("1.5", 1.5), ("-inf", f64::NEG_INFINITY), ("0x10", 16.0), ("0x1.8p1", 3.0), ("+.5e1", 5.0)]
        {
            assert_eq!(double(text.as_bytes()), Some(n), "{text}");
        }
        for text in ["", " 1", "1 ", "nan", "1e400", "1e-400", "abc", "0x", "1e"] {
            assert_eq!(double(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn doubles_write_as_percent_17g() {
        for (n, text) in [
            (0.1, "0.10000000000000001"),
            (3.0, "3"),
            (1e17, "1e+17"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (12345678901234568.0, "12345678901234568"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (-1.5e300, "-1.5000000000000001e+300"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(format_double(n), text);
        }
    }
}
