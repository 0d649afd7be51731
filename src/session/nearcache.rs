//! NEARCACHE: the proxy's own commands, to see what L1 holds, to empty it, and to choose what it may do.
//!
//! Without an upstream there is no L1: what would show or remove entries finds none, and the choices of a
//! connection are kept and change nothing.

use super::core::Core;
use super::dispatch::Flow;
use super::sending::Request;
use super::slots::Owed;
use crate::clock::Nanos;
use crate::command::{self, Command};
use crate::near::{Described, MGET_ELEMENT};
use crate::resp::{Args, Writer};
use crate::stats::Served;
use crate::store::{Expiry, glob_match};
use crate::upstream::{L1, PING, Retry};

impl Core {
    /// Executes a subcommand of NEARCACHE.
    pub(super) fn nearcache(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        let id = command.id;
        match command.name {
            "nearcache|bypass" => {
                return self.nearcache_choice(command, args, ["off", "on"], |core| &mut core.bypass);
            }
            "nearcache|clear" => {
                let removed = self.l1().map_or(0, L1::clear);
                self.answer(id, Served::Local, |writer| writer.int(removed as i64));
            }
            "nearcache|config" => return self.nearcache_config(command, args),
            "nearcache|consistency" => {
                return self.nearcache_choice(command, args, ["default", "fenced"], |core| &mut core.fenced);
            }
            "nearcache|debug" => return self.nearcache_debug(command, args),
            "nearcache|fence" => self.nearcache_fence(command),
            "nearcache|help" => self.help(command),
            "nearcache|invalidate" => {
                let removed = self.l1().map_or(0, |l1| l1.invalidate(&args[2]));
                self.answer(id, Served::Local, |writer| writer.int(removed as i64));
            }
            "nearcache|stats" => {
                // The same text as INFO's and not a map: what reads the one reads the other, and a field has
                // one name and one form.
                let text = self.info_text(&[b"nearcache", b"namespaces"]);
                self.answer(id, Served::Local, |writer| writer.verbatim("txt", text.as_bytes()));
            }
            // The container alone, which its arity refuses.
            _ => return self.error(id, b"ERR syntax error"),
        }
        Flow::Next
    }

    fn l1(&self) -> Option<&L1> {
        self.upstream().map(|upstream| upstream.router.home().l1())
    }

    // === what the connection chooses ===

    /// Sets a choice by one of its words, the first for no, or tells how it stands.
    fn nearcache_choice(
        &mut self,
        command: &Command,
        args: Args<'_>,
        words: [&str; 2],
        choice: impl Fn(&mut Core) -> &mut bool,
    ) -> Flow {
        if args.len() > 3 {
            return self.wrong_arity(command);
        }
        let Some(word) = args.get(2) else {
            let now = words[usize::from(*choice(self))];
            self.answer(command.id, Served::Local, |writer| writer.bulk(now.as_bytes()));
            return Flow::Next;
        };
        match words.iter().position(|known| word.eq_ignore_ascii_case(known.as_bytes())) {
            Some(chosen) => *choice(self) = chosen == 1,
            None => return self.error(command.id, b"ERR syntax error"),
        }
        self.error_free(command)
    }

    /// A PING in the lane's order: its reply comes behind all invalidations of what was executed before.
    fn nearcache_fence(&mut self, command: &Command) {
        if self.upstream().is_none() {
            return self.answer(command.id, Served::Local, |writer| writer.ok());
        }
        self.send(Request::new(command.id, PING, Owed::Fence, Served::Forwarded, Retry::Once));
    }

    fn wrong_arity(&mut self, command: &Command) -> Flow {
        self.error(command.id, &command::wrong_arity_error(command))
    }

    /// The word behind a subcommand is none that it knows.
    fn unknown_word(&mut self, command: &Command, args: &Args<'_>) -> Flow {
        let container = command.container().unwrap_or(command);
        self.error(command.id, &command::unknown_subcommand_error(container, &args.skip(1)))
    }

    // === options ===

