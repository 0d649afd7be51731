//! One client's session: the data path.
//!
//! ```text
//!   read ──► parse ──► execute ──┬─► answered here ─────────────────────┐
//!                                ├─► batch ──► lane … inbox ──► slots ──┤──► output ──► write
//!                                └─► job (a connection of its own) ─────┘
//! ```
//!
//! `Session::run` is the whole of it: wait for something, put the replies that have come in their
//! places, execute the requests that have come, and send. Everything that needs no waiting is done by
//! `Core`, which knows no socket; the jobs that do need it are in `jobs`.

mod behind;
mod buffers;
mod bus;
mod client_commands;
mod clients;
mod command_info;
mod config_command;
mod core;
mod dispatch;
mod engine;
mod help;
mod info;
mod jobs;
mod large_keys;
mod large_requests;
mod local;
mod lookup;
mod monitor;
mod multi;
mod nearcache;
mod output;
mod pinned;
mod reads;
mod replies;
mod scout;
mod sending;
mod shared;
mod slots;
mod spaces;
mod standalone;
mod subscriptions;
mod tracking;
mod transaction;

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

pub use bus::Bus;
pub use clients::{Client, Clients};
pub use large_keys::LargeKeys;
pub use monitor::Monitors;
pub use shared::{Budget, Options, Shared, Upstream};

use self::core::Core;
use self::dispatch::{Flow, Job};
use self::scout::Scout;
use self::transaction::Transaction;
use crate::net::Stream;
use crate::resp::{Parsed, RequestLimits, RequestParser};
use crate::timers;
use crate::upstream::{Close, MAX_WAITING};

/// Unwritten bytes above which no further request of the client is executed.
pub(crate) const MAX_UNWRITTEN: usize = 1 << 20;

/// Bytes read ahead of what can be executed at present.
const MAX_READ_AHEAD: usize = 64 * 1024;

/// What a session holds while it rests is kept until it has been silent for a while, unless it is more than
/// this.
const KEEP: usize = 256 * 1024;

/// More than is charged already is charged only when a session rests, up to this: most of it is given back
/// before.
const PASSING: usize = 2 * buffers::SIZE;

/// A request may be collected up to this size before it is executed, as Redis's
/// `client-query-buffer-limit`.
const MAX_QUERY: usize = 1 << 30;

/// One client's session. Its fields stand in the order given: with a thousand of them each cache line counts.
#[repr(C)]
pub struct Session {
    stream: Stream,
    /// Read and not executed.
    read: BytesMut,
    /// The waker that the inbox knows.
    waker: Option<Waker>,
    /// Our share of the budget for buffers.
    charged: usize,
    /// Ends a CLIENT PAUSE.
    timer: Option<Pin<Box<Sleep>>>,
    /// The client has sent its last byte; what it is owed is still delivered.
    eof: bool,
    /// A complete request waits in `read` for something other than bytes.
    held: bool,
    parser: RequestParser,
    core: Core,
}

/// What a session has waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Woken {
    /// There is something in the inbox.
    ByInbox,
    /// There are requests that may be executed.
    ByRequests,
}

/// What is done between two requests.
enum Aside {
    /// Subscribers are counted next: the hub passes this point first.
    Settle(u64),
    /// The request executed last takes time.
    Job(Job),
    /// The request in hand is passed on while it is read.
    Stream,
}

/// Why a session is over.
#[derive(Debug)]
pub enum End {
    /// The client left, or asked to.
    Left,
    /// Its socket failed.
    Io(io::Error),
    /// Others wanted it.
    Closed(Close),
    /// It left too many replies unread.
    OutputLimit,
    /// Its request was longer than anything allowed.
    QueryLimit,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Io(error)
    }
}

impl Session {
    /// A session over an accepted stream, its handshake done.
    pub fn new(stream: Stream, shared: Arc<Shared>, client: Arc<Client>) -> Self {
        Session {
            stream,
            read: BytesMut::new(),
            parser: RequestParser::new(RequestLimits::default()),
            core: Core::new(shared, client),
            eof: false,
            held: false,
            timer: None,
            charged: 0,
            waker: None,
        }
    }

    /// Serves the client until one side ends it.
    pub async fn run(mut self) -> End {
        let Err(end) = self.serve().await;
        if let End::Closed(Close::SlowSubscriber) = end {
            self.core.shared.stats.pubsub.subscribers_dropped.inc();
        }
        self.core.unsubscribe_all();
        self.core.shared.buffers.change(self.charged, 0);
        end
    }

    async fn serve(&mut self) -> Result<Infallible, End> {
        loop {
            let woken = poll_fn(|cx| self.poll_wait(cx)).await?;
            buffers::take(&mut self.core.out.tail);
            if woken == Woken::ByInbox {
                self.look_after_client()?;
            }
            while let Some(aside) = self.take_requests()? {
                self.turn_aside(aside).await?;
            }
            self.check_limits()?;
        }
    }

