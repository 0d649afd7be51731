//! Inline requests: one line, split and unquoted as Redis's sdssplitargs does it.

/// The line ended inside quotes, or a closing quote was not followed by a blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbalanced;

/// Splits `line`, which holds no line end and no NUL, into arguments: their bytes are appended to
/// `bytes`, their ends to `ends`. Both must be empty.
pub(super) fn split(line: &[u8], bytes: &mut Vec<u8>, ends: &mut Vec<u32>) -> Result<(), Unbalanced> {
    let mut rest = line;
    loop {
        while let [blank, tail @ ..] = rest
            && is_space(*blank)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Ok(());
        }
        rest = token(rest, bytes)?;
        ends.push(bytes.len() as u32); // a line is at most max_inline long, which is far below 4 GB
    }
}

/// Unquotes one argument and gives what is behind it. Quotes may open within a word: `a"b c"` is one.
fn token<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Ok(rest),
            [b'"', tail @ ..] => return double_quoted(tail, bytes),
            [b'\'', tail @ ..] => return single_quoted(tail, bytes),
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        }
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [b'\\', b'x', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                tail
            }
            [b'\\', escaped, tail @ ..] => {
                bytes.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                tail
            }
            [b'"', tail @ ..] => return closed(tail),
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
            [] => return Err(Unbalanced),
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], bytes: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        rest = match rest {
            [b'\\', b'\'', tail @ ..] => {
                bytes.push(b'\'');
                tail
            }
            [b'\'', tail @ ..] => return closed(tail),
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
            [] => return Err(Unbalanced),
        }
    }
}

/// A closing quote must be followed by a blank or nothing at all.
fn closed(rest: &[u8]) -> Result<&[u8], Unbalanced> {
    match rest {
        [] => Ok(rest),
        [byte, ..] if is_space(*byte) => Ok(rest),
        _ => Err(Unbalanced),
    }
}

/// C's isspace. Redis separates arguments by it, but ends an unquoted word at four of the six only.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<Vec<u8>>> {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        split(line.as_bytes(), &mut bytes, &mut ends).ok()?;
        let mut start = 0;
        let word = |end| bytes[std::mem::replace(&mut start, end as usize)..end as usize].to_vec();
        Some(ends.into_iter().map(word).collect())
    }

    #[test]
    fn words_are_split_and_unquoted() {
        let table: &[(&str, &[&[u8]])] = &[
            ("", &[]),
            (" \t ", &[]),
            ("PING", &[b"PING"]),
            ("  set  a\tb ", &[b"set", b"a", b"b"]),
            (r#"set "a b" 'c d'"#, &[b"set", b"a b", b"c d"]),
            (r#""\n\r\t\b\a\q\\\"""#, &[b"\n\r\t\x08\x07q\\\""]),
            (r#""\x00\xfF\xg0\x4""#, &[b"\0\xffxg0x4"]),
            (r"'\n\'\\x'", &[br"\n'\\x"]),
            (r#"a"b c"'' d"#, &[]),
            (r#"a"b c" d"#, &[b"ab c", b"d"]),
            (r#""" ''"#, &[b"", b""]),
            ("a\x0bb \x0bc", &[b"a\x0bb", b"c"]),
            ("\"a\"\x0bb", &[b"a", b"b"]),
        ];
        for (line, expected) in table {
            match words(line) {
                Some(words) => assert_eq!(words, *expected, "{line:?}"),
                None => assert!(expected.is_empty(), "{line:?}"),
            }
        }
    }

    #[test]
    fn quotes_must_be_closed_and_followed_by_a_blank() {
        for line in
            [r#"""#, "'", r#"a "b"#, "a 'b", r#""a"b"#, "'a'b", r#""\"#, r#""\""#, r"'\'", r#""a"'b'"#]
        {
            assert_eq!(words(line), None, "{line:?}");
        }
    }
}
