//! What really happened: every change that Redis made, in its order, as it tells a replica.
//!
//! The one idea: the replication stream is the server's own history. It has the effects of scripts, the
//! deletions of expired keys and blocks in one piece, whoever made them. All values written in these tests
//! are versions that are used once, so a value that was read names the places in history where it may
//! have been read.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::support::redis::RedisServer;
use crate::support::reply::decode;
use crate::support::until;

/// Databases that are used.
pub const DBS: usize = 3;
/// Keys per database: strings, hashes, lists, sorted sets.
pub const NAMES: [&str; 24] = [
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "h0", "h1", "h2", "h3", "l0",
    "l1", "l2", "l3", "z0", "z1", "z2", "z3",
];
/// A place in `NAMES`.
pub type Name = u8;
/// A key: its database times the number of names, plus its name.
pub type Key = u16;
/// The version of a key that does not exist.
pub const ABSENT: u64 = 0;
/// A key that only marks a moment: its versions are in the history, it is not.
pub const MARK: &str = "mark";

/// The key of this name in this database.
pub fn key(db: u32, name: Name) -> Key {
    (db as usize * NAMES.len() + usize::from(name)) as Key
}

/// Nanoseconds since the first call, on the clock that the proxy uses too.
pub fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// All that happened to the keys. A state is the number of steps taken: a command, a block or a script each.
#[derive(Default)]
pub struct History {
    /// When the replica heard of each step, by which time it had been taken.
    heard: Vec<u64>,
    /// By key: states in which it changed, and what to.
    changes: Vec<Vec<(u32, u64)>>,
    /// The state in which a version first was.
    first: HashMap<u64, u32>,
    /// Versions that were written by more than one step, although they were sent once.
    pub repeated: Vec<u64>,
}

impl History {
    /// A history in which nothing has happened.
    pub fn new() -> Self {
        History { changes: vec![Vec::new(); DBS * NAMES.len()], ..History::default() }
    }

    /// The newest state.
    pub fn last(&self) -> u32 {
        self.heard.len() as u32
    }

    /// The newest state that had been reached at this time for certain.
    pub fn reached_at(&self, time: u64) -> u32 {
        self.heard.partition_point(|&heard| heard <= time) as u32
    }

    /// A key's version in a state.
    pub fn at(&self, key: Key, state: u32) -> u64 {
        let changes = &self.changes[usize::from(key)];
        let next = changes.partition_point(|&(at, _)| at <= state);
        next.checked_sub(1).map_or(ABSENT, |at| changes[at].1)
    }

    /// The first state after this one in which the key changed.
    pub fn next_change(&self, key: Key, state: u32) -> Option<u32> {
        let changes = &self.changes[usize::from(key)];
        changes.get(changes.partition_point(|&(at, _)| at <= state)).map(|&(at, _)| at)
    }

    /// The state in which a version first was.
    pub fn first(&self, version: u64) -> Option<u32> {
        self.first.get(&version).copied()
    }

    /// Takes a step: versions that it wrote, keys that it changed (the last change of each counts).
    pub fn step(&mut self, written: &[u64], changed: &[(Key, u64)], heard: u64) {
        let before = self.last();
        let mut last: Vec<(Key, u64)> = Vec::new();
        for &(key, version) in changed {
            match last.iter_mut().find(|(other, _)| *other == key) {
                Some(entry) => entry.1 = version,
                None => last.push((key, version)),
            }
        }
        last.retain(|&(key, version)| self.at(key, before) != version);
        if last.is_empty() && written.is_empty() {
            return;
        }
        self.heard.push(heard);
        for (key, version) in last {
            self.changes[usize::from(key)].push((before + 1, version));
        }
        for &version in written {
            if *self.first.entry(version).or_insert(before + 1) != before + 1 {
                self.repeated.push(version);
            }
        }
    }
}

/// A replica that writes down what it is told.
pub struct Feed {
    history: Arc<Mutex<History>>,
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

/// A server that a feed can follow without delay.
pub fn server() -> RedisServer {
    RedisServer::start(&["--repl-diskless-sync", "no"])
}

impl Feed {
    /// Follows an empty server from here on.
    pub fn follow(redis: &RedisServer) -> Self {
        let mut stream = TcpStream::connect(redis.addr()).unwrap();
        stream.write_all(b"SYNC\r\n").unwrap();
        let history = Arc::new(Mutex::new(History::new()));
        let (told, reading) = (history.clone(), stream.try_clone().unwrap());
        let thread = std::thread::spawn(move || follow(reading, &told));
        let feed = Feed { history, stream, thread: Some(thread) };
        // A marker comes through once the snapshot is over.
        let mut client = redis.client();
        let mut version = u64::MAX;
        until("the replica is told of changes", || {
            version -= 1;
            client.call(&["SET", MARK, &version.to_string()]).unwrap();
            (feed.history().last() > 0).then_some(())
        });
        feed
    }

    /// What has been heard so far.
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap()
    }

