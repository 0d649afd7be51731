//! Transactions.

use super::words::{
    ALLOW_BUSY, FAST, LOADING, NO_KEYS, NOSCRIPT, RO, Row, SKIP_SLOWLOG, STALE, cmd, keys_from,
};
use crate::command::Class::Transaction;
use crate::resp::Shape::NullArray;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("discard",  1, Transaction, &[NOSCRIPT, LOADING, STALE, FAST, ALLOW_BUSY], NO_KEYS)
        .doc("2.0.0", "Discard all commands issued after MULTI",
            "O(N), when N is the number of queued commands"),
    cmd("exec",     1, Transaction, &[NOSCRIPT, LOADING, STALE, SKIP_SLOWLOG], NO_KEYS).shape(NullArray)
        .doc("1.2.0", "Execute all commands issued after MULTI", "Depends on commands in the transaction"),
    cmd("multi",    1, Transaction, &[NOSCRIPT, LOADING, STALE, FAST, ALLOW_BUSY], NO_KEYS)
        .doc("1.2.0", "Mark the start of a transaction block", "O(1)"),
    cmd("unwatch",  1, Transaction, &[NOSCRIPT, LOADING, STALE, FAST, ALLOW_BUSY], NO_KEYS)
        .doc("2.2.0", "Forget about all watched keys", "O(1)"),
    cmd("watch",   -2, Transaction, &[NOSCRIPT, LOADING, STALE, FAST, ALLOW_BUSY], &[keys_from(1, &[RO])])
        .doc("2.2.0", "Watch the given keys to determine execution of the MULTI/EXEC block",
            "O(1) for every key."),
];
