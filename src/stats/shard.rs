//! One worker's share of what is counted per command: plain numbers under one short lock.

use super::latency::Latency;
use super::recorder::{Batch, Event, Served};

/// What is kept per command.
#[derive(Clone, Default)]
pub struct CommandCounters {
    /// Executed calls (Redis's `calls` and `usec`) and how long they took.
    pub latency: Latency,
    /// Calls refused before they were executed: wrong arity, no permission, …
    pub rejected: u64,
    /// Executed calls that were answered with an error.
    pub failed: u64,
}

/// What is kept of all commands together.
#[derive(Clone, Default)]
pub struct Totals {
    /// By how a command was served, indexed by `Served`.
    pub served: [Latency; Served::COUNT],
    /// Bytes read from clients.
    pub bytes_in: u64,
    /// Bytes written to clients.
    pub bytes_out: u64,
}

impl Totals {
    /// Adds what `other` counted.
    pub(super) fn merge(&mut self, other: &Totals) {
        for (mine, theirs) in self.served.iter_mut().zip(&other.served) {
            mine.merge(theirs);
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }

    /// How many commands were served.
    pub fn commands(&self) -> u64 {
        self.served.iter().map(Latency::count).sum()
    }
}

/// Both, for one worker.
pub(super) struct Shard {
    pub commands: Vec<CommandCounters>,
    pub totals: Totals,
}

impl Shard {
    pub fn new(commands: usize) -> Shard {
        Shard { commands: vec![CommandCounters::default(); commands], totals: Totals::default() }
    }

    /// Adds a recorder's batch.
    pub fn apply(&mut self, batch: &Batch) {
        self.totals.bytes_in += batch.bytes_in;
        self.totals.bytes_out += batch.bytes_out;
        for entry in batch.entries() {
            let count = u64::from(entry.count);
            if let Event::Served(served) = entry.event {
                self.totals.served[served as usize].record(entry.nanos, count);
            }
            // Unknown commands have no row; they count in the totals only.
            let Some(command) = self.commands.get_mut(usize::from(entry.id)) else { continue };
            match entry.event {
                Event::Served(_) => command.latency.record(entry.nanos, count),
                Event::Rejected => command.rejected += count,
                Event::Failed => command.failed += count,
            }
        }
    }

    /// Forgets everything, and gives the histograms' memory back.
    pub fn reset(&mut self) {
        self.commands.fill(CommandCounters::default());
        self.totals = Totals::default();
    }

    /// Bytes held by histograms.
    pub fn bytes(&self) -> usize {
        let commands: usize = self.commands.iter().map(|c| c.latency.bytes()).sum();
        let served: usize = self.totals.served.iter().map(Latency::bytes).sum();
        commands + served + self.commands.len() * size_of::<CommandCounters>()
    }
}
