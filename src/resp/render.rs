//! Writes a RESP3 reply as Redis would have sent it to a RESP2 client.
//!
//! Most of it follows from the types: maps, sets and pushes are arrays, doubles and verbatim strings are
//! bulk strings, booleans are 1 and 0. What does not is which of RESP2's two nulls stands for RESP3's one,
//! and which nested pairs are flattened: that is the command's `Shape`.

use bytes::{BufMut, BytesMut};

use super::frame::{Cursor, Kind};

/// How a command's RESP3 reply differs from its RESP2 reply, beyond what the types say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Shape {
    /// In nothing: null is `$-1`.
    #[default]
    Plain,
    /// A reply that is null is `*-1`; nulls within are `$-1`.
    NullArray,
    /// Nulls are `*-1`, on the top as within: GEOPOS.
    NullArrays,
    /// An array of pairs is one flat array: ZRANGE WITHSCORES, HRANDFIELD WITHVALUES. An array whose
    /// values are no arrays is left as it is, so that the options need not be known.
    Pairs,
    /// XREAD and XREADGROUP: a map of streams is an array of pairs, and nulls are `*-1`.
    Streams,
    /// The last value of the array is `*-1` if it is null, other nulls are `$-1`: XPENDING's summary.
    LastNullArray,
}

/// Appends `reply`, one complete RESP3 reply, as RESP2. Bytes that are not RESP end it early.
pub fn render_resp2(reply: &[u8], shape: Shape, out: &mut BytesMut) {
    out.reserve(reply.len() + 16);
    render(&mut Cursor::new(reply), shape, out);
}

/// Appends EXEC's reply as RESP2, each result in the shape of the command that it belongs to, in the
/// order in which the commands were queued.
pub fn render_resp2_exec(reply: &[u8], shapes: impl Iterator<Item = Shape>, out: &mut BytesMut) {
    out.reserve(reply.len() + 16);
    let mut cursor = Cursor::new(reply);
    let mut ahead = cursor.clone();
    let Some(Kind::Array(n)) = read(&mut ahead) else {
        return render(&mut cursor, Shape::NullArray, out);
    };
    cursor = ahead;
    array(n, out);
    let mut shapes = shapes.chain(std::iter::repeat(Shape::Plain));
    for _ in 0..n {
        let before = cursor.position();
        render(&mut cursor, shapes.next().unwrap_or_default(), out);
        if cursor.position() == before {
            return; // the count promised more than there is
        }
    }
}

/// Renders the next value.
fn render(cursor: &mut Cursor<'_>, shape: Shape, out: &mut BytesMut) {
    match shape {
        Shape::Plain => values(cursor, 1, NULL_BULK, out),
        Shape::NullArrays => values(cursor, 1, NULL_ARRAY, out),
        Shape::NullArray => {
            let Some(top) = read(cursor) else { return };
            let null = if top.is_null() { NULL_ARRAY } else { NULL_BULK };
            value(top, null, out);
            values(cursor, top.values(), NULL_BULK, out);
        }
        Shape::Pairs => pairs(cursor, out),
        Shape::Streams => streams(cursor, out),
        Shape::LastNullArray => {
            let Some(top) = read(cursor) else { return };
            value(top, NULL_BULK, out);
            let n = top.values();
            values(cursor, n.saturating_sub(1), NULL_BULK, out);
            values(cursor, n.min(1), NULL_ARRAY, out);
        }
    }
}

const NULL_BULK: &[u8] = b"$-1\r\n";
const NULL_ARRAY: &[u8] = b"*-1\r\n";

/// Renders the next `count` values with all that they contain. Counting needs no stack, however deep.
fn values(cursor: &mut Cursor<'_>, count: usize, null: &[u8], out: &mut BytesMut) {
    let mut pending = count;
    while pending > 0 {
        let Some(kind) = read(cursor) else { return };
        value(kind, null, out);
        pending = (pending - 1).saturating_add(kind.values());
    }
}

/// An array of arrays of one length as one array; any other reply as it is.
fn pairs(cursor: &mut Cursor<'_>, out: &mut BytesMut) {
    let (mut ahead, start) = (cursor.clone(), out.len());
    let (Some(Kind::Array(n)), mut first) = (read(&mut ahead), ahead.clone()) else {
        return values(cursor, 1, NULL_BULK, out);
    };
    let Some(Kind::Array(width)) = read(&mut first) else {
        return values(cursor, 1, NULL_BULK, out);
    };
    array(n.saturating_mul(width), out);
    for _ in 0..n {
        if read(&mut ahead) != Some(Kind::Array(width)) {
            out.truncate(start); // no command has such a reply
            return values(cursor, 1, NULL_BULK, out);
        }
        values(&mut ahead, width, NULL_BULK, out);
    }
    *cursor = ahead;
}

/// A map as an array of pairs; any other reply, which is null or an error, as it is.
fn streams(cursor: &mut Cursor<'_>, out: &mut BytesMut) {
    let mut ahead = cursor.clone();
    let Some(Kind::Map(n)) = read(&mut ahead) else {
        return values(cursor, 1, NULL_ARRAY, out);
    };
    *cursor = ahead;
    array(n, out);
    for _ in 0..n {
        let before = cursor.position();
        array(2, out);
        values(cursor, 2, NULL_ARRAY, out);
        if cursor.position() == before {
            return;
        }
    }
}

/// The next value. A RESP2 client is not told of attributes.
fn read<'a>(cursor: &mut Cursor<'a>) -> Option<Kind<'a>> {
    loop {
        match cursor.read()? {
            Kind::Attribute(n) => {
                for _ in 0..n.saturating_mul(2) {
                    cursor.skip()?;
                }
            }
            kind => return Some(kind),
        }
    }
}

/// One scalar or header. RESP2's own nulls are left as they came, since they say what they are.
fn value(kind: Kind<'_>, null: &[u8], out: &mut BytesMut) {
    match kind {
        Kind::Simple(text) => line(b'+', text, out),
        Kind::Error(text) => line(b'-', text, out),
        Kind::BlobError(text) => {
            let start = out.len();
            line(b'-', text, out);
            let end = out.len() - 2;
            out[start..end].iter_mut().filter(|b| matches!(b, b'\r' | b'\n')).for_each(|b| *b = b' ');
        }
        Kind::Int(n) => line(b':', itoa::Buffer::new().format(n).as_bytes(), out),
        Kind::Bool(yes) => line(b':', if yes { b"1" } else { b"0" }, out),
        Kind::Bulk(text) | Kind::Double(text) | Kind::BigNumber(text) | Kind::Verbatim(_, text) => {
            bulk(text, out)
        }
        Kind::Null => out.extend_from_slice(null),
        Kind::NullBulk => out.extend_from_slice(NULL_BULK),
        Kind::NullArray => out.extend_from_slice(NULL_ARRAY),
        aggregate => array(aggregate.values(), out),
    }
}

fn array(n: usize, out: &mut BytesMut) {
    line(b'*', itoa::Buffer::new().format(n).as_bytes(), out);
}

fn bulk(text: &[u8], out: &mut BytesMut) {
    line(b'$', itoa::Buffer::new().format(text.len()).as_bytes(), out);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

fn line(kind: u8, text: &[u8], out: &mut BytesMut) {
    out.reserve(text.len() + 3);
    out.put_u8(kind);
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "render_oracle_tests.rs"]
mod oracle_tests;
