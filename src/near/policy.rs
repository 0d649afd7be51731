//! How keys are to be cached: settings by the first key pattern that matches.

use crate::settings::{CacheSettings, NamespaceSettings};
use crate::store::glob_match;
use std::time::Duration;

/// How one key is cached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Cached at all.
    pub cache: bool,
    /// Longest life of an entry (ns), against the changes that Redis announces to nobody.
    pub max_age: u64,
    /// Longest life of the fact that a key does not exist (ns).
    pub negative_max_age: u64,
    /// Longest life of what was read from a hash whose fields may end one by one (ns): the caller who
    /// knows of such a hash takes the smaller of this and `max_age`.
    pub hash_max_age: u64,
    /// Largest reply kept, in bytes.
    pub max_entry: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let second = 1_000_000_000;
        Settings {
            cache: true,
            max_age: 300 * second,
            negative_max_age: 300 * second,
            hash_max_age: second,
            max_entry: 1 << 20,
        }
    }
}

/// Settings for the keys that match a glob.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// What statistics call it.
    pub name: Box<str>,
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

impl From<&CacheSettings> for Policy {
    fn from(cache: &CacheSettings) -> Self {
        let default = Settings {
            cache: cache.enabled,
            max_age: nanos(cache.max_age),
            negative_max_age: nanos(cache.negative_max_age),
            hash_max_age: nanos(cache.hash_max_age),
            max_entry: cache.max_entry,
        };
        let namespaces = cache.namespaces.iter().map(|space| Namespace::of(space, default)).collect();
        Policy { namespaces, default }
    }
}

impl Namespace {
    fn of(space: &NamespaceSettings, default: Settings) -> Self {
        Namespace {
            name: space.name.as_str().into(),
            pattern: space.pattern.as_bytes().into(),
            settings: Settings {
                cache: default.cache && space.cache.unwrap_or(true),
                max_age: space.max_age.map_or(default.max_age, nanos),
                negative_max_age: space.negative_max_age.map_or(default.negative_max_age, nanos),
                hash_max_age: default.hash_max_age,
                max_entry: space.max_entry.unwrap_or(default.max_entry),
            },
        }
    }
}

/// The clock's unit; longer than it can count is forever.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
    use crate::settings::{self, CacheMode};

    #[test]
    fn the_first_match_wins() {
        let off = Settings { cache: false, ..Settings::default() };
        let short = Settings { max_age: 1, ..Settings::default() };
        let space =
            |pattern: &[u8], settings| Namespace { name: "n".into(), pattern: pattern.into(), settings };
        let namespaces = vec![space(b"a:*", off), space(b"*:x", short)];
        let policy = Policy { namespaces, default: Settings::default() };
        assert_eq!(policy.resolve(b"a:x"), (Some(0), off));
        assert_eq!(policy.resolve(b"b:x"), (Some(1), short));
        assert_eq!(policy.resolve(b"b:y"), (None, Settings::default()));
    }

    #[test]
    fn namespaces_say_only_what_differs() {
        let second = Duration::from_secs(1);
        let space = |name: &str, cache, max_age| NamespaceSettings {
            name: name.into(),
            pattern: format!("{name}:*"),
            cache,
            max_age,
            max_entry: None,
            negative_max_age: None,
        };
        let mut cache = CacheSettings {
            enabled: true,
            mode: CacheMode::Serve,
            max_memory: 1 << 20,
            max_entry: 7,
            max_age: 3 * second,
            negative_max_age: 2 * second,
            max_staleness: second,
            admission: settings::Admission::Always,
            admit_after: 2,
            verify: 0.0,
            ttl_mode_max_age: Duration::ZERO,
            hash_max_age: second,
            keep_warm: None,
            namespaces: vec![space("off", Some(false), None), space("short", Some(true), Some(second))],
        };
        let policy = Policy::from(&cache);
        let ns = 1_000_000_000;
        let default = Settings {
            cache: true,
            max_age: 3 * ns,
            negative_max_age: 2 * ns,
            hash_max_age: ns,
            max_entry: 7,
        };
        assert_eq!(policy.default, default);
        assert_eq!(policy.resolve(b"off:1"), (Some(0), Settings { cache: false, ..default }));
        assert_eq!(policy.resolve(b"short:1"), (Some(1), Settings { max_age: ns, ..default }));
        assert_eq!(&*policy.namespaces[1].name, "short");
        cache.enabled = false;
        assert!(!Policy::from(&cache).resolve(b"short:1").1.cache, "off means off");
    }
}
