//! Options by name while the program runs: what is in force, and single ones changed by a text.
//!
//! A change is put over the configuration in force, not over the file: the next reload, which reads the
//! sources again, undoes it.

use serde::Deserialize;
use toml::{Table, Value};

use super::error::{ConfigError, Origin};
use super::layers::{self, NAMESPACES};
use super::raw::{Raw, RawNamespace};
use super::{Config, NEED_RESTART, resolve};

/// The section whose options can be changed by name. Others decide who may do what, and where the data are.
const SECTION: &str = "cache.";

impl Config {
    /// Every option with its value in force as it would be written in a flag, passwords hidden. An option of
    /// a namespace is called `namespace.<its name>.<option>`, and is empty if it is as in `[cache]`.
    pub fn values(&self) -> Vec<(String, String)> {
        let raw = self.hidden();
        let table = layers::to_table(&raw);
        let mut all: Vec<_> = layers::flatten(&table)
            .into_iter()
            .filter(|(option, _)| option != NAMESPACES)
            .map(|(option, value)| (option, plain(value)))
            .collect();
        let known = namespace_options();
        for namespace in &raw.namespace {
            let written = Table::try_from(namespace).expect("it holds only what TOML can hold");
            for option in known.keys().filter(|option| *option != "name") {
                let value = written.get(option).map(plain).unwrap_or_default();
                all.push((format!("{NAMESPACES}.{}.{option}", namespace.name), value));
            }
        }
        all
    }

    /// This configuration with some options changed, given as in a flag. On an error nothing is changed.
    pub fn with(&self, changes: &[(String, String)]) -> Result<Config, ConfigError> {
        let mut table = layers::to_table(&self.raw);
        let known = layers::to_table(&Raw::default());
        let mut origins = self.origins.clone();
        for (name, text) in changes {
            if let Some((namespace, option)) = split_namespace(name) {
                let index = self.raw.namespace.iter().position(|other| other.name == namespace);
                let index = index.ok_or_else(|| invalid(name, "there is no namespace of this name"))?;
                set_in_namespace(&mut table, index, name, option, text)?;
                origins.insert(layers::namespace_option(Some(index), option), Origin::Command);
                continue;
            }
            let option = name.to_ascii_lowercase();
            let exists = layers::get(&known, &option).is_some_and(|value| !value.is_table());
            match option.as_str() {
                restart if NEED_RESTART.contains(&restart) => {
                    return Err(invalid(name, "can be changed by a restart only"));
                }
                other if exists && other != NAMESPACES && !other.starts_with(SECTION) => {
                    return Err(invalid(
                        name,
                        "can be changed where it was set only; SIGHUP reads that again",
                    ));
                }
                _ => layers::set(&mut table, &known, &mut origins, &option, text, Origin::Command)?,
            }
        }
        let raw = Raw::deserialize(table).map_err(|error| invalid("configuration", error.message()))?;
        let settings = resolve::resolve(&raw, &origins)?;
        Ok(Config { settings, raw, origins, sources: self.sources.clone() })
    }
}

/// `namespace.<name>.<option>`: names may hold dots, options do not.
fn split_namespace(name: &str) -> Option<(&str, &str)> {
    let (head, rest) = name.split_once('.')?;
    rest.rsplit_once('.').filter(|_| head.eq_ignore_ascii_case(NAMESPACES))
}

fn namespace_options() -> Table {
    Table::try_from(RawNamespace::complete()).expect("it holds only what TOML can hold")
}

/// Sets one option of a namespace; an empty text makes it that of `[cache]` again.
fn set_in_namespace(
    table: &mut Table,
    index: usize,
    name: &str,
    option: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let known = namespace_options();
    let Some(kind) = known.get(option).filter(|_| option != "name") else {
        let known: Vec<&str> = known.keys().map(String::as_str).filter(|known| *known != "name").collect();
        return Err(invalid(name, &format!("is unknown; there are {}", known.join(", "))));
    };
    let spaces = table.get_mut(NAMESPACES).and_then(Value::as_array_mut);
    let Some(Value::Table(space)) = spaces.and_then(|spaces| spaces.get_mut(index)) else {
        return Err(invalid(name, "there is no namespace of this name"));
    };
    if text.is_empty() && option != "match" {
        space.remove(option);
        return Ok(());
    }
    let value = layers::typed(kind, text).map_err(|reason| invalid(name, &reason))?;
    // Read it alone first: so an error is known to be this value's.
    let alone = Table::from_iter([(option.to_owned(), value.clone())]);
    RawNamespace::deserialize(alone).map_err(|error| invalid(name, error.message()))?;
    space.insert(option.into(), value);
    Ok(())
}

