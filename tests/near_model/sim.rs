//! Clients, sessions, one lane and its reader around the near cache, one event at a time. Sessions
//! are as simple as the rules allow: what they do is what a real session must do.

use super::check::{Answer, Checker};
use super::redis::{Cmd, DBS, KEYS, Key, MS, Out, Redis, Reply};
use nearcache::near::{
    Absence, Config, FlightRef, LaneId, Looked, MGET_ELEMENT, MultiLooked, Near, ReadOf, Rules, Settings,
    WriteRef,
};
use nearcache::resp::{ArgVec, Args};
use nearcache::store::{Admission, EntryKey};
use std::collections::VecDeque;

pub const MAX_STALENESS: u64 = 30 * MS;
const LANE: LaneId = LaneId(0);
const GET: u16 = 1;

/// A request: client and number.
type Slot = (usize, u64);

enum State {
    Parked,
    /// On its way; the last place on the lane that it needs, MAX while not appended.
    Waiting(u64),
    Done(Answer),
}

struct Request {
    id: u64,
    cmd: Cmd,
    state: State,
    /// What anybody had seen when this came in.
    seen: usize,
}

#[derive(Default)]
struct Client {
    requests: VecDeque<Request>,
    next_id: u64,
    /// What the session has decided on and not appended yet.
    batch: Vec<Held>,
}

enum Held {
    Fetch(FlightRef, Slot, Key),
    Write(WriteRef, Slot, Cmd),
}

/// Whose reply is next.
enum Expect {
    Caching,
    Value(FlightRef, Slot, Key),
    Ttl(FlightRef),
    Elements(Vec<FlightRef>, Slot, Vec<u8>),
    Read(Slot, Vec<Key>),
    Write(WriteRef, Slot),
    Flush(Slot),
    Ping,
}

pub struct Sim {
    pub now: u64,
    pub redis: Redis,
    pub near: Near<Slot>,
    pub check: Checker,
    clients: Vec<Client>,
    wire: VecDeque<Cmd>,
    expected: VecDeque<(Expect, u64)>,
    seq: u64,
    pinged: bool,
    pub hits: usize,
    pub joins: usize,
    /// Fetches and writes are appended only when the test says so.
    pub hold_appends: bool,
}

impl Sim {
    pub fn new(rules: Rules, clients: usize) -> Self {
        let config = Config {
            max_memory: 4 << 20,
            admission: Admission::Frequency { admit_after: 1 },
            max_staleness: MAX_STALENESS,
            get: GET,
            ..Config::default()
        };
        let near = Near::with_rules(config, rules, ahash::RandomState::with_seeds(1, 2, 3, 4));
        near.open(LANE, true);
        near.confirmed(LANE, 1000 * MS);
        Sim {
            now: 1000 * MS,
            redis: Redis::new(),
            near,
            check: Checker::default(),
            clients: (0..clients).map(|_| Client::default()).collect(),
            wire: VecDeque::new(),
            expected: VecDeque::new(),
            seq: 0,
            pinged: false,
            hits: 0,
            joins: 0,
            hold_appends: false,
        }
    }

    /// A client sends a command.
    pub fn send(&mut self, client: usize, cmd: Cmd) {
        let id = self.clients[client].next_id;
        self.clients[client].next_id += 1;
        let seen = self.check.seen;
        self.clients[client].requests.push_back(Request { id, cmd, state: State::Parked, seen });
        self.dispatch((client, id));
        self.settle_clients();
    }

    /// Redis executes the next command that the lane has sent.
    pub fn serve(&mut self) -> bool {
        let Some(cmd) = self.wire.pop_front() else { return false };
        self.redis.lane(&cmd, self.now);
        true
    }

    /// Somebody else's command.
    pub fn foreign(&mut self, cmd: Cmd) {
        self.redis.foreign(&cmd, self.now);
    }

    /// The lane's reader applies the next reply or push.
    pub fn apply(&mut self) -> bool {
        match self.redis.out.pop_front() {
            None => return false,
            Some(Out::Push(k)) => self.near.pushed(&name(k)),
            Some(Out::Null) => self.near.bump_epoch(LANE),
            Some(Out::Reply(reply)) => {
                if let Some((expect, sent_at)) = self.expected.pop_front() {
                    self.reply(expect, reply);
                    self.near.confirmed(LANE, sent_at);
                }
            }
        }
        self.settle_clients();
        true
    }

