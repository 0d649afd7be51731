//! The rows of the command table: what is generated for each command, and how often.

use crate::{table_data, table_server};

/// One way to use one command. A command may have several rows.
#[derive(Clone, Copy)]
pub struct Row {
    /// As `COMMAND LIST` has it: `get`, `config|get`. In brackets: not a command of Redis.
    pub name: &'static str,
    /// What is generated, in the notation of grammar.rs.
    pub text: &'static str,
    /// How often, compared with others.
    pub weight: usize,
    /// Sent as generated: a distorted one could wait, touch what must stay, or draw from what has not been read.
    pub exact: bool,
    /// Never answers with anything but an error.
    pub fails: bool,
    /// Changes what the connection is, so that it does not belong into a transaction.
    pub outside_multi: bool,
    /// Options of which no use succeeds here.
    pub failing_options: &'static [&'static str],
}

/// A row with the usual weight.
pub const fn row(name: &'static str, text: &'static str) -> Row {
    Row { name, text, weight: 4, exact: false, fails: false, outside_multi: false, failing_options: &[] }
}

impl Row {
    /// Three times as often: the writers that give others something to read.
    pub const fn often(self) -> Row {
        Row { weight: 12, ..self }
    }

    /// Half as often: those that destroy, take long or always say the same.
    pub const fn rarely(self) -> Row {
        Row { weight: 2, ..self }
    }

    /// See the field.
    pub const fn exact(self) -> Row {
        Row { exact: true, ..self }
    }

    /// See the field.
    pub const fn fails(self) -> Row {
        Row { fails: true, ..self }
    }

    /// See the field.
    pub const fn outside_multi(self) -> Row {
        Row { outside_multi: true, ..self }
    }

    /// See the field.
    pub const fn failing_options(self, options: &'static [&'static str]) -> Row {
        Row { failing_options: options, ..self }
    }
}

/// A command that cannot be compared by generated sequences.
pub struct Excluded {
    /// As `COMMAND LIST` has it.
    pub name: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Where else it is tested: `file::test` below tests/.
    pub covered_by: &'static str,
}

/// All rows.
pub fn rows() -> Vec<Row> {
    [table_data::ROWS, table_server::ROWS].concat()
}

/// All exclusions.
pub fn excluded() -> &'static [Excluded] {
    table_server::EXCLUDED
}
