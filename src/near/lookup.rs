//! Reads: hit, join, fetch or plain.

use super::flight::{Flight, Ident, Progress};
use super::lanes::Standing;
use super::{FlightRef, LaneId, Near, Part, Phase, Settings};
use crate::store::{Entry, EntryKey, Expiry, Record, Slot, Stamp};
use parking_lot::MutexGuard;

/// A cacheable read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOf<'a> {
    /// The lane that the key's reads go to.
    pub lane: LaneId,
    /// What is read.
    pub key: EntryKey<'a>,
    /// The key's settings.
    pub settings: Settings,
    /// The lane's sequence number of the client's last unanswered command, None when all have been
    /// answered. Behind an unanswered command nothing is served from here: a flight appended after
    /// it may be joined; a read that could be served is parked, any other goes to the lane. A client
    /// with parked reads says `u64::MAX`: joined, this one could show an older state than they do.
    pub unanswered: Option<u64>,
    /// When the client asked (ns). A hit may be served however long the stream has been silent if it
    /// has been confirmed since: it is what the upstream would have answered then.
    pub asked: u64,
    /// Served only if the stream has been confirmed since `asked`, whatever `max_staleness` says.
    pub fenced: bool,
}

/// What a read has to do.
#[derive(Debug)]
pub enum Looked {
    /// `hit` got the reply.
    Hit,
    /// `waiter` was handed to a flight of another client.
    Joined {
        /// The flight's place on the lane: the client has an unanswered command there now.
        seq: u64,
    },
    /// The caller appends the tracked fetch and says `appended`, or `failed` if it cannot.
    Fetch(FlightRef),
    /// An ordinary, untracked read on the lane.
    Plain(Plain),
    /// There is an entry: wait for the client's unanswered commands and look again; or, once another
    /// command of the client is to be appended, send this ahead of it as a plain read.
    Parked,
    /// There is an entry, but the stream has not been confirmed for too long: wait for the answer to a
    /// PING sent from now on and look again.
    Guarded,
}

/// Why a read goes plain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plain {
    /// Not asked for often enough to be worth a tracked fetch.
    Cold,
    /// Written too often for that.
    Churned,
    /// A write of the key is unanswered: the read goes behind it.
    Pending,
    /// The same read is under way and cannot be joined.
    Flying,
    /// The lane neither tracks nor lives by TTL.
    Closed,
    /// The settings say so, or the question alone is larger than an entry may be.
    Uncached,
    /// Too many flights.
    Full,
}

/// How a kept reply compares with the upstream's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is the same.
    Right,
    /// It is not: a hit would have been wrong.
    Wrong,
    /// It is not kept any more: it changed meanwhile, and that was noticed.
    Gone,
}

/// What failover found in a frozen cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stale {
    /// About how long ago the entry was stored (ns, to the second).
    pub age: u64,
    /// The key's own end upstream.
    pub expiry: Expiry,
}

/// What an entry is good for now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Serve,
    Wait,
    /// Its time or its epoch is over.
    Dead,
    /// There is none.
    Nothing,
}

/// What an entry must be to be served, as of one moment under its shard's lock.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// Its lane, and that lane's epoch.
    stamp: Stamp,
    /// Its deadline is past this moment.
    now: u64,
    /// The stream has been confirmed lately enough.
    fresh: bool,
}

impl<W> Near<W> {
    /// Looks up one read. `hit` is called under the shard's lock with the reply as RESP3 bytes: it
    /// copies them out and does nothing else. `waiter` is called only if a flight is joined.
    pub fn read(
        &self,
        read: &ReadOf,
        now: u64,
        waiter: impl FnOnce() -> W,
        hit: impl FnMut(&[u8]),
    ) -> Looked {
        self.look(read, now, Some(waiter), hit)
    }

    /// The usual case of `read`, at less cost: a read that is asked now, by a client that waits for nothing,
    /// and whose reply is kept and may be served. `take` copies it out, or says that it does not. False:
    /// nothing was done, and `read` finds out what there is.
    #[inline]
    pub fn hit(&self, lane: LaneId, key: &EntryKey, now: u64, mut take: impl FnMut(&[u8]) -> bool) -> bool {
        let hash = self.hash(key.key);
        let guess = self.hints.bring(hash);
        let mut part = self.part(hash);
        let Some(terms) = self.terms(lane, now, self.recent(now)) else { return false };
        if self.rules.pending && part.pending.contains(hash) {
            return false;
        }
        self.visit(&mut part, guess, hash, key, |entry, reply| {
            terms.judge(entry) == Use::Serve && take(reply)
        })
    }

