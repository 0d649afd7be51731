//! Rows of the commands that are not about one type of key, and the commands that have no row.

use crate::table::{Excluded, Row, row};

/// Transactions, scripts, functions, pub/sub, connection and server.
pub const ROWS: &[Row] = &[
    // Transactions. MULTI opens one that the generator goes on with and ends.
    row("multi", "").exact().often(),
    row("exec", "").exact().fails().outside_multi().rarely(),
    row("exec", "MULTI ; GET skey ; HSET hkey field value ; INCR skey ; >").exact().outside_multi(),
    row("discard", "MULTI ; SET skey value ; >").exact().outside_multi(),
    row("discard", "").exact().fails().outside_multi().rarely(),
    row("watch", "key+").exact(),
    row("watch", "> skey=a ; GET =a ; MULTI ; APPEND =a value ; EXEC").exact().outside_multi(),
    row("unwatch", ""),
    // Scripts
    row("eval", "script #key+ value+"),
    row("eval_ro", "script #key+ value+"),
    row("evalsha", "SCRIPT LOAD script ; > sha #key+ value+"),
    row("evalsha", "sha #key+").rarely(),
    row("evalsha_ro", "SCRIPT LOAD script ; > sha #key+ value+"),
    row("script|load", "script"),
    row("script|exists", "sha+"),
    row("script|flush", "[SYNC|ASYNC]").rarely(),
    row("script|kill", "").fails().rarely(),
    row("function|load", "[REPLACE] library"),
    row("function|list", "[LIBRARYNAME libname] [WITHCODE]"),
    row("function|delete", "libname").rarely(),
    row("function|flush", "[SYNC|ASYNC]").rarely(),
    row("function|dump", "").rarely(),
    row("function|restore", "functions [FLUSH|APPEND|REPLACE]"),
    row("function|restore", "FUNCTION FLUSH ; > functions [FLUSH|APPEND|REPLACE]"),
    row("function|stats", "").rarely(),
    row("function|kill", "").fails().rarely(),
    row("fcall", "FUNCTION LOAD REPLACE goodlibrary ; > function #key+ value+"),
    row("fcall_ro", "FUNCTION LOAD REPLACE goodlibrary ; > function #key+ value+"),
    // Pub/sub with nobody listening
    row("publish", "channel value"),
    row("spublish", "channel value"),
    row("pubsub|channels", "[pattern]").rarely(),
    row("pubsub|numpat", "").rarely(),
    row("pubsub|numsub", "[channel]").rarely(),
    row("pubsub|shardchannels", "[pattern]").rarely(),
    row("pubsub|shardnumsub", "[channel]").rarely(),
    // Connection
    row("ping", "[value]").often(),
    row("echo", "value"),
    row("select", "db"),
    row("hello", "[(2|3|2|3|4|'abc) [SETNAME ident]]").exact().outside_multi(),
    row("reset", "> ; HELLO 3").exact().outside_multi().rarely(),
    row("auth", "[username] value").outside_multi().rarely(),
    row("client|id", "").outside_multi().rarely(),
    row("client|info", "").outside_multi().rarely(),
    row("client|list", "[TYPE (NORMAL|PUBSUB)|ID 999999]").outside_multi().rarely(),
    row("client|getname", "").outside_multi(),
    row("client|setname", "ident").outside_multi(),
    row("client|getredir", "").outside_multi().rarely(),
    row("client|trackinginfo", "").outside_multi().rarely(),
    row("client|caching", "(YES|NO)").outside_multi().fails().rarely(),
    row("client|kill", "(ID 999999|ADDR 1.2.3.4:5|LADDR 1.2.3.4:5|USER 'nouser|1.2.3.4:5)")
        .failing_options(&["USER"])
        .exact()
        .outside_multi()
        .rarely()
        ,
    row("client|no-evict", "(ON|OFF)").outside_multi().rarely(),
    row("client|unblock", "999999 [TIMEOUT|ERROR]").exact().outside_multi().rarely(),
    row("client|unpause", "").outside_multi().rarely(),
    // Databases
    row("dbsize", ""),
    row("flushdb", "[ASYNC|SYNC]").exact().rarely(),
    row("flushall", "[ASYNC|SYNC]").exact().rarely(),
    row("swapdb", "db db").rarely(),
    // Server
    row("time", "").rarely(),
    row("lastsave", "").rarely(),
    row("save", "").rarely().outside_multi(),
    row("info", "[SERVER|CLIENTS|COMMANDSTATS|NOSUCH]"),
    row("role", "").rarely(),
    row("lolwut", "[VERSION (5|6)]").exact().rarely(),
    row("wait", "0 0").exact(),
    row("config|get", "configname+").rarely(),
    row("config|set", "'maxmemory-samples (5|10|'abc)").exact().rarely(),
    row("config|rewrite", "").fails().rarely(),
    row("command", "").exact().rarely(),
    row("command|count", "").rarely(),
    row("command|list", "[FILTERBY (ACLCAT category|PATTERN pattern|MODULE ident)]").rarely(),
    row("command|info", "command+").exact().rarely(),
    row("command|docs", "command+").rarely(),
    row("command|getkeys", "(GET key|MSET key value key value|EVAL script 2 key key|XREAD STREAMS key key 0 0|PING|NOSUCH)")
        .failing_options(&["PING", "NOSUCH"])
        .rarely(),
    row("command|getkeysandflags", "(GET key|SET key value|SORT key STORE key|PING)")
        .failing_options(&["PING"])
        .rarely(),
    row("memory|usage", "key [SAMPLES count]"),
    row("memory|doctor", "").rarely(),
    row("memory|stats", "").rarely(),
    row("memory|malloc-stats", "").rarely(),
    row("memory|purge", "").rarely(),
    row("latency|latest", "").rarely(),
    row("latency|history", "ident").rarely(),
    row("latency|reset", "[ident]").rarely(),
    row("latency|graph", "ident").fails().rarely(),
    row("latency|doctor", "").rarely(),
    row("latency|histogram", "[command]").rarely(),
    row("slowlog|get", "[count]").rarely(),
    row("slowlog|len", "").rarely(),
    row("slowlog|reset", "").rarely(),
    row("module|list", "").rarely(),
    row("migrate", "127.0.0.1 port nokey 0 100 [COPY] [REPLACE]").exact().rarely(),
    row("acl|whoami", "").rarely(),
    row("acl|cat", "[category]").rarely(),
    row("acl|list", "").rarely(),
    row("acl|users", "").rarely(),
    row("acl|getuser", "username").rarely(),
    row("acl|dryrun", "username (GET key|SET key value|NOSUCH)").failing_options(&["NOSUCH"]).rarely(),
    row("acl|genpass", "[count]").rarely(),
    row("acl|log", "[count|RESET]").rarely(),
    // Cluster commands at a server that is none
    row("readonly", "").fails().rarely(),
    row("readwrite", "").fails().rarely(),
    row("asking", "").fails().rarely(),
    row("cluster|info", "").fails().rarely(),
    row("cluster|nodes", "").fails().rarely(),
    row("cluster|slots", "").fails().rarely(),
    row("cluster|shards", "").fails().rarely(),
    row("cluster|links", "").fails().rarely(),
    row("cluster|myid", "").fails().rarely(),
    row("cluster|keyslot", "key").fails().rarely(),
    row("cluster|countkeysinslot", "0").fails().rarely(),
    row("cluster|getkeysinslot", "0 count").fails().rarely(),
    row("cluster|replicas", "ident").fails().rarely(),
    row("cluster|slaves", "ident").fails().rarely(),
    row("cluster|count-failure-reports", "ident").fails().rarely(),
    // The texts of HELP
    row("acl|help", "").rarely(),
    row("client|help", "").outside_multi().rarely(),
    row("cluster|help", "").rarely().fails(),
    row("command|help", "").rarely(),
    row("config|help", "").rarely(),
    row("function|help", "").rarely(),
    row("latency|help", "").rarely(),
    row("memory|help", "").rarely(),
    row("module|help", "").rarely(),
    row("object|help", "").rarely(),
    row("pubsub|help", "").rarely(),
    row("script|help", "").rarely(),
    row("slowlog|help", "").rarely(),
    row("xgroup|help", "").rarely(),
    row("xinfo|help", "").rarely(),
    // What is no command
    row("(unknown)", "(NOSUCH|GETT|GET.KEY) [key] [value] [value]").fails(),
    row(
        "(unknown subcommand)",
        "(ACL|CLIENT|CLUSTER|COMMAND|CONFIG|FUNCTION|LATENCY|MEMORY|MODULE|OBJECT|PUBSUB|SCRIPT|SLOWLOG|XGROUP|XINFO) \
         ident [key] [value]",
    )
    .exact()
    .fails(),
    row(
        "(no subcommand)",
        "(ACL|CLIENT|CLUSTER|CONFIG|FUNCTION|LATENCY|MEMORY|MODULE|OBJECT|PUBSUB|SCRIPT|SLOWLOG|XGROUP|XINFO)",
    )
    .exact()
    .fails(),
];

