//! Clients that wait for a key: BLPOP and its kin.
//!
//! A waiter stands in the queue of each of its keys, under a number that grows, so that who came first
//! is served first. It is served by whoever creates the key, while that one still holds the locks: no
//! third client can come between, as none can in Redis. Serving claims the waiter by taking its reply
//! sender; a timeout, a disconnect and a second key's creator claim it the same way, so exactly one of
//! them wins. What is left of it in its other queues is claimed already and skipped; `Blocked` removes it.
//!
//! A waiter that pushes what it gets to a second key (BLMOVE) needs that key's shard too, and serving it
//! may make others ready in turn. The shard counts such `movers`; a writing command that finds one in
//! its shards locks all shards instead (see `engine`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::engine::{Caller, Engine};
use super::shard::{Shard, ShardSet};
use super::table::hash;
use super::view::Keys;
use super::{groupread, listblock, streamblock, zsetblock};
use crate::resp::{Proto, Writer};
use crate::timers;

/// What a waiter does when its turn comes.
pub enum Wait {
    /// BLPOP, BRPOP.
    ListPop {
        /// From which end.
        front: bool,
    },
    /// BLMPOP.
    ListPopMany {
        /// From which end.
        front: bool,
        /// At most this many.
        count: usize,
    },
    /// BLMOVE, BRPOPLPUSH.
    ListMove {
        /// The list that gets it.
        to: Box<[u8]>,
        /// Taken from which end.
        from_front: bool,
        /// Put at which end.
        to_front: bool,
    },
    /// BZPOPMIN, BZPOPMAX.
    ZSetPop {
        /// The lowest score.
        min: bool,
    },
    /// BZMPOP.
    ZSetPopMany {
        /// The lowest scores.
        min: bool,
        /// At most this many.
        count: usize,
    },
    /// XREAD BLOCK.
    Stream(streamblock::Read),
    /// XREADGROUP BLOCK.
    Group(groupread::GroupRead),
}

/// What a command asks for when it finds nothing.
pub struct WaitRequest {
    /// Any of these will do.
    pub keys: Vec<Box<[u8]>>,
    /// What then happens.
    pub wait: Wait,
    /// None: for ever.
    pub timeout: Option<Duration>,
}

/// A client in the queues.
pub struct Waiter {
    number: u64,
    db: usize,
    /// Who waits, for the listener.
    client: u64,
    /// How its reply is to be written.
    pub proto: Proto,
    keys: Vec<Box<[u8]>>,
    /// What it wants.
    pub wait: Wait,
    /// Whoever takes the sender decides how the wait ends.
    reply: Mutex<Option<oneshot::Sender<Bytes>>>,
}

impl Waiter {
    fn claim(&self) -> Option<oneshot::Sender<Bytes>> {
        self.reply.lock().take()
    }

    /// True when the client still waits and can be told.
    fn waits(&self) -> bool {
        self.reply.lock().as_ref().is_some_and(|reply| !reply.is_closed())
    }
}

/// Puts a waiter into the queues of its keys, whose shards are locked.
pub fn enqueue(engine: &Arc<Engine>, keys: &mut Keys, caller: &Caller, request: WaitRequest) -> Blocked {
    /// In which order clients came to wait, over all keys.
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    let (sender, receiver) = oneshot::channel();
    let waiter = Arc::new(Waiter {
        number: NUMBERS.fetch_add(1, Ordering::Relaxed),
        db: keys.db,
        client: caller.client,
        proto: caller.proto,
        keys: request.keys,
        wait: request.wait,
        reply: Mutex::new(Some(sender)),
    });
    for key in &waiter.keys {
        let shard = keys.locked.shard(engine.shards().of(hash(key)));
        let queue = shard.dbs[waiter.db].waiting.entry(key.clone()).or_default();
        let new = queue.insert(waiter.number, waiter.clone()).is_none();
        if new {
            count(shard, &waiter.wait, 1);
        }
    }
    let deadline = request.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    Blocked { engine: engine.clone(), waiter, receiver, deadline, queued: true }
}

fn dequeue(shard: &mut Shard, waiter: &Waiter, key: &[u8]) {
    let waiting = &mut shard.dbs[waiter.db].waiting;
    let Some(queue) = waiting.get_mut(key) else { return };
    let removed = queue.remove(&waiter.number).is_some();
    if queue.is_empty() {
        waiting.remove(key);
    }
    if removed {
        count(shard, &waiter.wait, -1);
    }
}

/// Keeps the shard's counts of waiters of certain kinds.
fn count(shard: &mut Shard, wait: &Wait, by: isize) {
    let counter = match wait {
        Wait::ListMove { .. } => &mut shard.movers,
        Wait::Group(_) => &mut shard.readers,
        _ => return,
    };
    *counter = counter.saturating_add_signed(by);
}

/// Serves those who wait for keys that have come to be, and those whom that makes ready in turn.
pub fn serve(engine: &Engine, keys: &mut Keys) {
    while let Some((db, key)) = keys.ready.pop_front() {
        keys.in_db(db, |keys| serve_key(engine, keys, &key));
    }
}

