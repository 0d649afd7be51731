//! XREADGROUP, which may wait, and serving those who do.

use super::block::{Wait, WaitRequest};
use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, quoted};
use super::stream::Stream;
use super::streamblock::{keys, options, write_header};
use super::streamid::Id;
use super::streams::{id_arg, write_entries, write_entry, write_id};
use super::view::Keys;
use crate::resp::{Proto, Writer};

/// The command.
pub const ROWS: &[Row] = &[Row::shrink("XREADGROUP", -7, KeyArgs::Find(keys), xreadgroup)];

/// What `>` stands for: what nobody in the group has read.
const NEW: Id = Id::MAX;

/// With BLOCK and without COUNT no more than this are given out at once.
const BLOCKED_COUNT: usize = 1000;

/// What an XREADGROUP wants, of any key.
pub struct GroupRead {
    group: Box<[u8]>,
    consumer: Box<[u8]>,
    count: usize,
    no_ack: bool,
}

fn xreadgroup(ctx: &mut Ctx) -> Result<(), Fault> {
    let options = options(ctx.args, true, ctx.keys.now())?;
    let (group, consumer) = options.group.ok_or(Fault::new("ERR Missing GROUP option for XREADGROUP"))?;
    let read = GroupRead {
        group: group.into(),
        consumer: consumer.into(),
        count: options.count,
        no_ack: options.no_ack,
    };
    let range = options.first..options.first + options.keys;
    let mut found = Vec::new();
    for i in range.clone() {
        let (key, text) = (ctx.arg(i), ctx.arg(i + options.keys));
        let stream = ctx.keys.typed::<Stream>(key)?;
        let last = stream.and_then(|stream| Some(stream.groups().get(group)?.last));
        let last = last.ok_or_else(|| no_group(key, group))?;
        let after = position(text)?;
        let top = stream.and_then(|stream| stream.entries().next_back()).map(|entry| entry.id);
        if after != NEW || top.is_some_and(|top| top > last) {
            found.push((key, after));
        }
    }
    if !found.is_empty() {
        write_header(found.len(), &mut ctx.w);
        for (key, after) in found {
            write_key(key, &mut ctx.w);
            match after {
                NEW => give_out(&mut ctx.keys, key, &read, &mut ctx.w),
                after => repeat(&mut ctx.keys, key, &read, after, &mut ctx.w),
            }
        }
        return Ok(());
    }
    match options.block {
        Some(timeout) if !ctx.in_block => {
            let count = if read.count == usize::MAX { BLOCKED_COUNT } else { read.count };
            let keys = super::listblock::owned_keys(ctx, range);
            ctx.wait = Some(WaitRequest { keys, wait: Wait::Group(GroupRead { count, ..read }), timeout });
        }
        _ => ctx.w.null_array(),
    }
    Ok(())
}

fn no_group(key: &[u8], group: &[u8]) -> Fault {
    let (key, group) = (quoted(key), quoted(group));
    let text =
        format!("NOGROUP No such key '{key}' or consumer group '{group}' in XREADGROUP with GROUP option");
    Fault(text.into())
}

fn position(text: &[u8]) -> Result<Id, Fault> {
    match text {
        b">" => Ok(NEW),
        b"$" => Err(Fault::new(
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this \
             consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return \
             an empty result set.",
        )),
        _ => id_arg(text),
    }
}

fn write_key(key: &[u8], w: &mut Writer) {
    if w.proto == Proto::Resp2 {
        w.array(2);
    }
    w.bulk(key);
}

/// Writes what nobody in the group has read, and notes that this consumer has it now.
fn give_out(keys: &mut Keys, key: &[u8], read: &GroupRead, w: &mut Writer) {
    let now = keys.now();
    let Ok(Some(stream)) = keys.typed_mut::<Stream>(key) else { return w.array(0) };
    let progress = stream.progress();
    let Some(group) = stream.groups_mut().get_mut(&read.group) else { return w.array(0) };
    let (name, last) = (group.seen(&read.consumer, now), group.last);
    let Some(from) = last.next() else { return w.array(0) };
    let ids: Vec<Id> = stream.range(from..=Id::MAX).take(read.count).map(|entry| entry.id).collect();
    write_entries(stream.range(from..=Id::MAX).take(read.count), w);
    if let Some(group) = stream.groups_mut().get_mut(&read.group) {
        ids.into_iter().for_each(|id| group.deliver(id, &name, !read.no_ack, &progress, now));
    }
}

/// Writes what the consumer was given after an id and has not acknowledged; without fields what is gone.
fn repeat(keys: &mut Keys, key: &[u8], read: &GroupRead, after: Id, w: &mut Writer) {
    let now = keys.now();
    let Ok(Some(stream)) = keys.typed_mut::<Stream>(key) else { return w.array(0) };
    let Some(group) = stream.groups_mut().get_mut(&read.group) else { return w.array(0) };
    group.seen(&read.consumer, now);
    let own = group.consumer(&read.consumer).zip(after.next());
    let ids: Vec<Id> = own.map_or(Vec::new(), |(consumer, from)| {
        group.pending_of(consumer, from..=Id::MAX).take(read.count).map(|(id, _)| id).collect()
    });
    let mut there = Vec::with_capacity(ids.len());
    w.array(ids.len());
    for id in ids {
        match stream.range(id..=id).next() {
            Some(entry) => {
                write_entry(entry, w);
                there.push(id);
            }
            None => {
                w.array(2);
                write_id(id, w);
                w.null_array();
            }
        }
    }
    if let Some(group) = stream.groups_mut().get_mut(&read.group) {
        there.into_iter().for_each(|id| group.repeat(id, now));
    }
}

/// True when there is something to tell who waits: new entries, or that there is nothing to wait for any
/// more.
pub fn has_something(keys: &mut Keys, key: &[u8], read: &GroupRead) -> bool {
    let stream = keys.typed::<Stream>(key).ok().flatten();
    let last = stream.and_then(|stream| Some((stream.last_id, stream.groups().get(&read.group)?.last)));
    last.is_none_or(|(added, read)| added > read)
}

/// The reply for one key.
pub fn serve(keys: &mut Keys, key: &[u8], read: &GroupRead, w: &mut Writer) {
    let Ok(Some(stream)) = keys.typed::<Stream>(key) else {
        return w.error("UNBLOCKED the stream key no longer exists");
    };
    if stream.groups().get(&read.group).is_none() {
        return w.error("NOGROUP the consumer group this client was blocked on no longer exists");
    }
    write_header(1, w);
    write_key(key, w);
    give_out(keys, key, read, w);
}
