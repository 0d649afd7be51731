//! The servers that are compared: how each is started, filled and warmed.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use crate::Options;
use crate::link;
use crate::process::{Cpu, Process, exists};
use crate::report;
use crate::rows::{Group, Row};
use crate::support::client::RawClient;
use crate::support::redis::free_port;
use crate::support::reply::encode_into;
use crate::support::until;

/// Clients at once that the servers must allow.
const MAX_CLIENTS: usize = 12_000;

/// A server is idle when it uses less than this many microseconds of CPU in a pause: timers go on.
const IDLE: f64 = 300.0;
const PAUSE: Duration = Duration::from_millis(3);
/// Passes over all keys of a row before it is measured, at most.
const WARMING: usize = 16;

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// redis-server: the measure.
    Redis,
    /// twemproxy.
    Nutcracker,
    /// Envoy's Redis proxy.
    Envoy,
    /// nearcache with its near cache.
    L1,
    /// nearcache without: every request is forwarded.
    L1Off,
    /// nearcache without an upstream.
    Memory,
}

impl Kind {
    /// All of them, with the names that `--targets` knows.
    pub const ALL: [(Kind, &'static str); 6] = [
        (Kind::Redis, "redis"),
        (Kind::Nutcracker, "nutcracker"),
        (Kind::Envoy, "envoy"),
        (Kind::L1, "l1"),
        (Kind::L1Off, "l1-off"),
        (Kind::Memory, "memory"),
    ];

    /// The program.
    pub fn program(self, options: &Options) -> &str {
        match self {
            Kind::Redis => "redis-server",
            Kind::Nutcracker => "nutcracker",
            Kind::Envoy => &options.envoy,
            Kind::L1 | Kind::L1Off | Kind::Memory => &options.nearcache,
        }
    }

    /// Whether it can take part.
    pub fn is_there(self, options: &Options) -> bool {
        exists(self.program(options))
    }

    /// Whether it stands in front of Redis.
    pub fn is_proxy(self) -> bool {
        !matches!(self, Kind::Redis | Kind::Memory)
    }

    /// Whether it is measured in this row.
    pub fn takes_part(self, row: &Row) -> bool {
        match self {
            Kind::Redis => true,
            Kind::Memory => !row.far, // there is nothing that it could be far from
            Kind::L1 => row.group == Group::Proxy,
            Kind::Nutcracker | Kind::Envoy | Kind::L1Off => row.group == Group::Proxy && !row.own_data,
        }
    }

    /// Its arguments, to serve on `port` in front of a Redis on `upstream`. Files go into `dir`.
    pub fn args(self, dir: &Path, port: u16, upstream: u16) -> Vec<String> {
        let near = |more: &[String]| {
            let listen = format!("127.0.0.1:{port}");
            let max_clients = format!("server.max_clients={MAX_CLIENTS}");
            let own = ["--listen", &listen, "--set", "server.worker_threads=1", "--set", &max_clients];
            own.iter().map(ToString::to_string).chain(more.iter().cloned()).collect()
        };
        let url = ["--upstream".to_owned(), format!("redis://127.0.0.1:{upstream}")];
        match self {
            Kind::Redis => {
                let port = format!("--port {port} --save '' --bind 127.0.0.1 --maxclients {MAX_CLIENTS}");
                port.split(' ').map(|arg| arg.replace('\'', "")).collect()
            }
            Kind::Nutcracker => {
                let file = dir.join(format!("nutcracker-{port}.yml"));
                fs::write(&file, nutcracker(port, upstream)).unwrap();
                // Its statistics port must not be that of another one.
                vec!["-c".into(), file.display().to_string(), "-s".into(), free_port().to_string()]
            }
            Kind::Envoy => {
                let file = dir.join(format!("envoy-{port}.yaml"));
                fs::write(&file, envoy(port, upstream)).unwrap();
                let file = file.display().to_string();
                ["--concurrency", "1", "--disable-hot-restart", "-l", "off", "-c", &file]
                    .map(str::to_owned)
                    .into()
            }
            Kind::Memory => near(&["--upstream".to_owned(), String::new()]),
            Kind::L1 => near(&url),
            Kind::L1Off => near(&[url.as_slice(), &["--set".into(), "cache.enabled=false".into()]].concat()),
        }
    }
}

/// A server under measurement.
pub struct Target {
    /// Its name in tables.
    pub name: &'static str,
    /// Where it serves.
    pub port: u16,
    kind: Kind,
    process: Process,
    /// The Redis behind it, whose CPU time counts too.
    redis: Option<Rc<Target>>,
}

impl Target {
    /// Starts one and waits until it answers.
    pub fn start(kind: Kind, name: &'static str, options: &Options, dir: &Path, upstream: u16) -> Target {
        let port = free_port();
        let args = kind.args(dir, port, upstream);
        let process = Process::start(options.server_core, kind.program(options), &args);
        until(&format!("{name} answers"), || call(port, &["GET", "ready"]).then_some(()));
        Target { name, port, kind, process, redis: None }
    }

