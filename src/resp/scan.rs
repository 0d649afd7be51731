//! Finds where an upstream's reply ends, without decoding it.
//!
//! One idea: all that is needed to find the end is how many values are still to come. A value takes one
//! away, an aggregate of n adds n. There is no stack, so that no depth of nesting costs memory and none
//! need be refused: scripts may send replies nested thousands deep, as deep as Lua's own stack.

use memchr::memchr;

use super::number;

/// The longest string or aggregate that a reply may announce: 2^40, a thousand times what Redis can hold
/// in one value, and few enough that a sum of bytes or values cannot overflow.
const MAX_LEN: u64 = 1 << 40;

/// The most bytes of a header: its type, a signed 64-bit number, `\r\n`.
const MAX_HEADER: usize = 23;

/// What a buffer holds of the reply it begins in. The next buffer begins behind the bytes counted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scan {
    /// So many bytes belong to the reply, and more is to come. The bytes behind them, if any, are a
    /// header that is not yet complete.
    More(usize),
    /// The reply ends with so many bytes.
    Done(usize),
    /// So many bytes belong to the reply, and a push begins behind them, in the midst of the reply or,
    /// if the count is 0 and no reply was begun, before it. When the push has been taken out, the scan
    /// goes on behind it.
    Push(usize),
}

/// Bytes that are not RESP. The connection that sent them cannot be used any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// Text that is not RESP: another protocol is spoken here.
    #[error("upstream sent byte 0x{0:02x} where a reply should begin: does it speak the Redis protocol?")]
    UnknownType(u8),
    /// A length, count or integer is not a number, or negative.
    #[error("upstream sent '{}' without a valid number behind it", char::from(*.0))]
    Number(u8),
    /// A string or aggregate is longer than any can be.
    #[error("upstream announced more than 2^40 bytes or elements")]
    TooLarge,
    /// A string or a header does not end in `\r\n`.
    #[error("upstream sent a value that does not end in CRLF")]
    LineEnd,
    /// Neither `#t` nor `#f`, or a null with something in it.
    #[error("upstream sent a malformed boolean or null")]
    Constant,
    /// A verbatim string without a three-letter format.
    #[error("upstream sent a verbatim string without a format")]
    Verbatim,
    /// RESP3's strings and aggregates of unknown length. Redis specifies, but never sends them.
    #[error("upstream sent a streamed string or aggregate, which no Redis does")]
    Streamed,
}

/// What comes next at the scanner's position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The type of a value.
    Value,
    /// The rest of a line.
    Line,
    /// So many bytes of a string, then `\r\n`.
    Body(u64),
}

/// Finds the ends of replies, RESP3 or RESP2, in a stream that arrives in pieces.
pub struct ReplyScanner {
    next: Next,
    /// Values to come, those within aggregates included. 0 between replies.
    pending: u64,
    /// A push at the beginning is a frame of its own, and one within a frame is a part of it.
    push_is_frame: bool,
}

impl Default for ReplyScanner {
    fn default() -> Self {
        ReplyScanner::new()
    }
}

/// A header, understood.
pub(super) enum Header {
    /// A value that ends with its header: integer, boolean, null.
    Scalar,
    /// A value that ends with its line: simple string, error, double, big number.
    Line,
    /// A string of so many bytes.
    Body(u64),
    /// An aggregate of so many values, map keys counted too.
    Aggregate(u64),
    /// So many values that are attributes of the value behind them.
    Attribute(u64),
}

impl ReplyScanner {
    /// A scanner between two replies.
    pub fn new() -> Self {
        ReplyScanner { next: Next::Value, pending: 0, push_is_frame: false }
    }

    /// A scanner that takes a push for a frame as good as any other: to find the end of a push, and for
    /// connections where replies and pushes need not be told apart. It never gives `Scan::Push`.
    pub fn frames() -> Self {
        ReplyScanner { push_is_frame: true, ..ReplyScanner::new() }
    }

    /// True if a reply has begun and not ended.
    pub fn in_reply(&self) -> bool {
        self.pending > 0
    }

