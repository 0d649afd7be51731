//! What L1 needs from time to time: dead entries reclaimed, the upstream looked at, hot keys kept warm.

use crate::clock::Nanos;
use crate::session::Shared;
use crate::upstream::Node;

/// Records looked at by one sweep, ten times a second: a million dead entries are gone in a few seconds,
/// and a sweep is over in about a millisecond.
const SWEPT_AT_ONCE: usize = 32_768;

/// Seconds between looks at the upstream's role and statistics: the bound for a SWAPDB made elsewhere.
/// They cost the upstream some tens of microseconds each.
const LOOK_EVERY: u64 = 5;

/// Keys of one shard of L1 that are kept warm in one round: those used last.
const WARM_PER_SHARD: usize = 256;

/// Where it stands.
#[derive(Default)]
pub struct NearKeeper {
    swept: usize,
    warmed: usize,
    /// Shards due to be kept warm, in parts of one.
    due: f64,
    seconds: u64,
}

impl NearKeeper {
    /// Reclaims what nobody touches any more.
    pub fn sweep(&mut self, node: &Node, now: Nanos) {
        node.lane.l1().sweep(&mut self.swept, now, SWEPT_AT_ONCE);
    }

    /// What is done once a second.
    pub fn each_second(&mut self, node: &Node, shared: &Shared) {
        if self.seconds.is_multiple_of(LOOK_EVERY) {
            node.look_around();
        }
        self.seconds += 1;
        let settings = shared.settings.load();
        if !settings.cache.enabled {
            return;
        }
        if let Some(period) = settings.cache.keep_warm
            && node.vigil.evicts()
        {
            self.keep_warm(node, shared, period.as_secs_f64().max(1.0));
        }
    }

    /// Touches the keys of so many shards that all have had their turn within `period`.
    fn keep_warm(&mut self, node: &Node, shared: &Shared, period: f64) {
        let l1 = node.lane.l1();
        self.due += l1.shard_count() as f64 / period;
        while self.due >= 1.0 {
            self.due -= 1.0;
            let mut keys = Vec::new();
            l1.hot_keys(&mut self.warmed, WARM_PER_SHARD, |db, key| keys.push((db, key.to_vec())));
            shared.stats.l1.kept_warm.add(keys.len() as u64);
            node.keep_warm(keys);
        }
    }
}
