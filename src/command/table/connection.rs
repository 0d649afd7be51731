//! The connection itself.

use super::words::{ADMIN, ALLOW_BUSY, FAST, LOADING, NO_AUTH, NO_KEYS, NOSCRIPT, Row, STALE, cmd};
use crate::command::Class::Local;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("auth",   -2, Local, &[NOSCRIPT, LOADING, STALE, FAST, NO_AUTH, ALLOW_BUSY], NO_KEYS)
        .doc("1.0.0", "Authenticate to the server",
            "O(N) where N is the number of passwords defined for the user"),
    cmd("client",              -2, Local, &[], NO_KEYS).acl(&[])
        .doc("2.4.0", "A container for client connection commands", "Depends on subcommand."),
    cmd("client|caching",       3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Instruct the server about tracking or not keys in the next request", "O(1)"),
    cmd("client|getname",       2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.6.9", "Get the current connection name", "O(1)"),
    cmd("client|getredir",      2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Get tracking notifications redirection client ID if any", "O(1)"),
    cmd("client|help",          2, Local, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("client|id",            2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Returns the client ID for the current connection", "O(1)"),
    cmd("client|info",          2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Returns information about the current client connection.", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("client|kill",         -3, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.4.0", "Kill the connection of a client", "O(N) where N is the number of client \
            connections"),
    cmd("client|list",         -2, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.4.0", "Get the list of client connections",
            "O(N) where N is the number of client connections")
        .tips(&["nondeterministic_output"]),
    cmd("client|no-evict",      3, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "Set client eviction mode for the current connection", "O(1)"),
    cmd("client|no-touch",      3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("7.2.0", "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
            "O(1)"),
    cmd("client|pause",        -3, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.9.50", "Stop processing commands from clients for some time", "O(1)"),
    cmd("client|reply",         3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("3.2.0", "Instruct the server whether to reply to commands", "O(1)"),
    cmd("client|setinfo",       4, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("7.2.0", "Sets information specific to the client or connection.", "O(1)"),
    cmd("client|setname",       3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.6.9", "Set the current connection name", "O(1)"),
    cmd("client|tracking",     -3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Enable or disable server assisted client side caching support",
            "O(1). Some options may introduce additional complexity."),
    cmd("client|trackinginfo",  2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Return information about server assisted client side caching for the current \
            connection",
            "O(1)"),
    cmd("client|unblock",      -3, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Unblock a client blocked in a blocking command from a different connection",
            "O(log N) where N is the number of client connections"),
    cmd("client|unpause",       2, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Resume processing of clients that were paused",
            "O(N) Where N is the number of paused clients"),
    cmd("echo",    2, Local, &[LOADING, STALE, FAST], NO_KEYS)
        .doc("1.0.0", "Echo the given string", "O(1)"),
    cmd("hello",  -1, Local, &[NOSCRIPT, LOADING, STALE, FAST, NO_AUTH, ALLOW_BUSY], NO_KEYS)
        .doc("6.0.0", "Handshake with Redis", "O(1)"),
    cmd("ping",   -1, Local, &[FAST], NO_KEYS)
        .doc("1.0.0", "Ping the server", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("quit",   -1, Local, &[NOSCRIPT, LOADING, STALE, FAST, NO_AUTH, ALLOW_BUSY], NO_KEYS)
        .doc("1.0.0", "Close the connection", "O(1)"),
    cmd("reset",   1, Local, &[NOSCRIPT, LOADING, STALE, FAST, NO_AUTH, ALLOW_BUSY], NO_KEYS)
        .doc("6.2.0", "Reset the connection", "O(1)"),
    cmd("select",  2, Local, &[LOADING, STALE, FAST], NO_KEYS)
        .doc("1.0.0", "Change the selected database for the current connection", "O(1)")
        .note("Validated by Redis once for each database."),
];
