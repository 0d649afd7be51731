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
    /// How many commands were served.
    pub fn commands(&self) -> u64 {
        self.served.iter().map(Latency::count).sum()
    }
}

/// What one worker counts. Each call is recorded once, by command and by how it was served; who looks adds up
/// one way or the other.
pub(super) struct Shard {
    /// By the command's id; the last one is for commands without a row.
    rows: Vec<Row>,
    /// Calls of all commands.
    pub calls: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

#[derive(Clone, Default)]
struct Row {
    /// Indexed by `Served`. Few commands are served in more than one or two ways.
    served: [Option<Box<Latency>>; Served::COUNT],
    rejected: u64,
    failed: u64,
}

impl Shard {
    pub fn new(commands: usize) -> Shard {
        Shard { rows: vec![Row::default(); commands + 1], calls: 0, bytes_in: 0, bytes_out: 0 }
    }

    /// Adds a recorder's batch.
    pub fn apply(&mut self, batch: &Batch) {
        self.bytes_in += batch.bytes_in;
        self.bytes_out += batch.bytes_out;
        for entry in batch.entries() {
            let count = u64::from(entry.count);
            let id = usize::from(entry.id).min(self.rows.len() - 1);
            let row = &mut self.rows[id];
            match entry.event {
                Event::Served(served) => {
                    self.calls += count;
                    row.served[served as usize].get_or_insert_default().record(entry.nanos, count);
                }
                Event::Rejected => row.rejected += count,
                Event::Failed => row.failed += count,
            }
        }
    }

    /// Adds what was counted of one command to the totals; the last id is that of commands without a row.
    pub fn add_to(&self, id: usize, totals: &mut Totals) {
        for (sum, part) in totals.served.iter_mut().zip(&self.rows[id].served) {
            part.iter().for_each(|part| sum.merge(part));
        }
    }

    /// Adds what was counted of one command to its counters.
    pub fn add_command(&self, id: usize, counters: &mut CommandCounters) {
        let Some(row) = self.rows.get(id) else { return };
        row.served.iter().flatten().for_each(|part| counters.latency.merge(part));
        counters.rejected += row.rejected;
        counters.failed += row.failed;
    }

    /// Forgets everything, and gives the histograms' memory back.
    pub fn reset(&mut self) {
        *self = Shard::new(self.rows.len() - 1);
    }

    /// Bytes held by histograms.
    pub fn bytes(&self) -> usize {
        let histograms = self.rows.iter().flat_map(|row| row.served.iter().flatten());
        let held: usize = histograms.map(|latency| size_of::<Latency>() + latency.bytes()).sum();
        held + self.rows.len() * size_of::<Row>()
    }
}