    /// CPU time so far, once there is nothing left to do: its own, and that of the whole server side.
    pub fn cpu(&self) -> (Cpu, Cpu) {
        let mut before = f64::NEG_INFINITY;
        until(&format!("{} is idle", self.name), || {
            std::thread::sleep(PAUSE);
            let own = self.process.cpu();
            let whole = self.redis.as_ref().map_or(own, |redis| own + redis.process.cpu());
            let used = whole.total - std::mem::replace(&mut before, whole.total);
            (used < IDLE).then_some((own, whole))
        })
    }

    /// Hits and misses of its L1 so far, if it has one.
    pub fn l1(&self) -> Option<(u64, u64)> {
        let reply =
            RawClient::connect(addr(self.port)).and_then(|mut client| client.call(&["INFO", "nearcache"]));
        report::l1(&String::from_utf8_lossy(reply.ok().filter(|_| self.kind == Kind::L1)?.text()?))
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.process.resident()
    }

    /// Reads every key until L1 has nearly all of them: three times as a rule, more often where the rows before
    /// have made it distrust keys that it does not know.
    pub fn warm(&self, row: &Row) {
        for _ in 0..WARMING {
            let Some((before, _)) = self.l1() else { return };
            self.pipeline(row, |i, out| encode_into(out, &["GET", &Row::key(i)]));
            if self.l1().is_some_and(|(hits, _)| (hits - before) as usize >= row.keys / 100 * 99) {
                return;
            }
        }
    }

    /// Empties it and sets what the row reads.
    fn fill(&self, row: &Row) {
        assert!(call(self.port, &["FLUSHALL"]), "{} refuses FLUSHALL", self.name);
        let value = "x".repeat(row.value);
        self.pipeline(row, |i, out| encode_into(out, &["SET", &Row::key(i), &value]));
        let push: Vec<String> = ["RPUSH", "list:100"].iter().map(ToString::to_string).collect();
        let push: Vec<String> = push.into_iter().chain((0..100).map(|i| format!("{i:03}"))).collect();
        assert!(call(self.port, &push), "{} refuses RPUSH", self.name);
    }

    /// One request per key, a megabyte of values at a time.
    fn pipeline(&self, row: &Row, request: impl Fn(usize, &mut Vec<u8>)) {
        let mut client = RawClient::connect(addr(self.port)).unwrap();
        let at_once = ((1 << 20) / row.value).clamp(1, 100);
        for start in (0..row.keys).step_by(at_once) {
            let keys = start..row.keys.min(start + at_once);
            let mut out = Vec::new();
            keys.clone().for_each(|i| request(i, &mut out));
            client.send(&out).unwrap();
            keys.for_each(|_| assert_ne!(client.read().unwrap()[0], b'-', "{} answers an error", self.name));
        }
    }
}

/// All targets of a group of rows.
pub struct Fleet {
    /// In the order of the tables, Redis first.
    pub targets: Vec<Rc<Target>>,
    _dir: TempDir,
}

impl Fleet {
    /// Starts those that these rows need and that are wanted and there; `far`: with a network between Redis and
    /// its clients.
    pub fn start(options: &Options, rows: &[&Row], far: bool) -> Fleet {
        let dir = TempDir::new().unwrap();
        let mut redis = Target::start(Kind::Redis, "redis", options, dir.path(), 0);
        let upstream = if far { link::start(redis.port).unwrap() } else { redis.port };
        redis.port = upstream;
        let redis = Rc::new(redis);
        let mut targets = vec![Rc::clone(&redis)];
        for (kind, name) in Kind::ALL.into_iter().skip(1) {
            let wanted = options.targets.iter().any(|wanted| wanted == name);
            if wanted && rows.iter().any(|row| kind.takes_part(row)) && kind.is_there(options) {
                let mut target = Target::start(kind, name, options, dir.path(), upstream);
                target.redis = kind.is_proxy().then(|| Rc::clone(&redis));
                targets.push(Rc::new(target));
            }
        }
        Fleet { targets, _dir: dir }
    }

    /// Those that are measured in a row.
    pub fn targets_of(&self, row: &Row) -> impl Iterator<Item = &Target> {
        self.targets.iter().map(Rc::as_ref).filter(|target| target.kind.takes_part(row))
    }

    /// Fills those that hold data of their own.
    pub fn fill(&self, row: &Row) {
        self.targets_of(row).filter(|target| !target.kind.is_proxy()).for_each(|target| target.fill(row));
    }
}

fn addr(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// True if the command is answered, and not with an error.
pub fn call(port: u16, args: &[impl AsRef<[u8]>]) -> bool {
    let reply = RawClient::connect(addr(port)).and_then(|mut client| client.call(args));
    reply.is_ok_and(|reply| !reply.is_error())
}

fn nutcracker(port: u16, upstream: u16) -> String {
    format!(
        "pool:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n  \
         preconnect: true\n  timeout: 30000\n  servers:\n   - 127.0.0.1:{upstream}:1\n"
    )
}

fn envoy(port: u16, upstream: u16) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.redis_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.redis_proxy.v3.RedisProxy
          stat_prefix: redis
          settings: {{ op_timeout: 30s }}
          prefix_routes: {{ catch_all_route: {{ cluster: redis }} }}
  clusters:
  - name: redis
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: redis
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }}
"#
    )
}