    /// A client has got all its replies.
    pub fn is_idle(&self, client: usize) -> bool {
        self.clients[client].requests.is_empty()
    }

    /// Time passes.
    pub fn pass(&mut self, ns: u64) {
        self.now += ns;
        self.redis.tick(self.now);
    }

    /// A client's session appends what it has decided on.
    pub fn flush(&mut self, client: usize) {
        for held in std::mem::take(&mut self.clients[client].batch) {
            match held {
                Held::Fetch(flight, slot, key) => {
                    self.append(Cmd::Caching, Expect::Caching);
                    let seq = self.append(Cmd::Get(key), Expect::Value(flight, slot, key));
                    self.append(Cmd::Pttl(key), Expect::Ttl(flight));
                    self.near.appended(flight, self.now, seq);
                    self.set(slot, State::Waiting(seq));
                }
                Held::Write(write, slot, cmd) => {
                    let seq = self.append(cmd, Expect::Write(write, slot));
                    self.set(slot, State::Waiting(seq));
                }
            }
        }
    }

    pub fn ping(&mut self) {
        if !self.pinged {
            self.pinged = true;
            self.append(Cmd::Ping, Expect::Ping);
        }
    }

    /// The lane breaks: what Redis has not read is lost. Then a new one opens.
    pub fn reconnect(&mut self) {
        self.near.freeze(LANE);
        self.wire.clear();
        self.redis.disconnect();
        self.pinged = false;
        let lost = || State::Done(Answer { lost: true, ..Answer::default() });
        for (expect, _) in std::mem::take(&mut self.expected) {
            match expect {
                Expect::Value(flight, slot, _) => {
                    self.set(slot, lost());
                    self.near.failed(flight).into_iter().for_each(|slot| self.set(slot, lost()));
                }
                Expect::Elements(flights, slot, _) => {
                    self.set(slot, lost());
                    for flight in flights {
                        self.near.failed(flight).into_iter().for_each(|slot| self.set(slot, lost()));
                    }
                }
                Expect::Ttl(flight) => drop(self.near.failed(flight)),
                Expect::Read(slot, _) | Expect::Flush(slot) => self.set(slot, lost()),
                Expect::Write(write, slot) => {
                    self.near.write_end(write);
                    self.set(slot, lost());
                }
                Expect::Caching | Expect::Ping => {}
            }
        }
        self.near.open(LANE, true);
        self.near.confirmed(LANE, self.now);
        self.settle_clients();
    }

    /// Everything under way is finished; then what is cached must be what is upstream.
    pub fn finish(&mut self) {
        loop {
            (0..self.clients.len()).for_each(|client| self.flush(client));
            let served = self.serve();
            if !self.apply() && !served {
                break;
            }
        }
        self.ping();
        while self.serve() || self.apply() {}
        assert!(self.clients.iter().all(|client| client.requests.is_empty()), "requests left behind");
        let totals = self.near.totals();
        assert_eq!((totals.flights, totals.pending), (0, 0), "flights or pending writes left behind");
        for db in 0..DBS {
            for k in 0..KEYS {
                if let Some(value) = self.peek((db, k)) {
                    self.check.settled((db, k), value, self.redis.value((db, k)));
                }
            }
        }
    }

    /// The cached value of a key, if it would be served.
    fn peek(&self, key: Key) -> Option<Option<u64>> {
        let (bytes, mut got) = (name(key.1), None);
        let looked =
            self.near.read(&read_of(key, &bytes, None), self.now, || (0, 0), |r| got = Some(parse(r)));
        if let Looked::Fetch(flight) = looked {
            drop(self.near.failed(flight));
        }
        got
    }

    fn dispatch(&mut self, slot: Slot) {
        let Some(cmd) = self.clients[slot.0].requests.iter().find(|r| r.id == slot.1).map(|r| r.cmd.clone())
        else {
            return;
        };
        match cmd {
            Cmd::Get(key) => self.read(slot, key),
            Cmd::Mget(keys) => self.multi_read(slot, keys),
            Cmd::Set(key, _) | Cmd::Del(key) => {
                self.flush_parked(slot);
                let write = self.near.write_begin(&name(key.1));
                self.hold(slot, Held::Write(write, slot, cmd));
            }
            Cmd::FlushAll => {
                self.flush_parked(slot);
                self.near.bump_epoch(LANE);
                let seq = self.append(cmd, Expect::Flush(slot));
                self.set(slot, State::Waiting(seq));
            }
            Cmd::Caching | Cmd::Pttl(_) | Cmd::Ping => {}
        }
    }

