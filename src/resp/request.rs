//! Finds the requests in what a client sent: RESP arrays of bulk strings, and inline commands.
//!
//! One idea: arguments are ranges over the read buffer, relative to the request's first byte. The parser
//! keeps where it stopped, so that a request arriving byte by byte is scanned once, and it allocates only
//! for arguments that have arrived, never for those that a header announces. It accepts and refuses
//! exactly what Redis 7.0 accepts and refuses, with the same words.

use bytes::BytesMut;
use memchr::{memchr, memchr2};

use super::args::Args;
use super::{inline, number};

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// The longest argument: Redis's `proto-max-bulk-len`.
    pub max_bulk: usize,
    /// The most arguments. Nothing is allocated for an argument before it arrives.
    pub max_args: usize,
    /// The longest inline request, and the longest run of bytes without the end of a header.
    pub max_inline: usize,
}

impl Default for RequestLimits {
    /// Redis 7.0's own.
    fn default() -> Self {
        RequestLimits { max_bulk: 512 << 20, max_args: i32::MAX as usize, max_inline: 64 << 10 }
    }
}

/// Redis's limits for a client that has yet to authenticate.
const UNAUTHENTICATED_ARGS: usize = 10;
const UNAUTHENTICATED_BULK: usize = 16384;

/// Memory that a parser keeps between small requests: a hundred or so arguments, a usual inline command.
const KEEP_RANGES: usize = 128;
const KEEP_SCRATCH: usize = 1024;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The request takes this many bytes of the buffer, from its first.
    Complete(usize),
    /// More bytes are needed.
    Incomplete,
}

/// How much of a streamed request was recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Streamed {
    /// So many bytes of the buffer belong to the request and can be forwarded.
    pub consumed: usize,
    /// The request ends with them.
    pub done: bool,
}

/// A request that Redis refuses. The client gets `-ERR {text}` and is disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub struct ProtocolError(Refusal);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("too big mbulk count string")]
    LongCount,
    #[error("invalid multibulk length")]
    Count,
    #[error("unauthenticated multibulk length")]
    UnauthenticatedCount,
    #[error("too big bulk count string")]
    LongBulk,
    #[error("expected '$', got '{}'", char::from(*.0))]
    NotBulk(u8),
    #[error("invalid bulk length")]
    Bulk,
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulk,
    #[error("too big inline request")]
    LongInline,
    #[error("unbalanced quotes in request")]
    Quotes,
    /// Not Redis's: it has no such limit. Requests that large are streamed, and never get here.
    #[error("too big request")]
    TooLarge,
}

impl ProtocolError {
    /// Appends the error reply, byte for byte Redis's.
    pub fn write_reply(&self, out: &mut BytesMut) {
        match self.0 {
            Refusal::NotBulk(byte) => {
                out.extend_from_slice(b"-ERR Protocol error: expected '$', got '");
                out.extend_from_slice(&[if byte == b'\r' || byte == b'\n' { b' ' } else { byte }]);
                out.extend_from_slice(b"'\r\n");
            }
            refusal => out.extend_from_slice(format!("-ERR Protocol error: {refusal}\r\n").as_bytes()),
        }
    }
}

/// Where the parser stands within a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first byte.
    Start,
    /// In a line that is not a RESP array.
    Inline,
    /// In the line `*count`.
    Count,
    /// In the line `$length` of the next argument.
    Length,
    /// In an argument whose first byte is at `pos`; so many bytes are missing with the two that end it.
    Body(usize),
    /// Refused. The rest of what the client sent means nothing.
    Failed(Refusal),
}

/// Takes requests from a buffer, one after the other.
pub struct RequestParser {
    limits: RequestLimits,
    authenticated: bool,
    /// The most arguments for which `parse_usual` need not look at any limit.
    usual_args: usize,
    phase: Phase,
    /// Everything before is understood: a header or an argument begins here.
    pos: usize,
    /// Everything before is known to hold no line end; at least `pos`.
    scanned: usize,
    /// Arguments that the count announced and that are not yet complete.
    remaining: usize,
    /// Where each complete argument begins and ends, in the buffer or in `scratch`.
    ranges: Vec<(u32, u32)>,
    /// All line ends so far were `\r\n`. Redis does not look, but other servers do.
    canonical: bool,
    /// The request as a RESP array, if the buffer does not hold it as one; else empty.
    scratch: Vec<u8>,
    /// `pos` is relative to the first byte that `stream` has not consumed; no ranges are kept.
    streaming: bool,
}