    fn nearcache_config(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let shared = std::sync::Arc::clone(&self.shared);
        if args[2].eq_ignore_ascii_case(b"get") {
            let patterns: Vec<Vec<u8>> = args.skip(3).iter().map(<[u8]>::to_ascii_lowercase).collect();
            let wanted = |name: &str| {
                let name = name.to_ascii_lowercase();
                patterns.iter().any(|pattern| glob_match(pattern, name.as_bytes()))
            };
            let mut found = shared.options.all();
            found.retain(|(name, _)| wanted(name));
            self.answer(command.id, Served::Local, |writer| {
                writer.map(found.len());
                for (name, value) in &found {
                    writer.bulk(name.as_bytes());
                    writer.bulk(value.as_bytes());
                }
            });
            return Flow::Next;
        }
        if !args[2].eq_ignore_ascii_case(b"set") {
            return self.unknown_word(command, &args);
        }
        if args.len() == 4 {
            let text = b"ERR wrong number of arguments for 'nearcache|config|set' command";
            return self.error(command.id, text);
        }
        if args.len().is_multiple_of(2) {
            return self.error(command.id, b"ERR syntax error");
        }
        let texts: Result<Vec<&str>, _> = args.skip(3).iter().map(std::str::from_utf8).collect();
        let Ok(texts) = texts else {
            return self.error(command.id, b"ERR nearcache: options and values are UTF-8");
        };
        let changes: Vec<_> =
            texts.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect();
        match shared.options.set(&shared, &changes) {
            Ok(()) => {
                // Already for the next request of the same batch.
                self.read_settings();
                self.error_free(command)
            }
            Err(text) => {
                self.answer(command.id, Served::Local, |writer| writer.error(&text));
                Flow::Next
            }
        }
    }

    // === what is cached of a key ===

    fn nearcache_debug(&mut self, command: &Command, args: Args<'_>) -> Flow {
        if !args[2].eq_ignore_ascii_case(b"key") {
            return self.unknown_word(command, &args);
        }
        let key = &args[3];
        let now = self.shared.clock.now();
        let entries = self.l1().map_or(Vec::new(), |l1| l1.describe(key, now));
        let (space, &settings) = self.policy.resolve(key);
        let space = space.and_then(|space| self.policy.namespaces.get(usize::from(space)));
        let space = space.map(|space| space.name.to_string());
        self.answer(command.id, Served::Local, |writer| {
            writer.map(4);
            writer.bulk(b"key");
            writer.bulk(key);
            writer.bulk(b"namespace");
            match &space {
                Some(name) => writer.bulk(name.as_bytes()),
                None => writer.null(),
            }
            writer.bulk(b"settings");
            writer.map(5);
            writer.bulk(b"cache");
            writer.boolean(settings.cache);
            number(writer, "max_entry_bytes", settings.max_entry as i64);
            number(writer, "max_age_ms", millis(settings.max_age));
            number(writer, "negative_max_age_ms", millis(settings.negative_max_age));
            number(writer, "hash_max_age_ms", millis(settings.hash_max_age));
            writer.bulk(b"entries");
            writer.array(entries.len());
            entries.iter().for_each(|entry| describe(writer, entry, now));
        });
        Flow::Next
    }
}

/// One cached reply.
fn describe(writer: &mut Writer<'_>, entry: &Described, now: Nanos) {
    writer.map(12);
    writer.bulk(b"command");
    let name = match entry.command {
        MGET_ELEMENT => "mget",
        id => command::by_id(id).map_or("", |command| command.name),
    };
    writer.bulk(name.as_bytes());
    writer.bulk(b"arguments");
    writer.array(entry.rest.len());
    entry.rest.iter().for_each(|argument| writer.bulk(argument));
    number(writer, "db", entry.db.into());
    writer.bulk(b"live");
    writer.boolean(entry.live);
    number(writer, "age_ms", millis(entry.age));
    number(writer, "deadline_ms", millis(entry.deadline.saturating_sub(now)));
    let ttl = match entry.expiry {
        Expiry::Never => -1,
        Expiry::At(at) => millis(at.saturating_sub(now)),
    };
    number(writer, "ttl_ms", ttl);
    number(writer, "reply_bytes", entry.reply_bytes as i64);
    number(writer, "memory_bytes", entry.cost as i64);
    number(writer, "hits", entry.hits.into());
    number(writer, "lane", entry.lane.into());
    number(writer, "epoch", entry.epoch.into());
}

fn number(writer: &mut Writer<'_>, name: &str, value: i64) {
    writer.bulk(name.as_bytes());
    writer.int(value);
}

fn millis(nanos: Nanos) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}
