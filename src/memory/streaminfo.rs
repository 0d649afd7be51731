//! XINFO, and the commands of consumer groups: there are none in memory.

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, NO_SUCH_KEY, quoted};
use super::number::int_arg;
use super::stream::Stream;
use super::streamid::Id;
use super::streams::{write_entries, write_entry, write_id};
use crate::resp::{Args, Writer};

/// The commands.
pub const ROWS: &[Row] = &[
    Row::read("XINFO", -2, KeyArgs::Range(2, 2, 1), xinfo),
    Row::shrink("XACK", -4, KeyArgs::None, no_groups),
    Row::shrink("XAUTOCLAIM", -6, KeyArgs::None, no_groups),
    Row::shrink("XCLAIM", -6, KeyArgs::None, no_groups),
    Row::shrink("XGROUP", -2, KeyArgs::None, no_groups),
    Row::read("XPENDING", -3, KeyArgs::None, no_groups),
    Row::shrink("XREADGROUP", -7, KeyArgs::None, no_groups),
];

fn no_groups(_ctx: &mut Ctx) -> Result<(), Fault> {
    Err(Fault::new("ERR nearcache: consumer groups need an upstream"))
}

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
    let key = ctx.arg(2);
    let stream = ctx.keys.typed::<Stream>(key)?.ok_or(NO_SUCH_KEY)?;
    match subcommand.as_slice() {
        b"groups" => ctx.w.array(0),
        b"stream" => describe(stream, full(&ctx.args[1], ctx.args.skip(2))?, &mut ctx.w),
        _ => {
            let (group, key) = (quoted(&ctx.args[3]), quoted(key));
            let text = format!("NOGROUP No such consumer group '{group}' for key name '{key}'");
            return Err(Fault(text.into()));
        }
    }
    Ok(())
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
    let number = |w: &mut Writer, name: &str, n: u64| {
        w.bulk(name.as_bytes());
        w.int(n as i64);
    };
    let id = |w: &mut Writer, name: &str, id: Id| {
        w.bulk(name.as_bytes());
        write_id(id, w);
    };
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
        w.array(0);
        return;
    }
    number(w, "groups", 0);
    for (name, entry) in [("first-entry", first), ("last-entry", last)] {
        w.bulk(name.as_bytes());
        match entry {
            Some(entry) => write_entry(entry, w),
            None => w.null(),
        }
    }
}
