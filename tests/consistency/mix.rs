//! Random load: readers and writers through one or two proxies, writers that go past them, hand-overs by
//! message and queue, and trouble meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nearcache::near::Rules;

use super::check::{Ages, End, Op, violations};
use super::client::{Client, is_late};
use super::command::{Command, How, last_number, read};
use super::history::{DBS, Feed, MARK, NAMES, Name, server};
use super::stage::start;
use super::trouble::{Trouble, disturb};
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::Reply;
use crate::support::{Rng, until};

/// What one round is like.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    pub seed: u64,
    pub proxies: usize,
    /// Commands to be answered by each proxy at least.
    pub commands: usize,
    /// Writes among the commands of clients, in percent.
    pub writes: usize,
    pub trouble: Trouble,
    /// The mean pause of a client that writes past the proxies.
    pub pause: Duration,
    /// Large requests and replies go beside the lane.
    pub bulk: bool,
    /// Room for L1: in little, entries are evicted all the time.
    pub memory: &'static str,
    /// Nothing is served from L1, but it is compared with Redis.
    pub observe: bool,
    /// The proxies' `max_staleness`.
    pub staleness: Duration,
    pub rules: Rules,
}

/// What came of it.
#[derive(Default)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// Commands answered.
    pub commands: usize,
    /// What happened in the proxies, by name.
    pub counts: BTreeMap<&'static str, u64>,
    /// Error replies by how they begin.
    pub errors: BTreeMap<String, usize>,
    /// Disturbances that happened.
    pub troubles: usize,
}

/// What happened in a proxy, by name.
fn counts(proxy: &Proxy) -> Vec<(&'static str, u64)> {
    let info = |field| proxy.info(field).and_then(|text| text.parse().ok()).unwrap_or(0);
    let shared = proxy.shared();
    let near = shared.upstream.as_ref().expect("there is one").node.lane.l1().counters();
    vec![
        ("hits", info("l1_hits")),
        ("misses", info("l1_misses")),
        ("joins", info("l1_coalesced")),
        ("bypasses", info("l1_bypasses")),
        ("waits for freshness", shared.stats.l1.staleness_waits.get()),
        ("compared with Redis", shared.stats.l1.checked.get()),
        ("compared and wrong", shared.stats.l1.checked_wrong.get()),
        ("stored", near.stores),
        ("not stored", near.not_stored),
        ("flights detached", near.fills_detached),
        ("removed by pushes", near.invalidations),
        ("removed by writes", near.write_removals),
        ("epochs", near.epochs),
        ("expired", near.expirations),
        ("evicted", near.evictions),
        ("fences", shared.stats.lane.fences.get()),
        ("lanes lost", shared.stats.lane.disconnects.get()),
        ("reads repeated", shared.stats.lane.read_retries.get()),
    ]
}

/// Clients of one thread, whose requests are in flight together.
const CLIENTS: usize = 3;
/// Threads of clients for each proxy.
const THREADS: usize = 2;
/// Digits of a version that is large enough to go beside the lane.
const LARGE: usize = 17_000;
/// Room for some twenty versions of 3000 digits.
pub const LITTLE: &str = "64kb";
/// The longest that a round may take, whatever is missing.
const LONGEST: Duration = Duration::from_secs(120);

/// What all threads of a round share.
pub struct World {
    pub round: Round,
    pub redis: RedisServer,
    pub links: Vec<Link>,
    /// Nothing more is begun.
    pub stop: AtomicBool,
    /// Disturbances so far.
    pub troubles: AtomicUsize,
    versions: AtomicU64,
    answered: AtomicUsize,
    /// What clients of each proxy were told.
    logs: Vec<Mutex<Vec<Op>>>,
    ends: Mutex<Vec<(u64, End)>>,
    errors: Mutex<BTreeMap<String, usize>>,
}