    /// What `read` would have done, for a read that goes to the upstream whatever is found: `hit` is told
    /// the reply's length, nobody is joined, and `Fetch` is to be done as by `read`.
    pub fn observe(&self, read: &ReadOf, now: u64, mut hit: impl FnMut(usize)) -> Looked {
        // As fresh as may be: what is compared later is what was here when the reply came.
        let read = ReadOf { unanswered: None, asked: 0, fenced: true, ..*read };
        self.look(&read, now, None::<fn() -> W>, |reply| hit(reply.len()))
    }

    /// Compares the upstream's reply, at its place in the stream, with what is kept here. `same` says
    /// whether two replies mean the same.
    pub fn verify(
        &self,
        key: &EntryKey,
        reply: &[u8],
        now: u64,
        same: impl FnOnce(&[u8], &[u8]) -> bool,
    ) -> Verdict {
        let hash = self.hash(key.key);
        let part = self.part(hash);
        let live =
            |entry: &&Entry| self.lanes.standing(entry.stamp()) == Standing::Live && now < entry.deadline();
        match self.kept(&part, hash, key).find(live) {
            None => Verdict::Gone,
            Some(entry) if entry.reply() == reply || same(entry.reply(), reply) => Verdict::Right,
            Some(_) => Verdict::Wrong,
        }
    }

    fn look(
        &self,
        read: &ReadOf,
        now: u64,
        waiter: Option<impl FnOnce() -> W>,
        hit: impl FnMut(&[u8]),
    ) -> Looked {
        if !cacheable(read) {
            return Looked::Plain(Plain::Uncached);
        }
        let hash = self.hash(read.key.key);
        let mut part = self.part(hash);
        let Some(terms) = self.terms(read.lane, now, self.since(read, now)) else {
            return Looked::Plain(Plain::Closed);
        };
        if self.rules.pending && part.pending.contains(hash) {
            return Looked::Plain(Plain::Pending);
        }
        if self.rules.parking && read.unanswered.is_some() {
            return self.look_behind(part, hash, read, terms, waiter);
        }
        match self.serve(&mut part, hash, &read.key, terms, hit) {
            Use::Serve => Looked::Hit,
            found => self.go_without(part, hash, read, terms, (found, waiter)),
        }
    }

    /// Looks up a read of a client that waits for the upstream: it is served later, if at all.
    #[inline(never)]
    fn look_behind(
        &self,
        part: MutexGuard<Part<W>>,
        hash: u64,
        read: &ReadOf,
        terms: Terms,
        waiter: Option<impl FnOnce() -> W>,
    ) -> Looked {
        match self.peek(&part, hash, &read.key, terms) {
            Use::Serve | Use::Wait => Looked::Parked,
            found => self.go_without(part, hash, read, terms, (found, waiter)),
        }
    }

    /// What becomes of a read that has not been served. Apart, so that a hit does without its registers.
    #[inline(never)]
    fn go_without(
        &self,
        mut part: MutexGuard<Part<W>>,
        hash: u64,
        read: &ReadOf,
        terms: Terms,
        (found, waiter): (Use, Option<impl FnOnce() -> W>),
    ) -> Looked {
        let dead = match found {
            Use::Wait => return Looked::Guarded,
            Use::Dead => self.remove_dead(&mut part, hash, &read.key, terms.now),
            Use::Serve | Use::Nothing => None,
        };
        let looked = self.join_or_fetch(&mut part, hash, read, (terms.stamp, terms.now), waiter);
        drop(part);
        drop(dead);
        looked
    }

