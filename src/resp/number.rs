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

/// The usual header: its type, one to three digits and `\r\n`. Gives the number and where the line ends, or
/// None for anything that needs a closer look.
#[inline(always)]
pub(super) fn header(buf: &[u8], at: usize, kind: u8) -> Option<(usize, usize)> {
    let digit = |byte: u8| usize::from(byte - b'0');
    match *buf.get(at..)? {
        [k, a @ b'0'..=b'9', b'\r', b'\n', ..] if k == kind => Some((digit(a), at + 4)),
        [k, a @ b'1'..=b'9', b @ b'0'..=b'9', b'\r', b'\n', ..] if k == kind => {
            Some((digit(a) * 10 + digit(b), at + 5))
        }
        [k, a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b'\r', b'\n', ..] if k == kind => {
            Some((digit(a) * 100 + digit(b) * 10 + digit(c), at + 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn usual_headers_are_understood_and_others_left() {
        for n in 0..1000 {
            let line = format!("x${n}\r\n");
            assert_eq!(header(line.as_bytes(), 1, b'$'), Some((n, line.len())));
            assert_eq!(header(line.as_bytes(), 1, b'*'), None);
            assert_eq!(header(&line.as_bytes()[..line.len() - 1], 1, b'$'), None);
        }
        for odd in ["$1000\r\n", "$01\r\n", "$-1\r\n", "$\r\n", "$1\n", "$1\rx", "", "$"] {
            assert_eq!(header(odd.as_bytes(), 0, b'$'), None, "{odd:?}");
        }
    }

    use super::*;

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
