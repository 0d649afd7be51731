//! nearcache: a Redis-protocol caching proxy.
//!
//! The modules in reading order, which is also the order of the layers: a module uses only modules
//! named before it (a test in tests/ watches this).

pub mod command;
pub mod config;
pub mod memory;
pub mod near;
pub mod net;
pub mod resp;
pub mod server;
pub mod session;
pub mod stats;
pub mod store;
pub mod upstream;
