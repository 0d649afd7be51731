//! What is known of each lane's stream: its epoch, its phase, and how fresh it is.
//!
//! The one idea: an entry is void as soon as its lane's epoch differs from the entry's, so dropping
//! everything a lane ever fetched is one atomic store.

use crate::store::Stamp;
use std::sync::atomic::{AtomicU64, Ordering};

/// A lane's number, its index here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LaneId(pub u8);

/// What a lane's entries may be used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Not connected, or not yet tracking: nothing is stored or served.
    Closed = 0,
    /// Pushes arrive: entries are served and stored.
    Tracking = 1,
    /// The upstream cannot track: entries live by TTL alone (rule 9).
    TtlOnly = 2,
    /// Lost: entries are kept for failover, which asks for them explicitly.
    Frozen = 3,
}

/// An entry's standing, seen from its lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// May be served.
    Live,
    /// May be served by failover only.
    Frozen,
    /// Never again.
    Void,
}

/// All lanes, fixed in number so that the hit path reads them without a lock.
pub struct Lanes {
    lanes: Box<[Lane]>,
    /// Raised with every change that may void entries; tells the sweep to look.
    changes: AtomicU64,
}

struct Lane {
    /// Epoch in the high 32 bits, phase in the low 8: read together, so changed together.
    state: AtomicU64,
    /// Send time of the newest command whose reply has been applied (ns).
    confirmed_at: AtomicU64,
}

impl Lanes {
    /// `n` closed lanes.
    pub fn new(n: u8) -> Self {
        let lane = || Lane { state: AtomicU64::new(1 << 32), confirmed_at: AtomicU64::new(0) };
        Lanes { lanes: (0..n).map(|_| lane()).collect(), changes: AtomicU64::new(0) }
    }

    fn state(&self, lane: u8) -> (u32, Phase) {
        let state = self.lanes.get(lane as usize).map_or(0, |lane| lane.state.load(Ordering::Acquire));
        let phase = match state as u8 {
            1 => Phase::Tracking,
            2 => Phase::TtlOnly,
            3 => Phase::Frozen,
            _ => Phase::Closed,
        };
        ((state >> 32) as u32, phase)
    }

    /// The stamp that a fetch created now gets, and the phase that the lane is in.
    pub fn stamp(&self, lane: LaneId) -> (Stamp, Phase) {
        let (epoch, phase) = self.state(lane.0);
        (Stamp { lane: lane.0, epoch }, phase)
    }

    /// What an entry with this stamp may be used for.
    pub fn standing(&self, stamp: Stamp) -> Standing {
        let (epoch, phase) = self.state(stamp.lane);
        match phase {
            _ if epoch != stamp.epoch => Standing::Void,
            Phase::Tracking | Phase::TtlOnly => Standing::Live,
            Phase::Frozen => Standing::Frozen,
            Phase::Closed => Standing::Void,
        }
    }

    /// Changes a lane's phase; a new epoch voids everything it fetched before.
    pub fn set(&self, lane: LaneId, phase: Option<Phase>, new_epoch: bool) {
        let Some(lane) = self.lanes.get(lane.0 as usize) else { return };
        let change = |state: u64| {
            let epoch = ((state >> 32) as u32).wrapping_add(u32::from(new_epoch));
            Some(u64::from(epoch) << 32 | phase.map_or(state & 0xFF, |phase| phase as u64))
        };
        // Sessions bump at enqueue while the reader bumps at reply: neither may be lost.
        let _ = lane.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Counts changes that may have voided entries.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// A reply was applied to a command sent then: the stream was alive at that moment.
    pub fn confirm(&self, lane: LaneId, sent_at: u64) {
        if let Some(lane) = self.lanes.get(lane.0 as usize) {
            lane.confirmed_at.fetch_max(sent_at, Ordering::AcqRel);
        }
    }

    /// Send time of the newest command answered.
    pub fn confirmed_at(&self, lane: LaneId) -> u64 {
        self.lanes.get(lane.0 as usize).map_or(0, |lane| lane.confirmed_at.load(Ordering::Acquire))
    }
}
