//! Which arguments of a request are keys, and how they are accessed.
//!
//! Most commands are described well by Redis's key specs. Those whose specs are incomplete, or can take
//! an option's value for a keyword, have a rule of their own that walks the options as the command does.
//! The invariant: `Unknown` rather than a guess, and never fewer keys than the command would touch.

use super::flags::{Flags, set_type};
use crate::resp::Args;
use std::fmt;

set_type! {
    /// How a key is accessed: exactly one of RO, RW, OW and RM, and what is done with its value.
    Access {
        /// Read only.
        RO "RO"
        /// Read and written.
        RW "RW"
        /// Overwritten whatever it held.
        OW "OW"
        /// Deleted.
        RM "RM"
        /// The value, or something derived from it, is returned or copied.
        ACCESS "access"
        /// The value may be changed depending on the old one.
        UPDATE "update"
        /// Something is added to the value.
        INSERT "insert"
        /// Something is removed from the value.
        DELETE "delete"
        /// Not a key, but hashed to a slot like one (shard channels).
        NOT_KEY "not_key"
        /// There may be keys that the specs do not find.
        INCOMPLETE "incomplete"
        /// The other flags depend on the arguments.
        VARIABLE_FLAGS "variable_flags"
    }
}

impl Access {
    /// True unless the key is only read.
    pub const fn writes(self) -> bool {
        !self.has(Access::RO)
    }
}

/// Where some of a command's keys are, in the form that Redis publishes.
#[derive(Clone, Copy, Debug)]
pub struct KeySpec {
    /// Where they begin.
    pub begin: Begin,
    /// How many there are from there.
    pub find: Find,
    /// How they are accessed.
    pub access: Access,
    /// Redis's comment; mostly empty.
    pub notes: &'static str,
}

/// Where keys begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(usize),
    /// Behind this word, looked for from an argument on, or backwards from the end if negative.
    Keyword(&'static str, i32),
    /// Nobody can say.
    Unknown,
}

/// How many keys there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// To `last`, counted from the first, or from the end if negative (-1: the last argument); with a
    /// `limit` of n, only the first nth of the remaining arguments.
    Range {
        /// Relative to the first key, or to the end.
        last: i32,
        /// Distance between keys.
        step: u32,
        /// 0: no limit.
        limit: u32,
    },
    /// A number of keys that is itself an argument; all three are relative to where keys begin.
    Keynum {
        /// Where the number is.
        number: u32,
        /// Where the first key is.
        first: u32,
        /// Distance between keys.
        step: u32,
    },
    /// Nobody can say.
    Unknown,
}

/// Whether [`super::Command::keys`] could tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum KeysFound {
    /// These are all keys among the arguments.
    All,
    /// The arguments do not say; Redis would refuse them.
    Unknown,
}

/// Key positions as `COMMAND` gives them besides the specs; all zero if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LegacyRange {
    /// The first key.
    pub first: i32,
    /// The last key; counted from the end if negative.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
}

/// How a command's keys are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRule {
    /// As the specs say.
    Specs,
    /// SET: overwritten, unless the old value is asked for.
    Set,
    /// BITFIELD: only read, if all it does is GET.
    Bitfield,
    /// SORT and SORT_RO: the last STORE wins.
    Sort,
    /// GEORADIUS and its kin: the options behind the unit may name a destination.
    GeoStore,
    /// MIGRATE: one key, or all behind KEYS.
    Migrate,
    /// XREAD and XREADGROUP: the first half of what follows STREAMS.
    StreamNames,
}

pub(super) fn find(
    rule: KeyRule,
    specs: &[KeySpec],
    flags: Flags,
    args: &Args,
    mut f: impl FnMut(usize, Access),
) -> KeysFound {
    let read = Access::RO.and(Access::ACCESS);
    let store = Access::OW.and(Access::UPDATE);
    match rule {
        KeyRule::Specs => return find_by_specs(specs, flags, args, f),
        _ if args.len() < 2 => return KeysFound::Unknown,
        KeyRule::Set => f(1, set_access(args)),
        KeyRule::Bitfield => f(1, bitfield_access(args)),
        KeyRule::Sort => {
            f(1, read);
            if let Some(i) = last_sort_store(args) {
                f(i, store);
            }
        }
        KeyRule::GeoStore => {
            f(1, read);
            if let Some(i) = last_geo_store(args) {
                f(i, store);
            }
        }
        KeyRule::Migrate => {
            let Some((first, count)) = migrate_keys(args) else { return KeysFound::Unknown };
            (first..first + count)
                .for_each(|i| f(i, Access::of(&[Access::RW, Access::ACCESS, Access::DELETE])));
        }
        KeyRule::StreamNames => {
            let Some(first) = stream_options(args).first_stream else { return KeysFound::Unknown };
            let count = args.len() - first;
            if count == 0 || !count.is_multiple_of(2) {
                return KeysFound::Unknown;
            }
            (first..first + count / 2).for_each(|i| f(i, read));
        }
    }
    KeysFound::All
}

