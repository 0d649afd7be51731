//! From the inbox to the output: each reply in its turn and in the client's protocol.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::core::{Core, Mute};
use super::slots::{Owed, Slot};
use super::transaction::{Block, Queued};
use crate::command;
use crate::resp::{Cursor, Kind, Proto, Shape, Writer, render_resp2, render_resp2_exec};
use crate::upstream::{Close, Event, Loss};

/// A bulk string looks the same in both protocols; above this size it is passed on uncopied.
const LARGE: usize = 16 * 1024;

impl Core {
    /// Takes everything from the inbox. Says if the session must end, and why.
    pub fn take_replies(&mut self) -> Option<Close> {
        let mut delivered = std::mem::take(&mut self.delivered);
        let closed = self.client.inbox.take(&mut delivered);
        if !delivered.events.is_empty() {
            self.now = self.shared.clock.now();
        }
        let bytes = std::mem::take(&mut delivered.bytes);
        let mut at = 0;
        for event in delivered.events.drain(..) {
            match event {
                Event::Reply { seq, len } => {
                    let reply = &bytes[at..at + len as usize];
                    at += len as usize;
                    if self.slots.is_due(seq) {
                        self.due(reply, None);
                    } else {
                        self.early(seq, Bytes::copy_from_slice(reply));
                    }
                }
                Event::LargeReply { seq, bytes } if self.slots.is_due(seq) => {
                    self.due(&bytes.clone(), Some(bytes))
                }
                Event::LargeReply { seq, bytes } => self.early(seq, bytes),
                Event::Lost { seq, loss } => self.lost(seq, loss),
                Event::Fenced { seq } => {
                    self.fence_passed(seq);
                    self.drain();
                }
                Event::Message(message) => self.message(message),
                Event::Notice(notice) => self.noticed(notice),
            }
        }
        delivered.bytes = bytes;
        self.delivered = delivered;
        closed
    }

    /// No reply will come for this slot.
    pub fn lost(&mut self, seq: u64, loss: Loss) {
        let failover = &self.shared.stats.failover;
        let Some(slot) = self.slots.get_mut(seq) else { return };
        let command = command::by_id(slot.command);
        match loss {
            Loss::Uncertain => failover.uncertain_writes.inc(),
            Loss::ReadLost => failover.refused_reads.inc(),
            Loss::NotSent if command.is_some_and(|command| !command.is_write()) => {
                failover.refused_reads.inc()
            }
            Loss::NotSent => failover.refused_writes.inc(),
            Loss::NoSuchDatabase => {}
        }
        slot.owed = Owed::Lost(loss);
        self.drain();
    }

    /// A reply before its turn: it is kept in its slot.
    fn early(&mut self, seq: u64, bytes: Bytes) {
        if let Some(slot) = self.slots.get_mut(seq) {
            let owed = std::mem::replace(&mut slot.owed, Owed::Local(0));
            slot.owed = Owed::Arrived(Box::new((owed, bytes)));
        }
    }

    /// The reply of the slot that is due; `whole` is the same bytes, to be passed on uncopied.
    fn due(&mut self, reply: &[u8], whole: Option<Bytes>) {
        let seq = self.slots.first_seq();
        let Some(slot) = self.slots.pop() else { return };
        self.finish(slot, reply, whole);
        if !self.notices.is_empty() {
            self.tell_behind(seq);
        }
        self.drain();
    }

    /// Everything at the front that needs no waiting.
    #[inline]
    fn drain(&mut self) {
        if self.slots.front().is_some_and(|front| front.owed.is_at_hand()) {
            self.drain_on();
        }
    }

    #[inline(never)]
    fn drain_on(&mut self) {
        while let Some(front) = self.slots.front() {
            match front.owed {
                Owed::Parked(_) => match self.look_again() {
                    true => continue,
                    false => return,
                },
                _ if front.owed.is_at_hand() => {}
                _ => return,
            }
            let seq = self.slots.first_seq();
            let Some(mut slot) = self.slots.pop() else { return };
            match std::mem::replace(&mut slot.owed, Owed::Local(0)) {
                Owed::Local(len) => {
                    let len = (len as usize).min(self.local.len());
                    self.out.tail.extend_from_slice(&self.local[..len]);
                    self.local.advance(len);
                }
                Owed::Arrived(arrived) => {
                    let (owed, bytes) = *arrived;
                    slot.owed = owed;
                    self.finish(slot, &bytes.clone(), Some(bytes));
                }
                Owed::Lost(loss) => self.finish_lost(&slot, loss),
                _ => {}
            }
            self.tell_behind(seq);
        }
    }

