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
    /// Only for those that answer by themselves: a proxy that forwards would show no more than Redis does.
    pub own_data: bool,
    /// Needed for the aims.
    pub aim: bool,
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
    /// GET and SET over Zipf-distributed keys.
    Mix {
        /// Percentage of GET.
        reads: u32,
        /// Requests per second; none: as many as are answered.
        rate: Option<u32>,
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
    own_data: false,
    aim: false,
    far: false,
    resp3: false,
};
const GET16: Row = Row { name: "get-p16", pipeline: 16, ..GET };
const GET64: Row = Row { name: "get-p64", pipeline: 64, ..GET };
const SET: Row = Row { name: "set-p1", load: Load::RedisBenchmark(&["-t", "set"]), ..GET };
const MIX: Row = Row { name: "mix90-p1", load: Load::Mix { reads: 90, rate: None }, ..GET };
const MIX50: Row = Row { name: "mix50-p1", load: Load::Mix { reads: 50, rate: None }, ..GET };
/// A core is busy for a third of the time with a proxy and Redis at this rate: nobody waits in a queue.
const PACED: Row = Row { name: "get-paced", load: Load::Mix { reads: 100, rate: Some(10_000) }, ..GET };
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
    ..GET
};

const PROXY: &[Row] = &[
    Row { aim: true, ..GET },
    Row { aim: true, ..GET16 },
    Row { aim: true, ..GET64 },
    Row { name: "get-1k", value: 1 << 10, ..GET16 },
    Row { name: "get-16k", value: 16 << 10, keys: 1_000, ..GET16 },
    Row { name: "get-256k", value: 256 << 10, keys: 100, ..GET },
    Row { name: "get-c1-p1", clients: 1, ..GET },
    Row { name: "get-c1-p16", clients: 1, ..GET16 },
    Row { name: "get-c8-p1", clients: 8, aim: true, ..GET },
    Row { name: "get-c1000-p1", clients: 1_000, aim: true, ..GET },
    Row { name: "get-c1000-p16", clients: 1_000, ..GET16 },
    Row { aim: true, ..PACED },
    Row { name: "get-resp3", resp3: true, ..GET16 },
    Row { aim: true, ..SET },
    Row { name: "set-p16", pipeline: 16, aim: true, ..SET },
    Row { name: "set-p64", pipeline: 64, ..SET },
    MGET,
    Row { name: "mget10-p16", pipeline: 16, ..MGET },
    MIX,
    Row { name: "mix90-p16", pipeline: 16, ..MIX },
    MIX50,
    Row { name: "mix50-p16", pipeline: 16, ..MIX50 },
    Row { name: "far-get-p1", far: true, ..GET },
    Row { name: "far-mix90-p1", far: true, ..MIX },
    // Last: where L1 has held a million keys, the few of another row lie scattered.
    Row { name: "get-k100k", keys: 100_000, own_data: true, ..GET16 },
    Row { name: "get-k1m", keys: 1_000_000, own_data: true, ..GET16 },
];

/// redis-benchmark's own tests; but LRANGE on a list that is there, since its own test also times the
/// pushes that make one.
const COMMANDS: &[([&str; 3], &[&str])] = &[
    (["m-get-p1", "m-get-p16", "m-get-p64"], &["-t", "get"]),
    (["m-set-p1", "m-set-p16", "m-set-p64"], &["-t", "set"]),
    (["m-incr-p1", "m-incr-p16", "m-incr-p64"], &["-t", "incr"]),
    (["m-lpush-p1", "m-lpush-p16", "m-lpush-p64"], &["-t", "lpush"]),
    (["m-lrange-p1", "m-lrange-p16", "m-lrange-p64"], &["LRANGE", "list:100", "0", "99"]),
    (["m-sadd-p1", "m-sadd-p16", "m-sadd-p64"], &["-t", "sadd"]),
    (["m-hset-p1", "m-hset-p16", "m-hset-p64"], &["-t", "hset"]),
    (["m-zadd-p1", "m-zadd-p16", "m-zadd-p64"], &["-t", "zadd"]),
    (["m-mset-p1", "m-mset-p16", "m-mset-p64"], &["-t", "mset"]),
];

/// All rows, in the order in which they are measured.
pub fn all() -> Vec<Row> {
    let mut rows = PROXY.to_vec();
    for (names, args) in COMMANDS {
        rows.extend(names.iter().zip([1, 16, 64]).map(|(name, pipeline)| {
            let load = Load::RedisBenchmark(args);
            Row { name, group: Group::Memory, load, pipeline, ..GET }
        }));
    }
    rows
}

impl Row {
    /// Whether `--rows` names it.
    pub fn is_named(&self, wanted: &[String]) -> bool {
        let group = if self.group == Group::Proxy { "proxy" } else { "memory" };
        names_match(self.name, group, self.aim, wanted)
    }

    /// What it is, in words.
    pub fn describe(&self) -> String {
        let at = |rate: Option<u32>| rate.map_or(String::new(), |rate| format!(", {rate} requests/s"));
        let what = match self.load {
            Load::RedisBenchmark(["-t", test]) => test.to_ascii_uppercase(),
            Load::RedisBenchmark([command, args @ ..]) => format!("{command} ({} arguments)", args.len()),
            Load::RedisBenchmark([]) => String::new(),
            Load::Mix { reads: 100, rate } => format!("GET, Zipf{}", at(rate)),
            Load::Mix { reads, rate } => format!("{reads} % GET, {} % SET, Zipf{}", 100 - reads, at(rate)),
        };
        let value =
            if self.value < 1024 { format!("{} B", self.value) } else { format!("{} KB", self.value >> 10) };
        let resp3 = if self.resp3 { ", RESP3" } else { "" };
        let far = if self.far { ", Redis 1 ms away" } else { "" };
        let Row { clients, pipeline, keys, .. } = self;
        let s = if *clients == 1 { "" } else { "s" };
        format!("{what}, {value}, {clients} client{s}, pipeline {pipeline}, {keys} keys{resp3}{far}")
    }

    /// The name of the `i`th key: redis-benchmark's.
    pub fn key(i: usize) -> String {
        format!("key:{i:012}")
    }
}

/// Whether something is named: by its name, by the beginning of it (`get` is all of `get-…`), by its group, or as
/// one of what the aims need.
pub fn names_match(name: &str, group: &str, aim: bool, wanted: &[String]) -> bool {
    wanted.iter().any(|wanted| {
        let rest = name.strip_prefix(wanted.as_str());
        let begins = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        begins || group == wanted || (aim && wanted == "aims")
    })
}
