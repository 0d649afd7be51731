//! Integration tests, one module per subject, all in one binary. They share the fixtures in tests/support.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

#[path = "../support/mod.rs"]
mod support;

mod conversations;
mod fixtures;
mod pubsub;
