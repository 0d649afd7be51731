//! CLIENT: about the proxy's own clients. None of it may reach the lane, where it would hit everyone.

use std::sync::Arc;

use super::clients::{Client, Pause};
use super::core::{Core, Mute};
use super::dispatch::Flow;
use super::local::{BAD_NAME, integer, valid_name};
use super::slots::Owed;
use super::standalone::quoted;
use crate::command::Command;
use crate::resp::{Args, Shape};
use crate::stats::Served;
use crate::upstream::{Batch, Close, Pending, Retry, Status, To};

/// One condition of CLIENT KILL.
type Filter = Box<dyn Fn(&Client) -> bool>;

impl Core {
    /// Executes a subcommand of CLIENT.
    pub fn client_command(&mut self, command: &'static Command, args: Args<'_>, raw: &[u8]) -> Flow {
        let id = command.id;
        match command.name {
            "client|id" => {
                let client = self.client.id as i64;
                self.answer(id, Served::Local, |writer| writer.int(client));
            }
            "client|getname" => {
                let name = self.client.words.lock().name.clone();
                self.answer(id, Served::Local, |writer| {
                    if name.is_empty() { writer.null() } else { writer.bulk(&name) }
                });
            }
            "client|setname" => {
                if !valid_name(&args[2]) {
                    return self.error(id, BAD_NAME);
                }
                self.client.words.lock().name = args[2].to_vec();
                return self.error_free(command);
            }
            "client|setinfo" => return self.set_info(command, args),
            "client|info" => {
                let mut text = Vec::new();
                self.client.describe(self.now, &mut text);
                text.push(b'\n');
                self.answer(id, Served::Local, |writer| writer.verbatim("txt", &text));
            }
            "client|list" => return self.list(command, args),
            "client|kill" => return self.kill(command, args),
            "client|pause" => return self.pause(command, args),
            "client|unpause" => {
                self.shared.clients.set_pause(None);
                return self.error_free(command);
            }
            "client|unblock" => return self.unblock(command, args),
            "client|reply" => return self.set_reply_mode(command, args),
            "client|no-evict" | "client|no-touch" => return self.set_flag(command, args),
            "client|getredir" => {
                let redirect = self.redirection();
                self.answer(id, Served::Local, |writer| writer.int(redirect));
            }
            "client|trackinginfo" => self.tracking_info(command),
            "client|tracking" => return self.track(command, args),
            "client|caching" => return self.set_caching(command, args),
            // The same on every connection, so Redis's own list will do.
            "client|help" if self.upstream().is_some() => {
                self.forward_as(id, raw, Owed::Lane(Shape::Plain), Served::Forwarded, Retry::Once);
            }
            "client|help" => self.help(command),
            _ => return self.error(id, b"ERR syntax error"),
        }
        Flow::Next
    }

    fn set_info(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let (what, value) = (&args[2], &args[3]);
        let lib_name = what.eq_ignore_ascii_case(b"lib-name");
        if !lib_name && !what.eq_ignore_ascii_case(b"lib-ver") {
            let text = format!("ERR Unrecognized option '{}'", quoted(what));
            self.answer(command.id, Served::Local, |writer| writer.error(&text));
            return Flow::Next;
        }
        if !valid_name(value) {
            let what = if lib_name { "lib-name" } else { "lib-ver" };
            let text = format!("ERR {what} cannot contain spaces, newlines or special characters.");
            return self.error(command.id, text.as_bytes());
        }
        let mut words = self.client.words.lock();
        *(if lib_name { &mut words.lib_name } else { &mut words.lib_ver }) = value.to_vec();
        drop(words);
        self.error_free(command)
    }

    fn list(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let mut wanted: Box<dyn Fn(&Client) -> bool> = Box::new(|_| true);
        if args.len() == 4 && args[2].eq_ignore_ascii_case(b"type") {
            let Some(kind) = kind(&args[3]) else { return self.unknown_type(id, &args[3]) };
            wanted = Box::new(move |client| client.kind() == kind);
        } else if args.len() > 3 && args[2].eq_ignore_ascii_case(b"id") {
            let ids: Option<Vec<i64>> = args.skip(3).iter().map(integer).collect();
            let Some(ids) = ids else { return self.error(id, b"ERR Invalid client ID") };
            wanted = Box::new(move |client| ids.contains(&(client.id as i64)));
        } else if args.len() != 2 {
            return self.error(id, b"ERR syntax error");
        }
        let mut text = Vec::new();
        for client in self.shared.clients.all().iter().filter(|client| wanted(client)) {
            client.describe(self.now, &mut text);
            text.push(b'\n');
        }
        self.answer(id, Served::Local, |writer| writer.verbatim("txt", &text));
        Flow::Next
    }

