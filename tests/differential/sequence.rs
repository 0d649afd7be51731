//! What is sent: a seeded sequence of batches by several clients.

use std::collections::VecDeque;
use std::fmt;

use nearcache::command::{self, Class};

use crate::arguments::{Arguments, Pools};
use crate::grammar::{Cmd, Grammar};
use crate::support::Rng;
use crate::support::reply::encode_into;
use crate::table::Row;

/// Clients that take turns in a sequence.
pub const CLIENTS: usize = 3;

/// Commands that stay together: a command with those that prepare and follow it.
pub type Unit = Vec<Cmd>;

/// One client's batch: sent in one go, then all its replies are read.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which client.
    pub client: usize,
    /// What it sends.
    pub units: Vec<Unit>,
}

/// A run from empty databases to a comparison of the data.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// What it was generated from.
    pub seed: u64,
    /// 2 or 3: how the clients begin.
    pub proto: u8,
    /// About how many commands a batch has.
    pub depth: usize,
    /// The batches in order.
    pub batches: Vec<Batch>,
}

impl Sequence {
    /// The number of commands.
    pub fn len(&self) -> usize {
        self.batches.iter().map(|batch| batch.units.iter().map(Vec::len).sum::<usize>()).sum()
    }
}

impl Batch {
    /// The bytes of all commands, and the commands.
    pub fn encoded(&self) -> (Vec<u8>, Vec<&Cmd>) {
        let cmds: Vec<&Cmd> = self.units.iter().flatten().collect();
        let mut bytes = Vec::new();
        for cmd in &cmds {
            encode_into(&mut bytes, &cmd.args);
        }
        (bytes, cmds)
    }
}

impl fmt::Display for Cmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.args.iter().enumerate() {
            let text = arg.escape_ascii();
            let plain = arg.len() < 64 && !arg.is_empty() && arg.iter().all(|b| b.is_ascii_graphic());
            match (i, plain) {
                (0, _) => write!(f, "{text}")?,
                (_, true) => write!(f, " {text}")?,
                (_, false) => write!(f, " \"{text}\"")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for batch in &self.batches {
            for (i, cmd) in batch.units.iter().flatten().enumerate() {
                let client = if i == 0 { format!("client {}", batch.client) } else { String::new() };
                writeln!(f, "  {client:>9}  {cmd}")?;
            }
        }
        Ok(())
    }
}

/// Deals rows as a shuffled deck, so that every row comes up before any comes up again in full.
pub struct Generator {
    rows: Vec<Row>,
    grammars: Vec<Grammar>,
    pools: Pools,
    deck: Vec<usize>,
    /// Reads made lately, to be asked again: a cache that is never asked twice is not tested.
    recent: VecDeque<Unit>,
}

/// How many reads are remembered, and how often, in a hundred, one of them is asked again.
const RECENT: usize = 4;
const AGAIN: usize = 40;

/// How many further commands a client puts into its open transaction.
type Open = Option<usize>;

impl Generator {
    /// For the rows that `knows` lets through.
    pub fn new(rows: Vec<Row>, pools: Pools) -> Self {
        let grammars = rows.iter().map(|row| Grammar::parse(row.name, row.text)).collect();
        Generator { rows, grammars, pools, deck: Vec::new(), recent: VecDeque::new() }
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The options of a row.
    pub fn options(&self, row: usize) -> &[String] {
        &self.grammars[row].options
    }

    /// A sequence of about `length` commands.
    pub fn sequence(&mut self, seed: u64, proto: u8, depth: usize, length: usize) -> Sequence {
        let mut rng = Rng::new(seed);
        let mut arguments = Arguments::new(self.pools.clone());
        let mut open = [Open::None; CLIENTS];
        let mut sequence = Sequence { seed, proto, depth, batches: Vec::new() };
        self.deck.clear();
        self.recent.clear();
        let mut made = 0;
        while made < length {
            let client = rng.below(CLIENTS);
            let mut batch = Batch { client, units: Vec::new() };
            let mut commands = 0;
            while commands < depth {
                let again = open[client].is_none() && !self.recent.is_empty() && rng.chance(AGAIN);
                let unit = match again {
                    true => self.recent[rng.below(self.recent.len())].clone(),
                    false => self.unit(&mut open[client], &mut rng, &mut arguments),
                };
                commands += unit.len();
                batch.units.push(unit);
            }
            made += commands;
            sequence.batches.push(batch);
        }
        sequence
    }

    /// Remembers a unit that is a read of a kind that caches keep.
    fn remember(&mut self, row: usize, unit: &Unit) {
        let class = command::by_name(self.rows[row].name.as_bytes()).map(|command| command.class);
        if class == Some(Class::Cached) && unit.len() == 1 {
            self.recent.truncate(RECENT - 1);
            self.recent.push_front(unit.clone());
        }
    }

    fn unit(&mut self, open: &mut Open, rng: &mut Rng, arguments: &mut Arguments) -> Unit {
        if *open == Some(0) {
            *open = None;
            let ends = if rng.chance(85) { "EXEC" } else { "DISCARD" };
            let row =
                self.rows.iter().position(|row| row.name == ends.to_ascii_lowercase() && row.text.is_empty());
            return vec![Cmd { args: vec![ends.into()], row, options: Vec::new() }];
        }
        let row = self.deal(rng, open.is_some());
        let mut unit = self.grammars[row].expand(row, rng, arguments);
        match open {
            Some(left) => *left -= 1,
            None if self.rows[row].name == "multi" => *open = Some(rng.below(6)),
            None => {}
        }
        if !self.rows[row].exact && rng.chance(6) {
            let options = &self.grammars[row].options;
            let own = unit.iter_mut().find(|cmd| cmd.row.is_some()).expect("each unit has its row's command");
            let kept = self.rows[row].name.split('|').count();
            distort(own, kept, options, rng, arguments);
        }
        self.remember(row, &unit);
        unit
    }

    /// The next row of the deck; inside a transaction the next that belongs there.
    fn deal(&mut self, rng: &mut Rng, in_multi: bool) -> usize {
        loop {
            if self.deck.is_empty() {
                for (i, row) in self.rows.iter().enumerate() {
                    self.deck.extend(std::iter::repeat_n(i, row.weight));
                }
                rng.shuffle(&mut self.deck);
            }
            let at = self.deck.iter().rposition(|&row| !(in_multi && self.rows[row].outside_multi));
            match at {
                Some(at) => return self.deck.remove(at),
                None => self.deck.clear(),
            }
        }
    }
}

/// Makes a command wrong, or at least odd: an argument less, more, twice, or replaced. The first `kept`
/// arguments stay, as another subcommand would be another command.
fn distort(cmd: &mut Cmd, kept: usize, options: &[String], rng: &mut Rng, arguments: &Arguments) {
    let len = cmd.args.len();
    let some = (len > kept).then(|| kept + rng.below(len - kept));
    match (rng.below(6), some) {
        (0, Some(_)) => cmd.args.truncate(len - 1),
        (1, Some(at)) => {
            cmd.args.remove(at);
        }
        (2, Some(at)) => {
            let again = cmd.args[at].clone();
            cmd.args.push(again);
        }
        (3, _) if !options.is_empty() => cmd.args.push(rng.pick(options).clone().into_bytes()),
        (4 | 5, Some(at)) => cmd.args[at] = arguments.garbage(rng),
        _ => cmd.args.push(arguments.garbage(rng)),
    }
}
