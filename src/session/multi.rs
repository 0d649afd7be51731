//! MULTI to EXEC: what is queued, what is refused, and how the block is sent.

use bytes::Bytes;

use super::core::Core;
use super::dispatch::{Flow, Job, counts_subscribers};
use super::info::asked_upstream;
use super::sending::Request;
use super::slots::Owed;
use super::transaction::{Block, MAX_QUEUED, Queued, Transaction};
use crate::command::{self, Class, Command, Lookup};
use crate::resp::{Args, Shape};
use crate::stats::Served;
use crate::upstream::Retry;

impl Core {
    pub(super) fn transaction(&mut self, command: &'static Command, raw: &[u8]) -> Flow {
        match (command.name, self.transaction.is_some()) {
            ("multi", false) => {
                self.transaction = Some(Transaction::default());
                self.answer(command.id, Served::Local, |writer| writer.ok());
            }
            ("multi", true) => return self.error(command.id, b"ERR MULTI calls can not be nested"),
            ("exec", false) => return self.error(command.id, b"ERR EXEC without MULTI"),
            ("discard", false) => return self.error(command.id, b"ERR DISCARD without MULTI"),
            ("watch", true) => return self.error(command.id, b"ERR WATCH inside MULTI is not allowed"),
            ("watch", false) => {
                return self.job(Job::Watch { raw: Bytes::copy_from_slice(raw), unwatch: false });
            }
            ("unwatch", _) if self.watching.is_none() => {
                self.answer(command.id, Served::Local, |writer| writer.ok());
            }
            ("unwatch", _) => {
                return self.job(Job::Watch { raw: Bytes::copy_from_slice(raw), unwatch: true });
            }
            ("discard", true) => return self.discard(command),
            (_, _) => return self.exec(command),
        }
        Flow::Next
    }

    fn discard(&mut self, command: &Command) -> Flow {
        if self.watching.is_some() && !self.slots.is_empty() {
            return Flow::Wait;
        }
        self.transaction = None;
        // Closing the connection ends its watch; reusing it would need another round trip.
        self.watching = None;
        self.answer(command.id, Served::Local, |writer| writer.ok());
        Flow::Next
    }

    fn exec(&mut self, command: &Command) -> Flow {
        let bulk = self.bulk_threshold();
        let Some(transaction) = &self.transaction else { return Flow::Next };
        let pinned = self.watching.is_some() || transaction.pinned || transaction.bytes.len() > bulk;
        if transaction.dirty {
            self.transaction = None;
            self.watching = None;
            let text = b"EXECABORT Transaction discarded because of previous errors.";
            return self.error(command.id, text);
        }
        if pinned && !self.slots.is_empty() {
            return Flow::Wait;
        }
        let flux = self.count_in_block();
        let waited = std::mem::take(&mut self.settled);
        if let (Some(number), false) = (flux, waited) {
            return if self.slots.is_empty() { Flow::Settle(number) } else { Flow::Wait };
        }
        let transaction = self.transaction.take().unwrap_or_default();
        if pinned {
            let mut transaction = transaction;
            self.job_tracked = transaction.tracked.take();
            return Flow::Job(Job::Exec(Box::new(transaction)));
        }
        let (bytes, swallow) = transaction.block();
        let (change, tracked) = (transaction.change, transaction.tracked);
        let block = Box::new(Block { queued: transaction.queued });
        // What comes behind depends on the database that the block ends in, and on what of it is
        // executed here when its reply comes.
        self.barrier |= block.changes_session();
        let owed = Owed::Exec(block);
        let request = Request::new(command.id, &bytes, owed, Served::Forwarded, Retry::Never);
        self.send(Request { swallow, change, tracked, ..request });
        Flow::Next
    }

    /// What is owed for the counts of subscribers in the block, and what to wait for first.
    fn count_in_block(&mut self) -> Option<u64> {
        let mut transaction = self.transaction.take()?;
        let mut last = None;
        for queued in &mut transaction.queued {
            if let Queued::Counted(args, owed) = queued
                && let Lookup::Known(command) = command::lookup(&args.args())
            {
                let (counted, flux) = self.counted(command, args.args());
                (*owed, last) = (counted, last.max(flux));
            }
        }
        self.transaction = Some(transaction);
        last
    }

    pub(super) fn queue(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        if self.upstream().is_none() {
            return self.queue_in_memory(command, args);
        }
        let change = self.change(command, &args);
        self.track_in_block(command, &args);
        let class = command.class;
        let denied = class == Class::Denied && !self.admin_allowed(command);
        let Some(transaction) = &mut self.transaction else { return Flow::Next };
        if transaction.queued.len() >= MAX_QUEUED {
            return self.reject(command.id, b"ERR nearcache: too many commands queued in MULTI");
        }
        match class {
            Class::Denied if denied => return self.route(command, args, raw),
            // Refused in EXEC's reply, by Redis too.
            Class::PubSub if command.name == "ssubscribe" => transaction.push_local(&args),
            Class::PubSub => return self.not_in_transaction(command),
            Class::Denied => {
                // As outside: over a connection of its own. Whatever it did to the keys, L1 begins anew.
                transaction.pinned = true;
                transaction.change.keyspace = true;
                transaction.push(raw, command.shape(&args), true);
            }
            Class::Local => match command.name {
                "ping" | "echo" | "client|help" => transaction.push(raw, Shape::Plain, false),
                "info" => match asked_upstream(&args) {
                    Some(raw) => transaction.push(raw, Shape::Plain, false),
                    None => transaction.push_local(&args),
                },
                "select" => match std::str::from_utf8(&args[1]).ok().and_then(|db| db.parse().ok()) {
                    Some(db) => transaction.push_select(raw, db),
                    None => transaction.push(raw, Shape::Plain, false),
                },
                "client|caching" => {
                    // For what is queued behind it; what it says is said in its turn.
                    transaction.push_local(&args);
                    self.caching_in_block(&args);
                }
                // Whether somebody is blocked is for the upstream to say, and by then EXEC has been answered.
                "client|unblock" => return self.not_in_transaction(command),
                _ => transaction.push_local(&args),
            },
            _ if counts_subscribers(command) => {
                // The message itself is not kept twice.
                let parts = if command.name.ends_with("publish") { 2 } else { args.len() };
                transaction.push_counted(raw, args.iter().take(parts).collect(), command.shape(&args));
            }
            _ => {
                let shape = command.shape(&args);
                transaction.push(raw, shape, command.is_write());
                transaction.change.join(&change);
            }
        }
        self.answer(command.id, Served::Local, |writer| writer.raw(b"+QUEUED\r\n"));
        Flow::Next
    }

    /// Refuses to queue a command that would not work there.
    pub fn not_in_transaction(&mut self, command: &Command) -> Flow {
        let text = format!("ERR nearcache: '{}' is not supported inside MULTI", command.name);
        self.reject(command.id, text.as_bytes())
    }
}
