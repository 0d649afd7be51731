//! Reads a complete reply from its first byte to its last, one header or scalar at a time.

use super::number;
use super::scan::{Header, ReplyScanner, Scan, header, line_len};

/// One value, or the header of an aggregate, whose values follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// `+`
    Simple(&'a [u8]),
    /// `-`
    Error(&'a [u8]),
    /// `:`
    Int(i64),
    /// `$`
    Bulk(&'a [u8]),
    /// `_`, RESP3's only null.
    Null,
    /// `$-1`, one of RESP2's.
    NullBulk,
    /// `*-1`, the other.
    NullArray,
    /// `#`
    Bool(bool),
    /// `,`: its text, which may be `inf`, `-inf` or `nan`.
    Double(&'a [u8]),
    /// `(`: its digits.
    BigNumber(&'a [u8]),
    /// `!`
    BlobError(&'a [u8]),
    /// `=`: its three-letter format, and its text.
    Verbatim(&'a [u8], &'a [u8]),
    /// `*` of so many values.
    Array(usize),
    /// `%` of so many pairs of values.
    Map(usize),
    /// `~` of so many values.
    Set(usize),
    /// `>` of so many values.
    Push(usize),
    /// `|` of so many pairs of values, which are about the value behind them.
    Attribute(usize),
}

impl Kind<'_> {
    /// True of all three nulls.
    pub fn is_null(&self) -> bool {
        matches!(self, Kind::Null | Kind::NullBulk | Kind::NullArray)
    }

    /// How many values follow that belong to this one, each nested one counted once.
    pub fn values(&self) -> usize {
        match *self {
            Kind::Array(n) | Kind::Set(n) | Kind::Push(n) => n,
            Kind::Map(n) | Kind::Attribute(n) => n * 2,
            _ => 0,
        }
    }
}

/// Walks bytes that a `ReplyScanner` found to be complete. On others it ends early, and never panics.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    buf: &'a [u8],
    pos: usize,
}

impl<'a> Cursor<'a> {
    /// Before the first byte of `buf`.
    pub fn new(buf: &'a [u8]) -> Self {
        Cursor { buf, pos: 0 }
    }

    /// The next scalar or header, or None at the end.
    pub fn read(&mut self) -> Option<Kind<'a>> {
        let rest = &self.buf[self.pos..];
        let kind = *rest.first()?;
        let (header, used) = header(rest).ok()??;
        let (value, used) = match header {
            Header::Scalar => (scalar(&rest[..used])?, used),
            Header::Line => {
                let len = line_len(&rest[1..])?;
                (line(kind, &rest[1..len - 1]), len + 1)
            }
            Header::Body(len) => {
                let end = used + usize::try_from(len).ok()?;
                rest.get(end..end + 2)?;
                (body(kind, &rest[used..end])?, end + 2)
            }
            Header::Aggregate(n) | Header::Attribute(n) => (aggregate(kind, usize::try_from(n).ok()?), used),
        };
        self.pos += used;
        Some(value)
    }

    /// Passes over the next value with all that it contains, and gives its bytes. None at the end.
    pub fn skip(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let Ok(Scan::Done(len)) = ReplyScanner::frames().feed(rest) else { return None };
        self.pos += len;
        Some(&rest[..len])
    }

    /// The bytes not yet read.
    pub fn rest(&self) -> &'a [u8] {
        &self.buf[self.pos..]
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.pos
    }
}

/// A value that is nothing but its header.
fn scalar<'a>(text: &[u8]) -> Option<Kind<'a>> {
    Some(match text {
        b"_\r\n" => Kind::Null,
        b"#t\r\n" => Kind::Bool(true),
        b"#f\r\n" => Kind::Bool(false),
        b"$-1\r\n" => Kind::NullBulk,
        b"*-1\r\n" => Kind::NullArray,
        [b':', digits @ .., b'\r', b'\n'] => Kind::Int(number::parse_i64(digits)?),
        [kind, ..] => aggregate(*kind, 0),
        [] => return None,
    })
}

fn line(kind: u8, text: &[u8]) -> Kind<'_> {
    match kind {
        b'+' => Kind::Simple(text),
        b'-' => Kind::Error(text),
        b',' => Kind::Double(text),
        _ => Kind::BigNumber(text),
    }
}

fn body(kind: u8, bytes: &[u8]) -> Option<Kind<'_>> {
    Some(match kind {
        b'$' => Kind::Bulk(bytes),
        b'!' => Kind::BlobError(bytes),
        _ => Kind::Verbatim(bytes.get(..3)?, bytes.get(4..)?),
    })
}

/// `n` counts values, a map's keys included.
fn aggregate<'a>(kind: u8, n: usize) -> Kind<'a> {
    match kind {
        b'%' => Kind::Map(n / 2),
        b'|' => Kind::Attribute(n / 2),
        b'~' => Kind::Set(n),
        b'>' => Kind::Push(n),
        _ => Kind::Array(n),
    }
}
