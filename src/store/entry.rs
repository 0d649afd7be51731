//! One cached reply, packed into a single allocation so that small entries cost little.
//!
//! Layout of the allocation: flags 1, lane 1, command 2, epoch 4, key length (varint), then only if
//! the flags say so: database 4, identity 2, upstream expiry 5, length of the arguments (varint);
//! then key, arguments (each a varint length and its bytes), reply. A GET in database 0 of a 16-byte
//! key and a 64-byte value is 9 + 16 + 71 = 96 bytes: exactly an allocator's size class.

use super::size::size_class;
use crate::resp::Args;

/// What was asked: everything that tells one cached reply of a key from another.
#[derive(Clone, Copy, Debug)]
pub struct EntryKey<'a> {
    /// The upstream identity (user) whose permissions the reply was read with.
    pub identity: u16,
    /// The database.
    pub db: u32,
    /// The command's number, or that of a pseudo command such as an MGET element.
    pub command: u16,
    /// The key.
    pub key: &'a [u8],
    /// The arguments behind the key, byte for byte.
    pub rest: Args<'a>,
}

/// Which lane's stream vouches for an entry, and since when.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// The lane that fetched it.
    pub lane: u8,
    /// The lane's epoch then; any other epoch means that the entry is void.
    pub epoch: u32,
}

/// When the key itself ends upstream, as far as the fetch could tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// The key has no TTL.
    Never,
    /// Not before this moment (nanoseconds of the proxy's monotonic clock, rounded down to a ms).
    At(u64),
}

/// What is stored with a reply.
#[derive(Clone, Copy, Debug)]
pub struct Meta {
    /// Who vouches for it.
    pub stamp: Stamp,
    /// Served only before this moment (ns).
    pub deadline: u64,
    /// The key's own end upstream (ns).
    pub expiry: Expiry,
    /// When it was stored (ns).
    pub stored_at: u64,
}

/// A packed entry. 24 bytes here, the rest behind the box. The default one is no entry: it only fills a
/// place, without an allocation.
#[derive(Debug, Default)]
pub struct Entry {
    data: Box<[u8]>,
    /// Low 32 of the 40 bits of the deadline in ms: 34 years.
    deadline_low: u32,
    /// Seconds from storing to the deadline, saturating at 18 hours: for showing the age only.
    life_s: u16,
    deadline_high: u8,
    hits: u8,
}

const FIXED: usize = 8;
const HAS_DB: u8 = 1;
const HAS_IDENTITY: u8 = 2;
const HAS_EXPIRY: u8 = 4;
const HAS_REST: u8 = 8;
/// Of the first eight bytes as a number: the command, and all flags but `HAS_EXPIRY`.
const WHAT: u64 = 0xFFFF_00FF & !(HAS_EXPIRY as u64);
/// Bytes of an expiry.
const EXPIRY: usize = 5;
const NS_PER_MS: u64 = 1_000_000;

impl Entry {
    /// Packs `reply` under `key`. The one copy that a fetched reply costs.
    pub fn new(key: &EntryKey, meta: &Meta, reply: &[u8]) -> Entry {
        let rest_len = rest_len(key.rest);
        let mut flags = 0;
        flags |= if key.db != 0 { HAS_DB } else { 0 };
        flags |= if key.identity != 0 { HAS_IDENTITY } else { 0 };
        flags |= if meta.expiry != Expiry::Never { HAS_EXPIRY } else { 0 };
        flags |= if rest_len != 0 { HAS_REST } else { 0 };
        let mut data = Vec::with_capacity(Self::packed_len(key, meta.expiry, reply.len()));
        data.extend_from_slice(&[flags, meta.stamp.lane]);
        data.extend_from_slice(&key.command.to_le_bytes());
        data.extend_from_slice(&meta.stamp.epoch.to_le_bytes());
        put_varint(&mut data, key.key.len());
        if key.db != 0 {
            data.extend_from_slice(&key.db.to_le_bytes());
        }
        if key.identity != 0 {
            data.extend_from_slice(&key.identity.to_le_bytes());
        }
        if let Expiry::At(at) = meta.expiry {
            data.extend_from_slice(&(at / NS_PER_MS).to_le_bytes()[..5]);
        }
        if rest_len != 0 {
            put_varint(&mut data, rest_len);
        }
        data.extend_from_slice(key.key);
        for arg in key.rest.iter() {
            put_varint(&mut data, arg.len());
            data.extend_from_slice(arg);
        }
        data.extend_from_slice(reply);
        let deadline_ms = meta.deadline / NS_PER_MS;
        let life_s = meta.deadline.saturating_sub(meta.stored_at) / 1_000_000_000;
        Entry {
            data: data.into_boxed_slice(),
            deadline_low: deadline_ms as u32,
            deadline_high: (deadline_ms >> 32).min(0xFF) as u8,
            life_s: life_s.min(u64::from(u16::MAX)) as u16,
            hits: 0,
        }
    }

