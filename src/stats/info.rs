//! INFO: everything counted, as text in Redis's format.
//!
//! A field has Redis's name where it means the same as there, so that existing tools can read it; our own
//! fields are in sections of their own, behind Redis's. What `Stats` cannot know comes in an `InfoContext`.

mod process;

use std::fmt::{Display, Write};
use std::time::UNIX_EPOCH;

use super::{Latency, Served, Snapshot, Stats};

/// What the wiring tells about the rest of the program at the moment of an INFO.
#[derive(Clone, Debug, Default)]
pub struct InfoContext<'a> {
    /// Our version.
    pub nearcache_version: &'a str,
    /// The upstream's version where it is known.
    pub redis_version: Option<&'a str>,
    /// 40 hex digits chosen at start.
    pub run_id: &'a str,
    /// The first TCP port listened on, 0 for none.
    pub tcp_port: u16,
    /// Path of the configuration file, empty for none.
    pub config_file: &'a str,
    /// `proxy`, `memory`, `failover` or `recovering`.
    pub mode: &'a str,
    /// `up`, `down` or `none`.
    pub upstream_status: &'a str,
    /// `tracking`, `ttl` or `none`.
    pub coherence: &'a str,
    /// Limit of connected clients.
    pub max_clients: u64,
    /// Sizes.
    pub memory: MemoryInfo<'a>,
    /// L1's present size, and what has happened in it.
    pub l1: L1Info<'a>,
    /// Acknowledged writes not yet replayed.
    pub journal: JournalInfo,
    /// The memory engine's keys.
    pub keyspace: KeyspaceInfo<'a>,
    /// Fields of other modules. A section of a known name is continued, another one comes last.
    pub extra: &'a [ExtraSection<'a>],
}

/// Sizes in bytes.
#[derive(Clone, Debug, Default)]
pub struct MemoryInfo<'a> {
    /// Allocated by the program (`used_memory`).
    pub used: u64,
    /// The most that ever was.
    pub peak: u64,
    /// In pages that the allocator has in use.
    pub allocator_active: u64,
    /// In pages that the allocator holds in memory.
    pub allocator_resident: u64,
    /// Name and version of the allocator.
    pub allocator: &'a str,
    /// `max_memory`.
    pub max: u64,
    /// The eviction policy by Redis's name.
    pub policy: &'a str,
}

/// L1's present size, and what has happened in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct L1Info<'a> {
    /// Cached replies.
    pub entries: u64,
    /// Their bytes, overhead included.
    pub bytes: u64,
    /// The most that they may take.
    pub max_bytes: u64,
    /// Names and values.
    pub counters: &'a [(&'static str, u64)],
}

/// The journal's present size.
#[derive(Clone, Copy, Debug, Default)]
pub struct JournalInfo {
    /// Keys with writes to replay.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The memory engine's keys. All zero in a proxy: these fields mean lookups of real keys, not of L1.
#[derive(Clone, Debug, Default)]
pub struct KeyspaceInfo<'a> {
    /// Lookups that found the key.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Keys removed because their time was over.
    pub expired: u64,
    /// Keys removed for want of memory.
    pub evicted: u64,
    /// One row per database that has keys.
    pub databases: &'a [DatabaseInfo],
}

/// One database of the memory engine.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseInfo {
    /// Its number.
    pub db: u32,
    /// Its keys.
    pub keys: u64,
    /// Those with a time to live.
    pub expires: u64,
    /// The average of these times.
    pub avg_ttl_ms: u64,
}

/// Fields that another module adds.
#[derive(Clone, Debug)]
pub struct ExtraSection<'a> {
    /// As printed behind the `#`.
    pub name: &'a str,
    /// Names and values.
    pub fields: &'a [(&'a str, String)],
}

type Render = fn(&mut Text, &Inputs);

/// A section's name, whether plain INFO shows it, and what prints its fields.
struct Section(&'static str, bool, Render);

/// All sections in the order in which they are printed: Redis's, then ours.
const SECTIONS: &[Section] = &[
    Section("Server", true, server),
    Section("Clients", true, clients),
    Section("Memory", true, memory),
    Section("Persistence", true, persistence),
    Section("Stats", true, stats),
    Section("Replication", true, replication),
    Section("CPU", true, cpu),
    Section("Modules", true, |_, _| ()),
    Section("Commandstats", false, commandstats),
    Section("Errorstats", true, errorstats),
    Section("Latencystats", false, latencystats),
    Section("Cluster", true, |t, _| t.field("cluster_enabled", 0)),
    Section("Keyspace", true, keyspace),
    Section("Nearcache", true, nearcache),
    Section("Upstream", true, upstream),
];

/// Client counters that Redis lists under Stats rather than Clients.
const CLIENT_FIELDS_OF_STATS: [&str; 3] =
    ["total_connections_received", "rejected_connections", "evicted_clients"];

/// What the sections print from; the merged counters are made once per INFO.
struct Inputs<'a> {
    stats: &'a Stats,
    snapshot: Snapshot,
    context: &'a InfoContext<'a>,
}

