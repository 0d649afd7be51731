//! Tests of INFO: its format, and that tools can read it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::Clock;

const US: Duration = Duration::from_micros(1);

/// Fields of ours under Redis's sections: documented, and known to newer Redis or to nobody.
const OWN_FIELDS_IN_REDIS_SECTIONS: [&str; 9] = [
    "pubsub_clients",
    "idle_clients_closed",
    "protocol_errors",
    "sessions_crashed",
    "auth_failures",
    "pubsub_messages",
    "pubsub_deliveries",
    "pubsub_resubscribes",
    "pubsub_subscribers_dropped",
];

fn context() -> InfoContext<'static> {
    InfoContext {
        nearcache_version: "0.1.0",
        run_id: "271a51c9d8eeb37d529db92c624ba4b1efe6382d",
        tcp_port: 6380,
        mode: "proxy",
        upstream_status: "up",
        coherence: "tracking",
        max_clients: 10_000,
        memory: MemoryInfo { used: 1_015_656, max: 256 << 20, policy: "allkeys-lru", ..Default::default() },
        l1: L1Info {
            entries: 3,
            bytes: 700,
            max_bytes: 1 << 20,
            counters: crate::near::Counters::default().named().leak(),
        },
        keyspace: KeyspaceInfo {
            databases: &[DatabaseInfo { db: 0, keys: 4, expires: 1, avg_ttl_ms: 250 }],
            ..Default::default()
        },
        ..Default::default()
    }
}

/// A tree in which everything that INFO can show has happened.
fn busy() -> Arc<Stats> {
    let stats = Stats::new(&["get", "set", "client|id", "lpush"], Clock::start());
    let mut recorder = stats.recorder();
    recorder.commands(0, Served::Hit, Duration::from_nanos(200), 300);
    recorder.commands(0, Served::Miss, US * 100, 100);
    recorder.command(1, Served::Forwarded, US * 9);
    recorder.command(2, Served::Local, US);
    recorder.failed(1);
    recorder.rejected(3);
    recorder.error_reply(b"-WRONGTYPE Operation against a key holding the wrong kind of value");
    recorder.error_reply(b"-ERR no");
    recorder.bytes_in(140);
    recorder.bytes_out(190);
    recorder.flush();
    stats.lane_round_trip(US * 80, 100);
    stats.clients.connected_clients.inc();
    stats
}

fn info(stats: &Stats, sections: &[&str]) -> String {
    stats.info(sections.iter().map(|name| name.as_bytes()), &context())
}

/// What any client library does: lines, sections, fields. Checks the format on the way.
fn parse(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    assert!(text.is_empty() || (text.ends_with("\r\n") && !text.ends_with("\r\n\r\n")), "{text:?}");
    let mut blank = true;
    for line in text.split_terminator("\r\n") {
        assert!(!line.contains(['\r', '\n']), "{line:?}");
        if let Some(name) = line.strip_prefix("# ") {
            assert!(blank, "no blank line before {name}");
            sections.push((name.to_owned(), Vec::new()));
        } else if !line.is_empty() {
            let (name, value) = line.split_once(':').expect("a field has a name and a value");
            let section = sections.last_mut().expect("a field is in a section");
            section.1.push((name.to_owned(), value.to_owned()));
        }
        blank = line.is_empty();
    }
    sections
}

fn fields(text: &str) -> HashMap<String, String> {
    let mut all = HashMap::new();
    for (name, value) in parse(text).into_iter().flat_map(|(_, fields)| fields) {
        assert!(all.insert(name.clone(), value).is_none(), "{name} is there twice");
    }
    all
}

