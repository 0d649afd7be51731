//! Commands of consumer groups: XGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM. (XREADGROUP may wait and is in
//! `streamblock`, XINFO in `streaminfo`.)

use super::commands::{KeyArgs, Row};
use super::engine::Ctx;
use super::fault::{Fault, SYNTAX, quoted};
use super::group::{Group, Name};
use super::number::{int_arg, integer};
use super::stream::Stream;
use super::streamid::Id;
use super::streams::{BAD_ID, id_arg, range_end, write_entries, write_id};
use super::value::Kind;
use crate::resp::Writer;

/// The commands.
pub const ROWS: &[Row] = &[
    Row::write("XGROUP", -2, KeyArgs::Range(2, 2, 1), xgroup),
    Row::shrink("XACK", -4, KeyArgs::ONE, xack),
    Row::read("XPENDING", -3, KeyArgs::ONE, xpending),
    Row::shrink("XCLAIM", -6, KeyArgs::ONE, xclaim),
    Row::shrink("XAUTOCLAIM", -6, KeyArgs::ONE, xautoclaim),
];

/// There is no such group.
pub fn no_group(group: &[u8], key: &[u8]) -> Fault {
    let (group, key) = (quoted(group), quoted(key));
    Fault(format!("NOGROUP No such consumer group '{group}' for key name '{key}'").into())
}

/// There is no such key, or it has no such group.
fn no_key_or_group(key: &[u8], group: &[u8]) -> Fault {
    let (group, key) = (quoted(group), quoted(key));
    Fault(format!("NOGROUP No such key '{key}' or consumer group '{group}'").into())
}

const HELP: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Prints this help.",
];

fn xgroup(ctx: &mut Ctx) -> Result<(), Fault> {
    let (sub, len) = (ctx.arg(1).to_ascii_lowercase(), ctx.args.len());
    let arity_ok = match sub.as_slice() {
        b"help" => len == 2,
        b"create" | b"setid" => len >= 5,
        b"destroy" => len == 4,
        b"createconsumer" | b"delconsumer" => len == 5,
        _ => return Err(Fault::subcommand("XGROUP", ctx.arg(1))),
    };
    if !arity_ok {
        return Err(Fault::arity(&format!("xgroup|{}", String::from_utf8_lossy(&sub))));
    }
    if sub == b"help" {
        ctx.w.array(HELP.len());
        HELP.iter().for_each(|line| ctx.w.simple(line));
        return Ok(());
    }
    let (make, read) = if len > 5 { options(ctx, sub == b"create")? } else { (false, None) };
    let (key, name) = (ctx.arg(2), ctx.arg(3));
    let stream = ctx.keys.typed_mut::<Stream>(key)?;
    if stream.is_none() && !make {
        return Err(Fault::new(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the \
             MKSTREAM option to create an empty stream automatically.",
        ));
    }
    match sub.as_slice() {
        // So many at most, whatever was said twice.
        b"create" if len > 8 => return Err(wrong(ctx)),
        b"create" => return create(ctx, read),
        b"destroy" => return destroy(ctx),
        _ => {}
    }
    let now = ctx.keys.now();
    let Some(stream) = ctx.keys.typed_mut::<Stream>(key)? else { return Err(no_group(name, key)) };
    let last = stream.last_id;
    let group = stream.groups_mut().get_mut(name).ok_or_else(|| no_group(name, key))?;
    match sub.as_slice() {
        b"setid" if len != 5 && len != 7 => return Err(wrong(ctx)),
        b"createconsumer" => {
            ctx.w.int(group.create_consumer(ctx.args.get(4).unwrap_or_default(), now).into())
        }
        b"delconsumer" => ctx.w.int(group.delete_consumer(ctx.args.get(4).unwrap_or_default()) as i64),
        _ => {
            group.last = match ctx.args.get(4).unwrap_or_default() {
                b"$" => last,
                text => Id::parse_end(text, 0).ok_or(BAD_ID)?,
            };
            group.read = read;
            ctx.w.ok();
        }
    }
    Ok(())
}

