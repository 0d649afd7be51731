//! The Redis protocol, without sockets, clocks or locks: requests in, replies out, RESP2 and RESP3.

mod args;
mod write;

pub use args::{ArgVec, Args};
pub use write::{Proto, Writer};
