//! Upstream connections that serve one client at a time: what blocks, watches, streams or is unknown.
//!
//! Each cause has a quota, and an exhausted quota is an error at once: a wait could be one on somebody
//! who waits for us.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing::warn;

use super::handshake::greet;
use super::hub::is_worth_saying;
use super::node::{Node, OpenError};
use super::wire::{Wire, WireError};
use crate::resp::Proto;
use crate::stats::{PinnedCounters, Stats};
use crate::timers;

/// Idle connections kept per protocol version: enough for a steady mix of blocking clients, few
/// enough not to be noticed in `maxclients`.
const MAX_IDLE: usize = 16;

/// Why a client needs a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// BLPOP and its kind.
    Blocking,
    /// WATCH, up to EXEC.
    Watch,
    /// MULTI with something that cannot be sent as one block.
    Transaction,
    /// WAIT.
    Wait,
    /// A command that the table does not know.
    Unknown,
    /// A request or reply above `bulk_threshold`.
    Bulk,
    /// SCRIPT KILL, FUNCTION KILL: the lane waits behind the script that is to be killed.
    ScriptKill,
}

/// How many connections may be in use at once. Blocking ones are held for long; transactions and
/// bulk transfers must not be starved by them.
#[derive(Clone, Copy, Debug)]
pub struct Quotas {
    /// For BLPOP and its kind, WAIT.
    pub blocking: usize,
    /// For WATCH, MULTI and unknown commands.
    pub transaction: usize,
    /// For large requests and replies.
    pub bulk: usize,
}

/// The pool of one node.
pub struct Pool {
    node: Arc<Node>,
    quotas: Quotas,
    in_use: [AtomicUsize; 3],
    idle: Mutex<Vec<Idle>>,
    /// Attempts to open one that have failed since the last success.
    failures: AtomicU32,
    stats: Arc<Stats>,
}

struct Idle {
    wire: Wire,
    /// Its last user may have changed its state: RESET before the next.
    unknown: bool,
    proto: Proto,
    db: u32,
    id: i64,
}

/// A connection that one session holds. Dropping it closes it.
pub struct Pinned {
    /// The socket and what was read ahead.
    pub wire: Wire,
    /// The version spoken on it: the client's.
    pub proto: Proto,
    /// The database it is in.
    pub db: u32,
    /// Its client id upstream.
    pub id: i64,
    /// What it was taken for.
    pub cause: Cause,
    /// Whether its last reply is awaited.
    pub ending: Ending,
    permit: Permit,
}

/// How a wait is ended whose client has said its last word. Such a connection serves nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is not.
    No,
    /// By so many CLIENT UNBLOCKs, sent on the lane.
    Asked(u32),
    /// By closing our sending side.
    Shut,
}

/// One use of a quota.
struct Permit {
    pool: Arc<Pool>,
    group: usize,
}

