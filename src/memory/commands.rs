//! One row per command that the engine knows: its arity, whether it writes, its keys, its function.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::engine::Ctx;
use super::fault::Fault;
use crate::command;
use crate::resp::Args;

/// A command.
pub struct Row {
    /// Upper case.
    pub name: &'static str,
    /// Arguments with the name; negative: at least.
    pub arity: i32,
    /// What it may do to memory.
    pub access: Access,
    /// Which arguments are keys.
    pub keys: KeyArgs,
    /// What it does.
    pub run: fn(&mut Ctx) -> Result<(), Fault>,
}

/// What a command does to the keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads.
    Read,
    /// Changes, but needs no memory: allowed when memory is full.
    Shrink,
    /// May need memory.
    Grow,
}

/// Visits the keys among a command's arguments.
pub type FindKeys = fn(Args, &mut dyn FnMut(&[u8]));

/// Which shards have to be locked.
#[derive(Clone, Copy)]
pub enum KeyArgs {
    /// None at all.
    None,
    /// From `first` to `last` (negative: from the end), each `step`th.
    Range(usize, isize, usize),
    /// A number at this index says how many keys follow it.
    Counted(usize),
    /// As `Counted(2)`, and the destination at 1.
    DestCounted,
    /// Whatever the function finds.
    Find(FindKeys),
    /// SORT's: its patterns may reach anything.
    Sort,
    /// Every shard: the keyspace as a whole.
    All,
}

impl KeyArgs {
    /// One key, the first argument.
    pub const ONE: KeyArgs = KeyArgs::Range(1, 1, 1);
    /// All arguments are keys.
    pub const EACH: KeyArgs = KeyArgs::Range(1, -1, 1);
    /// The first two arguments.
    pub const TWO: KeyArgs = KeyArgs::Range(1, 2, 1);

    /// The index of the one key, for commands that never have more.
    pub fn only(&self) -> Option<usize> {
        match *self {
            KeyArgs::Range(first, last, _) if last == first as isize => Some(first),
            _ => None,
        }
    }

    /// Visits each key; false when the whole keyspace is needed. Malformed requests may name no keys:
    /// their command refuses them before it looks for any.
    pub fn each(&self, args: Args, mut visit: impl FnMut(&[u8])) -> bool {
        match *self {
            KeyArgs::None => {}
            KeyArgs::All => return false,
            KeyArgs::Range(first, last, step) => {
                let last = if last < 0 { args.len() as isize + last } else { last };
                let count = usize::try_from(last + 1).unwrap_or(0).min(args.len());
                args.skip(first).iter().take(count.saturating_sub(first)).step_by(step).for_each(visit);
            }
            KeyArgs::Counted(at) => counted(args, at, visit),
            KeyArgs::DestCounted => {
                args.get(1).into_iter().for_each(&mut visit);
                counted(args, 2, visit);
            }
            KeyArgs::Find(find) => find(args, &mut visit),
            KeyArgs::Sort => return super::sort::keys(args, &mut visit),
        }
        true
    }
}

fn counted(args: Args, at: usize, visit: impl FnMut(&[u8])) {
    let count = args.get(at).and_then(super::number::integer).and_then(|n| usize::try_from(n).ok());
    args.skip(at + 1).iter().take(count.unwrap_or(0)).for_each(visit);
}

impl Row {
    /// A command that reads.
    pub const fn read(
        name: &'static str,
        arity: i32,
        keys: KeyArgs,
        run: fn(&mut Ctx) -> Result<(), Fault>,
    ) -> Row {
        Row { name, arity, access: Access::Read, keys, run }
    }

    /// A command that changes things and may need memory.
    pub const fn write(
        name: &'static str,
        arity: i32,
        keys: KeyArgs,
        run: fn(&mut Ctx) -> Result<(), Fault>,
    ) -> Row {
        Row { name, arity, access: Access::Grow, keys, run }
    }

    /// A command that changes things without needing memory.
    pub const fn shrink(
        name: &'static str,
        arity: i32,
        keys: KeyArgs,
        run: fn(&mut Ctx) -> Result<(), Fault>,
    ) -> Row {
        Row { name, arity, access: Access::Shrink, keys, run }
    }

    /// Whether a request may have this many arguments.
    pub fn arity_ok(&self, len: usize) -> bool {
        let len = len as i64;
        let arity = i64::from(self.arity);
        if arity < 0 { len >= -arity } else { len == arity }
    }
}

/// The longest name.
const LONGEST: usize = 24;

static ROWS: LazyLock<HashMap<&'static [u8], &'static Row, ahash::RandomState>> = LazyLock::new(|| {
    let families: &[&'static [Row]] = &[
        super::generic::ROWS,
        super::expiry::ROWS,
        super::whole::ROWS,
        super::strings::ROWS,
        super::bits::ROWS,
        super::lcs::ROWS,
        super::lists::ROWS,
        super::listblock::ROWS,
        super::hashes::ROWS,
        super::sets::ROWS,
        super::dump::ROWS,
        super::sort::ROWS,
        super::zsets::ROWS,
        super::zsetranges::ROWS,
        super::zsetops::ROWS,
        super::zsetblock::ROWS,
        super::streams::ROWS,
        super::streamblock::ROWS,
        super::streaminfo::ROWS,
        super::groups::ROWS,
        super::groupread::ROWS,
        super::geo::ROWS,
        super::geosearch::ROWS,
        super::hlls::ROWS,
    ];
    families.iter().flat_map(|rows| rows.iter()).map(|row| (row.name.as_bytes(), row)).collect()
});

/// The row of a command, if the engine has it.
pub fn find(name: &[u8]) -> Option<&'static Row> {
    let mut upper = [0; LONGEST];
    let upper = upper.get_mut(..name.len())?;
    upper.copy_from_slice(name);
    upper.make_ascii_uppercase();
    ROWS.get(&*upper).copied()
}

/// The row of a request, if the engine has it. Of MEMORY only what is about a key is the engine's.
pub fn of(args: Args) -> Option<&'static Row> {
    let row = find(args.get(0)?)?;
    let of_session = |sub: &[u8]| {
        let all: [&[u8]; 5] = [b"doctor", b"help", b"malloc-stats", b"purge", b"stats"];
        all.iter().any(|other| other.eq_ignore_ascii_case(sub))
    };
    (row.name != "MEMORY" || !args.get(1).is_some_and(of_session)).then_some(row)
}

/// By the id that `crate::command` gives each command and subcommand. As in `of`, MEMORY is not all ours.
static BY_ID: LazyLock<Box<[Option<&'static Row>]>> = LazyLock::new(|| {
    let row = |command: &command::Command| match command.name.split_once('|') {
        Some(("memory", sub)) if sub != "usage" => None,
        Some((container, _)) => find(container.as_bytes()),
        None => find(command.name.as_bytes()),
    };
    command::all().iter().map(row).collect()
});

/// The row of a command that was looked up already, if the engine has it.
pub fn by_id(id: u16) -> Option<&'static Row> {
    BY_ID.get(usize::from(id)).copied().flatten()
}

/// All rows, in no order.
pub fn all() -> impl Iterator<Item = &'static Row> {
    ROWS.values().copied()
}
