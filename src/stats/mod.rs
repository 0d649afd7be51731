//! What the program counts: one `Stats` tree, made where the program is wired and handed down.
//!
//! The one idea: what happens once per command is counted per session in a `Recorder` and added to a
//! shard of plain numbers once per batch; shards are merged when somebody looks. What happens rarely is
//! a plain atomic in a named group (`counters`). `info` renders both as Redis's INFO.

mod counters;
mod info;
mod latency;
mod rate;
mod recorder;
mod shard;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

pub use counters::{
    ClientCounters, Counter, FailoverCounters, Gauge, L1Counters, LaneCounters, PinnedCounters,
    PubSubCounters,
};
pub use info::{DatabaseInfo, ExtraSection, InfoContext, JournalInfo, KeyspaceInfo, L1Info, MemoryInfo};
pub use latency::Latency;
pub use recorder::{Recorder, Served, UNLISTED};
pub use shard::{CommandCounters, Totals};

use rate::Rate;
use recorder::Batch;
use shard::Shard;

use crate::clock::Clock;

/// A shard holds up to 20 KB per command used (see `latency`), so their number is bounded: 16 keep
/// a machine with many more cores from contending for a lock that is held for tens of nanoseconds.
const MAX_SHARDS: usize = 16;

/// Error prefixes counted apart; scripts can make up any. The same bound as in newer Redis.
const MAX_ERROR_PREFIXES: usize = 128;

/// Everything that is counted. Shared by `Arc`.
pub struct Stats {
    /// When the process started to count, for the uptime.
    pub started: Instant,
    /// The same by the clock on the wall.
    pub started_at: SystemTime,
    /// The clients' side.
    pub clients: ClientCounters,
    /// L1 and coherence.
    pub l1: L1Counters,
    /// The lanes.
    pub lane: LaneCounters,
    /// Upstream connections of one client each.
    pub pinned: PinnedCounters,
    /// Publish and subscribe.
    pub pubsub: PubSubCounters,
    /// Work without the upstream.
    pub failover: FailoverCounters,

