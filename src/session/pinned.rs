//! A reply that comes over a connection of the client's own: waited for while the client is watched,
//! fenced, and passed on as it comes.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::AsyncWriteExt;

use super::{End, MAX_READ_AHEAD, MAX_UNWRITTEN, Session};
use crate::resp::{ReplyScanner, Scan};
use crate::timers;
use crate::upstream::{Batch, Cause, Close, Delivered, Ending, Event, Pinned, Refused, WireError};

/// What becomes of the pieces of a reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Release {
    /// They go to the client as they come.
    Now,
    /// They are kept, or mean nothing to the client.
    Later,
}

/// Why a relay ended early.
pub(super) enum Broken {
    /// The client's session is over.
    Session(End),
    /// The upstream connection is.
    Upstream(WireError),
}

impl From<End> for Broken {
    fn from(end: End) -> Self {
        Broken::Session(end)
    }
}

impl From<WireError> for Broken {
    fn from(error: WireError) -> Self {
        Broken::Upstream(error)
    }
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Broken::Upstream(error.into())
    }
}

/// What a wait on the pinned connection ended with.
pub(super) enum Woken {
    /// Bytes came from the upstream.
    Upstream,
    /// The client's output shrank, a message came, or the client sent something.
    Client,
    /// The client waits for nothing more.
    Over,
}

/// UNBLOCK is repeated after so long, and not for ever: it may be forbidden to us.
const UNBLOCK_EVERY: Duration = Duration::from_millis(20);
const UNBLOCK_ATTEMPTS: u32 = 50;

/// Whether this reply says that a wait ended with nothing: by UNBLOCK, or by its own timeout.
fn ended(reply: &[u8]) -> bool {
    reply.starts_with(b"-UNBLOCKED ") || [&b"*-1\r\n"[..], b"$-1\r\n", b"_\r\n"].contains(&reply)
}