    fn packed_len(key: &EntryKey, expiry: Expiry, reply: usize) -> usize {
        let rest = rest_len(key.rest);
        FIXED
            + varint_len(key.key.len())
            + if key.db != 0 { 4 } else { 0 }
            + if key.identity != 0 { 2 } else { 0 }
            + if expiry != Expiry::Never { 5 } else { 0 }
            + if rest != 0 { varint_len(rest) + rest } else { 0 }
            + key.key.len()
            + reply
    }

    /// What an entry with this key and reply would cost on the heap.
    pub fn cost_of(key: &EntryKey, reply: usize) -> usize {
        size_class(Self::packed_len(key, Expiry::At(0), reply))
    }

    /// Bytes behind the box.
    pub fn cost(&self) -> usize {
        size_class(self.data.len())
    }

    /// Where its bytes lie.
    #[inline]
    pub fn address(&self) -> usize {
        self.data.as_ptr().addr()
    }

    /// The reply as RESP3 wire bytes.
    pub fn reply(&self) -> &[u8] {
        let head = self.head();
        &self.data[head.reply..]
    }

    /// The key that the reply belongs to.
    pub fn key(&self) -> &[u8] {
        let head = self.head();
        &self.data[head.key..head.rest]
    }

    /// The command's number.
    pub fn command(&self) -> u16 {
        u16::from_le_bytes([self.data[2], self.data[3]])
    }

    /// The database.
    pub fn db(&self) -> u32 {
        self.head().db
    }

    /// The identity.
    pub fn identity(&self) -> u16 {
        self.head().identity
    }

    /// The arguments behind the key, one by one.
    pub fn rest(&self) -> impl Iterator<Item = &[u8]> {
        let head = self.head();
        RestIter { left: &self.data[head.rest..head.reply] }
    }

    /// Who vouches for it.
    pub fn stamp(&self) -> Stamp {
        let epoch = u32::from_le_bytes([self.data[4], self.data[5], self.data[6], self.data[7]]);
        Stamp { lane: self.data[1], epoch }
    }

    /// The moment from which it may not be served (ns).
    pub fn deadline(&self) -> u64 {
        (u64::from(self.deadline_high) << 32 | u64::from(self.deadline_low)) * NS_PER_MS
    }

    /// The key's own end upstream.
    pub fn expiry(&self) -> Expiry {
        self.head().expiry
    }

    /// About how long ago it was stored, to the second.
    pub fn age_ns(&self, now: u64) -> u64 {
        let stored = self.deadline().saturating_sub(u64::from(self.life_s) * 1_000_000_000);
        now.saturating_sub(stored)
    }

    /// How often it was hit, at most 255.
    pub fn hits(&self) -> u8 {
        self.hits
    }

    /// Shows this entry and its reply to `serve` if it is the one for `key`. If `serve` says that it was
    /// used, that is a hit, and how many there were, at most 255, is returned.
    #[inline]
    pub fn hit(&mut self, key: &EntryKey, serve: impl FnOnce(&Entry, &[u8]) -> bool) -> Option<u8> {
        let reply = self.reply_to(key)?;
        if !serve(self, reply) {
            return None;
        }
        self.hits = self.hits.saturating_add(1);
        Some(self.hits)
    }

    /// True when this is the reply to `key`.
    pub fn answers(&self, key: &EntryKey) -> bool {
        self.reply_to(key).is_some()
    }

    /// The reply, if it is the one to `key`.
    #[inline]
    fn reply_to(&self, key: &EntryKey) -> Option<&[u8]> {
        self.plain_reply_to(key).or_else(|| self.any_reply_to(key))
    }