/// As Redis finds keys where the specs do not fit: the number of keys is read as C's `atoi` does, and the
/// other keys come behind those that it counts. Nothing is said of how they are accessed.
pub(super) fn find_loosely(specs: &[KeySpec], args: &Args, mut f: impl FnMut(usize, Access)) -> KeysFound {
    let counted = |spec: &KeySpec| match (spec.begin, spec.find) {
        (Begin::Index(at), Find::Keynum { number, first, .. }) => {
            Some((at + number as usize, at + first as usize))
        }
        _ => None,
    };
    let Some((number, first)) = specs.iter().find_map(counted) else {
        return KeysFound::Unknown;
    };
    let count = usize::try_from(args.get(number).map_or(0, atoi)).unwrap_or(0);
    if count == 0 || count > args.len().saturating_sub(first) {
        return KeysFound::Unknown;
    }
    (first..first + count).for_each(|i| f(i, Access::NONE));
    for spec in specs.iter().filter(|spec| counted(spec).is_none()) {
        if let Begin::Index(at) = spec.begin {
            f(at, Access::NONE);
        }
    }
    KeysFound::All
}

fn find_by_specs(
    specs: &[KeySpec],
    flags: Flags,
    args: &Args,
    mut f: impl FnMut(usize, Access),
) -> KeysFound {
    // With several specs nothing is reported before all are known to be usable; nearly all have one.
    if specs.len() > 1 && specs.iter().any(|spec| spec.range(flags, args).is_err()) {
        return KeysFound::Unknown;
    }
    for spec in specs {
        let Ok(range) = spec.range(flags, args) else { return KeysFound::Unknown };
        let Some(Range { first, last, step }) = range else { continue };
        let mut i = first;
        while i <= last {
            f(i, spec.access);
            i += step;
        }
    }
    KeysFound::All
}

/// Arguments from `first` to `last`, both included.
struct Range {
    first: usize,
    last: usize,
    step: usize,
}

/// The arguments do not fit the spec.
struct Misfit;

impl KeySpec {
    /// The keys of this spec among `args`; none if its keyword is absent or it is about no keys.
    fn range(&self, flags: Flags, args: &Args) -> Result<Option<Range>, Misfit> {
        if self.access.has(Access::NOT_KEY) {
            return Ok(None);
        }
        let first = match self.begin {
            Begin::Index(i) => i,
            Begin::Keyword(word, from) => match position(args, word, from) {
                Some(i) => i + 1,
                None => return Ok(None),
            },
            Begin::Unknown => return Err(Misfit),
        };
        let (first, last, step) = match self.find {
            Find::Range { last, step, limit } => {
                let remaining = args.len().checked_sub(first).ok_or(Misfit)?;
                let last = match usize::try_from(last) {
                    Ok(last) => first + last,
                    Err(_) if limit > 0 => {
                        (first + remaining / limit as usize).checked_sub(1).ok_or(Misfit)?
                    }
                    Err(_) => args.len().checked_sub(last.unsigned_abs() as usize).ok_or(Misfit)?,
                };
                (first, last, step as usize)
            }
            Find::Keynum { number, first: offset, step } => {
                let count = args.get(first + number as usize).and_then(parse_count).ok_or(Misfit)?;
                if count == 0 {
                    // Scripts may have no keys; elsewhere Redis refuses a count of zero.
                    return if flags.has(Flags::NO_MANDATORY_KEYS) { Ok(None) } else { Err(Misfit) };
                }
                let first = first + offset as usize;
                (first, first.checked_add(count - 1).ok_or(Misfit)?, step as usize)
            }
            Find::Unknown => return Err(Misfit),
        };
        if last < first || last >= args.len() {
            return Err(Misfit);
        }
        Ok(Some(Range { first, last, step: step.max(1) }))
    }
}

/// Where `word` is, from argument `from` on, or backwards from the end if that is negative.
fn position(args: &Args, word: &str, from: i32) -> Option<usize> {
    let is_word = |i: &usize| args[*i].eq_ignore_ascii_case(word.as_bytes());
    match usize::try_from(from) {
        Ok(from) => (from..args.len()).find(is_word),
        Err(_) => {
            let from = args.len().checked_sub(from.unsigned_abs() as usize)?;
            (1..=from).rev().find(is_word)
        }
    }
}

/// A number of keys, written as Redis accepts it: plain decimal digits, no sign, no leading zero.
fn parse_count(arg: &[u8]) -> Option<usize> {
    if arg.is_empty() || arg.len() > 10 || (arg[0] == b'0' && arg.len() > 1) {
        return None;
    }
    arg.iter().try_fold(0usize, |n, b| b.is_ascii_digit().then(|| n * 10 + usize::from(b - b'0')))
}