impl Session {
    /// Writes a request. The client is not watched meanwhile: Redis reads requests without delay.
    pub(super) async fn send_pinned(&mut self, pinned: &mut Pinned, raw: &[u8]) -> Result<(), Broken> {
        let write = async {
            pinned.wire.stream.write_all(raw).await?;
            pinned.wire.stream.flush().await
        };
        // Silence while we wait for a reply and while we wait for room are the same silence.
        match timers::timeout(self.upstream_patience(), write).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Broken::Upstream(WireError::Closed)),
        }
    }

    /// Reads one reply that does not wait by design (`+OK`, `+QUEUED`, EXEC's), and hands it over. Nothing
    /// of it may reach the client before a fence.
    pub(super) async fn skip_reply(&mut self, pinned: &mut Pinned) -> Result<Bytes, Broken> {
        let mut whole = Vec::new();
        let limit = Some(self.upstream_patience());
        self.receive(pinned, limit, Release::Later, &mut |_, chunk| whole.extend_from_slice(chunk)).await?;
        Ok(whole.into())
    }

    /// How long the upstream may be silent.
    pub(super) fn upstream_patience(&self) -> Duration {
        self.core.settings.upstream.as_ref().map_or(Duration::MAX, |upstream| upstream.reply_timeout)
    }

    /// Passes one reply on to the client, behind a fence. True if it was an error.
    pub(super) async fn relay(
        &mut self,
        pinned: &mut Pinned,
        limit: Option<Duration>,
    ) -> Result<bool, Broken> {
        let mut first = None;
        let muted = self.core.muted();
        self.core.relayed = 0;
        self.receive(pinned, limit, Release::Now, &mut |session, chunk| {
            first = first.or(chunk.first().copied());
            session.core.relayed += chunk.len();
            if !muted {
                session.core.partial = true;
                session.core.out.tail.extend_from_slice(chunk);
            }
        })
        .await?;
        self.core.end_partial();
        Ok(first == Some(b'-'))
    }

    /// Reads one reply in pieces, at the pace of the client. Before the first piece is released to it a
    /// fence is passed: the command has been executed when its reply begins.
    async fn receive(
        &mut self,
        pinned: &mut Pinned,
        limit: Option<Duration>,
        release: Release,
        take: &mut (dyn FnMut(&mut Session, &[u8]) + Send),
    ) -> Result<(), Broken> {
        let mut scanner = ReplyScanner::default();
        let mut fenced = release == Release::Later;
        loop {
            if !pinned.wire.read.is_empty() {
                if pinned.ending != Ending::No && ended(&pinned.wire.read) {
                    return Err(End::Left.into());
                }
                if !fenced {
                    self.fence().await?;
                    fenced = true;
                }
                match scanner.feed(&pinned.wire.read).map_err(WireError::from)? {
                    Scan::More(n) => {
                        take(self, &pinned.wire.read[..n]);
                        pinned.wire.read.advance(n);
                    }
                    Scan::Done(n) => {
                        take(self, &pinned.wire.read[..n]);
                        pinned.wire.read.advance(n);
                        return Ok(());
                    }
                    Scan::Push(n) => {
                        take(self, &pinned.wire.read[..n]);
                        pinned.wire.read.advance(n);
                        if let Some(len) =
                            crate::resp::frame_len(&pinned.wire.read).map_err(WireError::from)?
                        {
                            pinned.wire.read.advance(len);
                            continue;
                        }
                    }
                }
            }
            let limit = match pinned.ending {
                Ending::No => limit,
                Ending::Asked(_) => Some(UNBLOCK_EVERY),
                Ending::Shut => Some(self.upstream_patience()),
            };
            let wait = poll_fn(|cx| self.poll_pinned(pinned, cx));
            let woken = match limit {
                Some(limit) => timers::timeout(limit, wait).await.unwrap_or(match pinned.ending {
                    Ending::Asked(_) => Ok(Woken::Over),
                    Ending::No | Ending::Shut => Err(Broken::Upstream(WireError::Closed)),
                })?,
                None => wait.await?,
            };
            match woken {
                Woken::Upstream => {}
                Woken::Client => self.look_after_client()?,
                Woken::Over => self.end_wait(pinned).await?,
            }
        }
    }

    /// The client has said its last word. Redis still answers such a client if it has something at once, and
    /// otherwise closes its connection; so the upstream is asked to end the wait. UNBLOCK decides there, in
    /// one step, whether an element was popped, which is then delivered, or not. It goes by the lane, and may
    /// overtake the command that it is to end: then it is repeated. What pops nothing, and what cannot be
    /// asked for, ends with our sending side.
    async fn end_wait(&mut self, pinned: &mut Pinned) -> Result<(), Broken> {
        let tried = match pinned.ending {
            Ending::No if pinned.cause == Cause::Blocking => 0,
            Ending::Asked(tried) => tried,
            Ending::No | Ending::Shut => UNBLOCK_ATTEMPTS,
        };
        if tried < UNBLOCK_ATTEMPTS && self.core.send_unblock(pinned.id) {
            pinned.ending = Ending::Asked(tried + 1);
        } else {
            pinned.ending = Ending::Shut;
            pinned.wire.stream.shutdown().await?;
        }
        Ok(())
    }

    /// Waits for the upstream while the client is served and watched.
    pub(super) fn poll_pinned(
        &mut self,
        pinned: &mut Pinned,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Woken, Broken>> {
        self.poll_client(cx)?;
        if (self.eof || self.core.closing) && pinned.ending == Ending::No {
            match pinned.cause {
                Cause::Blocking | Cause::Wait | Cause::Unknown => return Poll::Ready(Ok(Woken::Over)),
                _ => {}
            }
        }
        if self.core.out.len() < MAX_UNWRITTEN
            && let Poll::Ready(read) = pinned.wire.poll_fill(cx)
        {
            return Poll::Ready(match read {
                Ok(0) if pinned.ending != Ending::No => Err(End::Left.into()),
                Ok(0) => Err(Broken::Upstream(WireError::Closed)),
                Ok(_) => Ok(Woken::Upstream),
                Err(error) => Err(Broken::Upstream(error.into())),
            });
        }
        if self.core.client.inbox.poll_ready(cx).is_ready() {
            return Poll::Ready(Ok(Woken::Client));
        }
        Poll::Pending
    }

    /// Writes to the client and reads ahead; an error if it has gone.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        let before = self.core.out.len();
        if before > 0
            && let Poll::Ready(Err(error)) = self.core.out.poll_write(&mut self.stream, cx)
        {
            return Err(error.into());
        }
        self.core.recorder.bytes_out(before - self.core.out.len());
        while !self.eof && self.read.len() < MAX_READ_AHEAD {
            // Its next requests wait here; what matters now is whether it is still there.
            match self.poll_read(cx) {
                // Whether that ends the session depends on what it waits for.
                Poll::Ready(_) if self.eof => return Ok(()),
                Poll::Ready(result) => result?,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Waits until the lane has applied everything that the upstream had executed before now. Nothing
    /// is owed by the lane when this is called, so its answer is the next event of its kind. A lane
    /// that is away brings no invalidation, and L1 is frozen then.
    pub(super) async fn fence(&mut self) -> Result<(), End> {
        let Some(upstream) = &self.core.shared.upstream else { return Ok(()) };
        if !self.core.shared.rules.fences {
            return Ok(());
        }
        let mut batch = Batch::default();
        let seq = self.core.slots.next_seq();
        batch.fence(&self.core.client.inbox, seq, self.core.shared.clock.now());
        loop {
            match upstream.router.home().append(&mut batch, &self.core.client.inbox) {
                Ok(_) => break,
                Err(Refused::Down) => return Ok(()),
                // A full lane is no reason to let a message outrun its invalidation.
                Err(Refused::Full) => poll_fn(|cx| self.core.client.inbox.poll_nudge(cx)).await,
            }
            if let Some(close) = self.core.client.inbox.closed() {
                return Err(End::Closed(close));
            }
        }
        let mut delivered = Delivered::default();
        loop {
            poll_fn(|cx| self.core.client.inbox.poll_ready(cx)).await;
            match self.core.client.inbox.take(&mut delivered) {
                None => {}
                // What is in flight is finished first: this reply.
                Some(Close::Shutdown) => self.core.closing = true,
                Some(close) => return Err(End::Closed(close)),
            }
            let mut passed = false;
            for event in delivered.events.drain(..) {
                match event {
                    Event::Fenced { seq: fence } => {
                        self.core.fence_passed(fence);
                        passed |= fence == seq;
                    }
                    Event::Message(message) => self.core.message(message),
                    Event::Notice(notice) => self.core.noticed(notice),
                    _ => {}
                }
            }
            if passed {
                self.core.forget_untracked();
                self.core.shared.stats.lane.fences.inc();
                return Ok(());
            }
        }
    }
}
