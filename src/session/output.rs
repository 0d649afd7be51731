//! What is to be written to the client: small replies in one buffer, large ones as they came.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::net::Stream;

/// Chunks per vectored write: the kernel takes up to 1024, and more than a few only cost set-up.
const SLICES: usize = 16;

/// The output of one session.
#[derive(Default)]
pub struct Output {
    /// Finished chunks, oldest first.
    chunks: VecDeque<Bytes>,
    /// Bytes in `chunks`.
    queued: usize,
    /// Where replies are written; behind the chunks.
    pub tail: BytesMut,
}

impl Output {
    /// Adds a large reply without copying it.
    pub fn large(&mut self, bytes: Bytes) {
        if !self.tail.is_empty() {
            self.queued += self.tail.len();
            self.chunks.push_back(self.tail.split().freeze());
        }
        self.queued += bytes.len();
        self.chunks.push_back(bytes);
    }

    /// Bytes of memory, about.
    pub fn held(&self) -> usize {
        self.queued + self.tail.capacity()
    }

    /// Bytes not yet written.
    pub fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// The largest chunk: one large reply is not a client's fault.
    pub fn largest(&self) -> usize {
        self.chunks.iter().map(Bytes::len).max().unwrap_or(0).max(self.tail.len() / 2)
    }

    /// True when everything has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the memory back: for a session that goes idle.
    pub fn release(&mut self) {
        if self.chunks.is_empty() {
            self.chunks = VecDeque::new();
        }
    }

    /// Writes until everything is written (ready) or the socket is full (pending).
    pub fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let n = if self.chunks.is_empty() {
                ready!(Pin::new(&mut *stream).poll_write(cx, &self.tail))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let all = self.chunks.iter().map(|chunk| &chunk[..]).chain([&self.tail[..]]);
                let used =
                    slices.iter_mut().zip(all).map(|(slice, bytes)| *slice = IoSlice::new(bytes)).count();
                ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..used]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(n);
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn written(&mut self, mut n: usize) {
        while let Some(chunk) = self.chunks.front_mut() {
            let part = n.min(chunk.len());
            chunk.advance(part);
            self.queued -= part;
            n -= part;
            if !chunk.is_empty() {
                return;
            }
            self.chunks.pop_front();
        }
        if n == self.tail.len() {
            self.tail.clear();
        } else {
            self.tail.advance(n);
        }
    }
}
