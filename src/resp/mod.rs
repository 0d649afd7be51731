//! The Redis protocol, without sockets, clocks or locks: requests in, replies out, RESP2 and RESP3.

mod args;
mod frame;
mod glance;
mod inline;
mod number;
#[cfg(test)]
mod oracle;
mod render;
mod request;
mod scan;
mod write;

pub use args::{ArgVec, Args};
pub use frame::{Cursor, Kind};
pub use glance::glance;
pub use render::{Shape, render_resp2, render_resp2_exec};
pub use request::{Parsed, ProtocolError, RequestLimits, RequestParser, Streamed};
pub use scan::{ReplyError, ReplyScanner, Scan, frame_len};
pub use write::{Proto, Writer};
