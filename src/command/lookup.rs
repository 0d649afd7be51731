//! From a request's first arguments to its row, whatever their case, without allocation.
//!
//! One open-addressing table, built at compile time, holds all names in full (`client|list`). A
//! subcommand is found by hashing on from its container's hash, so nothing is joined.

use super::{Command, table};
use crate::resp::Args;

/// What a request's first arguments name.
#[derive(Clone, Copy, Debug)]
pub enum Lookup {
    /// This command or subcommand. A container without any subcommand is itself; its arity refuses it.
    Known(&'static Command),
    /// No command of ours: one of a module, of a newer Redis, or a typing error.
    UnknownCommand,
    /// A container that has no such subcommand.
    UnknownSubcommand(&'static Command),
}

/// Finds the row of a request.
pub fn lookup(args: &Args) -> Lookup {
    let Some(name) = args.get(0) else { return Lookup::UnknownCommand };
    // A subcommand's full name is no command: `client|list` must be two arguments.
    let Some(command) = by_name(name).filter(|command| command.container == command.id) else {
        return Lookup::UnknownCommand;
    };
    if command.subcommand_count == 0 {
        return Lookup::Known(command);
    }
    let Some(word) = args.get(1) else { return Lookup::Known(command) };
    match find_subcommand(command, word) {
        Some(subcommand) => Lookup::Known(subcommand),
        None => Lookup::UnknownSubcommand(command),
    }
}

/// The row of a full name (`get`, `client|list`), as `COMMAND INFO` takes it.
pub fn by_name(name: &[u8]) -> Option<&'static Command> {
    probe(hash(SEED, name), |command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

const SEED: u32 = 0x811c_9dc5;
/// Four times as many slots as commands keep probe sequences short: nearly all hits are at once.
const SLOTS: usize = 2048;
const EMPTY: u16 = u16::MAX;
static INDEX: [u16; SLOTS] = build_index();
/// No name is longer, and nothing longer is hashed.
const LONGEST: usize = longest_name();

/// FNV-1a over the letters, with the bit that tells case set.
const fn hash(mut h: u32, name: &[u8]) -> u32 {
    let mut i = 0;
    while i < name.len() && i < LONGEST {
        h = (h ^ (name[i] | 0x20) as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    h
}

const fn slot(h: u32) -> usize {
    (h ^ h >> 15) as usize % SLOTS
}

fn find_subcommand(container: &'static Command, word: &[u8]) -> Option<&'static Command> {
    let h = hash(hash(hash(SEED, container.name.as_bytes()), b"|"), word);
    let prefix = container.name.len() + 1;
    probe(h, |command| {
        command.container == container.id
            && command.id != container.id
            && command.name.as_bytes()[prefix..].eq_ignore_ascii_case(word)
    })
}

fn probe(h: u32, matches: impl Fn(&Command) -> bool) -> Option<&'static Command> {
    let mut at = slot(h);
    while INDEX[at] != EMPTY {
        let command = &table::ALL[INDEX[at] as usize];
        if matches(command) {
            return Some(command);
        }
        at = (at + 1) % SLOTS;
    }
    None
}

const fn build_index() -> [u16; SLOTS] {
    let mut index = [EMPTY; SLOTS];
    let mut id = 0;
    while id < table::ALL.len() {
        let mut at = slot(hash(SEED, table::ALL[id].name.as_bytes()));
        while index[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        index[at] = id as u16;
        id += 1;
    }
    index
}

const fn longest_name() -> usize {
    let mut longest = 0;
    let mut id = 0;
    while id < table::ALL.len() {
        if table::ALL[id].name.len() > longest {
            longest = table::ALL[id].name.len();
        }
        id += 1;
    }
    longest
}
