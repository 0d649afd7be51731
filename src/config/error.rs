//! What is wrong with a configuration, and where it was written.

use std::fmt;
use std::path::PathBuf;

/// Where an option got its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A line of the file.
    File(PathBuf, usize),
    /// An environment variable.
    Env(String),
    /// The command line.
    Flag,
    /// NEARCACHE CONFIG SET, while the program ran.
    Command,
}

/// Why there is no configuration. The first error found; each names the place to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: {message}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// The parser's words.
        message: String,
    },
    /// An option that does not exist.
    #[error("{origin}: unknown option '{option}'; the nearest known one is '{nearest}'")]
    Unknown {
        /// Where it was written.
        origin: Origin,
        /// As it was written.
        option: String,
        /// What may have been meant.
        nearest: String,
    },
    /// A value that does not fit its option, or the other options.
    #[error("{origin}: {option}: {reason}")]
    Invalid {
        /// Where the value was written.
        origin: Origin,
        /// The option.
        option: String,
        /// What is wrong and what would be right.
        reason: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path, line) => write!(f, "{}:{line}", path.display()),
            Origin::Env(name) => write!(f, "environment variable {name}"),
            Origin::Flag => f.write_str("command line"),
            Origin::Command => f.write_str("NEARCACHE CONFIG SET"),
        }
    }
}
