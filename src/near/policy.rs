//! How keys are to be cached: settings by the first key pattern that matches.

use crate::settings::{CacheSettings, NamespaceSettings};
use crate::stats::Served;
use crate::store::glob_match;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    /// What became of its reads.
    pub reads: Arc<Reads>,
}

/// How the reads of a namespace's keys were served, counted key by key.
#[derive(Debug, Default)]
pub struct Reads([AtomicU64; Served::COUNT]);

impl Reads {
    /// Counts `n` keys.
    pub fn add(&self, served: Served, n: u32) {
        self.0[served as usize].fetch_add(n.into(), Relaxed);
    }

    /// How many keys were served so.
    pub fn get(&self, served: Served) -> u64 {
        self.0[served as usize].load(Relaxed)
    }

    /// Counts from zero again.
    pub fn reset(&self) {
        self.0.iter().for_each(|count| count.store(0, Relaxed));
    }
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
            reads: Arc::default(),
        }
    }
}

/// The clock's unit; longer than it can count is forever.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Policy {
    /// The same, and namespaces go on counting where those of their names in `old` are.
    pub fn succeeding(mut self, old: &Policy) -> Self {
        for space in &mut self.namespaces {
            if let Some(before) = old.namespaces.iter().find(|before| before.name == space.name) {
                space.reads = Arc::clone(&before.reads);
            }
        }
        self
    }

    /// The settings of a key and its namespace's index, to be asked once per request.
    #[inline]
    pub fn resolve(&self, key: &[u8]) -> (Option<u16>, &Settings) {
        if self.namespaces.is_empty() {
            return (None, &self.default);
        }
        self.resolve_by_name(key)
    }

    #[inline(never)]
    fn resolve_by_name(&self, key: &[u8]) -> (Option<u16>, &Settings) {
        let found = self.namespaces.iter().position(|n| glob_match(&n.pattern, key));
        match found {
            Some(i) => (Some(i as u16), &self.namespaces[i].settings),
            None => (None, &self.default),
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
        let space = |pattern: &[u8], settings| Namespace {
            name: "n".into(),
            pattern: pattern.into(),
            settings,
            reads: Arc::default(),
        };
        let namespaces = vec![space(b"a:*", off), space(b"*:x", short)];
        let policy = Policy { namespaces, default: Settings::default() };
        assert_eq!(policy.resolve(b"a:x"), (Some(0), &off));
        assert_eq!(policy.resolve(b"b:x"), (Some(1), &short));
        assert_eq!(policy.resolve(b"b:y"), (None, &Settings::default()));
    }

    #[test]
    fn a_namespace_goes_on_counting_under_its_name() {
        let space = |name: &str| Namespace {
            name: name.into(),
            pattern: b"*".as_slice().into(),
            settings: Settings::default(),
            reads: Arc::default(),
        };
        let policy = |names: &[&str]| Policy {
            namespaces: names.iter().map(|name| space(name)).collect(),
            default: Settings::default(),
        };
        let old = policy(&["a", "b"]);
        old.namespaces[1].reads.add(Served::Hit, 3);
        let new = policy(&["b", "c"]).succeeding(&old);
        assert_eq!(new.namespaces[0].reads.get(Served::Hit), 3);
        assert_eq!(new.namespaces[1].reads.get(Served::Hit), 0);
        new.namespaces[0].reads.reset();
        assert_eq!(old.namespaces[1].reads.get(Served::Hit), 0);
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
        assert_eq!(policy.resolve(b"off:1"), (Some(0), &Settings { cache: false, ..default }));
        assert_eq!(policy.resolve(b"short:1"), (Some(1), &Settings { max_age: ns, ..default }));
        assert_eq!(&*policy.namespaces[1].name, "short");
        cache.enabled = false;
        assert!(!Policy::from(&cache).resolve(b"short:1").1.cache, "off means off");
    }
}
