//! Numbers as the protocol writes them, strictly: what Redis's own string2ll refuses is refused.

/// The most bytes a 64-bit number takes, sign included.
const MAX_TEXT: usize = 20;

/// A signed 64-bit number: `0`, or an optional minus and digits that do not begin with 0.
pub(super) fn parse_i64(text: &[u8]) -> Option<i64> {
    if text == b"0" {
        return Some(0);
    }
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if text.len() > MAX_TEXT || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    let mut value: u64 = 0;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
}

/// The common case of a header's number: up to nine digits, then `\r` and one more byte.
/// Gives the value and how many bytes the three take, or None for anything that needs a closer look.
#[inline(always)]
pub(super) fn short(text: &[u8]) -> Option<(usize, usize)> {
    let first = text.first()?.wrapping_sub(b'0');
    if first > 9 {
        return None;
    }
    let mut value = usize::from(first);
    let mut at = 1;
    while at <= 9 {
        let byte = *text.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let end = byte == b'\r' && text.len() > at + 1;
            return end.then_some((value, at + 2));
        }
        if value == 0 {
            return None; // a leading zero
        }
        value = value * 10 + usize::from(digit);
        at += 1;
    }
    None
}

/// The largest number of a usual header.
pub(super) const MAX_USUAL: usize = 999;

/// The usual header at `at`: its type, one to three digits and `\r\n`. Gives the number and where the line ends,
/// or None for anything that needs a closer look.
#[inline(always)]
pub(super) fn header(buf: &[u8], at: u32, kind: u8) -> Option<(u32, u32)> {
    let word = match buf.get(at as usize..at as usize + 8).and_then(|eight| eight.first_chunk()) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => few(buf.get(at as usize..)?),
    };
    // Compared with a pattern, only the digits are left, and the last of them is in the highest byte.
    let one = (word as u32 ^ u32::from_le_bytes([kind, b'0', b'\r', b'\n'])).rotate_right(8);
    if one < 10 {
        return Some((one, at + 4));
    }
    let two = (word >> 8) as u32 ^ u32::from_le_bytes(*b"00\r\n");
    let first = two & 0xFF;
    if word as u8 != kind || !(1..10).contains(&first) {
        return None; // of several digits the first is not 0
    }
    if two < 10 << 8 {
        return Some((first * 10 + (two >> 8), at + 5));
    }
    let three = (word >> 16) as u32 ^ u32::from_le_bytes(*b"00\r\n");
    let second = three & 0xFF;
    let fits = second < 10 && three < 10 << 8;
    fits.then_some((first * 100 + second * 10 + (three >> 8), at + 6))
}

/// What is left of a buffer that is shorter than a word, with zeros behind it, which no line has.
#[cold]
#[inline(never)]
fn few(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_headers_are_understood_and_others_left() {
        for n in 0..=MAX_USUAL {
            let line = format!("x${n}\r\n");
            let found = Some((n as u32, line.len() as u32));
            assert_eq!(header(line.as_bytes(), 1, b'$'), found);
            assert_eq!(header(format!("{line}and more").as_bytes(), 1, b'$'), found);
            assert_eq!(header(line.as_bytes(), 1, b'*'), None);
            for cut in 0..line.len() {
                assert_eq!(header(&line.as_bytes()[..cut], 1, b'$'), None);
            }
        }
    }

    /// Whatever byte is wrong: only what the long form takes for that number is usual.
    #[test]
    fn a_usual_header_is_what_the_long_form_understands() {
        for line in [b"$7\r\n99\r\n".as_slice(), b"$42\r\n9\r\n", b"$421\r\n\r\n", b"$4219\r\n9"] {
            for (at, byte) in (0..line.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
                let mut line = line.to_vec();
                line[at] = byte;
                let end = line.windows(2).position(|two| two == b"\r\n").unwrap_or(line.len());
                let long = parse_i64(&line[1..end.max(1)]).and_then(|n| usize::try_from(n).ok());
                let long = long.filter(|&n| line[0] == b'$' && n <= MAX_USUAL && end < line.len());
                let expected = long.map(|n| (n as u32, end as u32 + 2));
                assert_eq!(header(&line, 0, b'$'), expected, "{}", line.escape_ascii());
            }
        }
    }

    #[test]
    fn only_the_canonical_form_is_a_number() {
        for n in [0, 1, -1, 10, 1024, -1024, i64::MAX, i64::MIN, i64::MAX - 1] {
            assert_eq!(parse_i64(n.to_string().as_bytes()), Some(n));
        }
        let refused = ["", "-", "+1", "-0", "00", "01", "-01", " 1", "1 ", "1a", "0x1", "1.0"];
        let too_large =
            ["9223372036854775808", "-9223372036854775809", "99999999999999999999", "184467440737095516160"];
        for text in refused.into_iter().chain(too_large) {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn the_short_form_agrees_with_the_long_one() {
        assert_eq!(short(b"16\r\n"), Some((16, 4)));
        assert_eq!(short(b"0\rx"), Some((0, 3)));
        assert_eq!(short(b"123456789\r\n"), Some((123_456_789, 11)));
        for other in
            ["", "1", "16\r", "-1\r\n", "01\r\n", "1234567890\r\n", "\r\n", "1a\r\n", "a\r\n", "1\n\n"]
        {
            assert_eq!(short(other.as_bytes()), None, "{other:?}");
        }
    }
}
