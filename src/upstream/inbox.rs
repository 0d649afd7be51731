//! Where everything that others have for one session gathers: replies of the lane, messages, orders
//! to close.
//!
//! The one idea: a delivery never waits and never allocates per reply. Small replies are appended to
//! one buffer, large ones are handed over whole, and the session takes everything at once by swapping
//! buffers. The session's task is woken when the first thing arrives in an empty inbox. Its waker stays
//! here, and a flag says whether there may be something to take: a session to which nothing has come, as one
//! whose reads all hit, takes no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use parking_lot::{Mutex, MutexGuard};

use super::audience::Notice;

/// Replies above this are handed over as they are instead of being copied into the shared buffer:
/// beyond a few kilobytes the copy costs more than the allocation it saves.
pub const LARGE_REPLY: usize = 16 * 1024;

/// Buffers above this are not kept by an inbox that has been emptied.
const KEEP: usize = 16 * 1024;

/// More events than these are handed over with their buffer.
const FEW: usize = 8;

/// One session's inbox; the session, the lane and the subscriptions share it.
#[derive(Default)]
pub struct Inbox {
    state: Mutex<State>,
    /// Something may have come, or another task's waker is registered. Set under the lock, before the waker
    /// is called.
    stirred: AtomicBool,
}

#[derive(Default)]
struct State {
    delivered: Delivered,
    /// Why the session must end, once somebody has said so; the first reason stays.
    closed: Option<Close>,
    /// The session knows it.
    told: bool,
    /// The session is over.
    left: bool,
    /// Set when something other than an event wants the session to look around.
    nudged: bool,
    waker: Option<Waker>,
}

/// What a session takes out of its inbox in one go. Reused, so that steady traffic allocates nothing.
#[derive(Default)]
pub struct Delivered {
    /// Small replies and messages, back to back in the order of `events`.
    pub bytes: BytesMut,
    /// What arrived, in order.
    pub events: Vec<Event>,
    /// Bytes of all messages not yet taken: what a slow subscriber is measured by.
    message_bytes: usize,
    /// Bytes of all replies not yet taken.
    reply_bytes: usize,
}

/// One thing that arrived for a session.
#[derive(Debug)]
pub enum Event {
    /// The next `len` of the shared bytes are the reply for slot `seq`.
    Reply {
        /// Which of the session's slots it answers.
        seq: u64,
        /// Its length in `Delivered::bytes`.
        len: u32,
    },
    /// A large reply for slot `seq`.
    LargeReply {
        /// Which of the session's slots it answers.
        seq: u64,
        /// The whole reply.
        bytes: Bytes,
    },
    /// Slot `seq` gets no reply.
    Lost {
        /// Which of the session's slots it answers.
        seq: u64,
        /// Why, and whether the command may have been executed.
        loss: Loss,
    },
    /// Everything that the upstream had executed when fence `seq` was asked for has been applied.
    Fenced {
        /// Which fence.
        seq: u64,
    },
    /// A message to the client outside the order of replies, in RESP3 form (`>3 message …`).
    Message(Bytes),
    /// An invalidation for the client's own cache, or another's.
    Notice(Notice),
}

/// Why a command gets no reply from the upstream. The distinction is the client's safety: only what
/// was surely not executed may be called refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Never sent: nothing happened upstream.
    NotSent,
    /// Sent, the connection was lost before the reply: it may have been executed.
    Uncertain,
    /// A read that was sent twice and answered by neither connection; it changed nothing.
    ReadLost,
    /// The database that the session had selected is gone from the upstream.
    NoSuchDatabase,
}

impl Loss {
    /// The error the client gets, without the leading `-`.
    pub fn message(self) -> &'static str {
        match self {
            Loss::NotSent => "MASTERDOWN upstream is unreachable; the command was not sent",
            Loss::Uncertain => {
                "UNCERTAIN upstream connection lost after the command was sent; it may or may not have been applied"
            }
            Loss::ReadLost => "MASTERDOWN upstream connection lost twice while reading; nothing was changed",
            Loss::NoSuchDatabase => "ERR DB index is out of range",
        }
    }
}

/// Why a session must end although its client did nothing of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// CLIENT KILL, by another client.
    Killed,
    /// It did not read its messages fast enough.
    SlowSubscriber,
    /// It held more than the others when all together held too much.
    TooMuch,
    /// Nothing was heard of it for `idle_timeout`.
    Idle,
    /// The process is going down.
    Shutdown,
}

impl Inbox {
    /// A new inbox, ready to be shared.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Adds the reply for slot `seq`. True if the session must be woken: it had nothing before.
    #[must_use]
    pub fn reply(&self, seq: u64, reply: &[u8]) -> bool {
        let mut state = self.stir();
        state.delivered.bytes.extend_from_slice(reply);
        state.delivered.reply_bytes += reply.len();
        state.event(Event::Reply { seq, len: reply.len() as u32 })
    }

    /// Adds small replies, `bytes` back to back as `events` say, which is then empty; true as for `reply`.
    #[must_use]
    pub fn replies(&self, bytes: &[u8], events: &mut Vec<Event>) -> bool {
        let mut state = self.stir();
        let first = state.delivered.events.is_empty();
        state.delivered.bytes.extend_from_slice(bytes);
        state.delivered.reply_bytes += bytes.len();
        if first && events.len() > FEW {
            std::mem::swap(&mut state.delivered.events, events);
        } else {
            state.delivered.events.append(events);
        }
        first
    }

