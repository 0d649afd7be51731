//! docs/commands.md, written from the table for those who run Redis behind the proxy.

use super::{Cache, Class, Command, Group, all};
use std::fmt::Write;

/// The text of docs/commands.md.
pub fn render_docs() -> String {
    let mut out = String::from(INTRODUCTION);
    out.push_str("\n## Answered by the proxy\n\n");
    out.push_str(ANSWERED);
    out.push_str(&listed(|command| command.class == Class::Local));
    out.push_str("\n## Refused\n\n");
    out.push_str(REFUSED);
    out.push_str(&listed(|command| command.class == Class::Denied));
    out.push_str(ALWAYS_REFUSED);
    out.push_str(&listed(|command| command.always_denied));
    out.push_str(INSIDE_MULTI);
    for (group, title) in GROUPS {
        let _ = write!(
            out,
            "\n## {title}\n\n| command | what nearcache does | cacheable | note |\n|---|---|---|---|\n"
        );
        for command in all().iter().filter(|command| command.group == group && documented(command)) {
            let (does, cached) = (does(command), cached(command.cache));
            let _ = writeln!(out, "| {} | {does} | {cached} | {} |", spoken(command), command.note);
        }
    }
    out
}

const INTRODUCTION: &str = "\
# Commands

What nearcache does with each command and subcommand of Redis 7.0. This file is generated from the table
in src/command, which is what the proxy itself goes by; a test compares that table with the `COMMAND`
reply of a real server.

| what nearcache does | means |
|---|---|
| forwards (cacheable) | From L1, if the reply is there and current. Else as the next line, and L1 may keep the reply. |
| forwards | Redis answers, on the connection that all clients share (the lane), in each client's order. |
| keeps the transaction | What comes between MULTI and EXEC is queued in the proxy, checked as Redis checks it, and sent together. From WATCH to EXEC, DISCARD or UNWATCH the client has an upstream connection of its own. |
| forwards on a connection of its own | The command may wait or has a state, so the client gets an upstream connection for it. |
| subscribes for all clients | The proxy subscribes to each channel once, and hands the messages to its subscribers. |
| answers | The proxy answers. Redis does not see the command. |
| refuses | An error that names the option `admin_commands`, unless that is `allow`. |

A command that is not in this file (of a module, or of a newer Redis) is forwarded on a connection of its
own.

The column *cacheable* says whose replies L1 can keep: those that are a function of their keys alone. *Per
key* means that each key's part of the reply can be kept by itself. The proxy's own commands are explained in
[operations.md](operations.md#the-nearcache-commands).
";

const ANSWERED: &str = "\
These are about the client's own connection or about the proxy, and the proxy's answer may differ from
what Redis would have said (`+QUEUED` and the confirmations of subscriptions are made by the proxy too, and
are what Redis would have said):

";

const REFUSED: &str = "\
These would reconfigure, stop or replicate the Redis that others use too. With `admin_commands = \"allow\"`
they are forwarded, but for those below:

";

const ALWAYS_REFUSED: &str = "
These are refused in any case, since they would change what the connection is, which others share:

";

const INSIDE_MULTI: &str = "
## Refused inside MULTI

EXEC's reply cannot wait for what these would ask for in the middle of it. They are refused when they are
queued, by `ERR nearcache: '…' is not supported inside MULTI`, and EXEC then aborts as after any such error:

`SUBSCRIBE`, `PSUBSCRIBE`, `UNSUBSCRIBE`, `PUNSUBSCRIBE`, `SUNSUBSCRIBE`, `CLIENT UNBLOCK`; without an upstream
`CLIENT REPLY` and `CONFIG SET`.
";

const GROUPS: [(Group, &str); 16] = [
    (Group::String, "Strings"),
    (Group::Bitmap, "Bitmaps"),
    (Group::Hyperloglog, "HyperLogLogs"),
    (Group::Hash, "Hashes"),
    (Group::List, "Lists"),
    (Group::Set, "Sets"),
    (Group::SortedSet, "Sorted sets"),
    (Group::Geo, "Geospatial indexes"),
    (Group::Stream, "Streams"),
    (Group::Generic, "Keys of any type"),
    (Group::PubSub, "Publish and subscribe"),
    (Group::Transactions, "Transactions"),
    (Group::Scripting, "Scripts and functions"),
    (Group::Connection, "Connection"),
    (Group::Server, "Server"),
    (Group::Cluster, "Cluster"),
];

/// A container is documented by its subcommands.
fn documented(command: &Command) -> bool {
    command.subcommands().is_empty()
}

/// The name as it is typed.
fn spoken(command: &Command) -> String {
    command.name.to_uppercase().replace('|', " ")
}

/// The commands for which `wanted` holds, as one paragraph; a container stands for its subcommands if
/// it holds for all of them.
fn listed(wanted: impl Fn(&Command) -> bool) -> String {
    let mut names = Vec::new();
    for command in all().iter().filter(|command| command.container().is_none()) {
        let subcommands = command.subcommands();
        if !subcommands.is_empty() && subcommands.iter().all(&wanted) {
            names.push(format!("{} (all subcommands)", spoken(command)));
        } else if subcommands.is_empty() && wanted(command) {
            names.push(spoken(command));
        } else {
            names.extend(subcommands.iter().filter(|command| wanted(command)).map(spoken));
        }
    }
    names.sort();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    format!("{}.\n", names.join(", ")).replace(" (all subcommands)`", "` (all subcommands)")
}

fn does(command: &Command) -> &'static str {
    match command.class {
        Class::Cached => "forwards (cacheable)",
        Class::Lane | Class::Admin => "forwards",
        Class::Transaction => "keeps the transaction",
        Class::Pinned => "forwards on a connection of its own",
        Class::PubSub => "subscribes for all clients",
        Class::Local => "answers",
        Class::Denied => "refuses",
    }
}

fn cached(cache: Cache) -> &'static str {
    match cache {
        Cache::SingleKey => "yes",
        Cache::PerKey => "per key",
        Cache::No | Cache::MultiKey => "",
    }
}
