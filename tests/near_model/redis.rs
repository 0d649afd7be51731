//! A Redis that does what coherence depends on: keys with TTLs in two databases, a one-shot tracking
//! table without databases, and one connection whose replies and pushes leave in order. It also
//! keeps the whole history, which the checker reads.

use std::collections::{HashMap, HashSet, VecDeque};

pub const MS: u64 = 1_000_000;
pub const KEYS: u8 = 4;
pub const DBS: u8 = 2;

/// A key: database and number.
pub type Key = (u8, u8);

#[derive(Clone, Debug, PartialEq)]
pub enum Cmd {
    Caching,
    Get(Key),
    /// Keys of database 0.
    Mget(Vec<u8>),
    Pttl(Key),
    /// With a TTL in ms.
    Set(Key, Option<u64>),
    Del(Key),
    FlushAll,
    Ping,
}

/// What leaves on the lane's connection.
#[derive(Clone, Debug)]
pub enum Out {
    Reply(Reply),
    Push(u8),
    Null,
}

#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub values: Vec<Option<u64>>,
    pub pttl: i64,
    /// The state of history that the command left behind.
    pub index: usize,
}

/// One change of one key: from this index and time on it has this value.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub index: usize,
    pub time: u64,
    pub value: Option<u64>,
    pub expired: bool,
}

#[derive(Default)]
pub struct History {
    pub index: usize,
    pub changes: HashMap<Key, Vec<Change>>,
}

impl History {
    fn log(&mut self, key: Key, time: u64, value: Option<u64>, expired: bool) {
        self.index += 1;
        let change = Change { index: self.index, time, value, expired };
        self.changes.entry(key).or_default().push(change);
    }

    /// The value at a state of history.
    pub fn at(&self, key: Key, index: usize) -> Option<u64> {
        let changes = self.changes.get(&key)?;
        changes.iter().rev().find(|change| change.index <= index)?.value
    }

    /// When a value ended: time, and whether by its TTL. None while it lasts.
    pub fn end_of(&self, key: Key, value: Option<u64>) -> Option<(u64, bool)> {
        let changes = self.changes.get(&key)?;
        if changes.last()?.value == value {
            return None;
        }
        let after = match changes.iter().rposition(|change| change.value == value) {
            Some(last) => last + 1,
            None => 0,
        };
        changes.get(after).map(|change| (change.time, change.expired))
    }
}

struct Value {
    version: u64,
    /// The last millisecond in which it lives.
    until: Option<u64>,
    /// History already says that it has expired; the key may still lie there.
    gone: bool,
}

pub struct Redis {
    dbs: HashMap<Key, Value>,
    tracked: HashSet<u8>,
    caching: bool,
    versions: u64,
    pub out: VecDeque<Out>,
    pub history: History,
    /// As Redis 6: a connection's own pushes come before its reply.
    pub push_first: bool,
    /// False: as a replica or a paused primary, expired keys are not deleted by reads.
    pub deletes_expired: bool,
}

impl Redis {
    pub fn new() -> Self {
        Redis {
            dbs: HashMap::new(),
            tracked: HashSet::new(),
            caching: false,
            versions: 0,
            out: VecDeque::new(),
            history: History::default(),
            push_first: false,
            deletes_expired: true,
        }
    }

    /// Lets time pass: values whose TTL is over are absent for everybody from their time on.
    pub fn tick(&mut self, now: u64) {
        let mut ended: Vec<(u64, Key)> = Vec::new();
        for (key, value) in &mut self.dbs {
            let Some(until) = value.until else { continue };
            if !value.gone && now / MS > until {
                value.gone = true;
                ended.push(((until + 1) * MS, *key));
            }
        }
        ended.sort_unstable();
        ended.into_iter().for_each(|(time, key)| self.history.log(key, time, None, true));
    }

    /// The value that a read would find.
    pub fn value(&self, key: Key) -> Option<u64> {
        self.dbs.get(&key).filter(|value| !value.gone).map(|value| value.version)
    }

    /// Executes a command of the lane.
    pub fn lane(&mut self, cmd: &Cmd, now: u64) {
        let mut pushes = Vec::new();
        let reply = self.execute(cmd, now, true, &mut pushes);
        if self.push_first {
            self.out.extend(pushes);
            self.out.push_back(Out::Reply(reply));
        } else {
            self.out.push_back(Out::Reply(reply));
            self.out.extend(pushes);
        }
    }

    /// Executes a command of somebody else, on another connection.
    pub fn foreign(&mut self, cmd: &Cmd, now: u64) {
        let mut pushes = Vec::new();
        self.execute(cmd, now, false, &mut pushes);
        self.out.extend(pushes);
    }

    /// The lane's connection is gone, and its registrations with it.
    pub fn disconnect(&mut self) {
        self.tracked.clear();
        self.caching = false;
        self.out.clear();
    }

    fn execute(&mut self, cmd: &Cmd, now: u64, lane: bool, pushes: &mut Vec<Out>) -> Reply {
        self.tick(now);
        let mut reply = Reply::default();
        match cmd {
            Cmd::Get(key) => reply.values.push(self.read(*key, lane, pushes)),
            Cmd::Mget(keys) => reply.values = keys.iter().map(|k| self.read((0, *k), lane, pushes)).collect(),
            Cmd::Pttl(key) => {
                self.expire(*key, pushes);
                let value = self.dbs.get(key).filter(|value| !value.gone);
                reply.pttl = value.map_or(-2, |value| match value.until {
                    Some(until) => (until - now / MS) as i64,
                    None => -1,
                });
            }
            Cmd::Set(key, ttl) => {
                self.versions += 1;
                let until = ttl.map(|ttl| now / MS + ttl);
                self.dbs.insert(*key, Value { version: self.versions, until, gone: false });
                self.history.log(*key, now, Some(self.versions), false);
                self.changed(key.1, pushes);
            }
            Cmd::Del(key) => {
                if let Some(old) = self.dbs.remove(key) {
                    if !old.gone {
                        self.history.log(*key, now, None, false);
                    }
                    self.changed(key.1, pushes);
                }
            }
            Cmd::FlushAll => {
                let keys: Vec<Key> = self.dbs.drain().filter(|(_, v)| !v.gone).map(|(key, _)| key).collect();
                // One atomic change: all of it has one index, the last.
                keys.into_iter().for_each(|key| self.history.log(key, now, None, false));
                self.tracked.clear();
                pushes.push(Out::Null);
            }
            Cmd::Caching | Cmd::Ping => {}
        }
        if lane {
            self.caching = *cmd == Cmd::Caching;
        }
        reply.index = self.history.index;
        reply
    }

    fn read(&mut self, key: Key, lane: bool, pushes: &mut Vec<Out>) -> Option<u64> {
        self.expire(key, pushes);
        if lane && self.caching {
            self.tracked.insert(key.1);
        }
        self.value(key)
    }

    fn expire(&mut self, key: Key, pushes: &mut Vec<Out>) {
        if self.deletes_expired && self.dbs.get(&key).is_some_and(|value| value.gone) {
            self.dbs.remove(&key);
            self.changed(key.1, pushes);
        }
    }

    fn changed(&mut self, k: u8, pushes: &mut Vec<Out>) {
        if self.tracked.remove(&k) {
            pushes.push(Out::Push(k));
        }
    }
}
