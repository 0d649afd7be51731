//! Serving those who wait for a stream.

use super::view::Keys;
use crate::resp::Writer;

/// What an XREAD BLOCK wants of its keys.
pub struct Read {}

/// True when the stream has something after what the reader has seen.
pub fn has_something(_keys: &mut Keys, _key: &[u8], _read: &Read) -> bool {
    false
}

/// The reply for one key.
pub fn serve(_keys: &mut Keys, _key: &[u8], _read: &Read, _w: &mut Writer) {}