    fn read(&mut self, slot: Slot, key: Key) {
        let (bytes, mut got) = (name(key.1), None);
        let read = read_of(key, &bytes, self.unanswered(slot));
        match self.near.read(&read, self.now, || slot, |reply| got = Some(parse(reply))) {
            Looked::Hit => {
                let value = got.expect("a hit hands out the reply");
                self.hits += 1;
                self.check.hit(&self.redis.history, key, value, self.now, MAX_STALENESS);
                let values = vec![(key, value)];
                self.set(slot, State::Done(Answer { values, ..Answer::default() }));
            }
            Looked::Joined { seq } => {
                self.joins += 1;
                self.set(slot, State::Waiting(seq));
            }
            Looked::Fetch(flight) => {
                self.flush_parked(slot);
                self.hold(slot, Held::Fetch(flight, slot, key));
            }
            Looked::Plain(_) => self.plain(slot, Cmd::Get(key), vec![key]),
            Looked::Parked => self.set(slot, State::Parked),
            Looked::Guarded => {
                self.set(slot, State::Parked);
                self.ping();
            }
        }
    }

    fn multi_read(&mut self, slot: Slot, keys: Vec<u8>) {
        if self.unanswered(slot).is_some() {
            return self.set(slot, State::Parked);
        }
        let names: ArgVec = keys.iter().map(|&k| name(k)).collect();
        let template = ReadOf {
            key: EntryKey { command: MGET_ELEMENT, ..read_of((0, 0), b"", None).key },
            ..read_of((0, 0), b"", None)
        };
        let mut values = Vec::new();
        match self.near.multi_read(&template, names.args(), self.now, |i, reply| {
            values.push(((0, keys[i]), parse(reply)))
        }) {
            MultiLooked::Hit => {
                self.hits += 1;
                for &(key, value) in &values {
                    self.check.hit(&self.redis.history, key, value, self.now, MAX_STALENESS);
                }
                self.set(slot, State::Done(Answer { values, ..Answer::default() }));
            }
            MultiLooked::Guarded => {
                self.set(slot, State::Parked);
                self.ping();
            }
            MultiLooked::Miss => {
                self.flush_parked(slot);
                let mut flights = Vec::new();
                let mut fetched = Vec::new();
                for &k in &keys {
                    let bytes = name(k);
                    let read = read_of((0, k), &bytes, None);
                    let read = ReadOf { key: EntryKey { command: MGET_ELEMENT, ..read.key }, ..read };
                    if let Some(flight) = self.near.fetch(&read) {
                        flights.push(flight);
                        fetched.push(k);
                    }
                }
                if flights.len() < keys.len() {
                    // Only some are worth it, or a key is repeated: sent whole and untracked.
                    flights.drain(..).for_each(|flight| drop(self.near.failed(flight)));
                    return self.plain(slot, Cmd::Mget(keys.clone()), keys.iter().map(|&k| (0, k)).collect());
                }
                self.append(Cmd::Caching, Expect::Caching);
                let seq = self.append(Cmd::Mget(keys.clone()), Expect::Elements(flights.clone(), slot, keys));
                for (&flight, &k) in flights.iter().zip(&fetched) {
                    self.append(Cmd::Pttl((0, k)), Expect::Ttl(flight));
                    self.near.appended(flight, self.now, seq);
                }
                self.set(slot, State::Waiting(seq));
            }
        }
    }

    fn hold(&mut self, slot: Slot, held: Held) {
        self.set(slot, State::Waiting(u64::MAX));
        self.clients[slot.0].batch.push(held);
        if !self.hold_appends {
            self.flush(slot.0);
        }
    }

    fn plain(&mut self, slot: Slot, cmd: Cmd, keys: Vec<Key>) {
        self.flush_parked(slot);
        let seq = self.append(cmd, Expect::Read(slot, keys));
        self.set(slot, State::Waiting(seq));
    }

    /// Before another command of a client is appended, all that it decided on or parked before goes.
    fn flush_parked(&mut self, before: Slot) {
        self.flush(before.0);
        let parked: Vec<(u64, Cmd)> = self.clients[before.0]
            .requests
            .iter()
            .filter(|r| r.id < before.1 && matches!(r.state, State::Parked))
            .map(|r| (r.id, r.cmd.clone()))
            .collect();
        for (id, cmd) in parked {
            let keys = match &cmd {
                Cmd::Get(key) => vec![*key],
                Cmd::Mget(keys) => keys.iter().map(|&k| (0, k)).collect(),
                _ => continue,
            };
            let seq = self.append(cmd, Expect::Read((before.0, id), keys));
            self.set((before.0, id), State::Waiting(seq));
        }
    }

