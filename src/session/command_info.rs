//! COMMAND without an upstream: what the table knows of the commands that work then.

use super::core::Core;
use super::dispatch::Flow;
use crate::command::{self, Begin, Command, Find, Flags, KeySpec, KeysFound, Lookup};
use crate::resp::{Args, Writer};
use crate::stats::Served;
use crate::store::glob_match;

impl Core {
    /// Executes a subcommand of COMMAND, or COMMAND itself.
    pub(super) fn command_info(&mut self, command: &'static Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let named = args.skip(2);
        match command.name {
            "command|count" => {
                let count = self.commands().len();
                self.answer(id, Served::Local, |writer| writer.int(count as i64));
            }
            "command" => self.describe_all(id),
            "command|info" if named.is_empty() => self.describe_all(id),
            "command|info" => {
                let found = self.named(named);
                self.answer(id, Served::Local, |writer| {
                    writer.array(found.len());
                    for command in found {
                        match command {
                            Some(command) => describe(writer, command),
                            None => writer.null(),
                        }
                    }
                });
            }
            "command|docs" => {
                let found = if named.is_empty() {
                    self.commands()
                } else {
                    self.named(named).into_iter().flatten().collect()
                };
                self.answer(id, Served::Local, |writer| {
                    writer.map(found.len());
                    found.iter().for_each(|command| document(writer, command));
                });
            }
            "command|list" => return self.command_list(id, args),
            _ => return self.command_keys(command, args),
        }
        Flow::Next
    }

    /// The commands that work here, without subcommands.
    fn commands(&self) -> Vec<&'static Command> {
        let top = command::all().iter().filter(|command| command.container().is_none());
        top.filter(|command| self.lists(command)).collect()
    }

    fn lists(&self, command: &Command) -> bool {
        let some = command.subcommands().iter().any(|sub| self.works_here(sub));
        if command.subcommands().is_empty() { self.works_here(command) } else { some }
    }

    fn named(&self, names: Args<'_>) -> Vec<Option<&'static Command>> {
        names.iter().map(|name| command::by_name(name).filter(|command| self.lists(command))).collect()
    }

    fn describe_all(&mut self, id: u16) {
        let all = self.commands();
        self.answer(id, Served::Local, |writer| {
            writer.array(all.len());
            all.iter().for_each(|command| describe(writer, command));
        });
    }

    fn command_list(&mut self, id: u16, args: Args<'_>) -> Flow {
        let mut all: Vec<&Command> = command::all().iter().filter(|command| self.lists(command)).collect();
        if args.len() > 2 {
            if args.len() != 5 || !args[2].eq_ignore_ascii_case(b"filterby") {
                return self.error(id, b"ERR syntax error");
            }
            let wanted = args[4].to_ascii_lowercase();
            match args[3].to_ascii_lowercase().as_slice() {
                b"module" => all.clear(),
                b"aclcat" => all.retain(|command| command.acl.names().any(|name| name.as_bytes() == wanted)),
                b"pattern" => all.retain(|command| glob_match(&wanted, command.name.as_bytes())),
                _ => return self.error(id, b"ERR syntax error"),
            }
        } else {
            all.retain(|command| command.container().is_none());
        }
        self.answer(id, Served::Local, |writer| {
            writer.array(all.len());
            all.iter().for_each(|command| writer.bulk(command.name.as_bytes()));
        });
        Flow::Next
    }

    /// COMMAND GETKEYS and GETKEYSANDFLAGS.
    fn command_keys(&mut self, command: &Command, args: Args<'_>) -> Flow {
        let id = command.id;
        let asked = args.skip(2);
        let Lookup::Known(wanted) = command::lookup(&asked) else {
            return self.error(id, b"ERR Invalid command specified");
        };
        if wanted.key_specs.iter().all(|spec| spec.access.has(command::Access::NOT_KEY)) {
            return self.error(id, b"ERR The command has no key arguments");
        }
        if !wanted.arity_ok(asked.len()) {
            return self.error(id, b"ERR Invalid number of arguments specified for command");
        }
        let mut keys = Vec::new();
        let found = wanted.keys_told(&asked, |i, access| keys.push((i, access)));
        if (found == KeysFound::Unknown || keys.is_empty()) && !wanted.flags.has(Flags::NO_MANDATORY_KEYS) {
            return self.error(id, b"ERR Invalid arguments specified for command");
        }
        let flags = command.name == "command|getkeysandflags";
        self.answer(id, Served::Local, |writer| {
            writer.array(keys.len());
            for (i, access) in keys {
                if flags {
                    writer.array(2);
                }
                writer.bulk(&asked[i]);
                if flags {
                    words(writer, access.names());
                }
            }
        });
        Flow::Next
    }
}

