//! Commands about the server, when there is none but us: ROLE, TIME, SLOWLOG, LATENCY, ACL, MEMORY …

use std::time::{SystemTime, UNIX_EPOCH};

use super::core::Core;
use super::dispatch::Flow;
use super::help;
use super::info::allocator;
use super::local::integer;
use crate::command::{self, Acl, Command, Lookup};
use crate::resp::Args;
use crate::stats::Served;

const LATENCY_DOCTOR: &str = "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis \
instance. You may use \"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we \
weren't in a deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n";

const MEMORY_DOCTOR: &str = "Hi Sam, I can't find any memory issue in your instance. I can only account for \
what occurs on this base.\n";

const BAD_GENPASS: &[u8] = b"ERR ACL GENPASS argument must be the number of bits for the output password, a \
positive number up to 4096";

impl Core {
    /// Answers a command of class Admin, unless it is about keys.
    pub(super) fn standalone(&mut self, command: &'static Command, args: Args<'_>) -> Option<Flow> {
        let id = command.id;
        if command.name.ends_with("|help")
            && command.name != "object|help"
            && help::lines(command.name).is_some()
        {
            self.help(command);
            return Some(Flow::Next);
        }
        let container = command.name.split('|').next().unwrap_or_default();
        Some(match container {
            "command" => self.command_info(command, args),
            "config" => self.config_command(command, args),
            "acl" => self.acl(command, args),
            "latency" => self.latency(command, args),
            "slowlog" => self.slowlog(command, args),
            "cluster" => self.error(id, b"ERR This instance has cluster support disabled"),
            "memory" if command.name != "memory|usage" => self.memory_report(command),
            "module" => self.empty_array(command),
            "role" => {
                self.answer(id, Served::Local, |writer| {
                    writer.array(3);
                    writer.bulk(b"master");
                    writer.int(0);
                    writer.array(0);
                });
                Flow::Next
            }
            "time" => {
                let now = UNIX_EPOCH.elapsed().unwrap_or_default();
                self.answer(id, Served::Local, |writer| {
                    writer.array(2);
                    writer.bulk_int(now.as_secs() as i64);
                    writer.bulk_int(now.subsec_micros().into());
                });
                Flow::Next
            }
            "lastsave" => {
                // As Redis, which begins with the time of its start.
                let up = std::time::Duration::from_nanos(self.shared.clock.now());
                let start =
                    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(up);
                self.answer(id, Served::Local, |writer| writer.int(start.as_secs() as i64));
                Flow::Next
            }
            "lolwut" => {
                let text = format!("Redis ver. {}\n", self.redis_version());
                self.answer(id, Served::Local, |writer| writer.verbatim("txt", text.as_bytes()));
                Flow::Next
            }
            _ => return None,
        })
    }

    /// A container's HELP.
    pub(super) fn help(&mut self, command: &Command) {
        let lines = help::lines(command.name).unwrap_or_default();
        self.answer(command.id, Served::Local, |writer| {
            writer.array(lines.len());
            lines.iter().for_each(|line| writer.simple(line));
        });
    }

    /// A subcommand with more arguments than it takes.
    pub(super) fn wrong_subcommand(&mut self, command: &Command, args: &Args<'_>) -> Flow {
        let container = command.container().unwrap_or(command).name.to_ascii_uppercase();
        let given = quoted(&args[1]);
        let text = format!(
            "ERR unknown subcommand or wrong number of arguments for '{given}'. Try {container} HELP."
        );
        self.answer(command.id, Served::Local, |writer| writer.error(&text));
        Flow::Next
    }

    fn empty_array(&mut self, command: &Command) -> Flow {
        self.answer(command.id, Served::Local, |writer| writer.array(0));
        Flow::Next
    }

    /// WAIT: there are no replicas, and there will be none.
    pub(super) fn wait_for_nobody(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        if integer(&args[1]).is_none() {
            return self.error(id, b"ERR value is not an integer or out of range");
        }
        match integer(&args[2]) {
            None => return self.error(id, b"ERR timeout is not an integer or out of range"),
            Some(timeout) if timeout < 0 => return self.error(id, b"ERR timeout is negative"),
            Some(_) => self.answer(id, Served::Local, |writer| writer.int(0)),
        }
        Flow::Next
    }