    /// Begins a tracked fetch of a key that a multi-key read missed, if it is worth one. The caller
    /// appends the fetch as for `Looked::Fetch`: one multi-key command may serve several flights.
    pub fn fetch(&self, read: &ReadOf) -> Option<FlightRef> {
        if !cacheable(read) {
            return None;
        }
        let hash = self.hash(read.key.key);
        let mut part = self.part(hash);
        let (stamp, phase) = self.lanes.stamp(read.lane);
        if !self.may_cache(phase) || (self.rules.pending && part.pending.contains(hash)) {
            return None;
        }
        let worth = part.store.wants(hash);
        let may_fly = part.flights.find(hash, &read.key).is_none() && !part.flights.is_full();
        if !worth || !may_fly || !part.pays(hash) {
            return None;
        }
        Some(self.begin_flight(&mut part, hash, read, stamp))
    }

    /// Failover's read of a frozen lane's entry: valid until the key's own end upstream, whatever
    /// its cache deadline. The caller bounds the time since the freeze.
    pub fn stale_read(&self, key: &EntryKey, now: u64, hit: impl FnOnce(&[u8])) -> Option<Stale> {
        let hash = self.hash(key.key);
        let part = self.part(hash);
        let entry = self.kept(&part, hash, key).find(|entry| self.is_stale_but_usable(entry, now))?;
        hit(entry.reply());
        Some(Stale { age: entry.age_ns(now), expiry: entry.expiry() })
    }

    pub(super) fn is_stale_but_usable(&self, entry: &Entry, now: u64) -> bool {
        let ended = matches!(entry.expiry(), Expiry::At(at) if now >= at);
        self.lanes.standing(entry.stamp()) == Standing::Frozen && !ended
    }

    fn may_cache(&self, phase: Phase) -> bool {
        match phase {
            Phase::Tracking => true,
            Phase::TtlOnly => self.tuned.ttl_mode_max_age() > 0,
            Phase::Closed | Phase::Frozen => false,
        }
    }

    /// Shows an entry and its reply, as `Shard::visit`; if it was used, where it lies is kept.
    #[inline(always)]
    fn visit(
        &self,
        part: &mut Part<W>,
        guess: Option<Slot>,
        hash: u64,
        key: &EntryKey,
        mut serve: impl FnMut(&Entry, &[u8]) -> bool,
    ) -> bool {
        part.store.visit(guess, hash, key, |slot, entry, reply| {
            let served = serve(entry, reply);
            if served {
                self.hints.note(hash, slot, entry);
            }
            served
        })
    }

    /// Serves the reply if there is one that may be served.
    pub(super) fn serve(
        &self,
        part: &mut Part<W>,
        hash: u64,
        key: &EntryKey,
        terms: Terms,
        mut hit: impl FnMut(&[u8]),
    ) -> Use {
        let guess = self.hints.bring(hash);
        let mut visit = |key: &EntryKey| {
            let mut found = Use::Nothing;
            self.visit(part, guess, hash, key, |entry, reply| {
                found = terms.judge(entry);
                if found == Use::Serve {
                    hit(reply);
                }
                found == Use::Serve
            });
            found
        };
        match self.answers(key.command) {
            [Some(other), Some(_)] => match visit(&EntryKey { command: other, ..*key }) {
                Use::Dead | Use::Nothing => visit(key),
                found => found,
            },
            _ => visit(key),
        }
    }