const fn excluded(name: &'static str, reason: &'static str, covered_by: &'static str) -> Excluded {
    Excluded { name, reason, covered_by }
}

const ENDS: &str = "ends the server or the connection";
const ADMIN: &str = "changes what the server is";
const PUSHES: &str = "its replies are pushes, and it changes what the connection may do";
const REPLICATION: &str = "a replica's side of replication";

/// Commands that a generated sequence cannot hold.
pub const EXCLUDED: &[Excluded] = &[
    excluded("shutdown", ENDS, "it/conversations::server_admin"),
    excluded(
        "config|resetstat",
        "sets the counts to zero by which the test knows that L1 was asked",
        "it/near::reset_statistics",
    ),
    excluded("quit", ENDS, "it/conversations::quit_answers_and_closes"),
    excluded("monitor", "shows when other commands ran", "it/conversations::monitor_shows_commands"),
    excluded("subscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("unsubscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("psubscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("punsubscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("ssubscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("sunsubscribe", PUSHES, "it/conversations::subscriptions"),
    excluded("client|reply", "takes replies away", "it/conversations::client_reply"),
    excluded("client|tracking", PUSHES, "it/conversations::client_tracking"),
    excluded("client|pause", "stops all clients", "it/conversations::client_pause"),
    excluded("replicaof", ADMIN, "it/conversations::server_admin"),
    excluded("slaveof", ADMIN, "it/conversations::server_admin"),
    excluded("failover", ADMIN, "it/conversations::server_admin"),
    excluded("debug", ADMIN, "it/conversations::server_admin"),
    excluded("script|debug", "opens a debugger on the connection", "it/conversations::server_admin"),
    excluded("bgsave", "whether one runs already is a matter of time", "it/conversations::background_saves"),
    excluded(
        "bgrewriteaof",
        "whether one runs already is a matter of time",
        "it/conversations::background_saves",
    ),
    excluded("module|load", ADMIN, "it/conversations::server_admin"),
    excluded("module|loadex", ADMIN, "it/conversations::server_admin"),
    excluded("module|unload", ADMIN, "it/conversations::server_admin"),
    excluded("acl|setuser", ADMIN, "it/conversations::server_admin"),
    excluded("acl|deluser", ADMIN, "it/conversations::server_admin"),
    excluded("acl|load", ADMIN, "it/conversations::server_admin"),
    excluded("acl|save", ADMIN, "it/conversations::server_admin"),
    excluded("pfselftest", "computes for seconds", "it/conversations::server_admin"),
    excluded("psync", REPLICATION, "it/conversations::server_admin"),
    excluded("sync", REPLICATION, "it/conversations::server_admin"),
    excluded("replconf", REPLICATION, "it/conversations::server_admin"),
    excluded("cluster|addslots", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|addslotsrange", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|bumpepoch", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|delslots", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|delslotsrange", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|failover", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|flushslots", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|forget", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|meet", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|replicate", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|reset", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|saveconfig", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|set-config-epoch", ADMIN, "it/conversations::server_admin"),
    excluded("cluster|setslot", ADMIN, "it/conversations::server_admin"),
];
