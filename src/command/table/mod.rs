//! The rows, by group, and how they become one table.
//!
//! What follows from other facts (ACL categories that flags imply, movable keys, ids) is not written in
//! rows but added by `build`, at compile time.

mod bitmap;
mod cluster;
mod connection;
mod generic;
mod geo;
mod hash;
mod hyperloglog;
mod list;
mod pubsub;
mod scripting;
mod server;
mod set;
mod sorted_set;
mod stream;
mod string;
mod transactions;
mod words;

use super::flags::{Acl, Flags};
use super::{Command, Group, keys};
use words::Row;

/// All rows; the index is the id, and subcommands follow their container.
pub(super) static ALL: [Command; TOTAL] = build();

type Rows = &'static [Row];

/// (the group, the ACL category of its commands unless a row says otherwise, its rows).
const GROUPS: &[(Group, Acl, Rows)] = &[
    (Group::String, Acl::STRING, string::COMMANDS),
    (Group::Bitmap, Acl::BITMAP, bitmap::COMMANDS),
    (Group::Hyperloglog, Acl::HYPERLOGLOG, hyperloglog::COMMANDS),
    (Group::Hash, Acl::HASH, hash::COMMANDS),
    (Group::List, Acl::LIST, list::COMMANDS),
    (Group::Set, Acl::SET, set::COMMANDS),
    (Group::SortedSet, Acl::SORTEDSET, sorted_set::COMMANDS),
    (Group::Geo, Acl::GEO, geo::COMMANDS),
    (Group::Stream, Acl::STREAM, stream::COMMANDS),
    (Group::Generic, Acl::KEYSPACE, generic::COMMANDS),
    (Group::PubSub, Acl::NONE, pubsub::COMMANDS),
    (Group::Transactions, Acl::TRANSACTION, transactions::COMMANDS),
    (Group::Scripting, Acl::SCRIPTING, scripting::COMMANDS),
    (Group::Connection, Acl::CONNECTION, connection::COMMANDS),
    (Group::Server, Acl::NONE, server::COMMANDS),
    (Group::Cluster, Acl::NONE, cluster::COMMANDS),
];

const TOTAL: usize = {
    let (mut total, mut group) = (0, 0);
    while group < GROUPS.len() {
        total += GROUPS[group].2.len();
        group += 1;
    }
    total
};

/// Joins the groups, numbers the rows, ties subcommands to their containers, adds what flags imply.
const fn build() -> [Command; TOTAL] {
    let mut all = [GROUPS[0].2[0].command; TOTAL];
    let (mut id, mut group, mut container) = (0, 0, 0);
    while group < GROUPS.len() {
        let (name, category, rows) = GROUPS[group];
        let mut i = 0;
        while i < rows.len() {
            let mut command = finish(&rows[i], name, category);
            if !is_subcommand(command.name) {
                container = id;
            } else {
                all[container].subcommand_count += 1;
                all[container].word = 0;
            }
            command.id = id as u16;
            command.container = container as u16;
            all[id] = command;
            id += 1;
            i += 1;
        }
        group += 1;
    }
    all
}

const fn finish(row: &Row, group: Group, category: Acl) -> Command {
    let mut command = row.command;
    command.group = group;
    if keys::movable(command.key_specs) {
        command.flags = command.flags.and(Flags::MOVABLEKEYS);
    }
    let own = match row.acl {
        Some(acl) => acl,
        None => category,
    };
    command.word = word(command.name.as_bytes());
    command.acl = own.and(Acl::implied(command.flags, own.has(Acl::SCRIPTING)));
    command
}

/// A name of up to eight letters as a number, the first lowest; of others 0.
const fn word(name: &[u8]) -> u64 {
    let (mut word, mut i) = (0, name.len());
    while i > 0 {
        i -= 1;
        if name.len() > 8 || !name[i].is_ascii_lowercase() {
            return 0;
        }
        word = word << 8 | name[i] as u64;
    }
    word
}

const fn is_subcommand(name: &str) -> bool {
    let name = name.as_bytes();
    let mut i = 0;
    while i < name.len() {
        if name[i] == b'|' {
            return true;
        }
        i += 1;
    }
    false
}
