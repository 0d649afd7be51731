//! Commands that the proxy answers itself, but for CLIENT: in Redis's words, byte for byte.

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use super::core::{Core, Mute};
use super::dispatch::Flow;
use super::slots::Owed;
use super::standalone::quoted;
use crate::command::Command;
use crate::resp::{Args, Proto, Writer};
use crate::stats::Served;
use crate::upstream::{Family, Retry};

impl Core {
    /// Executes a command of class Local.
    pub fn local(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let id = command.id;
        match command.name {
            "ping" => self.ping(command, args),
            "echo" => self.answer(id, Served::Local, |writer| writer.bulk(&args[1])),
            "select" => return self.select(command, args, raw),
            // What changes how replies look, or who asks, waits until what was asked before is answered.
            "hello" | "auth" | "reset" if !self.slots.is_empty() => return Flow::Wait,
            "hello" => return self.hello(command, args),
            "auth" => return self.auth(command, args),
            "reset" => {
                self.reset();
                self.answer(id, Served::Local, |writer| writer.raw(b"+RESET\r\n"));
            }
            "quit" => {
                self.mute = Mute::No;
                // Gone before it is told so: who publishes next must not count it.
                self.unsubscribe_all();
                self.answer(id, Served::Local, |writer| writer.ok());
                self.closing = true;
            }
            "info" => return self.info(command, args, raw),
            "config|resetstat" => {
                self.reset_statistics();
                self.answer(id, Served::Local, |writer| writer.ok());
            }
            "asking" | "readonly" | "readwrite" => {
                return self.error(id, b"ERR This instance has cluster support disabled");
            }
            name if name.starts_with("client") => return self.client_command(command, args, raw),
            "monitor" => return self.monitor(command),
            name if name.starts_with("nearcache") => return self.nearcache(command, args),
            _ => return self.error(id, b"ERR nearcache: not implemented"),
        }
        Flow::Next
    }

    /// Executes one as an element of EXEC's reply, which is being put together in `out`.
    pub fn local_in_exec(&mut self, args: &Args<'_>, out: &mut BytesMut) {
        let crate::command::Lookup::Known(command) = crate::command::lookup(args) else { return };
        if command.name == "nearcache|fence" {
            // EXEC's reply has come behind everything.
            return Writer::new(out, self.proto).ok();
        }
        if matches!(command.name, "monitor" | "ssubscribe") {
            let for_a = if command.name == "monitor" { "for" } else { "for a" };
            let text =
                format!("ERR {} isn't allowed {for_a} DENY BLOCKING client", command.name.to_uppercase());
            return Writer::new(out, self.proto).error(&text);
        }
        let caching = self.tracking.as_ref().is_some_and(|mode| mode.caching);
        let outer = std::mem::take(&mut self.out);
        let slots = std::mem::take(&mut self.slots);
        let sent = self.batch.mark();
        if command.name == "client|reply" {
            // Takes effect at once: there may be nothing to say.
            let _ = self.local(command, *args, b"");
        } else {
            let mute = std::mem::replace(&mut self.mute, Mute::No);
            if !matches!(self.local(command, *args, b""), Flow::Next) || self.out.is_empty() {
                Writer::new(&mut self.out.tail, self.proto).error("ERR nearcache: not possible inside MULTI");
            }
            self.mute = mute;
        }
        let in_order = self.upstream().is_none();
        match (command.name, &mut self.tracking) {
            // In memory the commands behind it have not run yet.
            _ if in_order => {}
            // It was for what was queued behind it.
            ("client|caching", Some(mode)) => mode.caching = caching,
            // What was read in the same block is not registered.
            ("client|tracking", Some(_)) => self.distrust_all(),
            _ => {}
        }
        // What would have been asked of the upstream now has no slot that its reply could go to.
        self.batch.rewind(sent);
        out.extend_from_slice(&self.out.tail);
        self.slots = slots;
        self.out = outer;
    }

