//! Everything towards Redis: the lane, the connections of single clients, subscriptions.

mod audience;
mod batch;
mod broadcast;
mod check;
mod effect;
mod fence;
mod handshake;
mod hub;
mod inbox;
mod lane;
mod node;
mod pool;
mod queue;
mod router;
mod topics;
mod vigil;
mod wire;

pub use audience::{Audience, Listener, Notice, Proof, Tracked, Withheld, array};
pub use batch::{Batch, PING, Pending, Retry, To};
pub use broadcast::Broadcast;
pub use check::Check;
pub use effect::{Change, Effect, Judge, L1, Waiter};
pub use handshake::{Credentials, Welcome};
pub use hub::{Hub, MAX_WAITING};
pub use inbox::{Close, Delivered, Event, Inbox, Loss};
pub use lane::{Lane, LaneError, LaneKey};
pub use node::{Node, OpenError, Target};
pub use pool::{Cause, Ending, Pinned, Pool, PoolError, Quotas};
pub use queue::{Refused, Status};
pub use router::Router;
pub use topics::{Family, Topic};
pub use vigil::{INFO_KEYSPACE, Question};
pub use wire::{Wire, WireError};
