//! Whether clients of the proxy can tell it from one Redis: schedules and random load against real servers,
//! decided by the server's own history.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]
#![allow(missing_docs, reason = "test names are sentences")]

#[path = "../support/mod.rs"]
mod support;

mod check;
mod client;
mod command;
mod gate;
mod history;
mod mix;
mod random;
mod rules;
mod schedules;
mod stage;
mod trouble;
