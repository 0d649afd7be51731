//! What each program costs before it does anything: to start, to keep, and per idle client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use tempfile::TempDir;

use crate::Options;
use crate::fleet::{Kind, Target};
use crate::table::{markdown, median};

/// Starts that the start-up time is the median of.
const STARTS: usize = 11;

/// Idle clients, if file limits allow.
const CLIENTS: usize = 10_000;

/// Prints the table.
pub fn print(options: &Options) {
    let dir = TempDir::new().unwrap();
    let redis = Target::start(Kind::Redis, "redis", options, dir.path(), 0);
    let heads = [
        "target",
        "start to first reply, ms",
        "resident at start, MB",
        "binary, MB",
        "idle clients",
        "bytes per idle client",
    ];
    let mut lines = Vec::new();
    for (kind, name) in Kind::ALL {
        let wanted = kind == Kind::Redis || options.targets.iter().any(|wanted| wanted == name);
        if !wanted || !kind.is_there(options) {
            continue;
        }
        let start = || {
            let started = Instant::now();
            let target = Target::start(kind, name, options, dir.path(), redis.port);
            (started.elapsed().as_secs_f64() * 1000.0, target)
        };
        let millis = median((0..STARTS).map(|_| start().0));
        let target = start().1;
        let resident = target.resident();
        let clients = idle_clients(target.port);
        let each = target.resident().saturating_sub(resident) / clients.len().max(1) as u64;
        lines.push(vec![
            name.to_owned(),
            format!("{millis:.0}"),
            format!("{:.1}", resident as f64 / 1e6),
            binary_size(kind.program(options)).map_or("?".into(), |size| format!("{:.1}", size as f64 / 1e6)),
            clients.len().to_string(),
            each.to_string(),
        ]);
    }
    println!("### footprint\n\n{}", markdown(&heads, &lines));
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

fn binary_size(program: &str) -> Option<u64> {
    let paths = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|file| file.is_file())?;
    Some(found.metadata().ok()?.len())
}
