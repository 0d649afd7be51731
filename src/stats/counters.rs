//! Process-wide counters of things that happen rarely, in named groups.
//!
//! A new counter is one line in the group that it belongs to: it then has a name in INFO, is part of
//! the snapshot and is reset. What happens once per command does not belong here but in a `Recorder`,
//! since all cores would fight for the cache line.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Goes up only; CONFIG RESETSTAT sets it to zero.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.add(1);
    }
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// A present state that goes up and down; a reset leaves it alone.
#[derive(Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Adds one.
    pub fn inc(&self) {
        self.0.fetch_add(1, Relaxed);
    }
    /// Subtracts one.
    pub fn dec(&self) {
        self.sub(1);
    }
    /// Subtracts `n`, not below zero: a gauge that wrapped would read as 2^64 for ever.
    pub fn sub(&self, n: u64) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |v| Some(v.saturating_sub(n)));
    }
    /// Sets it.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }
    /// The present value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
    fn reset(&self) {}
}

/// Declares a group: the struct, aligned to cache lines of its own, and what can be done with all of its
/// fields. The text after `as` is put before a field's name in INFO.
macro_rules! counters {
    ($(#[$doc:meta])* pub struct $group:ident as $prefix:literal {
        $($(#[$field_doc:meta])* $field:ident: $kind:ty,)*
    }) => {
        $(#[$doc])*
        #[derive(Default)]
        #[repr(align(128))]
        pub struct $group {
            $($(#[$field_doc])* pub $field: $kind,)*
        }
        impl $group {
            /// Each field's name in INFO with its present value.
            pub fn each(&self, mut f: impl FnMut(&'static str, u64)) {
                $(f(concat!($prefix, stringify!($field)), self.$field.get());)*
            }
            /// Sets the counters to zero, not the gauges.
            pub(super) fn reset(&self) {
                $(self.$field.reset();)*
            }
        }
    };
}

counters! {
    /// The clients' side.
    pub struct ClientCounters as "" {
        /// Clients connected now.
        connected_clients: Gauge,
        /// Clients in a blocking command now.
        blocked_clients: Gauge,
        /// Clients that are subscribed to something now.
        pubsub_clients: Gauge,
        /// Clients that have asked us for CLIENT TRACKING now.
        tracking_clients: Gauge,
        /// Connections accepted.
        total_connections_received: Counter,
        /// Connections refused because of `maxclients`.
        rejected_connections: Counter,
        /// Clients disconnected because their buffers were over a limit.
        evicted_clients: Counter,
        /// Clients disconnected for being idle longer than the configured timeout.
        idle_clients_closed: Counter,
        /// Requests that broke the protocol; each ended its client.
        protocol_errors: Counter,
        /// Sessions ended by a bug of ours (a panic that was caught).
        sessions_crashed: Counter,
        /// AUTH or HELLO with a wrong password.
        auth_failures: Counter,
    }
}

counters! {
    /// Reads that L1 could have answered. What happens in L1 itself it counts itself, hits and misses the
    /// `Recorder`s.
    pub struct L1Counters as "l1_" {
        /// Would-be hits and sampled hits that were compared with the upstream's reply.
        checked: Counter,
        /// Those that were wrong. Anything but zero is a bug.
        checked_wrong: Counter,
        /// Bytes of replies that L1 would have served (`mode = "observe"`).
        observed_bytes: Counter,
        /// Reads behind the client's own unanswered commands that did not ask L1, where that is in vain.
        unasked: Counter,
        /// Keys that the upstream was told to be in use.
        kept_warm: Counter,
        /// Hits that had to wait because the lane was silent for longer than `max_staleness`.
        staleness_waits: Counter,
    }
}

counters! {
    /// The lanes and what goes over them.
    pub struct LaneCounters as "lane_" {
        /// Lanes connected and ready now.
        connected: Gauge,
        /// Commands sent and not answered yet.
        in_flight: Gauge,
        /// Connections that became ready.
        connects: Counter,
        /// Attempts to connect that failed.
        connect_failures: Counter,
        /// Ready connections that were lost.
        disconnects: Counter,
        /// Commands sent, our own (fences, tracking, SELECT) included.
        commands: Counter,
        /// Pushes received.
        pushes: Counter,
        /// Fences completed (several waiters may share one).
        fences: Counter,
        /// Reads sent again on a new lane because the old one was lost.
        read_retries: Counter,
        /// Bytes received.
        input_bytes: Counter,
        /// Bytes sent.
        output_bytes: Counter,
    }
}

counters! {
    /// Upstream connections that serve one client at a time, with what each was taken for.
    pub struct PinnedCounters as "pinned_" {
        /// Connections in use now.
        in_use: Gauge,
        /// Connections ready for use now.
        idle: Gauge,
        /// Times that a client took one.
        acquired: Counter,
        /// Connections opened for it.
        connects: Counter,
        /// Attempts to open one that failed.
        connect_failures: Counter,
        /// Times that a client was refused because all were in use.
        exhausted: Counter,
        /// Taken for a blocking command.
        for_blocking: Counter,
        /// Taken for WATCH.
        for_watch: Counter,
        /// Taken for a transaction that cannot go on the lane as one block.
        for_transaction: Counter,
        /// Taken for WAIT.
        for_wait: Counter,
        /// Taken for a command that we do not know.
        for_unknown: Counter,
        /// Taken for a request or reply above `bulk_threshold`.
        for_bulk: Counter,
        /// Taken for SCRIPT KILL or FUNCTION KILL.
        for_script_kill: Counter,
    }
}

counters! {
    /// Publish and subscribe.
    pub struct PubSubCounters as "pubsub_" {
        /// Channels subscribed to now.
        channels: Gauge,
        /// Patterns subscribed to now.
        patterns: Gauge,
        /// Messages received from the upstream or published here.
        messages: Counter,
        /// Messages delivered to clients (one per subscriber).
        deliveries: Counter,
        /// Times that everything was subscribed anew after the connection was lost: messages were missed.
        resubscribes: Counter,
        /// Subscribers disconnected because they read too slowly.
        subscribers_dropped: Counter,
    }
}

counters! {
    /// What was done without the upstream, and what became of it.
    pub struct FailoverCounters as "" {
        /// Times that the upstream was given up and memory took over.
        failovers: Counter,
        /// Times that it came back and was served from again.
        recoveries: Counter,
        /// Acknowledged writes sent to it then.
        replayed_writes: Counter,
        /// Acknowledged writes that were dropped, by configuration.
        discarded_writes: Counter,
        /// Reads refused without the upstream.
        refused_reads: Counter,
        /// Writes refused without the upstream.
        refused_writes: Counter,
        /// Writes sent whose outcome is unknown, since the connection was lost before the reply.
        uncertain_writes: Counter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reset_clears_counters_and_keeps_gauges() {
        let clients = ClientCounters::default();
        clients.connected_clients.inc();
        clients.total_connections_received.add(3);
        clients.reset();
        assert_eq!(clients.connected_clients.get(), 1);
        assert_eq!(clients.total_connections_received.get(), 0);
    }

    #[test]
    fn a_gauge_stops_at_zero() {
        let gauge = Gauge::default();
        gauge.inc();
        gauge.dec();
        gauge.dec();
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn names_carry_the_prefix_of_their_group() {
        let l1 = L1Counters::default();
        l1.staleness_waits.add(7);
        let mut seen = Vec::new();
        l1.each(|name, value| seen.push((name, value)));
        assert!(seen.contains(&("l1_staleness_waits", 7)));
        assert!(seen.iter().all(|(name, _)| name.starts_with("l1_")));
    }
}