fn serve_key(engine: &Engine, keys: &mut Keys, key: &[u8]) {
    let shard = engine.shards().of(hash(key));
    let mut from = 0;
    loop {
        let db = keys.db;
        let queue = keys.locked.shard(shard).dbs[db].waiting.get(key);
        let Some(waiter) = queue.and_then(|queue| queue.range(from..).next()).map(|(_, w)| w.clone()) else {
            return;
        };
        from = waiter.number + 1;
        if !waiter.waits() {
            dequeue(keys.locked.shard(shard), &waiter, key);
            continue;
        }
        if !has_something(keys, key, &waiter) {
            // Another kind of waiter may be behind this one; with the key gone there is nothing to find, but
            // for those who are told just that.
            if !keys.exists(key) && keys.locked.shard(shard).readers == 0 {
                return;
            }
            continue;
        }
        let Some(reply) = waiter.claim() else { continue };
        dequeue(keys.locked.shard(shard), &waiter, key);
        let mut out = BytesMut::new();
        let mut writer = Writer::new(&mut out, waiter.proto);
        let client = std::mem::replace(&mut keys.client, waiter.client);
        serve_waiter(keys, key, &waiter.wait, &mut writer);
        keys.client = client;
        // A client that left just now loses what it got, as it would with the reply on the wire.
        let _ = reply.send(out.freeze());
    }
}

fn has_something(keys: &mut Keys, key: &[u8], waiter: &Waiter) -> bool {
    match &waiter.wait {
        Wait::ListPop { .. } | Wait::ListPopMany { .. } | Wait::ListMove { .. } => {
            listblock::has_something(keys, key)
        }
        Wait::ZSetPop { .. } | Wait::ZSetPopMany { .. } => zsetblock::has_something(keys, key),
        Wait::Stream(read) => streamblock::has_something(keys, key, read),
        Wait::Group(read) => groupread::has_something(keys, key, read),
    }
}

fn serve_waiter(keys: &mut Keys, key: &[u8], wait: &Wait, w: &mut Writer) {
    match wait {
        Wait::ListPop { front } => listblock::serve_pop(keys, key, *front, w),
        Wait::ListPopMany { front, count } => listblock::serve_pop_many(keys, key, *front, *count, w),
        Wait::ListMove { to, from_front, to_front } => {
            listblock::serve_move(keys, key, to, *from_front, *to_front, w);
        }
        Wait::ZSetPop { min } => zsetblock::serve_pop(keys, key, *min, w),
        Wait::ZSetPopMany { min, count } => zsetblock::serve_pop_many(keys, key, *min, *count, w),
        Wait::Stream(read) => streamblock::serve(keys, key, read, w),
        Wait::Group(read) => groupread::serve(keys, key, read, w),
    }
}

/// Ends a wait from outside: CLIENT UNBLOCK.
pub struct Unblocker(Arc<Waiter>);

impl Unblocker {
    /// Wakes the client with the reply of a timeout, or with an error. False if it waits no more.
    pub fn unblock(&self, error: bool) -> bool {
        let Some(reply) = self.0.claim() else { return false };
        let text = if error { super::engine::unblocked_error() } else { timeout_reply(&self.0) };
        reply.send(text).is_ok()
    }
}

/// A client's wait, for its session to await. Dropping it ends the wait.
pub struct Blocked {
    engine: Arc<Engine>,
    waiter: Arc<Waiter>,
    receiver: oneshot::Receiver<Bytes>,
    deadline: Option<Instant>,
    queued: bool,
}

impl Blocked {
    /// The reply: what was waited for, or after the timeout the null that says so. Cancel safe; to be
    /// called again only if it was cancelled.
    pub async fn wait(&mut self) -> Bytes {
        let served = match self.deadline {
            None => (&mut self.receiver).await.ok(),
            Some(deadline) => match timers::timeout_at(deadline, &mut self.receiver).await {
                Ok(served) => served.ok(),
                Err(_) => self.give_up(),
            },
        };
        self.leave();
        served.unwrap_or_else(|| self.timeout_reply())
    }

    /// Ends the wait (CLIENT UNBLOCK). Gives the reply if the client has just been served after all; it
    /// must be delivered.
    pub fn give_up(&mut self) -> Option<Bytes> {
        let claimed = self.waiter.claim().is_some();
        // Who serves holds the lock until the reply is sent: when it can be had, the reply is there.
        self.leave();
        if claimed { None } else { self.receiver.try_recv().ok() }
    }

    /// What Redis answers when the time is over.
    pub fn timeout_reply(&self) -> Bytes {
        timeout_reply(&self.waiter)
    }

    /// For others, to end the wait.
    pub fn unblocker(&self) -> Unblocker {
        Unblocker(self.waiter.clone())
    }

    fn leave(&mut self) {
        if !std::mem::take(&mut self.queued) {
            return;
        }
        let shards = self.engine.shards();
        let of = |key: &[u8]| shards.of(hash(key));
        let set = self.waiter.keys.iter().fold(ShardSet::default(), |set, key| set.with(of(key)));
        let mut locked = shards.lock(set);
        for key in &self.waiter.keys {
            dequeue(locked.shard(of(key)), &self.waiter, key);
        }
    }
}

fn timeout_reply(waiter: &Waiter) -> Bytes {
    let mut out = BytesMut::new();
    Writer::new(&mut out, waiter.proto).null_array();
    out.freeze()
}

impl Drop for Blocked {
    fn drop(&mut self) {
        self.waiter.claim();
        self.leave();
    }
}
