//! What is known of each Redis command: one row per command and subcommand of Redis 7.0.
//!
//! The one idea: nobody else in the crate knows a command by its name. Which way a request takes, which
//! of its arguments are keys, whether its reply may be cached and how that reply looks in RESP2 are all
//! read from the command's row. A test compares the rows with `COMMAND` of a real server.

mod docs;
mod errors;
mod flags;
mod keys;
mod lookup;
mod shape;
mod table;

pub use docs::render_docs;
pub use errors::{unknown_command_error, unknown_subcommand_error, wrong_arity_error};
pub use flags::{Acl, Flags};
pub use keys::{Access, Begin, Find, KeySpec, KeysFound, LegacyRange};
pub use lookup::{Lookup, by_name, lookup};

use crate::resp::{Args, Shape};
use keys::KeyRule;
use shape::ShapeRule;

/// One command or subcommand.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// Dense from 0: indexes statistics. Below [`count`].
    pub id: u16,
    /// Lower case; `client|list` for a subcommand.
    pub name: &'static str,
    /// Number of arguments, the name (and the subcommand's) included; negative: at least so many.
    pub arity: i32,
    /// Which way requests take.
    pub class: Class,
    /// Redis's own flags.
    pub flags: Flags,
    /// Redis's ACL categories, those implied by the flags included.
    pub acl: Acl,
    /// Where the keys are, as `COMMAND` describes it. To extract them, use [`Command::keys`].
    pub key_specs: &'static [KeySpec],
    /// Whether replies may be kept in L1.
    pub cache: Cache,
    /// Which keys it may touch besides those among its arguments.
    pub reach: Reach,
    /// The group it is documented in.
    pub group: Group,
    /// What `COMMAND DOCS` says.
    pub doc: Doc,
    /// Redis's hints for clients and proxies, as `COMMAND` lists them.
    pub tips: &'static [&'static str],
    /// What the reader of docs/commands.md should know besides the class.
    pub note: &'static str,
    /// Not a command of Redis but of this proxy.
    pub ours: bool,
    /// Denied whatever the configuration says: it would change what the connection is (a replica's link, a
    /// debugging session).
    pub always_denied: bool,
    key_rule: KeyRule,
    shape_rule: ShapeRule,
    /// The id of the container; a command that is no subcommand has its own.
    container: u16,
    /// How many rows after this one are its subcommands.
    subcommand_count: u16,
    /// The name as [`Args::name_word`] has it, if it is that short, letters only, and says it all; else 0.
    word: u64,
}

/// Which way a command's requests take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// L1, else the lane.
    Cached,
    /// The lane: stateless and never blocking.
    Lane,
    /// MULTI and its kin.
    Transaction,
    /// An upstream connection of its own.
    Pinned,
    /// Subscriptions, which all clients share upstream.
    PubSub,
    /// Answered by the proxy.
    Local,
    /// The lane, though administrative.
    Admin,
    /// Refused unless the configuration allows administrative commands.
    Denied,
}

/// Whether a command's replies may be kept in L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cache {
    /// Never.
    No,
    /// One key, one reply.
    SingleKey,
    /// The reply is made of one part per key, each of which can be kept alone (MGET, EXISTS).
    PerKey,
    /// One reply that depends on several keys: it could be kept if indexed under each of them.
    MultiKey,
}

/// Which keys a command may touch besides those that [`Command::keys`] finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// None.
    Declared,
    /// It may read others (SORT with BY or GET, read-only scripts).
    ReadsMore,
    /// It may read and write others (scripts).
    WritesMore,
    /// It changes all keys of a database or more (FLUSHALL, FLUSHDB, SWAPDB).
    Keyspace,
}

/// The group a command is documented in; Redis's own division.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the variants are their names
pub enum Group {
    String,
    Bitmap,
    Hyperloglog,
    Hash,
    List,
    Set,
    SortedSet,
    Geo,
    Stream,
    Generic,
    PubSub,
    Transactions,
    Scripting,
    Connection,
    Server,
    Cluster,
}

/// What `COMMAND DOCS` says of a command.
#[derive(Clone, Copy, Debug)]
pub struct Doc {
    /// The version of Redis that introduced it.
    pub since: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Time complexity; empty for commands where Redis gives none.
    pub complexity: &'static str,
    /// An internal command.
    pub syscmd: bool,
    /// (the version since which it is deprecated, what to use instead).
    pub deprecated: Option<(&'static str, &'static str)>,
}