    /// The entries that may answer, preferred first, whatever they are good for now.
    fn kept<'p>(&self, part: &'p Part<W>, hash: u64, key: &EntryKey) -> impl Iterator<Item = &'p Entry> {
        let commands = self.answers(key.command).into_iter().flatten();
        commands.filter_map(move |command| part.store.peek(hash, &EntryKey { command, ..*key }))
    }

    pub(super) fn peek(&self, part: &Part<W>, hash: u64, key: &EntryKey, terms: Terms) -> Use {
        let mut found = Use::Nothing;
        for entry in self.kept(part, hash, key) {
            found = terms.judge(entry);
            if found != Use::Dead {
                break;
            }
        }
        found
    }

    /// When the stream must have been confirmed for a hit now.
    fn recent(&self, now: u64) -> u64 {
        now.saturating_sub(self.tuned.max_staleness())
    }

    /// The same for this read.
    pub(super) fn since(&self, read: &ReadOf, now: u64) -> u64 {
        if read.fenced { read.asked } else { read.asked.min(self.recent(now)) }
    }

    /// On what terms entries of the lane are served; None if none are. To be called under the lock: a bump
    /// that is over is seen.
    #[inline]
    pub(super) fn terms(&self, lane: LaneId, now: u64, confirmed: u64) -> Option<Terms> {
        let (stamp, phase) = self.lanes.stamp(lane);
        if !self.may_cache(phase) {
            return None;
        }
        let guarded = self.rules.staleness && phase == Phase::Tracking;
        let fresh = !guarded || self.lanes.confirmed_at(lane) >= confirmed;
        Some(Terms { stamp, now, fresh })
    }

    fn remove_dead(&self, part: &mut Part<W>, hash: u64, key: &EntryKey, now: u64) -> Option<Record> {
        let entry = part.store.peek(hash, key)?;
        let live = self.lanes.standing(entry.stamp()) == Standing::Live;
        let hits = u32::from(entry.hits());
        if live && now >= entry.deadline() {
            self.counters.expirations.add(1);
            part.store.earned(hash, hits);
        }
        part.store.remove_entry(hash, key)
    }

    fn join_or_fetch(
        &self,
        part: &mut Part<W>,
        hash: u64,
        read: &ReadOf,
        (stamp, now): (Stamp, u64),
        waiter: Option<impl FnOnce() -> W>,
    ) -> Looked {
        let worth = part.store.wants(hash);
        // A flight of a past epoch stores nothing: it does not stand in the way of a new one.
        if let Some(flight) = part.flights.find(hash, &read.key).filter(|flight| flight.stamp == stamp) {
            return match (self.joinable(flight, read, now), waiter) {
                (Some(seq), Some(waiter)) => flight.join(waiter).map_or(FLYING, |()| Looked::Joined { seq }),
                _ => FLYING,
            };
        }
        if !worth {
            return Looked::Plain(Plain::Cold);
        }
        if part.flights.is_full() {
            return Looked::Plain(Plain::Full);
        }
        if !part.pays(hash) {
            return Looked::Plain(Plain::Churned);
        }
        Looked::Fetch(self.begin_flight(part, hash, read, stamp))
    }

    /// Not before it is on the lane: the client's next command could be appended ahead of it. Not
    /// after its value has arrived: nobody would be told.
    fn joinable(&self, flight: &Flight<W>, read: &ReadOf, now: u64) -> Option<u64> {
        let Progress::Appended { sent_at, seq } = flight.progress else { return None };
        let in_order = !self.rules.join_order || read.unanswered.is_none_or(|last| seq > last);
        let recent = match read.fenced {
            true => sent_at >= read.asked,
            false => now.saturating_sub(sent_at) <= self.tuned.max_staleness(),
        };
        (in_order && recent).then_some(seq)
    }

    fn begin_flight(&self, part: &mut Part<W>, hash: u64, read: &ReadOf, stamp: Stamp) -> FlightRef {
        self.counters.fetches.add(1);
        let ident = Ident::of(&read.key);
        let flight = Flight {
            hash,
            ident,
            settings: read.settings,
            stamp,
            progress: Progress::New,
            storable: true,
            joiners: Vec::new(),
        };
        part.flights.add(self.index_of(hash) as u16, flight)
    }
}

impl Terms {
    #[inline]
    fn judge(&self, entry: &Entry) -> Use {
        match entry.stamp() == self.stamp && self.now < entry.deadline() {
            false => Use::Dead,
            true if self.fresh => Use::Serve,
            true => Use::Wait,
        }
    }
}

impl<W> Part<W> {
    /// Counts a miss of a key that is worth an entry: true if it is to be fetched now.
    fn pays(&mut self, hash: u64) -> bool {
        let pays = self.store.pays(hash);
        self.unpaid += u64::from(!pays);
        pays
    }
}

const FLYING: Looked = Looked::Plain(Plain::Flying);

/// A flight and an entry copy key and arguments, so their length is bounded like the reply's.
fn cacheable(read: &ReadOf) -> bool {
    let ReadOf { key, settings, .. } = read;
    let asked = key.key.len() + key.rest.iter().map(<[u8]>::len).sum::<usize>();
    settings.cache && asked <= settings.max_entry
}
