//! MULTI: commands are checked and queued here, and EXEC sends them as one contiguous block.
//!
//! Without WATCH the block goes over the lane: nothing can come between its parts, so Redis sees the
//! same transaction as from a connection of its own. With WATCH it goes over the connection that
//! watches.

use bytes::BytesMut;

use super::slots::Owed;
use crate::resp::{ArgVec, Args, Shape};
use crate::upstream::{Change, Tracked};

/// Commands that one MULTI may queue: far above any sensible use, low enough that a client cannot
/// collect memory for ever without sending EXEC.
pub const MAX_QUEUED: usize = 1 << 20;

/// An open MULTI.
#[derive(Default)]
pub struct Transaction {
    /// A command was refused when it was queued: EXEC will be refused.
    pub dirty: bool,
    /// It must run on a connection of its own.
    pub pinned: bool,
    /// The queued commands' bytes, as they go over the wire.
    pub bytes: BytesMut,
    /// How each reply looks.
    pub queued: Vec<Queued>,
    /// The database selected by the queued commands, if one of them is a SELECT.
    pub selects: bool,
    /// One of them may write.
    pub writes: bool,
    /// What they change.
    pub change: Change,
    /// What they mean to a client that tracks.
    pub tracked: Option<Box<Tracked>>,
    /// The queued commands when they run in memory here.
    pub commands: Vec<ArgVec>,
    /// Bytes of arguments kept beside `bytes`.
    arguments: usize,
}

/// One queued command.
pub enum Queued {
    /// Runs upstream; its reply has this shape.
    Upstream(Shape),
    /// SELECT runs upstream, and moves the session if it succeeds.
    Select(u32),
    /// Answered by the proxy once the block has run; a PING holds its place upstream.
    Local(ArgVec),
    /// Runs upstream, and its reply counts subscribers: what is asked, and at EXEC what is owed.
    Counted(ArgVec, Owed),
}

/// What EXEC's reply is made of.
pub struct Block {
    /// One per element of the reply.
    pub queued: Vec<Queued>,
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

impl Transaction {
    /// Queues a command that runs upstream.
    pub fn push(&mut self, raw: &[u8], shape: Shape, write: bool) {
        self.bytes.extend_from_slice(raw);
        self.queued.push(Queued::Upstream(shape));
        self.writes |= write;
    }

    /// Queues a SELECT.
    pub fn push_select(&mut self, raw: &[u8], db: u32) {
        self.bytes.extend_from_slice(raw);
        self.queued.push(Queued::Select(db));
        self.selects = true;
    }

    /// Queues a command that we answer.
    pub fn push_local(&mut self, args: &Args) {
        self.bytes.extend_from_slice(PING);
        let args = self.keep(args);
        self.queued.push(Queued::Local(args));
    }

    /// Queues a command whose reply counts subscribers; `args` is what the count depends on.
    pub fn push_counted(&mut self, raw: &[u8], args: ArgVec, shape: Shape) {
        self.bytes.extend_from_slice(raw);
        self.queued.push(Queued::Counted(args, Owed::Lane(shape)));
    }

    /// Queues a command that runs in memory here.
    pub fn push_command(&mut self, args: &Args) {
        let args = self.keep(args);
        self.commands.push(args);
    }

    fn keep(&mut self, args: &Args) -> ArgVec {
        self.arguments += args.iter().map(|arg| arg.len() + size_of::<(u32, u32)>()).sum::<usize>();
        args.iter().collect()
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        let rows =
            self.queued.capacity() * size_of::<Queued>() + self.commands.capacity() * size_of::<ArgVec>();
        self.bytes.capacity() + self.arguments + rows
    }

    /// The whole block, MULTI to EXEC; the number of replies before EXEC's own.
    pub fn block(&self) -> (BytesMut, u32) {
        const MULTI: &[u8] = b"*1\r\n$5\r\nMULTI\r\n";
        const EXEC: &[u8] = b"*1\r\n$4\r\nEXEC\r\n";
        let mut block = BytesMut::with_capacity(MULTI.len() + self.bytes.len() + EXEC.len());
        block.extend_from_slice(MULTI);
        block.extend_from_slice(&self.bytes);
        block.extend_from_slice(EXEC);
        (block, self.queued.len() as u32 + 1)
    }
}

impl Block {
    /// True if the reply needs more than a rendering: something in it is answered or changed here, or
    /// moves the session.
    pub fn needs_care(&self) -> bool {
        self.queued.iter().any(|queued| !matches!(queued, Queued::Upstream(_)))
    }

    /// True if the session may be another one behind it: in another database, or changed by what is answered
    /// here.
    pub fn changes_session(&self) -> bool {
        self.queued.iter().any(|queued| matches!(queued, Queued::Select(_) | Queued::Local(_)))
    }
}
