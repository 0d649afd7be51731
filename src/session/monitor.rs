//! MONITOR: what all clients of this proxy ask for, shown to those who want to see it.
//!
//! It costs nothing while nobody looks: a session asks once per batch whether somebody does. Otherwise it
//! writes a line per command, and hands them over once per batch; who reads too slowly is disconnected, as a
//! slow subscriber is. A script's own calls are seen by the server alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;

use super::core::{Core, Mute};
use super::dispatch::Flow;
use super::local::integer;
use super::transaction::Queued;
use crate::command::{self, Command, Flags, Lookup};
use crate::resp::{Args, Parsed, RequestLimits, RequestParser};
use crate::stats::Served;
use crate::upstream::{Inbox, MAX_WAITING};

/// Everybody who monitors.
#[derive(Default)]
pub struct Monitors {
    /// How many there are: what the sessions look at.
    count: AtomicUsize,
    inboxes: Mutex<Vec<(u64, Arc<Inbox>)>>,
}

impl Monitors {
    fn add(&self, client: u64, inbox: &Arc<Inbox>) {
        let mut inboxes = self.inboxes.lock();
        inboxes.push((client, Arc::clone(inbox)));
        self.count.store(inboxes.len(), Relaxed);
    }

    fn remove(&self, client: u64) {
        let mut inboxes = self.inboxes.lock();
        inboxes.retain(|(id, _)| *id != client);
        self.count.store(inboxes.len(), Relaxed);
    }

    fn show(&self, lines: &Bytes, except: u64) {
        for (_, inbox) in self.inboxes.lock().iter().filter(|(id, _)| *id != except) {
            inbox.message(lines.clone(), MAX_WAITING);
        }
    }
}

/// One session's part: the lines of its batch.
#[derive(Default)]
pub struct Feed {
    /// Somebody monitored when the batch began.
    pub wanted: bool,
    lines: BytesMut,
}

impl Feed {
    /// Where the batch stands.
    pub fn mark(&self) -> usize {
        self.lines.len()
    }

    /// Forgets what was added since.
    pub fn rewind(&mut self, mark: usize) {
        self.lines.truncate(mark);
    }
}

impl Core {
    /// Begins a batch.
    pub(super) fn begin_feed(&mut self) {
        self.feed.wanted = self.shared.monitors.count.load(Relaxed) != 0;
    }

    /// Hands over the lines of a batch.
    pub(super) fn end_feed(&mut self) {
        if !self.feed.lines.is_empty() {
            self.shared.monitors.show(&self.feed.lines.split().freeze(), self.client.id);
        }
    }

    /// Executes MONITOR.
    pub(super) fn monitor(&mut self, command: &Command) -> Flow {
        if !self.slots.is_empty() {
            return Flow::Wait;
        }
        // As in Redis, a second one is not even answered.
        if !self.monitors {
            (self.monitors, self.feed.wanted) = (true, true);
            self.client.flags.lock().monitor = true;
            self.shared.monitors.add(self.client.id, &self.client.inbox);
            self.answer(command.id, Served::Local, |writer| writer.ok());
        }
        Flow::Next
    }

    /// Ends it: RESET, QUIT, the end of the session.
    pub(super) fn end_monitor(&mut self) {
        if std::mem::take(&mut self.monitors) {
            self.shared.monitors.remove(self.client.id);
            self.client.flags.lock().monitor = false;
        }
    }

    /// A monitor sees its own commands right behind their replies.
    pub(super) fn show_to_itself(&mut self, since: usize) {
        if self.monitors && self.mute != Mute::All {
            self.out.tail.extend_from_slice(&self.feed.lines[since..]);
        }
    }

    /// Shows a command that has been executed; those of a transaction are shown by its EXEC.
    pub(super) fn show(&mut self, args: Args<'_>) {
        let Lookup::Known(command) = command::lookup(&args) else {
            return self.show_line(self.db, args, None);
        };
        if command.flags.has(Flags::ADMIN) || command.name == "quit" {
            return;
        }
        // The database asked for, whether the upstream has it or not: it may not have answered yet.
        let selected = args.get(1).filter(|_| command.name == "select").and_then(integer);
        let db = selected.and_then(|db| u32::try_from(db).ok()).unwrap_or(self.db);
        self.show_line(db, args, Some(command));
    }

    /// Shows what EXEC is about to execute.
    pub(super) fn show_queued(&mut self) {
        let Some(transaction) = self.transaction.take_if(|transaction| !transaction.dirty) else { return };
        for queued in &transaction.commands {
            self.show(queued.args());
        }
        let mut parser = RequestParser::new(RequestLimits::default());
        let mut rest = &transaction.bytes[..];
        for queued in &transaction.queued {
            let Ok(Parsed::Complete(len)) = parser.parse(rest) else { break };
            match queued {
                Queued::Local(args) => self.show(args.args()),
                _ => self.show(parser.args(rest)),
            }
            rest = &rest[len..];
        }
        self.transaction = Some(transaction);
    }

    fn show_line(&mut self, db: u32, args: Args<'_>, command: Option<&Command>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let addr = &self.client.addr;
        let lines = &mut self.feed.lines;
        let unix = self.client.flags.lock().unix;
        let (family, addr) = if unix { ("unix:", addr.trim_end_matches(":0")) } else { ("", &addr[..]) };
        let head = format!("+{}.{:06} [{db} {family}{addr}]", now.as_secs(), now.subsec_micros());
        lines.extend_from_slice(head.as_bytes());
        for (i, arg) in args.iter().enumerate() {
            lines.extend_from_slice(b" ");
            quote(if is_secret(command, &args, i) { b"(redacted)" } else { arg }, lines);
        }
        lines.extend_from_slice(b"\r\n");
    }
}

/// Whether nobody may see this argument.
fn is_secret(command: Option<&Command>, args: &Args<'_>, i: usize) -> bool {
    let is = |at: usize, word: &[u8]| args.get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word));
    match command.map(|command| command.name) {
        Some("auth") => i > 0,
        // AUTH user password, at the place where an option may stand.
        Some("hello") => {
            let mut at = 2;
            while at < args.len() {
                if is(at, b"auth") {
                    if i == at + 1 || i == at + 2 {
                        return true;
                    }
                    at += 3;
                } else {
                    at += 2;
                }
            }
            false
        }
        Some("migrate") => {
            i > 5 && (is(i - 1, b"auth") || is(i - 1, b"auth2") || (i > 6 && is(i - 2, b"auth2")))
        }
        _ => false,
    }
}

/// An argument as Redis's `sdscatrepr` writes it.
fn quote(arg: &[u8], out: &mut BytesMut) {
    out.extend_from_slice(b"\"");
    for &byte in arg {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            7 => out.extend_from_slice(b"\\a"),
            8 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.extend_from_slice(&[byte]),
            _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
        }
    }
    out.extend_from_slice(b"\"");
}
