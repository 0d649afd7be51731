//! The id of a stream's entry, and how Redis reads one.

/// Milliseconds and a number within them; ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    /// Unix milliseconds, unless the client chose otherwise.
    pub ms: u64,
    /// Tells apart what came in the same millisecond.
    pub seq: u64,
}

impl Id {
    /// `0-0`, the least: no entry has it.
    pub const MIN: Id = Id { ms: 0, seq: 0 };
    /// The greatest.
    pub const MAX: Id = Id { ms: u64::MAX, seq: u64::MAX };

    /// The one that follows.
    pub fn next(self) -> Option<Id> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => self.ms.checked_add(1).map(|ms| Id { ms, seq: 0 }),
        }
    }

    /// The one before.
    pub fn previous(self) -> Option<Id> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Id { seq, ..self }),
            None => self.ms.checked_sub(1).map(|ms| Id { ms, seq: u64::MAX }),
        }
    }

    /// `<ms>-<seq>`, or `<ms>` alone with the number that then is meant.
    pub fn parse(text: &[u8], missing_seq: u64) -> Option<Id> {
        let (ms, seq) = halves(text)?;
        let seq = seq.map_or(Some(missing_seq), unsigned)?;
        Some(Id { ms: unsigned(ms)?, seq })
    }

    /// One end of a range: as `parse`, and `-` and `+` are the least and the greatest.
    pub fn parse_end(text: &[u8], missing_seq: u64) -> Option<Id> {
        match c_string(text)? {
            b"-" => Some(Id::MIN),
            b"+" => Some(Id::MAX),
            _ => Id::parse(text, missing_seq),
        }
    }

    /// As sixteen bytes that sort as the ids do.
    pub fn to_bytes(self) -> [u8; 16] {
        ((u128::from(self.ms) << 64) | u128::from(self.seq)).to_be_bytes()
    }

    /// Gives its text, `<ms>-<seq>`, to `f`.
    pub fn with_text<R>(self, f: impl FnOnce(&[u8]) -> R) -> R {
        let (mut ms, mut seq) = (itoa::Buffer::new(), itoa::Buffer::new());
        let (ms, seq) = (ms.format(self.ms).as_bytes(), seq.format(self.seq).as_bytes());
        // Two numbers of at most 20 digits.
        let mut text = [0; 41];
        text[..ms.len()].copy_from_slice(ms);
        text[ms.len()] = b'-';
        let end = ms.len() + 1 + seq.len();
        text[ms.len() + 1..end].copy_from_slice(seq);
        f(&text[..end])
    }
}

/// The id that XADD is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewId {
    /// `*`: the time now, or the next after the last entry.
    Auto,
    /// `<ms>-*`: the next number within these milliseconds.
    Within(u64),
    /// Just this one.
    Exactly(Id),
}

impl NewId {
    /// Reads one.
    pub fn parse(text: &[u8]) -> Option<NewId> {
        if text == b"*" {
            return Some(NewId::Auto);
        }
        match halves(text)? {
            (ms, Some(b"*")) => unsigned(ms).map(NewId::Within),
            _ => Id::parse(text, 0).map(NewId::Exactly),
        }
    }
}

/// Redis copies an id into a C string of this size.
const LONGEST: usize = 127;

/// What C sees of a text: it ends at a zero byte.
fn c_string(text: &[u8]) -> Option<&[u8]> {
    (text.len() <= LONGEST).then(|| text.split(|&b| b == 0).next().unwrap_or_default())
}

/// What is before the first dash, and what is after it if there is one.
fn halves(text: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let text = c_string(text)?;
    Some(match text.iter().position(|&b| b == b'-') {
        Some(dash) => (&text[..dash], Some(&text[dash + 1..])),
        None => (text, None),
    })
}

/// A number as Redis's string2ull reads it: whatever strtoull accepts, but no canonical negative number.
fn unsigned(text: &[u8]) -> Option<u64> {
    if super::number::integer(text).is_some_and(|n| n < 0) {
        return None;
    }
    let space = |b: &u8| b.is_ascii_whitespace() || *b == 0x0b;
    let text = &text[text.iter().take_while(|b| space(b)).count()..];
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut n: u64 = 0;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n = n.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { n.wrapping_neg() } else { n })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_as_redis_reads_them() {
        let id = |ms, seq| Some(Id { ms, seq });
        for (text, read) in [
            ("5-3", id(5, 3)),
            ("5", id(5, 9)),
            ("005-+3", id(5, 3)),
            ("18446744073709551615-0", id(u64::MAX, 0)),
            ("1--05", id(1, 5u64.wrapping_neg())),
            ("5\x00-x", id(5, 9)),
            ("18446744073709551616-0", None),
            ("1--5", None),
            ("-", None),
            ("+", None),
            ("", None),
            ("5-", None),
            ("5-3 ", None),
            ("-1-1", None),
            ("a", None),
        ] {
            assert_eq!(Id::parse(text.as_bytes(), 9), read, "{text}");
        }
        assert_eq!(Id::parse(&[b'0'; 127], 0), id(0, 0));
        assert_eq!(Id::parse(&[b'0'; 128], 0), None);
        assert_eq!(Id::parse_end(b"+", 0), Some(Id::MAX));
        assert_eq!(NewId::parse(b"7-*"), Some(NewId::Within(7)));
        assert_eq!(NewId::parse(b"*-*"), None);
    }

    #[test]
    fn neighbours_and_text() {
        let edge = Id { ms: 1, seq: u64::MAX };
        assert_eq!(edge.next(), Some(Id { ms: 2, seq: 0 }));
        assert_eq!(edge.next().and_then(Id::previous), Some(edge));
        assert_eq!((Id::MAX.next(), Id::MIN.previous()), (None, None));
        let longest = "18446744073709551615-18446744073709551615";
        Id::MAX.with_text(|text| assert_eq!(text, longest.as_bytes()));
    }
}
