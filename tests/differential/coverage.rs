//! What a run has exercised: per command and per option, how often it was sent and how often it succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::grammar::Cmd;
use crate::rules::RULES;
use crate::sequence::Generator;

/// Counts of one command or option.
#[derive(Clone, Copy, Default)]
struct Count {
    sent: usize,
    succeeded: usize,
}

/// Counts of a run.
#[derive(Default)]
pub struct Coverage {
    commands: BTreeMap<&'static str, Count>,
    options: BTreeMap<(&'static str, String), Count>,
    may_fail: BTreeSet<(&'static str, String)>,
    rules: Vec<usize>,
    transactions: usize,
    /// All replies compared.
    pub replies: usize,
}

impl Coverage {
    /// Zero for everything that the generator can make.
    pub fn of(generator: &Generator) -> Self {
        let mut coverage = Coverage { rules: vec![0; RULES.len()], ..Coverage::default() };
        for (i, row) in generator.rows().iter().enumerate() {
            coverage.commands.entry(row.name).or_default();
            if row.fails {
                coverage.may_fail.insert((row.name, String::new()));
            }
            for option in generator.options(i) {
                coverage.options.entry((row.name, option.clone())).or_default();
                if row.fails || row.failing_options.contains(&option.as_str()) {
                    coverage.may_fail.insert((row.name, option.clone()));
                }
            }
        }
        // A command with a row that always fails may have others, which must not.
        for row in generator.rows().iter().filter(|row| !row.fails) {
            coverage.may_fail.remove(&(row.name, String::new()));
        }
        coverage
    }

    /// One reply that was the same on both sides. `queued`: it says only that the command is queued.
    pub fn count(&mut self, generator: &Generator, cmd: &Cmd, failed: bool, queued: bool) {
        self.replies += 1;
        let Some(row) = cmd.row.filter(|_| !queued) else { return };
        let name = generator.rows()[row].name;
        self.transactions += usize::from(name == "exec" && !failed);
        let options = cmd.options.iter().map(|&option| (name, generator.options(row)[option].clone()));
        let command = self.commands.entry(name).or_default();
        command.sent += 1;
        command.succeeded += usize::from(!failed);
        for option in options {
            let count = self.options.entry(option).or_default();
            count.sent += 1;
            count.succeeded += usize::from(!failed);
        }
    }

    /// One reply that differed as a rule allows.
    pub fn count_rule(&mut self, rule: usize) {
        self.rules[rule] += 1;
    }

    /// What was never sent, or never succeeded although it can.
    pub fn gaps(&self) -> Vec<String> {
        let lacks = |key: &(&'static str, String), count: &Count| {
            count.sent == 0 || (count.succeeded == 0 && !self.may_fail.contains(key))
        };
        let commands = self.commands.iter().filter(|(name, count)| lacks(&(**name, String::new()), count));
        let options = self.options.iter().filter(|(key, count)| lacks(key, count));
        commands
            .map(|(name, count)| format!("{name}: sent {}, succeeded {}", count.sent, count.succeeded))
            .chain(options.map(|((name, option), count)| {
                format!("{name} {option}: sent {}, succeeded {}", count.sent, count.succeeded)
            }))
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "coverage: command succeeded/sent, its options likewise")?;
        for (name, count) in &self.commands {
            write!(f, "  {name} {}/{}", count.succeeded, count.sent)?;
            for ((_, option), count) in self.options.iter().filter(|((of, _), _)| of == name) {
                write!(f, "  {option} {}/{}", count.succeeded, count.sent)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "rules that were needed:")?;
        for (rule, used) in RULES.iter().zip(&self.rules) {
            writeln!(f, "  {:20} {used:6}  {}", rule.name, rule.reason)?;
        }
        write!(
            f,
            "{} replies compared, {} commands, {} options, {} transactions executed",
            self.replies,
            self.commands.len(),
            self.options.len(),
            self.transactions
        )
    }
}
