//! Requests on their way to the lane: what each changes, and the batch that they are sent in.

use std::sync::Arc;

use super::core::Core;
use super::lookup::Asked;
use super::slots::{Owed, Slot};
use super::tracking::keys_of;
use crate::command::{Command, KeysFound, Reach};
use crate::near::Phase;
use crate::resp::Args;
use crate::stats::Served;
use crate::upstream::{Batch, Change, Effect, Loss, Pending, Refused, Retry, To, Tracked};

/// Bytes of a batch after which it is appended to the lane although more requests have been read.
const BATCH_BYTES: usize = 256 * 1024;

/// A request for the lane.
pub struct Request<'a> {
    /// For statistics.
    pub command: u16,
    /// Its bytes.
    pub raw: &'a [u8],
    /// What becomes of the reply.
    pub owed: Owed,
    /// How it is counted.
    pub served: Served,
    /// What may be done if the connection is lost.
    pub retry: Retry,
    /// Replies to drop before the one that counts.
    pub swallow: u32,
    /// What it changes.
    pub change: Change,
    /// What it means to a client that tracks.
    pub tracked: Option<Box<Tracked>>,
}

impl<'a> Request<'a> {
    /// One without any effect.
    pub fn new(command: u16, raw: &'a [u8], owed: Owed, served: Served, retry: Retry) -> Self {
        Request { command, raw, owed, served, retry, swallow: 0, change: Change::default(), tracked: None }
    }
}

impl Core {
    /// Sends a request over the lane and owes its reply.
    pub fn forward(&mut self, command: &Command, args: &Args<'_>, raw: &[u8], owed: Owed, served: Served) {
        let retry = if command.is_write() { Retry::Never } else { Retry::Once };
        let (change, tracked) = (self.change(command, args), self.tracked_of(command, args));
        self.send(Request { change, tracked, ..Request::new(command.id, raw, owed, served, retry) });
    }

    /// The same for what has no row, or no effect on any key.
    pub fn forward_as(&mut self, id: u16, raw: &[u8], owed: Owed, served: Served, retry: Retry) {
        self.send(Request::new(id, raw, owed, served, retry));
    }

    /// What a command changes, before it has begun.
    pub fn change(&self, command: &Command, args: &Args<'_>) -> Change {
        let mut change = Change::default();
        let Some(upstream) = self.upstream().filter(|_| command.may_change()) else { return change };
        let l1 = upstream.router.home().l1();
        let found = command.keys(args, |i, access| {
            if access.writes() {
                change.add(l1.write_of(&args[i]));
            }
        });
        change.keyspace = command.reach == Reach::Keyspace;
        // What has keys that cannot be told is refused by Redis; if it is not, it is as bad as a script.
        change.unknown = command.reach == Reach::WritesMore || found == KeysFound::Unknown;
        change
    }

    /// Puts a request into the batch, behind all that the client has asked for before.
    pub fn send(&mut self, request: Request<'_>) {
        self.behind.interrupted();
        if self.parked > 0 && self.shared.rules.parked_first {
            self.send_parked(self.slots.next_seq());
        }
        let Request { command, raw, owed, served, retry, swallow, change, tracked } = request;
        let inbox = Arc::clone(&self.client.inbox);
        let (to, moves_db) = match &owed {
            Owed::Select(db) => (To::SelectedBy(inbox, *db), true),
            Owed::Exec(block) => (To::Session(inbox), block.changes_session()),
            _ => (To::Session(inbox), false),
        };
        let (started, key, muted) = (self.now, self.key, self.muted());
        let seq = self.slots.push(Slot { owed, command, served, started, key, muted });
        let unknown = change.unknown;
        let effect = match &self.shared.upstream {
            Some(upstream) if !change.is_nothing() => {
                let lane = upstream.router.home();
                change.begin(lane.l1(), lane.id())
            }
            _ => Effect::None,
        };
        // Who asks after our reply must find those told who have the old value.
        let withheld = (unknown && self.shared.rules.withhold) || self.concerns_others(&effect);
        let db = self.db;
        let pending =
            Pending { swallow, db, retry, moves_db, effect, tracked, ..Pending::new(to, seq, self.now) };
        match withheld {
            true => self.batch.withheld(raw, pending),
            false => self.batch.push(raw, pending),
        }
        self.append_full();
    }

    /// Puts a read into the batch whose slot is there.
    pub(super) fn send_read(&mut self, asked: &Asked<'_>, raw: &[u8], effect: Effect) {
        let to = To::Session(Arc::clone(&self.client.inbox));
        let mut pending = Pending::new(to, asked.seq, self.now);
        (pending.db, pending.retry) = (asked.db, Retry::Once);
        if asked.tracked {
            let keys = keys_of(asked.command, &asked.args);
            pending.tracked = Some(Box::new(Tracked::reading(self.client.id, keys.args())));
        }
        match effect {
            Effect::None => self.batch.push(raw, pending),
            effect => self.fetch(asked, raw, Pending { effect, ..pending }),
        }
        self.append_full();
    }

    /// Adds a read that L1 takes part in.
    fn fetch(&mut self, asked: &Asked<'_>, raw: &[u8], pending: Pending) {
        // The keys whose times to live are asked for: those that are fetched, in their order.
        let places: Vec<(u32, u32)>;
        let keys = match &pending.effect {
            Effect::Fetch(..) => asked.args.only(1),
            Effect::FetchEach(flights) => {
                places = flights.iter().map(|(place, _)| asked.args.range(*place as usize + 1)).collect();
                asked.args.with(&places)
            }
            _ => return self.batch.push(raw, pending),
        };
        self.batch.fetch(raw, keys.iter(), self.tracked(), pending);
    }

    /// Appends a batch that need not grow any more.
    fn append_full(&mut self) {
        if self.batch.bytes.len() >= BATCH_BYTES {
            self.append();
        }
    }

    /// Redis announces what changes.
    pub(super) fn tracked(&self) -> bool {
        let lane = self.upstream().map(|upstream| upstream.router.home());
        lane.is_some_and(|lane| lane.l1().phase(lane.id()) == Phase::Tracking)
    }

    /// Appends the batch to the lane.
    pub fn append(&mut self) {
        self.lane_full = false;
        if self.batch.is_empty() {
            return;
        }
        let Some(upstream) = &self.shared.upstream else { return };
        match upstream.router.home().append(&mut self.batch, &self.client.inbox) {
            Ok(place) => self.place = place,
            Err(Refused::Full) => self.lane_full = true,
            Err(Refused::Down) => upstream.router.home().abandon(&mut self.batch, Loss::NotSent),
        }
        if self.batch.bytes.capacity() > 2 * BATCH_BYTES {
            self.batch = if self.lane_full { std::mem::take(&mut self.batch) } else { Batch::default() };
        }
    }
}