    /// Goes on with the reply that `buf` begins in. No byte is looked at twice, but those of a header
    /// that is not complete.
    pub fn feed(&mut self, buf: &[u8]) -> Result<Scan, ReplyError> {
        if self.pending == 0 {
            if let Some(end) = whole(buf) {
                return Ok(Scan::Done(end));
            }
            if buf.is_empty() {
                return Ok(Scan::More(0));
            }
            if buf[0] == b'>' && !self.push_is_frame {
                return Ok(Scan::Push(0));
            }
            // A header that is not complete is looked at again as the first of its reply.
            return self.first(buf);
        }
        self.go_on(buf, 0)
    }

    /// The first header of a reply.
    fn first(&mut self, buf: &[u8]) -> Result<Scan, ReplyError> {
        match header(buf)? {
            None => Ok(Scan::More(0)),
            Some((header, used)) => {
                self.pending = 1;
                self.enter(header)?;
                if self.pending == 0 { Ok(Scan::Done(used)) } else { self.go_on(buf, used) }
            }
        }
    }

    /// Everything behind a reply's first header, from `pos` on.
    fn go_on(&mut self, buf: &[u8], mut pos: usize) -> Result<Scan, ReplyError> {
        while self.pending > 0 {
            let rest = &buf[pos..];
            let used = match self.next {
                Next::Value => match rest.first() {
                    None => 0,
                    Some(b'>') if !self.push_is_frame => return Ok(Scan::Push(pos)),
                    Some(b'>') => self.push_within(rest)?,
                    Some(_) => match header(rest)? {
                        None => 0,
                        Some((header, used)) => {
                            self.enter(header)?;
                            used
                        }
                    },
                },
                Next::Line => self.line(rest),
                Next::Body(left) => self.body(rest, left)?,
            };
            pos += used;
            if used == 0 || (pos == buf.len() && self.pending > 0) {
                return Ok(Scan::More(pos));
            }
        }
        Ok(Scan::Done(pos))
    }

    /// Accounts for a header.
    #[inline]
    fn enter(&mut self, header: Header) -> Result<(), ReplyError> {
        match header {
            Header::Scalar => self.pending -= 1,
            Header::Line => self.next = Next::Line,
            Header::Body(len) => self.next = Next::Body(len),
            Header::Aggregate(n) => self.expect(n, 1)?,
            Header::Attribute(n) => self.expect(n, 0)?,
        }
        Ok(())
    }

    /// Expects `more` values in place of `fewer`.
    fn expect(&mut self, more: u64, fewer: u64) -> Result<(), ReplyError> {
        let pending = self.pending - fewer;
        self.pending = pending.checked_add(more).ok_or(ReplyError::TooLarge)?;
        Ok(())
    }

    /// A push within a frame: its values belong to the frame, but it does not count as one of the frame's.
    fn push_within(&mut self, rest: &[u8]) -> Result<usize, ReplyError> {
        let Some((header, used)) = header(rest)? else { return Ok(0) };
        if let Header::Aggregate(n) = header {
            self.expect(n, 0)?;
        }
        Ok(used)
    }

    /// The rest of a line. A `\r` that may be half of a line end is left for the next call.
    #[inline]
    fn line(&mut self, rest: &[u8]) -> usize {
        match line_len(rest) {
            Some(len) => {
                self.next = Next::Value;
                self.pending -= 1;
                len
            }
            None => rest.len() - usize::from(rest.last() == Some(&b'\r')),
        }
    }

    /// The rest of a string. Its `\r\n` is taken only when it is whole.
    #[inline]
    fn body(&mut self, rest: &[u8], left: u64) -> Result<usize, ReplyError> {
        if (rest.len() as u64) < left + 2 {
            let used = left.min(rest.len() as u64);
            self.next = Next::Body(left - used);
            return Ok(used as usize);
        }
        let end = left as usize; // no more than rest.len()
        if &rest[end..end + 2] != b"\r\n" {
            return Err(ReplyError::LineEnd);
        }
        self.next = Next::Value;
        self.pending -= 1;
        Ok(end + 2)
    }
}

/// The length of the frame that `buf` begins with, of whichever type, or None if it is not complete.
pub fn frame_len(buf: &[u8]) -> Result<Option<usize>, ReplyError> {
    Ok(match ReplyScanner::frames().feed(buf)? {
        Scan::Done(len) => Some(len),
        Scan::More(_) | Scan::Push(_) => None,
    })
}