    fn finish_lost(&mut self, slot: &Slot, loss: Loss) {
        let start = self.out.tail.len();
        if !slot.muted {
            Writer::new(&mut self.out.tail, self.proto).error(loss.message());
        }
        self.recorder.error_reply(format!("-{}", loss.message()).as_bytes());
        self.count(slot, self.out.tail.len() > start);
    }

    #[inline]
    pub(super) fn count(&mut self, slot: &Slot, failed: bool) {
        let elapsed = Duration::from_nanos(self.now.saturating_sub(slot.started));
        self.recorder.command(slot.command, slot.served, elapsed);
        if failed {
            self.recorder.failed(slot.command);
        }
    }

    /// Writes one reply in the client's protocol.
    #[inline(always)]
    fn finish(&mut self, slot: Slot, reply: &[u8], whole: Option<Bytes>) {
        self.account(&slot, reply);
        match slot.owed {
            Owed::Lane(shape) => self.write(slot.muted, reply, whole, shape),
            _ => self.finish_unusual(slot, reply, whole),
        }
    }

    /// Counts a reply, and learns from it.
    #[inline]
    fn account(&mut self, slot: &Slot, reply: &[u8]) {
        let failed = reply.first() == Some(&b'-');
        self.learn_size(reply.len());
        if slot.key != 0
            && reply.len() > self.bulk_threshold()
            && let Some(upstream) = self.upstream()
        {
            upstream.large.note(slot.key, reply.len());
        }
        if failed {
            self.recorder.error_reply(reply);
        }
        self.count(slot, failed);
    }

    /// The same for a reply that means something to the session, or is changed.
    #[inline(never)]
    fn finish_unusual(&mut self, slot: Slot, reply: &[u8], whole: Option<Bytes>) {
        let failed = reply.first() == Some(&b'-');
        match slot.owed {
            Owed::Select(db) => {
                if !failed {
                    self.db = db;
                }
                self.write(slot.muted, reply, whole, Shape::Plain);
            }
            Owed::Exec(block) => self.write_exec(slot.muted, reply, &block),
            owed @ (Owed::Publish(_) | Owed::Numsub(_)) => {
                self.write_changed(slot.muted, reply, |writer| write_count(&owed, reply, writer))
            }
            Owed::Fence if !failed => self.write(slot.muted, b"+OK\r\n", None, Shape::Plain),
            Owed::Fence => self.write(slot.muted, reply, whole, Shape::Plain),
            Owed::Lane(shape) => self.write(slot.muted, reply, whole, shape),
            Owed::Local(_) | Owed::Parked(_) | Owed::Arrived(..) | Owed::Lost(_) => {}
        }
    }

    /// Writes an upstream reply: as it is for RESP3, rendered for RESP2.
    #[inline]
    pub fn write(&mut self, muted: bool, reply: &[u8], whole: Option<Bytes>, shape: Shape) {
        if muted {
            return;
        }
        let same = self.proto == Proto::Resp3 || matches!(reply.first(), Some(b'$' | b'+' | b'-' | b':'));
        match whole {
            Some(whole) if same && whole.len() > LARGE => self.out.large(whole),
            _ if same => self.out.tail.extend_from_slice(reply),
            _ => render_resp2(reply, shape, &mut self.out.tail),
        }
    }

