//! Which way a command goes: the order of checks is Redis's own, then its class decides.

use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;

use super::core::{Again, Core, Mute};
use super::sending::Request;
use super::shared::Upstream;
use super::slots::Owed;
use super::tracking::Options;
use super::transaction::Transaction;
use crate::command::{self, Class, Command, Flags, Lookup};
use crate::memory::Blocked;
use crate::resp::{Args, Proto, Shape};
use crate::settings::AdminCommands;
use crate::stats::{Served, UNLISTED};
use crate::upstream::{Cause, Change, Family, Retry, Topic};

/// What the session does next.
pub enum Flow {
    /// The next request.
    Next,
    /// This request again, once all that is owed has been answered.
    Wait,
    /// This request again, once the hub has passed this point: it counts subscribers.
    Settle(u64),
    /// This first: it takes time.
    Job(Job),
}

/// What cannot be done without waiting. Everything owed has been answered when it begins.
pub enum Job {
    /// One request on a connection of the client's own.
    Pinned {
        /// What it is taken for.
        cause: Cause,
        /// The request.
        raw: Bytes,
        /// For statistics.
        command: u16,
    },
    /// WATCH (or UNWATCH, if so) on the connection that watches.
    Watch {
        /// The request.
        raw: Bytes,
        /// It is UNWATCH: the connection is given back.
        unwatch: bool,
    },
    /// EXEC on a connection of the client's own.
    Exec(Box<Transaction>),
    /// Whether Redis would queue this command, which we do not know.
    Probe(Bytes),
    /// SUBSCRIBE and its kin.
    Subscribe(Vec<Topic>),
    /// UNSUBSCRIBE and its kin.
    Unsubscribe(Family, Vec<Topic>),
    /// CLIENT TRACKING ON BCAST, a command of this id.
    Broadcast(Box<Options>, u16),
    /// A blocking command of this id that found nothing in memory.
    Blocked(Box<Blocked>, u16),
}

impl Core {
    /// Executes one request; `raw` is its bytes.
    #[inline]
    pub fn execute(&mut self, args: Args<'_>, raw: &[u8]) -> Flow {
        // Most requests name the same command as the one before.
        let same = self.last.filter(|last| last.is_named(&args));
        match same {
            Some(read) if self.again != Again::Anything && read.arity_ok(args.len()) => {
                if self.again == Again::Hit && self.hit(read, &args) {
                    return Flow::Next;
                }
                self.read(read, args, raw)
            }
            _ => self.execute_any(same, args, raw),
        }
    }

    /// The same for a request of any kind. `same`: its command, if that is the last one's.
    #[inline(never)]
    fn execute_any(&mut self, same: Option<&'static Command>, args: Args<'_>, raw: &[u8]) -> Flow {
        self.again = Again::Anything;
        self.key = 0;
        let mute = self.mute;
        match self.mute {
            Mute::Next => self.mute = Mute::This,
            Mute::This => self.mute = Mute::No,
            Mute::No | Mute::All => {}
        }
        let found = same.map_or_else(|| command::lookup(&args), Lookup::Known);
        let flow = match found {
            Lookup::Known(command) => self.known(command, args, raw),
            Lookup::UnknownSubcommand(container) => self.unknown_subcommand(container, args, raw),
            Lookup::UnknownCommand => {
                let flow = self.unknown(args, raw);
                if self.feed.wanted && self.transaction.is_none() && matches!(flow, Flow::Job(_)) {
                    self.show(args);
                }
                flow
            }
        };
        if matches!(flow, Flow::Wait | Flow::Settle(_)) {
            self.mute = mute;
        } else if self.tracking.is_some() {
            let command = match found {
                Lookup::Known(command) => Some(command),
                _ => None,
            };
            self.end_caching(command);
            self.take_notices();
        }
        flow
    }

