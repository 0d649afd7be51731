//! The lane: one RESP3 connection per upstream, shared by the ordinary commands of all clients.
//!
//! ```text
//!  sessions ── append(batch) ──► Queue ──► write ──►  Redis
//!                                 │ pending             │
//!  inboxes ◄── in stream order ── apply ◄── read ◄──────┘   (replies and invalidations, one stream)
//! ```
//!
//! One task writes and reads. It applies replies and pushes strictly in the order of the stream, and
//! it never waits for a client: a reply goes into an inbox, whatever the session does.

mod apply;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use tokio::task::unconstrained;
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;

use super::audience::{Audience, Tracked};
use super::batch::{Batch, Pending};
use super::check::Check;
use super::effect::{L1, Owner};
use super::inbox::{Event, Inbox};
use super::queue::{Left, Queue, Refused, Status};
use super::vigil::Question;
use crate::clock::{Clock, Nanos};
use crate::near::LaneId;
use crate::net::Stream;
use crate::resp::ReplyScanner;
use crate::timers;

/// The buffer that replies are read into; grows for larger replies and shrinks again.
const READ_BUFFER: usize = 64 * 1024;

/// Rounds of reading and writing before other tasks of the same worker get their turn.
const ROUNDS: usize = 32;

/// What tells one lane from all others.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct LaneKey {
    /// The node, by its number among those that are known.
    pub node: u16,
    /// The user that it acts as upstream: part of every cached entry's key.
    pub identity: u16,
    /// Its number among the lanes of this node and user.
    pub number: u8,
}

/// The half of the lane that sessions hold.
pub struct Lane {
    key: LaneKey,
    pub(super) queue: Mutex<Queue>,
    pub(super) clock: Clock,
    /// L1, and what it knows this lane by.
    pub(super) owner: Owner,
}

impl Lane {
    /// A lane that is not connected yet.
    pub fn new(clock: Clock, l1: Arc<L1>, audience: Arc<Audience>, key: LaneKey) -> Arc<Self> {
        let owner = Owner { l1, lane: LaneId(key.number), audience };
        Arc::new(Lane { key, queue: Mutex::new(Queue::new(clock.now())), clock, owner })
    }

    /// What tells it from other lanes.
    pub fn key(&self) -> LaneKey {
        self.key
    }

    /// The near cache that this lane fills.
    pub fn l1(&self) -> &L1 {
        &self.owner.l1
    }

    /// The clients that track, whom its pushes are passed on to.
    pub fn audience(&self) -> &Arc<Audience> {
        &self.owner.audience
    }

    /// What the near cache knows this lane by.
    pub fn id(&self) -> LaneId {
        self.owner.lane
    }

    /// Appends a session's batch in one step, behind everything appended before. The place of its last
    /// request in the lane's order.
    pub fn append(&self, batch: &mut Batch, inbox: &Arc<Inbox>) -> Result<u64, Refused> {
        let mut queue = self.queue.lock();
        let waker = queue.append(batch, inbox, &self.owner)?;
        let place = queue.last_place();
        drop(queue);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(place)
    }

    /// Gives up what a session had collected and will not send.
    pub fn abandon(&self, batch: &mut Batch, loss: super::inbox::Loss) {
        batch.abandon().for_each(|pending| pending.lose(loss, &self.owner));
    }

    /// Asks for this database at every handshake, so that it may be used from the start.
    pub fn expect_db(&self, db: u32) {
        self.queue.lock().db_exists(db);
    }

    /// How the lane stands and since when.
    pub fn status(&self) -> (Status, Nanos) {
        self.queue.lock().status()
    }

    /// Whether this database may be used without asking first.
    pub fn knows_db(&self, db: u32) -> bool {
        self.queue.lock().knows_db(db)
    }
}

/// Small replies to one session, one behind the other in the read buffer: handed over at once.
#[derive(Default)]
struct Row {
    inbox: Option<Arc<Inbox>>,
    events: Vec<Event>,
    /// Where they begin and end.
    start: usize,
    end: usize,
}

