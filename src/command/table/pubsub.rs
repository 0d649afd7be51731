//! Publish and subscribe.

use super::words::{FAST, LOADING, NO_KEYS, NOSCRIPT, NOT_KEY, PUBSUB, Row, STALE, cmd, key, keys_from};
use crate::command::Class::{Lane, PubSub};

#[rustfmt::skip] // a row's facts on its first line, what Redis's documentation says below
pub(super) const COMMANDS: &[Row] = &[
    cmd("psubscribe",   -2, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Listen for messages published to channels matching the given patterns",
            "O(N) where N is the number of patterns the client is already subscribed to."),
    cmd("publish",       3, Lane, &[PUBSUB, LOADING, STALE, FAST], NO_KEYS)
        .doc("2.0.0", "Post a message to a channel",
            "O(N+M) where N is the number of clients subscribed to the receiving channel and M is the \
            total number of subscribed patterns (by any client)."),
    cmd("pubsub",               -2, Lane, &[], NO_KEYS)
        .doc("2.8.0", "A container for Pub/Sub commands", "Depends on subcommand."),
    cmd("pubsub|channels",      -2, Lane, &[PUBSUB, LOADING, STALE], NO_KEYS)
        .doc("2.8.0", "List active channels",
            "O(N) where N is the number of active channels, and assuming constant time pattern matching \
            (relatively short channels and patterns)"),
    cmd("pubsub|help",           2, Lane, &[LOADING, STALE], NO_KEYS)
        .doc("6.2.0", "Show helpful text about the different subcommands", "O(1)"),
    cmd("pubsub|numpat",         2, Lane, &[PUBSUB, LOADING, STALE], NO_KEYS)
        .doc("2.8.0", "Get the count of unique patterns pattern subscriptions", "O(1)"),
    cmd("pubsub|numsub",        -2, Lane, &[PUBSUB, LOADING, STALE], NO_KEYS)
        .doc("2.8.0", "Get the count of subscribers for channels",
            "O(N) for the NUMSUB subcommand, where N is the number of requested channels"),
    cmd("pubsub|shardchannels", -2, Lane, &[PUBSUB, LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "List active shard channels",
            "O(N) where N is the number of active shard channels, and assuming constant time pattern \
            matching (relatively short shard channels)."),
    cmd("pubsub|shardnumsub",   -2, Lane, &[PUBSUB, LOADING, STALE], NO_KEYS)
        .doc("7.0.0", "Get the count of subscribers for shard channels",
            "O(N) for the SHARDNUMSUB subcommand, where N is the number of requested shard channels"),
    cmd("punsubscribe", -1, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Stop listening for messages posted to channels matching the given patterns",
            "O(N+M) where N is the number of patterns the client is already subscribed and M is the number \
            of total patterns subscribed in the system (by any client)."),
    cmd("spublish",      3, Lane, &[PUBSUB, LOADING, STALE, FAST], &[key(1, &[NOT_KEY])])
        .doc("7.0.0", "Post a message to a shard channel",
            "O(N) where N is the number of clients subscribed to the receiving shard channel."),
    cmd("ssubscribe",   -2, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], &[keys_from(1, &[NOT_KEY])])
        .doc("7.0.0", "Listen for messages published to the given shard channels",
            "O(N) where N is the number of shard channels to subscribe to."),
    cmd("subscribe",    -2, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Listen for messages published to the given channels",
            "O(N) where N is the number of channels to subscribe to."),
    cmd("sunsubscribe", -1, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], &[keys_from(1, &[NOT_KEY])])
        .doc("7.0.0", "Stop listening for messages posted to the given shard channels",
            "O(N) where N is the number of clients already subscribed to a shard channel."),
    cmd("unsubscribe",  -1, PubSub, &[PUBSUB, NOSCRIPT, LOADING, STALE], NO_KEYS)
        .doc("2.0.0", "Stop listening for messages posted to the given channels",
            "O(N) where N is the number of clients already subscribed to a channel."),
];
