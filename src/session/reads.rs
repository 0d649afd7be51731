//! Reads that L1 may answer: hits, fetches, and reads that wait for their turn.
//!
//! The one idea: what a client sees never goes back in time. Hits show the upstream as of the last reply
//! that the lane has applied; a reply still owed will show it later. So behind an unanswered command
//! nothing is served from L1: a read that could be served is *parked*. When all before it has been
//! answered it is looked up again; if another request is to be sent first, it goes ahead of that one as a
//! plain read.

use super::core::Core;
use super::dispatch::Flow;
use super::lookup::{Asked, Outcome};
use super::slots::{Owed, Parked, Slot};
use crate::command::{Cache, Command};
use crate::near::Phase;
use crate::resp::Args;
use crate::stats::Served;
use crate::upstream::{Cause, Effect, Loss};

/// The PING whose answer hits wait for when the lane has been silent for too long.
#[derive(Default)]
pub struct Guard {
    /// One is wanted.
    wanted: bool,
    /// The number of the one under way.
    asked: Option<u64>,
    /// How many there have been.
    count: u64,
}

/// Fences of this kind are numbered from here, far above any slot.
const GUARDS: u64 = 1 << 63;

impl Core {
    /// A read whose reply depends on its keys alone.
    #[inline(never)]
    pub(super) fn read(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let seq = self.slots.next_seq();
        let (muted, tracked) = (self.muted(), self.tracking.as_ref().is_some_and(|mode| mode.takes()));
        let asked = Asked { command, args, db: self.db, at: self.now, seq, muted, tracked };
        match self.look(&asked, self.unanswered()) {
            Outcome::Send(effect, served) if !tracked && self.goes_elsewhere(&asked, &effect) => {
                self.give_up(effect);
                if self.slots.is_empty() {
                    self.spaces.count(Some(served));
                }
                self.key = self.large_hash(&asked);
                self.pinned(Cause::Bulk, command.id, raw)
            }
            looked => {
                self.act(asked, raw, looked);
                Flow::Next
            }
        }
    }

    /// Does for a read that has just come what looking it up has led to.
    fn act(&mut self, asked: Asked<'_>, raw: &[u8], looked: Outcome) {
        self.spaces.count(looked.served());
        match looked {
            Outcome::Hit(len) => {
                self.tally(asked.command.id, Served::Hit);
                if !self.slots.is_empty() && len > 0 {
                    self.push_slot(&asked, Owed::Local(len), Served::Hit);
                }
            }
            Outcome::Wait => self.park(&asked),
            Outcome::Joined(place) => {
                self.place = place;
                let owed = Owed::Lane(asked.command.shape(&asked.args));
                self.push_slot(&asked, owed, Served::Coalesced);
            }
            Outcome::Send(effect, served) => {
                if self.parked > 0 && self.shared.rules.parked_first {
                    self.send_parked(asked.seq);
                }
                let owed = Owed::Lane(asked.command.shape(&asked.args));
                self.push_slot(&asked, owed, served);
                self.send_read(&asked, raw, effect);
            }
        }
    }

    fn push_slot(&mut self, asked: &Asked<'_>, owed: Owed, served: Served) {
        let key = self.large_hash(asked);
        let (command, started, muted) = (asked.command.id, asked.at, asked.muted);
        self.slots.push(Slot { owed, command, served, started, key, muted });
    }

    /// What the client still waits for: nothing, or the place of its last request in the lane's order.
    #[inline]
    fn unanswered(&self) -> Option<u64> {
        match self.slots.is_empty() {
            true => None,
            // What is parked or not yet appended comes behind everything.
            false if self.parked > 0 || !self.batch.is_empty() => Some(u64::MAX),
            false => Some(self.place),
        }
    }

    // === parked reads ===

    fn park(&mut self, asked: &Asked<'_>) {
        let parked = Parked {
            command: asked.command,
            args: asked.args.to_owned(),
            db: asked.db,
            tracked: asked.tracked,
        };
        self.push_slot(asked, Owed::Parked(Box::new(parked)), Served::Hit);
        self.parked += 1;
    }

    /// Sends the parked reads before the slot `before`, as plain reads.
    pub(super) fn send_parked(&mut self, before: u64) {
        let mut seq = self.slots.first_seq();
        while self.parked > 0 && seq < before {
            if let Some(parked) = self.take_parked(seq) {
                self.spaces.note_all(&self.policy, parked.command, &parked.args.args());
                self.spaces.count(Some(Served::Miss));
                self.send_again(&parked, seq, Effect::None, Served::Miss);
            }
            seq += 1;
        }
    }

    /// Makes visible how many reads did not ask L1.
    pub(super) fn count_unasked(&mut self) {
        let unasked = self.behind.take_uncounted();
        if unasked > 0 {
            self.shared.stats.l1.unasked.add(unasked);
        }
    }

    fn take_parked(&mut self, seq: u64) -> Option<Box<Parked>> {
        let slot = self.slots.get_mut(seq)?;
        if !matches!(slot.owed, Owed::Parked(_)) {
            return None;
        }
        self.parked -= 1;
        match std::mem::replace(&mut slot.owed, Owed::Local(0)) {
            Owed::Parked(parked) => Some(parked),
            _ => None,
        }
    }

    fn send_again(&mut self, parked: &Parked, seq: u64, effect: Effect, served: Served) {
        let asked = self.asked_again(parked, seq);
        self.owe(seq, Owed::Lane(asked.command.shape(&asked.args)), served);
        self.send_read(&asked, &parked.args.args().encode(), effect);
    }

