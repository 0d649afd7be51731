//! nearcache: a Redis-protocol caching proxy.
//!
//! The modules stand in reading order, which is also the order of the layers: a module uses only
//! modules named before it (a test in tests/ watches this).

// 0: mechanisms
pub mod resp;
pub mod stats;
pub mod clock;
pub mod net;
pub mod shutdown;
pub mod settings;
// 1: what a command is, where bytes are kept
pub mod command;
pub mod store;
// 2: who can answer without the network
pub mod near;
pub mod memory;
// 3: towards Redis
pub mod upstream;
// 4: towards the client; the data path
pub mod session;
// 5: the program
pub mod server;
pub mod config;
pub mod cli;