    /// The usual case: nothing but a short key, maybe with an expiry. None says nothing.
    #[inline]
    fn plain_reply_to(&self, key: &EntryKey) -> Option<&[u8]> {
        let front = self.data.first_chunk::<{ FIXED + 1 }>()?;
        let head = u64::from_le_bytes(*front.first_chunk()?);
        let key_len = usize::from(front[FIXED]);
        let start = FIXED + 1 + if head & u64::from(HAS_EXPIRY) != 0 { EXPIRY } else { 0 };
        let (own, reply) = self.data.get(start..)?.split_at_checked(key.key.len())?;
        let same = head & WHAT == u64::from(key.command) << 16
            && (key.key.len() == key_len && key_len < 0x80)
            && (key.db | u32::from(key.identity) == 0 && key.rest.is_empty())
            && equal(own, key.key);
        same.then_some(reply)
    }

    #[inline(never)]
    fn any_reply_to(&self, key: &EntryKey) -> Option<&[u8]> {
        let head = self.head();
        let same = self.command() == key.command
            && (head.db, head.identity) == (key.db, key.identity)
            && &self.data[head.key..head.rest] == key.key
            && rest_equals(&self.data[head.rest..head.reply], key.rest);
        same.then(|| &self.data[head.reply..])
    }

    fn head(&self) -> Head {
        let mut at = Reader { data: &self.data, pos: FIXED };
        let flags = self.data[0];
        let key_len = at.varint();
        let db = if flags & HAS_DB != 0 { at.uint(4) as u32 } else { 0 };
        let identity = if flags & HAS_IDENTITY != 0 { at.uint(2) as u16 } else { 0 };
        let expiry = if flags & HAS_EXPIRY != 0 { Expiry::At(at.uint(5) * NS_PER_MS) } else { Expiry::Never };
        let rest_len = if flags & HAS_REST != 0 { at.varint() } else { 0 };
        let key = at.pos;
        Head { db, identity, expiry, key, rest: key + key_len, reply: key + key_len + rest_len }
    }
}

/// The decoded front of an entry: offsets are into its data.
struct Head {
    db: u32,
    identity: u16,
    expiry: Expiry,
    key: usize,
    rest: usize,
    reply: usize,
}

/// Reads what `Entry::new` wrote; the lengths are our own, so they hold.
struct Reader<'a> {
    data: &'a [u8],
    pos: usize,
}

impl Reader<'_> {
    fn varint(&mut self) -> usize {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.data[self.pos];
            self.pos += 1;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
            shift += 7;
        }
    }

    fn uint(&mut self, bytes: usize) -> u64 {
        let mut wide = [0; 8];
        wide[..bytes].copy_from_slice(&self.data[self.pos..self.pos + bytes]);
        self.pos += bytes;
        u64::from_le_bytes(wide)
    }
}

struct RestIter<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for RestIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.left.is_empty() {
            return None;
        }
        let mut at = Reader { data: self.left, pos: 0 };
        let len = at.varint();
        let (arg, left) = self.left[at.pos..].split_at(len);
        self.left = left;
        Some(arg)
    }
}

/// Whether two slices of one length are equal. Keys of 8 to 32 bytes are compared here, as two numbers that
/// may overlap: a call costs more.
#[inline]
fn equal(a: &[u8], b: &[u8]) -> bool {
    fn ends<const N: usize>(of: &[u8]) -> Option<([u8; N], [u8; N])> {
        Some((*of.first_chunk()?, *of.last_chunk()?))
    }
    match a.len() {
        8..=16 => ends::<8>(a) == ends(b),
        17..=32 => ends::<16>(a) == ends(b),
        _ => a == b,
    }
}

fn rest_equals(packed: &[u8], rest: Args) -> bool {
    if packed.is_empty() && rest.is_empty() {
        return true;
    }
    RestIter { left: packed }.eq(rest.iter())
}

fn rest_len(rest: Args) -> usize {
    rest.iter().map(|arg| varint_len(arg.len()) + arg.len()).sum()
}

fn varint_len(n: usize) -> usize {
    (usize::BITS - (n | 1).leading_zeros()).div_ceil(7) as usize
}

