//! The words in which rows are written: a row is a chain of `const fn`s.

use crate::command::flags::{Acl, Flags};
use crate::command::keys::{Access, Begin, Find, KeyRule, KeySpec};
use crate::command::shape::ShapeRule;
use crate::command::{Cache, Class, Command, Doc, Group, Reach};
use crate::resp::Shape;

/// A row as it is written down.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) command: Command,
    /// Categories in place of the group's, besides those that flags imply.
    pub(super) acl: Option<Acl>,
}

pub(super) const NO_KEYS: &[KeySpec] = &[];

/// A row: name, arity, class, Redis's flags (movable keys are derived), where the keys are.
pub(super) const fn cmd(
    name: &'static str,
    arity: i32,
    class: Class,
    flags: &[Flags],
    key_specs: &'static [KeySpec],
) -> Row {
    let command = Command {
        id: 0,
        name,
        arity,
        class,
        flags: Flags::of(flags),
        acl: Acl::NONE,
        key_specs,
        cache: Cache::No,
        reach: Reach::Declared,
        group: Group::Generic,
        doc: Doc { since: "", summary: "", complexity: "", syscmd: false, deprecated: None },
        tips: &[],
        note: "",
        ours: false,
        always_denied: false,
        key_rule: KeyRule::Specs,
        shape_rule: ShapeRule::Always(Shape::Plain),
        container: 0,
        subcommand_count: 0,
        word: 0,
    };
    Row { command, acl: None }
}

impl Row {
    pub(super) const fn doc(
        mut self,
        since: &'static str,
        summary: &'static str,
        complexity: &'static str,
    ) -> Row {
        self.command.doc.since = since;
        self.command.doc.summary = summary;
        self.command.doc.complexity = complexity;
        self
    }

    pub(super) const fn acl(mut self, categories: &[Acl]) -> Row {
        self.acl = Some(Acl::of(categories));
        self
    }

    pub(super) const fn cache(mut self, cache: Cache) -> Row {
        self.command.cache = cache;
        self
    }

    pub(super) const fn reach(mut self, reach: Reach) -> Row {
        self.command.reach = reach;
        self
    }

    pub(super) const fn key_rule(mut self, rule: KeyRule) -> Row {
        self.command.key_rule = rule;
        self
    }

    pub(super) const fn shape(mut self, shape: Shape) -> Row {
        self.command.shape_rule = ShapeRule::Always(shape);
        self
    }

    /// A null reply is `*-1` if a count was asked for.
    pub(super) const fn counted_null_array(mut self) -> Row {
        self.command.shape_rule = ShapeRule::NullArrayIfCounted;
        self
    }

    pub(super) const fn tips(mut self, tips: &'static [&'static str]) -> Row {
        self.command.tips = tips;
        self
    }

    pub(super) const fn note(mut self, note: &'static str) -> Row {
        self.command.note = note;
        self
    }

    pub(super) const fn deprecated(mut self, since: &'static str, instead: &'static str) -> Row {
        self.command.doc.deprecated = Some((since, instead));
        self
    }

    pub(super) const fn syscmd(mut self) -> Row {
        self.command.doc.syscmd = true;
        self
    }

    pub(super) const fn always_denied(mut self) -> Row {
        self.command.always_denied = true;
        self
    }

    pub(super) const fn ours(mut self) -> Row {
        self.command.ours = true;
        self
    }
}

/// Keys from `first` to `last` (counted from `first`; negative: from the end).
pub(super) const fn range(first: usize, last: i32, step: u32, access: &[Access]) -> KeySpec {
    let find = Find::Range { last, step, limit: 0 };
    KeySpec { begin: Begin::Index(first), find, access: Access::of(access), notes: "" }
}

/// One key at this argument.
pub(super) const fn key(at: usize, access: &[Access]) -> KeySpec {
    range(at, 0, 1, access)
}

/// All arguments from this one on.
pub(super) const fn keys_from(first: usize, access: &[Access]) -> KeySpec {
    range(first, -1, 1, access)
}

/// A number of keys at this argument, and behind it the keys.
pub(super) const fn counted(at: usize, access: &[Access]) -> KeySpec {
    let find = Find::Keynum { number: 0, first: 1, step: 1 };
    KeySpec { begin: Begin::Index(at), find, access: Access::of(access), notes: "" }
}

/// One key behind a word.
pub(super) const fn option(word: &'static str, from: i32, access: &[Access]) -> KeySpec {
    let find = Find::Range { last: 0, step: 1, limit: 0 };
    KeySpec { begin: Begin::Keyword(word, from), find, access: Access::of(access), notes: "" }
}

/// Of what follows a word, the first `limit`th (0 or 1: all).
pub(super) const fn behind(word: &'static str, from: i32, limit: u32, access: &[Access]) -> KeySpec {
    let find = Find::Range { last: -1, step: 1, limit };
    KeySpec { begin: Begin::Keyword(word, from), find, access: Access::of(access), notes: "" }
}

/// Keys that no spec can find.
pub(super) const fn hidden(access: &[Access]) -> KeySpec {
    KeySpec { begin: Begin::Unknown, find: Find::Unknown, access: Access::of(access), notes: "" }
}

impl KeySpec {
    pub(super) const fn notes(mut self, notes: &'static str) -> KeySpec {
        self.notes = notes;
        self
    }
}

pub(super) const WRITE: Flags = Flags::WRITE;
pub(super) const READONLY: Flags = Flags::READONLY;
pub(super) const DENYOOM: Flags = Flags::DENYOOM;
pub(super) const ADMIN: Flags = Flags::ADMIN;
pub(super) const PUBSUB: Flags = Flags::PUBSUB;
pub(super) const NOSCRIPT: Flags = Flags::NOSCRIPT;
pub(super) const BLOCKING: Flags = Flags::BLOCKING;
pub(super) const LOADING: Flags = Flags::LOADING;
pub(super) const STALE: Flags = Flags::STALE;
pub(super) const SKIP_MONITOR: Flags = Flags::SKIP_MONITOR;
pub(super) const SKIP_SLOWLOG: Flags = Flags::SKIP_SLOWLOG;
pub(super) const ASKING: Flags = Flags::ASKING;
pub(super) const FAST: Flags = Flags::FAST;
pub(super) const NO_AUTH: Flags = Flags::NO_AUTH;
pub(super) const NO_MANDATORY_KEYS: Flags = Flags::NO_MANDATORY_KEYS;
pub(super) const NO_ASYNC_LOADING: Flags = Flags::NO_ASYNC_LOADING;
pub(super) const NO_MULTI: Flags = Flags::NO_MULTI;
pub(super) const ALLOW_BUSY: Flags = Flags::ALLOW_BUSY;

pub(super) const RO: Access = Access::RO;
pub(super) const RW: Access = Access::RW;
pub(super) const OW: Access = Access::OW;
pub(super) const RM: Access = Access::RM;
pub(super) const ACCESS: Access = Access::ACCESS;
pub(super) const UPDATE: Access = Access::UPDATE;
pub(super) const INSERT: Access = Access::INSERT;
pub(super) const DELETE: Access = Access::DELETE;
pub(super) const NOT_KEY: Access = Access::NOT_KEY;
pub(super) const INCOMPLETE: Access = Access::INCOMPLETE;
pub(super) const VARIABLE_FLAGS: Access = Access::VARIABLE_FLAGS;