impl RequestParser {
    /// A parser before its first request, of a client that need not authenticate.
    pub fn new(limits: RequestLimits) -> Self {
        RequestParser {
            limits,
            authenticated: true,
            usual_args: usual_args(&limits, true),
            phase: Phase::Start,
            pos: 0,
            scanned: 0,
            remaining: 0,
            ranges: Vec::new(),
            canonical: true,
            scratch: Vec::new(),
            streaming: false,
        }
    }

    /// Until a client has authenticated, Redis takes at most 10 arguments of at most 16384 bytes.
    pub fn set_authenticated(&mut self, yes: bool) {
        if self.authenticated != yes {
            self.authenticated = yes;
            self.usual_args = usual_args(&self.limits, yes);
        }
    }

    /// Goes on with the request that `buf` begins with; after Complete, with a new one. An empty request
    /// (a blank line, `*0`, `*-1`) is complete and has no arguments.
    pub fn parse(&mut self, buf: &[u8]) -> Result<Parsed, ProtocolError> {
        if self.phase == Phase::Start
            && let Some(len) = self.parse_usual(buf)
        {
            return Ok(Parsed::Complete(len));
        }
        self.parse_closely(buf)
    }

    /// The same for a request of any form, or a part of one.
    #[inline(never)]
    fn parse_closely(&mut self, buf: &[u8]) -> Result<Parsed, ProtocolError> {
        if self.phase == Phase::Start {
            self.begin(buf);
        }
        let complete = match self.phase {
            Phase::Start => Ok(false),
            Phase::Inline => self.parse_inline(buf),
            Phase::Count => self.parse_count(buf),
            Phase::Length | Phase::Body(_) => self.parse_args(buf),
            Phase::Failed(refusal) => Err(refusal),
        };
        match complete {
            Ok(true) => {
                self.phase = Phase::Start;
                Ok(Parsed::Complete(self.pos))
            }
            Ok(false) => Ok(Parsed::Incomplete),
            Err(refusal) => {
                self.phase = Phase::Failed(refusal);
                Err(ProtocolError(refusal))
            }
        }
    }

