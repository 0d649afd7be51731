//! What a key can hold.

use super::blob::{Blob, allocated};
use super::fault::{Fault, WRONG_TYPE};
use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::stream::Stream;
use super::zset::ZSet;

/// A value, 24 bytes in size; everything larger than 16 is behind a box.
#[derive(Clone)]
pub enum Value {
    /// A string that is an integer in canonical form.
    Int(i64),
    /// A string that was stored whole.
    Str(Blob),
    /// A string that was changed in place, with room to grow. Boxed: a vector is three words, and a
    /// value, its tag included, is not to be larger.
    #[allow(clippy::box_collection)]
    Raw(Box<Vec<u8>>),
    /// A list.
    List(Box<List>),
    /// A set.
    Set(Set),
    /// A hash.
    Hash(Box<Hash>),
    /// A sorted set.
    ZSet(Box<ZSet>),
    /// A stream.
    Stream(Box<Stream>),
}

/// The longest string that Redis keeps in one allocation with its object.
const EMBEDDED: usize = 44;

impl Value {
    /// A string, as an integer where it is one (Redis's tryObjectEncoding).
    pub fn string(bytes: &[u8]) -> Value {
        match super::number::integer(bytes) {
            Some(n) => Value::Int(n),
            None => Value::Str(Blob::new(bytes)),
        }
    }

    /// The bytes of a string; none for other types.
    pub fn text(&self) -> Option<Text<'_>> {
        match self {
            Value::Int(n) => Some(Text::Int(itoa::Buffer::new(), *n)),
            Value::Str(blob) => Some(Text::Bytes(blob)),
            Value::Raw(vec) => Some(Text::Bytes(vec)),
            _ => None,
        }
    }

    /// The bytes of a string, to be changed in place.
    pub fn raw_mut(&mut self) -> Result<&mut Vec<u8>, Fault> {
        if !matches!(self, Value::Raw(_)) {
            let bytes = self.text().ok_or(WRONG_TYPE)?.bytes().to_vec();
            *self = Value::Raw(Box::new(bytes));
        }
        if let Value::Raw(bytes) = self { Ok(bytes) } else { Err(WRONG_TYPE) }
    }

    /// As TYPE names it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => "string",
            Value::List(_) => "list",
            Value::Set(_) => "set",
            Value::Hash(_) => "hash",
            Value::ZSet(_) => "zset",
            Value::Stream(_) => "stream",
        }
    }

    /// As OBJECT ENCODING names it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Str(blob) if blob.len() <= EMBEDDED => "embstr",
            Value::Str(_) | Value::Raw(_) => "raw",
            Value::List(_) => "quicklist",
            Value::Set(set) => set.encoding(),
            Value::Hash(hash) => hash.encoding(),
            Value::ZSet(zset) => zset.encoding(),
            Value::Stream(_) => "stream",
        }
    }

    /// Bytes allocated for the value outside of these 24. Constant time.
    pub fn heap(&self) -> usize {
        fn boxed<T>(_: &T) -> usize {
            allocated(size_of::<T>())
        }
        match self {
            Value::Int(_) => 0,
            Value::Str(blob) => blob.heap(),
            Value::Raw(vec) => boxed(&**vec) + allocated(vec.capacity()),
            Value::List(list) => boxed(&**list) + list.heap(),
            Value::Set(set) => set.heap(),
            Value::Hash(hash) => boxed(&**hash) + hash.heap(),
            Value::ZSet(zset) => boxed(&**zset) + zset.heap(),
            Value::Stream(stream) => boxed(&**stream) + stream.heap(),
        }
    }

    /// How many separate pieces have to be freed, roughly: whether to do it elsewhere.
    pub fn weight(&self) -> usize {
        match self {
            Value::Int(_) | Value::Str(_) | Value::Raw(_) => 1,
            Value::List(list) => list.len() / 64,
            Value::Set(set) => set.len(),
            Value::Hash(hash) => hash.len(),
            Value::ZSet(zset) => zset.len(),
            Value::Stream(stream) => stream.len(),
        }
    }
}

/// The bytes of a string value, whichever way it is kept.
pub enum Text<'a> {
    /// As they are.
    Bytes(&'a [u8]),
    /// Still to be written out, into the buffer.
    Int(itoa::Buffer, i64),
}

impl Text<'_> {
    /// The bytes.
    pub fn bytes(&mut self) -> &[u8] {
        match self {
            Text::Bytes(bytes) => bytes,
            Text::Int(buffer, n) => buffer.format(*n).as_bytes(),
        }
    }
}

/// A type of value that has its own commands, for `Keys::typed` and its siblings.
pub trait Kind: Default {
    /// The value as this type.
    fn of(value: &Value) -> Result<&Self, Fault>;
    /// The value as this type, to change it.
    fn of_mut(value: &mut Value) -> Result<&mut Self, Fault>;
    /// As a value.
    fn into_value(self) -> Value;
    /// A key never holds an empty one (but for streams).
    fn is_empty(&self) -> bool;
}

macro_rules! kind {
    ($type:ident, $wrap:expr, $empty:expr) => {
        impl Kind for $type {
            fn of(value: &Value) -> Result<&Self, Fault> {
                if let Value::$type(it) = value { Ok(it) } else { Err(WRONG_TYPE) }
            }

            fn of_mut(value: &mut Value) -> Result<&mut Self, Fault> {
                if let Value::$type(it) = value { Ok(it) } else { Err(WRONG_TYPE) }
            }

            fn into_value(self) -> Value {
                Value::$type($wrap(self))
            }

            fn is_empty(&self) -> bool {
                let empty: fn(&Self) -> bool = $empty;
                empty(self)
            }
        }
    };
}

kind!(List, Box::new, |list| list.len() == 0);
kind!(Set, std::convert::identity, |set| set.len() == 0);
kind!(Hash, Box::new, |hash| hash.len() == 0);
kind!(ZSet, Box::new, |zset| zset.len() == 0);
kind!(Stream, Box::new, |_| false);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_small_and_knows_its_encoding() {
        assert_eq!(size_of::<Value>(), 24);
        assert_eq!(Value::string(b"12").encoding(), "int");
        assert_eq!(Value::string(b"012").encoding(), "embstr");
        assert_eq!(Value::string(&[b'x'; 44]).encoding(), "embstr");
        assert_eq!(Value::string(&[b'x'; 45]).encoding(), "raw");
        assert_eq!(Value::string(b"-12").text().expect("a string").bytes(), b"-12");
    }
}