/// MKSTREAM, and what ENTRIESREAD says.
fn options(ctx: &Ctx, create: bool) -> Result<(bool, Option<u64>), Fault> {
    let (mut make, mut read, mut i) = (false, None, 5);
    while let Some(option) = ctx.args.get(i) {
        match (option.to_ascii_lowercase().as_slice(), ctx.args.get(i + 1)) {
            (b"mkstream", _) if create => i += 1,
            (b"entriesread", Some(count)) => {
                read = match int_arg(count)? {
                    -1 => None,
                    count => Some(
                        u64::try_from(count)
                            .map_err(|_| Fault::new("ERR value for ENTRIESREAD must be positive or -1"))?,
                    ),
                };
                i += 2;
                continue;
            }
            _ => return Err(wrong(ctx)),
        }
        make = true;
    }
    Ok((make, read))
}

/// The answer to a subcommand that was given something it does not take.
fn wrong(ctx: &Ctx) -> Fault {
    let sub = ctx.arg(1);
    let given = quoted(&sub[..sub.len().min(128)]);
    let text = format!("ERR unknown subcommand or wrong number of arguments for '{given}'. Try XGROUP HELP.");
    Fault(text.into())
}

fn create(ctx: &mut Ctx, read: Option<u64>) -> Result<(), Fault> {
    let (key, name, at) = (ctx.arg(2), ctx.arg(3), ctx.arg(4));
    let last = match at {
        b"$" => ctx.keys.typed::<Stream>(key)?.map_or(Id::MIN, |stream| stream.last_id),
        text => id_arg(text)?,
    };
    if !ctx.keys.exists(key) {
        ctx.keys.set(key, Stream::default().into_value());
    }
    let created =
        ctx.keys.typed_mut::<Stream>(key)?.is_some_and(|it| it.groups_mut().create(name, last, read));
    if !created {
        return Err(Fault::new("BUSYGROUP Consumer Group name already exists"));
    }
    ctx.w.ok();
    Ok(())
}

fn destroy(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, name) = (ctx.arg(2), ctx.arg(3));
    let there = ctx.keys.typed_mut::<Stream>(key)?.is_some_and(|stream| stream.groups_mut().destroy(name));
    if there {
        // Who waits to read for the group is told.
        ctx.keys.signal(key);
    }
    ctx.w.int(there.into());
    Ok(())
}

fn xack(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, name) = (ctx.arg(1), ctx.arg(2));
    let stream = ctx.keys.typed_mut::<Stream>(key)?.filter(|stream| stream.groups().get(name).is_some());
    let Some(group) = stream.and_then(|stream| stream.groups_mut().get_mut(name)) else {
        ctx.w.int(0);
        return Ok(());
    };
    let ids = ctx.args.skip(3);
    let ids = ids.iter().map(id_arg).collect::<Result<Vec<_>, _>>()?;
    let count = ids.into_iter().filter(|id| group.acknowledge(*id)).count();
    ctx.w.int(count as i64);
    Ok(())
}

fn xpending(ctx: &mut Ctx) -> Result<(), Fault> {
    let len = ctx.args.len();
    if len != 3 && !(6..=9).contains(&len) {
        return Err(SYNTAX);
    }
    let (mut idle, mut at, mut count, mut ids) = (0, 3, 0, Id::MIN..=Id::MAX);
    if len > 3 {
        if ctx.arg(3).eq_ignore_ascii_case(b"idle") {
            idle = int_arg(ctx.arg(4))?;
            at = 5;
            if len < 8 {
                return Err(SYNTAX);
            }
        }
        count = usize::try_from(int_arg(ctx.arg(at + 2))?).unwrap_or(0);
        let from = range_end(ctx.arg(at), 0, Id::next, "ERR invalid start ID for the interval")?;
        let to = range_end(ctx.arg(at + 1), u64::MAX, Id::previous, "ERR invalid end ID for the interval")?;
        ids = from..=to;
    }
    let (key, name, now) = (ctx.arg(1), ctx.arg(2), ctx.keys.now());
    let group = ctx.keys.typed::<Stream>(key)?.and_then(|stream| stream.groups().get(name));
    let group = group.ok_or_else(|| no_key_or_group(key, name))?;
    if len == 3 {
        summary(group, &mut ctx.w);
        return Ok(());
    }
    let long = |pending: &super::group::Pending| idle == 0 || now.saturating_sub(pending.delivered) >= idle;
    let found: Vec<_> = match ctx.args.get(at + 3) {
        None => group.pending(ids).filter(|(_, pending)| long(pending)).take(count).collect(),
        Some(name) => match group.consumer(name) {
            None => Vec::new(),
            Some(consumer) => {
                group.pending_of(consumer, ids).filter(|(_, pending)| long(pending)).take(count).collect()
            }
        },
    };
    ctx.w.array(found.len());
    for (id, pending) in found {
        ctx.w.array(4);
        write_id(id, &mut ctx.w);
        ctx.w.bulk(&pending.consumer);
        ctx.w.int(now.saturating_sub(pending.delivered).max(0));
        ctx.w.int(pending.count as i64);
    }
    Ok(())
}

