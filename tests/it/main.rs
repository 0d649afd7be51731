//! Integration tests, one module per subject, all in one binary. They share the fixtures in tests/support.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

#[path = "../support/mod.rs"]
mod support;

mod blocking;
mod bulk;
mod conversations;
mod fake_upstream;
mod fixtures;
mod in_exec;
mod load;
mod loss;
mod near;
mod monitor;
mod nearcache;
mod process;
mod transactions;
mod transports;
mod wire;
mod pubsub;
mod tracking;
mod tracking_load;
