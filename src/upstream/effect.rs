//! What a request on the lane means for L1, besides its reply: a fetch fills it, a write empties it.
//!
//! The one idea: the effect travels with the request in the lane's queue. The lane's reader applies it
//! at the place of the reply in the stream, before the reply is released, and a lost request takes its
//! effect with it, so that no flight and no pending write is ever left behind.

use std::sync::Arc;

use super::audience::{Audience, Tracked};
use super::check::Check;
use super::inbox::{Event, Inbox, Loss};
use crate::near::{Absence, FlightRef, LaneId, Near, Phase, WriteRef};
use crate::resp::{Cursor, Kind};

/// The near cache, as sessions and lanes share it.
pub type L1 = Near<Waiter>;

/// Whose queue this is: where the effects of requests go that get no reply.
pub struct Owner {
    /// The near cache.
    pub l1: Arc<L1>,
    /// The lane, as the near cache knows it.
    pub lane: LaneId,
    /// The clients that track, whom its pushes are passed on to.
    pub audience: Arc<Audience>,
}

/// A session's slot that waits for the reply to another client's fetch.
#[derive(Clone)]
pub struct Waiter {
    /// The session's inbox.
    pub inbox: Arc<Inbox>,
    /// Its slot.
    pub seq: u64,
    /// Its client tracks what it reads.
    pub tracked: Option<Box<Tracked>>,
}

/// What a request means for L1.
#[derive(Default)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// A tracked fetch: its reply may be stored.
    Fetch(FlightRef, Judge),
    /// A tracked fetch of several keys: the element at each place may be stored.
    FetchEach(Box<[(u32, FlightRef)]>),
    /// It changes one key.
    Write(WriteRef),
    /// It changes several keys, or all.
    Change(Box<Change>),
    /// Its reply is compared with what L1 holds.
    Check(Box<Check>),
}

/// How a fetched reply tells that its key is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// Its nil or empty reply means just that (GET, HGETALL).
    Whole,
    /// It reads a part of the value, which may be missing though the key is there (HGET).
    Part,
    /// It reads a part of a string, which may be empty (GETRANGE).
    Range,
}

/// What a request changes.
#[derive(Default)]
pub struct Change {
    /// The first key it writes; most requests write one.
    first: Option<WriteRef>,
    /// The others.
    more: Vec<WriteRef>,
    /// Whole databases: FLUSHALL, FLUSHDB, SWAPDB.
    pub keyspace: bool,
    /// It may change keys that it does not name: its reply is withheld until they have been announced.
    pub unknown: bool,
}

impl Judge {
    fn absence(self, reply: &[u8]) -> Absence {
        match self {
            Judge::Whole => Absence::of_whole(reply),
            Judge::Part => Absence::of(reply),
            Judge::Range => Absence::of_range(reply),
        }
    }
}

impl Change {
    /// Nobody knows what.
    pub fn unknown() -> Self {
        Change { unknown: true, ..Change::default() }
    }

    /// Adds a key.
    pub fn add(&mut self, write: WriteRef) {
        match self.first {
            None => self.first = Some(write),
            Some(_) => self.more.push(write),
        }
    }

    fn writes(&self) -> impl Iterator<Item = WriteRef> {
        self.first.into_iter().chain(self.more.iter().copied())
    }

    fn concerns(&self, audience: &Audience) -> bool {
        self.keyspace || self.writes().any(|write| audience.table.concerns(write))
    }

    /// Adds what another request changes.
    pub fn join(&mut self, other: &Change) {
        other.writes().for_each(|write| self.add(write));
        self.keyspace |= other.keyspace;
        self.unknown |= other.unknown;
    }

    /// True if L1 need not be told of it.
    pub fn is_nothing(&self) -> bool {
        self.first.is_none() && !self.keyspace && !self.unknown
    }

    /// The request is about to be appended: from now on the keys are pending, the databases empty.
    pub fn begin(mut self, l1: &L1, lane: LaneId) -> Effect {
        self.writes().for_each(|write| l1.begin(write));
        // An upstream that does not track will not tell what a script has changed.
        self.keyspace |= self.unknown && l1.phase(lane) == Phase::TtlOnly;
        if self.keyspace && l1.rules().own_epochs {
            l1.bump_epoch(lane);
        }
        match (self.first, self.keyspace || !self.more.is_empty()) {
            (None, false) => Effect::None,
            (Some(one), false) => Effect::Write(one),
            _ => Effect::Change(Box::new(self)),
        }
    }