    fn ping(&mut self, command: &Command, args: Args<'_>) {
        if args.len() > 2 {
            let text = crate::command::wrong_arity_error(command);
            self.error(command.id, &text);
            return;
        }
        let subscribed = self.proto == Proto::Resp2 && !self.topics.is_empty();
        self.answer(command.id, Served::Local, |writer| match args.get(1) {
            text if subscribed => {
                writer.array(2);
                writer.bulk(b"pong");
                writer.bulk(text.unwrap_or_default());
            }
            Some(text) => writer.bulk(text),
            None => writer.raw(b"+PONG\r\n"),
        });
    }

    // === who asks, and in which protocol ===

    fn hello(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let mut proto = self.proto;
        if let Some(version) = args.get(1) {
            proto = match integer(version) {
                Some(2) => Proto::Resp2,
                Some(3) if self.resp3_possible() => Proto::Resp3,
                Some(_) => return self.error(id, b"NOPROTO unsupported protocol version"),
                None => return self.error(id, b"ERR Protocol version is not an integer or out of range"),
            };
        }
        // Each option takes effect when it is met, whatever is wrong with those behind it.
        let mut i = 2;
        while i < args.len() {
            let more = args.len() - i - 1;
            if args[i].eq_ignore_ascii_case(b"AUTH") && more >= 2 {
                if !self.authenticate(&args[i + 1], &args[i + 2]) {
                    return self.error(id, WRONG_PASSWORD);
                }
                i += 3;
            } else if args[i].eq_ignore_ascii_case(b"SETNAME") && more >= 1 {
                if !valid_name(&args[i + 1]) {
                    return self.error(id, BAD_NAME);
                }
                self.client.words.lock().name = args[i + 1].to_vec();
                i += 2;
            } else {
                let text = format!("ERR Syntax error in HELLO option '{}'", quoted(&args[i]));
                self.answer(id, Served::Local, |writer| writer.error(&text));
                return Flow::Next;
            }
        }
        if !self.authenticated {
            return self.error(id, HELLO_NOAUTH);
        }
        self.set_proto(proto);
        self.greet(id);
        Flow::Next
    }

    fn greet(&mut self, id: u16) {
        let version = self.redis_version();
        let (client, proto) = (self.client.id as i64, if self.proto == Proto::Resp3 { 3 } else { 2 });
        self.answer(id, Served::Local, |writer| {
            writer.map(7);
            writer.bulk(b"server");
            writer.bulk(b"redis");
            writer.bulk(b"version");
            writer.bulk(version.as_bytes());
            writer.bulk(b"proto");
            writer.int(proto);
            writer.bulk(b"id");
            writer.int(client);
            writer.bulk(b"mode");
            writer.bulk(b"standalone");
            writer.bulk(b"role");
            writer.bulk(b"master");
            writer.bulk(b"modules");
            writer.array(0);
        });
    }

    /// The version of Redis that clients are told: the upstream's.
    pub fn redis_version(&self) -> String {
        let welcome = self.upstream().map(|upstream| upstream.node.welcome.load().version.clone());
        welcome.filter(|version| !version.is_empty()).unwrap_or_else(|| "7.0.15".into())
    }

    /// A server before 6.0 gives us RESP2 replies, of which no RESP3 can be made.
    fn resp3_possible(&self) -> bool {
        self.upstream().is_none_or(|upstream| {
            let welcome = upstream.node.welcome.load();
            welcome.resp3 || welcome.version.is_empty()
        })
    }

    fn auth(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        match args.len() {
            2 if self.settings.server.password.is_none() => self.error(
                id,
                b"ERR AUTH <password> called without any password configured for the default user. \
                  Are you sure your configuration is correct?",
            ),
            2 | 3 => {
                let user = if args.len() == 3 { &args[1] } else { b"default".as_slice() };
                if self.authenticate(user, &args[args.len() - 1]) {
                    self.answer(id, Served::Local, |writer| writer.ok());
                    Flow::Next
                } else {
                    self.error(id, WRONG_PASSWORD)
                }
            }
            _ => self.error(id, b"ERR syntax error"),
        }
    }

    fn authenticate(&mut self, user: &[u8], password: &[u8]) -> bool {
        let right = user == b"default"
            && match &self.settings.server.password {
                // Takes the same time wherever the first difference is.
                Some(expected) => bool::from(expected.expose().as_bytes().ct_eq(password)),
                None => true,
            };
        if right {
            self.authenticated = true;
        } else {
            self.shared.stats.clients.auth_failures.inc();
        }
        right
    }

