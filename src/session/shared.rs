//! What all sessions share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering::Relaxed};

use arc_swap::ArcSwap;

use super::bus::Bus;
use super::clients::Clients;
use super::large_keys::LargeKeys;
use super::monitor::Monitors;
use crate::clock::Clock;
use crate::memory::Engine;
use crate::near::{Policy, Rules};
use crate::settings::Settings;
use crate::stats::Stats;
use crate::upstream::{Audience, Broadcast, Hub, Node, Pool, Router};

/// Handed to every session by the server.
pub struct Shared {
    /// The configuration in force; one snapshot per batch.
    pub settings: ArcSwap<Settings>,
    /// Raised when another configuration has been put in force: cheaper to look at.
    pub version: AtomicU64,
    /// The options by name, as they were written.
    pub options: Arc<dyn Options>,
    /// How keys are cached, by the same configuration.
    pub policy: ArcSwap<Policy>,
    /// All rules of coherence, outside of tests.
    #[doc(hidden)]
    pub rules: Rules,
    /// Where everything is counted.
    pub stats: Arc<Stats>,
    /// The time.
    pub clock: Clock,
    /// Who is connected.
    pub clients: Clients,
    /// Redis; none: memory only.
    pub upstream: Option<Upstream>,
    /// The keys, when there is no Redis.
    pub memory: Option<Arc<Engine>>,
    /// Who monitors.
    pub monitors: Monitors,
    /// The clients that track.
    pub audience: Arc<Audience>,
    /// The subscriptions, when there is no Redis.
    pub bus: Bus,
    /// Bytes held by the buffers of all clients.
    pub buffers: Budget,
    /// 40 hex digits chosen at start.
    pub run_id: String,
    /// The first TCP port that we listen on; 0 for none.
    pub tcp_port: AtomicU16,
    /// The file that the configuration came from.
    pub config_file: String,
}

/// The configuration by name, for NEARCACHE CONFIG. Reading and checking it is the business of layers above
/// the session, which implement this.
pub trait Options: Send + Sync {
    /// Every option with its value in force, passwords hidden.
    fn all(&self) -> Vec<(String, String)>;

    /// Sets these options, all or none of them, and puts them in force; or says what is wrong, as the text
    /// of an error reply.
    fn set(&self, shared: &Shared, changes: &[(String, String)]) -> Result<(), String>;
}

/// One upstream and the ways to it.
pub struct Upstream {
    /// Which lane a request takes.
    pub router: Router,
    /// The node that the lanes lead to.
    pub node: Arc<Node>,
    /// Connections for single clients.
    pub pool: Arc<Pool>,
    /// Subscriptions.
    pub hub: Arc<Hub>,
    /// What is told to clients that track by prefix.
    pub broadcast: Arc<Broadcast>,
    /// The database in which every client begins.
    pub first_db: u32,
    /// Keys whose reads do not belong on the lane.
    pub large: LargeKeys,
}

impl Shared {
    /// Whether a client whose buffers have just grown to `held` is to be disconnected: all together hold more
    /// than they may, and this one more than its share.
    pub fn is_too_much(&self, held: usize) -> bool {
        let budget = self.settings.load().server.client_buffers;
        self.buffers.used() > budget && held > budget / self.clients.len().max(1)
    }

    /// Disconnects those who hold most, until the rest fits; how many.
    pub fn relieve(&self) -> usize {
        let budget = self.settings.load().server.client_buffers;
        if self.buffers.used() > budget { self.clients.close_largest(budget) } else { 0 }
    }
}

/// A bound that many share.
#[derive(Default)]
pub struct Budget {
    used: AtomicUsize,
}

impl Budget {
    /// Replaces one holder's share.
    pub fn change(&self, before: usize, after: usize) {
        if after >= before {
            self.used.fetch_add(after - before, Relaxed);
        } else {
            self.used.fetch_sub(before - after, Relaxed);
        }
    }

    /// What all hold together.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}
