//! Fetches: what happens between the append and the entry.

use super::flight::Progress;
use super::lanes::Standing;
use super::{Absence, FlightRef, Near, Phase};
use crate::store::{Entry, Expiry, Meta};

/// An entry was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stored {
    /// It may be served before this moment (ns).
    pub deadline: u64,
}

/// Why a fetched reply was not stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NotStored {
    /// A push or a write overtook it, or the caller spoiled it.
    Detached,
    /// The lane began a new epoch, or is gone.
    Epoch,
    /// The reply is an error.
    Error,
    /// Larger than allowed.
    Large,
    /// PTTL failed, or contradicts the value: the key expired between the two.
    Ttl,
    /// Its life is over already.
    Dead,
    /// Others are worth more.
    Refused,
    /// There is no such flight, or its reply is missing: the calls came out of order.
    Unknown,
}

const NS_PER_MS: u64 = 1_000_000;

impl<W> Near<W> {
    /// The fetch is on the lane: its read has the sequence number `seq`, and `sent_at` was taken
    /// before the bytes could leave.
    pub fn appended(&self, flight: FlightRef, sent_at: u64, seq: u64) {
        let Some(shard) = self.shards.get(flight.shard as usize) else { return };
        if let Some(found) = shard.lock().flights.get(flight) {
            found.progress = Progress::Appended { sent_at, seq };
        }
    }

    /// The value has arrived. Returns those who joined; they get the reply, as does the client that
    /// caused the fetch. Nothing is stored yet.
    #[must_use = "the joiners wait for the reply"]
    pub fn replied(&self, flight: FlightRef, reply: &[u8], absence: Absence) -> Vec<W> {
        let Some(shard) = self.shards.get(flight.shard as usize) else { return Vec::new() };
        let mut part = shard.lock();
        let max_entry = part.store.max_entry();
        let Some(found) = part.flights.get(flight) else { return Vec::new() };
        let joiners = std::mem::take(&mut found.joiners);
        let too_large = reply.len() > found.settings.max_entry
            || Entry::cost_of(&found.ident.key(), reply.len()) > max_entry;
        let reply = if found.storable && !too_large { reply.into() } else { Box::default() };
        if let Progress::Appended { sent_at, .. } = found.progress {
            found.progress = Progress::Replied { sent_at, reply, absence };
        }
        if found.storable && !joiners.is_empty() {
            // As good as hits. Of a detached flight they have been counted already.
            let hash = found.hash;
            part.store.ended(hash, 0, joiners.len() as u32);
        }
        joiners
    }

    /// PTTL's reply has arrived (None if it was an error): the entry is made, if still allowed.
    pub fn ttl_replied(&self, flight: FlightRef, pttl: Option<i64>, now: u64) -> Result<Stored, NotStored> {
        let result = self.store(flight, pttl, now);
        match result {
            Ok(_) => self.counters.stores.add(1),
            Err(why) => {
                self.counters.not_stored.add(1);
                self.counters.too_large.add((why == NotStored::Large).into());
                self.counters.not_admitted.add((why == NotStored::Refused).into());
            }
        }
        result
    }

    fn store(&self, flight: FlightRef, pttl: Option<i64>, now: u64) -> Result<Stored, NotStored> {
        let shard = self.shards.get(flight.shard as usize).ok_or(NotStored::Unknown)?;
        let mut part = shard.lock();
        let found = part.flights.remove(flight).ok_or(NotStored::Unknown)?;
        let Progress::Replied { sent_at, reply, absence } = &found.progress else {
            return Err(NotStored::Unknown);
        };
        if !found.storable {
            return Err(NotStored::Detached);
        }
        if self.lanes.standing(found.stamp) != Standing::Live {
            return Err(NotStored::Epoch);
        }
        if *absence == Absence::Error {
            return Err(NotStored::Error);
        }
        if reply.is_empty() {
            return Err(NotStored::Large);
        }
        let pttl = pttl.filter(|&ttl| ttl >= -2).ok_or(NotStored::Ttl)?;
        if self.rules.ttl_agrees && !absence.agrees_with(pttl) {
            return Err(NotStored::Ttl);
        }
        let meta = self.meta(&found, *sent_at, pttl, now);
        if now >= meta.deadline {
            return Err(NotStored::Dead);
        }
        let key = self.stored_as(found.ident.key(), reply);
        let entry = Entry::new(&key, &meta, reply);
        let deadline = entry.deadline();
        let dropped = part.store.insert(found.hash, &key, entry);
        drop(part);
        self.counters.evictions.add(dropped.evicted);
        if dropped.refused { Err(NotStored::Refused) } else { Ok(Stored { deadline }) }
    }

    fn meta(&self, flight: &super::flight::Flight<W>, sent_at: u64, pttl: i64, now: u64) -> Meta {
        let ttl_only = self.lanes.stamp(super::LaneId(flight.stamp.lane)).1 == Phase::TtlOnly;
        let mut life = flight.settings.max_age;
        if pttl == -2 {
            life = life.min(flight.settings.negative_max_age);
        }
        if ttl_only {
            life = life.min(self.tuned.ttl_mode_max_age());
        }
        // The upstream executed PTTL after `sent_at`, so the key lives until this moment at least.
        let from = if self.rules.from_send_time { sent_at } else { now };
        let expiry = match u64::try_from(pttl) {
            Ok(ms) => Expiry::At(from.saturating_add(ms.saturating_mul(NS_PER_MS))),
            Err(_) => Expiry::Never,
        };
        let mut deadline = from.saturating_add(life);
        if let (Expiry::At(at), true) = (expiry, self.rules.ttl_limits) {
            deadline = deadline.min(at);
        }
        Meta { stamp: flight.stamp, deadline, expiry, stored_at: now }
    }

    /// The reply of this flight must not be stored: `CLIENT CACHING YES` was refused, for one.
    pub fn spoil(&self, flight: FlightRef) {
        if let Some(shard) = self.shards.get(flight.shard as usize) {
            shard.lock().flights.spoil(flight);
        }
    }

    /// The fetch could not be appended, or its lane was lost before the reply. Returns those who
    /// joined, to be served otherwise.
    #[must_use = "the joiners wait for the reply"]
    pub fn failed(&self, flight: FlightRef) -> Vec<W> {
        let Some(shard) = self.shards.get(flight.shard as usize) else { return Vec::new() };
        shard.lock().flights.remove(flight).map_or(Vec::new(), |flight| flight.joiners)
    }
}