    /// The arguments of the request just completed, or those complete so far. `buf` as given to `parse`.
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> Args<'a> {
        Args::new(if self.scratch.is_empty() { buf } else { &self.scratch }, &self.ranges)
    }

    /// The request just completed as a RESP array, to forward. `buf` as given to `parse`.
    pub fn raw<'a>(&'a self, buf: &'a [u8]) -> &'a [u8] {
        if self.scratch.is_empty() { &buf[..self.pos] } else { &self.scratch }
    }

    /// After Incomplete: how many bytes the request takes at least, by what its headers say so far.
    pub fn declared(&self) -> usize {
        match self.phase {
            Phase::Body(missing) => self.pos.saturating_add(missing),
            _ => self.scanned.max(self.pos),
        }
    }

    /// From here on the incomplete request is taken by `stream`; its arguments so far are forgotten.
    /// The first buffer given to `stream` begins with the request's first byte, as it did for `parse`.
    pub fn begin_stream(&mut self) {
        self.ranges.clear();
        self.streaming = true;
    }

    /// Recognizes as much of a large request as `buf` holds. Each call's buffer begins behind the bytes
    /// that the last one consumed. When done, `parse` takes the next request.
    ///
    /// Line ends are forwarded as they came, and Redis does not look at them: a request goes in this way
    /// only over a connection that is its client's own.
    pub fn stream(&mut self, buf: &[u8]) -> Result<Streamed, ProtocolError> {
        self.streaming = true;
        let Parsed::Complete(consumed) = self.parse(buf)? else {
            let consumed = self.pos.min(buf.len());
            self.pos -= consumed;
            self.scanned = self.scanned.saturating_sub(consumed);
            return Ok(Streamed { consumed, done: false });
        };
        self.streaming = false;
        Ok(Streamed { consumed, done: true })
    }

    /// Gives memory back, for a client that has become idle between two requests.
    pub fn release(&mut self) {
        self.ranges = Vec::new();
        self.scratch = Vec::new();
    }

    /// A request that is here as a whole and in the form in which all clients send: understood in one go.
    /// Anything else is None, and looked at closely from its first byte.
    #[inline]
    fn parse_usual(&mut self, buf: &[u8]) -> Option<usize> {
        let (count, mut at) = number::header(buf, 0, b'*')?;
        let count = count as usize;
        if count.wrapping_sub(1) >= self.usual_args || self.ranges.capacity() > KEEP_RANGES {
            return None; // too few, too many, or there is memory to be given back
        }
        // Most requests have as many arguments as the one before.
        if self.ranges.len() != count {
            self.ranges.resize(count, (0, 0));
        }
        // So few arguments of less than a thousand bytes: no offset overflows.
        for range in &mut self.ranges {
            let (len, start) = number::header(buf, at, b'$')?;
            let end = start + len;
            if buf.get(end as usize..end as usize + 2)? != b"\r\n" {
                return None;
            }
            *range = (start, end);
            at = end + 2;
        }
        self.scratch.clear();
        self.pos = at as usize;
        Some(self.pos)
    }

    #[inline]
    fn begin(&mut self, buf: &[u8]) {
        self.pos = 0;
        self.scanned = 0;
        self.remaining = 0;
        self.canonical = true;
        // Memory of large requests is kept while they come one after the other, and not longer.
        if self.ranges.capacity() > KEEP_RANGES && self.ranges.len() <= KEEP_RANGES {
            self.ranges.shrink_to(KEEP_RANGES);
        }
        if self.scratch.capacity() > KEEP_SCRATCH && self.scratch.len() <= KEEP_SCRATCH {
            self.scratch.shrink_to(KEEP_SCRATCH);
        }
        self.ranges.clear();
        self.scratch.clear();
        self.phase = match buf.first() {
            None => Phase::Start,
            Some(b'*') => Phase::Count,
            Some(_) => Phase::Inline,
        };
    }

    /// The line `*count`, and what follows. True if the request is complete.
    #[inline]
    fn parse_count(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        let Some(count) = self.header(buf, Refusal::LongCount)? else { return Ok(false) };
        let max_args = i64::try_from(self.limits.max_args).unwrap_or(i64::MAX);
        let count = count.filter(|&n| n <= max_args).ok_or(Refusal::Count)?;
        let count = usize::try_from(count).unwrap_or(0); // `*-1` is as empty as `*0`
        if count > UNAUTHENTICATED_ARGS && !self.authenticated {
            return Err(Refusal::UnauthenticatedCount);
        }
        self.remaining = count;
        self.phase = Phase::Length;
        self.parse_args(buf)
    }

    /// The arguments. True if all are complete.
    #[inline]
    fn parse_args(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        while self.remaining > 0 {
            let missing = match self.phase {
                Phase::Body(missing) => missing,
                _ => match self.parse_length(buf)? {
                    Some(len) => len + 2,
                    None => return Ok(false),
                },
            };
            let here = buf.len().saturating_sub(self.pos);
            if here < missing {
                self.phase = Phase::Body(missing);
                if self.streaming {
                    self.phase = Phase::Body(missing - here);
                    self.pos += here;
                }
                return Ok(false);
            }
            let next = self.pos + missing;
            if !self.streaming {
                self.canonical &= &buf[next - 2..next] == b"\r\n";
                let end = u32::try_from(next - 2).map_err(|_| Refusal::TooLarge)?;
                self.ranges.push((self.pos as u32, end));
            }
            self.pos = next;
            self.phase = Phase::Length;
            self.remaining -= 1;
        }
        if !self.canonical && !self.streaming {
            self.mend(buf);
        }
        Ok(true)
    }

    /// The line `$length`, if it is complete.
    #[inline]
    fn parse_length(&mut self, buf: &[u8]) -> Result<Option<usize>, Refusal> {
        let first = buf.get(self.pos).copied().unwrap_or(b'$');
        if first != b'$' {
            // Redis looks at the type only when it has the whole line.
            let line_end = self.line_end(buf, Refusal::LongBulk)?;
            return if line_end.is_some() { Err(Refusal::NotBulk(first)) } else { Ok(None) };
        }
        let Some(len) = self.header(buf, Refusal::LongBulk)? else { return Ok(None) };
        let len = len.and_then(|n| usize::try_from(n).ok()).filter(|&n| n <= self.limits.max_bulk);
        let len = len.ok_or(Refusal::Bulk)?;
        if len > UNAUTHENTICATED_BULK && !self.authenticated {
            return Err(Refusal::UnauthenticatedBulk);
        }
        Ok(Some(len))
    }

    /// The header at `pos`, whose first byte is its type: None if its end is yet to come, Some(None) if
    /// it holds no number.
    #[inline]
    fn header(&mut self, buf: &[u8], too_long: Refusal) -> Result<Option<Option<i64>>, Refusal> {
        let text = buf.get(self.pos + 1..).unwrap_or_default();
        if let Some((value, used)) = number::short(text) {
            self.canonical &= text[used - 1] == b'\n';
            self.pos += 1 + used;
            return Ok(Some(Some(value as i64)));
        }
        let Some(end) = self.line_end(buf, too_long)? else { return Ok(None) };
        let value = number::parse_i64(&buf[self.pos + 1..end]);
        self.canonical &= buf[end + 1] == b'\n';
        self.pos = end + 2;
        Ok(Some(value))
    }

    /// Where the `\r` is that ends the line at `pos`, once one more byte is there. Which byte, Redis does
    /// not look at. A NUL hides all that follows, since Redis searches with strchr.
    #[cold]
    fn line_end(&mut self, buf: &[u8], too_long: Refusal) -> Result<Option<usize>, Refusal> {
        match self.find(buf, b'\r', too_long)? {
            Some(at) if at + 1 < buf.len() => Ok(Some(at)),
            _ => Ok(None),
        }
    }

    /// The first `byte` of the line at `pos`, unless a NUL comes before it.
    fn find(&mut self, buf: &[u8], byte: u8, too_long: Refusal) -> Result<Option<usize>, Refusal> {
        let from = self.scanned.max(self.pos).min(buf.len());
        let stop = memchr2(byte, 0, &buf[from..]).map_or(buf.len(), |i| from + i);
        self.scanned = stop;
        let found = buf.get(stop) == Some(&byte);
        // Up to here as if the bytes had come one by one, whatever the buffer holds already.
        let without_end = if found { stop } else { buf.len() }.saturating_sub(self.pos);
        if without_end > self.limits.max_inline {
            return Err(too_long);
        }
        Ok(found.then_some(stop))
    }

    /// A line ended by `\n` or `\r\n`. True if it is complete.
    fn parse_inline(&mut self, buf: &[u8]) -> Result<bool, Refusal> {
        let Some(end) = self.find(buf, b'\n', Refusal::LongInline)? else { return Ok(false) };
        let line = &buf[self.pos..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        inline::split(line, &mut bytes, &mut ends).map_err(|_| Refusal::Quotes)?;
        self.pos = end + 1;
        let mut start = 0;
        let ranges: Vec<_> = ends.into_iter().map(|end| (std::mem::replace(&mut start, end), end)).collect();
        if !ranges.is_empty() && !self.streaming {
            self.encode(&Args::new(&bytes, &ranges));
        }
        Ok(true)
    }

    /// Copies a request to `scratch` with every line end made `\r\n`. Numbers have one form only, so that
    /// nothing moves.
    #[cold]
    fn mend(&mut self, buf: &[u8]) {
        self.scratch.extend_from_slice(&buf[..self.pos]);
        let count_end = memchr(b'\r', buf).unwrap_or(0);
        self.scratch[count_end + 1] = b'\n';
        for &(start, end) in &self.ranges {
            let (start, end) = (start as usize, end as usize);
            self.scratch[start - 2..start].copy_from_slice(b"\r\n");
            self.scratch[end..end + 2].copy_from_slice(b"\r\n");
        }
    }

    /// Writes the arguments to `scratch` as a RESP array, and lets the ranges point there.
    fn encode(&mut self, args: &Args<'_>) {
        let mut digits = itoa::Buffer::new();
        self.scratch.push(b'*');
        self.scratch.extend_from_slice(digits.format(args.len()).as_bytes());
        for arg in args.iter() {
            self.scratch.extend_from_slice(b"\r\n$");
            self.scratch.extend_from_slice(digits.format(arg.len()).as_bytes());
            self.scratch.extend_from_slice(b"\r\n");
            let start = self.scratch.len() as u32;
            self.scratch.extend_from_slice(arg);
            self.ranges.push((start, self.scratch.len() as u32));
        }
        self.scratch.extend_from_slice(b"\r\n");
    }
}

fn usual_args(limits: &RequestLimits, authenticated: bool) -> usize {
    match authenticated {
        _ if limits.max_bulk < number::MAX_USUAL => 0,
        true => limits.max_args.min(KEEP_RANGES),
        false => limits.max_args.min(UNAUTHENTICATED_ARGS),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
