//! What does an entry cost in memory? A million small GET replies in the near cache: its own count,
//! the allocator's and the system's, next to what redis-server says of the same data, if there is one
//! in PATH.

use nearcache::near::{Absence, Config, LaneId, Looked, Near, ReadOf, Settings};
use nearcache::resp::Args;
use nearcache::store::{Admission, EntryKey};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use tikv_jemalloc_ctl::{epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const VALUE: usize = 64;

fn main() {
    // Each size in a process of its own: memory that an allocator keeps would blur the next one.
    if let Some(entries) = std::env::args().filter_map(|arg| arg.parse().ok()).next() {
        return row(entries);
    }
    if !std::env::args().any(|arg| arg == "--bench") {
        return println!("measures only by `cargo bench`"); // and not by `cargo test --all-targets`
    }
    println!("16-byte keys, {VALUE}-byte values; bytes per entry");
    println!(
        "{:>9} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "entries", "counted", "allocated", "rss", "redis", "redis+ttl"
    );
    let own = std::env::current_exe().expect("a running program has a path");
    for entries in [100_000, 300_000, 500_000, 750_000, 1_000_000, 1_250_000] {
        let status = Command::new(&own).arg(entries.to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "the measurement of {entries}");
    }
}

fn row(entries: usize) {
    let (counted, allocated, rss) = ours(entries);
    let redis = [false, true].map(|ttl| redis(entries, ttl).map_or("-".into(), |b| format!("{b:.1}")));
    println!("{entries:>9} {counted:>10.1} {allocated:>10.1} {rss:>10.1} {:>10} {:>10}", redis[0], redis[1]);
}

fn key(n: usize) -> String {
    format!("key:{n:012}")
}

/// Bytes per entry: by its own count, by the allocator, by the system.
fn ours(entries: usize) -> (f64, f64, f64) {
    let (allocated, rss) = (allocated(), rss());
    let config = Config { admission: Admission::Frequency { admit_after: 1 }, ..Config::default() };
    let near: Near<()> = Near::new(config);
    near.open(LaneId(0), true);
    let reply = format!("${VALUE}\r\n{}\r\n", "v".repeat(VALUE));
    for n in 0..entries {
        let key = key(n);
        let key = EntryKey { identity: 0, db: 0, command: 0, key: key.as_bytes(), rest: Args::new(&[], &[]) };
        let read = ReadOf {
            lane: LaneId(0),
            key,
            settings: Settings::default(),
            unanswered: None,
            asked: u64::MAX,
            fenced: false,
        };
        if let Looked::Fetch(flight) = near.read(&read, 1, || (), |_| ()) {
            near.appended(flight, 1, 1);
            let _ = near.replied(flight, reply.as_bytes(), Absence::Present);
            let _ = near.ttl_replied(flight, Some(-1), 1);
        }
    }
    let totals = near.totals();
    assert_eq!(totals.entries, entries, "all fit");
    let per = |bytes: usize| bytes as f64 / entries as f64;
    (per(totals.bytes), per(self::allocated() - allocated), per(self::rss().saturating_sub(rss)))
}

fn allocated() -> usize {
    epoch::advance().expect("jemalloc's statistics");
    stats::allocated::read().expect("jemalloc's statistics")
}

fn rss() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

/// Bytes of `used_memory` per key, with or without a TTL on each, of a redis-server of our own.
fn redis(entries: usize, ttl: bool) -> Option<f64> {
    let port = std::net::TcpListener::bind("127.0.0.1:0").ok()?.local_addr().ok()?.port();
    let mut server = Command::new("redis-server");
    server.args(["--port", &port.to_string(), "--save", "", "--dir", "/"]);
    let mut server = Server(server.stdout(Stdio::null()).spawn().ok()?);
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(_) if server.0.try_wait().ok()?.is_some() => return None,
            Err(_) => std::thread::yield_now(),
        }
    };
    let before = used_memory(&mut stream)?;
    for batch in 0..entries / 1000 {
        let mut commands = String::new();
        for n in batch * 1000..(batch + 1) * 1000 {
            let end = if ttl { " EX 3600" } else { "" };
            commands += &format!("SET {} {}{end}\r\n", key(n), "v".repeat(VALUE));
        }
        stream.write_all(commands.as_bytes()).ok()?;
        stream.read_exact(&mut vec![0; 1000 * "+OK\r\n".len()]).ok()?;
    }
    // The old half of a table being rehashed goes with the next commands or timer ticks.
    for _ in 0..100 {
        let rehashing =
            info(&mut stream, "DEBUG HTSTATS 0\r\n").is_some_and(|text| text.contains("rehashing"));
        if !rehashing {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Some((used_memory(&mut stream)? - before) as f64 / entries as f64)
}

/// Ends the server when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn used_memory(stream: &mut TcpStream) -> Option<usize> {
    let text = info(stream, "INFO memory\r\n")?;
    text.split("used_memory:").nth(1)?.split('\r').next()?.parse().ok()
}

/// One bulk (or error) reply to an inline command.
fn info(stream: &mut TcpStream, command: &str) -> Option<String> {
    stream.write_all(command.as_bytes()).ok()?;
    let mut reply = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).ok()?;
        reply.extend_from_slice(&chunk[..n]);
        let text = String::from_utf8_lossy(&reply).into_owned();
        let line = text.split("\r\n").next()?;
        match line.strip_prefix('$') {
            Some(len) if text.len() >= line.len() + 4 + len.parse::<usize>().ok()? => return Some(text),
            None if text.ends_with("\r\n") => return Some(text),
            _ if n == 0 => return None,
            _ => {}
        }
    }
}