    fn unknown_type(&mut self, id: u16, name: &[u8]) -> Flow {
        let text = format!("ERR Unknown client type '{}'", quoted(name));
        self.answer(id, Served::Local, |writer| writer.error(&text));
        Flow::Next
    }

    // === ending and holding up others ===

    fn kill(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        if args.len() == 3 {
            let addr = String::from_utf8_lossy(&args[2]).into_owned();
            if self.end_clients(|client| client.addr == addr) == 0 {
                return self.error(id, b"ERR No such client");
            }
            return self.error_free(command);
        }
        if args.len() % 2 == 1 {
            return self.error(id, b"ERR syntax error");
        }
        let mut filters: Vec<Filter> = Vec::new();
        let me = self.client.id;
        let mut skip_me = true;
        for i in (2..args.len()).step_by(2) {
            let (what, value) = (args[i].to_ascii_lowercase(), &args[i + 1]);
            let text = String::from_utf8_lossy(value).into_owned();
            match &what[..] {
                b"id" => match integer(value) {
                    Some(wanted) if wanted > 0 => {
                        filters.push(Box::new(move |client| client.id as i64 == wanted))
                    }
                    Some(_) => return self.error(id, b"ERR client-id should be greater than 0"),
                    None => return self.error(id, b"ERR client-id should be greater than 0"),
                },
                b"type" => match kind(value) {
                    Some(kind) => filters.push(Box::new(move |client| client.kind() == kind)),
                    None => return self.unknown_type(id, value),
                },
                b"addr" => filters.push(Box::new(move |client| client.addr == text)),
                b"laddr" => filters.push(Box::new(move |client| client.laddr == text)),
                b"user" if value == b"default" => {}
                b"user" => {
                    self.answer(id, Served::Local, |writer| {
                        writer.error(&format!("ERR No such user '{}'", quoted(value)))
                    });
                    return Flow::Next;
                }
                b"skipme" if value.eq_ignore_ascii_case(b"yes") => skip_me = true,
                b"skipme" if value.eq_ignore_ascii_case(b"no") => skip_me = false,
                _ => return self.error(id, b"ERR syntax error"),
            }
        }
        let ended = self.end_clients(|client| {
            filters.iter().all(|wanted| wanted(client)) && !(skip_me && client.id == me)
        });
        self.answer(id, Served::Local, |writer| writer.int(ended as i64));
        Flow::Next
    }

    /// Ends the sessions of these clients; our own after its reply.
    fn end_clients(&mut self, wanted: impl Fn(&Client) -> bool) -> usize {
        let all = self.shared.clients.all();
        let ended: Vec<_> = all.iter().filter(|client| wanted(client)).collect();
        for client in &ended {
            if client.id == self.client.id {
                self.closing = true;
                continue;
            }
            // Gone for everybody who asks after our reply, whenever its session gets to know.
            self.shared.clients.remove(client.id);
            if let Some(upstream) = self.upstream() {
                upstream.hub.remove_all(client.id);
            }
            self.shared.bus.leave(client.id, &self.shared.stats);
            client.inbox.close(Close::Killed);
        }
        ended.len()
    }

    fn pause(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let all = match args.get(3) {
            None => true,
            Some(mode) if mode.eq_ignore_ascii_case(b"all") => true,
            Some(mode) if mode.eq_ignore_ascii_case(b"write") => false,
            Some(_) => return self.error(id, b"ERR CLIENT PAUSE mode must be WRITE or ALL"),
        };
        let until = match integer(&args[2]) {
            None => return self.error(id, b"ERR timeout is not an integer or out of range"),
            Some(ms) if ms < 0 => return self.error(id, b"ERR timeout is negative"),
            Some(ms) => self.now.saturating_add((ms as u64).saturating_mul(1_000_000)),
        };
        // As in Redis, a second pause may only make the first stricter and longer.
        let pause = match self.shared.clients.pause(self.now) {
            Some(now) => Pause { until: until.max(now.until), all: all || now.all },
            None => Pause { until, all },
        };
        self.shared.clients.set_pause(Some(pause));
        self.error_free(command)
    }