    /// The reply has been applied, or will never come.
    fn end(&self, l1: &L1, lane: LaneId) {
        self.writes().for_each(|write| l1.write_end(write));
        if self.keyspace && l1.rules().own_epochs {
            l1.bump_epoch(lane);
        }
    }
}

impl Effect {
    /// True for tracked fetches.
    pub fn is_fetch(&self) -> bool {
        matches!(self, Effect::Fetch(..) | Effect::FetchEach(_))
    }

    /// True if it changes something.
    pub fn is_write(&self) -> bool {
        matches!(self, Effect::Write(_) | Effect::Change(_))
    }

    /// True if a client that tracks may have to be told of it. Asked when L1 has dropped what it changes.
    pub fn concerns(&self, audience: &Audience) -> bool {
        match self {
            Effect::Write(write) => audience.table.concerns(*write),
            Effect::Change(change) => change.concerns(audience),
            _ => false,
        }
    }

    /// The fetches that this is, one for each key.
    fn flights(&self) -> impl Iterator<Item = FlightRef> {
        let (one, each): (_, &[(u32, FlightRef)]) = match self {
            Effect::Fetch(flight, _) => (Some(*flight), &[]),
            Effect::FetchEach(flights) => (None, flights),
            _ => (None, &[]),
        };
        one.into_iter().chain(each.iter().map(|(_, flight)| *flight))
    }

    /// The fetch's read is at this place of the lane.
    pub fn appended(&self, l1: &L1, at: u64, place: u64) {
        self.flights().for_each(|flight| l1.appended(flight, at, place));
    }

    /// `CLIENT CACHING YES` was refused: nothing that follows is tracked.
    pub fn spoil(&self, l1: &L1) {
        self.flights().for_each(|flight| l1.spoil(flight));
    }

    /// The request's own reply has been read; call before it is released. Those who joined get it too.
    pub fn replied(&self, l1: &L1, lane: LaneId, reply: &[u8]) -> Vec<Waiter> {
        self.end_change(l1, lane);
        match self {
            Effect::Fetch(flight, judge) => return l1.replied(*flight, reply, judge.absence(reply)),
            Effect::FetchEach(flights) => replied_each(l1, flights, reply),
            _ => {}
        }
        Vec::new()
    }

    /// One of the replies behind the request's own has been read: a fetch's PTTL.
    pub fn trailer(&self, l1: &L1, index: usize, reply: &[u8], now: u64) {
        if let Some(flight) = self.flights().nth(index) {
            let _ = l1.ttl_replied(flight, integer(reply), now);
        }
    }

    /// No reply will come. Those who joined are to be served otherwise.
    #[must_use = "the joiners wait for a reply"]
    pub fn lost(&self, l1: &L1, lane: LaneId) -> Vec<Waiter> {
        self.end_change(l1, lane);
        self.flights().flat_map(|flight| l1.failed(flight)).collect()
    }

    /// What was pending is so no longer.
    fn end_change(&self, l1: &L1, lane: LaneId) {
        match self {
            Effect::Write(write) => l1.write_end(*write),
            Effect::Change(change) => change.end(l1, lane),
            _ => {}
        }
    }
}

impl Waiter {
    /// Tells the session that its slot gets no reply.
    pub fn lose(&self, loss: Loss) {
        if self.inbox.event(Event::Lost { seq: self.seq, loss }) {
            self.inbox.wake();
        }
    }
}

/// Hands each element of an array to the flight of its key.
fn replied_each(l1: &L1, flights: &[(u32, FlightRef)], reply: &[u8]) {
    let mut cursor = Cursor::new(reply);
    let Some(Kind::Array(_)) = cursor.read() else {
        return flights.iter().for_each(|(_, flight)| l1.spoil(*flight));
    };
    let mut at = 0;
    for (place, flight) in flights {
        let mut element = None;
        while at <= *place {
            element = cursor.skip();
            at += 1;
        }
        match element {
            // Nobody can join what is a part of another reply.
            Some(element) => drop(l1.replied(*flight, element, Absence::of(element))),
            None => l1.spoil(*flight),
        }
    }
}

/// `:n`, or nothing for any other reply.
fn integer(reply: &[u8]) -> Option<i64> {
    std::str::from_utf8(reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?).ok()?.parse().ok()
}
