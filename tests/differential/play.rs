//! Plays a sequence to Redis and to the subject, and compares every reply and then the data.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::arguments::{Arguments, Pools, SCRIPTS, known_keys};
use crate::coverage::Coverage;
use crate::grammar::Cmd;
use crate::rules::{Context, RULES, rule_for};
use crate::sequence::{CLIENTS, Generator, Sequence};
use crate::support::client::RawClient;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, decode};
use crate::support::subject::Subject;

/// Small limits for small encodings, so that short tests cross them.
pub const SERVER_ARGS: &[&str] = &[
    "--hash-max-listpack-entries",
    "6",
    "--zset-max-listpack-entries",
    "6",
    "--set-max-intset-entries",
    "6",
    "--list-max-listpack-size",
    "6",
    "--stream-node-max-entries",
    "6",
];

/// The databases that sequences write to.
const DATABASES: &[&str] = &["0", "1", "9", "15"];

/// Redis and the subject, and how long a reply may take.
pub struct Arena {
    redis: RedisServer,
    subject: Subject,
    patience: Duration,
}

/// Where the two went apart.
#[derive(Debug)]
pub enum Difference {
    /// Another reply.
    Reply {
        /// The batch, and the command in it.
        at: (usize, usize),
        /// The command.
        command: String,
        /// What Redis and the subject answered.
        replies: [String; 2],
    },
    /// No reply within the time, or the connection is gone.
    Silence {
        /// The batch, and the command in it.
        at: (usize, usize),
        /// The command.
        command: String,
        /// Which side.
        side: &'static str,
        /// What reading said.
        error: String,
    },
    /// The same replies, but other data.
    Data(String),
}

impl Difference {
    /// The row of the command that differed.
    pub fn row(&self, sequence: &Sequence) -> Option<usize> {
        match self {
            Difference::Reply { at, .. } | Difference::Silence { at, .. } => {
                sequence.batches[at.0].units.iter().flatten().nth(at.1)?.row
            }
            Difference::Data(_) => None,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Reply { command, replies: [theirs, ours], .. } => {
                write!(f, "{command}\n  Redis:   {theirs}\n  subject: {ours}")
            }
            Difference::Silence { command, side, error, .. } => {
                write!(f, "{command}\n  no reply from {side}: {error}")
            }
            Difference::Data(text) => write!(f, "the data differ: {text}"),
        }
    }
}

/// One client's two connections, and what of its past the comparison needs.
struct Pair {
    redis: RawClient,
    subject: RawClient,
    queued: Option<Vec<Cmd>>,
    before: Option<(Reply, Reply)>,
}

impl Arena {
    /// A fresh Redis against `subject`.
    pub fn new(subject: Subject) -> Self {
        // Nothing can be told to a subject that holds its data itself: both have the usual limits.
        let args = if subject.data().is_some() { SERVER_ARGS } else { &[] };
        let redis = RedisServer::start(args);
        for server in [Some(&redis), subject.data()].into_iter().flatten() {
            let reply =
                server.client().call(&["DEBUG", "SET-ACTIVE-EXPIRE", "0"]).expect("a new server answers");
            assert!(!reply.is_error(), "{reply:?}");
        }
        Arena { redis, subject, patience: crate::support::PATIENCE }
    }

    /// How long a reply may take: shorter while shrinking, when a candidate may well block. Gives back what
    /// it was.
    pub fn set_patience(&mut self, patience: Duration) -> Duration {
        std::mem::replace(&mut self.patience, patience)
    }

    /// What is compared with Redis.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Has Redis make the arguments that only it can make.
    pub fn pools(&self) -> Pools {
        let mut client = self.redis.client();
        let mut call = |args: &[&str]| client.call(args).expect("Redis answers");
        let mut pools = Pools::default();
        let values: &[&[&str]] = &[
            &["SET", "d", "a string"],
            &["SET", "d", "12345"],
            &["RPUSH", "d", "a", "b"],
            &["SADD", "d", "1", "2"],
            &["SADD", "d", "x"],
            &["HSET", "d", "f", "v"],
            &["ZADD", "d", "1.5", "m"],
            &["XADD", "d", "5-5", "f", "v"],
        ];
        for value in values {
            call(value);
            pools.payloads.extend(call(&["DUMP", "d"]).text().map(<[u8]>::to_vec));
            call(&["DEL", "d"]);
        }
        for script in SCRIPTS {
            let sha = call(&["EVAL", "return redis.sha1hex(ARGV[1])", "0", script]);
            pools.shas.extend(sha.text().map(<[u8]>::to_vec));
        }
        let library = Arguments::plain().make("goodlibrary", &mut crate::support::Rng::new(1));
        call(&["FUNCTION", "LOAD", &String::from_utf8_lossy(&library)]);
        pools.libraries.extend(call(&["FUNCTION", "DUMP"]).text().map(<[u8]>::to_vec));
        pools.libraries.push(b"not a dump".to_vec());
        call(&["FUNCTION", "FLUSH"]);
        pools
    }