fn summary(group: &Group, w: &mut Writer) {
    w.array(4);
    w.int(group.pending_len() as i64);
    let mut all = group.pending(Id::MIN..=Id::MAX).map(|(id, _)| id);
    let Some(first) = all.next() else {
        w.null();
        w.null();
        return w.null_array();
    };
    write_id(first, w);
    write_id(all.next_back().unwrap_or(first), w);
    let busy: Vec<_> = group.consumers().filter(|(_, consumer)| consumer.pending() > 0).collect();
    w.array(busy.len());
    for (name, consumer) in busy {
        w.array(2);
        w.bulk(name);
        w.bulk(itoa::Buffer::new().format(consumer.pending()).as_bytes());
    }
}

#[derive(Default)]
struct Claim {
    time: Option<i64>,
    count: Option<u64>,
    force: bool,
    just_id: bool,
    last: Id,
}

fn xclaim(ctx: &mut Ctx) -> Result<(), Fault> {
    let (key, name, now) = (ctx.arg(1), ctx.arg(2), ctx.keys.now());
    let group = ctx.keys.typed::<Stream>(key)?.and_then(|stream| stream.groups().get(name));
    group.ok_or_else(|| no_key_or_group(key, name))?;
    let idle = integer(ctx.arg(4)).ok_or(Fault::new("ERR Invalid min-idle-time argument for XCLAIM"))?.max(0);
    let args = ctx.args.skip(5);
    let ids: Vec<Id> = args.iter().map_while(|text| Id::parse(text, 0)).collect();
    let claim = Claim::parse(ctx, 5 + ids.len())?;
    let time = claim.time.filter(|time| (0..=now).contains(time)).unwrap_or(now);
    let mut claimed = Vec::new();
    let Some(stream) = ctx.keys.typed_mut::<Stream>(key)? else { return Ok(()) };
    let there: Vec<bool> = ids.iter().map(|id| stream.range(*id..=*id).next().is_some()).collect();
    let Some(group) = stream.groups_mut().get_mut(name) else { return Ok(()) };
    group.last = group.last.max(claim.last);
    let mut consumer: Option<Name> = None;
    for (id, there) in ids.into_iter().zip(there) {
        if !there {
            group.acknowledge(id);
            continue;
        }
        match group.is_pending(id) {
            None if !claim.force => continue,
            Some(pending) if idle > 0 && now.saturating_sub(pending.delivered) < idle => continue,
            _ => {}
        }
        let consumer = consumer.get_or_insert_with(|| group.seen(ctx.args.get(3).unwrap_or_default(), now));
        if let Some(pending) = group.assign(id, consumer) {
            pending.delivered = time;
            let more = pending.count.saturating_add(u64::from(!claim.just_id));
            pending.count = claim.count.unwrap_or(more);
        }
        claimed.push(id);
    }
    write_claimed(stream, &claimed, claim.just_id, &mut ctx.w);
    Ok(())
}

