//! Configuration: defaults, file, environment and flags become one checked [`Settings`].
//!
//! The way of an option: `raw` declares it with its default, `layers` finds who set it, `resolve` checks
//! it and fills in [`Settings`]. serde is used nowhere else in the crate.

mod change;
mod error;
mod layers;
mod raw;
mod resolve;
mod units;
mod url;

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Value;

use crate::settings::Settings;
use layers::{NAMESPACES, Origins};
use raw::Raw;

pub use error::{ConfigError, Origin};

/// The environment variable that names the file, where no flag does.
pub const ENV_FILE: &str = layers::ENV_FILE;

/// Where options come from. Kept, so that a reload reads the file again under the same flags.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file, if one was named. None is looked for otherwise.
    pub file: Option<PathBuf>,
    /// The process's environment.
    pub env: Vec<(String, String)>,
    /// Options set by flags, as `section.key` and text; later ones win.
    pub flags: Vec<(String, String)>,
}

/// A resolved configuration, and what it takes to make it anew.
#[derive(Clone)]
pub struct Config {
    /// What the modules are told.
    pub settings: Settings,
    raw: Raw,
    origins: Origins,
    sources: Sources,
}

/// What a reload changed, as names of options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// In force now.
    pub applied: Vec<String>,
    /// Written otherwise than they are in force; that needs a restart.
    pub need_restart: Vec<String>,
}

/// Options whose value is built into something that lives as long as the process: sockets, threads,
/// quotas, the log. All others are read from the current [`Settings`] when they are needed. (The contents of
/// the TLS files are read anew at a reload; these are their names.)
const NEED_RESTART: [&str; 20] = [
    "server.listen",
    "server.unix_mode",
    "server.tcp_keepalive",
    "server.worker_threads",
    "server.tls.cert",
    "server.tls.key",
    "server.tls.client_ca",
    "upstream.url",
    "upstream.db",
    "upstream.blocking_connections",
    "upstream.transaction_connections",
    "upstream.bulk_connections",
    "upstream.tls.ca",
    "upstream.tls.cert",
    "upstream.tls.key",
    "upstream.tls.server_name",
    "upstream.tls.insecure_skip_verify",
    "memory.eviction",
    "log.level",
    "log.format",
];

impl Config {
    /// Reads everything.
    pub fn load(sources: Sources) -> Result<Config, ConfigError> {
        let (raw, origins) = layers::merge(&sources)?;
        let settings = resolve::resolve(&raw, &origins)?;
        Ok(Config { settings, raw, origins, sources })
    }

    /// The file that was read, if one was.
    pub fn file(&self) -> Option<&std::path::Path> {
        self.sources.file.as_deref()
    }

    /// Reads the sources again. Options that need a restart keep the value they have in the configuration
    /// returned, so that it is always what is in force. On an error nothing changes.
    pub fn reload(&self) -> Result<(Config, Changes), ConfigError> {
        let new = Config::load(self.sources.clone())?;
        let changes = self.changes_to(&new);
        if changes.need_restart.is_empty() {
            return Ok((new, changes));
        }
        let old = layers::to_table(&self.raw);
        let mut table = layers::to_table(&new.raw);
        for option in &changes.need_restart {
            if let Some(value) = layers::get(&old, option) {
                layers::put(&mut table, option, value.clone());
            }
        }
        let raw = Raw::deserialize(table).expect("both were read from a Raw, option by option");
        let mut origins = new.origins;
        for option in &changes.need_restart {
            match self.origins.get(option) {
                Some(origin) => origins.insert(option.clone(), origin.clone()),
                None => origins.remove(option),
            };
        }
        let settings = resolve::resolve(&raw, &origins)?;
        Ok((Config { settings, raw, origins, sources: new.sources }, changes))
    }

    /// The options that differ in `new`.
    pub fn changes_to(&self, new: &Config) -> Changes {
        let old = layers::to_table(&self.raw);
        let mut changes = Changes::default();
        for (option, value) in layers::flatten(&layers::to_table(&new.raw)) {
            if layers::get(&old, &option) != Some(value) {
                let restart = NEED_RESTART.contains(&option.as_str());
                if restart { &mut changes.need_restart } else { &mut changes.applied }.push(option);
            }
        }
        changes
    }

    /// Every option with its value in force, passwords hidden, and where it was set; without namespaces.
    pub fn options(&self) -> Vec<(String, String, Origin)> {
        let table = layers::to_table(&self.hidden());
        let row = |(option, value): (String, &Value)| {
            let origin = self.origins.get(&option).cloned().unwrap_or(Origin::Default);
            (option, value.to_string(), origin)
        };
        layers::flatten(&table).into_iter().filter(|(option, _)| option != NAMESPACES).map(row).collect()
    }

    /// The configuration as a file that would produce it, except for the hidden passwords.
    pub fn describe(&self) -> String {
        let mut out = String::new();
        let mut current = String::new();
        for (option, value, origin) in self.options() {
            let (section, name) = option.rsplit_once('.').unwrap_or(("", &option));
            if section != current {
                out.push_str(&format!("{}[{section}]\n", if out.is_empty() { "" } else { "\n" }));
                current = section.into();
            }
            describe_option(&mut out, name, &value, &origin);
        }
        let table = layers::to_table(&self.raw);
        let namespaces = layers::get(&table, NAMESPACES).and_then(Value::as_array).into_iter().flatten();
        for (i, namespace) in namespaces.enumerate() {
            out.push_str("\n[[namespace]]\n");
            for (name, value) in namespace.as_table().into_iter().flatten() {
                let origin = self.origins.get(&layers::namespace_option(Some(i), name));
                describe_option(&mut out, name, &value.to_string(), origin.unwrap_or(&Origin::Default));
            }
        }
        out
    }

    fn hidden(&self) -> Raw {
        let mut raw = self.raw.clone();
        for password in [&mut raw.server.password, &mut raw.upstream.password] {
            if !password.is_empty() {
                *password = "hidden".into();
            }
        }
        if let Ok(url) = raw.upstream.url.parse::<url::UpstreamUrl>() {
            raw.upstream.url = url.hidden().to_string();
        }
        raw
    }
}

fn describe_option(out: &mut String, name: &str, value: &str, origin: &Origin) {
    out.push_str(&match origin {
        Origin::Default => format!("{name} = {value}\n"),
        origin => format!("{name} = {value}  # {origin}\n"),
    });
}

/// Shows what is in force; what it was made from holds passwords.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_that_need_a_restart_exist() {
        let known = layers::to_table(&Raw::default());
        for option in NEED_RESTART {
            assert!(layers::get(&known, option).is_some_and(|value| !value.is_table()), "{option}");
        }
    }

    #[test]
    fn the_documented_file_is_the_defaults() {
        let text = include_str!("../../conf/nearcache.toml");
        let written: Raw = toml::from_str(text).expect("conf/nearcache.toml is read");
        assert_eq!(written, Raw::default());
        let names = |table: &toml::Table| {
            layers::flatten(table).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
        };
        let table: toml::Table = toml::from_str(text).expect("conf/nearcache.toml is TOML");
        let mut known = names(&layers::to_table(&Raw::default()));
        known.retain(|name| name != NAMESPACES);
        assert_eq!(names(&table), known);
    }
}
