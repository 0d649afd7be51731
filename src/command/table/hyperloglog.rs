//! HyperLogLogs.

use super::words::{
    ACCESS, ADMIN, DENYOOM, FAST, INSERT, NO_KEYS, READONLY, RO, RW, Row, WRITE, cmd, key, keys_from,
};
use crate::command::Class::Lane;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("pfadd",      -2, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("2.8.9", "Adds the specified elements to the specified HyperLogLog.",
            "O(1) to add every element."),
    cmd("pfcount",    -2, Lane, &[READONLY], &[
            keys_from(1, &[RW, ACCESS])
                .notes("RW because it may change the internal representation of the key, and propagate to \
            replicas"),
        ])
        .doc("2.8.9", "Return the approximated cardinality of the set(s) observed by the HyperLogLog at \
            key(s).",
            "O(1) with a very small average constant time when called with a single key. O(N) with N being \
            the number of keys, and much bigger constant times, when called with multiple keys.")
        .note("May rewrite the cardinality that it keeps in the key, so it is treated as a write of its \
            keys."),
    cmd("pfdebug",     3, Lane, &[WRITE, DENYOOM, ADMIN], &[key(2, &[RW, ACCESS])])
        .doc("2.8.9", "Internal commands for debugging HyperLogLog values", "N/A").syscmd(),
    cmd("pfmerge",    -2, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RW, ACCESS, INSERT]),
            keys_from(2, &[RO, ACCESS]),
        ])
        .doc("2.8.9", "Merge N different HyperLogLogs into a single one.",
            "O(N) to merge N HyperLogLogs, but with high constant times."),
    cmd("pfselftest",  1, Lane, &[ADMIN], NO_KEYS)
        .doc("2.8.9", "An internal command for testing HyperLogLog values", "N/A").syscmd(),
];
