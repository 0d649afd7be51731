//! Commands on whole databases: SCAN, KEYS, FLUSHALL, SWAPDB and their kin.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{BAD_CURSOR, DB_RANGE, Fault, NOT_INTEGER, SYNTAX};
use super::keyspace::{Entry, Keyspace};
use super::listen::Change;
use super::number::{int32_arg, integer};
use super::shard::Db;
use super::table::{Keyed, SCAN_END};
use crate::store::glob_match;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("DBSIZE", 1, KeyArgs::All, dbsize),
    Row::read("KEYS", 2, KeyArgs::All, keys),
    Row::read("SCAN", -2, KeyArgs::All, scan),
    Row::read("RANDOMKEY", 1, KeyArgs::All, randomkey),
    Row::shrink("FLUSHDB", -1, KeyArgs::All, |ctx| flush(ctx, false)),
    Row::shrink("FLUSHALL", -1, KeyArgs::All, |ctx| flush(ctx, true)),
    Row::shrink("SWAPDB", 3, KeyArgs::All, swapdb),
    Row::read("SELECT", 2, KeyArgs::None, select),
];

fn dbsize(ctx: &mut Ctx) -> Result<(), Fault> {
    let mut size = 0;
    each_db(ctx, |db| size += db.keys.len());
    ctx.w.int(size as i64);
    Ok(())
}

/// Visits the current database's part of every shard.
fn each_db(ctx: &mut Ctx, mut visit: impl FnMut(&mut Db)) {
    let number = ctx.keys.db;
    for shard in 0..ctx.keys.shard_count() {
        visit(&mut ctx.keys.locked.shard(shard).dbs[number]);
    }
}

fn keys(ctx: &mut Ctx) -> Result<(), Fault> {
    // As in Redis a star alone is no pattern: patterns do not match a key without a name, but this does.
    let (pattern, now) = (Some(ctx.arg(1)).filter(|pattern| *pattern != b"*"), ctx.keys.now());
    let mut found = bytes::BytesMut::new();
    let mut count = 0;
    let mut w = crate::resp::Writer::new(&mut found, ctx.w.proto);
    each_db(ctx, |db| {
        for entry in db.keys.iter() {
            let wanted = pattern.is_none_or(|pattern| glob_match(pattern, entry.key()));
            if wanted && !db.keys.is_over(entry, now) {
                w.bulk(entry.key());
                count += 1;
            }
        }
    });
    ctx.w.array(count);
    ctx.w.raw(&found);
    Ok(())
}

/// The options that SCAN and its kin share.
pub struct ScanOptions<'a> {
    /// How much to look at, roughly.
    pub count: usize,
    /// Which keys or members are wanted.
    pub pattern: Option<&'a [u8]>,
    /// SCAN's TYPE.
    pub kind: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    /// Reads the options from argument `from` on; `keyspace` allows TYPE.
    pub fn parse(ctx: &Ctx<'a>, from: usize, keyspace: bool) -> Result<Self, Fault> {
        let mut options = ScanOptions { count: 10, pattern: None, kind: None };
        let args = ctx.args.skip(from);
        for i in (0..args.len()).step_by(2) {
            let value = args.get(i + 1).ok_or(SYNTAX)?;
            match args[i].to_ascii_lowercase().as_slice() {
                b"count" => {
                    let count = integer(value).ok_or(NOT_INTEGER)?;
                    options.count = usize::try_from(count).ok().filter(|&n| n > 0).ok_or(SYNTAX)?;
                }
                b"match" => options.pattern = Some(value).filter(|pattern| *pattern != b"*"),
                b"type" if keyspace => options.kind = Some(value),
                _ => return Err(SYNTAX),
            }
        }
        Ok(options)
    }

    /// Whether a key or member is wanted.
    pub fn wants(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob_match(pattern, name))
    }
}

/// A cursor and what was found.
pub fn write_scan(w: &mut crate::resp::Writer, next: u64, found: &[impl AsRef<[u8]>]) {
    write_scan_head(w, next, found.len());
    found.iter().for_each(|item| w.bulk(item.as_ref()));
}

/// A cursor, and how many items the caller will write.
pub fn write_scan_head(w: &mut crate::resp::Writer, next: u64, found: usize) {
    w.array(2);
    w.bulk(next.to_string().as_bytes());
    w.array(found);
}

/// A cursor: what C's strtoul reads, all of it.
pub fn cursor(text: &[u8]) -> Result<u64, Fault> {
    let digits = text.strip_prefix(b"+").or(text.strip_prefix(b"-")).unwrap_or(text);
    if text.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or(BAD_CURSOR)?;
    Ok(if text[0] == b'-' { number.wrapping_neg() } else { number })
}

