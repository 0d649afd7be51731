//! The replies that a client is owed, in the order of its commands.
//!
//! A command that is answered here while nothing is owed before it needs no slot: its reply goes
//! straight to the output. Everything else gets one, and replies leave in the order of the slots.

use std::collections::VecDeque;

use bytes::Bytes;

use super::transaction::Block;
use crate::clock::Nanos;
use crate::command::Command;
use crate::resp::{ArgVec, Shape};
use crate::stats::Served;
use crate::upstream::Loss;

/// One reply that is owed.
pub struct Slot {
    /// What is to come, or has come.
    pub owed: Owed,
    /// The command's id, for statistics.
    pub command: u16,
    /// How it is counted.
    pub served: Served,
    /// When it was read.
    pub started: Nanos,
    /// What stands for the key of a read in the list of large keys; 0 for other commands.
    pub key: u64,
    /// CLIENT REPLY OFF or SKIP: the reply is dropped.
    pub muted: bool,
}

/// What a slot waits for.
pub enum Owed {
    /// Nothing: so many bytes of the session's own replies are its answer.
    Local(u32),
    /// The lane's reply, in this shape.
    Lane(Shape),
    /// The lane's reply to a SELECT: the session is in this database if it says OK.
    Select(u32),
    /// The lane's reply to EXEC.
    Exec(Box<Block>),
    /// The lane's reply to PUBLISH or SPUBLISH: how many receivers to add and to subtract, since all
    /// our subscribers are one client upstream.
    Publish(i64),
    /// The lane's reply to PUBSUB NUMSUB: the same per channel.
    Numsub(Box<[i64]>),
    /// The lane's reply to the PING of NEARCACHE FENCE.
    Fence,
    /// A read that waits until all before it have been answered, to be looked up in L1 then.
    Parked(Box<Parked>),
    /// A reply that came before its turn.
    Arrived(Box<(Owed, Bytes)>),
    /// No reply will come.
    Lost(Loss),
}

impl Owed {
    /// True if it needs no waiting when it is due, or is to be looked up then.
    #[inline]
    pub fn is_at_hand(&self) -> bool {
        matches!(self, Owed::Local(_) | Owed::Arrived(_) | Owed::Lost(_) | Owed::Parked(_))
    }
}

/// A read that waits for its turn.
pub struct Parked {
    /// What is asked.
    pub command: &'static Command,
    /// Of what.
    pub args: ArgVec,
    /// In which database.
    pub db: u32,
    /// Its client tracks what it reads.
    pub tracked: bool,
}

/// All replies owed to one client.
#[derive(Default)]
pub struct Slots {
    queue: VecDeque<Slot>,
    /// The sequence number of the first of `queue`.
    first: u64,
}

impl Slots {
    /// Adds a slot; its sequence number.
    pub fn push(&mut self, slot: Slot) -> u64 {
        self.queue.push_back(slot);
        self.first + self.queue.len() as u64 - 1
    }

    /// The sequence number of the next slot.
    pub fn next_seq(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// How many replies are owed.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// True when nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// True if `seq` is the reply that is due next.
    pub fn is_due(&self, seq: u64) -> bool {
        seq == self.first && !self.queue.is_empty()
    }

    /// The slot that is due next.
    pub fn front(&self) -> Option<&Slot> {
        self.queue.front()
    }

    /// Takes the slot that is due next.
    pub fn pop(&mut self) -> Option<Slot> {
        let slot = self.queue.pop_front()?;
        self.first += 1;
        Some(slot)
    }

    /// The sequence number of the first slot.
    pub fn first_seq(&self) -> u64 {
        self.first
    }

    /// The slot of this sequence number, if it is still owed.
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Slot> {
        self.queue.get_mut(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// Gives the memory back: for a session that goes idle.
    pub fn release(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > 0 {
            self.queue = VecDeque::new();
        }
    }
}