/// The length of the line that `text` begins with, its `\r\n` included. Either of the two alone is text.
#[inline]
pub(super) fn line_len(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr(b'\n', &text[from..])?;
        if at > 0 && text[at - 1] == b'\r' {
            return Some(at + 1);
        }
        from = at + 1;
    }
}

/// The length of a reply that is one string, complete and well formed: most are. None says nothing.
#[inline(always)]
fn whole(buf: &[u8]) -> Option<usize> {
    if buf.first() != Some(&b'$') {
        return None;
    }
    let (len, used) = number::short(&buf[1..])?;
    let end = 1 + used + len;
    (buf[used] == b'\n' && buf.get(end..end + 2) == Some(b"\r\n")).then_some(end + 2)
}

/// Understands the header that `buf`, which is not empty, begins with, and says how long it is.
/// None if it is not complete.
#[inline]
pub(super) fn header(buf: &[u8]) -> Result<Option<(Header, usize)>, ReplyError> {
    let kind = buf[0];
    let (value, used) = match kind {
        b'+' | b'-' | b',' | b'(' => return Ok(Some((Header::Line, 1))),
        b'_' => return constant(buf, b"_\r\n"),
        b'#' => return boolean(buf),
        b':' | b'$' | b'*' | b'%' | b'~' | b'>' | b'=' | b'!' | b'|' => match number(buf)? {
            Some(number) => number,
            None => return Ok(None),
        },
        other => return Err(ReplyError::UnknownType(other)),
    };
    if kind == b':' || (value == -1 && matches!(kind, b'$' | b'*')) {
        return Ok(Some((Header::Scalar, used)));
    }
    let len = u64::try_from(value).map_err(|_| ReplyError::Number(kind))?;
    if len > MAX_LEN {
        return Err(ReplyError::TooLarge);
    }
    let header = match kind {
        b'$' | b'!' => Header::Body(len),
        b'=' if len < 4 => return Err(ReplyError::Verbatim),
        b'=' => Header::Body(len),
        b'%' => aggregate(len * 2),
        b'|' => Header::Attribute(len * 2),
        _ => aggregate(len),
    };
    Ok(Some((header, used)))
}

fn aggregate(n: u64) -> Header {
    if n == 0 { Header::Scalar } else { Header::Aggregate(n) }
}

/// The number behind a type, and the length of both with their `\r\n`.
#[inline]
fn number(buf: &[u8]) -> Result<Option<(i64, usize)>, ReplyError> {
    if let Some((value, used)) = number::short(&buf[1..]) {
        return if buf[used] == b'\n' {
            Ok(Some((value as i64, used + 1)))
        } else {
            Err(ReplyError::LineEnd)
        };
    }
    let text = &buf[..buf.len().min(MAX_HEADER)];
    if text.get(1) == Some(&b'?') {
        return Err(ReplyError::Streamed);
    }
    let Some(end) = memchr(b'\r', text) else {
        return if text.len() == MAX_HEADER { Err(ReplyError::Number(buf[0])) } else { Ok(None) };
    };
    let value = number::parse_i64(&text[1..end]).ok_or(ReplyError::Number(buf[0]))?;
    match buf.get(end + 1) {
        None => Ok(None),
        Some(b'\n') => Ok(Some((value, end + 2))),
        Some(_) => Err(ReplyError::LineEnd),
    }
}

fn boolean(buf: &[u8]) -> Result<Option<(Header, usize)>, ReplyError> {
    match buf.get(1) {
        None => Ok(None),
        Some(b't') => constant(buf, b"#t\r\n"),
        Some(_) => constant(buf, b"#f\r\n"),
    }
}

fn constant(buf: &[u8], expected: &[u8]) -> Result<Option<(Header, usize)>, ReplyError> {
    let text = &buf[..buf.len().min(expected.len())];
    if !expected.starts_with(text) {
        return Err(ReplyError::Constant);
    }
    Ok((text.len() == expected.len()).then_some((Header::Scalar, expected.len())))
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