    fn slowlog(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        match command.name {
            "slowlog|len" => self.answer(id, Served::Local, |writer| writer.int(0)),
            "slowlog|reset" => return self.error_free(command),
            _ if args.len() > 3 => {
                return self.wrong_subcommand(command, &args);
            }
            _ if args.get(2).is_some_and(|count| integer(count).is_none_or(|count| count < -1)) => {
                return self.error(id, b"ERR count should be greater than or equal to -1");
            }
            _ => return self.empty_array(command),
        }
        Flow::Next
    }

    fn latency(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        match command.name {
            "latency|doctor" => self.answer(id, Served::Local, |writer| {
                writer.verbatim("txt", LATENCY_DOCTOR.as_bytes());
            }),
            "latency|reset" => self.answer(id, Served::Local, |writer| writer.int(0)),
            "latency|histogram" => self.answer(id, Served::Local, |writer| writer.map(0)),
            "latency|graph" => {
                let event = quoted(&args[2]);
                let text = format!("ERR No samples available for event '{event}'");
                self.answer(id, Served::Local, |writer| writer.error(&text));
            }
            _ => return self.empty_array(command),
        }
        Flow::Next
    }

    fn memory_report(&mut self, command: &Command) -> Flow {
        let id = command.id;
        match command.name {
            "memory|doctor" => self.answer(id, Served::Local, |writer| {
                writer.verbatim("txt", MEMORY_DOCTOR.as_bytes());
            }),
            "memory|purge" => return self.error_free(command),
            "memory|malloc-stats" => {
                let memory = allocator();
                let text = format!(
                    "allocated: {}\nactive: {}\nresident: {}\n",
                    memory.used, memory.allocator_active, memory.allocator_resident
                );
                self.answer(id, Served::Local, |writer| writer.verbatim("txt", text.as_bytes()));
            }
            _ => {
                let memory = allocator();
                let keys: u64 = self.keyspace().as_info().databases.iter().map(|db| db.keys).sum();
                let dataset = self.shared.memory.as_ref().map_or(0, |engine| engine.used_memory()) as u64;
                let fields = [
                    ("peak.allocated", memory.peak),
                    ("total.allocated", memory.used),
                    ("clients.normal", self.shared.buffers.used() as u64),
                    ("keys.count", keys),
                    ("keys.bytes-per-key", dataset.checked_div(keys).unwrap_or(0)),
                    ("dataset.bytes", dataset),
                    ("allocator.allocated", memory.used),
                    ("allocator.active", memory.allocator_active),
                    ("allocator.resident", memory.allocator_resident),
                ];
                self.answer(id, Served::Local, |writer| {
                    writer.map(fields.len());
                    for (name, value) in fields {
                        writer.bulk(name.as_bytes());
                        writer.int(value as i64);
                    }
                });
            }
        }
        Flow::Next
    }

    // === ACL: there is one user ===