    /// A client that blocks does so on a connection of its own, and it is Redis that wakes it.
    fn unblock(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let how = match args.get(3) {
            None => "TIMEOUT",
            Some(how) if how.eq_ignore_ascii_case(b"timeout") => "TIMEOUT",
            Some(how) if how.eq_ignore_ascii_case(b"error") => "ERROR",
            Some(_) => return self.error(id, b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
        };
        let Some(wanted) = integer(&args[2]) else {
            return self.error(id, b"ERR value is not an integer or out of range");
        };
        let client = u64::try_from(wanted).ok().and_then(|wanted| self.shared.clients.get(wanted));
        if let Some(unblocker) = client.as_ref().and_then(|client| client.unblock.lock().take()) {
            let was_blocked = unblocker.unblock(how == "ERROR");
            self.answer(id, Served::Local, |writer| writer.int(was_blocked.into()));
            return Flow::Next;
        }
        let blocked_on = client.and_then(|client| *client.blocked_on.lock());
        match blocked_on {
            Some(upstream_id) => {
                let (raw, owed) = (unblock_request(upstream_id, how), Owed::Lane(Shape::Plain));
                self.forward_as(id, raw.as_bytes(), owed, Served::Forwarded, Retry::Never);
            }
            None => self.answer(id, Served::Local, |writer| writer.int(0)),
        }
        Flow::Next
    }

    /// Asks the upstream to end a wait with an error, without waiting for what it says to that: it is a
    /// reply for no slot. False if it cannot be asked. It is not for another connection of the lane: Redis may
    /// have begun anew by then, and the id be somebody else's.
    pub(super) fn send_unblock(&mut self, upstream_id: i64) -> bool {
        let Some(upstream) = self.upstream() else { return false };
        if upstream.router.home().status().0 != Status::Up {
            return false;
        }
        let raw = unblock_request(upstream_id, "ERROR");
        let inbox = &self.client.inbox;
        let to = To::Session(Arc::clone(inbox));
        let pending = Pending {
            db: self.db,
            retry: Retry::Never,
            ..Pending::new(to, u64::MAX, self.shared.clock.now())
        };
        let mut batch = Batch::default();
        batch.push(raw.as_bytes(), pending);
        upstream.router.home().append(&mut batch, inbox).is_ok()
    }

    // === this client ===

    fn set_reply_mode(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let mode = &args[2];
        if mode.eq_ignore_ascii_case(b"on") {
            self.mute = Mute::No;
            return self.error_free(command);
        }
        if mode.eq_ignore_ascii_case(b"off") {
            self.mute = Mute::All;
        } else if mode.eq_ignore_ascii_case(b"skip") {
            if self.mute != Mute::All {
                self.mute = Mute::Next;
            }
        } else {
            return self.error(command.id, b"ERR syntax error");
        }
        Flow::Next
    }

    fn set_flag(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let on = args[2].eq_ignore_ascii_case(b"on");
        if !on && !args[2].eq_ignore_ascii_case(b"off") {
            return self.error(command.id, b"ERR syntax error");
        }
        let mut flags = self.client.flags.lock();
        *(if command.name == "client|no-touch" { &mut flags.no_touch } else { &mut flags.no_evict }) = on;
        drop(flags);
        self.error_free(command)
    }
}

/// The client types that we have clients of, and those that exist.
fn kind(name: &[u8]) -> Option<&'static str> {
    let known = ["normal", "pubsub", "master", "replica"];
    if name.eq_ignore_ascii_case(b"slave") {
        return Some("replica");
    }
    known.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.as_bytes()))
}

fn unblock_request(upstream_id: i64, how: &str) -> String {
    let id = upstream_id.to_string();
    format!("*4\r\n$6\r\nCLIENT\r\n$7\r\nUNBLOCK\r\n${}\r\n{id}\r\n${}\r\n{how}\r\n", id.len(), how.len())
}
