//! One session's requests on their way to the lane, and what is owed for each.

use std::sync::Arc;

use bytes::BytesMut;

use super::audience::Tracked;
use super::effect::{Effect, Owner};
use super::inbox::{Event, Inbox, Loss};
use super::vigil::Question;
use crate::clock::Nanos;

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
    /// The proxy itself.
    Vigil(Question),
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

/// One request on the lane and what is owed for it. On the wire it is
/// `[SELECT n] [CLIENT CACHING YES] request`, and behind it `[PTTL key …]` or `[PING]`.
pub struct Pending {
    /// Who gets the reply.
    pub to: To,
    /// The session's slot.
    pub seq: u64,
    /// When the session asked: the lane's freshness is counted from here.
    pub at: Nanos,
    /// Length of the request in bytes, with its head and tail, without the prefix.
    pub len: u32,
    /// Bytes of the SELECT that was put before it; its `+OK` is one of `swallow`.
    pub prefix: u8,
    /// Bytes of `CLIENT CACHING YES` before the request; its reply is one of `swallow`, the first that is
    /// not SELECT's.
    pub head: u8,
    /// Bytes behind the request that are ours: PTTLs, or a PING.
    pub tail: u32,
    /// How many replies come behind the request's own. If it is no fetch, that is withheld until they
    /// have come: then all that the request changed has been announced.
    pub trailers: u32,
    /// Replies to drop before the one that counts (SELECT, MULTI, one QUEUED per command).
    pub swallow: u32,
    /// The database it must run in.
    pub db: u32,
    /// What may be done if the connection is lost.
    pub retry: Retry,
    /// It contains a SELECT: behind it the lane's database is unknown.
    pub moves_db: bool,
    /// What it means for L1.
    pub effect: Effect,
    /// What it means to a client that tracks.
    pub tracked: Option<Box<Tracked>>,
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
    /// Adds one request; `raw` is its bytes. Redis is made to register its keys if a client that tracks
    /// takes their values.
    pub fn push(&mut self, raw: &[u8], pending: Pending) {
        self.frame(head(&pending), raw, pending);
    }

    /// Adds a fetch: `raw` reads `keys`, whose times to live are asked for behind it. An upstream that can
    /// is told to track them.
    pub fn fetch<'k>(
        &mut self,
        raw: &[u8],
        keys: impl Iterator<Item = &'k [u8]>,
        tracked: bool,
        pending: Pending,
    ) {
        let head = if tracked || pending.tracked.is_some() { CACHING } else { b"" };
        self.frame(head, raw, pending);
        self.tail(|bytes| keys.map(|key| pttl(bytes, key)).count());
    }

    /// Adds a request whose reply is withheld until a PING behind it has been answered.
    pub fn withheld(&mut self, raw: &[u8], pending: Pending) {
        self.frame(head(&pending), raw, pending);
        self.tail(|bytes| {
            bytes.extend_from_slice(PING);
            1
        });
    }

    #[inline]
    fn frame(&mut self, head: &[u8], raw: &[u8], mut pending: Pending) {
        // A request without bytes would be owed a reply that never comes, and every later reply of the
        // lane would go to the wrong client.
        assert!(!raw.is_empty(), "a request has bytes");
        if !head.is_empty() {
            self.bytes.extend_from_slice(head);
            pending.head = head.len() as u8;
            pending.swallow += 1;
        }
        self.bytes.extend_from_slice(raw);
        pending.len = (head.len() + raw.len()) as u32;
        self.pending.push(pending);
    }

    /// Adds requests of ours behind the last one; `add` says how many.
    fn tail(&mut self, add: impl FnOnce(&mut BytesMut) -> usize) {
        let Some(last) = self.pending.last_mut() else { return };
        let before = self.bytes.len();
        last.trailers = add(&mut self.bytes) as u32;
        last.tail = (self.bytes.len() - before) as u32;
        last.len += last.tail;
    }

    /// Adds a fence: a PING whose answer says that everything before it has been applied.
    pub fn fence(&mut self, inbox: &Arc<Inbox>, seq: u64, now: Nanos) {
        self.push(PING, Pending::new(To::Fence(Arc::clone(inbox)), seq, now));
    }

    /// Where the batch stands.
    pub fn mark(&self) -> (usize, usize) {
        (self.bytes.len(), self.pending.len())
    }

    /// Forgets what was added since. It has no effects: it was for a reply that has no place.
    pub fn rewind(&mut self, (bytes, pending): (usize, usize)) {
        self.bytes.truncate(bytes);
        self.pending.truncate(pending);
    }

    /// Takes back everything: these requests will not be sent.
    pub fn abandon(&mut self) -> std::vec::Drain<'_, Pending> {
        self.bytes.clear();
        self.pending.drain(..)
    }

    /// True when there is nothing to append.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Answered in order like everything else, and cheap: fences and heartbeats.
pub const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const CACHING: &[u8] = b"*3\r\n$6\r\nCLIENT\r\n$7\r\nCACHING\r\n$3\r\nYES\r\n";

fn head(pending: &Pending) -> &'static [u8] {
    match &pending.tracked {
        Some(tracked) if !tracked.reads.args().is_empty() => CACHING,
        _ => b"",
    }
}

fn pttl(bytes: &mut BytesMut, key: &[u8]) {
    bytes.extend_from_slice(b"*2\r\n$4\r\nPTTL\r\n$");
    bytes.extend_from_slice(itoa::Buffer::new().format(key.len()).as_bytes());
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(b"\r\n");
}

impl Pending {
    /// An ordinary request; `Batch` fills in its length.
    #[inline]
    pub fn new(to: To, seq: u64, at: Nanos) -> Self {
        Pending {
            to,
            seq,
            at,
            len: 0,
            prefix: 0,
            head: 0,
            tail: 0,
            trailers: 0,
            swallow: 0,
            db: 0,
            retry: Retry::Never,
            moves_db: false,
            effect: Effect::None,
            tracked: None,
        }
    }

    /// True if it is owed one reply, which goes to its session and means no more than that a write ends.
    #[inline]
    pub fn is_plain(&self) -> bool {
        let means_little =
            matches!((&self.to, &self.effect), (To::Session(_), Effect::None | Effect::Write(_)));
        means_little && self.swallow == 0 && self.trailers == 0 && self.tracked.is_none()
    }

    /// Bytes on the wire, the prefix included.
    pub fn wire_len(&self) -> usize {
        self.len as usize + self.prefix as usize
    }

    /// Gives the request up: its effect ends, and the session is told that no reply comes. A fence is
    /// complete instead: the lane that could have brought an invalidation is gone, and L1 was frozen
    /// before this is called.
    pub fn lose(&self, loss: Loss, owner: &Owner) {
        self.effect.lost(&owner.l1, owner.lane).into_iter().for_each(|waiter| waiter.lose(loss));
        let (inbox, event) = match &self.to {
            To::Session(inbox) | To::SelectedBy(inbox, _) => (inbox, Event::Lost { seq: self.seq, loss }),
            To::Fence(inbox) => (inbox, Event::Fenced { seq: self.seq }),
            To::Nobody | To::Vigil(_) => return,
        };
        if inbox.event(event) {
            inbox.wake();
        }
    }
}