impl Stats {
    /// The text of INFO for the sections asked for (none: the default ones), with Redis's rules: case
    /// does not matter, `all` and `everything` are all, unknown names give nothing.
    pub fn info<'n>(&self, asked: impl IntoIterator<Item = &'n [u8]>, context: &InfoContext) -> String {
        let wanted = Wanted::new(asked);
        let inputs = Inputs { stats: self, snapshot: self.snapshot(), context };
        let mut text = Text(String::with_capacity(4096));
        for Section(name, by_default, render) in SECTIONS {
            if wanted.has(name, *by_default) {
                text.section(name);
                render(&mut text, &inputs);
                text.extra(context.extra.iter().filter(|extra| extra.name.eq_ignore_ascii_case(name)));
            }
        }
        let known = |name: &str| SECTIONS.iter().any(|section| section.0.eq_ignore_ascii_case(name));
        for extra in context.extra.iter().filter(|extra| !known(extra.name)) {
            if wanted.has(extra.name, true) {
                text.section(extra.name);
                text.extra(std::iter::once(extra));
            }
        }
        text.0
    }
}

/// Which sections were asked for.
struct Wanted<'n> {
    all: bool,
    defaults: bool,
    names: Vec<&'n [u8]>,
}

impl<'n> Wanted<'n> {
    fn new(asked: impl IntoIterator<Item = &'n [u8]>) -> Wanted<'n> {
        let names: Vec<&[u8]> = asked.into_iter().collect();
        let named = |name: &str| names.iter().any(|asked| asked.eq_ignore_ascii_case(name.as_bytes()));
        let (all, defaults) = (named("all") || named("everything"), names.is_empty() || named("default"));
        Wanted { all, defaults, names }
    }

    fn has(&self, name: &str, by_default: bool) -> bool {
        let named = || self.names.iter().any(|asked| asked.eq_ignore_ascii_case(name.as_bytes()));
        self.all || (self.defaults && by_default) || named()
    }
}

/// The text as it grows.
struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\r\n" };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{gap}# {name}\r\n");
    }

    fn field(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.0, "{name}:");
        let start = self.0.len();
        let _ = write!(self.0, "{value}");
        // A path or an upstream's version must not be able to forge fields.
        if self.0[start..].contains(['\r', '\n']) {
            let value = self.0.split_off(start).replace(['\r', '\n'], "_");
            self.0.push_str(&value);
        }
        self.0.push_str("\r\n");
    }

    /// The field and its `_human` twin, as Redis has them.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }

    fn extra<'a>(&mut self, sections: impl Iterator<Item = &'a ExtraSection<'a>>) {
        for (name, value) in sections.flat_map(|section| section.fields) {
            self.field(name, value);
        }
    }

    /// The distribution of a latency in one field; nothing if there was none.
    fn latency(&mut self, name: &str, latency: &Latency) {
        if latency.count() == 0 {
            return;
        }
        let percentile = |p| latency.percentile_usec(p);
        self.field(
            name,
            format_args!(
                "count={},avg={:.3},p50={:.3},p99={:.3},p99.9={:.3},p99.99={:.3},max={:.3}",
                latency.count(),
                latency.average_usec(),
                percentile(50.0),
                percentile(99.0),
                percentile(99.9),
                percentile(99.99),
                latency.max_usec()
            ),
        );
    }
}

fn server(t: &mut Text, i: &Inputs) {
    let uptime = i.stats.started.elapsed().as_secs();
    let now_usec = UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros());
    t.field("redis_version", i.context.redis_version.unwrap_or("7.0.15"));
    t.field("redis_mode", "standalone");
    t.field("os", process::os());
    t.field("arch_bits", usize::BITS);
    t.field("process_id", std::process::id());
    t.field("process_supervised", "no");
    t.field("run_id", i.context.run_id);
    t.field("tcp_port", i.context.tcp_port);
    t.field("server_time_usec", now_usec);
    t.field("uptime_in_seconds", uptime);
    t.field("uptime_in_days", uptime / 86_400);
    t.field("executable", std::env::current_exe().unwrap_or_default().display());
    t.field("config_file", i.context.config_file);
}

