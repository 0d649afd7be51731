//! The lane's queue: requests of all sessions in one total order, and what is owed for each.
//!
//! Sessions append whole batches under one short lock; the lane's task takes the bytes to write and
//! the list of what is pending. Nothing here knows a socket, so every order and every loss can be
//! tested alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::inbox::{Event, Inbox, Loss};
use crate::clock::Nanos;

/// Unsent bytes above which sessions wait before they append more. Large enough for any sensible
/// batch of 1,000 clients, small enough that a stalled upstream costs little memory.
pub const MAX_UNSENT: usize = 64 << 20;

/// Who gets the reply of one request.
#[derive(Clone)]
pub enum To {
    /// The session that asked.
    Session(Arc<Inbox>),
    /// The same, and the reply tells whether this database exists.
    SelectedBy(Arc<Inbox>, u32),
    /// A fence: the reply only says that everything before it has been applied.
    Fence(Arc<Inbox>),
    /// Nobody: a heartbeat.
    Nobody,
}

/// What may be done with a request whose connection was lost after it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It reads only: once more on the next connection.
    Once,
    /// It has been repeated already.
    Spent,
    /// It may change something: never.
    Never,
}

/// One request on the lane and what is owed for it.
#[derive(Clone)]
pub struct Pending {
    /// Who gets the reply.
    pub to: To,
    /// The session's slot.
    pub seq: u64,
    /// When the session asked: the lane's freshness is counted from here.
    pub at: Nanos,
    /// Length of the request in bytes, the prefix excluded.
    pub len: u32,
    /// Bytes of the SELECT that was put before it; its `+OK` is one of `swallow`.
    pub prefix: u8,
    /// Replies to drop before the one that counts (SELECT, MULTI, one QUEUED per command).
    pub swallow: u32,
    /// The database it must run in.
    pub db: u32,
    /// What may be done if the connection is lost.
    pub retry: Retry,
    /// It contains a SELECT: behind it the lane's database is unknown.
    pub moves_db: bool,
}

/// Requests of one session, collected and then appended at once.
#[derive(Default)]
pub struct Batch {
    /// The requests, as they go over the wire.
    pub bytes: BytesMut,
    /// One row for each.
    pub pending: Vec<Pending>,
}

impl Batch {
    /// Adds one request; `raw` is its bytes.
    pub fn push(&mut self, raw: &[u8], pending: Pending) {
        // A request without bytes would be owed a reply that never comes, and every later reply of the
        // lane would go to the wrong client.
        assert!(!raw.is_empty() && raw.len() == pending.len as usize, "a request and its length");
        self.bytes.extend_from_slice(raw);
        self.pending.push(pending);
    }

    /// Adds a fence: a PING whose answer says that everything before it has been applied.
    pub fn fence(&mut self, inbox: &Arc<Inbox>, seq: u64, now: Nanos) {
        self.push(PING, Pending::ping(To::Fence(Arc::clone(inbox)), seq, now));
    }

    /// Where the batch stands.
    pub fn mark(&self) -> (usize, usize) {
        (self.bytes.len(), self.pending.len())
    }

    /// Forgets what was added since.
    pub fn rewind(&mut self, (bytes, pending): (usize, usize)) {
        self.bytes.truncate(bytes);
        self.pending.truncate(pending);
    }

    /// True when there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Why the lane takes nothing more at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much is unsent: wait for a nudge and try again.
    Full,
    /// The upstream has been away for longer than `down_after`.
    Down,
}

/// How the lane stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Connected, tracked, answering.
    Up,
    /// Not connected, but not for long: requests wait for the next connection.
    Suspect,
    /// Not connected for `down_after` and more: requests are refused.
    Down,
}

/// The shared half of the lane, behind its lock.
pub struct Queue {
    status: Status,
    /// Since when the status is what it is.
    since: Nanos,
    /// Bytes not yet taken for writing.
    unsent: BytesMut,
    /// Requests not yet taken by the lane's task, in the order of `unsent` (their bytes may have been
    /// taken already).
    pending: VecDeque<Pending>,
    /// The database that the connection will be in behind the last request; unknown after a SELECT
    /// whose answer we do not have.
    db: Option<u32>,
    /// Databases whose SELECT was answered with +OK on this connection. Only these may be used: a
    /// pipelined `SELECT 99; SET k v` would write into the database selected before.
    valid_dbs: BTreeSet<u32>,
    /// The lane's task, when it sleeps.
    waker: Option<Waker>,
    /// Sessions that found the queue full.
    waiting: Vec<Arc<Inbox>>,
}

