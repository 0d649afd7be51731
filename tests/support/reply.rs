//! A reader of RESP2 and RESP3 replies that shares no code with the product, so that it cannot share its bugs.

use std::fmt;

/// One decoded reply. Aggregates keep their type byte, since `*`, `%`, `~` and `>` are different replies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// `+ - : , # _ (` with its text as sent.
    Line(u8, Vec<u8>),
    /// `$ = !` with its payload; `None` is RESP2's null.
    Bulk(u8, Option<Vec<u8>>),
    /// `* % ~ > |` with its items flat (a map of n pairs has 2n); `None` is RESP2's null array.
    Many(u8, Option<Vec<Reply>>),
}

impl Reply {
    /// The items of an aggregate; none of anything else.
    pub fn items(&self) -> &[Reply] {
        match self {
            Reply::Many(_, Some(items)) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Reply::Line(_, text) | Reply::Bulk(_, Some(text)) => Some(text),
            _ => None,
        }
    }

    /// The number that a scalar's text spells.
    pub fn number(&self) -> Option<f64> {
        std::str::from_utf8(self.text()?).ok()?.parse().ok()
    }

    /// The type byte.
    pub fn kind(&self) -> u8 {
        match self {
            Reply::Line(kind, _) | Reply::Bulk(kind, _) | Reply::Many(kind, _) => *kind,
        }
    }

    /// True for `-` and `!`.
    pub fn is_error(&self) -> bool {
        matches!(self.kind(), b'-' | b'!')
    }

    /// True for the three ways to say null.
    pub fn is_null(&self) -> bool {
        matches!(self, Reply::Bulk(_, None) | Reply::Many(_, None) | Reply::Line(b'_', _))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Line(kind, text) => write!(f, "{}{}", *kind as char, text.escape_ascii()),
            Reply::Bulk(kind, Some(text)) => write!(f, "{}\"{}\"", *kind as char, text.escape_ascii()),
            Reply::Bulk(kind, None) => write!(f, "{}nil", *kind as char),
            Reply::Many(kind, None) => write!(f, "{}nil", *kind as char),
            Reply::Many(kind, Some(items)) => {
                write!(f, "{}", *kind as char)?;
                f.debug_list().entries(items).finish()
            }
        }
    }
}

/// Decodes the reply that starts at `buf[0]` and says how many bytes it took; `None` when more are needed.
/// `Err` says what no Redis would send.
pub fn decode(buf: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    let mut at = 0;
    Ok(value(buf, &mut at, 0)?.map(|reply| (reply, at)))
}

fn value(buf: &[u8], at: &mut usize, depth: usize) -> Result<Option<Reply>, String> {
    if depth > 64 {
        return Err("nested deeper than 64".into());
    }
    let Some(end) = buf[*at..].windows(2).position(|pair| pair == b"\r\n").map(|n| *at + n) else {
        return Ok(None);
    };
    let Some((&kind, text)) = buf[*at..end].split_first() else { return Err("an empty line".into()) };
    let body = end + 2;
    match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {
            *at = body;
            Ok(Some(Reply::Line(kind, text.to_vec())))
        }
        b'$' | b'=' | b'!' => {
            let Some(len) = length(kind, text)? else {
                *at = body;
                return Ok(Some(Reply::Bulk(kind, None)));
            };
            if buf.len() < body + len + 2 {
                return Ok(None);
            }
            if &buf[body + len..body + len + 2] != b"\r\n" {
                return Err("a bulk string without its line end".into());
            }
            *at = body + len + 2;
            Ok(Some(Reply::Bulk(kind, Some(buf[body..body + len].to_vec()))))
        }
        b'*' | b'~' | b'>' | b'%' | b'|' => {
            *at = body;
            let Some(len) = length(kind, text)? else { return Ok(Some(Reply::Many(kind, None))) };
            let count = if matches!(kind, b'%' | b'|') { len * 2 } else { len };
            let mut items = Vec::new();
            for _ in 0..count {
                match value(buf, at, depth + 1)? {
                    Some(item) => items.push(item),
                    None => return Ok(None),
                }
            }
            Ok(Some(Reply::Many(kind, Some(items))))
        }
        other => Err(format!("a reply that begins with {:?}", other as char)),
    }
}

fn length(kind: u8, text: &[u8]) -> Result<Option<usize>, String> {
    if text == b"-1" && matches!(kind, b'$' | b'*') {
        return Ok(None);
    }
    let digits = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
    match digits.and_then(|t| t.parse().ok()) {
        Some(len) => Ok(Some(len)),
        None => Err(format!("length {:?} after {:?}", text.escape_ascii().to_string(), kind as char)),
    }
}

/// Says where a reply that starts at `buf[0]` ends without building it, keeping its place between calls.
#[derive(Default)]
pub struct Scanner {
    at: usize,
    open: Vec<usize>, // values still to come, per open aggregate
}

impl Scanner {
    /// The length of the reply once all of it is in `buf`; each byte is looked at once over all calls.
    pub fn end(&mut self, buf: &[u8]) -> Result<Option<usize>, String> {
        loop {
            let rest = &buf[self.at.min(buf.len())..];
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(None) };
            let Some((&kind, text)) = rest[..line].split_first() else { return Err("an empty line".into()) };
            let mut size = line + 2;
            let mut children = 0;
            match kind {
                b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => {}
                b'$' | b'=' | b'!' => {
                    if let Some(len) = length(kind, text)? {
                        size += len + 2;
                    }
                }
                b'*' | b'~' | b'>' => children = length(kind, text)?.unwrap_or(0),
                b'%' | b'|' => children = length(kind, text)?.unwrap_or(0) * 2,
                other => return Err(format!("a reply that begins with {:?}", other as char)),
            }
            if rest.len() < size {
                return Ok(None);
            }
            self.at += size;
            if children > 0 {
                self.open.push(children);
                continue;
            }
            while let Some(left) = self.open.last_mut() {
                *left -= 1;
                if *left > 0 {
                    break;
                }
                self.open.pop();
            }
            if self.open.is_empty() {
                return Ok(Some(std::mem::take(&mut self.at)));
            }
        }
    }
}

/// A request as the array of bulk strings that clients send.
pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(&mut out, args);
    out
}

/// Appends a request to `out`.
pub fn encode_into(out: &mut Vec<u8>, args: &[impl AsRef<[u8]>]) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
        out.extend_from_slice(arg.as_ref());
        out.extend_from_slice(b"\r\n");
    }
}