/// Why a connection of the lane ended.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// The socket failed.
    #[error("connection failed: {0}")]
    Io(#[from] io::Error),
    /// Redis closed it.
    #[error("closed by the upstream")]
    Closed,
    /// Requests are outstanding and nothing has been heard for `reply_timeout`.
    #[error("no reply for {0:?}")]
    Silent(Duration),
    /// What was read is no reply.
    #[error("unreadable reply: {0}")]
    Protocol(#[from] crate::resp::ReplyError),
    /// A reply that nobody asked for.
    #[error("a reply without a request")]
    Unexpected,
    /// A PING of ours was answered with something else: replies and requests are out of step, and no
    /// reply of this connection can be trusted any more.
    #[error("out of step: PING was answered with {0}")]
    OutOfStep(String),
    /// A database that existed is refused.
    #[error("SELECT of a known database was refused: {0}")]
    Select(String),
}

/// What one connection tells the rest of the program while it lasts.
pub trait Events {
    /// How often a lane is pinged, by the configuration of now.
    fn ping_every(&self) -> Duration;
    /// A question of ours has been answered.
    fn told(&mut self, question: Question, reply: &[u8]);
    /// A push has been applied.
    fn pushed(&mut self);
    /// A read was answered that is to be compared with what L1 holds at this place of the stream.
    fn checked(&mut self, check: &Check, reply: &[u8]);
    /// `n` requests that were asked for at this time have been answered now.
    fn answered(&mut self, at: Nanos, now: Nanos, n: u64);
    /// So many requests are sent and not answered, as of the last heartbeat.
    fn in_flight(&mut self, requests: usize);
    /// Counts traffic.
    fn traffic(&mut self, read: usize, written: usize, replies: usize);
}

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Longest silence with requests outstanding.
    pub reply_timeout: Duration,
    /// An idle lane is pinged this often.
    pub ping_every: Duration,
}

/// One connection of the lane, from the end of its handshake to its loss.
pub struct Connection<'a, E> {
    lane: &'a Arc<Lane>,
    stream: Stream,
    events: &'a mut E,
    patience: Patience,

    /// Taken from the queue and being written; `written` of it is with the kernel.
    writing: BytesMut,
    written: usize,
    /// Written and not fully answered, oldest first: what a repeated read is taken from.
    sent: VecDeque<BytesMut>,
    /// Bytes answered, counted from the start of the oldest of `sent`.
    answered: usize,
    /// An emptied buffer for the next exchange.
    spare: BytesMut,

    /// What was read and not applied; `scanned` bytes of its first reply are known to belong to it.
    read: BytesMut,
    scanned: usize,
    scanner: ReplyScanner,
    pending: VecDeque<Pending>,
    /// Replies already read for the first of `pending`.
    seen: u32,
    /// Its own reply, withheld until those behind it have come.
    held: Option<Bytes>,
    /// Redis has not registered the keys that it reads.
    unregistered: bool,
    /// The write whose reply came directly before, if its client does not want to hear of it.
    own: Option<Box<Tracked>>,

    /// Replies that have been applied and are not handed over yet; none between two rounds.
    row: Row,
    /// Sessions that got something in this round.
    touched: Vec<Arc<Inbox>>,
    timer: Pin<Box<Sleep>>,
    /// The task that the timer wakes knows of it.
    timed: Option<Waker>,
    /// When the timer last found that something had been heard.
    heard: Instant,
    /// Something has been heard since.
    hears: bool,
    /// A heartbeat is under way.
    pinged: bool,
    /// The queue was empty when it was last looked at.
    idle: bool,
}

impl<'a, E: Events> Connection<'a, E> {
    /// A connection whose handshake is done; `read` is what came behind the handshake's last reply.
    pub fn new(
        lane: &'a Arc<Lane>,
        stream: Stream,
        read: BytesMut,
        patience: Patience,
        events: &'a mut E,
    ) -> Self {
        let heard = Instant::now();
        Connection {
            lane,
            stream,
            events,
            patience,
            writing: BytesMut::new(),
            written: 0,
            sent: VecDeque::new(),
            answered: 0,
            spare: BytesMut::new(),
            read,
            scanned: 0,
            scanner: ReplyScanner::default(),
            pending: VecDeque::new(),
            seen: 0,
            held: None,
            unregistered: false,
            own: None,
            row: Row::default(),
            touched: Vec::new(),
            timer: Box::pin(timers::sleep(patience.ping_every)),
            timed: None,
            heard,
            hears: false,
            pinged: false,
            idle: true,
        }
    }

