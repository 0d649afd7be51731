//! The memory engine: an in-memory Redis for caching, used when there is no upstream or it is down.
//!
//! **Atomic on all cores.** Keys are spread over shards, each behind one lock. A command takes the locks
//! of all its keys' shards at once, in ascending order; a MULTI block those of all its commands and
//! watched keys. So each command and each block is atomic and isolated exactly as on Redis's one thread,
//! there are no deadlocks, and clients on other keys proceed in parallel. One lock per shard rather than
//! readers' and writers' locks: a read moves its key in the order of use, so it writes too, and it is
//! over in a fraction of a microsecond. Actors (a thread per shard) would cost two context switches per
//! command and could not make MULTI atomic without locks of their own.
//!
//! **For a session**: keep a `Caller`; give `Engine::execute` each command and send what it wrote, or await
//! the `Blocked` that it returns (dropping it ends the wait). Queue after MULTI what `admit_queued` lets
//! pass, and give the queue to `Engine::transaction` at EXEC, with the `Watch` that WATCH filled. What the
//! engine does not know (`Outcome::Unknown`) is the session's: PING, HELLO, CLIENT, pub/sub. Call
//! `expire_some` some ten times per second.
//!
//! Who wants to be told which keys are read and changed, as CLIENT TRACKING does, is a `Listener`.
//!
//! **In the order of reading**: `engine` runs commands, `commands` names them, `shard` and `view` are
//! what they work on, `keyspace` over `table` is where keys are. `block`, `watch` and `listen` are
//! what one client waits to hear of another. A family of commands is two files: the structure (`list`) and the commands
//! (`lists`), so that the structure is testable without keys, locks or replies.

mod bitfield;
mod bits;
mod blob;
mod block;
mod commands;
mod dump;
mod engine;
mod expiry;
mod fault;
mod generic;
mod geo;
mod geohash;
mod geosearch;
mod group;
mod groupread;
mod groups;
mod hash;
mod hashes;
mod hll;
mod hlls;
mod keyspace;
mod lcs;
mod list;
mod listblock;
mod listen;
mod lists;
mod longdouble;
mod number;
mod packed;
mod pqsort;
mod rdb;
mod sample;
mod set;
mod sets;
mod shard;
mod sort;
mod stream;
mod streamblock;
mod streamid;
mod streaminfo;
mod streams;
mod strings;
mod table;
mod value;
mod view;
mod watch;
mod whole;
mod zorder;
mod zset;
mod zsetblock;
mod zsetops;
mod zsetranges;
mod zsets;

pub use block::{Blocked, Unblocker};
pub use engine::{Caller, Clock, Engine, EngineConfig, Eviction, Outcome, unblocked_error};
pub use fault::Fault;
pub use listen::{Change, Listener};
pub use shard::Counts;
pub use watch::Watch;