    fn unanswered(&self, slot: Slot) -> Option<u64> {
        let earlier = self.clients[slot.0].requests.iter().take_while(|r| r.id < slot.1);
        earlier
            .filter_map(|r| match r.state {
                State::Parked => Some(u64::MAX),
                State::Waiting(seq) => Some(seq),
                State::Done(_) => None,
            })
            .max()
    }

    fn append(&mut self, cmd: Cmd, expect: Expect) -> u64 {
        self.seq += 1;
        self.wire.push_back(cmd);
        self.expected.push_back((expect, self.now));
        self.seq
    }

    fn set(&mut self, slot: Slot, state: State) {
        if let Some(request) = self.clients[slot.0].requests.iter_mut().find(|r| r.id == slot.1) {
            request.state = state;
        }
    }

    fn reply(&mut self, expect: Expect, reply: Reply) {
        let read = |values: Vec<(Key, Option<u64>)>| State::Done(Answer { values, ..Answer::default() });
        let wrote = State::Done(Answer { exact: Some(reply.index), ..Answer::default() });
        match expect {
            Expect::Caching => {}
            Expect::Ping => self.pinged = false,
            Expect::Value(flight, slot, key) => {
                let bytes = encode(reply.values[0]);
                let joined = self.near.replied(flight, &bytes, Absence::of_whole(&bytes));
                for slot in std::iter::once(slot).chain(joined) {
                    self.set(slot, read(vec![(key, reply.values[0])]));
                }
            }
            Expect::Elements(flights, slot, keys) => {
                for (i, flight) in flights.into_iter().enumerate() {
                    let bytes = encode(reply.values[i]);
                    for slot in self.near.replied(flight, &bytes, Absence::of_whole(&bytes)) {
                        self.set(slot, read(vec![((0, keys[i]), reply.values[i])]));
                    }
                }
                let values = keys.iter().map(|&k| (0, k)).zip(reply.values).collect();
                self.set(slot, read(values));
            }
            Expect::Ttl(flight) => _ = self.near.ttl_replied(flight, Some(reply.pttl), self.now),
            Expect::Read(slot, keys) => self.set(slot, read(keys.into_iter().zip(reply.values).collect())),
            Expect::Write(write, slot) => {
                self.near.write_end(write);
                self.set(slot, wrote);
            }
            Expect::Flush(slot) => {
                self.near.bump_epoch(LANE);
                self.set(slot, wrote);
            }
        }
    }

    /// Releases what is next in each client's order, and looks parked reads up when their turn comes.
    fn settle_clients(&mut self) {
        for client in 0..self.clients.len() {
            loop {
                match self.clients[client].requests.front() {
                    Some(Request { state: State::Done(answer), seen, .. }) => {
                        let (answer, seen) = (answer.clone(), *seen);
                        self.clients[client].requests.pop_front();
                        self.check.released(&self.redis.history, client, seen, &answer);
                    }
                    Some(Request { state: State::Parked, id, .. }) => {
                        let id = *id;
                        self.dispatch((client, id));
                        let front = self.clients[client].requests.front();
                        if front.is_some_and(|r| matches!(r.state, State::Parked)) {
                            break;
                        }
                    }
                    _ => break,
                }
            }
        }
    }
}

fn name(k: u8) -> [u8; 2] {
    [b'k', b'0' + k]
}

fn read_of(key: Key, bytes: &[u8], unanswered: Option<u64>) -> ReadOf<'_> {
    let rest = Args::new(&[], &[]);
    let key = EntryKey { identity: 0, db: u32::from(key.0), command: GET, key: bytes, rest };
    ReadOf { lane: LANE, key, settings: Settings::default(), unanswered, asked: u64::MAX, fenced: false }
}

fn encode(value: Option<u64>) -> Vec<u8> {
    match value {
        None => b"_\r\n".to_vec(),
        Some(version) => {
            let digits = version.to_string();
            format!("${}\r\n{digits}\r\n", digits.len()).into_bytes()
        }
    }
}

fn parse(reply: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(reply).expect("replies here are text");
    text.starts_with('$').then(|| text.lines().nth(1)?.parse().ok()).flatten()
}
