//! Everything towards Redis: the lane, the connections of single clients, subscriptions.

mod handshake;
mod hub;
mod inbox;
mod lane;
mod node;
mod pool;
mod queue;
mod topics;
mod wire;

pub use handshake::{Credentials, Welcome};
pub use hub::{Hub, MAX_WAITING};
pub use inbox::{Close, Delivered, Event, Inbox, Loss};
pub use lane::{Lane, LaneError};
pub use node::{Node, OpenError, Target};
pub use pool::{Cause, Pinned, Pool, PoolError, Quotas};
pub use queue::{Batch, Pending, Refused, Retry, Status, To};
pub use topics::{Family, Topic};
pub use wire::{Wire, WireError};
