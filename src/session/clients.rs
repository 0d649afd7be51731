//! Who is connected: what CLIENT LIST shows and CLIENT KILL acts on.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed,
};

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};

use crate::clock::Nanos;
use crate::command;
use crate::memory::Unblocker;
use crate::upstream::{Close, Inbox, Listener};

/// One connected client, as others see it. Its session keeps it up to date, once per batch: what is looked at
/// or changed then is in one cache line.
#[repr(C, align(64))]
pub struct Client {
    /// Unique for the life of the process.
    pub id: u64,
    /// Its session's inbox.
    pub inbox: Arc<Inbox>,
    /// Last time it sent something.
    pub active: AtomicU64,
    /// Commands queued in MULTI, -1 outside.
    pub multi: AtomicI64,
    /// Bytes read and not executed.
    pub query_bytes: AtomicUsize,
    /// Bytes to be written.
    pub output_bytes: AtomicUsize,
    /// Bytes of its buffers, as charged to the budget of all clients.
    pub held: AtomicUsize,
    /// Selected database.
    pub db: AtomicU32,
    /// The last command's id; `u16::MAX` before the first and for unknown ones.
    pub command: AtomicU16,
    /// 2 or 3.
    pub resp: AtomicU8,
    /// It has been silent for a while and is to give memory back.
    pub silent: AtomicBool,

    /// Where it comes from.
    pub addr: String,
    /// Where it arrived.
    pub laddr: String,
    /// When it connected.
    pub since: Nanos,
    /// Subscriptions to channels, patterns and shard channels.
    pub subscriptions: [AtomicU32; 3],
    /// When it had last sent something when it was told that it is silent.
    told: AtomicU64,
    /// What the client is doing, as the letters of CLIENT LIST.
    pub flags: Mutex<Flags>,
    /// The id upstream of the connection that it blocks on.
    pub blocked_on: Mutex<Option<i64>>,
    /// Ends its wait in a blocking command, when that runs in memory here.
    pub unblock: Mutex<Option<Unblocker>>,
    /// CLIENT TRACKING, while it is on.
    pub listener: Mutex<Option<Arc<Listener>>>,
    /// What it called itself.
    pub words: Mutex<Words>,
}

/// Flags of CLIENT LIST that a session knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags {
    /// `b`: waits in a blocking command.
    pub blocked: bool,
    /// `d`: inside MULTI, EXEC will fail.
    pub dirty: bool,
    /// `P`: subscribed.
    pub subscriber: bool,
    /// `O`: MONITOR.
    pub monitor: bool,
    /// `U`: connected by a unix socket.
    pub unix: bool,
    /// `e`: CLIENT NO-EVICT ON.
    pub no_evict: bool,
    /// `T`: CLIENT NO-TOUCH ON.
    pub no_touch: bool,
}

/// What a client said of itself.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// CLIENT SETNAME
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER
    pub lib_ver: Vec<u8>,
}

/// All connected clients.
#[derive(Default)]
pub struct Clients {
    by_id: DashMap<u64, Arc<Client>>,
    last_id: AtomicU64,
    /// CLIENT PAUSE, while it lasts.
    pause: RwLock<Option<Pause>>,
    /// There may be one: asked per command, without a lock.
    pausing: AtomicBool,
}

/// CLIENT PAUSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When it ends.
    pub until: Nanos,
    /// All commands, or those that may write.
    pub all: bool,
}

impl Client {
    /// A client that has just connected.
    pub fn new(id: u64, addr: String, laddr: String, unix: bool, now: Nanos) -> Arc<Self> {
        Arc::new(Client {
            id,
            addr,
            laddr,
            since: now,
            inbox: Inbox::new(),
            active: AtomicU64::new(now),
            resp: AtomicU8::new(2),
            db: AtomicU32::new(0),
            command: AtomicU16::new(u16::MAX),
            multi: AtomicI64::new(-1),
            subscriptions: Default::default(),
            query_bytes: AtomicUsize::new(0),
            output_bytes: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            told: AtomicU64::new(now),
            flags: Mutex::new(Flags { unix, ..Flags::default() }),
            blocked_on: Mutex::new(None),
            unblock: Mutex::new(None),
            listener: Mutex::new(None),
            words: Mutex::default(),
        })
    }

    /// One line of CLIENT LIST.
    pub fn describe(&self, now: Nanos, out: &mut Vec<u8>) {
        let seconds = |since: Nanos| now.saturating_sub(since) / 1_000_000_000;
        let words = self.words.lock().clone();
        let command = command::by_id(self.command.load(Relaxed)).map_or("NULL", |command| command.name);
        let output = self.output_bytes.load(Relaxed);
        let query = self.query_bytes.load(Relaxed);
        let [sub, psub, ssub] = [0, 1, 2].map(|i| self.subscriptions[i].load(Relaxed));
        let mut text = String::new();
        let _ = write!(
            text,
            "id={} addr={} laddr={} fd=0 name={} age={} idle={} flags={} db={} sub={sub} psub={psub} ssub={ssub} \
             multi={} qbuf={query} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem={output} \
             tot-mem={} events=r cmd={command} user=default redir={} resp={} lib-name={} lib-ver={}",
            self.id,
            self.addr,
            self.laddr,
            String::from_utf8_lossy(&words.name),
            seconds(self.since),
            seconds(self.active.load(Relaxed)),
            self.letters(),
            self.db.load(Relaxed),
            self.multi.load(Relaxed),
            self.held.load(Relaxed).max(query + output),
            self.redirection(),
            self.resp.load(Relaxed),
            String::from_utf8_lossy(&words.lib_name),
            String::from_utf8_lossy(&words.lib_ver),
        );
        out.extend_from_slice(text.as_bytes());
    }