    /// Plays from empty databases.
    pub fn play(
        &self,
        sequence: &Sequence,
        generator: &Generator,
        seen: &mut Coverage,
    ) -> Result<(), Difference> {
        let failed = |error: io::Error| Difference::Data(format!("could not begin: {error}"));
        for (side, addr) in [("Redis", self.redis.addr()), ("the subject", self.subject.addr())] {
            empty(addr).map_err(|error| Difference::Data(format!("{side} cannot be emptied: {error}")))?;
        }
        let mut pairs = Vec::new();
        for _ in 0..CLIENTS {
            pairs.push(self.connect(sequence.proto).map_err(failed)?);
        }
        for at in 0..sequence.batches.len() {
            play_batch(sequence, at, &mut pairs, generator, seen)?;
        }
        drop(pairs);
        self.compare_data()
    }

    fn connect(&self, proto: u8) -> io::Result<Pair> {
        let connect = if proto == 3 { RawClient::connect_resp3 } else { RawClient::connect };
        let mut pair = Pair {
            redis: connect(self.redis.addr())?,
            subject: connect(self.subject.addr())?,
            queued: None,
            before: None,
        };
        pair.redis.set_patience(self.patience);
        pair.subject.set_patience(self.patience);
        Ok(pair)
    }

    fn compare_data(&self) -> Result<(), Difference> {
        let data = self.subject.data().map_or(self.subject.addr(), RedisServer::addr);
        let read = |addr| RawClient::connect(addr).and_then(|mut client| portrait(&mut client));
        let failed = |error: io::Error| Difference::Data(format!("could not read the data: {error}"));
        let (theirs, ours) = (read(self.redis.addr()).map_err(failed)?, read(data).map_err(failed)?);
        for pair in theirs.iter().zip(&ours) {
            if pair.0 != pair.1 && !(pair.0.deadline_differs_only(pair.1)) {
                return Err(Difference::Data(format!("Redis has {:?}\n  the subject {:?}", pair.0, pair.1)));
            }
        }
        if theirs.len() != ours.len() {
            return Err(Difference::Data(format!(
                "{} keys in Redis, {} in the subject",
                theirs.len(),
                ours.len()
            )));
        }
        if self.subject.data().is_some() {
            let digests: Vec<Reply> = [self.redis.addr(), data]
                .into_iter()
                .map(|addr| RawClient::connect(addr).and_then(|mut client| client.call(&["DEBUG", "DIGEST"])))
                .collect::<io::Result<_>>()
                .map_err(failed)?;
            if digests[0] != digests[1] || digests[0].is_error() {
                return Err(Difference::Data(format!("DEBUG DIGEST says {digests:?}")));
            }
        }
        Ok(())
    }
}

fn empty(addr: SocketAddr) -> io::Result<()> {
    let mut client = RawClient::connect(addr)?;
    for reset in [&["FLUSHALL", "SYNC"][..], &["SCRIPT", "FLUSH"], &["FUNCTION", "FLUSH"]] {
        client.call(reset)?;
    }
    Ok(())
}

/// Sends one batch to both sides, then reads and compares as many replies as there are commands.
fn play_batch(
    sequence: &Sequence,
    batch: usize,
    pairs: &mut [Pair],
    generator: &Generator,
    seen: &mut Coverage,
) -> Result<(), Difference> {
    let pair = &mut pairs[sequence.batches[batch].client];
    let (bytes, cmds) = sequence.batches[batch].encoded();
    let silence = |i: usize, side, error: io::Error| Difference::Silence {
        at: (batch, i),
        command: cmds[i].to_string(),
        side,
        error: error.to_string(),
    };
    pair.redis.send(&bytes).map_err(|error| silence(0, "Redis", error))?;
    pair.subject.send(&bytes).map_err(|error| silence(0, "the subject", error))?;
    for (i, cmd) in cmds.iter().enumerate() {
        let theirs = pair.redis.read().map_err(|error| silence(i, "Redis", error))?;
        let ours = pair.subject.read().map_err(|error| silence(i, "the subject", error))?;
        if !pair.same(cmd, &theirs, &ours, generator, seen) {
            return Err(Difference::Reply {
                at: (batch, i),
                command: cmd.to_string(),
                replies: [&theirs, &ours].map(|reply| reply.escape_ascii().to_string()),
            });
        }
    }
    Ok(())
}

