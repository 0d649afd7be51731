//! XINFO.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NO_SUCH_KEY, quoted};
use super::group::{Group, Progress};
use super::groups::no_group;
use super::number::int_arg;
use super::stream::Stream;
use super::streamid::Id;
use super::streams::{write_entries, write_entry, write_id};
use crate::resp::{Args, Writer};

/// The commands.
pub const ROWS: &[Row] = &[Row::read("XINFO", -2, KeyArgs::Range(2, 2, 1), xinfo)];

const HELP: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Prints this help.",
];

fn xinfo(ctx: &mut Ctx) -> Result<(), Fault> {
    let subcommand = ctx.args[1].to_ascii_lowercase();
    let (len, name) = (ctx.args.len(), String::from_utf8_lossy(&subcommand));
    let arity_ok = match subcommand.as_slice() {
        b"help" => len == 2,
        b"groups" => len == 3,
        b"consumers" => len == 4,
        b"stream" => len >= 3,
        _ => return Err(Fault::subcommand("XINFO", ctx.arg(1))),
    };
    if !arity_ok {
        return Err(Fault::arity(&format!("xinfo|{name}")));
    }
    if subcommand == b"help" {
        ctx.w.array(HELP.len());
        HELP.iter().for_each(|line| ctx.w.simple(line));
        return Ok(());
    }
    let (key, now) = (ctx.arg(2), ctx.keys.now());
    let stream = ctx.keys.typed::<Stream>(key)?.ok_or(NO_SUCH_KEY)?;
    match subcommand.as_slice() {
        b"groups" => list_groups(stream, &mut ctx.w),
        b"stream" => describe(stream, full(&ctx.args[1], ctx.args.skip(2))?, &mut ctx.w),
        _ => {
            let group = stream.groups().get(&ctx.args[3]).ok_or_else(|| no_group(&ctx.args[3], key))?;
            list_consumers(group, now, &mut ctx.w);
        }
    }
    Ok(())
}

fn list_groups(stream: &Stream, w: &mut Writer) {
    let progress = stream.progress();
    w.array(stream.groups().len());
    for (name, group) in stream.groups().iter() {
        w.map(6);
        w.bulk(b"name");
        w.bulk(name);
        number(w, "consumers", group.consumers().len() as u64);
        number(w, "pending", group.pending_len() as u64);
        id(w, "last-delivered-id", group.last);
        w.bulk(b"entries-read");
        maybe(w, group.read.map(|read| read as i64));
        w.bulk(b"lag");
        maybe(w, group.lag(&progress));
    }
}

fn list_consumers(group: &Group, now: i64, w: &mut Writer) {
    w.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        w.map(3);
        w.bulk(b"name");
        w.bulk(name);
        number(w, "pending", consumer.pending() as u64);
        number(w, "idle", now.saturating_sub(consumer.seen).max(0) as u64);
    }
}

fn number(w: &mut Writer, name: &str, n: u64) {
    w.bulk(name.as_bytes());
    w.int(n as i64);
}

fn maybe(w: &mut Writer, n: Option<i64>) {
    match n {
        Some(n) => w.int(n),
        None => w.null(),
    }
}

fn id(w: &mut Writer, name: &str, id: Id) {
    w.bulk(name.as_bytes());
    write_id(id, w);
}

/// Reads `[FULL [COUNT count]]` after the key: how many entries are wanted if all is.
fn full(subcommand: &[u8], args: Args) -> Result<Option<usize>, Fault> {
    const USUAL: usize = 10;
    let is = |i: usize, word: &str| args.get(i).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()));
    match args.len() {
        1 => Ok(None),
        2 if is(1, "full") => Ok(Some(USUAL)),
        4 if is(1, "full") && is(2, "count") => match usize::try_from(int_arg(&args[3])?) {
            Ok(0) => Ok(Some(usize::MAX)),
            count => Ok(Some(count.unwrap_or(USUAL))),
        },
        _ => {
            let given = quoted(&subcommand[..subcommand.len().min(128)]);
            let text =
                format!("ERR unknown subcommand or wrong number of arguments for '{given}'. Try XINFO HELP.");
            Err(Fault(text.into()))
        }
    }
}

fn describe(stream: &Stream, full: Option<usize>, w: &mut Writer) {
    let (leaves, nodes) = stream.radix_tree();
    let (first, last) = (stream.entries().next(), stream.entries().next_back());
    w.map(if full.is_some() { 9 } else { 10 });
    number(w, "length", stream.len() as u64);
    number(w, "radix-tree-keys", leaves as u64);
    number(w, "radix-tree-nodes", nodes as u64);
    id(w, "last-generated-id", stream.last_id);
    id(w, "max-deleted-entry-id", stream.max_deleted);
    number(w, "entries-added", stream.added);
    id(w, "recorded-first-entry-id", first.map_or(Id::MIN, |entry| entry.id));
    if let Some(count) = full {
        w.bulk(b"entries");
        write_entries(stream.entries().take(count), w);
        w.bulk(b"groups");
        w.array(stream.groups().len());
        let progress = stream.progress();
        stream.groups().iter().for_each(|(name, group)| describe_group(name, group, &progress, count, w));
        return;
    }
    number(w, "groups", stream.groups().len() as u64);
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        w.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(entry, w),
            None => w.null(),
        }
    }
}

/// One group, its pending entries and its consumers, of each `count` at most.
fn describe_group(name: &[u8], group: &Group, progress: &Progress, count: usize, w: &mut Writer) {
    w.map(7);
    w.bulk(b"name");
    w.bulk(name);
    id(w, "last-delivered-id", group.last);
    w.bulk(b"entries-read");
    maybe(w, group.read.map(|read| read as i64));
    w.bulk(b"lag");
    maybe(w, group.lag(progress));
    number(w, "pel-count", group.pending_len() as u64);
    w.bulk(b"pending");
    w.array(group.pending_len().min(count));
    for (id, pending) in group.pending(Id::MIN..=Id::MAX).take(count) {
        w.array(4);
        write_id(id, w);
        w.bulk(&pending.consumer);
        w.int(pending.delivered);
        w.int(pending.count as i64);
    }
    w.bulk(b"consumers");
    w.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        w.map(4);
        w.bulk(b"name");
        w.bulk(name);
        number(w, "seen-time", consumer.seen as u64);
        number(w, "pel-count", consumer.pending() as u64);
        w.bulk(b"pending");
        w.array(consumer.pending().min(count));
        for (id, pending) in group.pending_of(consumer, Id::MIN..=Id::MAX).take(count) {
            w.array(3);
            write_id(id, w);
            w.int(pending.delivered);
            w.int(pending.count as i64);
        }
    }
}
