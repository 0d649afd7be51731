//! The buffers that the sessions of a thread take turns with.
//!
//! A session needs room for requests and replies from a read until the replies have been written, which mostly
//! is one poll of its task, and a thread polls one task at a time. So a few buffers serve all its sessions, and
//! they stay in the cache. Who has part of a request or unwritten replies keeps his until he has not; an idle
//! session has none.

use std::cell::RefCell;

use bytes::BytesMut;

/// What a new buffer holds.
pub const SIZE: usize = 16 * 1024;

/// A buffer that has grown is kept up to this size.
const LARGEST: usize = 256 * 1024;

/// Buffers that a thread keeps: one to read into and one to write from, twice.
const SPARE: usize = 4;

thread_local! {
    static BUFFERS: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// Sees to it that there is a buffer.
#[inline]
pub fn take(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        let spare = BUFFERS.with_borrow_mut(Vec::pop);
        *buffer = spare.unwrap_or_else(|| BytesMut::with_capacity(SIZE));
    }
}

/// Gives an empty buffer back.
#[inline]
pub fn give(buffer: &mut BytesMut) {
    if buffer.capacity() == 0 {
        return;
    }
    let mut buffer = std::mem::take(buffer);
    // Part of it may be out of use, or still in somebody's hands.
    if buffer.try_reclaim(SIZE) && buffer.capacity() <= LARGEST {
        BUFFERS.with_borrow_mut(|buffers| {
            if buffers.len() < SPARE {
                buffers.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_again() {
        let mut buffer = BytesMut::new();
        take(&mut buffer);
        let place = buffer.as_ptr();
        buffer.extend_from_slice(b"PING\r\n");
        buffer.advance(6);
        give(&mut buffer);
        assert_eq!(buffer.capacity(), 0);
        take(&mut buffer);
        assert_eq!((buffer.as_ptr(), buffer.len()), (place, 0));
        assert!(buffer.capacity() >= SIZE, "nothing of it is lost");
    }

    #[test]
    fn what_somebody_else_holds_or_is_too_large_is_not_kept() {
        let mut buffer = BytesMut::with_capacity(SIZE);
        buffer.extend_from_slice(b"abc");
        let held = buffer.split().freeze();
        give(&mut buffer);
        let mut large = BytesMut::with_capacity(LARGEST + 1);
        give(&mut large);
        assert_eq!(BUFFERS.with_borrow(Vec::len), 0);
        assert_eq!(held, b"abc".as_slice());
    }

    #[test]
    fn their_number_is_bounded() {
        for _ in 0..2 * SPARE {
            give(&mut BytesMut::with_capacity(SIZE));
        }
        assert_eq!(BUFFERS.with_borrow(Vec::len), SPARE);
    }
}
