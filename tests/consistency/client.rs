//! A client that keeps account: what it sent when, what it heard when, and what that says.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::check::{End, Op, Seen};
use super::command::Command;
use super::history::now;
use crate::support::PATIENCE;
use crate::support::client::RawClient;
use crate::support::reply::{Reply, decode};

struct Waiting {
    command: Command,
    db: u32,
    replies: usize,
    sent: u64,
}

/// One client.
pub struct Client {
    /// Its number in reports.
    pub id: u32,
    /// What it did.
    pub log: Vec<Op>,
    /// Versions that it wrote with a time to live, and when that is over.
    pub ends: Vec<(u64, End)>,
    /// Errors that it got, by how they begin.
    pub errors: BTreeMap<String, usize>,
    /// Commands answered.
    pub answered: usize,
    raw: RawClient,
    db: u32,
    out: Vec<u8>,
    waiting: VecDeque<Waiting>,
    unsent: usize,
}

impl Client {
    /// Connects, in RESP2 or RESP3.
    pub fn connect(addr: SocketAddr, id: u32, resp3: bool) -> Self {
        let connect = if resp3 { RawClient::connect_resp3 } else { RawClient::connect };
        Client {
            id,
            log: Vec::new(),
            ends: Vec::new(),
            errors: BTreeMap::new(),
            answered: 0,
            raw: connect(addr).unwrap(),
            db: 0,
            out: Vec::new(),
            waiting: VecDeque::new(),
            unsent: 0,
        }
    }

    /// A new connection; what was owed on the old one will never come.
    pub fn reconnect(&mut self, addr: SocketAddr, resp3: bool) {
        let connect = if resp3 { RawClient::connect_resp3 } else { RawClient::connect };
        self.raw = connect(addr).unwrap();
        self.db = 0;
        self.out.clear();
        self.waiting.clear();
        self.unsent = 0;
    }

    /// Adds a command to the pipeline.
    pub fn put(&mut self, command: Command) {
        let replies = command.encode(&mut self.out);
        let moves_to = command.moves_to();
        self.waiting.push_back(Waiting { command, db: self.db, replies, sent: 0 });
        self.unsent += 1;
        self.db = moves_to.unwrap_or(self.db);
    }

    /// Sends the pipeline in one piece.
    pub fn flush(&mut self) -> io::Result<()> {
        let sent = now();
        self.waiting.iter_mut().rev().take(self.unsent).for_each(|waiting| waiting.sent = sent);
        self.unsent = 0;
        let out = std::mem::take(&mut self.out);
        self.raw.send(&out)
    }

    /// The last reply of the oldest unanswered command, which says what became of it.
    pub fn hear(&mut self) -> io::Result<Reply> {
        let mut frames = Vec::new();
        while self.waiting.front().is_some_and(|waiting| waiting.replies > 0) {
            frames.push(self.raw.read()?);
            self.waiting[0].replies -= 1;
        }
        let heard = now();
        let Waiting { command, db, sent, .. } = self.waiting.pop_front().expect("a command is unanswered");
        let mut replies = Vec::new();
        for frame in frames {
            replies.push(decode(&frame).map_err(io::Error::other)?.expect("a whole frame").0);
        }
        let seen = command.seen(db, &replies);
        let reply = replies.pop().expect("every command has a reply");
        // A database that does not exist is asked for in order to be refused.
        if reply.is_error() && !matches!(command, Command::Select(99)) {
            let text = String::from_utf8_lossy(reply.text().unwrap_or_default()).into_owned();
            let words = if text.starts_with("ERR ") { 7 } else { 1 };
            let begin = text.split(' ').take(words).collect::<Vec<_>>().join(" ");
            *self.errors.entry(begin).or_default() += 1;
        }
        if let (Command::Write(_, _, version, Some(px)), false) = (&command, reply.is_error()) {
            let px = px * 1_000_000;
            self.ends.push((*version, End { earliest: sent + px, latest: heard + px }));
        }
        self.answered += 1;
        if seen != Seen::Nothing {
            self.log.push(Op { client: self.id, sent, heard, seen });
        }
        Ok(reply)
    }

    /// The same if a whole reply comes within some milliseconds.
    pub fn hears_within(&mut self, patience: Duration) -> Option<Reply> {
        self.raw.set_patience(patience);
        let heard = self.hear();
        self.raw.set_patience(PATIENCE);
        match heard {
            Ok(reply) => Some(reply),
            Err(error) if is_late(&error) => None,
            Err(error) => panic!("client {}: {error}", self.id),
        }
    }

    /// Hears all that is owed; true if anything was an error that leaves its place in doubt.
    pub fn hear_all(&mut self) -> io::Result<bool> {
        let mut lost = false;
        while let Some(waiting) = self.waiting.front() {
            let moves = waiting.command.moves_to().is_some();
            lost |= self.hear()?.is_error() && moves;
        }
        Ok(lost)
    }

    /// One command and its reply.
    pub fn ask(&mut self, command: Command) -> Reply {
        self.put(command);
        self.flush().unwrap();
        self.hear().unwrap()
    }

    /// Hears a message, which was published after this version had been written.
    pub fn message(&mut self, version_of: impl Fn(&Reply) -> Option<u64>) -> io::Result<()> {
        let frame = self.raw.read_frame()?;
        let heard = now();
        let (reply, _) = decode(&frame).map_err(io::Error::other)?.expect("a whole frame");
        if let Some(version) = version_of(&reply) {
            self.log.push(Op { client: self.id, sent: heard, heard, seen: Seen::After(version) });
        }
        self.answered += 1;
        Ok(())
    }

    /// The same if one comes within some milliseconds; whether it did.
    pub fn hears_message(&mut self, patience: Duration, version_of: impl Fn(&Reply) -> Option<u64>) -> bool {
        self.raw.set_patience(patience);
        let heard = self.message(version_of);
        self.raw.set_patience(PATIENCE);
        match heard {
            Ok(()) => true,
            Err(error) if is_late(&error) => false,
            Err(error) => panic!("client {}: {error}", self.id),
        }
    }

    /// How long one reply or message may take.
    pub fn set_patience(&mut self, patience: Duration) {
        self.raw.set_patience(patience);
    }
}

/// Whether nothing came in time.
pub fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
