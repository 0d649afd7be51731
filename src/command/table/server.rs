//! The server.

use super::words::{
    ADMIN, ALLOW_BUSY, ASKING, DENYOOM, FAST, LOADING, NO_ASYNC_LOADING, NO_KEYS, NO_MULTI, NOSCRIPT, OW,
    READONLY, RO, Row, STALE, UPDATE, WRITE, cmd, key,
};
use crate::command::Class::{Admin, Denied, Lane, Local};
use crate::command::Reach::Keyspace;
use crate::command::flags::Acl;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("acl",         -2, Admin, &[], NO_KEYS)
        .doc("6.0.0", "A container for Access List Control commands ", "Depends on subcommand."),
    cmd("acl|cat",     -2, Admin, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "List the ACL categories or the commands inside a category",
            "O(1) since the categories and commands are a fixed set."),
    cmd("acl|deluser", -3, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Remove the specified ACL users and the associated rules",
            "O(1) amortized time considering the typical user."),
    cmd("acl|dryrun",  -4, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "Returns whether the user can execute the given command without executing the \
            command.",
            "O(1)."),
    cmd("acl|genpass", -2, Admin, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Generate a pseudorandom secure password to use for ACL users", "O(1)"),
    cmd("acl|getuser",  3, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Get the rules for a specific ACL user",
            "O(N). Where N is the number of password, command and pattern rules that the user has."),
    cmd("acl|help",     2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("acl|list",     2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "List the current ACL rules in ACL config file format",
            "O(N). Where N is the number of configured users."),
    cmd("acl|load",     2, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Reload the ACLs from the configured ACL file",
            "O(N). Where N is the number of configured users."),
    cmd("acl|log",     -2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "List latest events denied because of ACLs in place",
            "O(N) with N being the number of entries shown."),
    cmd("acl|save",     2, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Save the current ACL rules in the configured ACL file",
            "O(N). Where N is the number of configured users."),
    cmd("acl|setuser", -3, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Modify or create the rules for a specific ACL user",
            "O(N). Where N is the number of rules provided."),
    cmd("acl|users",    2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "List the username of all the configured ACL rules",
            "O(N). Where N is the number of configured users."),
    cmd("acl|whoami",   2, Admin, &[NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("6.0.0", "Return the name of the user associated to the current connection", "O(1)"),
    cmd("bgrewriteaof",    1, Admin, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING], NO_KEYS)
        .doc("1.0.0", "Asynchronously rewrite the append-only file", "O(1)"),
    cmd("bgsave",         -1, Admin, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING], NO_KEYS)
        .doc("1.0.0", "Asynchronously save the dataset to disk", "O(1)"),
    cmd("command",                 -1, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("2.8.13", "Get array of Redis command details",
            "O(N) where N is the total number of Redis commands")
        .tips(&["nondeterministic_output_order"])
        .note("Redis's own list, with its modules."),
    cmd("command|count",            2, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("2.8.13", "Get total number of Redis commands", "O(1)"),
    cmd("command|docs",            -2, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("7.0.0", "Get array of specific Redis command documentation",
            "O(N) where N is the number of commands to look up")
        .tips(&["nondeterministic_output_order"]),
    cmd("command|getkeys",         -4, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("2.8.13", "Extract keys given a full Redis command",
            "O(N) where N is the number of arguments to the command"),
    cmd("command|getkeysandflags", -4, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("7.0.0", "Extract keys and access flags given a full Redis command",
            "O(N) where N is the number of arguments to the command"),
    cmd("command|help",             2, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("command|info",            -2, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("2.8.13", "Get array of specific Redis command details, or all when no argument is given.",
            "O(N) where N is the number of commands to look up")
        .tips(&["nondeterministic_output_order"]),
    cmd("command|list",            -2, Admin, &[LOADING, STALE], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("7.0.0", "Get an array of Redis command names",
            "O(N) where N is the total number of Redis commands")
        .tips(&["nondeterministic_output_order"]),
    cmd("config",           -2, Admin, &[], NO_KEYS)
        .doc("2.0.0", "A container for server configuration commands", "Depends on subcommand."),
    cmd("config|get",       -3, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Get the values of configuration parameters",
            "O(N) when N is the number of configuration parameters provided"),
    cmd("config|help",       2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("config|resetstat",  2, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Reset the stats returned by INFO", "O(1)")
        .note("Resets the proxy's statistics, not Redis's."),
    cmd("config|rewrite",    2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.0", "Rewrite the configuration file with the in memory configuration", "O(1)"),
    cmd("config|set",       -4, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Set configuration parameters to the given values",
            "O(N) when N is the number of configuration parameters provided")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("dbsize",          1, Lane, &[READONLY, FAST], NO_KEYS).acl(&[Acl::KEYSPACE])
        .doc("1.0.0", "Return the number of keys in the selected database", "O(1)")
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"]),
    cmd("debug",          -2, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS).reach(Keyspace)
        .doc("1.0.0", "A container for debugging commands", "Depends on subcommand.").syscmd(),
    cmd("failover",       -1, Denied, &[ADMIN, NOSCRIPT, STALE], NO_KEYS)
        .doc("6.2.0", "Start a coordinated failover between this server and one of its replicas.", "O(1)"),
    cmd("flushall",       -1, Admin, &[WRITE], NO_KEYS)
        .reach(Keyspace).acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("1.0.0", "Remove all keys from all databases",
            "O(N) where N is the total number of keys in all databases")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .note("Empties L1."),
    cmd("flushdb",        -1, Admin, &[WRITE], NO_KEYS)
        .reach(Keyspace).acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("1.0.0", "Remove all keys from the current database",
            "O(N) where N is the number of keys in the selected database")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .note("Empties L1."),
    cmd("info",           -1, Local, &[LOADING, STALE], NO_KEYS).acl(&[Acl::DANGEROUS])
        .doc("1.0.0", "Get information and statistics about the server", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"])
        .note("The proxy's own; `INFO upstream` and `INFO keyspace` are Redis's."),
    cmd("lastsave",        1, Admin, &[LOADING, STALE, FAST], NO_KEYS).acl(&[Acl::ADMIN, Acl::DANGEROUS])
        .doc("1.0.0", "Get the UNIX time stamp of the last successful save to disk", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("latency",           -2, Admin, &[], NO_KEYS)
        .doc("2.8.13", "A container for latency diagnostics commands", "Depends on subcommand."),
    cmd("latency|doctor",     2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Return a human readable latency analysis report.", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    cmd("latency|graph",      3, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Return a latency graph for the event.", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    cmd("latency|help",       2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Show helpful text about the different subcommands.", "O(1)"),
    cmd("latency|histogram", -2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "Return the cumulative distribution of latencies of a subset of commands or all.",
            "O(N) where N is the number of commands with latency information being retrieved.")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    cmd("latency|history",    3, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Return timestamp-latency samples for the event.", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    cmd("latency|latest",     2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Return the latest latency samples for all events.", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"]),
    cmd("latency|reset",     -2, Admin, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.8.13", "Reset latency data for one or more events.", "O(1)")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("lolwut",         -1, Admin, &[READONLY, FAST], NO_KEYS)
        .doc("5.0.0", "Display some computer art and the Redis version", ""),
    cmd("memory",              -2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "A container for memory diagnostics commands", "Depends on subcommand."),
    cmd("memory|doctor",        2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "Outputs memory problems report", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    cmd("memory|help",          2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("4.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("memory|malloc-stats",  2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "Show allocator internal stats",
            "Depends on how much memory is allocated, could be slow")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    cmd("memory|purge",         2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "Ask the allocator to release memory",
            "Depends on how much memory is allocated, could be slow")
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"]),
    cmd("memory|stats",         2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "Show memory usage details", "O(1)")
        .tips(&["nondeterministic_output", "request_policy:all_shards", "response_policy:special"]),
    cmd("memory|usage",        -3, Admin, &[READONLY], &[key(2, &[RO])])
        .doc("4.0.0", "Estimate the memory usage of a key", "O(N) where N is the number of samples."),
    cmd("module",        -2, Admin, &[], NO_KEYS)
        .doc("4.0.0", "A container for module commands", "Depends on subcommand."),
    cmd("module|help",    2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("module|list",    2, Admin, &[ADMIN, NOSCRIPT], NO_KEYS)
        .doc("4.0.0", "List all modules loaded by the server",
            "O(N) where N is the number of loaded modules.")
        .tips(&["nondeterministic_output_order"]),
    cmd("module|load",   -3, Denied, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING], NO_KEYS)
        .doc("4.0.0", "Load a module", "O(1)"),
    cmd("module|loadex", -3, Denied, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING], NO_KEYS)
        .doc("7.0.0", "Load a module with extended parameters", "O(1)"),
    cmd("module|unload",  3, Denied, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING], NO_KEYS)
        .doc("4.0.0", "Unload a module", "O(1)"),
    cmd("monitor",         1, Local, &[ADMIN, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("1.0.0", "Listen for all requests received by the server in real time", "")
        .note("What all clients of this proxy ask for, whoever answers it; for what Redis does, connect to Redis."),
    cmd("psync",          -3, Denied, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING, NO_MULTI], NO_KEYS)
        .always_denied()
        .doc("2.8.0", "Internal command used for replication", "")
        .note("Refused even if administrative commands are allowed."),
    cmd("replconf",       -1, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE, ALLOW_BUSY], NO_KEYS)
        .always_denied()
        .doc("3.0.0", "An internal command for configuring the replication stream", "O(1)").syscmd()
        .note("Refused even if administrative commands are allowed."),
    cmd("replicaof",       3, Denied, &[ADMIN, NOSCRIPT, STALE, NO_ASYNC_LOADING], NO_KEYS).reach(Keyspace)
        .doc("5.0.0", "Make the server a replica of another instance, or promote it as master.", "O(1)"),
    cmd("restore-asking", -4, Lane, &[WRITE, DENYOOM, ASKING], &[key(1, &[OW, UPDATE])])
        .acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("3.0.0", "An internal command for migrating keys in a cluster",
            "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N \
            is the number of Redis objects composing the value and M their average size. For small string \
            values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for \
            sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is \
            O(log(N)).").syscmd()
        .note("Of the cluster's own use."),
    cmd("role",            1, Admin, &[NOSCRIPT, LOADING, STALE, FAST], NO_KEYS)
        .acl(&[Acl::ADMIN, Acl::DANGEROUS])
        .doc("2.8.12", "Return the role of the instance in the context of replication", "O(1)"),
    cmd("save",            1, Admin, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING, NO_MULTI], NO_KEYS)
        .doc("1.0.0", "Synchronously save the dataset to disk",
            "O(N) where N is the total number of keys in all databases"),
    cmd("shutdown",       -1, Denied, &[ADMIN, NOSCRIPT, LOADING, STALE, NO_MULTI, ALLOW_BUSY], NO_KEYS)
        .doc("1.0.0", "Synchronously save the dataset to disk and then shut down the server",
            "O(N) when saving, where N is the total number of keys in all databases when saving data, \
            otherwise O(1)"),
    cmd("slaveof",         3, Denied, &[ADMIN, NOSCRIPT, STALE, NO_ASYNC_LOADING], NO_KEYS).reach(Keyspace)
        .doc("1.0.0", "Make the server a replica of another instance, or promote it as master.", "O(1)")
        .deprecated("5.0.0", "`REPLICAOF`"),
    cmd("slowlog",       -2, Admin, &[], NO_KEYS)
        .doc("2.2.12", "A container for slow log commands", "Depends on subcommand."),
    cmd("slowlog|get",   -2, Admin, &[ADMIN, LOADING, STALE], NO_KEYS)
        .doc("2.2.12", "Get the slow log's entries", "O(N) where N is the number of entries returned")
        .tips(&["request_policy:all_nodes", "nondeterministic_output"]),
    cmd("slowlog|help",   2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("slowlog|len",    2, Admin, &[ADMIN, LOADING, STALE], NO_KEYS)
        .doc("2.2.12", "Get the slow log's length", "O(1)")
        .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"]),
    cmd("slowlog|reset",  2, Admin, &[ADMIN, LOADING, STALE], NO_KEYS)
        .doc("2.2.12", "Clear all entries from the slow log",
            "O(N) where N is the number of entries in the slowlog")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
    cmd("swapdb",          3, Admin, &[WRITE, FAST], NO_KEYS)
        .reach(Keyspace).acl(&[Acl::DANGEROUS, Acl::KEYSPACE])
        .doc("4.0.0", "Swaps two Redis databases",
            "O(N) where N is the count of clients watching or blocking on keys from both databases.")
        .note("Empties L1."),
    cmd("sync",            1, Denied, &[ADMIN, NOSCRIPT, NO_ASYNC_LOADING, NO_MULTI], NO_KEYS)
        .always_denied()
        .doc("1.0.0", "Internal command used for replication", "")
        .note("Refused even if administrative commands are allowed."),
    cmd("time",            1, Admin, &[LOADING, STALE, FAST], NO_KEYS)
        .doc("2.6.0", "Return the current server time", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("nearcache", -2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "A container for the proxy's own commands", "Depends on subcommand."),
    cmd("nearcache|bypass",      -2, Local, &[NOSCRIPT, LOADING, STALE, FAST], NO_KEYS).ours()
        .doc("1.0.0", "Turn the near cache off and on for this connection", "O(1)")
        .note("`ON`: this connection's reads all go to Redis. Without argument it tells. RESET turns it off."),
    cmd("nearcache|clear",        2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Remove all entries of the near cache", "O(N) where N is the number of entries")
        .note("The number of entries removed; Redis keeps its keys."),
    cmd("nearcache|config",      -4, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Get and set the proxy's options", "O(N) where N is the number of options")
        .note("`GET pattern …`, `SET option value …`: options of `[cache]` and namespaces can be set, until the \
            next reload."),
    cmd("nearcache|consistency", -2, Local, &[NOSCRIPT, LOADING, STALE, FAST], NO_KEYS).ours()
        .doc("1.0.0", "Choose how fresh this connection's hits are", "O(1)")
        .note("`fenced`: a hit is as fresh as Redis's own answer, for one PING per batch. `default`. Without \
            argument it tells. RESET makes it default."),
    cmd("nearcache|debug",        4, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Show what is cached of a key", "O(N) where N is the number of its cached replies")
        .note("`KEY key`: each cached reply with its age, its deadline and its size, and the settings that \
            apply."),
    cmd("nearcache|fence",        2, Local, &[NOSCRIPT, LOADING, STALE, FAST], NO_KEYS).ours()
        .doc("1.0.0", "Wait until the near cache has caught up with Redis", "O(1)")
        .note("`+OK` once all changes that Redis made before have left L1, whoever made them."),
    cmd("nearcache|help",         2, Local, &[LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("nearcache|invalidate",   3, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Remove the entries of all keys that match a pattern",
            "O(N) where N is the number of entries")
        .note("A glob as in KEYS. The number of entries removed."),
    cmd("nearcache|stats",        2, Local, &[NOSCRIPT, LOADING, STALE], NO_KEYS).ours()
        .doc("1.0.0", "Show what the near cache has done", "O(1)")
        .note("The sections Nearcache and Namespaces of INFO."),
];
