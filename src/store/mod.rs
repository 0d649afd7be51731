//! A sharded, byte-bounded store of replies by key, as pure data structures: no locks, no clock.
//!
//! Key first: a shard maps a key's hash to its record, a record holds every cached reply of that key,
//! whatever the database, identity, command and arguments. So one invalidation is one removal. What
//! is removed is handed back, to be dropped outside the caller's lock.

mod churn;
mod entry;
mod frequency;
mod ghost;
pub mod glob;
mod record;
mod records;
mod returns;
mod shard;
mod size;
mod sketch;

pub use entry::{Entry, EntryKey, Expiry, Meta, Stamp};
pub use glob::glob_match;
pub use record::Record;
pub use records::Slot;
pub use shard::{Admission, Dropped, Shard, Swept};
pub use size::{size_class, table_bytes};
pub use sketch::Sketch;