    clock: Clock,
    names: Box<[&'static str]>,
    shards: Box<[Padded]>,
    round_trip: Mutex<Latency>,
    errors: Mutex<Errors>,
    rates: Mutex<Rates>,
}

/// Keeps two shards' locks out of one cache line (and the pair of lines that is fetched together).
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// Error replies by prefix, in the order in which Redis lists them.
#[derive(Default)]
struct Errors {
    total: u64,
    by_prefix: BTreeMap<Box<str>, u64>,
}

#[derive(Default)]
struct Rates {
    commands: Rate,
    bytes_in: Rate,
    bytes_out: Rate,
}

/// What all shards have counted, merged.
pub struct Snapshot {
    /// Of all commands together.
    pub totals: Totals,
    /// From a lane's write to the reply.
    pub round_trip: Latency,
    /// Error replies.
    pub error_replies: u64,
    /// Commands per second, lately.
    pub commands_per_second: f64,
    /// Bytes from clients per second, lately.
    pub bytes_in_per_second: f64,
    /// Bytes to clients per second, lately.
    pub bytes_out_per_second: f64,
}

impl Stats {
    /// An empty tree for commands of these names; a command's id is its place here. The sessions' clock is
    /// this one.
    pub fn new(command_names: &[&'static str], clock: Clock) -> Arc<Stats> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Stats::with_shards(command_names, clock, cores.next_power_of_two().min(MAX_SHARDS))
    }

    fn with_shards(command_names: &[&'static str], clock: Clock, shards: usize) -> Arc<Stats> {
        let shard = |_| Padded(Mutex::new(Shard::new(command_names.len())));
        Arc::new(Stats {
            started: Instant::now(),
            started_at: SystemTime::now(),
            clients: ClientCounters::default(),
            l1: L1Counters::default(),
            lane: LaneCounters::default(),
            pinned: PinnedCounters::default(),
            pubsub: PubSubCounters::default(),
            failover: FailoverCounters::default(),
            clock,
            names: command_names.into(),
            shards: (0..shards).map(shard).collect(),
            round_trip: Mutex::default(),
            errors: Mutex::default(),
            rates: Mutex::default(),
        })
    }

    /// A handle for one session to count with.
    pub fn recorder(self: &Arc<Self>) -> Recorder {
        Recorder::new(self.clone())
    }

    /// Counts `n` commands that a lane answered `elapsed` after they were written.
    pub fn lane_round_trip(&self, elapsed: Duration, n: u64) {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.round_trip.lock().record(nanos, n);
    }

    /// Takes a sample for the rates per second; to be called each 100 ms.
    pub fn tick(&self, now: Instant) {
        let (mut commands, mut bytes_in, mut bytes_out) = (0, 0, 0);
        for shard in &self.shards {
            let shard = shard.0.lock();
            commands += shard.calls;
            bytes_in += shard.bytes_in;
            bytes_out += shard.bytes_out;
        }
        let mut rates = self.rates.lock();
        rates.commands.sample(now, commands);
        rates.bytes_in.sample(now, bytes_in);
        rates.bytes_out.sample(now, bytes_out);
    }

    /// Everything but what is kept per command. A shard is locked for one command at a time, so sessions do
    /// not wait for the whole walk.
    pub fn snapshot(&self) -> Snapshot {
        let mut totals = Totals::default();
        for shard in &self.shards {
            for id in 0..=self.names.len() {
                shard.0.lock().add_to(id, &mut totals);
            }
            let shard = shard.0.lock();
            totals.bytes_in += shard.bytes_in;
            totals.bytes_out += shard.bytes_out;
        }
        let rates = self.rates.lock();
        Snapshot {
            totals,
            round_trip: self.round_trip.lock().clone(),
            error_replies: self.errors.lock().total,
            commands_per_second: rates.commands.per_second(),
            bytes_in_per_second: rates.bytes_in.per_second(),
            bytes_out_per_second: rates.bytes_out.per_second(),
        }
    }

    /// Visits each command that was called, refused or failed, locking likewise.
    pub fn each_command(&self, mut f: impl FnMut(&'static str, &CommandCounters)) {
        for (id, name) in self.names.iter().enumerate() {
            let mut sum = CommandCounters::default();
            for shard in &self.shards {
                shard.0.lock().add_command(id, &mut sum);
            }
            if sum.latency.count() + sum.rejected + sum.failed > 0 {
                f(name, &sum);
            }
        }
    }

    /// Visits each prefix of error replies, in alphabetical order, with its count.
    pub fn each_error(&self, mut f: impl FnMut(&str, u64)) {
        for (prefix, count) in &self.errors.lock().by_prefix {
            f(prefix, *count);
        }
    }

    /// CONFIG RESETSTAT: counters and histograms to zero; gauges and the uptime stay.
    pub fn reset(&self) {
        for shard in &self.shards {
            shard.0.lock().reset();
        }
        *self.round_trip.lock() = Latency::default();
        *self.errors.lock() = Errors::default();
        *self.rates.lock() = Rates::default();
        self.clients.reset();
        self.l1.reset();
        self.lane.reset();
        self.pinned.reset();
        self.pubsub.reset();
        self.failover.reset();
    }

    /// Bytes held for counting, for the memory accounts.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.0.lock().bytes()).sum()
    }

    fn apply(&self, batch: &Batch) {
        let thread = THREAD.with(|number| *number);
        // The number of shards is a power of two.
        self.shards[thread & (self.shards.len() - 1)].0.lock().apply(batch);
    }

    fn count_error(&self, line: &[u8]) {
        let prefix = error_prefix(line);
        let mut errors = self.errors.lock();
        errors.total += 1;
        if let Some(count) = errors.by_prefix.get_mut(prefix) {
            *count += 1;
        } else if errors.by_prefix.len() < MAX_ERROR_PREFIXES {
            errors.by_prefix.insert(prefix.into(), 1);
        }
    }
}

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's place in the order in which threads first counted something. It chooses the shard
    /// of a flush: workers get one each, whatever session they run, and its lines stay in their cache.
    static THREAD: usize = THREADS.fetch_add(1, Relaxed);
}

/// The first word of an error line without its `-`; `ERR` where there is none. As Redis does it.
fn error_prefix(line: &[u8]) -> &str {
    /// Redis looks no further for the space.
    const LONGEST: usize = 32;
    let head = &line[..line.len().min(LONGEST)];
    match (head.first(), head.iter().position(|byte| *byte == b' ')) {
        (Some(b'-'), Some(space)) => std::str::from_utf8(&head[1..space]).unwrap_or("ERR"),
        _ => "ERR",
    }
}