    /// Writes something else in place of `reply`, or `reply` itself if there is nothing to change.
    fn write_changed(
        &mut self,
        muted: bool,
        reply: &[u8],
        write: impl FnOnce(&mut Writer<'_>) -> Option<()>,
    ) {
        if muted {
            return;
        }
        let start = self.out.tail.len();
        if write(&mut Writer::new(&mut self.out.tail, self.proto)).is_none() {
            self.out.tail.truncate(start);
            self.write(false, reply, None, Shape::Plain);
        }
    }

    /// Writes EXEC's reply: each element in its command's shape, some of them by us.
    pub fn write_exec(&mut self, muted: bool, reply: &[u8], block: &Block) {
        let shape = |queued: &Queued| match queued {
            Queued::Upstream(shape) => *shape,
            Queued::Select(_) | Queued::Local(_) | Queued::Counted(..) => Shape::Plain,
        };
        if block.needs_care() && reply.first() == Some(&b'*') {
            return self.write_exec_with_care(muted, reply, block);
        }
        match self.proto {
            _ if muted => {}
            Proto::Resp3 => self.out.tail.extend_from_slice(reply),
            Proto::Resp2 => {
                render_resp2_exec(reply, block.queued.iter().map(shape), &mut self.out.tail);
            }
        }
    }

    /// The same when some elements are ours, or change the session. The rest of the reply is in the protocol
    /// and the mode that such an element has chosen.
    fn write_exec_with_care(&mut self, mut muted: bool, reply: &[u8], block: &Block) {
        let mut cursor = Cursor::new(reply);
        let Some(Kind::Array(n)) = cursor.read() else {
            return self.write(muted, reply, None, Shape::NullArray);
        };
        let mut out = std::mem::take(&mut self.out.tail);
        if !muted {
            Writer::new(&mut out, self.proto).array(n);
        }
        for queued in &block.queued {
            let Some(element) = cursor.skip() else { break };
            let start = out.len();
            match queued {
                Queued::Upstream(shape) => self.write_element(element, *shape, &mut out),
                Queued::Select(db) => {
                    if element == b"+OK\r\n" {
                        self.db = *db;
                        // Else a new lane would not ask for it, and refuse what waits for it.
                        if let Some(upstream) = self.upstream() {
                            upstream.router.home().expect_db(*db);
                        }
                    }
                    out.extend_from_slice(element);
                }
                Queued::Local(args) => {
                    let mute = self.mute;
                    self.local_in_exec(&args.args(), &mut out);
                    if self.mute != mute {
                        muted = self.muted();
                    }
                }
                Queued::Counted(_, owed) => {
                    if write_count(owed, element, &mut Writer::new(&mut out, self.proto)).is_none() {
                        out.truncate(start);
                        let shape = if let Owed::Lane(shape) = owed { *shape } else { Shape::Plain };
                        self.write_element(element, shape, &mut out);
                    }
                }
            }
            if muted {
                out.truncate(start);
            }
        }
        self.out.tail = out;
    }

    fn write_element(&self, element: &[u8], shape: Shape, out: &mut BytesMut) {
        match self.proto {
            Proto::Resp2 => render_resp2(element, shape, out),
            Proto::Resp3 => out.extend_from_slice(element),
        }
    }

    // === outside the order of replies ===

    /// A message outside the order of replies, given in RESP3 form; or what MONITOR shows.
    pub fn message(&mut self, message: Bytes) {
        let out = if self.partial { &mut self.held_back } else { &mut self.out.tail };
        let start = out.len();
        let shown = message.first() == Some(&b'+');
        if shown && self.mute == Mute::All {
            return;
        }
        out.extend_from_slice(&message);
        if self.proto == Proto::Resp2 && !shown {
            out[start] = b'*';
        }
    }

    /// Writes something outside the order of replies, but not into the middle of one.
    pub(super) fn unasked(&mut self, write: impl FnOnce(&mut Writer<'_>)) {
        let out = if self.partial { &mut self.held_back } else { &mut self.out.tail };
        write(&mut Writer::new(out, self.proto));
    }

    /// The reply that was being passed on is complete: what came meanwhile is behind it.
    pub(super) fn end_partial(&mut self) {
        self.partial = false;
        let held_back = std::mem::take(&mut self.held_back);
        self.out.tail.extend_from_slice(&held_back);
    }
}

/// A count of subscribers, ours counted one by one. None if the reply is no such count.
fn write_count(owed: &Owed, reply: &[u8], writer: &mut Writer<'_>) -> Option<()> {
    match owed {
        Owed::Publish(more) => writer.int((int(reply)? + more).max(0)),
        Owed::Numsub(more) => return numsub(reply, more, writer),
        _ => return None,
    }
    Some(())
}

fn int(reply: &[u8]) -> Option<i64> {
    match Cursor::new(reply).read() {
        Some(Kind::Int(n)) => Some(n),
        _ => None,
    }
}

/// PUBSUB NUMSUB: channel, count, channel, count …; each count changed by ours.
fn numsub(reply: &[u8], more: &[i64], writer: &mut Writer<'_>) -> Option<()> {
    let mut cursor = Cursor::new(reply);
    let Some(Kind::Array(n)) = cursor.read() else { return None };
    writer.array(n);
    for more in more {
        writer.raw(cursor.skip()?);
        let Some(Kind::Int(count)) = cursor.read() else { return None };
        writer.int((count + more).max(0));
    }
    Some(())
}