    fn asked_again<'a>(&mut self, parked: &'a Parked, seq: u64) -> Asked<'a> {
        let (at, muted) =
            self.slots.get_mut(seq).map_or((self.now, false), |slot| (slot.started, slot.muted));
        let Parked { command, db, tracked, .. } = *parked;
        Asked { command, args: parked.args.args(), db, at, seq, muted, tracked }
    }

    /// The read in front is parked, and nothing is unanswered any more: it is looked up, and those behind
    /// it. True if it was served: its slot is gone.
    pub(super) fn look_again(&mut self) -> bool {
        let front = self.slots.first_seq();
        let Some(parked) = self.take_parked(front) else { return false };
        let asked = self.asked_again(&parked, front);
        let looked = self.look(&asked, None);
        self.spaces.count(looked.served());
        match looked {
            Outcome::Hit(_) => {
                self.behind.has_paid();
                if let Some(slot) = self.slots.pop() {
                    self.count(&slot, false);
                }
                return true;
            }
            Outcome::Wait => {
                self.put_back(front, parked);
                return false;
            }
            Outcome::Joined(place) => self.rejoin(&asked, place),
            Outcome::Send(effect, served) => self.send_again(&parked, front, effect, served),
        }
        self.look_behind(front + 1);
        false
    }

    /// The front has gone to the lane. Those behind it that L1 cannot serve any more go too, and take
    /// with them those that are parked before them.
    fn look_behind(&mut self, from: u64) {
        let mut seq = from;
        while self.parked > 0 && seq < self.slots.next_seq() {
            if let Some(parked) = self.take_parked(seq) {
                let asked = self.asked_again(&parked, seq);
                let looked = self.look(&asked, Some(u64::MAX));
                self.spaces.count(looked.served());
                match looked {
                    Outcome::Send(effect, served) => {
                        self.send_parked(seq);
                        self.send_again(&parked, seq, effect, served);
                    }
                    Outcome::Joined(place) => self.rejoin(&asked, place),
                    // Only while a checker has turned the rule off that parks.
                    Outcome::Hit(len) => self.owe(seq, Owed::Local(len), Served::Hit),
                    Outcome::Wait => self.put_back(seq, parked),
                }
            }
            seq += 1;
        }
    }

    fn rejoin(&mut self, asked: &Asked<'_>, place: u64) {
        self.place = place;
        self.owe(asked.seq, Owed::Lane(asked.command.shape(&asked.args)), Served::Coalesced);
    }

    fn owe(&mut self, seq: u64, owed: Owed, served: Served) {
        if let Some(slot) = self.slots.get_mut(seq) {
            (slot.owed, slot.served) = (owed, served);
        }
    }

    fn put_back(&mut self, seq: u64, parked: Box<Parked>) {
        if let Some(slot) = self.slots.get_mut(seq) {
            slot.owed = Owed::Parked(parked);
            self.parked += 1;
        }
    }

    // === the guard ===

    pub(super) fn guarded(&mut self) -> Outcome {
        if !self.fenced {
            self.shared.stats.l1.staleness_waits.inc();
        }
        self.guard.wanted = true;
        Outcome::Wait
    }

    /// Sends the PING that parked hits wait for, if one is wanted and none is under way.
    pub(super) fn ask_for_fence(&mut self) {
        if self.guard.wanted && self.guard.asked.is_none() {
            self.guard.wanted = false;
            self.guard.count += 1;
            let number = GUARDS + self.guard.count;
            self.guard.asked = Some(number);
            self.batch.fence(&self.client.inbox, number, self.now);
        }
    }

    /// A fence has been passed; if it is the guard's, what waited for it may be looked up.
    pub(super) fn fence_passed(&mut self, number: u64) {
        if self.guard.asked == Some(number) {
            self.guard.asked = None;
        }
    }

    /// Something was done over a connection of the client's own. An upstream that does not track has not
    /// told the lane of it.
    pub(super) fn forget_untracked(&self) {
        if let Some(upstream) = self.upstream() {
            let (l1, lane) = (upstream.router.home().l1(), upstream.router.home().id());
            if l1.phase(lane) == Phase::TtlOnly {
                l1.bump_epoch(lane);
            }
        }
    }

    // === keys with large replies ===

    /// True if the reply was large when it was last seen, and is not wanted by L1: then it would hold up
    /// the lane for nothing.
    fn goes_elsewhere(&self, asked: &Asked<'_>, effect: &Effect) -> bool {
        let Some(upstream) = self.upstream().filter(|upstream| !upstream.large.is_empty()) else {
            return false;
        };
        let size = match asked.command.cache {
            Cache::SingleKey => upstream.large.size(self.large_hash(asked)),
            _ => None,
        };
        size.is_some_and(|size| !effect.is_fetch() || size > self.settings.cache.max_entry)
    }

    fn give_up(&self, effect: Effect) {
        if let Some(upstream) = self.upstream() {
            let lane = upstream.router.home();
            effect.lost(lane.l1(), lane.id()).iter().for_each(|waiter| waiter.lose(Loss::NotSent));
        }
    }

    /// What stands for the key in the list of large keys, should its reply be one.
    fn large_hash(&self, asked: &Asked<'_>) -> u64 {
        match self.upstream() {
            Some(upstream) if asked.command.cache == Cache::SingleKey => {
                upstream.large.hash(asked.db, &asked.args[1]).max(1)
            }
            _ => 0,
        }
    }
}