/// Why a client gets no connection of its own.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The quota is used up.
    #[error("ERR nearcache: all {0} upstream connections for this kind of command are in use ({1})")]
    Exhausted(usize, &'static str),
    /// The upstream is away.
    #[error("MASTERDOWN upstream is unreachable; the command was not sent ({0})")]
    Unreachable(#[from] OpenError),
    /// The database cannot be selected there.
    #[error("{0}")]
    Select(String),
}

impl Pool {
    /// An empty pool.
    pub fn new(node: Arc<Node>, quotas: Quotas, stats: Arc<Stats>) -> Arc<Self> {
        let (in_use, idle, failures) = Default::default();
        Arc::new(Pool { node, quotas, in_use, idle, failures, stats })
    }

    /// A connection in this version and database, idle or new.
    pub async fn acquire(self: &Arc<Self>, proto: Proto, db: u32, cause: Cause) -> Result<Pinned, PoolError> {
        let permit = self.permit(cause)?;
        self.stats.pinned.acquired.inc();
        cause.counter(&self.stats.pinned).inc();
        let (wire, id, at) = match self.take_idle(proto).await {
            Some(idle) => (idle.wire, idle.id, idle.db),
            None => {
                let (wire, id) = self.open(proto).await?;
                (wire, id, 0)
            }
        };
        let mut pinned = Pinned { wire, proto, db: at, id, cause, ending: Ending::No, permit };
        if pinned.db != db {
            pinned.select(db).await?;
        }
        Ok(pinned)
    }

    /// Takes a connection back for the next client: no transaction, no watch, no reply owed. What an
    /// unknown command may have changed is undone by RESET before the next use.
    pub fn release(&self, pinned: Pinned) {
        let unknown = pinned.cause == Cause::Unknown;
        let Pinned { wire, proto, db, id, permit, ending, .. } = pinned;
        let mut idle = self.idle.lock();
        if ending == Ending::No
            && wire.read.is_empty()
            && idle.iter().filter(|other| other.proto == proto).count() < MAX_IDLE
        {
            idle.push(Idle { wire, unknown, proto, db, id });
            self.stats.pinned.idle.set(idle.len() as u64);
        }
        drop(idle);
        drop(permit);
    }

    /// Closes idle connections: after a failover or a change of credentials.
    pub fn clear(&self) {
        self.idle.lock().clear();
        self.stats.pinned.idle.set(0);
    }

    fn permit(self: &Arc<Self>, cause: Cause) -> Result<Permit, PoolError> {
        let (group, limit, option) = match cause {
            Cause::Blocking | Cause::Wait => (0, self.quotas.blocking, "upstream.blocking_connections"),
            Cause::Watch | Cause::Transaction | Cause::Unknown | Cause::ScriptKill => {
                (1, self.quotas.transaction, "upstream.transaction_connections")
            }
            Cause::Bulk => (2, self.quotas.bulk, "upstream.bulk_connections"),
        };
        if self.in_use[group].fetch_add(1, Relaxed) >= limit {
            self.in_use[group].fetch_sub(1, Relaxed);
            self.stats.pinned.exhausted.inc();
            return Err(PoolError::Exhausted(limit, option));
        }
        self.stats.pinned.in_use.inc();
        Ok(Permit { pool: Arc::clone(self), group })
    }

    async fn take_idle(&self, proto: Proto) -> Option<Idle> {
        loop {
            let mut found = {
                let mut idle = self.idle.lock();
                let place = idle.iter().rposition(|idle| idle.proto == proto)?;
                let found = idle.swap_remove(place);
                self.stats.pinned.idle.set(idle.len() as u64);
                found
            };
            let stale = std::future::poll_fn(|cx| std::task::Poll::Ready(found.wire.is_stale(cx))).await;
            if !stale && (!found.unknown || self.reset(&mut found).await.is_ok()) {
                return Some(found);
            }
        }
    }

    async fn reset(&self, idle: &mut Idle) -> Result<(), WireError> {
        let target = self.node.target.load_full();
        idle.wire.call(&[b"RESET"]).await?;
        greet(&mut idle.wire, idle.proto, &target.credentials).await?;
        (idle.unknown, idle.db) = (false, 0);
        Ok(())
    }

    /// Opens a connection. If that fails it is said in the log as well: the lane may go on with a password that
    /// is not the right one any more.
    async fn open(&self, proto: Proto) -> Result<(Wire, i64), OpenError> {
        let opened = self.greeted(proto).await;
        match &opened {
            Ok(_) => {
                self.failures.store(0, Relaxed);
                self.stats.pinned.connects.inc();
            }
            Err(error) => {
                let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
                self.stats.pinned.connect_failures.inc();
                if is_worth_saying(failures) {
                    warn!(%error, failures, "no connection of its own for a client");
                }
            }
        }
        opened
    }

    async fn greeted(&self, proto: Proto) -> Result<(Wire, i64), OpenError> {
        let target = self.node.target.load_full();
        let mut wire = self.node.dial().await.map_err(OpenError::Connect)?;
        let limit = target.connect.timeout;
        let welcome = timers::timeout(limit, greet(&mut wire, proto, &target.credentials))
            .await
            .map_err(|_| OpenError::Slow(limit))??;
        Ok((wire, welcome.client_id))
    }
}

impl Pinned {
    /// Moves the connection to another database.
    pub async fn select(&mut self, db: u32) -> Result<(), PoolError> {
        match self.wire.call(&[b"SELECT", db.to_string().as_bytes()]).await {
            Ok(_) => self.db = db,
            Err(WireError::Refused(text)) => return Err(PoolError::Select(text)),
            Err(error) => return Err(PoolError::Unreachable(error.into())),
        }
        Ok(())
    }

    /// Closes it in the middle of a command: the next lane makes sure that it is dead upstream too.
    pub fn abandon(self) {
        self.permit.pool.node.bury(self.id);
    }

    /// Gives it back for the next client.
    pub fn release(self) {
        let pool = Arc::clone(&self.permit.pool);
        pool.release(self);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pool.in_use[self.group].fetch_sub(1, Relaxed);
        self.pool.stats.pinned.in_use.dec();
    }
}

impl Cause {
    fn counter(self, counters: &PinnedCounters) -> &crate::stats::Counter {
        match self {
            Cause::Blocking => &counters.for_blocking,
            Cause::Watch => &counters.for_watch,
            Cause::Transaction => &counters.for_transaction,
            Cause::Wait => &counters.for_wait,
            Cause::Unknown => &counters.for_unknown,
            Cause::Bulk => &counters.for_bulk,
            Cause::ScriptKill => &counters.for_script_kill,
        }
    }
}
