//! The lane's stream, applied in order: replies go to whom they belong, pushes to L1.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{Connection, Events, LaneError};
use crate::clock::Nanos;
use crate::resp::{Cursor, Kind, Scan, frame_len};
use crate::upstream::audience::{Withheld, array};
use crate::upstream::batch::{Pending, To};
use crate::upstream::effect::{Effect, Owner, Waiter};
use crate::upstream::inbox::{Event, Inbox, LARGE_REPLY};

impl<E: Events> Connection<'_, E> {
    /// Applies everything complete in the read buffer, in order; the number of replies.
    pub(super) fn apply(&mut self) -> Result<usize, LaneError> {
        let now = self.lane.clock.now();
        let mut replies = 0;
        // When the requests that are being answered were asked for, and how many of them.
        let (mut asked, mut same) = (0, 0);
        let mut newest: Option<Nanos> = None;
        // Where the first unapplied reply starts: the buffer is advanced once, not per reply.
        let mut start = 0;
        let result = loop {
            match self.scanner.feed(&self.read[start + self.scanned..]) {
                Ok(Scan::More(n)) => {
                    self.scanned += n;
                    break Ok(replies);
                }
                Ok(Scan::Done(n)) => {
                    let end = start + self.scanned + n;
                    self.scanned = 0;
                    replies += 1;
                    match self.reply(&mut start, end) {
                        Ok(None) => {}
                        Ok(Some(at)) => {
                            // A batch was asked for at one time: it is counted at once.
                            if at != asked && same > 0 {
                                self.events.answered(asked, now, std::mem::take(&mut same));
                            }
                            (asked, same) = (at, same + 1);
                            newest = newest.max(Some(at));
                        }
                        Err(error) => break Err(error),
                    }
                }
                Ok(Scan::Push(n)) => {
                    self.scanned += n;
                    match self.push(&mut start) {
                        Ok(true) => {}
                        Ok(false) => break Ok(replies),
                        Err(error) => break Err(error),
                    }
                }
                Err(error) => break Err(error.into()),
            }
        };
        self.end_row();
        self.read.advance(start);
        self.forget();
        if let Some(newest) = newest {
            self.events.answered(asked, now, same);
            // L1 is as fresh as what was answered.
            self.lane.owner.l1.confirmed(self.lane.owner.lane, newest);
        }
        result
    }

    // === pushes ===

    /// Applies the push that begins behind what was scanned; false if it is not complete yet. A push
    /// inside a reply (Redis 6.0 to 6.2.6) is cut out of it: it is not part of its count.
    fn push(&mut self, start: &mut usize) -> Result<bool, LaneError> {
        let begin = *start + self.scanned;
        let Some(len) = frame_len(&self.read[begin..])? else { return Ok(false) };
        // Who is told of a change has got the replies that came before it.
        self.end_row();
        self.invalidate(begin, begin + len);
        self.events.pushed();
        // Move the part of the reply before it up to it.
        self.read.copy_within(*start..begin, *start + len);
        *start += len;
        Ok(true)
    }

    /// `>2 invalidate [key …]`, or `>2 invalidate _`: everything. A client that tracks is told once L1 has
    /// dropped the key: it reads it anew as soon as it hears of it.
    fn invalidate(&mut self, begin: usize, end: usize) {
        let push = &self.read[begin..end];
        let Owner { l1, lane, audience } = &self.lane.owner;
        let withheld = self.withheld();
        let mut cursor = Cursor::new(push);
        let is_ours = matches!(cursor.read(), Some(Kind::Push(2)))
            && matches!(cursor.read(), Some(Kind::Bulk(b"invalidate")));
        if !is_ours {
            return;
        }
        match cursor.read() {
            Some(Kind::Array(n)) => {
                for _ in 0..n {
                    if let Some(Kind::Bulk(key)) = cursor.read() {
                        l1.pushed(key);
                        if audience.table.is_active() {
                            self.tell(key, withheld.as_ref());
                        }
                    }
                }
            }
            _ => {
                l1.bump_epoch(*lane);
                if audience.table.is_active() {
                    let clients = audience.table.flushed(false);
                    audience.tell(&clients, &None, withheld.as_ref());
                }
            }
        }
    }

    /// Tells those who have taken the value of a key.
    fn tell(&self, key: &[u8], withheld: Option<&Withheld>) {
        let audience = &self.lane.owner.audience;
        let own = self.own.as_ref().filter(|own| own.writes(key));
        let clients = audience.table.changed(key, own.map(|own| own.client));
        if let Some(own) = own.filter(|own| own.reads(key)) {
            // It may have taken the new value in the same block, and Redis has registered that.
            audience.made_room(audience.table.register(own.client, key));
        }
        if !clients.is_empty() {
            audience.tell(&clients, &Some(array(&[key])), withheld);
        }
    }

    /// Whose reply is being withheld: what it is told comes behind that.
    fn withheld(&self) -> Option<Withheld> {
        self.held.as_ref()?;
        let front = self.pending.front()?;
        match &front.to {
            To::Session(inbox) => Some(Withheld { inbox: Arc::clone(inbox), seq: front.seq }),
            _ => None,
        }
    }

    // === replies ===

    /// Applies the reply in `start..end`, which belongs to the first pending request. The time of that
    /// request if it is complete with this reply.
    fn reply(&mut self, start: &mut usize, end: usize) -> Result<Option<Nanos>, LaneError> {
        if self.pending.is_empty() {
            self.lane.queue.lock().take_pending(&mut self.pending);
        }
        // A push that comes from now on is not caused by what was answered before.
        self.own = None;
        let plain = self.pending.front().is_some_and(Pending::is_plain);
        if plain && end - *start <= LARGE_REPLY {
            let Some(front) = self.pending.pop_front() else { return Err(LaneError::Unexpected) };
            let start = std::mem::replace(start, end);
            return Ok(Some(self.plain_reply(front, start, end)));
        }
        // The list is taken out for the time being: that moves less than its first element would.
        let mut pending = std::mem::take(&mut self.pending);
        let replied = self.reply_to_first(&mut pending, start, end);
        self.pending = pending;
        replied
    }

    /// The same for a request that is not plain, or has a large reply. If there is an error it is still owed
    /// an answer, which `give_up` sees to.
    fn reply_to_first(
        &mut self,
        pending: &mut VecDeque<Pending>,
        start: &mut usize,
        end: usize,
    ) -> Result<Option<Nanos>, LaneError> {
        let Some(front) = pending.front() else { return Err(LaneError::Unexpected) };
        let seen = self.seen;
        *start = self.reply_of(front, *start, end)?;
        if seen < front.swallow + front.trailers {
            self.seen += 1;
            return Ok(None);
        }
        self.seen = 0;
        self.answered += front.wire_len();
        if let Some(held) = self.held.take() {
            self.hand_over(front, held);
        }
        let at = front.at;
        pending.pop_front();
        Ok(Some(at))
    }

    /// The small reply of a plain request, as most are; when that was asked for.
    fn plain_reply(&mut self, request: Pending, start: usize, end: usize) -> Nanos {
        self.answered += request.wire_len();
        if let To::Session(inbox) = request.to {
            self.add_to_row(inbox, request.seq, start, end);
        }
        if let Effect::Write(write) = request.effect {
            // The reply is still in the row.
            self.lane.owner.l1.write_end(write);
        }
        request.at
    }

    /// One reply of those that `front` is owed. Where the next reply starts.
    fn reply_of(&mut self, front: &Pending, start: usize, end: usize) -> Result<usize, LaneError> {
        if self.seen == front.swallow {
            return self.own_reply(front, start, end);
        }
        match self.seen.checked_sub(front.swallow + 1) {
            None => self.before(front, start, end)?,
            Some(index) => self.behind(front, index, start, end)?,
        }
        Ok(end)
    }

    /// A reply to something of ours before the request: SELECT, MULTI, CLIENT CACHING YES.
    fn before(&mut self, front: &Pending, start: usize, end: usize) -> Result<(), LaneError> {
        let reply = &self.read[start..end];
        let ok = reply == b"+OK\r\n";
        if front.prefix > 0 && self.seen == 0 && !ok {
            return Err(LaneError::Select(shown(reply)));
        }
        if front.head > 0 && self.seen == u32::from(front.prefix > 0) {
            self.unregistered = !ok;
            if !ok {
                front.effect.spoil(&self.lane.owner.l1);
            }
        }
        Ok(())
    }

    /// The request's own reply. Where the next reply starts.
    fn own_reply(&mut self, front: &Pending, start: usize, end: usize) -> Result<usize, LaneError> {
        self.end_row();
        let reply = &self.read[start..end];
        if matches!(front.to, To::Fence(_) | To::Nobody) && reply != b"+PONG\r\n" && reply[0] != b'-' {
            return Err(LaneError::OutOfStep(shown(reply)));
        }
        let withheld = front.trailers > 0 && !front.effect.is_fetch();
        let (large, next) = match end - start > LARGE_REPLY {
            true => {
                self.read.advance(start);
                (Some(self.read.split_to(end - start).freeze()), 0)
            }
            false => (None, end),
        };
        let reply: &[u8] = match &large {
            Some(large) => large,
            None => &self.read[start..end],
        };
        let joined = front.effect.replied(&self.lane.owner.l1, self.lane.owner.lane, reply);
        if let Effect::Check(check) = &front.effect {
            self.events.checked(check, reply);
        }
        for tracked in front.tracked.iter().chain(joined.iter().filter_map(|waiter| waiter.tracked.as_ref()))
        {
            self.lane.owner.audience.take(tracked.client, &tracked.reads);
        }
        self.own = front.tracked.as_ref().filter(|tracked| tracked.changed(reply)).cloned();
        let unregistered = front.head > 0 && std::mem::take(&mut self.unregistered);
        if withheld {
            self.held = Some(large.unwrap_or_else(|| Bytes::copy_from_slice(&self.read[start..end])));
            if unregistered && let To::Session(inbox) = &front.to {
                let withheld = Withheld { inbox: Arc::clone(inbox), seq: front.seq };
                self.tell_unregistered(front, &joined, Some(&withheld));
            }
            return Ok(next);
        }
        for waiter in &joined {
            let first = match &large {
                Some(large) => waiter.inbox.large_reply(waiter.seq, large.clone()),
                None => waiter.inbox.reply(waiter.seq, &self.read[start..end]),
            };
            self.touch(&waiter.inbox, first);
        }
        match large {
            Some(large) => self.hand_over(front, large),
            None => self.deliver(front, start, end),
        }
        if unregistered {
            self.tell_unregistered(front, &joined, None);
        }
        Ok(next)
    }

    /// Redis will not announce what these read: their clients must not keep it.
    fn tell_unregistered(&self, front: &Pending, joined: &[Waiter], withheld: Option<&Withheld>) {
        let audience = &self.lane.owner.audience;
        let joined = joined.iter().filter_map(|waiter| waiter.tracked.as_ref());
        front.tracked.iter().chain(joined).for_each(|tracked| audience.untrackable(tracked, withheld));
    }

    /// A reply to something of ours behind the request: a fetch's PTTL, or the PING that a reply waits for.
    fn behind(&self, front: &Pending, index: u32, start: usize, end: usize) -> Result<(), LaneError> {
        let reply = &self.read[start..end];
        if !front.effect.is_fetch() && reply != b"+PONG\r\n" && reply[0] != b'-' {
            return Err(LaneError::OutOfStep(shown(reply)));
        }
        front.effect.trailer(&self.lane.owner.l1, index as usize, reply, self.lane.clock.now());
        Ok(())
    }

    /// Puts the small reply in `start..end` into its inbox.
    fn deliver(&mut self, request: &Pending, start: usize, end: usize) {
        let seq = request.seq;
        let reply = &self.read[start..end];
        let (inbox, first) = match &request.to {
            To::Session(inbox) => (inbox, inbox.reply(seq, reply)),
            To::SelectedBy(inbox, db) => {
                if reply == b"+OK\r\n" {
                    self.lane.queue.lock().db_exists(*db);
                }
                (inbox, inbox.reply(seq, reply))
            }
            To::Fence(inbox) => (inbox, inbox.event(Event::Fenced { seq })),
            To::Nobody => return self.pinged = false,
            To::Vigil(question) => return self.events.told(*question, reply),
        };
        self.touch(inbox, first);
    }

    /// Replies to plain requests of one session are handed over in a row: one lock and one copy for all.
    fn add_to_row(&mut self, inbox: Arc<Inbox>, seq: u64, start: usize, end: usize) {
        let same = self.row.inbox.as_ref().is_some_and(|last| Arc::ptr_eq(last, &inbox));
        if !same || self.row.end != start {
            self.end_row();
            self.row.inbox = Some(inbox);
            self.row.start = start;
        }
        self.row.events.push(Event::Reply { seq, len: (end - start) as u32 });
        self.row.end = end;
    }

    /// Hands over the replies of the row. Before anything is applied that concerns others, so that what
    /// sessions are given comes in the order of the stream.
    fn end_row(&mut self) {
        if let Some(inbox) = self.row.inbox.take() {
            let first = inbox.replies(&self.read[self.row.start..self.row.end], &mut self.row.events);
            if first {
                self.touched.push(inbox);
            }
        }
    }

    /// Puts a reply that is not in the read buffer any more into its inbox.
    fn hand_over(&mut self, request: &Pending, reply: Bytes) {
        self.end_row();
        if let To::Vigil(question) = request.to {
            self.events.told(question, &reply);
        }
        if let To::Session(inbox) = &request.to {
            let first = match reply.len() > LARGE_REPLY {
                true => inbox.large_reply(request.seq, reply),
                false => inbox.reply(request.seq, &reply),
            };
            self.touch(inbox, first);
        }
    }

    /// The connection is lost: a reply that was withheld is released. L1 has been frozen, so there is
    /// nothing left that it could outrun.
    pub(super) fn release_held(&mut self) {
        if let Some(held) = self.held.take()
            && let Some(front) = self.pending.pop_front()
        {
            self.hand_over(&front, held);
            self.pending.push_front(front);
            self.touched.drain(..).for_each(|inbox| inbox.wake());
        }
    }

    fn touch(&mut self, inbox: &Arc<Inbox>, first: bool) {
        if first {
            self.touched.push(Arc::clone(inbox));
        }
    }
}

/// The beginning of a reply, for an error's text.
fn shown(reply: &[u8]) -> String {
    String::from_utf8_lossy(&reply[..reply.len().min(80)]).trim_end().to_owned()
}
