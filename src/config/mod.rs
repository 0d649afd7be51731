//! Configuration: defaults, file, environment and flags become one checked [`Settings`].

use std::path::PathBuf;

use crate::settings::Settings;

/// Where options come from. Kept, so that a reload reads the file again under the same flags.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The process's environment.
    pub env: Vec<(String, String)>,
    /// Flags as `section.key`, value.
    pub flags: Vec<(String, String)>,
}

/// A resolved configuration, and what it takes to make it anew.
#[derive(Clone, Debug)]
pub struct Config {
    /// What the modules are told.
    pub settings: Settings,
    sources: Sources,
}

impl Config {
    /// What it was made from.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
}
