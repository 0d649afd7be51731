//! Sets.

use super::words::{
    ACCESS, DELETE, DENYOOM, FAST, INSERT, OW, READONLY, RO, RW, Row, UPDATE, WRITE, cmd, counted, key,
    keys_from,
};
use crate::command::Cache::{MultiKey, SingleKey};
use crate::command::Class::{Cached, Lane};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("sadd",        -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("1.0.0", "Add one or more members to a set",
            "O(1) for each element added, so O(N) to add N elements when the command is called with \
            multiple arguments."),
    cmd("scard",        2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("1.0.0", "Get the number of members in a set", "O(1)"),
    cmd("sdiff",       -2, Lane, &[READONLY], &[keys_from(1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("1.0.0", "Subtract multiple sets",
            "O(N) where N is the total number of elements in all given sets.")
        .tips(&["nondeterministic_output_order"]),
    cmd("sdiffstore",  -3, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE]), keys_from(2, &[RO, ACCESS])])
        .doc("1.0.0", "Subtract multiple sets and store the resulting set in a key",
            "O(N) where N is the total number of elements in all given sets."),
    cmd("sinter",      -2, Lane, &[READONLY], &[keys_from(1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("1.0.0", "Intersect multiple sets",
            "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.")
        .tips(&["nondeterministic_output_order"]),
    cmd("sintercard",  -3, Lane, &[READONLY], &[counted(1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("7.0.0", "Intersect multiple sets and return the cardinality of the result",
            "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of \
            sets."),
    cmd("sinterstore", -3, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, UPDATE]), keys_from(2, &[RO, ACCESS])])
        .doc("1.0.0", "Intersect multiple sets and store the resulting set in a key",
            "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of \
            sets."),
    cmd("sismember",    3, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("1.0.0", "Determine if a given value is a member of a set", "O(1)"),
    cmd("smembers",     2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.0.0", "Get all the members in a set", "O(N) where N is the set cardinality.")
        .tips(&["nondeterministic_output_order"]),
    cmd("smismember",  -3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("6.2.0", "Returns the membership associated with the given elements for a set",
            "O(N) where N is the number of elements being checked for membership"),
    cmd("smove",        4, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE]), key(2, &[RW, INSERT])])
        .doc("1.0.0", "Move a member from one set to another", "O(1)"),
    cmd("spop",        -2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])])
        .doc("1.0.0", "Remove and return one or multiple random members from a set",
            "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.")
        .tips(&["nondeterministic_output"]),
    cmd("srandmember", -2, Lane, &[READONLY], &[key(1, &[RO, ACCESS])])
        .doc("1.0.0", "Get one or multiple random members from a set",
            "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed \
            count.")
        .tips(&["nondeterministic_output"]),
    cmd("srem",        -3, Lane, &[WRITE, FAST], &[key(1, &[RW, DELETE])])
        .doc("1.0.0", "Remove one or more members from a set",
            "O(N) where N is the number of members to be removed."),
    cmd("sscan",       -3, Lane, &[READONLY], &[key(1, &[RO, ACCESS])])
        .doc("2.8.0", "Incrementally iterate Set elements",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
            cursor to return back to 0. N is the number of elements inside the collection..")
        .tips(&["nondeterministic_output"]),
    cmd("sunion",      -2, Lane, &[READONLY], &[keys_from(1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("1.0.0", "Add multiple sets",
            "O(N) where N is the total number of elements in all given sets.")
        .tips(&["nondeterministic_output_order"]),
    cmd("sunionstore", -3, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE]), keys_from(2, &[RO, ACCESS])])
        .doc("1.0.0", "Add multiple sets and store the resulting set in a key",
            "O(N) where N is the total number of elements in all given sets."),
];
