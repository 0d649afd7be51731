//! Keys of any type.

use super::words::{
    ACCESS, DELETE, DENYOOM, FAST, INCOMPLETE, INSERT, LOADING, NO_KEYS, NOSCRIPT, OW, READONLY, RM, RO, RW,
    Row, STALE, UPDATE, WRITE, behind, cmd, hidden, key, keys_from,
};
use crate::command::Cache::{PerKey, SingleKey};
use crate::command::Class::{Admin, Cached, Lane, Pinned};
use crate::command::Reach::ReadsMore;
use crate::command::flags::Acl;
use crate::command::keys::KeyRule::{Migrate, Sort};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("copy",        -3, Lane, &[WRITE, DENYOOM], &[key(1, &[RO, ACCESS]), key(2, &[OW, UPDATE])])
        .doc("6.2.0", "Copy a key",
            "O(N) worst case for collections, where N is the number of nested items. O(1) for string \
            values."),
    cmd("del",         -2, Lane, &[WRITE], &[keys_from(1, &[RM, DELETE])])
        .doc("1.0.0", "Delete a key",
            "O(N) where N is the number of keys that will be removed. When a key to remove holds a value \
            other than a string, the individual complexity for this key is O(M) where M is the number of \
            elements in the list, set, sorted set or hash. Removing a single key that holds a string value \
            is O(1).")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("dump",         2, Lane, &[READONLY], &[key(1, &[RO, ACCESS])])
        .doc("2.6.0", "Return a serialized version of the value stored at the specified key.",
            "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis \
            objects composing the value and M their average size. For small string values the time \
            complexity is thus O(1)+O(1*M) where M is small, so simply O(1).")
        .tips(&["nondeterministic_output"]),
    cmd("exists",      -2, Cached, &[READONLY, FAST], &[keys_from(1, &[RO])]).cache(PerKey)
        .doc("1.0.0", "Determine if a key exists", "O(N) where N is the number of keys to check.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .note("Counted key by key, a repeated key as often as it is named."),
    cmd("expire",      -3, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("1.0.0", "Set a key's time to live in seconds", "O(1)"),
    cmd("expireat",    -3, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("1.2.0", "Set the expiration for a key as a UNIX timestamp", "O(1)"),
    cmd("expiretime",   2, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("7.0.0", "Get the expiration Unix timestamp for a key", "O(1)"),
    cmd("keys",         2, Lane, &[READONLY], NO_KEYS).acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("1.0.0", "Find all keys matching the given pattern",
            "O(N) with N being the number of keys in the database, under the assumption that the key names \
            in the database and the given pattern have limited length.")
        .tips(&["request_policy:all_shards", "nondeterministic_output_order"]),
    cmd("migrate",     -6, Lane, &[WRITE], &[
            key(3, &[RW, ACCESS, DELETE]),
            behind("KEYS", -2, 0, &[RW, ACCESS, DELETE, INCOMPLETE]),
        ]).key_rule(Migrate).acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("2.6.0", "Atomically transfer a key from a Redis instance to another one.",
            "This command actually executes a DUMP+DEL in the source instance, and a RESTORE in the target \
            instance. See the pages of these commands for time complexity. Also an O(N) data transfer \
            between the two instances is performed.")
        .tips(&["nondeterministic_output"])
        .note("The keys leave L1 as for any write."),
    cmd("move",         3, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, UPDATE])])
        .doc("1.0.0", "Move a key to another database", "O(1)"),
    cmd("object",          -2, Admin, &[], NO_KEYS).acl(&[])
        .doc("2.2.3", "A container for object introspection commands", "Depends on subcommand."),
    cmd("object|encoding",  3, Admin, &[READONLY], &[key(2, &[RO])])
        .doc("2.2.3", "Inspect the internal encoding of a Redis object", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("object|freq",      3, Admin, &[READONLY], &[key(2, &[RO])])
        .doc("4.0.0", "Get the logarithmic access frequency counter of a Redis object", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("object|help",      2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("object|idletime",  3, Admin, &[READONLY], &[key(2, &[RO])])
        .doc("2.2.3", "Get the time since a Redis object was last accessed", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("object|refcount",  3, Admin, &[READONLY], &[key(2, &[RO])])
        .doc("2.2.3", "Get the number of references to the value of the key", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("persist",      2, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("2.2.0", "Remove the expiration from a key", "O(1)"),
    cmd("pexpire",     -3, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("2.6.0", "Set a key's time to live in milliseconds", "O(1)"),
    cmd("pexpireat",   -3, Lane, &[WRITE, FAST], &[key(1, &[RW, UPDATE])])
        .doc("2.6.0", "Set the expiration for a key as a UNIX timestamp specified in milliseconds", "O(1)"),
    cmd("pexpiretime",  2, Cached, &[READONLY, FAST], &[key(1, &[RO, ACCESS])]).cache(SingleKey)
        .doc("7.0.0", "Get the expiration Unix timestamp for a key in milliseconds", "O(1)"),
    cmd("pttl",         2, Lane, &[READONLY, FAST], &[key(1, &[RO, ACCESS])])
        .doc("2.6.0", "Get the time to live for a key in milliseconds", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("randomkey",    1, Lane, &[READONLY], NO_KEYS)
        .doc("1.0.0", "Return a random key from the keyspace", "O(1)")
        .tips(&["request_policy:all_shards", "nondeterministic_output"]),
    cmd("rename",       3, Lane, &[WRITE], &[key(1, &[RW, ACCESS, DELETE]), key(2, &[OW, UPDATE])])
        .doc("1.0.0", "Rename a key", "O(1)"),
    cmd("renamenx",     3, Lane, &[WRITE, FAST], &[key(1, &[RW, ACCESS, DELETE]), key(2, &[OW, INSERT])])
        .doc("1.0.0", "Rename a key, only if the new key does not exist", "O(1)"),
    cmd("restore",     -4, Lane, &[WRITE, DENYOOM], &[key(1, &[OW, UPDATE])])
        .acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("2.6.0", "Create a key using the provided serialized value, previously obtained using DUMP.",
            "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N \
            is the number of Redis objects composing the value and M their average size. For small string \
            values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for \
            sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is \
            O(log(N))."),
    cmd("scan",        -2, Lane, &[READONLY], NO_KEYS)
        .doc("2.8.0", "Incrementally iterate the keys space",
            "O(1) for every call. O(N) for a complete iteration, including enough command calls for the \
            cursor to return back to 0. N is the number of elements inside the collection.")
        .tips(&["nondeterministic_output", "request_policy:special"]),
    cmd("sort",        -2, Lane, &[WRITE, DENYOOM], &[
            key(1, &[RO, ACCESS]),
            hidden(&[RO, ACCESS])
                .notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names \
            derive from the content of the key we sort"),
            hidden(&[OW, UPDATE])
                .notes("For the optional STORE keyword. It is marked 'unknown' because the keyword can \
            appear anywhere in the argument array"),
        ]).reach(ReadsMore).key_rule(Sort).acl(&[Acl::DANGEROUS, Acl::LIST, Acl::SET, Acl::SORTEDSET])
        .doc("1.0.0", "Sort the elements in a list, set or sorted set",
            "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number \
            of returned elements. When the elements are not sorted, complexity is O(N).")
        .note("Never cached: Redis does not track the keys behind BY and GET patterns."),
    cmd("sort_ro",     -2, Lane, &[READONLY], &[
            key(1, &[RO, ACCESS]),
            hidden(&[RO, ACCESS])
                .notes("For the optional BY/GET keyword. It is marked 'unknown' because the key names \
            derive from the content of the key we sort"),
        ]).reach(ReadsMore).key_rule(Sort).acl(&[Acl::DANGEROUS, Acl::LIST, Acl::SET, Acl::SORTEDSET])
        .doc("7.0.0", "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
            "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number \
            of returned elements. When the elements are not sorted, complexity is O(N).")
        .note("Never cached: Redis does not track the keys behind BY and GET patterns."),
    cmd("touch",       -2, Lane, &[READONLY, FAST], &[keys_from(1, &[RO])])
        .doc("3.2.1", "Alters the last access time of a key(s). Returns the number of existing keys \
            specified.",
            "O(N) where N is the number of keys that will be touched.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .note("Not answered from L1: it is meant for Redis."),
    cmd("ttl",          2, Lane, &[READONLY, FAST], &[key(1, &[RO, ACCESS])])
        .doc("1.0.0", "Get the time to live for a key in seconds", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("type",         2, Cached, &[READONLY, FAST], &[key(1, &[RO])]).cache(SingleKey)
        .doc("1.0.0", "Determine the type stored at key", "O(1)"),
    cmd("unlink",      -2, Lane, &[WRITE, FAST], &[keys_from(1, &[RM, DELETE])])
        .doc("4.0.0", "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non \
            blocking.",
            "O(1) for each key removed regardless of its size. Then the command does O(N) work in a \
            different thread in order to reclaim memory, where N is the number of allocations the deleted \
            objects where composed of.")
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"]),
    cmd("wait",         3, Pinned, &[NOSCRIPT], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("3.0.0", "Wait for the synchronous replication of all the write commands sent in the context \
            of the current connection",
            "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .note("Sent once all writes of this client have been answered."),
];