/// The cursor is the shard's number above the position within it (see `table`).
fn scan(ctx: &mut Ctx) -> Result<(), Fault> {
    let start = cursor(ctx.arg(1))?;
    let options = ScanOptions::parse(ctx, 2, true)?;
    let (now, number) = (ctx.keys.now(), ctx.keys.db);
    let shards = ctx.keys.shard_count() as u64;
    let mut found = bytes::BytesMut::new();
    let (mut matched, mut seen) = (0, 0);
    let mut w = crate::resp::Writer::new(&mut found, ctx.w.proto);
    let mut visit = |keys: &Keyspace, entry: &Entry| {
        seen += 1;
        let kind =
            options.kind.is_none_or(|kind| kind.eq_ignore_ascii_case(entry.value.type_name().as_bytes()));
        if options.wants(entry.key()) && kind && !keys.is_over(entry, now) {
            w.bulk(entry.key());
            matched += 1;
        }
        seen
    };
    let (mut at, mut looked) = (start, 0usize);
    while at < shards * SCAN_END {
        let space: &Keyspace = &ctx.keys.locked.shard((at / SCAN_END) as usize).dbs[number].keys;
        let mut total = 0;
        let next = space.scan(at % SCAN_END, |entry| total = visit(space, entry));
        at = at / SCAN_END * SCAN_END + next;
        looked += 1;
        // As Redis: up to ten times as many buckets as keys asked for.
        if total >= options.count || looked >= options.count.saturating_mul(10) {
            break;
        }
    }
    let next = if at >= shards * SCAN_END { 0 } else { at };
    ctx.w.array(2);
    ctx.w.bulk(next.to_string().as_bytes());
    ctx.w.array(matched);
    ctx.w.raw(&found);
    Ok(())
}

fn randomkey(ctx: &mut Ctx) -> Result<(), Fault> {
    let (now, number) = (ctx.keys.now(), ctx.keys.db);
    loop {
        let mut sizes = Vec::new();
        each_db(ctx, |db| sizes.push(db.keys.len()));
        let total: usize = sizes.iter().sum();
        if total == 0 {
            ctx.w.null();
            return Ok(());
        }
        let mut pick = fastrand::usize(0..total);
        let shard = sizes.iter().position(|&size| {
            let here = pick < size;
            pick = if here { pick } else { pick - size };
            here
        });
        let shard = ctx.keys.locked.shard(shard.unwrap_or(0));
        let keys = &shard.dbs[number].keys;
        let at = pick as u32;
        if keys.is_over(keys.at(at), now) {
            let gone = super::view::expire(shard, number, at);
            ctx.keys.discard(gone.value);
            ctx.keys.ready.extend(gone.awaited.map(|key| (number, key)));
            continue;
        }
        ctx.w.bulk(keys.at(at).key());
        return Ok(());
    }
}

fn flush(ctx: &mut Ctx, all: bool) -> Result<(), Fault> {
    match ctx.args.get(1) {
        None => {}
        Some(mode) if ctx.args.len() == 2 => {
            if !mode.eq_ignore_ascii_case(b"async") && !mode.eq_ignore_ascii_case(b"sync") {
                return Err(SYNTAX);
            }
        }
        _ => return Err(SYNTAX),
    }
    let flushed = if all { None } else { Some(ctx.keys.db) };
    let databases = if all { 0..ctx.config.databases } else { ctx.keys.db..ctx.keys.db + 1 };
    for number in databases.clone() {
        tell_watchers(ctx, number, None);
        for shard in 0..ctx.keys.shard_count() {
            let db = ctx.keys.locked.shard(shard).change(number);
            let old = std::mem::take(&mut db.keys);
            ctx.keys.discard_all(old);
        }
    }
    ctx.keys.tell_all(Change::Flushed(flushed));
    databases.for_each(|number| signal_waiting(ctx, number));
    ctx.w.ok();
    Ok(())
}

/// Raises the flags of watched keys that are in this database, or will be with `other` in its place.
fn tell_watchers(ctx: &mut Ctx, number: usize, other: Option<usize>) {
    use std::sync::atomic::Ordering;
    for shard in 0..ctx.keys.shard_count() {
        let dbs = &ctx.keys.locked.shard(shard).dbs;
        for (key, flags) in &dbs[number].watched {
            let hash = super::table::hash(key);
            let there = |db: usize| dbs[db].keys.find(hash, key).is_some();
            if there(number) || other.is_some_and(there) {
                flags.iter().for_each(|flag| flag.store(true, Ordering::Release));
            }
        }
    }
}

fn swapdb(ctx: &mut Ctx) -> Result<(), Fault> {
    let index = |i: usize, text| int32_arg(ctx.arg(i)).map_err(|_| Fault::new(text));
    let first = index(1, "ERR invalid first DB index")?;
    let second = index(2, "ERR invalid second DB index")?;
    let valid = |n: i32| usize::try_from(n).ok().filter(|&n| n < ctx.config.databases).ok_or(DB_RANGE);
    let (first, second) = (valid(first)?, valid(second)?);
    if first != second {
        tell_watchers(ctx, first, Some(second));
        tell_watchers(ctx, second, Some(first));
        for shard in 0..ctx.keys.shard_count() {
            ctx.keys.locked.shard(shard).swap(first, second);
        }
        ctx.keys.tell_all(Change::Swapped(first, second));
        signal_waiting(ctx, first);
        signal_waiting(ctx, second);
    }
    ctx.w.ok();
    Ok(())
}

/// Clients may wait for keys that have come with another database, or for some that are gone.
fn signal_waiting(ctx: &mut Ctx, number: usize) {
    for shard in 0..ctx.keys.shard_count() {
        let shard = ctx.keys.locked.shard(shard);
        let all = shard.readers > 0;
        let db = &shard.dbs[number];
        let there = |key: &[u8]| db.keys.find(super::table::hash(key), key).is_some();
        let ready: Vec<_> = db.waiting.keys().filter(|key| all || there(key)).cloned().collect();
        ctx.keys.ready.extend(ready.into_iter().map(|key| (number, key)));
    }
}

fn select(ctx: &mut Ctx) -> Result<(), Fault> {
    let db = int32_arg(ctx.arg(1))?;
    ctx.caller.db = usize::try_from(db).ok().filter(|&db| db < ctx.config.databases).ok_or(DB_RANGE)?;
    ctx.w.ok();
    Ok(())
}