fn clients(t: &mut Text, i: &Inputs) {
    t.field("maxclients", i.context.max_clients);
    i.stats.clients.each(|name, value| {
        if !CLIENT_FIELDS_OF_STATS.contains(&name) {
            t.field(name, value);
        }
    });
}

fn memory(t: &mut Text, i: &Inputs) {
    let memory = &i.context.memory;
    let rss = process::resident_bytes();
    let peak = memory.peak.max(memory.used);
    t.bytes("used_memory", memory.used);
    t.bytes("used_memory_rss", rss);
    t.bytes("used_memory_peak", peak);
    t.field("used_memory_peak_perc", format_args!("{:.2}%", 100.0 * ratio(memory.used, peak)));
    t.field("allocator_allocated", memory.used);
    t.field("allocator_active", memory.allocator_active);
    t.field("allocator_resident", memory.allocator_resident);
    t.bytes("total_system_memory", process::system_memory_bytes());
    t.bytes("maxmemory", memory.max);
    t.field("maxmemory_policy", memory.policy);
    t.field("allocator_frag_ratio", format_args!("{:.2}", ratio(memory.allocator_active, memory.used)));
    t.field("mem_fragmentation_ratio", format_args!("{:.2}", ratio(rss, memory.used)));
    t.field("mem_allocator", memory.allocator);
}

/// There is none, which these fields say in the words that clients and exporters look for.
fn persistence(t: &mut Text, _: &Inputs) {
    for name in ["loading", "async_loading", "rdb_bgsave_in_progress"] {
        t.field(name, 0);
    }
    t.field("rdb_last_bgsave_status", "ok");
    t.field("aof_enabled", 0);
    t.field("aof_rewrite_in_progress", 0);
}

fn stats(t: &mut Text, i: &Inputs) {
    let (clients, snapshot, keyspace) = (&i.stats.clients, &i.snapshot, &i.context.keyspace);
    t.field("total_connections_received", clients.total_connections_received.get());
    t.field("total_commands_processed", snapshot.totals.commands());
    t.field("instantaneous_ops_per_sec", snapshot.commands_per_second.round());
    t.field("total_net_input_bytes", snapshot.totals.bytes_in);
    t.field("total_net_output_bytes", snapshot.totals.bytes_out);
    t.field("instantaneous_input_kbps", format_args!("{:.2}", snapshot.bytes_in_per_second / 1024.0));
    t.field("instantaneous_output_kbps", format_args!("{:.2}", snapshot.bytes_out_per_second / 1024.0));
    t.field("rejected_connections", clients.rejected_connections.get());
    t.field("expired_keys", keyspace.expired);
    t.field("evicted_keys", keyspace.evicted);
    t.field("evicted_clients", clients.evicted_clients.get());
    t.field("keyspace_hits", keyspace.hits);
    t.field("keyspace_misses", keyspace.misses);
    i.stats.pubsub.each(|name, value| t.field(name, value));
    t.field("total_error_replies", snapshot.error_replies);
}

/// Always a master without replicas: nobody can replicate from a proxy.
fn replication(t: &mut Text, _: &Inputs) {
    t.field("role", "master");
    t.field("connected_slaves", 0);
    t.field("master_repl_offset", 0);
}

fn cpu(t: &mut Text, _: &Inputs) {
    let cpu = process::cpu();
    t.field("used_cpu_sys", format_args!("{:.6}", cpu.sys));
    t.field("used_cpu_user", format_args!("{:.6}", cpu.user));
    t.field("used_cpu_sys_children", format_args!("{:.6}", cpu.sys_children));
    t.field("used_cpu_user_children", format_args!("{:.6}", cpu.user_children));
}

fn commandstats(t: &mut Text, i: &Inputs) {
    i.stats.each_command(|name, c| {
        let (calls, usec) = (c.latency.count(), c.latency.total().as_micros());
        let (average, rejected, failed) = (c.latency.average_usec(), c.rejected, c.failed);
        t.field(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={calls},usec={usec},usec_per_call={average:.2},rejected_calls={rejected},failed_calls={failed}"
            ),
        );
    });
}

fn errorstats(t: &mut Text, i: &Inputs) {
    i.stats.each_error(|prefix, count| {
        // A script can return any prefix; Redis replaces what would break the format.
        let name = prefix.replace(['#', ':', '\r', '\n'], "_");
        t.field(&format!("errorstat_{name}"), format_args!("count={count}"));
    });
}

fn latencystats(t: &mut Text, i: &Inputs) {
    i.stats.each_command(|name, c| {
        if c.latency.count() > 0 {
            let [p50, p99, p999] = [50.0, 99.0, 99.9].map(|p| c.latency.percentile_usec(p));
            t.field(
                &format!("latency_percentiles_usec_{name}"),
                format_args!("p50={p50:.3},p99={p99:.3},p99.9={p999:.3}"),
            );
        }
    });
}

