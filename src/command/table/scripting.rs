//! Scripts and functions.

use super::words::{
    ACCESS, ALLOW_BUSY, DENYOOM, LOADING, NO_KEYS, NO_MANDATORY_KEYS, NOSCRIPT, READONLY, RO, RW, Row,
    SKIP_MONITOR, STALE, UPDATE, WRITE, cmd, counted,
};
use crate::command::Class::{Denied, Lane, Pinned};
use crate::command::Reach::{ReadsMore, WritesMore};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("eval",       -3, Lane, &[NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RW, ACCESS, UPDATE])
                .notes("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"),
        ]).reach(WritesMore)
        .doc("2.6.0", "Execute a Lua script server side", "Depends on the script that is executed.")
        .note("May touch keys that it does not name: the reply waits until what it changed has left L1."),
    cmd("eval_ro",    -3, Lane, &[READONLY, NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RO, ACCESS])
                .notes("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"),
        ]).reach(ReadsMore)
        .doc("7.0.0", "Execute a read-only Lua script server side",
            "Depends on the script that is executed.")
        .note("May read keys that it does not name."),
    cmd("evalsha",    -3, Lane, &[NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RW, ACCESS, UPDATE]),
        ]).reach(WritesMore)
        .doc("2.6.0", "Execute a Lua script server side", "Depends on the script that is executed.")
        .note("May touch keys that it does not name: the reply waits until what it changed has left L1."),
    cmd("evalsha_ro", -3, Lane, &[READONLY, NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RO, ACCESS]),
        ]).reach(ReadsMore)
        .doc("7.0.0", "Execute a read-only Lua script server side",
            "Depends on the script that is executed.")
        .note("May read keys that it does not name."),
    cmd("fcall",      -3, Lane, &[NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RW, ACCESS, UPDATE])
                .notes("We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"),
        ]).reach(WritesMore)
        .doc("7.0.0", "Invoke a function", "Depends on the function that is executed.")
        .note("May touch keys that it does not name: the reply waits until what it changed has left L1."),
    cmd("fcall_ro",   -3, Lane, &[READONLY, NOSCRIPT, STALE, SKIP_MONITOR, NO_MANDATORY_KEYS], &[
            counted(2, &[RO, ACCESS])
                .notes("We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"),
        ]).reach(ReadsMore)
        .doc("7.0.0", "Invoke a read-only function", "Depends on the function that is executed.")
        .note("May read keys that it does not name."),
    cmd("function",         -2, Lane, &[], NO_KEYS).acl(&[])
        .doc("7.0.0", "A container for function commands", "Depends on subcommand."),
    cmd("function|delete",   3, Lane, &[WRITE, NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "Delete a function by name", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("function|dump",     2, Lane, &[NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "Dump all functions into a serialized binary payload",
            "O(N) where N is the number of functions"),
    cmd("function|flush",   -2, Lane, &[WRITE, NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "Deleting all functions", "O(N) where N is the number of functions deleted")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("function|help",     2, Lane, &[LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("function|kill",     2, Pinned, &[NOSCRIPT, ALLOW_BUSY], NO_KEYS)
        .doc("7.0.0", "Kill the function currently in execution.", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .note("The function to be killed may hold up the lane."),
    cmd("function|list",    -2, Lane, &[NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "List information about all the functions", "O(N) where N is the number of functions")
        .tips(&["nondeterministic_output_order"]),
    cmd("function|load",    -3, Lane, &[WRITE, DENYOOM, NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "Create a function with the given arguments (name, code, description)",
            "O(1) (considering compilation time is redundant)")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("function|restore", -3, Lane, &[WRITE, DENYOOM, NOSCRIPT], NO_KEYS)
        .doc("7.0.0", "Restore all the functions on the given payload",
            "O(N) where N is the number of functions on the payload")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("function|stats",    2, Lane, &[NOSCRIPT, ALLOW_BUSY], NO_KEYS)
        .doc("7.0.0", "Return information about the function currently running (name, description, \
            duration)",
            "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    cmd("script",        -2, Lane, &[], NO_KEYS).acl(&[])
        .doc("2.6.0", "A container for Lua scripts management commands", "Depends on subcommand."),
    cmd("script|debug",   3, Denied, &[NOSCRIPT], NO_KEYS).always_denied()
        .doc("3.2.0", "Set the debug mode for executed scripts.", "O(1)")
        .note("Refused even if administrative commands are allowed: scripts of all clients would be \
            debugged."),
    cmd("script|exists", -3, Lane, &[NOSCRIPT], NO_KEYS)
        .doc("2.6.0", "Check existence of scripts in the script cache.",
            "O(N) with N being the number of scripts to check (so checking a single script is an O(1) \
            operation).")
        .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"]),
    cmd("script|flush",  -2, Lane, &[NOSCRIPT], NO_KEYS)
        .doc("2.6.0", "Remove all the scripts from the script cache.",
            "O(N) with N being the number of scripts in cache")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("script|help",    2, Lane, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("script|kill",    2, Pinned, &[NOSCRIPT, ALLOW_BUSY], NO_KEYS)
        .doc("2.6.0", "Kill the script currently in execution.", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
        .note("The script to be killed may hold up the lane."),
    cmd("script|load",    3, Lane, &[NOSCRIPT, STALE], NO_KEYS)
        .doc("2.6.0", "Load the specified Lua script into the script cache.",
            "O(N) with N being the length in bytes of the script body.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];
