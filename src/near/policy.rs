//! How keys are to be cached: settings by the first key pattern that matches.

use crate::store::glob_match;

/// How one key is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Cached at all.
    pub cache: bool,
    /// Longest life of an entry (ns), against the changes that Redis announces to nobody.
    pub max_age: u64,
    /// Longest life of the fact that a key does not exist (ns).
    pub negative_max_age: u64,
    /// Largest reply kept, in bytes.
    pub max_entry: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let minute = 60_000_000_000;
        Settings { cache: true, max_age: 5 * minute, negative_max_age: 5 * minute, max_entry: 1 << 20 }
    }
}

/// Settings for the keys that match a glob.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Glob over whole keys, as in Redis's KEYS.
    pub pattern: Box<[u8]>,
    /// The settings.
    pub settings: Settings,
}

/// Namespaces in order, and what holds for all other keys.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The first match wins.
    pub namespaces: Vec<Namespace>,
    /// For keys that match none.
    pub default: Settings,
}

impl Policy {
    /// The settings of a key and its namespace's index, to be asked once per request.
    pub fn resolve(&self, key: &[u8]) -> (Option<u16>, Settings) {
        let found = self.namespaces.iter().position(|n| glob_match(&n.pattern, key));
        match found {
            Some(i) => (Some(i as u16), self.namespaces[i].settings),
            None => (None, self.default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_wins() {
        let off = Settings { cache: false, ..Settings::default() };
        let short = Settings { max_age: 1, ..Settings::default() };
        let space = |pattern: &[u8], settings| Namespace { pattern: pattern.into(), settings };
        let namespaces = vec![space(b"a:*", off), space(b"*:x", short)];
        let policy = Policy { namespaces, default: Settings::default() };
        assert_eq!(policy.resolve(b"a:x"), (Some(0), off));
        assert_eq!(policy.resolve(b"b:x"), (Some(1), short));
        assert_eq!(policy.resolve(b"b:y"), (None, Settings::default()));
    }
}
