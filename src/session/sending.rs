//! Requests on their way to the lane: what each changes, and the batch that they are sent in.

use std::sync::Arc;

use super::core::Core;
use super::slots::{Owed, Slot};
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
    /// What else it means for L1: a fetch, if `fetched` names its keys.
    pub effect: Effect,
    /// The keys of a tracked fetch.
    pub fetched: Option<Args<'a>>,
    /// What it means to a client that tracks.
    pub tracked: Option<Box<Tracked>>,
}

impl<'a> Request<'a> {
    /// One without any effect.
    pub fn new(command: u16, raw: &'a [u8], owed: Owed, served: Served, retry: Retry) -> Self {
        Request {
            command,
            raw,
            owed,
            served,
            retry,
            swallow: 0,
            change: Change::default(),
            effect: Effect::None,
            fetched: None,
            tracked: None,
        }
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
        if self.parked > 0 && self.shared.rules.parked_first {
            self.send_parked(self.slots.next_seq());
        }
        let Request { command, served, .. } = request;
        let muted = self.muted();
        let slot = Slot { owed: Owed::Local(0), command, served, started: self.now, key: self.key, muted };
        let seq = self.slots.push(slot);
        self.enqueue(request, seq, self.db);
    }

    /// Puts a request into the batch whose reply goes to a slot that is there.
    pub(super) fn enqueue(&mut self, request: Request<'_>, seq: u64, db: u32) {
        let inbox = Arc::clone(&self.client.inbox);
        let (to, moves_db) = match &request.owed {
            Owed::Select(db) => (To::SelectedBy(inbox, *db), true),
            Owed::Exec(block) => (To::Session(inbox), block.changes_session()),
            _ => (To::Session(inbox), false),
        };
        let Some(slot) = self.slots.get_mut(seq) else { return };
        (slot.owed, slot.served) = (request.owed, request.served);
        let unknown = request.change.unknown;
        let effect = match (request.effect, &self.shared.upstream) {
            (Effect::None, Some(upstream)) if !request.change.is_nothing() => {
                let lane = upstream.router.home();
                request.change.begin(lane.l1(), lane.id())
            }
            (effect, _) => effect,
        };
        // Who asks after our reply must find those told who have the old value.
        let withheld = (unknown && self.shared.rules.withhold) || self.concerns_others(&effect);
        let pending = Pending {
            swallow: request.swallow,
            db,
            retry: request.retry,
            moves_db,
            effect,
            tracked: request.tracked,
            ..Pending::new(to, seq, self.now)
        };
        match request.fetched {
            Some(keys) => self.batch.fetch(request.raw, keys.iter(), self.tracked(), pending),
            None if withheld => self.batch.withheld(request.raw, pending),
            None => self.batch.push(request.raw, pending),
        }
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