impl Queue {
    /// A queue that waits for its first connection.
    pub fn new(now: Nanos) -> Self {
        Queue {
            status: Status::Suspect,
            since: now,
            unsent: BytesMut::new(),
            pending: VecDeque::new(),
            db: None,
            valid_dbs: BTreeSet::from([0]),
            waker: None,
            waiting: Vec::new(),
        }
    }

    /// How the lane stands and since when.
    pub fn status(&self) -> (Status, Nanos) {
        (self.status, self.since)
    }

    /// Whether a SELECT of this database has been answered with +OK on this connection.
    pub fn knows_db(&self, db: u32) -> bool {
        self.valid_dbs.contains(&db)
    }

    /// Appends a batch, which is then empty, or says why not and leaves it as it was. A waker that
    /// is handed out must be woken once the lock is released.
    pub fn append(&mut self, batch: &mut Batch, inbox: &Arc<Inbox>) -> Result<Option<Waker>, Refused> {
        if self.status == Status::Down {
            return Err(Refused::Down);
        }
        if !self.unsent.is_empty() && self.unsent.len() + batch.bytes.len() > MAX_UNSENT {
            self.waiting.push(Arc::clone(inbox));
            return Err(Refused::Full);
        }
        let mut start = 0;
        let mut copied = 0;
        for mut pending in batch.pending.drain(..) {
            if self.db != Some(pending.db) {
                self.unsent.extend_from_slice(&batch.bytes[copied..start]);
                copied = start;
                self.select(&mut pending);
            }
            start += pending.len as usize;
            if pending.moves_db {
                self.db = None;
            }
            self.pending.push_back(pending);
        }
        self.unsent.extend_from_slice(&batch.bytes[copied..]);
        batch.bytes.clear();
        Ok(self.waker.take())
    }

    /// Puts a SELECT before `pending`. A validating SELECT itself needs none: it is sent from
    /// whatever database the lane is in.
    fn select(&mut self, pending: &mut Pending) {
        if matches!(pending.to, To::SelectedBy(..) | To::Fence(_) | To::Nobody) {
            return;
        }
        let before = self.unsent.len();
        let digits = itoa::Buffer::new().format(pending.db).to_owned();
        self.unsent
            .extend_from_slice(format!("*2\r\n$6\r\nSELECT\r\n${}\r\n{digits}\r\n", digits.len()).as_bytes());
        pending.prefix = (self.unsent.len() - before) as u8;
        pending.swallow += 1;
        self.db = Some(pending.db);
    }

    /// Adds a PING of our own.
    pub fn heartbeat(&mut self, now: Nanos) {
        self.unsent.extend_from_slice(PING);
        self.pending.push_back(Pending::ping(To::Nobody, 0, now));
    }

    /// Takes the unsent bytes, giving `empty` in exchange; registers the task's waker if there are
    /// none. Sessions that wait for room are handed out to be nudged.
    pub fn take_unsent(&mut self, empty: &mut BytesMut, waker: &Waker) -> Vec<Arc<Inbox>> {
        debug_assert!(empty.is_empty());
        if self.unsent.is_empty() {
            match &mut self.waker {
                Some(old) => old.clone_from(waker),
                None => self.waker = Some(waker.clone()),
            }
            return Vec::new();
        }
        std::mem::swap(&mut self.unsent, empty);
        std::mem::take(&mut self.waiting)
    }

    /// Moves what is pending to the reader's own list.
    pub fn take_pending(&mut self, into: &mut VecDeque<Pending>) {
        if into.is_empty() {
            std::mem::swap(&mut self.pending, into);
        } else {
            into.append(&mut self.pending);
        }
    }

    /// A SELECT of this database has been answered with +OK.
    pub fn db_exists(&mut self, db: u32) {
        self.valid_dbs.insert(db);
    }

    /// The connection is gone: nothing more is sent until `connected`.
    pub fn disconnected(&mut self, now: Nanos) {
        if self.status == Status::Up {
            (self.status, self.since) = (Status::Suspect, now);
        }
        self.db = None;
    }

    /// The databases to ask for on the next connection.
    pub fn dbs(&self) -> Vec<u32> {
        self.valid_dbs.iter().copied().collect()
    }