    /// `normal` or `pubsub`, as CLIENT LIST TYPE takes it.
    pub fn kind(&self) -> &'static str {
        if self.flags.lock().subscriber { "pubsub" } else { "normal" }
    }

    /// Whom it wants to be told of invalidations; 0: itself, -1: it does not track.
    fn redirection(&self) -> i64 {
        let listener = self.listener.lock();
        listener.as_ref().map_or(-1, |listener| listener.redirect.as_ref().map_or(0, |(id, _)| *id as i64))
    }

    fn letters(&self) -> String {
        let flags = *self.flags.lock();
        let tracking = self.listener.lock().clone();
        let all = [
            (flags.monitor, 'O'),
            (flags.subscriber, 'P'),
            (self.multi.load(Relaxed) >= 0, 'x'),
            (flags.blocked, 'b'),
            (tracking.is_some(), 't'),
            (tracking.as_ref().is_some_and(|listener| listener.broken.load(Relaxed)), 'R'),
            (tracking.as_ref().is_some_and(|listener| listener.bcast), 'B'),
            (flags.dirty, 'd'),
            (flags.unix, 'U'),
            (flags.no_evict, 'e'),
            (flags.no_touch, 'T'),
        ];
        let letters: String = all.iter().filter(|(set, _)| *set).map(|(_, letter)| letter).collect();
        if letters.is_empty() { "N".into() } else { letters }
    }
}

impl Clients {
    /// The id of the next client.
    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Relaxed) + 1
    }

    /// Adds a client that has connected.
    pub fn add(&self, client: &Arc<Client>) {
        self.by_id.insert(client.id, Arc::clone(client));
    }

    /// Removes a client that has gone.
    pub fn remove(&self, id: u64) {
        if let Some((_, client)) = self.by_id.remove(&id) {
            client.inbox.leave();
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// True when nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The client of this id.
    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.by_id.get(&id).map(|client| Arc::clone(&client))
    }

    /// All clients in the order in which they connected.
    pub fn all(&self) -> Vec<Arc<Client>> {
        let mut all: Vec<_> = self.by_id.iter().map(|client| Arc::clone(&client)).collect();
        all.sort_unstable_by_key(|client| client.id);
        all
    }

    /// Ends those that have been silent for longer than `idle`; how many.
    pub fn close_idle(&self, idle: Nanos, now: Nanos) -> usize {
        let silent = |client: &Client| {
            let flags = *client.flags.lock();
            !flags.blocked
                && !flags.subscriber
                && !flags.monitor
                && now.saturating_sub(client.active.load(Relaxed)) > idle
        };
        let late: Vec<_> = self.all().into_iter().filter(|client| silent(client)).collect();
        late.iter().for_each(|client| client.inbox.close(Close::Idle));
        late.len()
    }

    /// Those that have done nothing since then are to give back what memory they can, once.
    pub fn rest_silent(&self, since: Nanos) {
        for client in &self.by_id {
            let active = client.active.load(Relaxed);
            if active < since && client.told.swap(active, Relaxed) != active {
                client.silent.store(true, Relaxed);
                client.inbox.wake();
            }
        }
    }

    /// Ends those that hold most until the rest holds no more than `budget`; how many.
    pub fn close_largest(&self, budget: usize) -> usize {
        let held = |client: &Client| client.held.load(Relaxed);
        let mut all: Vec<_> = self.all().into_iter().map(|client| (held(&client), client)).collect();
        all.sort_unstable_by_key(|(held, _)| std::cmp::Reverse(*held));
        let mut total: usize = all.iter().map(|(held, _)| held).sum();
        let mut closed = 0;
        for (held, client) in all {
            if total <= budget {
                break;
            }
            total -= held;
            closed += 1;
            // It is as good as gone, and not counted by the next look at all.
            client.held.store(0, Relaxed);
            client.inbox.close(Close::TooMuch);
        }
        closed
    }

    /// The pause that is in force.
    pub fn pause(&self, now: Nanos) -> Option<Pause> {
        if !self.pausing.load(Relaxed) {
            return None;
        }
        self.pause.read().filter(|pause| pause.until > now)
    }

    /// Begins, prolongs or ends a pause; who waits for its end looks again.
    pub fn set_pause(&self, pause: Option<Pause>) {
        self.pausing.store(pause.is_some(), Relaxed);
        *self.pause.write() = pause;
        self.all().iter().for_each(|client| client.inbox.nudge());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_hold_most_are_ended_until_the_rest_fits() {
        let clients = Clients::default();
        let all: Vec<_> = [10, 300, 20, 500, 0, 200]
            .map(|held| {
                let client = Client::new(clients.next_id(), String::new(), String::new(), false, 0);
                client.held.store(held, Relaxed);
                clients.add(&client);
                client
            })
            .into();
        let ended = || all.iter().filter(|client| client.inbox.closed().is_some()).map(|client| client.id);
        assert_eq!(clients.close_largest(1030), 0);
        assert_eq!(clients.close_largest(600), 1);
        assert_eq!(ended().collect::<Vec<_>>(), [4]);
        assert_eq!(clients.close_largest(600), 0, "what is ended is not counted again");
        assert_eq!(clients.close_largest(30), 2);
        assert_eq!(ended().collect::<Vec<_>>(), [2, 4, 6]);
    }
}
