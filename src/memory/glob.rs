//! Glob patterns as KEYS and SCAN understand them: `*`, `?`, `[a-z]`, `[^x]`, and `\` to quote.
//!
//! A star is matched by trying the rest of the pattern at each later place; only the newest star ever has
//! to be tried again, so the time is at most the product of the two lengths and there is no recursion.

/// True when the whole of `text` matches.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Behind the newest star, and where its rest was last tried.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            if p == pattern.len() {
                return true;
            }
            star = Some((p, t));
            continue;
        }
        if t == text.len() {
            // More text was consumed by no star than there is: another place cannot help either.
            return p == pattern.len();
        }
        if p < pattern.len() {
            let (matched, next) = one(&pattern[p..], text[t]);
            if matched {
                (p, t) = (p + next, t + 1);
                continue;
            }
        }
        let Some((rest, tried)) = star else { return false };
        star = Some((rest, tried + 1));
        (p, t) = (rest, tried + 1);
    }
}

/// Whether the pattern's first element matches a byte, and how long the element is.
fn one(pattern: &[u8], byte: u8) -> (bool, usize) {
    match pattern[0] {
        b'?' => (true, 1),
        b'[' => class(pattern, byte),
        b'\\' if pattern.len() >= 2 => (pattern[1] == byte, 2),
        literal => (literal == byte, 1),
    }
}

/// A class in brackets; one that is not closed reaches to the end.
fn class(pattern: &[u8], byte: u8) -> (bool, usize) {
    let mut p = 1;
    let negated = pattern.get(p) == Some(&b'^');
    p += usize::from(negated);
    let mut matched = false;
    loop {
        match pattern[p.min(pattern.len())..] {
            [] => return (matched != negated, pattern.len()),
            [b'\\', quoted, ..] => {
                matched |= quoted == byte;
                p += 2;
            }
            [b']', ..] => return (matched != negated, p + 1),
            // Signed, as C's char is.
            [from, b'-', to, ..] => {
                let (from, to, byte) = (from as i8, to as i8, byte as i8);
                matched |= (from.min(to)..=from.max(to)).contains(&byte);
                p += 3;
            }
            [literal, ..] => {
                matched |= literal == byte;
                p += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_as_redis_does() {
        for (pattern, text, yes) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*", "a", true),
            ("a**", "a", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("h[\\]]llo", "h]llo", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a[b", "ab", true),
            ("a[", "a", false),
            ("a\\", "a\\", true),
            ("?*", "", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), yes, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(5_000) + "b";
        assert!(!matches(pattern.as_bytes(), "a".repeat(20_000).as_bytes()));
    }
}