impl Group {
    /// As `COMMAND DOCS` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Group::String => "string",
            Group::Bitmap => "bitmap",
            Group::Hyperloglog => "hyperloglog",
            Group::Hash => "hash",
            Group::List => "list",
            Group::Set => "set",
            Group::SortedSet => "sorted-set",
            Group::Geo => "geo",
            Group::Stream => "stream",
            Group::Generic => "generic",
            Group::PubSub => "pubsub",
            Group::Transactions => "transactions",
            Group::Scripting => "scripting",
            Group::Connection => "connection",
            Group::Server => "server",
            Group::Cluster => "cluster",
        }
    }
}

impl Command {
    /// True if a request of `n` arguments, the command's name included, has the right length.
    #[inline]
    pub fn arity_ok(&self, n: usize) -> bool {
        // As a usize, a negative arity is no length.
        n == self.arity as usize || (self.arity < 0 && n >= self.arity.unsigned_abs() as usize)
    }

    /// True if it may change data: a write by Redis's flags, or a script that may write.
    ///
    /// PFCOUNT is none by Redis's flags, though it may rewrite the key's cached cardinality; what
    /// [`Command::keys`] reports for it writes.
    pub fn is_write(&self) -> bool {
        self.flags.has(Flags::WRITE) || matches!(self.reach, Reach::WritesMore | Reach::Keyspace)
    }

    /// True if a request is surely this command, whatever its arguments.
    #[inline]
    pub fn is_named(&self, request: &Args) -> bool {
        match request.name_word() {
            Some(word) if self.word != 0 => word == self.word,
            _ => self.is_named_at_length(request),
        }
    }

    #[inline(never)]
    fn is_named_at_length(&self, request: &Args) -> bool {
        let whole = self.container == self.id && self.subcommand_count == 0;
        whole && request.get(0).is_some_and(|name| self.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// True if what is cached of some key may be different behind it.
    pub fn may_change(&self) -> bool {
        self.is_write()
            || self.key_specs.iter().any(|spec| spec.access.writes() && !spec.access.has(Access::NOT_KEY))
    }

    /// True if keys besides those among the arguments may be read or written.
    pub fn undeclared_keys(&self) -> bool {
        matches!(self.reach, Reach::ReadsMore | Reach::WritesMore)
    }

    /// True if this request may wait for something, so that it must not enter a lane.
    pub fn may_block(&self, args: &Args) -> bool {
        match self.key_rule {
            KeyRule::StreamNames => keys::stream_options(args).block,
            _ => self.flags.has(Flags::BLOCKING) || self.name == "wait",
        }
    }

    /// The class of this very request: that of the row, except for reads of streams that wait.
    pub fn class_of(&self, args: &Args) -> Class {
        if self.key_rule == KeyRule::StreamNames && self.may_block(args) { Class::Pinned } else { self.class }
    }

    /// How this request's RESP3 reply becomes RESP2.
    pub fn shape(&self, args: &Args) -> Shape {
        self.shape_rule.shape(args)
    }

    /// Calls `f` with the index and the access of each argument that is a key.
    ///
    /// `Unknown` if the arguments do not say which are keys (Redis would refuse them): `f` has then not
    /// been called, and nothing must be guessed.
    pub fn keys(&self, args: &Args, f: impl FnMut(usize, Access)) -> KeysFound {
        keys::find(self.key_rule, self.key_specs, self.flags, args, f)
    }

    /// As `keys`, but as COMMAND GETKEYS does it: by the key specs alone, and where a number of keys does not
    /// fit them, by what C makes of it. So keys are found in some requests that the command itself refuses.
    pub fn keys_told(&self, args: &Args, mut f: impl FnMut(usize, Access)) -> KeysFound {
        let rule = if self.key_rule == KeyRule::StreamNames { KeyRule::Specs } else { self.key_rule };
        match keys::find(rule, self.key_specs, self.flags, args, &mut f) {
            KeysFound::Unknown => keys::find_loosely(self.key_specs, args, f),
            all => all,
        }
    }

    /// The key positions in the form that `COMMAND` had before key specs: (first, last, step).
    pub fn legacy_range(&self) -> LegacyRange {
        keys::legacy_range(self.key_specs)
    }

    /// The command this is a subcommand of, if it is one.
    pub fn container(&self) -> Option<&'static Command> {
        if self.container == self.id { None } else { by_id(self.container) }
    }

    /// Its subcommands; empty for all but containers.
    pub fn subcommands(&self) -> &'static [Command] {
        let from = self.id as usize + 1;
        &table::ALL[from..from + self.subcommand_count as usize]
    }
}

/// How many commands and subcommands there are; ids are below.
pub const fn count() -> usize {
    table::ALL.len()
}

/// All commands and subcommands by id; a container's subcommands follow it.
pub fn all() -> &'static [Command] {
    &table::ALL
}

/// The command of this id.
pub fn by_id(id: u16) -> Option<&'static Command> {
    table::ALL.get(id as usize)
}

#[cfg(test)]
mod tests;