    // === waiting ===

    /// Ready when there is something to do. Writes what there is to write meanwhile.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<Result<Woken, End>> {
        if !self.core.out.is_empty() {
            let before = self.core.out.len();
            let result = self.core.out.poll_write(&mut self.stream, cx);
            self.core.recorder.bytes_out(before - self.core.out.len());
            match result {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Ready(Ok(())) if self.held && self.core.may_execute() => {
                    return Poll::Ready(Ok(Woken::ByRequests));
                }
                _ => {}
            }
        }
        let done = self.core.slots.is_empty() && self.core.out.is_empty();
        if done && (self.core.closing || (self.eof && !self.held)) {
            return Poll::Ready(Err(End::Left));
        }
        if self.poll_inbox(cx).is_ready() {
            return Poll::Ready(Ok(Woken::ByInbox));
        }
        if let Some(timer) = &mut self.timer
            && timer.as_mut().poll(cx).is_ready()
        {
            self.timer = None;
            return Poll::Ready(Ok(Woken::ByRequests));
        }
        if self.wants_read() {
            ready!(self.poll_read(cx))?;
            return Poll::Ready(Ok(Woken::ByRequests));
        }
        Poll::Pending
    }

    /// Ready when there is something in the inbox. It is locked only if something may have come.
    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let inbox = &self.core.client.inbox;
        let known = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if known && inbox.is_quiet() {
            return Poll::Pending;
        }
        if !known {
            self.waker = Some(cx.waker().clone());
        }
        inbox.poll_ready(cx)
    }

    /// True unless what was read already has to wait.
    fn wants_read(&self) -> bool {
        let ahead = self.held && self.read.len() >= MAX_READ_AHEAD;
        !(self.eof || self.core.closing || ahead)
    }

    /// Reads once.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        buffers::take(&mut self.read);
        if self.read.capacity() - self.read.len() < buffers::SIZE / 4 {
            // A large argument doubles its buffer, up to what its header declares.
            let missing = self.parser.declared().saturating_sub(self.read.len());
            self.read.reserve(missing.min(self.read.len()).max(buffers::SIZE));
        }
        let Poll::Ready(n) = poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read) else {
            self.rest()?;
            return Poll::Pending;
        };
        let n = n?;
        self.core.recorder.bytes_in(n);
        if n == 0 {
            self.eof = true;
            self.held = false;
            // A client that waits for nothing is gone; one that is owed replies gets them.
            let done = self.core.slots.is_empty() && self.core.out.is_empty();
            return if done { Poll::Ready(Err(End::Left)) } else { Poll::Ready(Ok(())) };
        }
        Poll::Ready(Ok(()))
    }

    /// Nothing is to be done at present: buffers that hold nothing are given back, and what is still held is
    /// charged.
    fn rest(&mut self) -> Result<(), End> {
        if self.core.out.is_empty() {
            buffers::give(&mut self.core.out.tail);
        }
        if self.read.is_empty() {
            buffers::give(&mut self.read);
            self.release_unused();
        }
        self.charge()
    }

    /// Other memory is kept for the next request, unless that is long in coming or it is much; or all clients
    /// together hold so much that some might soon be disconnected for it.
    fn release_unused(&mut self) {
        let client = &self.core.client;
        let silent = client.silent.load(Relaxed);
        let scarce = || self.core.shared.buffers.used() > self.core.settings.server.client_buffers / 2;
        if silent || self.charged > KEEP || (self.charged > 0 && scarce()) {
            client.silent.store(false, Relaxed);
            self.core.release();
            self.parser.release();
        }
    }

    /// Takes what came in the inbox. An order to end is obeyed at once, but for a shutdown: then what is
    /// owed is still delivered.
    fn look_after_client(&mut self) -> Result<(), End> {
        match self.core.take_replies() {
            None => self.check_limits(),
            Some(Close::Shutdown) => {
                self.core.closing = true;
                Ok(())
            }
            Some(close) => Err(End::Closed(close)),
        }
    }

    // === executing ===

    /// Executes what has been read, as far as it may be executed now. Some means that something else has to
    /// be done before it goes on.
    fn take_requests(&mut self) -> Result<Option<Aside>, End> {
        self.core.begin();
        self.held = false;
        let (mut at, mut aside) = (0, None);
        let mut scout = Scout::default();
        while at < self.read.len() && aside.is_none() {
            if self.core.slots.is_empty() {
                self.core.barrier = false;
            }
            if !self.core.may_execute() {
                self.held = true;
                break;
            }
            self.parser.set_authenticated(self.core.authenticated);
            match self.parser.parse(&self.read[at..]) {
                Ok(Parsed::Complete(len)) => {
                    let request = &self.read[at..];
                    let args = self.parser.args(request);
                    if args.is_empty() {
                        at += len;
                        continue;
                    }
                    if at + len < self.read.len() {
                        self.core.look_ahead(&mut scout, &self.read, at + len);
                    }
                    match self.core.execute(args, self.parser.raw(request)) {
                        Flow::Next => at += len,
                        Flow::Wait => {
                            self.hold();
                            break;
                        }
                        Flow::Settle(number) => aside = Some(Aside::Settle(number)),
                        Flow::Job(job) => {
                            at += len;
                            aside = Some(Aside::Job(job));
                        }
                    }
                }
                Ok(Parsed::Incomplete) => {
                    self.read.advance(std::mem::take(&mut at));
                    if !self.passes_on()? {
                        break;
                    }
                    aside = Some(Aside::Stream);
                }
                Err(error) => {
                    self.core.shared.stats.clients.protocol_errors.inc();
                    self.core.answer(crate::stats::UNLISTED, crate::stats::Served::Error, |writer| {
                        error.write_reply(writer.out);
                    });
                    self.core.closing = true;
                    at = self.read.len();
                }
            }
        }
        if at == self.read.len() {
            // Unlike `advance`, this makes no part of the buffer useless.
            self.read.clear();
        } else {
            self.read.advance(at);
        }
        self.core.end();
        self.core.client.query_bytes.store(self.read.len(), Relaxed);
        Ok(aside)
    }

    /// Does what takes time. Boxed: it is rare, and its state must not burden every idle client.
    async fn turn_aside(&mut self, aside: Aside) -> Result<(), End> {
        match aside {
            Aside::Settle(number) => Box::pin(self.settle(number)).await,
            Aside::Job(job) => Box::pin(self.run_job(job)).await,
            Aside::Stream => {
                Box::pin(self.stream_request()).await?;
                // Its arguments were not kept.
                self.core.distrust_all();
                Ok(())
            }
        }
    }

    /// Part of a request has been read. True if it is a large one that is passed on from here, over a
    /// connection of its own, before the next request is executed.
    fn passes_on(&mut self) -> Result<bool, End> {
        if !self.is_bulk()? {
            return Ok(false);
        }
        if !self.core.slots.is_empty() {
            self.core.barrier = true;
            self.held = true;
            return Ok(false);
        }
        if self.core.feed.wanted {
            // As far as it is known.
            self.core.show(self.parser.args(&self.read));
        }
        Ok(true)
    }

    /// The request in hand waits: for all that is owed, or for the end of a pause.
    fn hold(&mut self) {
        self.held = true;
        match self.core.paused_until.take() {
            Some(until) => {
                let at = self.core.shared.clock.instant(until);
                self.timer = Some(Box::pin(timers::sleep_until(at.into())));
            }
            None => self.core.barrier = true,
        }
    }

    /// Whether the incomplete request is to be streamed over a connection of its own instead of being
    /// collected here.
    fn is_bulk(&self) -> Result<bool, End> {
        let declared = self.parser.declared();
        if declared <= self.core.bulk_threshold() {
            return Ok(false);
        }
        let args = self.parser.args(&self.read);
        if self.core.may_stream(&args) {
            return Ok(true);
        }
        if self.read.len() > MAX_QUERY { Err(End::QueryLimit) } else { Ok(false) }
    }

    /// Ends a client that leaves too much unread, and charges what was needed suddenly.
    fn check_limits(&mut self) -> Result<(), End> {
        let settings = &self.core.settings.server;
        let unread = self.core.out.len();
        // As in Redis, a subscriber has a limit of its own, whatever it is that it does not read.
        let limit = match self.core.topics.is_empty() && !self.core.monitors {
            true => settings.client_output_limit,
            false => settings.client_output_limit.min(MAX_WAITING),
        };
        if unread > limit && unread > limit + self.core.out.largest() {
            self.core.shared.stats.clients.evicted_clients.inc();
            return Err(End::OutputLimit);
        }
        if self.held() > self.charged + PASSING { self.charge() } else { Ok(()) }
    }

    /// Bytes that our buffers take.
    fn held(&self) -> usize {
        let queued = self.core.transaction.as_ref().map_or(0, Transaction::held);
        self.read.capacity() + self.core.held() + queued
    }

    /// Charges what our buffers hold to the common budget. Ends a client that takes more than its share of too
    /// little.
    fn charge(&mut self) -> Result<(), End> {
        let (before, held) = (self.charged, self.held());
        if held == before {
            return Ok(());
        }
        self.core.shared.buffers.change(before, held);
        self.core.client.held.store(held, Relaxed);
        self.charged = held;
        if held > before && self.core.shared.is_too_much(held) {
            self.core.shared.stats.clients.evicted_clients.inc();
            return Err(End::OutputLimit);
        }
        Ok(())
    }
}