    /// What RESET does: the connection is as new.
    fn reset(&mut self) {
        self.transaction = None;
        self.watching = None;
        self.watch = None;
        (self.bypass, self.fenced) = (false, false);
        self.unsubscribe_all();
        self.stop_tracking();
        if self.mute != Mute::This {
            // Of a RESET that was to be skipped itself, Redis says nothing.
            self.mute = Mute::No;
        }
        self.set_proto(Proto::Resp2);
        self.db = self.upstream().map_or(0, |upstream| upstream.first_db);
        self.authenticated = self.settings.server.password.is_none();
        self.client.words.lock().name.clear();
        let mut flags = self.client.flags.lock();
        (flags.no_evict, flags.no_touch) = (false, false);
    }

    /// Ends all subscriptions, and MONITOR, without a word.
    pub fn unsubscribe_all(&mut self) {
        self.end_monitor();
        for topic in std::mem::take(&mut self.topics) {
            if let Some(upstream) = self.upstream() {
                upstream.hub.remove(&topic, self.client.id);
            } else {
                self.shared.bus.unsubscribe(&topic, self.client.id, &self.shared.stats);
            }
        }
        self.count_topics();
    }

    /// Brings the counts of subscriptions up to date.
    pub fn count_topics(&mut self) {
        use std::sync::atomic::Ordering::Relaxed;
        let of = |family: Family| self.topics.iter().filter(|topic| topic.family == family).count() as u32;
        for (i, family) in [Family::Channel, Family::Pattern, Family::Shard].into_iter().enumerate() {
            self.client.subscriptions[i].store(of(family), Relaxed);
        }
        let mut flags = self.client.flags.lock();
        let now = !self.topics.is_empty();
        let gauge = &self.shared.stats.clients.pubsub_clients;
        match (flags.subscriber, now) {
            (false, true) => gauge.inc(),
            (true, false) => gauge.dec(),
            _ => {}
        }
        flags.subscriber = now;
    }

    /// Changes the protocol version.
    pub fn set_proto(&mut self, proto: Proto) {
        self.proto = proto;
        let version = if proto == Proto::Resp3 { 3 } else { 2 };
        self.client.resp.store(version, std::sync::atomic::Ordering::Relaxed);
    }

    // === the rest ===

    fn select(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let Some(upstream) = self.upstream() else { return self.in_memory(command, args) };
        let db = integer(&args[1]).and_then(|db| u32::try_from(db).ok());
        if let Some(db) = db
            && upstream.router.home().knows_db(db)
        {
            self.db = db;
            return self.error_free(command);
        }
        if !self.slots.is_empty() {
            return Flow::Wait;
        }
        // Whether it exists is for the upstream to say; a text that is no number, too.
        let owed = Owed::Select(db.unwrap_or(self.db));
        self.forward_as(command.id, raw, owed, Served::Forwarded, Retry::Once);
        self.barrier = true;
        Flow::Next
    }

    /// `+OK`
    pub fn error_free(&mut self, command: &Command) -> Flow {
        self.answer(command.id, Served::Local, |writer| writer.ok());
        Flow::Next
    }
}

/// The error for a name that CLIENT LIST could not show.
pub const BAD_NAME: &[u8] = b"ERR Client names cannot contain spaces, newlines or special characters.";
const WRONG_PASSWORD: &[u8] = b"WRONGPASS invalid username-password pair or user is disabled.";
const HELLO_NOAUTH: &[u8] =
    b"NOAUTH HELLO must be called with the client already authenticated, otherwise the \
HELLO AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol \
version at the same time";

/// True for printable ASCII without spaces: Redis's rule for names.
pub fn valid_name(name: &[u8]) -> bool {
    name.iter().all(|b| (b'!'..=b'~').contains(b))
}

/// An integer as Redis reads arguments: no sign but minus, no leading zeros, no spaces.
pub fn integer(text: &[u8]) -> Option<i64> {
    let canonical = matches!(text, [b'0'] | [b'-', b'1'..=b'9', ..] | [b'1'..=b'9', ..]);
    if !canonical {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}
