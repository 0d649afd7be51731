//! nearcache: a Redis-protocol caching proxy.
//!
//! The modules in reading order, which is also the order of the layers: a module uses only modules
//! named before it (a test in tests/ watches this).

pub mod resp;
pub mod stats;
pub mod net;
pub mod shutdown;
pub mod settings;
pub mod command;
pub mod config;
pub mod store;
pub mod near;
pub mod memory;
pub mod upstream;
pub mod session;
pub mod server;
