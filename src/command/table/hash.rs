//! Hashes.

use super::words::{ACCESS, DELETE, DENYOOM, FAST, INSERT, READONLY, RO, RW, Row, UPDATE, WRITE, cmd, key};
use crate::command::Cache::SingleKey;
use crate::command::Class::{Cached, Lane};
use crate::resp::Shape::Pairs;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("hdel",         -3, Lane, &[WRITE, FAST], &[key(1, &[RW, DELETE])])
        .doc("2.0.0", "Delete one or more hash fields",
            "O(N) where N is the number of fields to be removed."),
    cmd("hexists",       3, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("2.0.0", "Determine if a hash field exists", "O(1)"),
    cmd("hget",          3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Get the value of a hash field", "O(1)"),
    cmd("hgetall",       2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Get all the fields and values in a hash", "O(N) where N is the size of the hash.")
        .tips(&["nondeterministic_output_order"]),
    cmd("hincrby",       4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("2.0.0", "Increment the integer value of a hash field by the given number", "O(1)"),
    cmd("hincrbyfloat",  4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("2.6.0", "Increment the float value of a hash field by the given amount", "O(1)"),
    cmd("hkeys",         2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Get all the fields in a hash", "O(N) where N is the size of the hash.")
        .tips(&["nondeterministic_output_order"]),
    cmd("hlen",          2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("2.0.0", "Get the number of fields in a hash", "O(1)"),
    cmd("hmget",        -3, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Get the values of all the given hash fields",
            "O(N) where N is the number of fields being requested."),
    cmd("hmset",        -4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, UPDATE])])
        .doc("2.0.0", "Set multiple hash fields to multiple values",
            "O(N) where N is the number of fields being set.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
    cmd("hrandfield",   -2, Lane, &[READONLY], &[key(1, &[RO, ACCESS])]).shape(Pairs)
        .doc("6.2.0", "Get one or multiple random fields from a hash",
            "O(N) where N is the number of fields returned")
        .tips(&["nondeterministic_output"]),
    cmd("hscan",        -3, Lane, &[READONLY], &[key(1, &[RO, ACCESS])])
        .doc("2.8.0", "Incrementally iterate hash fields and associated values",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
            cursor to return back to 0. N is the number of elements inside the collection..")
        .tips(&["nondeterministic_output"]),
    cmd("hset",         -4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, UPDATE])])
        .doc("2.0.0", "Set the string value of a hash field",
            "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is \
            called with multiple field/value pairs."),
    cmd("hsetnx",        4, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("2.0.0", "Set the value of a hash field, only if the field does not exist", "O(1)"),
    cmd("hstrlen",       3, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("3.2.0", "Get the length of the value of a hash field", "O(1)"),
    cmd("hvals",         2, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.0.0", "Get all the values in a hash", "O(N) where N is the size of the hash.")
        .tips(&["nondeterministic_output_order"]),
];
