//! Streams.

use super::words::{
    ACCESS, BLOCKING, DELETE, DENYOOM, FAST, INSERT, LOADING, NO_KEYS, READONLY, RO, RW, Row, STALE, UPDATE,
    WRITE, behind, cmd, key,
};
use crate::command::Cache::SingleKey;
use crate::command::Class::{Cached, Lane};
use crate::command::keys::KeyRule::StreamNames;
use crate::resp::Shape::{LastNullArray, NullArray, Streams};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("xack",       -4, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("5.0.0", "Marks a pending message as correctly processed, effectively removing it from the \
            pending entries list of the consumer group. Return value of the command is the number of \
            messages successfully acknowledged, that is, the IDs we were actually able to resolve in the \
            PEL.",
            "O(1) for each message ID processed."),
    cmd("xadd",       -5, Lane, &[WRITE, DENYOOM, FAST], &[
            key(1, &[RW, UPDATE])
                .notes("UPDATE instead of INSERT because of the optional trimming feature"),
        ])
        .doc("5.0.0", "Appends a new entry to a stream",
            "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.")
        .tips(&["nondeterministic_output"]),
    cmd("xautoclaim", -6, Lane, &[WRITE, FAST], &[key(1, &[RW, DELETE])])
        .doc("6.2.0", "Changes (or acquires) ownership of messages in a consumer group, as if the messages \
            were delivered to the specified consumer.",
            "O(1) if COUNT is small.")
        .tips(&["nondeterministic_output"]),
    cmd("xclaim",     -6, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("5.0.0", "Changes (or acquires) ownership of a message in a consumer group, as if the message \
            was delivered to the specified consumer.",
            "O(log N) with N being the number of messages in the PEL of the consumer group.")
        .tips(&["nondeterministic_output"]),
    cmd("xdel",       -3, Lane, &[WRITE, FAST], &[key(1, &[RW, DELETE])])
        .doc("5.0.0", "Removes the specified entries from the stream. Returns the number of items actually \
            deleted, that may be different from the number of IDs passed in case certain IDs do not exist.",
            "O(1) for each single item to delete in the stream, regardless of the stream size."),
    cmd("xgroup",                -2, Lane, &[], NO_KEYS).acl(&[])
        .doc("5.0.0", "A container for consumer groups commands", "Depends on subcommand."),
    cmd("xgroup|create",         -5, Lane, &[WRITE, DENYOOM], &[key(2, &[RW, INSERT])])
        .doc("5.0.0", "Create a consumer group.", "O(1)"),
    cmd("xgroup|createconsumer",  5, Lane, &[WRITE, DENYOOM], &[key(2, &[RW, INSERT])])
        .doc("6.2.0", "Create a consumer in a consumer group.", "O(1)"),
    cmd("xgroup|delconsumer",     5, Lane, &[WRITE], &[key(2, &[RW, DELETE])])
        .doc("5.0.0", "Delete a consumer from a consumer group.", "O(1)"),
    cmd("xgroup|destroy",         4, Lane, &[WRITE], &[key(2, &[RW, DELETE])])
        .doc("5.0.0", "Destroy a consumer group.",
            "O(N) where N is the number of entries in the group's pending entries list (PEL)."),
    cmd("xgroup|help",            2, Lane, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("xgroup|setid",          -5, Lane, &[WRITE], &[key(2, &[RW, UPDATE])])
        .doc("5.0.0", "Set a consumer group to an arbitrary last delivered ID value.", "O(1)"),
    cmd("xinfo",           -2, Lane, &[], NO_KEYS).acl(&[])
        .doc("5.0.0", "A container for stream introspection commands", "Depends on subcommand."),
    cmd("xinfo|consumers",  4, Lane, &[READONLY], &[key(2, &[RO, ACCESS])])
        .doc("5.0.0", "List the consumers in a consumer group", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("xinfo|groups",     3, Lane, &[READONLY], &[key(2, &[RO, ACCESS])])
        .doc("5.0.0", "List the consumer groups of a stream", "O(1)"),
    cmd("xinfo|help",       2, Lane, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("xinfo|stream",    -3, Lane, &[READONLY], &[key(2, &[RO, ACCESS])])
        .doc("5.0.0", "Get information about a stream", "O(1)"),
    cmd("xlen",        2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("5.0.0", "Return the number of entries in a stream", "O(1)"),
    cmd("xpending",   -3, Lane, &[READONLY], &[key(1, &[RO, ACCESS])]).shape(LastNullArray)
        .doc("5.0.0", "Return information and entries from a stream consumer group pending entries list, \
            that are messages fetched but never acknowledged.",
            "O(N) with N being the number of elements returned, so asking for a small fixed number of \
            entries per call is O(1). O(M), where M is the total number of entries scanned when used with \
            the IDLE filter. When the command returns just the summary and the list of consumers is small, \
            it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.")
        .tips(&["nondeterministic_output"]),
    cmd("xrange",     -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(NullArray)
        .doc("5.0.0", "Return a range of elements in a stream, with IDs matching the specified IDs \
            interval",
            "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking \
            for the first 10 elements with COUNT), you can consider it O(1)."),
    cmd("xread",      -4, Lane, &[READONLY, BLOCKING], &[behind("STREAMS", 1, 2, &[RO, ACCESS])])
        .key_rule(StreamNames).shape(Streams)
        .doc("5.0.0", "Return never seen elements in multiple streams, with IDs greater than the ones \
            reported by the caller for each stream. Can block.",
            "For each stream mentioned: O(N) with N being the number of elements being returned, it means \
            that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will \
            pay O(M) time in order to serve the M clients blocked on the stream getting new data.")
        .note("With BLOCK: on a connection of its own."),
    cmd("xreadgroup", -7, Lane, &[WRITE, BLOCKING], &[behind("STREAMS", 4, 2, &[RO, ACCESS])])
        .key_rule(StreamNames).shape(Streams)
        .doc("5.0.0", "Return new entries from a stream using a consumer group, or access the history of \
            the pending entries for a given consumer. Can block.",
            "For each stream mentioned: O(M) with M being the number of elements returned. If M is \
            constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). \
            On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N \
            clients blocked on the stream getting new data.")
        .note("With BLOCK: on a connection of its own."),
    cmd("xrevrange",  -4, Cached, &[READONLY], &[key(1, &[RO, ACCESS])]).cache(SingleKey).shape(NullArray)
        .doc("5.0.0", "Return a range of elements in a stream, with IDs matching the specified IDs \
            interval, in reverse order (from greater to smaller IDs) compared to XRANGE",
            "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for \
            the first 10 elements with COUNT), you can consider it O(1)."),
    cmd("xsetid",     -3, Lane, &[WRITE, DENYOOM, FAST], &[key(1, &[RW, UPDATE])])
        .doc("5.0.0", "An internal command for replicating stream values", "O(1)"),
    cmd("xtrim",      -4, Lane, &[WRITE], &[key(1, &[RW, DELETE])])
        .doc("5.0.0", "Trims the stream to (approximately if '~' is passed) a certain size",
            "O(N), with N being the number of evicted entries. Constant times are very small however, \
            since entries are organized in macro nodes containing multiple entries that can be released \
            with a single deallocation.")
        .tips(&["nondeterministic_output"]),
];