impl World {
    /// A version that nobody has used.
    pub fn fresh(&self) -> u64 {
        self.versions.fetch_add(1, Relaxed)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Takes a client's account; `proxy`: whose it was, if one's.
    fn settle(&self, client: &mut Client, proxy: Option<usize>) {
        if let Some(proxy) = proxy {
            self.logs[proxy].lock().unwrap().append(&mut client.log);
        }
        client.log.clear();
        self.ends.lock().unwrap().append(&mut client.ends);
        let mut errors = self.errors.lock().unwrap();
        for (word, count) in std::mem::take(&mut client.errors) {
            *errors.entry(word).or_default() += count;
        }
        self.answered.fetch_add(std::mem::take(&mut client.answered), Relaxed);
    }
}

/// Plays a round to its end.
pub fn play(round: Round) -> Outcome {
    let redis = server();
    let feed = Feed::follow(&redis);
    let links: Vec<Link> = (0..round.proxies).map(|_| Link::to(redis.addr())).collect();
    let staleness = format!("{}ms", round.staleness.as_millis());
    let options = [
        ("upstream.down_after", "30s"),
        ("upstream.reconnect_min", "1ms"),
        ("upstream.reconnect_max", "5ms"),
        ("cache.max_staleness", staleness.as_str()),
        ("upstream.bulk_threshold", if round.bulk { "16kb" } else { "1mb" }),
        ("cache.verify", "0.2"),
        ("cache.max_memory", round.memory),
        ("cache.mode", if round.observe { "observe" } else { "serve" }),
        // By frequency, keys that are written as often as here are hardly ever cached.
        ("cache.admission", if round.seed.is_multiple_of(3) { "frequency" } else { "always" }),
    ];
    let proxies: Vec<Proxy> = links.iter().map(|link| start(link.addr(), &options, round.rules)).collect();
    let world = Arc::new(World {
        round,
        redis,
        links,
        stop: AtomicBool::new(false),
        troubles: AtomicUsize::new(0),
        versions: AtomicU64::new(10_000),
        answered: AtomicUsize::new(0),
        logs: (0..round.proxies).map(|_| Mutex::default()).collect(),
        ends: Mutex::default(),
        errors: Mutex::default(),
    });
    let mut threads = Vec::new();
    for (number, proxy) in proxies.iter().enumerate() {
        let addr = proxy.addr();
        threads.extend((0..THREADS).map(|thread| spawn(&world, move |w| clients(w, number, addr, thread))));
        threads.push(spawn(&world, move |world| listener(world, number, addr)));
        threads.push(spawn(&world, move |world| popper(world, number, addr)));
    }
    threads.extend((0..2).map(|thread| spawn(&world, move |world| foreign_writer(world, thread))));
    threads.push(spawn(&world, herald));
    threads.push(spawn(&world, disturb));
    let begun = Instant::now();
    let enough = || {
        world.answered.load(Relaxed) >= round.commands * round.proxies
            && world.troubles.load(Relaxed) >= round.trouble.at_least()
    };
    while !enough() && begun.elapsed() < LONGEST && !threads.iter().any(JoinHandle::is_finished) {
        thread::sleep(Duration::from_millis(20));
    }
    world.stop.store(true, Relaxed);
    threads.into_iter().for_each(|thread| thread.join().expect("nothing unexpected happened to a client"));
    world.links.iter().for_each(Link::clear);
    for (number, proxy) in proxies.iter().enumerate() {
        read_everything(&world, number, proxy);
        nothing_is_left(proxy);
    }
    feed.catch_up(&world.redis, world.fresh());
    outcome(&world, &feed, &proxies)
}

fn spawn(world: &Arc<World>, run: impl FnOnce(&World) + Send + 'static) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || run(&world))
}

fn outcome(world: &World, feed: &Feed, proxies: &[Proxy]) -> Outcome {
    let ends = std::mem::take(&mut *world.ends.lock().unwrap());
    let age = world.round.staleness.as_nanos() as u64;
    let ages = Ages { ends: ends.into_iter().collect(), max_staleness: Some(age) };
    let mut outcome = Outcome {
        commands: world.answered.load(Relaxed),
        errors: std::mem::take(&mut *world.errors.lock().unwrap()),
        troubles: world.troubles.load(Relaxed),
        ..Outcome::default()
    };
    for (number, proxy) in proxies.iter().enumerate() {
        let log = std::mem::take(&mut *world.logs[number].lock().unwrap());
        outcome.violations.extend(violations(&feed.history(), log, &ages));
        for (name, count) in counts(proxy) {
            *outcome.counts.entry(name).or_default() += count;
        }
    }
    outcome
}

/// In the end every key is read through the proxy, in every way: nothing may be stale for ever.
fn read_everything(world: &World, number: usize, proxy: &Proxy) {
    let mut client = Client::connect(proxy.addr(), 9000 + number as u32, number == 1);
    let mut rng = Rng::new(0);
    for db in 0..DBS as u32 {
        client.put(Command::Select(db));
        client.flush().unwrap();
        client.hear_all().unwrap();
        // The lane has applied everything that happened before this is answered.
        let version = world.fresh();
        let mark = vec!["SET".into(), MARK.into(), version.to_string()];
        client.put(Command::Marked(mark, version));
        client.flush().unwrap();
        assert!(!client.hear().unwrap().is_error());
        for name in (0..NAMES.len() as Name).cycle().take(6 * NAMES.len()) {
            client.put(read(&mut rng, name));
        }
        client.flush().unwrap();
        client.hear_all().unwrap();
    }
    world.settle(&mut client, Some(number));
}

/// Everybody has been answered or has left: no fetch is under way, no key waits for the end of a write.
pub fn nothing_is_left(proxy: &Proxy) {
    until("no fetch and no write is left", || {
        let near = proxy.shared().upstream.as_ref()?.node.lane.l1().totals();
        ((near.flights, near.pending) == (0, 0)).then_some(())
    });
}

// === clients of a proxy ===

/// Some clients that send pipelines one after the other, and then listen one after the other.
fn clients(world: &World, proxy: usize, addr: SocketAddr, thread: usize) {
    let mut rng = Rng::new(world.round.seed ^ ((proxy * 100 + thread + 1) as u64 * 7919));
    let id = |n| (proxy * 1000 + thread * 10 + n) as u32;
    let mut clients: Vec<Client> = (0..CLIENTS).map(|n| Client::connect(addr, id(n), n % 2 == 1)).collect();
    while !world.stopped() {
        for client in &mut clients {
            pipeline(world, &mut rng, client);
            client.flush().unwrap();
        }
        for client in &mut clients {
            let left = rng.below(400) == 0; // in the middle of its replies
            let lost = !left && hear_all(world, client);
            if left || lost {
                client.reconnect(addr, rng.chance(50));
            }
            if client.log.len() > 2000 {
                world.settle(client, Some(proxy));
            }
        }
    }
    clients.iter_mut().for_each(|client| world.settle(client, Some(proxy)));
}

/// Hears all that is owed; true if the client has to connect again: its place is in doubt, or it was put out
/// in the middle of a reply that came beside the lane and whose rest was lost. What the client had sent by
/// then and nobody had read makes the kernel reset the connection.
fn hear_all(world: &World, client: &mut Client) -> bool {
    match client.hear_all() {
        Ok(lost) => lost,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
                && world.round.trouble == Trouble::Losses =>
        {
            *client.errors.entry("CLOSED".into()).or_default() += 1;
            true
        }
        Err(error) => panic!("client {}: {error}", client.id),
    }
}

fn pipeline(world: &World, rng: &mut Rng, client: &mut Client) {
    // Most only look up a thing or two.
    if rng.chance(60) {
        return (0..1 + rng.below(3)).for_each(|_| client.put(reading(rng)));
    }
    let longest = match rng.below(1000) {
        0..=2 => 3000,
        3..=299 => 60,
        _ => 8,
    };
    let len = 1 + rng.below(longest);
    for _ in 0..len {
        let command = if rng.chance(world.round.writes) { write(world, rng) } else { reading(rng) };
        client.put(command);
    }
    // What moves to another database comes last: should it fail, nothing behind it is in doubt.
    match rng.below(40) {
        0 => client.put(Command::Select(rng.below(DBS) as u32)),
        1 => client.put(Command::Select(99)),
        2 => {
            let how = How::BlockIn(rng.below(DBS) as u32);
            client.put(Command::Write(how, vec![name(rng)], world.fresh(), None));
        }
        _ => {}
    }
}

/// Some keys are asked for much more often than others.
fn name(rng: &mut Rng) -> Name {
    rng.below(NAMES.len()).min(rng.below(NAMES.len())) as Name
}

fn string(rng: &mut Rng) -> Name {
    rng.below(12).min(rng.below(12)) as Name
}

fn reading(rng: &mut Rng) -> Command {
    let some = 1 + rng.below(5);
    match rng.below(20) {
        0..=2 => Command::Read("MGET", (0..some).map(|_| string(rng)).collect()),
        3 => Command::Read("EXISTS", (0..some).map(|_| name(rng)).collect()),
        4 if rng.chance(30) => Command::ReadBlock((0..some).map(|_| name(rng)).collect()),
        _ => {
            let name = name(rng);
            read(rng, name)
        }
    }
}

fn write(world: &World, rng: &mut Rng) -> Command {
    let version = world.fresh();
    let some = |rng: &mut Rng| -> Vec<Name> {
        let mut names: Vec<Name> = (0..1 + rng.below(3)).map(|_| name(rng)).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    match rng.below(200) {
        0..=29 if world.round.bulk => Command::Write(How::Padded(LARGE), vec![name(rng)], version, None),
        0..=79 if world.round.memory == LITTLE => {
            Command::Write(How::Padded(3000), vec![name(rng)], version, None)
        }
        30..=34 => Command::Write(How::Padded(300), vec![name(rng)], version, None),
        0..=99 => Command::Write(How::Plain, vec![name(rng)], version, None),
        100..=124 => Command::Write(How::Plain, vec![string(rng)], version, Some(2 + rng.below(150) as u64)),
        125..=134 => Command::Write(How::Plain, vec![0, 1], version, None),
        135..=139 if world.round.bulk => Command::Write(How::PaddedBlock(LARGE), some(rng), version, None),
        140..=144 => Command::Swap(string(rng), version),
        145..=154 => Command::Write(How::Block, some(rng), version, None),
        155..=164 => Command::Write(How::Script, some(rng), version, None),
        165..=174 => Command::Write(How::SecretScript, some(rng), version, None),
        175..=194 => Command::Delete(some(rng)),
        195 => Command::Write(How::BlockAfter(&["FLUSHALL"]), some(rng), version, None),
        196 => match rng.below(4) {
            0 => words(&["EVAL", "return redis.call('FLUSHDB')", "0"]),
            1 => Command::Write(How::BlockAfter(&["FLUSHDB"]), some(rng), version, None),
            2 if world.round.proxies == 1 => {
                Command::Write(How::BlockAfter(&["SWAPDB", "0", "1"]), some(rng), version, None)
            }
            _ => words(&["FLUSHDB"]),
        },
        197 => words(&["FLUSHALL"]),
        198 if world.round.proxies == 1 => {
            let (a, b) = (rng.below(DBS).to_string(), rng.below(DBS).to_string());
            words(&["SWAPDB", &a, &b])
        }
        198 => words(&["RENAME", NAMES[rng.below(12)], NAMES[rng.below(12)]]),
        199 => words(&["COPY", NAMES[rng.below(12)], NAMES[rng.below(12)], "REPLACE"]),
        _ => Command::Write(How::Plain, vec![name(rng)], version, None),
    }
}

/// A command whose reply says nothing.
pub fn words(words: &[&str]) -> Command {
    Command::Other(words.iter().map(|&word| word.to_owned()).collect())
}

// === what goes past the proxies ===

fn foreign_writer(world: &World, thread: usize) {
    let mut rng = Rng::new(world.round.seed ^ ((thread as u64 + 77) * 104_729));
    let mut client = Client::connect(world.redis.addr(), 8000 + thread as u32, false);
    while !world.stopped() {
        client.ask(Command::Select(rng.below(DBS) as u32));
        for _ in 0..1 + rng.below(4) {
            let command = write(world, &mut rng);
            // A SWAPDB made elsewhere is announced to nobody.
            let swaps = match &command {
                Command::Other(words) => words[0] == "SWAPDB",
                Command::Write(How::BlockAfter(first), ..) => first[0] == "SWAPDB",
                _ => false,
            };
            if !swaps {
                client.put(command);
            }
        }
        client.flush().unwrap();
        client.hear_all().unwrap();
        world.settle(&mut client, None);
        thread::sleep(Duration::from_micros(rng.below(2 * world.round.pause.as_micros() as usize) as u64));
    }
}

/// Writes, and then says so by a message or through a queue.
fn herald(world: &World) {
    let mut rng = Rng::new(world.round.seed ^ 31);
    let mut client = Client::connect(world.redis.addr(), 8100, false);
    while !world.stopped() {
        let (name, version) = (string(&mut rng), world.fresh());
        client.put(Command::set(name, version));
        match rng.chance(50) {
            true => client.put(words(&["PUBLISH", "news", &version.to_string()])),
            false => client.put(words(&["RPUSH", "queue", &version.to_string()])),
        }
        client.flush().unwrap();
        client.hear_all().unwrap();
        world.settle(&mut client, None);
        thread::sleep(Duration::from_micros(rng.below(2 * world.round.pause.as_micros() as usize) as u64));
    }
    // Those who wait for the queue go home.
    for _ in 0..world.round.proxies {
        client.ask(words(&["RPUSH", "queue", "end"]));
    }
    client.ask(words(&["PUBLISH", "news", "end"]));
}

/// Hears messages; then another client of the same proxy reads.
fn listener(world: &World, proxy: usize, addr: SocketAddr) {
    let id = 7000 + proxy as u32;
    let mut reader = Client::connect(addr, id + 100, false);
    let mut client = Client::connect(addr, id, proxy == 1);
    client.put(words(&["SUBSCRIBE", "news"]));
    client.flush().unwrap();
    client.set_patience(Duration::from_millis(100));
    let mut rng = Rng::new(world.round.seed ^ 5);
    let version_of = |message: &Reply| {
        let is_message = message.items().first().is_some_and(|kind| kind.text() == Some(b"message"));
        last_number(message).filter(|_| is_message)
    };
    while !world.stopped() {
        match client.message(version_of) {
            Ok(()) => {
                (0..12).for_each(|_| reader.put(Command::get(string(&mut rng))));
                reader.flush().unwrap();
                if hear_all(world, &mut reader) {
                    reader.reconnect(addr, false);
                }
            }
            Err(error) if is_late(&error) => {}
            Err(error) => panic!("subscriber: {error}"),
        }
        world.settle(&mut client, Some(proxy));
        world.settle(&mut reader, Some(proxy));
    }
}

/// Waits for the queue, and then reads.
fn popper(world: &World, proxy: usize, addr: SocketAddr) {
    let mut client = Client::connect(addr, 7500 + proxy as u32, proxy == 0);
    let mut rng = Rng::new(world.round.seed ^ 6);
    while !world.stopped() {
        client.put(Command::Message(vec!["BLPOP".into(), "queue".into(), "0.1".into()]));
        client.flush().unwrap();
        let popped = client.log.len();
        let mut again = hear_all(world, &mut client);
        if !again && client.log.len() > popped {
            (0..12).for_each(|_| client.put(Command::get(string(&mut rng))));
            client.flush().unwrap();
            again = hear_all(world, &mut client);
        }
        if again {
            client.reconnect(addr, proxy == 0);
        }
        world.settle(&mut client, Some(proxy));
    }
}