    /// A new connection is ready. What waited for it is put in order for it: databases that it does
    /// not have fail, the others are selected anew.
    pub fn connected(&mut self, dbs: BTreeSet<u32>, now: Nanos) -> Option<Waker> {
        let mut waiting = Backlog::default();
        self.take_backlog(&mut waiting);
        self.valid_dbs = dbs;
        self.db = Some(0);
        (self.status, self.since) = (Status::Up, now);
        for (pending, raw) in waiting.requests {
            if self.valid_dbs.contains(&pending.db) {
                self.put(pending, &raw);
            } else {
                deliver_loss(&pending, Loss::NoSuchDatabase);
            }
        }
        self.waker.take()
    }

    /// `down_after` has passed: everything that waited is refused, and what comes will be.
    pub fn down(&mut self, now: Nanos) {
        if self.status == Status::Down {
            return;
        }
        (self.status, self.since) = (Status::Down, now);
        self.unsent = BytesMut::new();
        self.pending.drain(..).for_each(|pending| deliver_loss(&pending, Loss::NotSent));
        self.waiting.drain(..).for_each(|inbox| inbox.nudge());
    }

    /// Sorts out what a lost connection leaves: `sent` are the bytes written or being written, oldest
    /// first, of which the last `unwritten` were never given to the kernel; `pending` is what the
    /// reader had taken. Requests that surely were not executed stay queued, reads are repeated once,
    /// the rest is uncertain. The number of reads to be repeated.
    pub fn lost(&mut self, mut sent: BytesMut, unwritten: usize, pending: &mut VecDeque<Pending>) -> usize {
        let mut all = std::mem::take(pending);
        all.append(&mut self.pending);
        let unwritten = unwritten + self.unsent.len();
        sent.unsplit(std::mem::take(&mut self.unsent));
        let total: usize = all.iter().map(Pending::wire_len).sum();
        // What was answered already stands before the first request that is not.
        let mut bytes = sent.freeze();
        bytes = bytes.slice(bytes.len().saturating_sub(total)..);
        let written = bytes.len().saturating_sub(unwritten);
        let mut start = 0;
        let mut repeated = 0;
        self.db = None;
        for mut pending in all {
            let end = start + pending.wire_len();
            let raw = bytes.slice(start + pending.prefix as usize..end);
            start = end;
            match (end <= written, pending.retry, &pending.to) {
                (_, _, To::Fence(_) | To::Nobody) => deliver_loss(&pending, Loss::NotSent),
                (true, Retry::Never, _) => deliver_loss(&pending, Loss::Uncertain),
                (true, Retry::Spent, _) => deliver_loss(&pending, Loss::ReadLost),
                (true, Retry::Once, _) => {
                    pending.retry = Retry::Spent;
                    repeated += 1;
                    self.put(pending, &raw);
                }
                (false, _, _) => self.put(pending, &raw),
            }
        }
        repeated
    }

    /// Queues a request anew, with a prefix of its own if it needs one.
    fn put(&mut self, mut pending: Pending, raw: &[u8]) {
        if pending.prefix > 0 {
            pending.prefix = 0;
            pending.swallow -= 1;
        }
        if self.db != Some(pending.db) {
            self.select(&mut pending);
        }
        if pending.moves_db {
            self.db = None;
        }
        self.unsent.extend_from_slice(raw);
        self.pending.push_back(pending);
    }

    fn take_backlog(&mut self, into: &mut Backlog) {
        let bytes = std::mem::take(&mut self.unsent).freeze();
        let mut start = 0;
        for pending in self.pending.drain(..) {
            let end = start + pending.wire_len();
            into.requests.push((pending.clone(), bytes.slice(start + pending.prefix as usize..end)));
            start = end;
        }
    }
}

/// Requests with their bytes, prefixes cut off.
#[derive(Default)]
struct Backlog {
    requests: Vec<(Pending, Bytes)>,
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

impl Pending {
    fn ping(to: To, seq: u64, at: Nanos) -> Self {
        let len = PING.len() as u32;
        Pending { to, seq, at, len, prefix: 0, swallow: 0, db: 0, retry: Retry::Never, moves_db: false }
    }

    /// Bytes on the wire, the prefix included.
    pub fn wire_len(&self) -> usize {
        self.len as usize + self.prefix as usize
    }
}

/// Tells the session that its request gets no reply. A fence is complete instead: the lane that could
/// have brought an invalidation is gone, and L1 was frozen before this is called.
fn deliver_loss(pending: &Pending, loss: Loss) {
    let (inbox, event) = match &pending.to {
        To::Session(inbox) | To::SelectedBy(inbox, _) => (inbox, Event::Lost { seq: pending.seq, loss }),
        To::Fence(inbox) => (inbox, Event::Fenced { seq: pending.seq }),
        To::Nobody => return,
    };
    if inbox.event(event) {
        inbox.wake();
    }
}
