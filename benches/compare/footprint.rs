//! What each program costs before it does anything: to start, to keep, and per idle client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Options;
use crate::checks::Footprint;
use crate::figures::{markdown, median};
use crate::fleet::{Kind, Target};

/// Starts that the start-up time is the median of.
const STARTS: usize = 11;

/// Idle clients, if file limits allow.
const CLIENTS: usize = 10_000;

/// How long they have been idle when they are measured: by then what nobody uses has been given back.
const REST: Duration = Duration::from_secs(3);

/// Measures all targets that are wanted and there.
pub fn measure(options: &Options) -> Vec<Footprint> {
    let dir = TempDir::new().unwrap();
    let redis = Target::start(Kind::Redis, "redis", options, dir.path(), 0);
    let wanted = |name: &str| name == "redis" || options.targets.iter().any(|wanted| wanted == name);
    let kinds = Kind::ALL.into_iter().filter(|(kind, name)| wanted(name) && kind.is_there(options));
    let measure = |(kind, name): (Kind, &'static str)| {
        let start = || {
            let started = Instant::now();
            let target = Target::start(kind, name, options, dir.path(), redis.port);
            (started.elapsed().as_secs_f64() * 1000.0, target)
        };
        let start_ms = median((0..STARTS).map(|_| start().0));
        let target = start().1;
        let resident = target.resident();
        let clients = idle_clients(target.port);
        std::thread::sleep(REST);
        let each = target.resident().saturating_sub(resident) / clients.len().max(1) as u64;
        Footprint {
            name,
            start_ms,
            resident,
            binary: size(kind.program(options)),
            clients: clients.len(),
            each,
        }
    };
    kinds.map(measure).collect()
}

/// As a table.
pub fn table(footprints: &[Footprint]) -> String {
    let heads = [
        "target",
        "start to first reply, ms",
        "resident at start, MB",
        "binary, MB",
        "idle clients",
        "bytes per idle client",
    ];
    let mega = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let line = |footprint: &Footprint| {
        vec![
            footprint.name.to_owned(),
            format!("{:.0}", footprint.start_ms),
            mega(footprint.resident),
            footprint.binary.map_or("?".into(), mega),
            footprint.clients.to_string(),
            footprint.each.to_string(),
        ]
    };
    format!("### footprint\n\n{}", markdown(&heads, &footprints.iter().map(line).collect::<Vec<_>>()))
}

/// Connects clients that each send one GET, read its reply and stay.
fn idle_clients(port: u16) -> Vec<TcpStream> {
    let client = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.write_all(b"*2\r\n$3\r\nGET\r\n$5\r\nnokey\r\n").ok()?;
        (stream.read(&mut [0; 64]).ok()? == b"$-1\r\n".len()).then_some(stream)
    };
    (0..CLIENTS).map_while(client).collect()
}

/// Bytes of a program's file.
fn size(program: &str) -> Option<u64> {
    let paths = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|file| file.is_file())?;
    Some(found.metadata().ok()?.len())
}