fn words(writer: &mut Writer<'_>, names: impl Iterator<Item = &'static str>) {
    let names: Vec<&str> = names.collect();
    writer.set(names.len());
    names.iter().for_each(|name| writer.simple(name));
}

/// One element of COMMAND's reply.
fn describe(writer: &mut Writer<'_>, command: &Command) {
    writer.array(10);
    writer.bulk(command.name.as_bytes());
    writer.int(command.arity.into());
    words(writer, command.flags.names());
    let range = command.legacy_range();
    writer.int(range.first.into());
    writer.int(range.last.into());
    writer.int(range.step.into());
    let categories: Vec<&str> = command.acl.names().collect();
    writer.set(categories.len());
    categories.iter().for_each(|name| writer.simple(&format!("@{name}")));
    writer.set(command.tips.len());
    command.tips.iter().for_each(|tip| writer.bulk(tip.as_bytes()));
    writer.set(command.key_specs.len());
    command.key_specs.iter().for_each(|spec| describe_spec(writer, spec));
    match command.subcommands().len() {
        0 => writer.set(0),
        n => writer.array(n),
    }
    command.subcommands().iter().for_each(|sub| describe(writer, sub));
}

fn describe_spec(writer: &mut Writer<'_>, spec: &KeySpec) {
    writer.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        writer.bulk(b"notes");
        writer.bulk(spec.notes.as_bytes());
    }
    writer.bulk(b"flags");
    words(writer, spec.access.names());
    writer.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => part(writer, "index", &[("index", index as i64)]),
        Begin::Keyword(word, from) => {
            writer.map(2);
            writer.bulk(b"type");
            writer.bulk(b"keyword");
            writer.bulk(b"spec");
            writer.map(2);
            writer.bulk(b"keyword");
            writer.bulk(word.as_bytes());
            writer.bulk(b"startfrom");
            writer.int(from.into());
        }
        Begin::Unknown => part(writer, "unknown", &[]),
    }
    writer.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            part(
                writer,
                "range",
                &[("lastkey", last.into()), ("keystep", step.into()), ("limit", limit.into())],
            );
        }
        Find::Keynum { number, first, step } => part(
            writer,
            "keynum",
            &[("keynumidx", number.into()), ("firstkey", first.into()), ("keystep", step.into())],
        ),
        Find::Unknown => part(writer, "unknown", &[]),
    }
}

fn part(writer: &mut Writer<'_>, kind: &str, numbers: &[(&str, i64)]) {
    writer.map(2);
    writer.bulk(b"type");
    writer.bulk(kind.as_bytes());
    writer.bulk(b"spec");
    writer.map(numbers.len());
    for (name, number) in numbers {
        writer.bulk(name.as_bytes());
        writer.int(*number);
    }
}

/// A name and what COMMAND DOCS says of it, but for its arguments and history.
fn document(writer: &mut Writer<'_>, command: &Command) {
    let doc = &command.doc;
    let flags: Vec<&'static str> = [(doc.deprecated.is_some(), "deprecated"), (doc.syscmd, "syscmd")]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect();
    let mut texts = vec![("summary", doc.summary), ("since", doc.since), ("group", command.group.name())];
    if !doc.complexity.is_empty() {
        texts.push(("complexity", doc.complexity));
    }
    let deprecated =
        doc.deprecated.iter().flat_map(|(since, by)| [("deprecated_since", *since), ("replaced_by", *by)]);
    let after: Vec<(&str, &str)> = deprecated.collect();
    let subcommands = command.subcommands();
    writer.bulk(command.name.as_bytes());
    writer.map(
        texts.len() + usize::from(!flags.is_empty()) + after.len() + usize::from(!subcommands.is_empty()),
    );
    let put = |writer: &mut Writer<'_>, (name, text): &(&str, &str)| {
        writer.bulk(name.as_bytes());
        writer.bulk(text.as_bytes());
    };
    texts.iter().for_each(|pair| put(writer, pair));
    if !flags.is_empty() {
        writer.bulk(b"doc_flags");
        words(writer, flags.into_iter());
    }
    after.iter().for_each(|pair| put(writer, pair));
    if !subcommands.is_empty() {
        writer.bulk(b"subcommands");
        writer.map(subcommands.len());
        subcommands.iter().for_each(|sub| document(writer, sub));
    }
}
