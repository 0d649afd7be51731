//! Requests above `bulk_threshold`: passed on piece by piece as they come, over a connection of the client's
//! own, and never held here.
//!
//! Such a request may break off in the middle, on either side. Half a request is never executed; what is left
//! of it must not be taken for commands, since a value can look like anything.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;

use super::core::Core;
use super::pinned::Broken;
use super::{End, Session};
use crate::command::{self, Class, Lookup};
use crate::resp::{Args, Proto};
use crate::stats::UNLISTED;
use crate::timers;
use crate::upstream::{Cause, Ending, Loss, Pinned, WireError};

impl Session {
    /// Passes a large request on as it comes, over a connection of its own, and its reply back.
    pub(super) async fn stream_request(&mut self) -> Result<(), End> {
        let command = match command::lookup(&self.parser.args(&self.read)) {
            Lookup::Known(command) => command.id,
            _ => UNLISTED,
        };
        self.parser.begin_stream();
        let mut pinned = match self.acquire(Cause::Bulk).await {
            Ok(pinned) => pinned,
            Err(error) => {
                self.swallow_request().await?;
                return self.refuse_job(command, &error);
            }
        };
        while let Some(part) = self.next_part() {
            match self.send_part(&mut pinned, &part.bytes).await {
                Sent::All if part.last => return self.finish_stream(pinned, command).await,
                Sent::All => self.read_part().await?,
                Sent::Answered => {
                    tracing::debug!("a request was refused before it was complete");
                    // Redis reads no more on this connection.
                    pinned.ending = Ending::Shut;
                    self.swallow_rest(part.last).await?;
                    return self.finish_stream(pinned, command).await;
                }
                Sent::Perhaps(error) if part.last => {
                    return self.broken(pinned, Broken::Upstream(error), command);
                }
                Sent::Part(error) | Sent::Perhaps(error) => {
                    // Half a request is never executed.
                    tracing::debug!(%error, "connection lost within a request");
                    drop(pinned);
                    self.swallow_rest(part.last).await?;
                    self.core.refuse(command, Loss::NotSent.message().as_bytes());
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Writes a part of a request. An answer before the end of the request can only be an error, behind which
    /// Redis closes the connection.
    async fn send_part(&mut self, pinned: &mut Pinned, bytes: &[u8]) -> Sent {
        let mut written = 0;
        let wire = &mut pinned.wire;
        let mut refused: Option<WireError> = None;
        let write = poll_fn(|cx| -> Poll<Result<(), WireError>> {
            while written < bytes.len() && refused.is_none() {
                match Pin::new(&mut wire.stream).poll_write(cx, &bytes[written..]) {
                    Poll::Ready(Ok(0)) => refused = Some(WireError::Closed),
                    Poll::Ready(Ok(n)) => written += n,
                    Poll::Ready(Err(error)) => refused = Some(error.into()),
                    Poll::Pending => {
                        let n = ready!(wire.poll_fill(cx))?;
                        return Poll::Ready(if n > 0 { Ok(()) } else { Err(WireError::Closed) });
                    }
                }
            }
            let Some(error) = refused.take() else {
                return Pin::new(&mut wire.stream).poll_flush(cx).map_err(WireError::from);
            };
            // What it said before it closed has arrived, too.
            match wire.poll_fill(cx) {
                Poll::Pending => {
                    refused = Some(error);
                    Poll::Pending
                }
                Poll::Ready(Ok(1..)) => Poll::Ready(Ok(())),
                Poll::Ready(_) => Poll::Ready(Err(error)),
            }
        });
        let timeout = timers::timeout(self.upstream_patience(), write);
        let result = timeout.await.unwrap_or(Err(WireError::Closed));
        let complete = written == bytes.len();
        match result {
            Ok(()) if complete => Sent::All,
            Ok(()) if pinned.wire.read.first() == Some(&b'-') => Sent::Answered,
            Ok(()) => Sent::Part(WireError::Closed),
            Err(error) if complete => Sent::Perhaps(error),
            Err(error) => Sent::Part(error),
        }
    }

    async fn finish_stream(&mut self, mut pinned: Pinned, command: u16) -> Result<(), End> {
        match self.relay(&mut pinned, self.reply_timeout(Cause::Bulk)).await {
            Ok(failed) => {
                self.count_pinned(command, failed);
                pinned.release();
                Ok(())
            }
            Err(broken) => self.broken(pinned, broken, command),
        }
    }

    /// Reads what is left of a request of which this part was not the last: it must not be taken for commands.
    async fn swallow_rest(&mut self, last: bool) -> Result<(), End> {
        if last {
            return Ok(());
        }
        self.read_part().await?;
        self.swallow_request().await
    }

    /// Reads the rest of a request that cannot be sent, without keeping it.
    async fn swallow_request(&mut self) -> Result<(), End> {
        while let Some(part) = self.next_part()
            && !part.last
        {
            self.read_part().await?;
        }
        Ok(())
    }

    /// What has been read of the large request. None if it is malformed: the client has been told so,
    /// and is closed.
    fn next_part(&mut self) -> Option<Part> {
        match self.parser.stream(&self.read) {
            Ok(streamed) => Some(Part { bytes: self.read.split_to(streamed.consumed), last: streamed.done }),
            Err(error) => {
                self.core.shared.stats.clients.protocol_errors.inc();
                error.write_reply(&mut self.core.out.tail);
                self.core.closing = true;
                self.read.clear();
                None
            }
        }
    }

    /// Reads more of the large request, and does what others want of the session meanwhile.
    async fn read_part(&mut self) -> Result<(), End> {
        let before = self.read.len();
        poll_fn(|cx| -> Poll<Result<(), End>> {
            self.poll_client(cx)?;
            let more = self.read.len() > before || self.eof;
            if more || self.core.client.inbox.poll_ready(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await?;
        self.look_after_client()?;
        if self.eof || self.core.closing { Err(End::Left) } else { Ok(()) }
    }
}

/// How far a part of a request came.
enum Sent {
    All,
    /// The upstream has answered already: it refused the request.
    Answered,
    /// The connection broke before the last byte was given away.
    Part(WireError),
    /// It broke after that.
    Perhaps(WireError),
}

/// A piece of a large request.
struct Part {
    bytes: BytesMut,
    /// The request is complete with it.
    last: bool,
}

impl Core {
    /// Whether a large request may be streamed, going by the arguments that are there.
    pub(super) fn may_stream(&self, args: &Args<'_>) -> bool {
        if self.upstream().is_none() || !self.authenticated || self.transaction.is_some() || args.is_empty() {
            return false;
        }
        if self.proto == Proto::Resp2 && !self.topics.is_empty() {
            return false;
        }
        match command::lookup(args) {
            // Its reply is changed: receivers of ours are counted one by one.
            Lookup::Known(command) if matches!(command.name, "publish" | "spublish") => false,
            Lookup::Known(command) => match command.class {
                Class::Cached | Class::Lane | Class::Admin | Class::Pinned => {
                    command.subcommands().is_empty()
                }
                Class::Local => matches!(command.name, "ping" | "echo"),
                _ => false,
            },
            Lookup::UnknownCommand => true,
            Lookup::UnknownSubcommand(_) => false,
        }
    }
}