    /// Serves until the connection is lost. The queue still holds what was owed: `give_up` sorts it.
    pub async fn serve(&mut self) -> LaneError {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(error),
            Poll::Ready(Ok(())) => Poll::Ready(LaneError::Closed),
        })
        .await
    }

    /// Hands back to the queue what was not answered; the number of reads that will be repeated. Call
    /// after L1 has been frozen.
    pub fn give_up(mut self) -> usize {
        self.release_held();
        let answered = self.pending.front().is_some_and(|front| self.seen > front.swallow);
        let unwritten = self.writing.len() - self.written;
        let mut sent = BytesMut::new();
        self.sent.drain(..).for_each(|chunk| sent.extend_from_slice(&chunk));
        sent.extend_from_slice(&self.writing);
        let mut queue = self.lane.queue.lock();
        queue.disconnected(self.lane.clock.now());
        queue.lost(Left { sent, unwritten, pending: &mut self.pending, answered }, &self.lane.owner)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        // What has nothing to do wakes the task when it has: it is not asked again before that.
        let (mut writes, mut reads) = (true, true);
        for _ in 0..ROUNDS {
            writes = writes && self.poll_write(cx)?.is_ready();
            if reads {
                reads = match self.poll_read(cx)? {
                    Poll::Ready(0) => return Poll::Ready(Ok(())),
                    polled => polled.is_ready(),
                };
            }
            if !writes && !reads {
                return self.poll_timer(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    // === writing ===

    /// Writes what there is; pending when there is nothing to write or the socket is full.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        if self.written == self.writing.len() {
            ready!(self.refill(cx));
        }
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.writing[self.written..]))?;
        if n == 0 {
            return Poll::Ready(Err(LaneError::Closed));
        }
        self.written += n;
        self.events.traffic(0, n, 0);
        if self.written == self.writing.len() {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Exchanges the written buffer for the queue's.
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.writing.is_empty() {
            let done = std::mem::replace(&mut self.writing, std::mem::take(&mut self.spare));
            self.sent.push_back(done);
            self.written = 0;
            self.forget();
        }
        let mut queue = self.lane.queue.lock();
        if std::mem::take(&mut self.idle) && !self.sent.is_empty() && queue.has_unsent() {
            // The first append since the queue was empty, and others are busy with the lane too: sessions
            // that are ready now append theirs first, so that one write carries them all. With nothing in
            // flight there is nobody to wait for.
            drop(queue);
            let _ = pin!(tokio::task::yield_now()).poll(cx);
            return Poll::Pending;
        }
        let waiting = queue.take_unsent(&mut self.writing, cx.waker());
        drop(queue);
        waiting.iter().for_each(|inbox| inbox.nudge());
        self.idle = self.writing.is_empty();
        if self.idle { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Forgets the bytes of answered requests; buffers that are all answered are used again.
    fn forget(&mut self) {
        while let Some(oldest) = self.sent.front() {
            if self.answered < oldest.len() {
                return;
            }
            self.answered -= oldest.len();
            let mut chunk = self.sent.pop_front().expect("it was just seen");
            if chunk.capacity() <= 1 << 20 && self.spare.capacity() < chunk.capacity() {
                chunk.clear();
                self.spare = chunk;
            }
        }
    }

    // === reading ===

    /// Reads once and applies all complete replies and pushes; the number of bytes, 0 at the end.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, LaneError>> {
        if self.read.capacity() - self.read.len() < READ_BUFFER / 4 {
            // A reply of many megabytes doubles its buffer instead of growing by steps.
            self.read.reserve(READ_BUFFER.max(self.read.len()));
        }
        let n = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read))?;
        if n > 0 {
            self.hears = true;
            let replies = self.apply();
            self.touched.drain(..).for_each(|inbox| inbox.wake());
            self.events.traffic(n, 0, replies?);
            if self.read.is_empty() && self.read.capacity() > 16 * READ_BUFFER {
                self.read = BytesMut::new();
            }
        }
        Poll::Ready(Ok(n))
    }

    // === time ===

    /// Pings the lane, whether idle (so that it is known to be fresh) or busy (so that it is known to be in
    /// step); gives up one that is silent although something is owed. The timer is asked
    /// only if it has fired, or does not know the task yet.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LaneError>> {
        let known = self.timed.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if known && !self.timer.is_elapsed() {
            return Poll::Pending;
        }
        // Unconstrained: else it could be pending because the task has done enough, and not know the task.
        while pin!(unconstrained(self.timer.as_mut())).poll(cx).is_ready() {
            self.timer.as_mut().reset(Instant::now() + self.events.ping_every());
            let mut queue = self.lane.queue.lock();
            queue.take_pending(&mut self.pending);
            self.events.in_flight(self.pending.len());
            if std::mem::take(&mut self.hears) || self.pending.is_empty() {
                self.heard = Instant::now();
            } else if self.heard.elapsed() > self.patience.reply_timeout {
                return Poll::Ready(Err(LaneError::Silent(self.patience.reply_timeout)));
            }
            if !self.pinged {
                self.pinged = true;
                queue.heartbeat(self.lane.clock.now());
                // It is written at once: the next round finds it.
                cx.waker().wake_by_ref();
            }
        }
        if !known {
            self.timed = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