    /// Waits until everything that was acknowledged before now has been heard; `version` is a fresh one.
    pub fn catch_up(&self, redis: &RedisServer, version: u64) {
        redis.client().call(&["SET", MARK, &version.to_string()]).unwrap();
        until("the replica has heard all", || self.history().first(version).map(|_| ()));
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both); // the server may be gone
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // what it had to say was said by its panic
        }
    }
}

fn follow(mut stream: TcpStream, history: &Mutex<History>) {
    let mut buf = Vec::new();
    let mut chunk = vec![0; 256 * 1024];
    let mut skip_snapshot = true;
    let mut book = Book::default();
    while let Ok(n @ 1..) = stream.read(&mut chunk) {
        let heard = now();
        buf.extend_from_slice(&chunk[..n]);
        if skip_snapshot {
            let Some(end) = snapshot_end(&buf) else { continue };
            buf.drain(..end);
            skip_snapshot = false;
        }
        let mut at = 0;
        let mut history = history.lock().unwrap();
        while let Some((command, len)) = decode(&buf[at..]).expect("Redis sends what can be read") {
            at += len;
            let words: Vec<&str> = command
                .items()
                .iter()
                .map(|word| std::str::from_utf8(word.text().unwrap_or_default()).expect("text"))
                .collect();
            book.apply(&words, &mut history, heard);
        }
        drop(history);
        buf.drain(..at);
    }
}

/// Where `$length\r\n` and that many bytes end; empty lines before it say that Redis is still at it.
fn snapshot_end(buf: &[u8]) -> Option<usize> {
    let start = buf.iter().position(|&byte| byte != b'\n')?;
    let line = buf[start..].windows(2).position(|pair| pair == b"\r\n")? + start;
    let len: usize = std::str::from_utf8(&buf[start + 1..line]).ok()?.parse().expect("SYNC is answered");
    let end = line + 2 + len;
    (buf.len() >= end).then_some(end)
}

/// The replica's bookkeeping: which database it is in, what a block has done so far.
#[derive(Default)]
struct Book {
    db: u32,
    in_block: bool,
    written: Vec<u64>,
    changed: Vec<(Key, u64)>,
}

impl Book {
    fn apply(&mut self, words: &[&str], history: &mut History, heard: u64) {
        let Some((verb, args)) = words.split_first() else { return };
        match verb.to_ascii_uppercase().as_str() {
            "SELECT" => self.db = args[0].parse().expect("a number"),
            "MULTI" => self.in_block = true,
            "EXEC" => self.in_block = false,
            verb => self.change(verb, args, history),
        }
        if !self.in_block {
            history.step(&self.written, &self.changed, heard);
            self.written.clear();
            self.changed.clear();
        }
    }

    fn change(&mut self, verb: &str, args: &[&str], history: &History) {
        match verb {
            "SET" => self.write(args[0], args[1]),
            "MSET" => args.chunks(2).for_each(|pair| self.write(pair[0], pair[1])),
            "HSET" => self.write(args[0], args[2]),
            "RPUSH" | "ZADD" => self.write(args[0], args[1]),
            "DEL" | "UNLINK" => args.iter().for_each(|name| self.put(self.db, name, ABSENT)),
            "FLUSHALL" => (0..DBS as u32).for_each(|db| self.empty(db)),
            "FLUSHDB" => self.empty(self.db),
            "SWAPDB" => {
                let [one, other] = [args[0], args[1]].map(|db| db.parse::<u32>().expect("a number"));
                for name in NAMES {
                    let (a, b) = (self.get(one, name, history), self.get(other, name, history));
                    self.put(one, name, b);
                    self.put(other, name, a);
                }
            }
            "COPY" | "RENAME" => {
                self.put(self.db, args[1], self.get(self.db, args[0], history));
                if verb == "RENAME" {
                    self.put(self.db, args[0], ABSENT);
                }
            }
            "PING" | "PUBLISH" | "REPLCONF" | "PEXPIREAT" | "PERSIST" | "LPOP" | "INCR" => {}
            other => panic!("history has {other} {args:?}, which this checker does not know"),
        }
    }

    fn write(&mut self, name: &str, version: &str) {
        let Ok(version) = version.parse() else { return };
        if name == MARK || find(name).is_some() {
            self.written.push(version);
            self.put(self.db, name, version);
        }
    }

    fn put(&mut self, db: u32, name: &str, version: u64) {
        if let (Some(name), true) = (find(name), (db as usize) < DBS) {
            self.changed.push((key(db, name), version));
        }
    }

    fn get(&self, db: u32, name: &str, history: &History) -> u64 {
        let (Some(name), true) = (find(name), (db as usize) < DBS) else { return ABSENT };
        let key = key(db, name);
        let lately = self.changed.iter().rfind(|(other, _)| *other == key);
        lately.map_or_else(|| history.at(key, history.last()), |&(_, version)| version)
    }

    fn empty(&mut self, db: u32) {
        NAMES.iter().for_each(|name| self.put(db, name, ABSENT));
    }
}

fn find(name: &str) -> Option<Name> {
    NAMES.iter().position(|other| *other == name).map(|at| at as Name)
}
