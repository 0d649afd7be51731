//! Replies, written straight into an output buffer in the client's protocol version.

use bytes::{BufMut, BytesMut};

/// The protocol version a client has chosen with HELLO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Proto {
    /// What every client speaks until it says otherwise.
    #[default]
    Resp2,
    /// `HELLO 3`.
    Resp3,
}

/// Writes replies as Redis's addReply family does: one call, the right bytes for either version.
pub struct Writer<'a> {
    /// Where the bytes go.
    pub out: &'a mut BytesMut,
    /// In which version.
    pub proto: Proto,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`.
    pub fn new(out: &'a mut BytesMut, proto: Proto) -> Self {
        Writer { out, proto }
    }

    /// `+OK`
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A simple string. It must hold no line end.
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// An error, with its code: `WRONGTYPE Operation …`. Line ends are made spaces, and those at the end
    /// left out, as Redis does.
    pub fn error(&mut self, text: &str) {
        let text = text.trim_end_matches(['\r', '\n']);
        self.out.reserve(text.len() + 3);
        self.out.put_u8(b'-');
        self.out.extend(text.bytes().map(|b| if b == b'\r' || b == b'\n' { b' ' } else { b }));
        self.raw(b"\r\n");
    }

    /// An integer.
    pub fn int(&mut self, n: i64) {
        self.line(b':', itoa::Buffer::new().format(n).as_bytes());
    }

    /// A bulk string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 16);
        self.header(b'$', bytes.len());
        self.raw(bytes);
        self.raw(b"\r\n");
    }

    /// An integer as a bulk string.
    pub fn bulk_int(&mut self, n: i64) {
        self.bulk(itoa::Buffer::new().format(n).as_bytes());
    }

    /// The null that stands for a missing string.
    pub fn null(&mut self) {
        self.raw(if self.proto == Proto::Resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// The null that stands for a missing array.
    pub fn null_array(&mut self) {
        self.raw(if self.proto == Proto::Resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// The header of an array of `n` elements.
    pub fn array(&mut self, n: usize) {
        self.header(b'*', n);
    }

    /// The header of a map of `n` pairs; an array of 2n in RESP2.
    pub fn map(&mut self, n: usize) {
        if self.proto == Proto::Resp3 { self.header(b'%', n) } else { self.header(b'*', n * 2) }
    }

    /// The header of a set of `n` elements; an array in RESP2.
    pub fn set(&mut self, n: usize) {
        self.header(if self.proto == Proto::Resp3 { b'~' } else { b'*' }, n);
    }

    /// The header of a push of `n` elements; an array in RESP2.
    pub fn push(&mut self, n: usize) {
        self.header(if self.proto == Proto::Resp3 { b'>' } else { b'*' }, n);
    }

    /// A double whose digits the caller has formatted (Redis formats differ by command).
    pub fn double_digits(&mut self, digits: &[u8]) {
        if self.proto == Proto::Resp3 { self.line(b',', digits) } else { self.bulk(digits) }
    }

    /// A boolean; 1 or 0 in RESP2.
    pub fn boolean(&mut self, yes: bool) {
        match (self.proto, yes) {
            (Proto::Resp3, true) => self.raw(b"#t\r\n"),
            (Proto::Resp3, false) => self.raw(b"#f\r\n"),
            (Proto::Resp2, yes) => self.int(yes as i64),
        }
    }

    /// A verbatim string of a three-letter format; a plain bulk string in RESP2.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if self.proto == Proto::Resp2 {
            return self.bulk(text);
        }
        self.header(b'=', text.len() + 4);
        self.raw(format.as_bytes());
        self.raw(b":");
        self.raw(text);
        self.raw(b"\r\n");
    }

    /// Bytes that are already a reply.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn header(&mut self, kind: u8, n: usize) {
        self.line(kind, itoa::Buffer::new().format(n).as_bytes());
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.reserve(text.len() + 3);
        self.out.put_u8(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }
}
