//! The nearcache under measurement.
//!
//! `cargo bench` builds one beside the bench, but with what the tests need switched on in the dependencies
//! (tokio's `test-util` makes its clock dearer). Users run what `cargo build --release` makes: so does the bench.

use std::process::{Command, Stdio};

use crate::report;

/// Builds the release binary, with the same target directory as the bench; where it is.
pub fn release() -> String {
    eprintln!("building the release binary");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--bin", "nearcache", "--message-format=json-render-diagnostics"]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    // What the outer cargo says of this package would make build scripts run again.
    let said = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    std::env::vars().filter(|(name, _)| said(name)).for_each(|(name, _)| _ = cargo.env_remove(name));
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo has built this and is still there");
    let messages = String::from_utf8_lossy(&output.stdout);
    report::executable(&messages).expect("the release build failed: see above").to_owned()
}