impl Pair {
    fn same(
        &mut self,
        cmd: &Cmd,
        theirs: &[u8],
        ours: &[u8],
        generator: &Generator,
        seen: &mut Coverage,
    ) -> bool {
        let (Ok(Some((a, _))), Ok(Some((b, _)))) = (decode(theirs), decode(ours)) else { return false };
        let name = cmd.args[0].to_ascii_uppercase();
        let ended = match name.as_slice() {
            b"EXEC" if cmd.args.len() == 1 => self.queued.take(),
            b"DISCARD" | b"RESET" if !a.is_error() => self.queued.take().filter(|_| false),
            _ => None,
        };
        let same = match ended {
            Some(queued) if a.items().len() == queued.len() && b.items().len() == queued.len() => {
                a.kind() == b.kind() && same_block(&queued, a.items(), b.items(), generator, seen)
            }
            _ => {
                let before = self.before.as_ref().map(|(a, b)| (a, b));
                theirs == ours || allowed(cmd, before, &a, &b, generator, seen)
            }
        };
        let queued = a.text() == Some(b"QUEUED") && a.kind() == b'+' && self.queued.is_some();
        if same {
            seen.count(generator, cmd, a.is_error(), queued);
        }
        match &mut self.queued {
            Some(block) if queued => block.push(cmd.clone()),
            None if name == b"MULTI" && !a.is_error() => self.queued = Some(Vec::new()),
            _ => {}
        }
        self.before = Some((a, b));
        same
    }
}

/// The replies in EXEC's reply, each by its own command.
fn same_block(cmds: &[Cmd], a: &[Reply], b: &[Reply], generator: &Generator, seen: &mut Coverage) -> bool {
    let mut before = None;
    cmds.iter().zip(a.iter().zip(b)).all(|(cmd, (a, b))| {
        let same = a == b || allowed(cmd, before, a, b, generator, seen);
        seen.count(generator, cmd, a.is_error(), false);
        before = Some((a, b));
        same
    })
}

fn allowed(
    cmd: &Cmd,
    before: Option<(&Reply, &Reply)>,
    a: &Reply,
    b: &Reply,
    generator: &Generator,
    seen: &mut Coverage,
) -> bool {
    let first = String::from_utf8_lossy(&cmd.args[0]).to_ascii_lowercase();
    let name = cmd.row.map_or(first.as_str(), |row| generator.rows()[row].name);
    let Some(rule) = rule_for(name) else { return false };
    let same = (RULES[rule].same)(&Context { args: &cmd.args, before }, a, b);
    if same {
        seen.count_rule(rule);
    }
    same
}

/// One key as ordinary commands show it.
#[derive(Debug, PartialEq)]
struct Portrait {
    db: &'static str,
    key: Vec<u8>,
    kind: Reply,
    value: Reply,
    deadline: f64,
}

impl Portrait {
    /// Deadlines set relative to now differ by the time between the two commands.
    fn deadline_differs_only(&self, other: &Portrait) -> bool {
        let same = (self.db, &self.key, &self.kind, &self.value)
            == (other.db, &other.key, &other.kind, &other.value);
        same && self.deadline > 0.0
            && other.deadline > 0.0
            && (self.deadline - other.deadline).abs() <= 30_000.0
    }
}

/// All keys of all databases, in one order.
fn portrait(client: &mut RawClient) -> io::Result<Vec<Portrait>> {
    let mut all = Vec::new();
    for db in DATABASES {
        client.call(&["SELECT", db])?;
        for key in known_keys() {
            client.call(&[b"EXISTS", key])?; // drops what has expired, as active expiry is off
        }
        let found = client.call(&["KEYS", "*"])?;
        let mut keys: Vec<Vec<u8>> =
            found.items().iter().filter_map(|key| key.text().map(<[u8]>::to_vec)).collect();
        keys.sort();
        for key in keys {
            let kind = client.call(&[b"TYPE", key.as_slice()])?;
            let read: (&[u8], &[&[u8]]) = match kind.text() {
                Some(b"string") => (b"GET", &[]),
                Some(b"list") => (b"LRANGE", &[b"0", b"-1"]),
                Some(b"set") => (b"SMEMBERS", &[]),
                Some(b"hash") => (b"HGETALL", &[]),
                Some(b"zset") => (b"ZRANGE", &[b"0", b"-1", b"WITHSCORES"]),
                Some(b"stream") => (b"XRANGE", &[b"-", b"+"]),
                _ => (b"TYPE", &[]),
            };
            let args = [&[read.0, key.as_slice()], read.1].concat();
            let value = in_order(read.0, client.call(&args)?);
            let deadline = client.call(&[b"PEXPIRETIME", key.as_slice()])?.number().unwrap_or(f64::NAN);
            all.push(Portrait { db, key, kind, value, deadline });
        }
    }
    Ok(all)
}

fn in_order(read: &[u8], value: Reply) -> Reply {
    let Reply::Many(kind, Some(items)) = value else { return value };
    let step = match read {
        b"SMEMBERS" => 1,
        b"HGETALL" => 2,
        _ => return Reply::Many(kind, Some(items)),
    };
    let mut chunks: Vec<&[Reply]> = items.chunks(step).collect();
    chunks.sort();
    Reply::Many(kind, Some(chunks.concat()))
}