    fn acl(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let open = self.settings.server.password.is_none();
        if args.len() > 3 && matches!(command.name, "acl|log" | "acl|cat" | "acl|genpass") {
            return self.wrong_subcommand(command, &args);
        }
        match command.name {
            "acl|whoami" => self.answer(id, Served::Local, |writer| writer.bulk(b"default")),
            "acl|users" => self.answer(id, Served::Local, |writer| {
                writer.array(1);
                writer.bulk(b"default");
            }),
            "acl|list" => self.answer(id, Served::Local, |writer| {
                writer.array(1);
                let nopass = if open { " nopass" } else { "" };
                writer.bulk(format!("user default on{nopass} ~* &* +@all").as_bytes());
            }),
            "acl|getuser" if &args[2] == b"default" => self.describe_default_user(id, open),
            "acl|getuser" => self.answer(id, Served::Local, |writer| writer.null()),
            "acl|log" => match args.get(2) {
                Some(reset) if reset.eq_ignore_ascii_case(b"reset") => return self.error_free(command),
                Some(count) if integer(count).is_none() => {
                    return self.error(id, b"ERR value is not an integer or out of range");
                }
                _ => return self.empty_array(command),
            },
            "acl|cat" => return self.acl_cat(command, args),
            "acl|genpass" => {
                let Some(bits) = args.get(2).map_or(Some(256), integer) else {
                    return self.error(id, b"ERR value is not an integer or out of range");
                };
                let Some(bits) = Some(bits).filter(|bits| (1..=4096).contains(bits)) else {
                    return self.error(id, BAD_GENPASS);
                };
                let Ok(text) = password((bits as usize).div_ceil(4)) else {
                    return self.error(id, b"ERR nearcache: the system gives no random bytes");
                };
                self.answer(id, Served::Local, |writer| writer.bulk(text.as_bytes()));
            }
            "acl|dryrun" => return self.acl_dryrun(command, args),
            _ => return self.error(id, b"ERR nearcache: this command needs an upstream"),
        }
        Flow::Next
    }

    fn describe_default_user(&mut self, id: u16, open: bool) {
        self.answer(id, Served::Local, |writer| {
            writer.map(6);
            writer.bulk(b"flags");
            writer.set(if open { 2 } else { 1 });
            writer.bulk(b"on");
            if open {
                writer.bulk(b"nopass");
            }
            writer.bulk(b"passwords");
            writer.array(0);
            for (name, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
                writer.bulk(name.as_bytes());
                writer.bulk(value.as_bytes());
            }
            writer.bulk(b"selectors");
            writer.array(0);
        });
    }

    fn acl_cat(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let all = command::all().iter().fold(Acl::NONE, |all, command| all.and(command.acl));
        let all: Vec<&str> = all.names().collect();
        let Some(wanted) = args.get(2) else {
            self.answer(id, Served::Local, |writer| {
                writer.array(all.len());
                all.iter().for_each(|name| writer.bulk(name.as_bytes()));
            });
            return Flow::Next;
        };
        let Some(category) = all.iter().find(|name| name.as_bytes().eq_ignore_ascii_case(wanted)) else {
            let text = format!("ERR Unknown category '{}'", quoted(wanted));
            self.answer(id, Served::Local, |writer| writer.error(&text));
            return Flow::Next;
        };
        let within = |command: &&Command| !command.ours && command.acl.names().any(|name| name == *category);
        let names: Vec<&str> = command::all().iter().filter(within).map(|command| command.name).collect();
        self.answer(id, Served::Local, |writer| {
            writer.array(names.len());
            names.iter().for_each(|name| writer.bulk(name.as_bytes()));
        });
        Flow::Next
    }

    fn acl_dryrun(&mut self, command: &Command, args: Args<'_>) -> Flow {
        if &args[2] != b"default" {
            let text = format!("ERR User '{}' not found", quoted(&args[2]));
            self.answer(command.id, Served::Local, |writer| writer.error(&text));
            return Flow::Next;
        }
        let asked = args.skip(3);
        let Lookup::Known(wanted) = command::lookup(&asked) else {
            let text = format!("ERR Command '{}' not found", quoted(&args[3]));
            self.answer(command.id, Served::Local, |writer| writer.error(&text));
            return Flow::Next;
        };
        if !wanted.arity_ok(asked.len()) {
            return self.error(command.id, &command::wrong_arity_error(wanted));
        }
        self.error_free(command)
    }
}

/// So many hex digits that nobody can guess.
fn password(digits: usize) -> std::io::Result<String> {
    use std::io::Read;
    let mut bytes = vec![0; digits];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().filter_map(|byte| char::from_digit(u32::from(byte & 15), 16)).collect())
}

/// An argument within an error's text: like a C string, it ends at a zero byte.
pub(super) fn quoted(argument: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(argument.split(|&b| b == 0).next().unwrap_or_default())
}
