//! Cluster.

use super::words::{ADMIN, FAST, LOADING, NO_ASYNC_LOADING, NO_KEYS, NOSCRIPT, Row, STALE, cmd};
use crate::command::Class::{Admin, Denied, Local};
use crate::command::flags::Acl;

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("asking",     1, Local, &[FAST], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("3.0.0", "Sent by cluster clients after an -ASK redirect", "O(1)")
        .note("Changes the state of a connection to a cluster, so it must not reach the lane."),
    cmd("cluster",                       -2, Admin, &[], NO_KEYS)
        .doc("3.0.0", "A container for cluster commands", "Depends on subcommand."),
    cmd("cluster|addslots",              -3, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Assign new hash slots to receiving node",
            "O(N) where N is the total number of hash slot arguments"),
    cmd("cluster|addslotsrange",         -4, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("7.0.0", "Assign new hash slots to receiving node",
            "O(N) where N is the total number of the slots between the start slot and end slot arguments."),
    cmd("cluster|bumpepoch",              2, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Advance the cluster config epoch", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|count-failure-reports",  3, Admin, &[ADMIN, STALE], NO_KEYS)
        .doc("3.0.0", "Return the number of failure reports active for a given node",
            "O(N) where N is the number of failure reports")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|countkeysinslot",        3, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Return the number of local keys in the specified hash slot", "O(1)"),
    cmd("cluster|delslots",              -3, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Set hash slots as unbound in receiving node",
            "O(N) where N is the total number of hash slot arguments"),
    cmd("cluster|delslotsrange",         -4, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("7.0.0", "Set hash slots as unbound in receiving node",
            "O(N) where N is the total number of the slots between the start slot and end slot arguments."),
    cmd("cluster|failover",              -2, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Forces a replica to perform a manual failover of its master.", "O(1)"),
    cmd("cluster|flushslots",             2, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Delete a node's own slots information", "O(1)"),
    cmd("cluster|forget",                 3, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Remove a node from the nodes table", "O(1)"),
    cmd("cluster|getkeysinslot",          4, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Return local key names in the specified hash slot",
            "O(log(N)) where N is the number of requested keys")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|help",                   2, Admin, &[LOADING, STALE], NO_KEYS)
        .doc("5.0.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("cluster|info",                   2, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Provides info about Redis Cluster node state", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|keyslot",                3, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Returns the hash slot of the specified key",
            "O(N) where N is the number of bytes in the key"),
    cmd("cluster|links",                  2, Admin, &[STALE], NO_KEYS)
        .doc("7.0.0", "Returns a list of all TCP links to and from peer nodes in cluster",
            "O(N) where N is the total number of Cluster nodes")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|meet",                  -4, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Force a node cluster to handshake with another node", "O(1)"),
    cmd("cluster|myid",                   2, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Return the node id", "O(1)"),
    cmd("cluster|nodes",                  2, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Get Cluster config for the node",
            "O(N) where N is the total number of Cluster nodes")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|replicas",               3, Admin, &[ADMIN, STALE], NO_KEYS)
        .doc("5.0.0", "List replica nodes of the specified master node", "O(1)")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|replicate",              3, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Reconfigure a node as a replica of the specified master node", "O(1)"),
    cmd("cluster|reset",                 -2, Denied, &[ADMIN, NOSCRIPT, STALE], NO_KEYS)
        .doc("3.0.0", "Reset a Redis Cluster node",
            "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as a side \
            effect."),
    cmd("cluster|saveconfig",             2, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Forces the node to save cluster state on disk", "O(1)"),
    cmd("cluster|set-config-epoch",       3, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Set the configuration epoch in a new node", "O(1)"),
    cmd("cluster|setslot",               -4, Denied, &[ADMIN, STALE, NO_ASYNC_LOADING], NO_KEYS)
        .doc("3.0.0", "Bind a hash slot to a specific node", "O(1)"),
    cmd("cluster|shards",                 2, Admin, &[STALE], NO_KEYS)
        .doc("7.0.0", "Get array of cluster slots to node mappings",
            "O(N) where N is the total number of cluster nodes")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|slaves",                 3, Admin, &[ADMIN, STALE], NO_KEYS)
        .doc("3.0.0", "List replica nodes of the specified master node", "O(1)")
        .deprecated("5.0.0", "`CLUSTER REPLICAS`")
        .tips(&["nondeterministic_output"]),
    cmd("cluster|slots",                  2, Admin, &[STALE], NO_KEYS)
        .doc("3.0.0", "Get array of Cluster slot to node mappings",
            "O(N) where N is the total number of Cluster nodes")
        .deprecated("7.0.0", "`CLUSTER SHARDS`")
        .tips(&["nondeterministic_output"]),
    cmd("readonly",   1, Local, &[LOADING, STALE, FAST], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("3.0.0", "Enables read queries for a connection to a cluster replica node", "O(1)")
        .note("Changes the state of a connection to a cluster, so it must not reach the lane."),
    cmd("readwrite",  1, Local, &[LOADING, STALE, FAST], NO_KEYS).acl(&[Acl::CONNECTION])
        .doc("3.0.0", "Disables read queries for a connection to a cluster replica node", "O(1)")
        .note("Changes the state of a connection to a cluster, so it must not reach the lane."),
];
