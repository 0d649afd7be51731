//! Patterns: one matcher for KEYS, SCAN, PSUBSCRIBE, CONFIG GET and L1, and it is Redis's.

/// Random patterns of the characters that mean something, on names of the same alphabet.
#[test]
fn patterns_match_what_they_match_in_redis() {
    const PIECES: &[&str] = &[
        "*",
        "*",
        "?",
        "[",
        "]",
        "^",
        "-",
        "\\\\",
        "a",
        "b",
        "c",
        "\\xff",
        "\\x80",
        "[a-c]",
        "[^a]",
        "[b-\\xff]",
    ];
    const NAMES: &[&str] = &["a", "b", "c", "-", "^", "\\\\", "]", "[", "*", "\\xff", "\\x80", "\\x00"];
    let word = |rng: &mut fastrand::Rng, of: &[&str], most: usize| {
        (0..rng.usize(0..=most)).map(|_| of[rng.usize(0..of.len())]).collect::<String>()
    };
    super::oracle::check_random(11, 4000, |rng| match rng.u32(0..10) {
        0..=3 => format!("SET \"{}\" 1", word(rng, NAMES, 4)),
        4 if rng.u32(0..50) == 0 => "FLUSHALL".into(),
        5 => format!("~KEYS \"{}\"", ["*", "**", "", "?*", "[^x]*"][rng.usize(0..5)]),
        _ => format!("~KEYS \"{}\"", word(rng, PIECES, 6)),
    });
}