impl Claim {
    fn parse(ctx: &Ctx, from: usize) -> Result<Claim, Fault> {
        let (mut claim, mut i) = (Claim::default(), from);
        while let Some(option) = ctx.args.get(i) {
            let number = |text: &[u8], name: &str| {
                let text =
                    integer(text).ok_or_else(|| format!("ERR Invalid {name} option argument for XCLAIM"));
                text.map_err(|text| Fault(text.into()))
            };
            i += 1;
            match (option.to_ascii_lowercase().as_slice(), ctx.args.get(i)) {
                (b"force", _) => {
                    claim.force = true;
                    continue;
                }
                (b"justid", _) => {
                    claim.just_id = true;
                    continue;
                }
                // -1 is what says that no time was given.
                (b"idle", Some(text)) => {
                    claim.time =
                        Some(ctx.keys.now().wrapping_sub(number(text, "IDLE")?)).filter(|time| *time != -1);
                }
                (b"time", Some(text)) => claim.time = Some(number(text, "TIME")?),
                (b"retrycount", Some(text)) => claim.count = u64::try_from(number(text, "RETRYCOUNT")?).ok(),
                (b"lastid", Some(text)) => claim.last = id_arg(text)?,
                _ => {
                    let text = format!("ERR Unrecognized XCLAIM option '{}'", quoted(option));
                    return Err(Fault(text.into()));
                }
            }
            i += 1;
        }
        Ok(claim)
    }
}

/// Entries that are there, or their ids.
fn write_claimed(stream: &Stream, ids: &[Id], just_ids: bool, w: &mut Writer) {
    if just_ids {
        w.array(ids.len());
        return ids.iter().for_each(|id| write_id(*id, w));
    }
    write_entries(ids.iter().flat_map(|id| stream.range(*id..=*id)), w);
}

fn xautoclaim(ctx: &mut Ctx) -> Result<(), Fault> {
    /// How many pending entries are looked at for each one wanted, as in Redis.
    const ATTEMPTS: usize = 10;
    /// Redis allocates sixteen bytes for each of COUNT beforehand; no machine has room for more than this.
    const MOST: usize = 1 << 40;
    let text = "ERR Invalid min-idle-time argument for XAUTOCLAIM";
    let idle = integer(ctx.arg(4)).ok_or(Fault::new(text))?.max(0);
    let from = range_end(ctx.arg(5), 0, Id::next, "ERR invalid start ID for the interval")?;
    let (mut count, mut just_ids, mut i) = (100, false, 6);
    while let Some(option) = ctx.args.get(i) {
        match (option.to_ascii_lowercase().as_slice(), ctx.args.get(i + 1)) {
            (b"count", Some(text)) => {
                let wanted = integer(text).and_then(|n| usize::try_from(n).ok());
                let wanted = wanted.filter(|n| (1..=i64::MAX as usize / 16).contains(n));
                count = wanted.ok_or(Fault::new("ERR COUNT must be > 0"))?;
                i += 1;
            }
            (b"justid", _) => just_ids = true,
            _ => return Err(SYNTAX),
        }
        i += 1;
    }
    let (key, name, now) = (ctx.arg(1), ctx.arg(2), ctx.keys.now());
    let stream = ctx.keys.typed_mut::<Stream>(key)?.filter(|stream| stream.groups().get(name).is_some());
    let stream = stream.ok_or_else(|| no_key_or_group(key, name))?;
    if count > MOST {
        let text = "ERR Insufficient memory, failed allocating transient memory, COUNT too high.";
        return Err(Fault::new(text));
    }
    let group = stream.groups().get(name).ok_or_else(|| no_key_or_group(key, name))?;
    let (mut wanted, mut gone, mut left, mut next) = (Vec::new(), Vec::new(), count, Id::MIN);
    for (attempt, (id, pending)) in group.pending(from..=Id::MAX).enumerate() {
        if left == 0 || attempt / ATTEMPTS >= count {
            next = id;
            break;
        }
        if stream.range(id..=id).next().is_none() {
            gone.push(id);
        } else if idle > 0 && now.saturating_sub(pending.delivered) < idle {
            continue;
        } else {
            wanted.push(id);
        }
        left -= 1;
    }
    if let Some(group) = stream.groups_mut().get_mut(name) {
        for id in &gone {
            group.acknowledge(*id);
        }
        if !wanted.is_empty() {
            let consumer = group.seen(ctx.args.get(3).unwrap_or_default(), now);
            for id in &wanted {
                if let Some(pending) = group.assign(*id, &consumer) {
                    pending.delivered = now;
                    pending.count = pending.count.saturating_add(u64::from(!just_ids));
                }
            }
        }
    }
    ctx.w.array(3);
    write_id(next, &mut ctx.w);
    write_claimed(stream, &wanted, just_ids, &mut ctx.w);
    ctx.w.array(gone.len());
    gone.iter().for_each(|id| write_id(*id, &mut ctx.w));
    Ok(())
}