    fn known(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        self.last = Some(command);
        self.client.command.store(command.id, Relaxed);
        if !command.arity_ok(args.len()) {
            return self.reject(command.id, &command::wrong_arity_error(command));
        }
        if !self.authenticated && !command.flags.has(Flags::NO_AUTH) {
            return self.reject(command.id, b"NOAUTH Authentication required.");
        }
        if self.transaction.is_some() && command.flags.has(Flags::NO_MULTI) {
            return self.reject(command.id, b"ERR Command not allowed inside a transaction");
        }
        if self.proto == Proto::Resp2 && !self.topics.is_empty() && !allowed_while_subscribed(command) {
            let name = args[0].to_ascii_lowercase();
            let full = if command.container().is_some() { command.name.as_bytes() } else { &name };
            let text = [
                b"ERR Can't execute '".as_slice(),
                full,
                b"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            ];
            return self.reject(command.id, &text.concat());
        }
        if self.monitors && touches_keyspace(command) {
            return self.reject(command.id, b"ERR Replica can't interact with the keyspace");
        }
        if let Some(pause) = self.shared.clients.pause(self.now)
            && (pause.all || command.is_write() || command.name == "publish" || command.name == "exec")
        {
            self.paused_until = Some(pause.until);
            return Flow::Wait;
        }
        if self.transaction.is_some() && !controls_transaction(command) {
            return self.queue(command, args, raw);
        }
        if self.feed.wanted {
            return self.route_and_show(command, args, raw);
        }
        let unusual = self.mute != Mute::No || self.tracking.is_some();
        if command.class == Class::Cached && self.upstream().is_some() && !unusual {
            self.again = if self.hits_need_no_more(command) { Again::Hit } else { Again::Read };
        }
        self.route(command, args, raw)
    }

    /// The same for somebody who monitors.
    fn route_and_show(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let waits = |flow: &Flow| matches!(flow, Flow::Wait | Flow::Settle(_));
        let before = self.feed.mark();
        if command.name == "exec" {
            self.show_queued();
        }
        let flow = self.route(command, args, raw);
        if waits(&flow) {
            self.feed.rewind(before);
        } else {
            self.show(args);
            self.show_to_itself(before);
        }
        flow
    }

    /// The one place that says where each class goes.
    pub fn route(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        match command.class_of(&args) {
            Class::Local => return self.local(command, args, raw),
            Class::Denied if self.upstream().is_none() => {
                let text = b"ERR nearcache: this command administers a Redis server, and there is none here";
                return self.reject(command.id, text);
            }
            Class::Denied if !self.admin_allowed(command) => {
                return self.reject(command.id, refusal(command).as_bytes());
            }
            _ if self.upstream().is_none() => return self.in_memory(command, args),
            Class::Transaction => return self.transaction(command, raw),
            Class::PubSub => return self.subscription(command, args),
            Class::Pinned => {
                self.job_tracked = self.tracked_of(command, &args);
                return self.pinned(cause(command), command.id, raw);
            }
            Class::Denied => return self.pinned(Cause::Unknown, command.id, raw),
            Class::Cached => return self.read(command, args, raw),
            Class::Lane | Class::Admin => {
                let (owed, flux) = self.counted(command, args);
                let waited = std::mem::take(&mut self.settled);
                if let (Some(number), false) = (flux, waited) {
                    return if self.slots.is_empty() { Flow::Settle(number) } else { Flow::Wait };
                }
                self.forward(command, &args, raw, owed, Served::Forwarded);
            }
        }
        Flow::Next
    }

    /// What is owed, and what to wait for first. In replies that count subscribers all of ours are one
    /// client, which is made good. What is added is decided now: a client whose confirmation was sent
    /// before now is in it exactly, and one that comes or goes meanwhile may be in it or not.
    pub(super) fn counted(&self, command: &Command, args: Args<'_>) -> (Owed, Option<u64>) {
        let plain = |flux| (Owed::Lane(command.shape(&args)), flux);
        let Some(Upstream { hub, .. }) = self.upstream() else { return plain(None) };
        let publish = |shard| {
            let (more, flux) = hub.more_receivers(&args[1], shard);
            (Owed::Publish(more), flux)
        };
        let numsub = |family| {
            let mut last = None;
            let more = args.skip(2).iter().map(|name| {
                let (more, flux) =
                    hub.more_subscribers(&Topic { family, name: Bytes::copy_from_slice(name) });
                last = last.max(flux);
                more
            });
            (Owed::Numsub(more.collect()), last)
        };
        match command.name {
            "publish" => publish(false),
            "spublish" => publish(true),
            "pubsub|numsub" => numsub(Family::Channel),
            "pubsub|shardnumsub" => numsub(Family::Shard),
            "pubsub|numpat" | "pubsub|channels" | "pubsub|shardchannels" => plain(hub.unsettled()),
            _ => plain(None),
        }
    }

    // === what is not in the table ===

    fn unknown_subcommand(&mut self, container: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let ours = matches!(container.class, Class::Local | Class::Denied);
        if ours || !self.authenticated || self.upstream().is_none() {
            return self.reject(container.id, &command::unknown_subcommand_error(container, &args));
        }
        // A newer Redis may know it; if not, its error is the right one.
        self.elsewhere(container.id, raw)
    }

    fn unknown(&mut self, args: Args<'_>, raw: &[u8]) -> Flow {
        if [b"POST".as_slice(), b"Host:"].iter().any(|http| args[0].eq_ignore_ascii_case(http)) {
            // As Redis does: a browser was made to send this, and commands may be hidden in its body.
            self.shared.stats.clients.protocol_errors.inc();
            self.closing = true;
            return Flow::Next;
        }
        if !self.authenticated || self.upstream().is_none() {
            return self.reject(UNLISTED, &command::unknown_command_error(&args));
        }
        // Redis says this before it says what a subscriber may do; a newer one that knows the command
        // would refuse it as well.
        if self.proto == Proto::Resp2 && !self.topics.is_empty() {
            return self.reject(UNLISTED, &command::unknown_command_error(&args));
        }
        let name = args[0].to_ascii_lowercase();
        let passes = |listed: &String| listed.as_bytes() == name;
        let listed =
            self.settings.upstream.as_ref().is_some_and(|up| up.passthrough_commands.iter().any(passes));
        if listed && self.transaction.is_none() {
            // It may write whatever it likes.
            let owed = Owed::Lane(Shape::Plain);
            let request = Request::new(UNLISTED, raw, owed, Served::Forwarded, Retry::Never);
            self.send(Request { change: Change::unknown(), ..request });
            return Flow::Next;
        }
        self.elsewhere(UNLISTED, raw)
    }

    /// A command that we do not know goes by a connection of its own: it may block, or change the
    /// state of the connection.
    fn elsewhere(&mut self, id: u16, raw: &[u8]) -> Flow {
        if self.transaction.is_some() {
            return self.job(Job::Probe(Bytes::copy_from_slice(raw)));
        }
        self.pinned(Cause::Unknown, id, raw)
    }

    // === helpers of the above ===

    /// Refuses before execution; an open MULTI is spoiled by it.
    pub fn reject(&mut self, id: u16, error: &[u8]) -> Flow {
        if command::by_name(b"exec").is_some_and(|exec| exec.id == id) {
            // EXEC itself was wrong: that ends the transaction if there is one, in words of its own.
            (self.transaction, self.watching, self.watch) = (None, None, None);
            let why = error.strip_prefix(b"ERR ").unwrap_or(error);
            self.refuse(id, &[b"EXECABORT Transaction discarded because of: ".as_slice(), why].concat());
            return Flow::Next;
        }
        if let Some(transaction) = &mut self.transaction {
            transaction.dirty = true;
        }
        self.refuse(id, error);
        Flow::Next
    }

    /// Answers with an error that is the command's own reply.
    pub fn error(&mut self, id: u16, error: &[u8]) -> Flow {
        self.answer(id, Served::Local, |writer| {
            writer.raw(b"-");
            writer.raw(error);
            writer.raw(b"\r\n");
        });
        Flow::Next
    }

    /// Begins a job, once nothing is owed.
    pub fn job(&mut self, job: Job) -> Flow {
        if self.slots.is_empty() { Flow::Job(job) } else { Flow::Wait }
    }

    pub(super) fn pinned(&mut self, cause: Cause, command: u16, raw: &[u8]) -> Flow {
        if !self.slots.is_empty() {
            return Flow::Wait;
        }
        Flow::Job(Job::Pinned { cause, raw: Bytes::copy_from_slice(raw), command })
    }

    /// Whether a command of class Denied is forwarded all the same.
    pub fn admin_allowed(&self, command: &Command) -> bool {
        self.settings.server.admin_commands == AdminCommands::Allow && !command.always_denied
    }

    /// Requests and replies above this go by a connection of their own.
    pub fn bulk_threshold(&self) -> usize {
        self.settings.upstream.as_ref().map_or(usize::MAX, |upstream| upstream.bulk_threshold)
    }
}

/// What a client that is subscribed may send in RESP2, where a reply could not be told from a message.
fn allowed_while_subscribed(command: &Command) -> bool {
    command.class == Class::PubSub || matches!(command.name, "ping" | "quit" | "reset")
}

/// What Redis does not do for those who monitor, whom it takes for replicas.
fn touches_keyspace(command: &Command) -> bool {
    let scripts = ["eval", "evalsha", "fcall", "publish", "spublish"];
    command.flags.has(Flags::READONLY) || command.flags.has(Flags::WRITE) || scripts.contains(&command.name)
}

/// Whether the reply depends on who is subscribed.
pub(super) fn counts_subscribers(command: &Command) -> bool {
    matches!(command.name, "publish" | "spublish")
        || command.name.starts_with("pubsub|") && command.name != "pubsub|help"
}

/// Why an administrative command is not forwarded.
fn refusal(command: &Command) -> &'static str {
    if command.always_denied {
        return "ERR nearcache: this command would change what the connection is, which clients share here; \
                connect to the server behind the proxy for it";
    }
    "ERR nearcache: this command administers the server behind the proxy; \
     set [server] admin_commands = \"allow\" to forward it"
}

/// What is executed at once even inside MULTI.
fn controls_transaction(command: &Command) -> bool {
    matches!(command.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

fn cause(command: &Command) -> Cause {
    match command.name {
        "wait" => Cause::Wait,
        "script|kill" | "function|kill" => Cause::ScriptKill,
        _ => Cause::Blocking,
    }
}
