//! Serving those who wait for a list.

use super::list::List;
use super::value::Kind;
use super::view::Keys;
use crate::resp::Writer;

/// True when the key is a list: it is never an empty one.
pub fn has_something(keys: &mut Keys, key: &[u8]) -> bool {
    keys.peek(key).is_some_and(|entry| List::of(&entry.value).is_ok())
}

/// BLPOP, BRPOP: key and element.
pub fn serve_pop(_keys: &mut Keys, _key: &[u8], _front: bool, _w: &mut Writer) {}

/// BLMPOP: key and elements.
pub fn serve_pop_many(_keys: &mut Keys, _key: &[u8], _front: bool, _count: usize, _w: &mut Writer) {}

/// BLMOVE, BRPOPLPUSH: the element.
pub fn serve_move(
    _k: &mut Keys,
    _key: &[u8],
    _to: &[u8],
    _from_front: bool,
    _to_front: bool,
    _w: &mut Writer,
) {
}
