//! Strings.

use super::words::{
    ACCESS, DELETE, DENYOOM, FAST, INSERT, OW, READONLY, RO, RW, Row, UPDATE, VARIABLE_FLAGS, WRITE, cmd,
    key, keys_from, range,
};
use crate::command::Cache::{MultiKey, PerKey, SingleKey};
use crate::command::Class::{Cached, Lane};
use crate::command::keys::KeyRule::Set;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("append",       3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, INSERT])])
        .doc("2.0.0", "Append a value to a key",
            "O(1). The amortized time complexity is O(1) assuming the appended value is small and the \
            already present value is of any size, since the dynamic string library used by Redis will \
            double the free space available on every reallocation."),
    cmd("decr",         2, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Decrement the integer value of a key by one", "O(1)"),
    cmd("decrby",       3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Decrement the integer value of a key by the given number", "O(1)"),
    cmd("get",          2, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.0.0", "Get the value of a key", "O(1)"),
    cmd("getdel",       2, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE])])
        .doc("6.2.0", "Get the value of a key and delete the key", "O(1)"),
    cmd("getex",       -2, Lane, &[WRITE, FAST], &[
            key(1, &[RW, ACCESS, UPDATE])
                .notes("RW and UPDATE because it changes the TTL"),
        ])
        .doc("6.2.0", "Get the value of a key and optionally set its expiration", "O(1)"),
    cmd("getrange",     4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("2.4.0", "Get a substring of the string stored at a key",
            "O(N) where N is the length of the returned string. The complexity is ultimately determined by \
            the returned length, but because creating a substring from an existing string is very cheap, \
            it can be considered O(1) for small strings."),
    cmd("getset",       3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Set the string value of a key and return its old value", "O(1)")
        .deprecated("6.2.0", "`SET` with the `!GET` argument"),
    cmd("incr",         2, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Increment the integer value of a key by one", "O(1)"),
    cmd("incrby",       3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Increment the integer value of a key by the given amount", "O(1)"),
    cmd("incrbyfloat",  3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("2.6.0", "Increment the float value of a key by the given amount", "O(1)"),
    cmd("lcs",         -3, Lane, &[READONLY], &[range(1, 1, 1, &[RO, ACCESS])]).cache(MultiKey)
        .doc("7.0.0", "Find longest common substring",
            "O(N*M) where N and M are the lengths of s1 and s2, respectively"),
    cmd("mget",        -2, Cached, &[READONLY, FAST], &[keys_from(1, &[RO, ACCESS])]).cache(PerKey)
        .doc("1.0.0", "Get the values of all the given keys",
            "O(N) where N is the number of keys to retrieve.")
        .tips(&["request_policy:multi_shard"])
        .note("Atomic: from L1 only if all keys are there, else forwarded whole."),
    cmd("mset",        -3, Lane, &[WRITE, DENYOOM], &[range(1, -1, 2, &[OW, UPDATE])])
        .doc("1.0.1", "Set multiple keys to multiple values", "O(N) where N is the number of keys to set.")
        .tips(&["request_policy:multi_shard", "response_policy:all_succeeded"]),
    cmd("msetnx",      -3, Lane, &[WRITE, DENYOOM], &[range(1, -1, 2, &[OW, INSERT])])
        .doc("1.0.1", "Set multiple keys to multiple values, only if none of the keys exist",
            "O(N) where N is the number of keys to set.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_min"]),
    cmd("psetex",       4, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE])])
        .doc("2.6.0", "Set the value and expiration in milliseconds of a key", "O(1)"),
    cmd("set",         -3, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RW, ACCESS, UPDATE, VARIABLE_FLAGS])
                .notes("RW and ACCESS due to the optional `GET` argument"),
        ]).key_rule(Set)
        .doc("1.0.0", "Set the string value of a key", "O(1)"),
    cmd("setex",        4, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE])])
        .doc("2.0.0", "Set the value and expiration of a key", "O(1)"),
    cmd("setnx",        3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[OW, INSERT])])
        .doc("1.0.0", "Set the value of a key, only if the key does not exist", "O(1)"),
    cmd("setrange",     4, Lane, &[WRITE, DENYOOM], &[key(1, &[RW, UPDATE])])
        .doc("2.2.0", "Overwrite part of a string at key starting at the specified offset",
            "O(1), not counting the time taken to copy the new string in place. Usually, this string is \
            very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the \
            length of the value argument."),
    cmd("strlen",       2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("2.2.0", "Get the length of the value stored in a key", "O(1)"),
    cmd("substr",       4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("1.0.0", "Get a substring of the string stored at a key",
            "O(N) where N is the length of the returned string. The complexity is ultimately determined by \
            the returned length, but because creating a substring from an existing string is very cheap, \
            it can be considered O(1) for small strings.")
        .deprecated("2.0.0", "`GETRANGE`"),
];
