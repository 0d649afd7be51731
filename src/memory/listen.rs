//! Being told which keys are read and changed: what CLIENT TRACKING needs, and WATCH has flags for.
//!
//! A listener stands in every shard and is called under the shard's lock. So what it hears of one key is in
//! the order in which it happened, and between a read and its `read` nobody changes the key: who notes a
//! reader there and takes it out at `changed` misses nothing. Without a listener it costs one look at a field
//! of the shard that is locked anyway.

use std::sync::Arc;

/// Somebody who wants to know. Called with locks held: it must be quick, and must not call the engine.
pub trait Listener: Send + Sync {
    /// A client that asked for it (`Caller::tracks`) has read this key, whether it is there or not.
    fn read(&self, client: u64, db: usize, key: &[u8]);

    /// Something was changed by a client, or by nobody (0): expiry, eviction.
    fn changed(&self, client: u64, change: Change<'_>);
}

/// What was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// One key, in whatever way: written, removed, expired, evicted, renamed from or to, given another time
    /// to live.
    Key {
        /// Its database.
        db: usize,
        /// Its name.
        key: &'a [u8],
    },
    /// All keys of a database are gone, or of all databases.
    Flushed(Option<usize>),
    /// The keys of two databases were exchanged.
    Swapped(usize, usize),
}

/// Where a shard has its listener.
pub type Listening = Option<Arc<dyn Listener>>;
