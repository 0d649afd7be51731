//! How a session counts: into a small buffer of its own, given to a shard once per batch.
//!
//! Equal events are folded while they are buffered. What is answered at once is timed when it is flushed: all
//! hits of a pipeline have the same duration, so 64 GETs are one entry, one reading of the clock and one lock.

use std::sync::Arc;
use std::time::Duration;

use super::Stats;
use crate::clock::Nanos;

/// How a command was served. Each has a latency histogram of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Served {
    /// By the proxy itself: PING, HELLO, …, and everything while in memory-only mode.
    Local,
    /// From L1, coherent.
    Hit,
    /// From a frozen L1 while the upstream is away.
    StaleHit,
    /// By joining another client's read of the same key.
    Coalesced,
    /// Cacheable, not in L1: by the upstream.
    Miss,
    /// Cacheable, but L1 was not asked: inside MULTI, namespace not cached, …
    Bypass,
    /// Not cacheable: over the lane.
    Forwarded,
    /// Over an upstream connection of the client's own.
    Pinned,
    /// By the upstream, though L1 could have: `cache.mode = "observe"`.
    Observed,
    /// Not at all: the proxy answered with an error of its own instead.
    Error,
}

impl Served {
    /// Number of variants.
    pub const COUNT: usize = 10;
    /// All of them, in the order of their discriminants, with their names in INFO.
    pub const NAMES: [(Served, &'static str); Served::COUNT] = [
        (Served::Local, "local"),
        (Served::Hit, "hit"),
        (Served::StaleHit, "stale_hit"),
        (Served::Coalesced, "coalesced"),
        (Served::Miss, "miss"),
        (Served::Bypass, "bypass"),
        (Served::Forwarded, "forwarded"),
        (Served::Pinned, "pinned"),
        (Served::Observed, "observed_hit"),
        (Served::Error, "error"),
    ];
}

/// The id to record under for a command that has no row (unknown to us): it counts in the totals.
pub const UNLISTED: u16 = u16::MAX;

/// Distinct events that are buffered before the shard's lock is taken. Most batches have one kind; those with
/// more than these pay one more lock for each so many.
const BATCH_ENTRIES: usize = 8;

/// Stands for the duration of what is timed at the flush.
const UNTIMED: u64 = u64::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Served(Served),
    Rejected,
    Failed,
}

#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub nanos: u64,
    pub count: u32,
    pub id: u16,
    pub event: Event,
}

/// Events not yet given to a shard. In this order, since mostly there is one: all that is used stands together.
#[repr(C)]
pub(super) struct Batch {
    pub bytes_in: u64,
    pub bytes_out: u64,
    len: usize,
    entries: [Entry; BATCH_ENTRIES],
}

impl Batch {
    fn new() -> Batch {
        let unused = Entry { nanos: 0, count: 0, id: UNLISTED, event: Event::Rejected };
        Batch { entries: [unused; BATCH_ENTRIES], len: 0, bytes_in: 0, bytes_out: 0 }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries[..self.len]
    }

    /// Those that are answered now took so long.
    fn time(&mut self, elapsed: u64) {
        for entry in &mut self.entries[..self.len] {
            if entry.nanos == UNTIMED {
                entry.nanos = elapsed;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.len == 0 && self.bytes_in == 0 && self.bytes_out == 0
    }

    fn clear(&mut self) {
        (self.len, self.bytes_in, self.bytes_out) = (0, 0, 0);
    }
}

/// A session's handle for counting. What it holds is seen by others after `flush` (also done on drop).
#[repr(C)]
pub struct Recorder {
    stats: Arc<Stats>,
    /// When the requests came that are answered now.
    began: Nanos,
    batch: Batch,
}

impl Recorder {
    pub(super) fn new(stats: Arc<Stats>) -> Recorder {
        Recorder { stats, began: 0, batch: Batch::new() }
    }

    /// Begins a batch: what is answered from here on came at this time, by the clock of `Stats`.
    #[inline]
    pub fn begin(&mut self, now: Nanos) {
        self.began = now;
    }

    /// Counts a command that came when the batch began and has been answered.
    #[inline]
    pub fn answered(&mut self, id: u16, served: Served) {
        self.add(id, Event::Served(served), UNTIMED, 1);
    }

    /// Counts one executed command.
    #[inline]
    pub fn command(&mut self, id: u16, served: Served, elapsed: Duration) {
        self.add(id, Event::Served(served), nanos(elapsed), 1);
    }

    /// Counts `n` executed commands that took `elapsed` each.
    #[inline]
    pub fn commands(&mut self, id: u16, served: Served, elapsed: Duration, n: u32) {
        self.add(id, Event::Served(served), nanos(elapsed), n);
    }

    /// Counts a command that was refused before it was executed.
    pub fn rejected(&mut self, id: u16) {
        self.add(id, Event::Rejected, 0, 1);
    }

    /// Counts that an executed command (see `command`) was answered with an error.
    pub fn failed(&mut self, id: u16) {
        self.add(id, Event::Failed, 0, 1);
    }

    /// Counts an error reply by its prefix. `line` starts with its text, as in `-WRONGTYPE Operation …`.
    pub fn error_reply(&mut self, line: &[u8]) {
        self.stats.count_error(line);
    }

    /// Counts bytes read from the client.
    #[inline]
    pub fn bytes_in(&mut self, n: usize) {
        self.batch.bytes_in += n as u64;
    }

    /// Counts bytes written to the client.
    #[inline]
    pub fn bytes_out(&mut self, n: usize) {
        self.batch.bytes_out += n as u64;
    }

    /// Makes everything counted so far visible. To be called once per batch.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if self.batch.entries().iter().any(|entry| entry.nanos == UNTIMED) {
            let elapsed = self.stats.clock.now().saturating_sub(self.began);
            self.batch.time(elapsed);
        }
        self.stats.apply(&self.batch);
        self.batch.clear();
    }

    /// The tree that this recorder counts into.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    #[inline]
    fn add(&mut self, id: u16, event: Event, nanos: u64, n: u32) {
        for entry in self.batch.entries[..self.batch.len].iter_mut().rev() {
            let equal = entry.nanos == nanos && entry.id == id && entry.event == event;
            if equal && let Some(count) = entry.count.checked_add(n) {
                entry.count = count;
                return;
            }
        }
        self.push(Entry { nanos, count: n, id, event });
    }

    fn push(&mut self, entry: Entry) {
        if self.batch.len == BATCH_ENTRIES {
            self.flush();
        }
        self.batch.entries[self.batch.len] = entry;
        self.batch.len += 1;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Ends after 584 years.
#[inline]
fn nanos(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_nanos()).map_or(UNTIMED - 1, |nanos| nanos.min(UNTIMED - 1))
}
