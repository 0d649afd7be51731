//! One stream type for everything that bytes travel on.
//!
//! An enum, not a trait object: a plain TCP read costs one well predicted branch. TLS streams buffer what
//! is written, so whoever writes must flush; on plain sockets a flush is free.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

/// A connected socket, without TLS.
#[derive(Debug)]
pub enum Socket {
    /// TCP over IPv4 or IPv6.
    Tcp(TcpStream),
    /// A unix socket.
    Unix(UnixStream),
}

/// A connection to a client or to an upstream. The TLS states are boxed: they are large and rare.
#[derive(Debug)]
pub enum Stream {
    /// No TLS.
    Plain(Socket),
    /// TLS, we are the server.
    ServerTls(Box<server::TlsStream<Socket>>),
    /// TLS, we are the client.
    ClientTls(Box<client::TlsStream<Socket>>),
}

impl Stream {
    /// Whether bytes are encrypted on the way.
    pub fn is_tls(&self) -> bool {
        !matches!(self, Stream::Plain(_))
    }
}

/// Calls the same poll method of whichever variant is there: every one of them is `Unpin`.
macro_rules! delegate {
    ($self:expr, $io:ident => $call:expr, $($variant:path),+) => {
        match $self.get_mut() { $($variant($io) => { let $io = Pin::new($io); $call })+ }
    };
}

macro_rules! delegate_write {
    ($type:ident, $($variant:path),+) => {
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                delegate!(self, io => io.poll_write(cx, buf), $($variant),+)
            }
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                delegate!(self, io => io.poll_write_vectored(cx, bufs), $($variant),+)
            }
            fn is_write_vectored(&self) -> bool {
                match self { $($variant(io) => io.is_write_vectored()),+ }
            }
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                delegate!(self, io => io.poll_flush(cx), $($variant),+)
            }
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                delegate!(self, io => io.poll_shutdown(cx), $($variant),+)
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, io => io.poll_read(cx, buf), Socket::Tcp, Socket::Unix)
    }
}

delegate_write!(Socket, Socket::Tcp, Socket::Unix);
delegate_write!(Stream, Stream::Plain, Stream::ServerTls, Stream::ClientTls);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let result = match self.get_mut() {
            Stream::Plain(socket) => return Pin::new(socket).poll_read(cx, buf),
            Stream::ServerTls(tls) => Pin::new(tls).poll_read(cx, buf),
            Stream::ClientTls(tls) => Pin::new(tls).poll_read(cx, buf),
        };
        match result {
            // Many peers hang up without TLS's farewell. That matters where the end of the stream is the
            // end of the message; in the Redis protocol a message that is cut off shows by itself.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            result => result,
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Stream::Plain(Socket::Tcp(tcp))
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Stream::Plain(Socket::Unix(unix))
    }
}