    /// Adds a large reply for slot `seq`; true as for `reply`.
    #[must_use]
    pub fn large_reply(&self, seq: u64, bytes: Bytes) -> bool {
        let mut state = self.stir();
        state.delivered.reply_bytes += bytes.len();
        state.event(Event::LargeReply { seq, bytes })
    }

    /// Adds an event without bytes; true as for `reply`.
    #[must_use]
    pub fn event(&self, event: Event) -> bool {
        self.stir().event(event)
    }

    /// Adds a message and wakes the session; false if that is over. A session that has more than `limit`
    /// bytes of messages waiting is told to close instead: a slow subscriber must not grow our memory.
    pub fn message(&self, message: Bytes, limit: usize) -> bool {
        let len = message.len();
        self.unasked(Event::Message(message), len, limit)
    }

    /// The same for a notice of about `len` bytes.
    pub fn notice(&self, notice: Notice, len: usize, limit: usize) -> bool {
        self.unasked(Event::Notice(notice), len, limit)
    }

    fn unasked(&self, event: Event, len: usize, limit: usize) -> bool {
        let waker = {
            let mut state = self.stir();
            if state.closed.is_some() || state.left {
                return false;
            }
            state.delivered.message_bytes += len;
            if state.delivered.message_bytes > limit {
                state.delivered = Delivered::default();
                state.closed = Some(Close::SlowSubscriber);
            } else {
                state.delivered.events.push(event);
            }
            state.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Tells the session to end.
    pub fn close(&self, why: Close) {
        let mut state = self.stir();
        state.closed.get_or_insert(why);
        state.wake();
    }

    /// The session is over: nobody will take anything any more.
    pub fn leave(&self) {
        self.state.lock().left = true;
    }

    /// The session's task has ended: its waker would keep the task's memory.
    pub fn forget_task(&self) {
        self.state.lock().waker = None;
    }

    /// Asks the session to look around: something it waits for may have changed.
    pub fn nudge(&self) {
        let mut state = self.stir();
        state.nudged = true;
        state.wake();
    }

    /// Gives back the memory that is kept for the next round.
    pub fn release(&self) {
        let mut state = self.state.lock();
        if state.delivered.events.is_empty() {
            state.delivered.release();
        }
    }

    /// Wakes the session, after a round of deliveries.
    pub fn wake(&self) {
        self.state.lock().wake();
    }

    /// Whether the session has been told to end.
    pub fn closed(&self) -> Option<Close> {
        self.state.lock().closed
    }

    /// Bytes of replies and messages that the session has not taken yet.
    pub fn waiting_bytes(&self) -> usize {
        let state = self.state.lock();
        state.delivered.message_bytes + state.delivered.reply_bytes
    }

    /// Nothing has come since `poll_ready` was last pending, and its waker is still the one to be called.
    pub fn is_quiet(&self) -> bool {
        !self.stirred.load(Acquire)
    }

    /// Ready when there is anything to take; registers for the next wake-up otherwise.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let closed = state.closed.is_some() && !state.told;
        if !state.delivered.events.is_empty() || closed || std::mem::take(&mut state.nudged) {
            return Poll::Ready(());
        }
        let known = state.register(cx.waker());
        self.stirred.store(!known, Release);
        Poll::Pending
    }

    /// Ready when nudged or closed, whatever else has arrived; registers for the next wake-up.
    pub fn poll_nudge(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        let nudged = std::mem::take(&mut state.nudged) || state.closed.is_some();
        if !state.register(cx.waker()) {
            self.stirred.store(true, Release);
        }
        if nudged { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Takes everything that arrived, leaving `into`'s emptied buffers behind for the next round.
    pub fn take(&self, into: &mut Delivered) -> Option<Close> {
        into.reset();
        let mut state = self.state.lock();
        if !state.delivered.events.is_empty() {
            std::mem::swap(&mut state.delivered, into);
        }
        state.told |= state.closed.is_some();
        state.closed
    }

    /// The state, to which something is about to be added.
    fn stir(&self) -> MutexGuard<'_, State> {
        let state = self.state.lock();
        self.stirred.store(true, Release);
        state
    }
}

impl State {
    fn event(&mut self, event: Event) -> bool {
        self.delivered.events.push(event);
        self.delivered.events.len() == 1
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Whom to wake; true if that was so already.
    fn register(&mut self, waker: &Waker) -> bool {
        let known = self.waker.as_ref().is_some_and(|known| known.will_wake(waker));
        if !known {
            self.waker = Some(waker.clone());
        }
        known
    }
}

impl Delivered {
    fn reset(&mut self) {
        self.events.clear();
        self.bytes.clear();
        self.message_bytes = 0;
        self.reply_bytes = 0;
        if self.bytes.capacity() > KEEP {
            self.bytes = BytesMut::new();
        }
        if self.events.capacity() > 1024 {
            self.events = Vec::new();
        }
    }

    /// Gives the memory back: for a session that goes idle.
    pub fn release(&mut self) {
        *self = Delivered::default();
    }
}