fn put_varint(out: &mut Vec<u8>, mut n: usize) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resp::ArgVec;

    fn meta(expiry: Expiry) -> Meta {
        let stamp = Stamp { lane: 3, epoch: 0xDEAD_BEEF };
        Meta { stamp, deadline: 90_000 * NS_PER_MS + 5, expiry, stored_at: 30_000 * NS_PER_MS }
    }

    #[test]
    fn gives_back_what_was_put_in() {
        let rest: ArgVec = [&b""[..], b"10", &[7; 300]].into_iter().collect();
        let empty = ArgVec::default();
        for (identity, db) in [(0, 0), (9, 0), (0, 7), (65535, u32::MAX)] {
            for args in [&rest, &empty] {
                for expiry in [Expiry::Never, Expiry::At(1_099_511_627_775 * NS_PER_MS)] {
                    let long = [b'k'; 200];
                    let key = EntryKey { identity, db, command: 513, key: &long, rest: args.args() };
                    let entry = Entry::new(&key, &meta(expiry), b"$1\r\nx\r\n");
                    assert_eq!(entry.data.len(), Entry::packed_len(&key, expiry, 7));
                    assert_eq!(entry.reply(), b"$1\r\nx\r\n");
                    assert_eq!(entry.key(), &long);
                    assert_eq!((entry.identity(), entry.db(), entry.command()), (identity, db, 513));
                    assert_eq!(entry.expiry(), expiry);
                    assert_eq!(entry.stamp(), Stamp { lane: 3, epoch: 0xDEAD_BEEF });
                    assert_eq!(entry.deadline(), 90_000 * NS_PER_MS);
                    assert_eq!(entry.age_ns(40_000 * NS_PER_MS), 10_000 * NS_PER_MS);
                    assert!(entry.rest().eq(args.args().iter()));
                    assert!(entry.answers(&key));
                    assert!(!entry.answers(&EntryKey { db: db ^ 1, ..key }));
                    assert!(!entry.answers(&EntryKey { identity: identity ^ 1, ..key }));
                    assert!(!entry.answers(&EntryKey { command: 1, ..key }));
                    assert!(!entry.answers(&EntryKey { key: b"k", ..key }));
                }
            }
        }
    }

    #[test]
    fn keys_of_every_length_are_compared_whole() {
        let none = ArgVec::default();
        for len in 0..140 {
            let own: Vec<u8> = (0..len as u8).collect();
            fn asked<'a>(key: &'a [u8], none: &'a ArgVec) -> EntryKey<'a> {
                EntryKey { identity: 0, db: 0, command: 1, key, rest: none.args() }
            }
            for expiry in [Expiry::Never, Expiry::At(7 * NS_PER_MS)] {
                let entry = Entry::new(&asked(&own, &none), &meta(expiry), b"+OK\r\n");
                assert_eq!(entry.reply_to(&asked(&own, &none)), Some(&b"+OK\r\n"[..]));
                let longer = [&own[..], b"+"].concat();
                for at in 0..len {
                    let mut other = own.clone();
                    other[at] ^= 1;
                    assert!(!entry.answers(&asked(&other, &none)), "length {len}, byte {at}");
                }
                assert!(!entry.answers(&asked(&longer, &none)), "longer than {len}");
                assert!(len == 0 || !entry.answers(&asked(&own[1..], &none)), "shorter than {len}");
            }
        }
    }

    #[test]
    fn arguments_are_compared_one_by_one() {
        let split: ArgVec = ["ab", "c"].into_iter().collect();
        let joined: ArgVec = ["a", "bc"].into_iter().collect();
        let blank: ArgVec = [""].into_iter().collect();
        let none = ArgVec::default();
        let key = |rest| EntryKey { identity: 0, db: 0, command: 1, key: b"k", rest };
        let entry = Entry::new(&key(split.args()), &meta(Expiry::Never), b"_\r\n");
        assert!(entry.answers(&key(split.args())));
        assert!(!entry.answers(&key(joined.args())));
        let entry = Entry::new(&key(none.args()), &meta(Expiry::Never), b"_\r\n");
        assert!(!entry.answers(&key(blank.args())));
    }

    #[test]
    fn a_small_get_fills_its_size_class_exactly() {
        let none = ArgVec::default();
        let key = EntryKey { identity: 0, db: 0, command: 1, key: &[b'k'; 16], rest: none.args() };
        let reply = [b"$64\r\n".as_slice(), &[b'v'; 64], b"\r\n"].concat();
        assert_eq!(Entry::new(&key, &meta(Expiry::Never), &reply).cost(), 96);
        assert_eq!(std::mem::size_of::<Entry>(), 24);
    }
}
