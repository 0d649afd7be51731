//! What is measured: one row, one line.

/// One kind of load.
#[derive(Clone, Copy)]
pub struct Row {
    /// What `--rows` calls it.
    pub name: &'static str,
    /// Which targets it is for.
    pub group: Group,
    /// What is sent.
    pub load: Load,
    /// Connections.
    pub clients: usize,
    /// Requests in flight per connection.
    pub pipeline: usize,
    /// Bytes of a value.
    pub value: usize,
    /// Keys, all of which exist.
    pub keys: usize,
    /// Requests of one run: a second or so.
    pub requests: usize,
    /// Behind a network: `link::DELAY` between Redis and whoever asks it.
    pub far: bool,
    /// The clients speak RESP3.
    pub resp3: bool,
}

/// Which targets a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// All, the proxies above all.
    Proxy,
    /// Redis and the memory engine.
    Memory,
}

/// What is sent.
#[derive(Clone, Copy)]
pub enum Load {
    /// By redis-benchmark, with these arguments.
    RedisBenchmark(&'static [&'static str]),
    /// GET and SET over Zipf-distributed keys, so many reads in 100.
    Mix {
        /// Percentage of GET.
        reads: u32,
    },
}

const GET: Row = Row {
    name: "get-p1",
    group: Group::Proxy,
    load: Load::RedisBenchmark(&["-t", "get"]),
    clients: 50,
    pipeline: 1,
    value: 64,
    keys: 10_000,
    requests: 80_000,
    far: false,
    resp3: false,
};
const GET16: Row = Row { name: "get-p16", pipeline: 16, requests: 800_000, ..GET };
const GET64: Row = Row { name: "get-p64", pipeline: 64, requests: 1_500_000, ..GET };
const SET: Row = Row { name: "set-p1", load: Load::RedisBenchmark(&["-t", "set"]), ..GET };
const MIX: Row = Row { name: "mix90-p1", load: Load::Mix { reads: 90 }, ..GET };
const MGET: Row = Row {
    name: "mget10-p1",
    load: Load::RedisBenchmark(&[
        "MGET",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
        "key:__rand_int__",
    ]),
    requests: 50_000,
    ..GET
};

const PROXY: &[Row] = &[
    GET,
    GET16,
    GET64,
    Row { name: "get-1k", value: 1 << 10, ..GET16 },
    Row { name: "get-16k", value: 16 << 10, keys: 1_000, requests: 100_000, ..GET16 },
    Row { name: "get-256k", value: 256 << 10, keys: 100, requests: 8_000, ..GET },
    Row { name: "get-c1000-p1", clients: 1_000, ..GET },
    Row { name: "get-c1000-p16", clients: 1_000, ..GET16 },
    Row { name: "get-resp3", resp3: true, ..GET16 },
    SET,
    Row { name: "set-p16", pipeline: 16, requests: 800_000, ..SET },
    Row { name: "set-p64", pipeline: 64, requests: 1_500_000, ..SET },
    MGET,
    Row { name: "mget10-p16", pipeline: 16, requests: 160_000, ..MGET },
    MIX,
    Row { name: "mix90-p16", pipeline: 16, requests: 400_000, ..MIX },
    Row { name: "mix50-p1", load: Load::Mix { reads: 50 }, ..MIX },
    Row { name: "mix50-p16", load: Load::Mix { reads: 50 }, pipeline: 16, requests: 400_000, ..MIX },
    Row { name: "far-get-p1", far: true, requests: 40_000, ..GET },
    Row { name: "far-mix90-p1", far: true, requests: 40_000, ..MIX },
];

/// redis-benchmark's own tests; but LRANGE on a list that is there, since its own test also times the
/// pushes that make one.
const COMMANDS: &[(&str, [&str; 3], &[&str])] = &[
    ("GET", ["m-get-p1", "m-get-p16", "m-get-p64"], &["-t", "get"]),
    ("SET", ["m-set-p1", "m-set-p16", "m-set-p64"], &["-t", "set"]),
    ("INCR", ["m-incr-p1", "m-incr-p16", "m-incr-p64"], &["-t", "incr"]),
    ("LPUSH", ["m-lpush-p1", "m-lpush-p16", "m-lpush-p64"], &["-t", "lpush"]),
    ("LRANGE_100", ["m-lrange-p1", "m-lrange-p16", "m-lrange-p64"], &["LRANGE", "list:100", "0", "99"]),
    ("SADD", ["m-sadd-p1", "m-sadd-p16", "m-sadd-p64"], &["-t", "sadd"]),
    ("HSET", ["m-hset-p1", "m-hset-p16", "m-hset-p64"], &["-t", "hset"]),
    ("ZADD", ["m-zadd-p1", "m-zadd-p16", "m-zadd-p64"], &["-t", "zadd"]),
    ("MSET", ["m-mset-p1", "m-mset-p16", "m-mset-p64"], &["-t", "mset"]),
];

/// All rows, in the order in which they are measured.
pub fn all() -> Vec<Row> {
    let mut rows = PROXY.to_vec();
    for (command, names, args) in COMMANDS {
        // Ten times the work of a GET, or more.
        let slow = if matches!(*command, "LRANGE_100" | "MSET") { 4 } else { 1 };
        let shapes = [(1, 80_000), (16, 800_000 / slow), (64, 1_500_000 / slow)];
        rows.extend(names.iter().zip(shapes).map(|(name, (pipeline, requests))| {
            let load = Load::RedisBenchmark(args);
            Row { name, group: Group::Memory, load, pipeline, requests, ..GET }
        }));
    }
    rows
}

impl Row {
    /// Whether `--rows` names it.
    pub fn is_named(&self, wanted: &[String]) -> bool {
        let group = if self.group == Group::Proxy { "proxy" } else { "memory" };
        names_match(self.name, group, wanted)
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        let what = match self.load {
            Load::RedisBenchmark(["-t", test]) => test.to_ascii_uppercase(),
            Load::RedisBenchmark([command, args @ ..]) => format!("{command} ({} arguments)", args.len()),
            Load::RedisBenchmark([]) => String::new(),
            Load::Mix { reads } => format!("{reads} % GET, {} % SET, Zipf", 100 - reads),
        };
        let value =
            if self.value < 1024 { format!("{} B", self.value) } else { format!("{} KB", self.value >> 10) };
        let resp3 = if self.resp3 { ", RESP3" } else { "" };
        let far = if self.far { ", Redis 1 ms away" } else { "" };
        let Row { clients, pipeline, keys, .. } = self;
        format!("{what}, {value}, {clients} clients, pipeline {pipeline}, {keys} keys{resp3}{far}")
    }

    /// The name of the `i`th key: redis-benchmark's.
    pub fn key(i: usize) -> String {
        format!("key:{i:012}")
    }
}

/// Whether something is named: by its name, by the beginning of it (`get` is all of `get-…`), or its group.
pub fn names_match(name: &str, group: &str, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| {
        let rest = name.strip_prefix(wanted.as_str());
        group == wanted || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}
