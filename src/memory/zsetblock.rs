//! Serving those who wait for a sorted set.

use super::view::Keys;
use crate::resp::Writer;

/// True when the key is a sorted set.
pub fn has_something(_keys: &mut Keys, _key: &[u8]) -> bool {
    false
}

/// BZPOPMIN, BZPOPMAX: key, member, score.
pub fn serve_pop(_keys: &mut Keys, _key: &[u8], _min: bool, _w: &mut Writer) {}

/// BZMPOP: key, then pairs.
pub fn serve_pop_many(_keys: &mut Keys, _key: &[u8], _min: bool, _count: usize, _w: &mut Writer) {}
