//! The lane's queue: requests of all sessions in one total order, and what is owed for each.
//!
//! Sessions append whole batches under one short lock; the lane's task takes the bytes to write and
//! the list of what is pending. Nothing here knows a socket, so every order and every loss can be
//! tested alone.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use bytes::BytesMut;

use super::audience::Tracked;
use super::batch::{Batch, PING, Pending, Retry, To};
use super::effect::Owner;
use super::inbox::{Inbox, Loss};
use super::vigil::Question;
use crate::clock::Nanos;

/// Unsent bytes above which sessions wait before they append more. Large enough for any sensible
/// batch of 1,000 clients, small enough that a stalled upstream costs little memory.
pub const MAX_UNSENT: usize = 64 << 20;

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
    /// Databases that clients are in, or begin in: each connection is asked for all of them. One that is
    /// not there may be back on the next.
    wanted_dbs: BTreeSet<u32>,
    /// The lane's task, when it sleeps.
    waker: Option<Waker>,
    /// Sessions that found the queue full.
    waiting: Vec<Arc<Inbox>>,
    /// How many requests have ever been appended: each one's place in the lane's order.
    places: u64,
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
            wanted_dbs: BTreeSet::from([0]),
            waker: None,
            waiting: Vec::new(),
            places: 0,
        }
    }

    /// How the lane stands and since when.
    pub fn status(&self) -> (Status, Nanos) {
        (self.status, self.since)
    }

    /// The place of the request that was appended last.
    pub fn last_place(&self) -> u64 {
        self.places
    }

    /// Whether a SELECT of this database has been answered with +OK on this connection.
    pub fn knows_db(&self, db: u32) -> bool {
        self.valid_dbs.contains(&db)
    }

    /// Appends a batch, which is then empty, or says why not and leaves it as it was. Requests for a
    /// database that this connection does not have fail alone. A waker that is handed out must be woken
    /// once the lock is released.
    pub fn append(
        &mut self,
        batch: &mut Batch,
        inbox: &Arc<Inbox>,
        owner: &Owner,
    ) -> Result<Option<Waker>, Refused> {
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
                if self.lacks(&pending) {
                    start += pending.len as usize;
                    copied = start;
                    pending.lose(Loss::NoSuchDatabase, owner);
                    continue;
                }
                self.select(&mut pending);
            }
            start += pending.len as usize;
            if pending.moves_db {
                self.db = None;
            }
            self.places += 1;
            if pending.effect.is_fetch() {
                // Under the queue's lock: the reply cannot be applied before this.
                pending.effect.appended(&owner.l1, pending.at, self.places);
            }
            self.pending.push_back(pending);
        }
        self.unsent.extend_from_slice(&batch.bytes[copied..]);
        batch.bytes.clear();
        Ok(self.waker.take())
    }

    /// True if `pending` needs a database that this connection does not have: the client's was there on
    /// the last one. While there is no connection, the next one says.
    fn lacks(&self, pending: &Pending) -> bool {
        self.status == Status::Up && !anywhere(&pending.to) && !self.valid_dbs.contains(&pending.db)
    }

    /// Puts a SELECT before `pending`, if it needs one.
    fn select(&mut self, pending: &mut Pending) {
        if anywhere(&pending.to) {
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
        self.pending.push_back(Pending { len: PING.len() as u32, ..Pending::new(To::Nobody, 0, now) });
    }

    /// Whether there is anything to write.
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
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
        self.wanted_dbs.insert(db);
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
        self.wanted_dbs.iter().copied().collect()
    }

    /// A new connection is ready. What waited for it is put in order for it: databases that it does
    /// not have fail, the others are selected anew.
    pub fn connected(&mut self, dbs: BTreeSet<u32>, now: Nanos, owner: &Owner) -> Option<Waker> {
        let bytes = std::mem::take(&mut self.unsent).freeze();
        let pending = std::mem::take(&mut self.pending);
        self.valid_dbs = dbs;
        self.db = Some(0);
        (self.status, self.since) = (Status::Up, now);
        let mut start = 0;
        for pending in pending {
            let end = start + pending.wire_len();
            let raw = bytes.slice(start + pending.prefix as usize..end);
            start = end;
            if self.lacks(&pending) {
                pending.lose(Loss::NoSuchDatabase, owner);
            } else {
                self.put(pending, &raw, owner);
            }
        }
        self.waker.take()
    }

    /// `down_after` has passed: everything that waited is refused, and what comes will be.
    pub fn down(&mut self, now: Nanos, owner: &Owner) {
        if self.status == Status::Down {
            return;
        }
        (self.status, self.since) = (Status::Down, now);
        self.unsent = BytesMut::new();
        self.pending.drain(..).for_each(|pending| pending.lose(Loss::NotSent, owner));
        self.waiting.drain(..).for_each(|inbox| inbox.nudge());
    }

    /// Sorts out what a lost connection leaves. Requests that surely were not executed stay queued, reads
    /// are repeated once, the rest is uncertain. The number of reads to be repeated.
    pub fn lost(&mut self, left: Left<'_>, owner: &Owner) -> usize {
        let mut all = std::mem::take(left.pending);
        all.append(&mut self.pending);
        let unwritten = left.unwritten + self.unsent.len();
        let mut sent = left.sent;
        sent.unsplit(std::mem::take(&mut self.unsent));
        let total: usize = all.iter().map(Pending::wire_len).sum();
        // What was answered already stands before the first request that is not.
        let mut bytes = sent.freeze();
        bytes = bytes.slice(bytes.len().saturating_sub(total)..);
        let written = bytes.len().saturating_sub(unwritten);
        let mut start = 0;
        let mut repeated = 0;
        let mut answered = left.answered;
        self.db = None;
        for mut pending in all {
            let end = start + pending.wire_len();
            let raw = bytes.slice(start + pending.prefix as usize..end);
            start = end;
            if std::mem::take(&mut answered) {
                if pending.effect.is_fetch() {
                    // Whoever joined was served with the reply.
                    drop(pending.effect.lost(&owner.l1, owner.lane));
                }
                continue;
            }
            match (end <= written, pending.retry, &pending.to) {
                (_, _, To::Fence(_) | To::Nobody | To::Vigil(_)) => pending.lose(Loss::NotSent, owner),
                (true, Retry::Never, _) => pending.lose(Loss::Uncertain, owner),
                (true, Retry::Spent, _) => pending.lose(Loss::ReadLost, owner),
                (true, Retry::Once, _) => {
                    pending.retry = Retry::Spent;
                    repeated += 1;
                    self.put(pending, &raw, owner);
                }
                (false, _, _) => self.put(pending, &raw, owner),
            }
        }
        repeated
    }

    /// Queues a request anew, with a prefix of its own if it needs one. A fetch stores nothing any more:
    /// its epoch is over. Those who joined it get reads of their own, which Redis registers for those who
    /// track.
    fn put(&mut self, mut pending: Pending, raw: &[u8], owner: &Owner) {
        if pending.prefix > 0 {
            pending.prefix = 0;
            pending.swallow -= 1;
        }
        if !pending.effect.is_fetch() {
            return self.put_plain(pending, raw);
        }
        let raw = &raw[..raw.len() - pending.tail as usize];
        let joiners = std::mem::take(&mut pending.effect).lost(&owner.l1, owner.lane);
        let head = pending.head;
        let read = |to, seq, tracked: Option<Box<Tracked>>| Pending {
            head: if tracked.is_some() { head } else { 0 },
            swallow: u32::from(tracked.is_some() && head > 0),
            db: pending.db,
            retry: pending.retry,
            tracked,
            ..Pending::new(to, seq, pending.at)
        };
        let joined: Vec<_> = joiners
            .into_iter()
            .map(|waiter| read(To::Session(waiter.inbox), waiter.seq, waiter.tracked))
            .collect();
        let first = read(pending.to.clone(), pending.seq, pending.tracked.clone());
        for read in std::iter::once(first).chain(joined) {
            let raw = &raw[(head - read.head) as usize..];
            self.put_plain(Pending { len: raw.len() as u32, ..read }, raw);
        }
    }

    fn put_plain(&mut self, mut pending: Pending, raw: &[u8]) {
        if self.db != Some(pending.db) {
            self.select(&mut pending);
        }
        if pending.moves_db {
            self.db = None;
        }
        self.unsent.extend_from_slice(raw);
        self.pending.push_back(pending);
    }
}

/// True for what is sent from whatever database the lane is in; a validating SELECT among it.
fn anywhere(to: &To) -> bool {
    match to {
        To::SelectedBy(..) | To::Fence(_) | To::Nobody => true,
        To::Vigil(question) => !matches!(question, Question::Nothing),
        To::Session(_) => false,
    }
}

/// What a lost connection leaves.
pub struct Left<'a> {
    /// Bytes written or being written, oldest first.
    pub sent: BytesMut,
    /// How many of them, at the end, were never given to the kernel.
    pub unwritten: usize,
    /// What the reader had taken from the queue.
    pub pending: &'a mut VecDeque<Pending>,
    /// The first of `pending` has got its reply already; only what comes behind it was missing.
    pub answered: bool,
}
