//! Glob patterns, byte for byte as Redis's `stringmatchlen`: `*`, `?`, `[a-c]`, `[^x]`, `\` escapes.
//!
//! One idea: after a `*` only the latest star needs to be retried, so matching takes at most
//! pattern × text steps and no recursion (Redis recurses and can be made to burn CPU by a client).

/// True when `text` matches `pattern`.
pub fn glob_match(pattern: &[u8], text: &[u8]) -> bool {
    if text.is_empty() {
        // Redis's loop is not entered for an empty text, so not even `*` matches it.
        return pattern.is_empty();
    }
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            while pattern.get(p) == Some(&b'*') {
                p += 1;
            }
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        if t == text.len() {
            return p == pattern.len();
        }
        let step = if p < pattern.len() { match_one(pattern, p, text[t]) } else { None };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after_star, from))) => {
                p = after_star;
                t = from + 1;
                star = Some((after_star, t));
            }
            (None, None) => return false,
        }
    }
}

/// Matches one byte against the pattern element at `p`; the index after the element when it fits.
fn match_one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match pattern[p] {
        b'?' => Some(p + 1),
        b'[' => match_class(pattern, p + 1, byte),
        b'\\' if p + 1 < pattern.len() => (pattern[p + 1] == byte).then_some(p + 2),
        literal => (literal == byte).then_some(p + 1),
    }
}

/// A bracket class whose first byte is at `p`. An unclosed class ends with the pattern, as in Redis.
fn match_class(pattern: &[u8], mut p: usize, byte: u8) -> Option<usize> {
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut found = false;
    loop {
        match pattern.get(p) {
            None => break,
            Some(b']') => {
                p += 1;
                break;
            }
            Some(b'\\') if p + 1 < pattern.len() => {
                found |= pattern[p + 1] == byte;
                p += 2;
            }
            Some(&low) if p + 2 < pattern.len() && pattern[p + 1] == b'-' => {
                // Signed, as C's char is where Redis runs.
                let (low, high, byte) = (low as i8, pattern[p + 2] as i8, byte as i8);
                found |= (low.min(high)..=low.max(high)).contains(&byte);
                p += 3;
            }
            Some(&literal) => {
                found |= literal == byte;
                p += 1;
            }
        }
    }
    (found != negated).then_some(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_redis_does() {
        let cases: &[(&str, &str, bool)] = &[
            ("", "", true),
            ("", "a", false),
            ("*", "", false),
            ("*", "anything", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("a*b*c", "aXbYbZc", true),
            ("**a**", "bab", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[ae]llo", "hillo", false),
            ("h[^e]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h\\?llo", "h?llo", true),
            ("h\\?llo", "hello", false),
            ("[\\]]", "]", true),
            ("[a", "a", true),
            ("[a-", "-", true),
            ("[a-", "a", true),
            ("a\\", "a\\", true),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("user:*:name", "user:1:2:name", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
            ("a?", "a", false),
            ("a*?", "a", false),
        ];
        for (pattern, text, want) in cases {
            assert_eq!(glob_match(pattern.as_bytes(), text.as_bytes()), *want, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_stay_polynomial() {
        let pattern = b"a*".repeat(60);
        let text = vec![b'a'; 5000];
        assert!(!glob_match(&[pattern.as_slice(), b"b"].concat(), &text));
    }
}