fn headers(text: &str) -> Vec<String> {
    parse(text).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn values_are_what_was_counted() {
    let all = fields(&info(&busy(), &["everything"]));
    for (name, value) in [
        ("redis_version", "7.0.15"),
        ("redis_mode", "standalone"),
        ("tcp_port", "6380"),
        ("loading", "0"),
        ("role", "master"),
        ("connected_clients", "1"),
        ("maxclients", "10000"),
        ("used_memory", "1015656"),
        ("used_memory_human", "991.85K"),
        ("maxmemory_human", "256.00M"),
        ("total_commands_processed", "402"),
        ("total_net_input_bytes", "140"),
        ("total_net_output_bytes", "190"),
        ("total_error_replies", "2"),
        ("cluster_enabled", "0"),
        ("db0", "keys=4,expires=1,avg_ttl=250"),
        ("mode", "proxy"),
        ("upstream_status", "up"),
        ("coherence", "tracking"),
        ("l1_hits", "300"),
        ("l1_misses", "100"),
        ("l1_hit_ratio", "0.7500"),
        ("hit_latency_usec_avg", "0.200"),
        ("miss_latency_usec_avg", "100.000"),
        ("speedup", "500.00"),
        ("time_saved_seconds", "0.030"),
        ("cmdstat_get", "calls=400,usec=10060,usec_per_call=25.15,rejected_calls=0,failed_calls=0"),
        ("cmdstat_set", "calls=1,usec=9,usec_per_call=9.00,rejected_calls=0,failed_calls=1"),
        ("cmdstat_lpush", "calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0"),
        ("cmdstat_client|id", "calls=1,usec=1,usec_per_call=1.00,rejected_calls=0,failed_calls=0"),
        ("errorstat_ERR", "count=1"),
        ("errorstat_WRONGTYPE", "count=1"),
        ("latency_percentiles_usec_set", "p50=9.023,p99=9.023,p99.9=9.023"),
    ] {
        assert_eq!(all.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!all.contains_key("latency_percentiles_usec_lpush"), "never executed");
    assert_eq!(all["process_id"], std::process::id().to_string());
    assert!(
        all["latency_usec_hit"].starts_with("count=300,avg=0.200,p50=0.200,"),
        "{}",
        all["latency_usec_hit"]
    );
    assert!(all["lane_round_trip_usec"].contains(",p99.99="), "{}", all["lane_round_trip_usec"]);
    assert!(all["used_memory_rss"].parse::<u64>().expect("a number") > 0);
}

#[test]
fn the_promised_fields_are_there_before_anything_happened() {
    let all = fields(&info(&Stats::new(&["get"], Clock::start()), &[]));
    let promised = "nearcache_version mode upstream_status coherence l1_entries l1_bytes l1_max_bytes l1_hits \
        l1_stale_hits l1_misses l1_coalesced l1_bypasses l1_hit_ratio l1_evictions l1_expirations \
        l1_invalidations l1_fills_detached hit_latency_usec_avg miss_latency_usec_avg speedup \
        time_saved_seconds failovers journal_entries journal_bytes replayed_writes refused_writes \
        uncertain_writes";
    for name in promised.split_whitespace() {
        assert!(all.contains_key(name), "{name} is missing");
    }
    let odd = all.iter().find(|(_, value)| value.contains("NaN") || value.contains("inf"));
    assert_eq!(odd, None);
}

#[test]
fn one_unlucky_value_cannot_forge_a_field() {
    let stats = Stats::new(&[], Clock::start());
    stats.recorder().error_reply(b"-A:#B from a script");
    let context = InfoContext { config_file: "/x\r\nrole:slave", ..context() };
    let all = fields(&stats.info([], &context));
    assert_eq!(all["config_file"], "/x__role:slave");
    assert_eq!(all["role"], "master");
    assert_eq!(all["errorstat_A__B"], "count=1");
}

#[test]
fn other_modules_continue_a_section_or_bring_their_own() {
    let more = [("l1_pending_keys", "2".to_owned())];
    let own = [("lane0_epoch", "17".to_owned())];
    let extra =
        [ExtraSection { name: "Nearcache", fields: &more }, ExtraSection { name: "Coherence", fields: &own }];
    let (stats, context) = (busy(), InfoContext { extra: &extra, ..context() });
    let text = stats.info([], &context);
    let sections = parse(&text);
    assert_eq!(sections.last().map(|(name, fields)| (name.as_str(), fields.len())), Some(("Coherence", 1)));
    let nearcache = sections.iter().find(|(name, _)| name == "Nearcache").expect("it is a default section");
    assert_eq!(nearcache.1.last().map(|(name, _)| name.as_str()), Some("l1_pending_keys"));
    assert_eq!(stats.info([&b"COHERENCE"[..]], &context), "# Coherence\r\nlane0_epoch:17\r\n");
}

#[test]
fn sizes_are_written_as_redis_writes_them() {
    for (bytes, text) in
        [(0, "0B"), (1023, "1023B"), (1024, "1.00K"), (1 << 20, "1.00M"), (25_276_502_016, "23.54G")]
    {
        assert_eq!(human(bytes), text);
    }
}

/// A real Redis on a socket in a directory of its own, ended with the test.
struct Redis {
    process: Child,
    directory: tempfile::TempDir,
}

impl Redis {
    fn start() -> Redis {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket", "redis.sock", "--dir"])
            .arg(directory.path())
            .current_dir(directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed where tests run");
        let log = BufReader::new(process.stdout.take().expect("it is piped"));
        let ready =
            log.lines().map_while(Result::ok).any(|line| line.contains("ready to accept connections"));
        assert!(ready, "redis-server did not start");
        Redis { process, directory }
    }

    /// The body of the bulk reply (or the whole line of another one) to an inline command.
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.directory.path().join("redis.sock")).expect("it listens");
        write!(stream, "{command}\r\nQUIT\r\n").expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers and closes");
        let (header, rest) = reply.split_once("\r\n").expect("a reply is at least a line");
        match header.strip_prefix('$').map(|len| len.parse::<usize>().expect("a bulk has a length")) {
            Some(len) => rest[..len].to_owned(),
            None => header.to_owned(),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn names_and_sections_are_those_of_a_real_redis() {
    let redis = Redis::start();
    for command in ["SET a 1", "GET a", "LPUSH a 1", "LPUSH", "CLIENT ID"] {
        redis.ask(command);
    }
    let stats = busy();
    let by_section = |text: &str| -> BTreeMap<String, BTreeSet<String>> {
        let names = |fields: Vec<(String, String)>| fields.into_iter().map(|(name, _)| name).collect();
        parse(text).into_iter().map(|(section, fields)| (section, names(fields))).collect()
    };
    let (ours, theirs) =
        (by_section(&info(&stats, &["everything"])), by_section(&redis.ask("INFO everything")));
    for (section, names) in &ours {
        if ["Nearcache", "Upstream"].contains(&section.as_str()) {
            continue;
        }
        let real = theirs.get(section).unwrap_or_else(|| panic!("Redis has no section {section}"));
        for name in names.iter().filter(|name| !OWN_FIELDS_IN_REDIS_SECTIONS.contains(&name.as_str())) {
            assert!(real.contains(name), "Redis has no {name} in {section}");
        }
    }
    // Our own names must not mean something else to a tool that knows Redis.
    let taken: BTreeSet<&String> = theirs.values().flatten().collect();
    for name in ours["Nearcache"].iter().chain(&ours["Upstream"]) {
        assert!(!taken.contains(name), "{name} is a field of Redis");
    }
    sections_are_chosen_alike(&redis, &stats);
    values_are_written_alike(&redis, &stats);
}

fn sections_are_chosen_alike(redis: &Redis, stats: &Stats) {
    for asked in [
        "",
        "default",
        "all",
        "everything",
        "SERVER",
        "clients server",
        "nosuch",
        "nosuch cpu nosuch",
        "commandstats default",
        "errorstats latencystats COMMANDSTATS",
        "cpu cpu",
        "modules",
        "keyspace memory",
        "all nosuch",
    ] {
        let names: Vec<&str> = asked.split_whitespace().collect();
        let mut ours = headers(&info(stats, &names));
        ours.retain(|name| name != "Nearcache" && name != "Upstream");
        let mut theirs = headers(&redis.ask(&format!("INFO {asked}")));
        assert_eq!(ours.len(), theirs.len(), "INFO {asked}: {ours:?} {theirs:?}");
        theirs.retain(|name| ours.contains(name));
        assert_eq!(ours, theirs, "INFO {asked}");
    }
}

/// The same field has the same form: compared with all digits made alike.
fn values_are_written_alike(redis: &Redis, stats: &Stats) {
    let form = |value: &str| {
        let mut form = value.replace(|c: char| c.is_ascii_digit(), "0");
        while form.contains("00") {
            form = form.replace("00", "0");
        }
        form
    };
    let (ours, theirs) = (fields(&info(stats, &["everything"])), fields(&redis.ask("INFO everything")));
    let mut compared = 0;
    for (name, value) in &ours {
        // Text rather than numbers, or a unit that depends on the size.
        let differs = ["run_id", "executable", "config_file", "os", "mem_allocator", "maxmemory_policy"];
        if differs.contains(&name.as_str()) || name.ends_with("_human") {
            continue;
        }
        if let Some(real) = theirs.get(name) {
            assert_eq!(form(value), form(real), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 40, "only {compared} fields in common");
}