/// As in a flag: texts without quotes, lists with commas.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn invalid(option: &str, reason: &str) -> ConfigError {
    ConfigError::Invalid { origin: Origin::Command, option: option.into(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;
    use std::time::Duration;

    fn config() -> Config {
        let flags = vec![
            ("upstream.url".to_owned(), "redis://:secret@h".to_owned()),
            ("upstream.passthrough_commands".to_owned(), "a,b".to_owned()),
        ];
        let mut config = Config::load(Sources { flags, ..Sources::default() }).expect("valid");
        let space = |name: &str| RawNamespace {
            name: name.into(),
            pattern: format!("{name}:*"),
            ..RawNamespace::default()
        };
        config.raw.namespace = vec![space("a.b"), space("c")];
        config
    }

    fn value(config: &Config, option: &str) -> Option<String> {
        config.values().into_iter().find(|(name, _)| name == option).map(|(_, value)| value)
    }

    fn with(config: &Config, changes: &[(&str, &str)]) -> Result<Config, String> {
        let changes: Vec<_> =
            changes.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        config.with(&changes).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_shown_can_be_set() {
        let config = config();
        let settable = |name: &str| name.starts_with(SECTION) || name.starts_with("namespace.");
        let all: Vec<_> = config.values().into_iter().filter(|(name, _)| settable(name)).collect();
        assert!(all.len() > 20, "{all:?}");
        let same = config.with(&all).expect("its own values");
        assert_eq!(same.values(), config.values());
        assert_eq!(value(&config, "upstream.passthrough_commands").as_deref(), Some("a,b"));
        assert!(!format!("{:?}", config.values()).contains("secret"));
    }

    #[test]
    fn options_change_one_by_one() {
        let changes = [("CACHE.max_age", "7s"), ("cache.verify", "0.5"), ("namespace.a.b.max_age", "3s")];
        let changed = with(&config(), &changes).expect("valid");
        assert_eq!(changed.settings.cache.max_age, Duration::from_secs(7));
        assert_eq!(changed.settings.cache.verify, 0.5);
        assert_eq!(changed.settings.cache.namespaces[0].max_age, Some(Duration::from_secs(3)));
        assert_eq!(changed.settings.cache.namespaces[1].max_age, None);
        let back = with(&changed, &[("namespace.a.b.max_age", "")]).expect("valid");
        assert_eq!(back.settings.cache.namespaces[0].max_age, None);
        assert!(back.describe().contains("# NEARCACHE CONFIG SET"), "{}", back.describe());
    }

    #[test]
    fn a_reload_undoes_them() {
        let changed = with(&config(), &[("cache.max_age", "7s")]).expect("valid");
        let (again, changes) = changed.reload().expect("the same sources");
        assert_eq!(again.settings.cache.max_age, Duration::from_secs(300));
        assert!(changes.applied.contains(&"cache.max_age".to_owned()), "{changes:?}");
    }

    #[test]
    fn what_cannot_be_set_says_why() {
        let cases = [
            ("server.listen", "a:1", "by a restart only"),
            ("server.admin_commands", "allow", "where it was set only"),
            ("server.password", "", "where it was set only"),
            ("cache.max_age", "7", "lacks a unit"),
            ("cache.max_age", "0s", "must be more than 0"),
            ("cache.enabled", "yes", "neither true nor false"),
            ("cache.maxage", "7s", "nearest known one is 'cache.max_age'"),
            ("cache", "7s", "is a section"),
            ("namespace", "x", "[[namespace]]"),
            ("namespace.d.max_age", "7s", "no namespace"),
            ("namespace.c.maxage", "7s", "there are cache, match, max_age"),
            ("namespace.c.name", "d", "is unknown"),
            ("namespace.c.match", "", "must be a pattern"),
            ("namespace.c.cache", "yes", "neither true nor false"),
            ("namespace.c.max_entry", "many", "is not a size"),
        ];
        for (option, text, reason) in cases {
            let error = with(&config(), &[("cache.max_age", "9s"), (option, text)]).expect_err(option);
            assert!(error.contains(reason), "{option} {text}: {error}");
        }
    }
}
