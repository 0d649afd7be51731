//! An upstream connection spoken to one request at a time: handshakes, and the connections that a
//! session holds for itself. Off the hot path, so replies are decoded by redis-protocol.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use redis_protocol::resp3::types::{OwnedFrame, Resp3Frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_util::io::poll_read_buf;

use crate::net::Stream;
use crate::resp::{ReplyError, frame_len};

/// Longest reply that a handshake accepts: INFO of a server with many modules stays below it.
const MAX_REPLY: usize = 1 << 20;

/// A stream and what was read from it but not used.
pub struct Wire {
    /// The socket.
    pub stream: Stream,
    /// Read and not yet used.
    pub read: BytesMut,
}

/// Why a request of our own failed.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Closed in the middle.
    #[error("closed by the upstream")]
    Closed,
    /// What was read is no reply.
    #[error("unreadable reply: {0}")]
    Protocol(#[from] ReplyError),
    /// Longer than anything expected here.
    #[error("reply of more than {MAX_REPLY} bytes in a handshake")]
    TooLong,
    /// Redis refused.
    #[error("{0}")]
    Refused(String),
}

impl Wire {
    /// A wire over a fresh stream.
    pub fn new(stream: Stream) -> Self {
        Wire { stream, read: BytesMut::new() }
    }

    /// Writes requests, all at once.
    pub async fn send(&mut self, requests: &[&[&[u8]]]) -> Result<(), WireError> {
        let mut out = BytesMut::new();
        requests.iter().for_each(|request| encode(request, &mut out));
        self.stream.write_all(&out).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// Reads one reply's bytes.
    pub async fn receive_raw(&mut self) -> Result<Bytes, WireError> {
        loop {
            if let Some(len) = frame_len(&self.read)? {
                return Ok(self.read.split_to(len).freeze());
            }
            if self.read.len() > MAX_REPLY {
                return Err(WireError::TooLong);
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(WireError::Closed);
            }
        }
    }

    /// Reads one reply; an error reply is an error. Pushes are no replies: once tracking is on, a FLUSHALL
    /// may bring one in the middle of the handshake, and taking it for a reply would shift all that follow.
    pub async fn receive(&mut self) -> Result<Reply, WireError> {
        loop {
            let raw = self.receive_raw().await?;
            match raw.first() {
                Some(b'>') => {}
                Some(b'-') => return Err(WireError::Refused(line(&raw))),
                _ => return Ok(Reply(raw)),
            }
        }
    }

    /// One request, one reply.
    pub async fn call(&mut self, request: &[&[u8]]) -> Result<Reply, WireError> {
        self.send(&[request]).await?;
        self.receive().await
    }

    /// Reads more, up to `room` bytes in all; 0 at the end of the stream.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.read.reserve(16 * 1024);
        poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.read)
    }

    /// Whether the other side has closed, or said something that nobody asked for, while we idled.
    pub fn is_stale(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0u8; 1];
        let mut buf = tokio::io::ReadBuf::new(&mut byte);
        !self.read.is_empty() || Pin::new(&mut self.stream).poll_read(cx, &mut buf).is_ready()
    }
}

/// One decoded reply, not an error.
pub struct Reply(Bytes);

impl Reply {
    /// True for `+OK`.
    pub fn is_ok(&self) -> bool {
        &self.0[..] == b"+OK\r\n"
    }

    /// The text of a string of any kind.
    pub fn text(&self) -> Option<String> {
        match self.frame()? {
            OwnedFrame::VerbatimString { data, .. } | OwnedFrame::BlobString { data, .. } => {
                String::from_utf8(data).ok()
            }
            frame => frame.as_str().map(str::to_owned),
        }
    }

    /// An integer.
    pub fn int(&self) -> Option<i64> {
        match self.frame()? {
            OwnedFrame::Number { data, .. } => Some(data),
            _ => None,
        }
    }

    /// The scalar under `name` of a map (or of an array of pairs, as RESP2 sends it).
    pub fn field(&self, name: &str) -> Option<String> {
        let scalar = |frame: &OwnedFrame| match frame {
            OwnedFrame::Number { data, .. } => Some(data.to_string()),
            other => other.as_str().map(str::to_owned),
        };
        match self.frame()? {
            OwnedFrame::Map { data, .. } => {
                data.iter().find(|(key, _)| key.as_str() == Some(name)).and_then(|(_, value)| scalar(value))
            }
            OwnedFrame::Array { data, .. } => data
                .chunks(2)
                .find(|pair| pair[0].as_str() == Some(name))
                .and_then(|pair| scalar(pair.get(1)?)),
            _ => None,
        }
    }

    fn frame(&self) -> Option<OwnedFrame> {
        redis_protocol::resp3::decode::complete::decode(&self.0).ok().flatten().map(|(frame, _)| frame)
    }
}

/// The text of a one-line reply without its type byte.
fn line(raw: &Bytes) -> String {
    let mut raw = raw.clone();
    raw.advance(1);
    String::from_utf8_lossy(&raw).trim_end().to_owned()
}

/// Encodes one request.
pub fn encode(request: &[&[u8]], out: &mut BytesMut) {
    let header = |kind: u8, n: usize, out: &mut BytesMut| {
        out.extend_from_slice(&[kind]);
        out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    };
    header(b'*', request.len(), out);
    for arg in request {
        header(b'$', arg.len(), out);
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