/// A number as C's `atoi` reads it: behind blanks, up to what is no digit, of what it is modulo 2^32.
fn atoi(arg: &[u8]) -> i32 {
    let arg = arg.trim_ascii_start();
    let (sign, digits) = match arg.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, arg),
    };
    let digits = digits.iter().map_while(|b| b.is_ascii_digit().then(|| sign * i64::from(b - b'0')));
    digits.fold(0i64, |n, digit| n.saturating_mul(10).saturating_add(digit)) as i32
}

fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

fn set_access(args: &Args) -> Access {
    if args.skip(3).iter().any(|arg| is(arg, "get")) {
        Access::of(&[Access::RW, Access::ACCESS, Access::UPDATE])
    } else {
        Access::of(&[Access::OW, Access::UPDATE])
    }
}

/// BITFIELD's options: GET with two arguments, SET and INCRBY with three, OVERFLOW with one.
fn bitfield_access(args: &Args) -> Access {
    let mut i = 2;
    while let Some(arg) = args.get(i) {
        if !is(arg, "get") || args.len() - i < 3 {
            return Access::of(&[Access::RW, Access::ACCESS, Access::UPDATE]);
        }
        i += 3;
    }
    Access::of(&[Access::RO, Access::ACCESS])
}

fn last_sort_store(args: &Args) -> Option<usize> {
    let mut store = None;
    let mut i = 2;
    while let Some(arg) = args.get(i) {
        i += match arg {
            _ if is(arg, "limit") => 3,
            _ if is(arg, "get") || is(arg, "by") => 2,
            _ if is(arg, "store") && i + 1 < args.len() => {
                store = Some(i + 1);
                2
            }
            _ => 1,
        };
    }
    store
}

fn last_geo_store(args: &Args) -> Option<usize> {
    let mut store = None;
    let mut i = 5;
    while let Some(arg) = args.get(i) {
        if (is(arg, "store") || is(arg, "storedist")) && i + 1 < args.len() {
            store = Some(i + 1);
            i += 1;
        }
        i += 1;
    }
    store
}

/// (the first key, how many).
fn migrate_keys(args: &Args) -> Option<(usize, usize)> {
    let mut i = 6;
    while let Some(arg) = args.get(i) {
        if is(arg, "keys") {
            // With KEYS, the place of the single key must be empty.
            let keys = args.len() - i - 1;
            return (args[3].is_empty() && keys > 0).then_some((i + 1, keys));
        }
        i += match arg {
            _ if is(arg, "auth") => 2,
            _ if is(arg, "auth2") => 3,
            _ => 1,
        };
    }
    (args.len() >= 6).then_some((3, 1))
}

/// What precedes the streams of XREAD and XREADGROUP.
pub(super) struct StreamOptions {
    /// Where the first stream is, if all options before STREAMS are sound.
    first_stream: Option<usize>,
    /// There is a BLOCK option.
    pub(super) block: bool,
}

pub(super) fn stream_options(args: &Args) -> StreamOptions {
    let mut block = false;
    let mut i = 1;
    while let Some(arg) = args.get(i) {
        i += match arg {
            _ if is(arg, "block") => {
                block = true;
                2
            }
            _ if is(arg, "count") => 2,
            _ if is(arg, "group") => 3,
            _ if is(arg, "noack") => 1,
            _ if is(arg, "streams") => return StreamOptions { first_stream: Some(i + 1), block },
            _ => break,
        };
    }
    StreamOptions { first_stream: None, block }
}

/// Redis derives the old form from the specs that are a plain range, as far as they are contiguous.
pub(super) fn legacy_range(specs: &[KeySpec]) -> LegacyRange {
    let ranges = || {
        specs.iter().filter_map(|spec| match (spec.begin, spec.find) {
            (Begin::Index(first), Find::Range { last, step, .. }) => {
                let first = first as i32;
                Some(LegacyRange {
                    first,
                    last: if last < 0 { last } else { first + last },
                    step: step as i32,
                })
            }
            _ => None,
        })
    };
    if specs.len() == 1 {
        return ranges().next().unwrap_or_default();
    }
    let mut out = LegacyRange::default();
    for range in ranges() {
        if range.step != 1 || (out.step == 1 && out.last != range.first - 1) {
            continue;
        }
        out = LegacyRange { first: if out.step == 1 { out.first } else { range.first }, ..range };
    }
    out
}

/// Whether Redis flags a command with these specs as having movable keys.
pub(super) const fn movable(specs: &[KeySpec]) -> bool {
    let mut last_of_previous = 0;
    let mut i = 0;
    while i < specs.len() {
        let spec = &specs[i];
        match (spec.begin, spec.find) {
            (Begin::Index(first), Find::Range { last, step, .. }) if specs.len() > 1 => {
                if step != 1 || (last_of_previous != 0 && last_of_previous != first as i32 - 1) {
                    return true;
                }
                last_of_previous = if last < 0 { last } else { first as i32 + last };
            }
            (Begin::Index(_), Find::Range { .. }) => {}
            _ => return true,
        }
        if spec.access.has(Access::INCOMPLETE) {
            return true;
        }
        i += 1;
    }
    false
}