fn keyspace(t: &mut Text, i: &Inputs) {
    for d in i.context.keyspace.databases {
        let (keys, expires, ttl) = (d.keys, d.expires, d.avg_ttl_ms);
        t.field(&format!("db{}", d.db), format_args!("keys={keys},expires={expires},avg_ttl={ttl}"));
    }
}

fn nearcache(t: &mut Text, i: &Inputs) {
    t.field("nearcache_version", i.context.nearcache_version);
    t.field("mode", i.context.mode);
    t.field("upstream_status", i.context.upstream_status);
    t.field("coherence", i.context.coherence);
    t.field("l1_entries", i.context.l1.entries);
    t.field("l1_bytes", i.context.l1.bytes);
    t.field("l1_max_bytes", i.context.l1.max_bytes);
    let served = |kind: Served| &i.snapshot.totals.served[kind as usize];
    t.field("l1_hits", served(Served::Hit).count());
    t.field("l1_stale_hits", served(Served::StaleHit).count());
    t.field("l1_misses", served(Served::Miss).count());
    t.field("l1_coalesced", served(Served::Coalesced).count());
    t.field("l1_bypasses", served(Served::Bypass).count());
    i.context.l1.counters.iter().for_each(|(name, value)| t.field(name, value));
    i.stats.l1.each(|name, value| t.field(name, value));
    let gain = Gain::of(&i.snapshot);
    t.field("l1_hit_ratio", format_args!("{:.4}", gain.hit_ratio));
    t.field("hit_latency_usec_avg", format_args!("{:.3}", gain.hit_usec));
    t.field("miss_latency_usec_avg", format_args!("{:.3}", gain.miss_usec));
    t.field("speedup", format_args!("{:.2}", gain.speedup));
    t.field("observed_hits", served(Served::Observed).count());
    t.field("observed_hit_ratio", format_args!("{:.4}", gain.observed_ratio));
    t.field("observed_seconds", format_args!("{:.3}", gain.observed_seconds));
    t.field("time_saved_seconds", format_args!("{:.3}", gain.saved_seconds));
    for (kind, name) in Served::NAMES {
        t.latency(&format!("latency_usec_{name}"), served(kind));
    }
    i.stats.failover.each(|name, value| t.field(name, value));
    t.field("journal_entries", i.context.journal.entries);
    t.field("journal_bytes", i.context.journal.bytes);
    t.field("stats_bytes", i.stats.bytes());
}

fn upstream(t: &mut Text, i: &Inputs) {
    i.stats.lane.each(|name, value| t.field(name, value));
    t.latency("lane_round_trip_usec", &i.snapshot.round_trip);
    i.stats.pinned.each(|name, value| t.field(name, value));
}

/// What L1 is worth. Zero where there is nothing to compare yet.
struct Gain {
    /// Hits, stale ones included, among all reads that asked L1. A coalesced wait is not a hit.
    hit_ratio: f64,
    hit_usec: f64,
    miss_usec: f64,
    speedup: f64,
    saved_seconds: f64,
    /// The share of reads that L1 would have answered, and what they cost instead.
    observed_ratio: f64,
    observed_seconds: f64,
}

impl Gain {
    fn of(snapshot: &Snapshot) -> Gain {
        let served = |kind: Served| &snapshot.totals.served[kind as usize];
        let mut hits = served(Served::Hit).clone();
        hits.merge(served(Served::StaleHit));
        let misses = served(Served::Miss);
        let asked = hits.count() + misses.count() + served(Served::Coalesced).count();
        let (hit_usec, miss_usec) = (hits.average_usec(), misses.average_usec());
        let compared = hit_usec > 0.0 && misses.count() > 0;
        let saved_usec = if compared { (miss_usec - hit_usec).max(0.0) * hits.count() as f64 } else { 0.0 };
        let observed = served(Served::Observed);
        Gain {
            observed_ratio: ratio(observed.count(), observed.count() + misses.count()),
            observed_seconds: observed.average_usec() * observed.count() as f64 / 1e6,
            hit_ratio: ratio(hits.count(), asked),
            hit_usec,
            miss_usec,
            speedup: if compared { miss_usec / hit_usec } else { 0.0 },
            saved_seconds: saved_usec / 1e6,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// As Redis writes sizes: `512B`, `991.85K`, `23.54G`.
fn human(bytes: u64) -> String {
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 'K');
    for next in ['M', 'G', 'T', 'P', 'E'] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.2}{unit}")
}

#[cfg(test)]
#[path = "info_tests.rs"]
mod tests;
