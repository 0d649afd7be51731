//! A Redis of our own beside an engine of our own, and the comparison of what they answer.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use nearcache::memory::{Caller, Engine, EngineConfig, Outcome};
use nearcache::resp::{ArgVec, Proto};

/// A redis-server on a socket of its own; it ends with this value.
pub struct Redis {
    child: Child,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Redis {
    pub fn start() -> Redis {
        let dir = tempfile::tempdir().expect("a directory for the server");
        let socket = dir.path().join("redis.sock");
        let mut child = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket"])
            .arg(&socket)
            .current_dir(dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("redis-server is installed");
        let log = BufReader::new(child.stdout.take().expect("the log is piped"));
        let ready =
            log.lines().map_while(Result::ok).any(|line| line.contains("ready to accept connections"));
        assert!(ready, "redis-server did not start");
        Redis { child, socket, _dir: dir }
    }

    pub fn connect(&self) -> Connection {
        let stream = UnixStream::connect(&self.socket).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
        Connection { stream, buf: Vec::new() }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client of the real Redis.
pub struct Connection {
    stream: UnixStream,
    buf: Vec<u8>,
}

impl Connection {
    pub fn send(&mut self, args: &[Vec<u8>]) {
        let mut request = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            request.extend(format!("${}\r\n", arg.len()).bytes());
            request.extend(arg);
            request.extend(b"\r\n");
        }
        self.stream.write_all(&request).expect("the server reads");
    }

    /// The next whole reply.
    pub fn reply(&mut self) -> Vec<u8> {
        loop {
            if let Some(len) = reply_len(&self.buf) {
                return self.buf.drain(..len).collect();
            }
            let mut chunk = [0; 65536];
            let n = self.stream.read(&mut chunk).expect("the server answers");
            assert!(n > 0, "the server hung up");
            self.buf.extend(&chunk[..n]);
        }
    }

    pub fn call(&mut self, line: &str) -> Vec<u8> {
        self.send(&words(line));
        self.reply()
    }
}

fn line(buf: &[u8]) -> Option<(&str, usize)> {
    let end = buf.windows(2).position(|w| w == b"\r\n")?;
    Some((std::str::from_utf8(&buf[1..end]).unwrap_or("0"), end + 2))
}

/// The length of the reply at the start of `buf`, when it is complete.
fn reply_len(buf: &[u8]) -> Option<usize> {
    let (text, mut at) = line(buf)?;
    let n: i64 = text.parse().unwrap_or(0);
    match buf[0] {
        b'$' | b'=' if n >= 0 => {
            let end = at + n as usize + 2;
            (buf.len() >= end).then_some(end)
        }
        b'*' | b'~' | b'>' | b'%' => {
            for _ in 0..n.max(0) * if buf[0] == b'%' { 2 } else { 1 } {
                at += reply_len(&buf[at..])?;
            }
            Some(at)
        }
        _ => Some(at),
    }
}

/// A reply whose order does not matter: its direct elements, sorted (pairs stay together if `pairs`).
fn unordered(reply: &[u8], pairs: bool) -> Vec<Vec<u8>> {
    if !matches!(reply[0], b'*' | b'~' | b'%') {
        return vec![reply.to_vec()];
    }
    let (_, mut at) = line(reply).expect("a header");
    let header = reply[..at].to_vec();
    let mut elements = Vec::new();
    while at < reply.len() {
        let mut len = reply_len(&reply[at..]).expect("a complete reply");
        if pairs {
            len += reply_len(&reply[at + len..]).expect("a complete pair");
        }
        elements.push(reply[at..at + len].to_vec());
        at += len;
    }
    elements.sort();
    elements.insert(0, header);
    elements
}

/// Splits a line into arguments: spaces separate, double quotes group, `\xHH`, `\r`, `\n`, `\\`, `\"` escape.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut open, mut quoted) = (Vec::new(), Vec::new(), false, false);
    let mut chars = line.bytes();
    while let Some(c) = chars.next() {
        match c {
            b'"' => (quoted, open) = (!quoted, true),
            b' ' if !quoted => {
                if std::mem::take(&mut open) {
                    words.push(std::mem::take(&mut word));
                }
            }
            b'\\' => {
                open = true;
                let escaped = chars.next().expect("something is escaped");
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b'x' => {
                        let hex: String = (0..2).map(|_| chars.next().expect("two digits") as char).collect();
                        u8::from_str_radix(&hex, 16).expect("hexadecimal")
                    }
                    other => other,
                });
            }
            other => (open, word) = (true, [&word[..], &[other]].concat()),
        }
    }
    if open {
        words.push(word);
    }
    words
}

pub fn engine() -> Arc<Engine> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as i64;
    Engine::new(EngineConfig { shards: 8, ..EngineConfig::default() }, Arc::new(clock))
}

/// One client of each.
pub struct Pair {
    _redis: Redis,
    oracle: Connection,
    engine: Arc<Engine>,
    caller: Caller,
    history: Vec<String>,
}

impl Pair {
    pub fn new(proto: Proto) -> Pair {
        let redis = Redis::start();
        let mut oracle = redis.connect();
        if proto == Proto::Resp3 {
            oracle.call("HELLO 3");
        }
        let caller = Caller { proto, ..Caller::default() };
        Pair { _redis: redis, oracle, engine: engine(), caller, history: Vec::new() }
    }

    fn engine_reply(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let args: ArgVec = args.iter().collect();
        let mut out = BytesMut::new();
        match self.engine.execute(&mut self.caller, args.args(), &mut out) {
            Outcome::Done => out.to_vec(),
            Outcome::Block(_) => b"(blocks)".to_vec(),
            Outcome::Unknown => b"(unknown)".to_vec(),
        }
    }

    /// Runs one line on both. `~` before it: the order of the reply's elements is free; `%`: of its pairs.
    pub fn check(&mut self, line: &str) {
        if let Some(difference) = self.difference(line) {
            let from = self.history.len().saturating_sub(25);
            panic!("{:?}\n{}\n{difference}", self.caller.proto, self.history[from..].join("\n"));
        }
    }

    /// Runs a line whose answer is a matter of chance on both; gives Redis's reply and the engine's.
    pub fn both(&mut self, line: &str) -> (Vec<u8>, Vec<u8>) {
        self.history.push(line.to_string());
        (self.oracle.call(line), self.engine_reply(&words(line)))
    }

    /// What is different when a line is run on both, if anything is.
    pub fn difference(&mut self, line: &str) -> Option<String> {
        self.history.push(line.to_string());
        let (line, order) = match line.as_bytes().first() {
            Some(b'~') => (&line[1..], Some(false)),
            Some(b'%') => (&line[1..], Some(true)),
            _ => (line, None),
        };
        let args = words(line);
        self.oracle.send(&args);
        let expected = self.oracle.reply();
        let given = self.engine_reply(&args);
        let same = match order {
            None => given == expected,
            Some(_) if given.is_empty() || reply_len(&given) != Some(given.len()) => false,
            Some(pairs) => unordered(&given, pairs) == unordered(&expected, pairs),
        };
        (!same).then(|| {
            let text = |reply: &[u8]| String::from_utf8_lossy(&reply[..reply.len().min(400)]).into_owned();
            format!("{line}\n  Redis: {:?}\n  engine: {:?}\n", text(&expected), text(&given))
        })
    }

    /// The engine's commands, in a fixed order.
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.engine.commands().collect();
        names.sort_unstable();
        names
    }

    /// Dumps a key on each side and restores it on the other, in place.
    pub fn exchange_dumps(&mut self, key: &str) {
        let dump: Vec<Vec<u8>> = words(&format!("DUMP {key}"));
        self.oracle.send(&dump);
        let (theirs, ours) = (self.oracle.reply(), self.engine_reply(&dump));
        let restore = |payload: &[u8]| {
            let (_, at) = line(payload).expect("a bulk string");
            let payload = payload[at..payload.len() - 2].to_vec();
            [b"RESTORE".to_vec(), key.into(), b"0".to_vec(), payload, b"REPLACE".to_vec()]
        };
        assert_eq!(self.engine_reply(&restore(&theirs)), b"+OK\r\n", "{key}");
        self.oracle.send(&restore(&ours));
        assert_eq!(self.oracle.reply(), b"+OK\r\n", "{key}");
    }

    /// When the key ends. What was set as a time from now differs by the moment between the two settings.
    fn check_end(&mut self, name: &str) {
        let (theirs, ours) = self.both(&format!("PEXPIRETIME \"{name}\""));
        let number = |reply: &[u8]| {
            std::str::from_utf8(reply)
                .ok()
                .and_then(|text| text.trim().strip_prefix(':')?.parse::<i64>().ok())
        };
        let same = match (number(&theirs), number(&ours)) {
            (Some(theirs @ 0..), Some(ours @ 0..)) => theirs.abs_diff(ours) < 30_000,
            (theirs, ours) => theirs.is_some() && theirs == ours,
        };
        assert!(same, "PEXPIRETIME {name}: {} and {}", theirs.escape_ascii(), ours.escape_ascii());
    }

    /// Both must hold the same: every key's type, value and time.
    pub fn check_everything(&mut self) {
        self.check("~KEYS *");
        self.check("DBSIZE");
        for key in unordered(&self.oracle.call("KEYS *"), false).split_off(1) {
            let (_, at) = line(&key).expect("a key");
            let key = &key[at..key.len() - 2];
            let name: String = key.iter().map(|b| format!("\\x{b:02x}")).collect();
            self.check(&format!("TYPE \"{name}\""));
            self.check_end(&name);
            self.check(&format!("OBJECT ENCODING \"{name}\""));
            let kind = self.oracle.call(&format!("TYPE \"{name}\""));
            match kind.as_slice() {
                b"+string\r\n" => self.check(&format!("GET \"{name}\"")),
                b"+list\r\n" => self.check(&format!("LRANGE \"{name}\" 0 -1")),
                b"+hash\r\n" => self.check(&format!("%HGETALL \"{name}\"")),
                b"+set\r\n" => self.check(&format!("~SMEMBERS \"{name}\"")),
                b"+zset\r\n" => self.check(&format!("ZRANGE \"{name}\" 0 -1 WITHSCORES")),
                _ => {}
            }
        }
    }
}

/// The strings of a reply, however nested, in their order.
pub fn strings(reply: &[u8]) -> Vec<String> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < reply.len() {
        let (len, body) = line(&reply[at..]).expect("a whole reply");
        let from = at + body;
        at = from;
        if reply[from - body] == b'$' {
            let end = from + len.parse::<usize>().expect("no nulls here");
            found.push(String::from_utf8_lossy(&reply[from..end]).into_owned());
            at = end + 2;
        }
    }
    found
}

/// Runs a table of lines in both protocol versions; blank lines and `#` comments are skipped.
pub fn check_table(table: &str) {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut pair = Pair::new(proto);
        let (mut count, mut differences) = (0, String::new());
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            differences += &pair.difference(line).unwrap_or_default();
            count += 1;
        }
        assert!(count > 0, "the table is not empty");
        assert!(differences.is_empty(), "{proto:?}\n{differences}");
        pair.check_everything();
    }
}

/// Runs random lines from `generate`, the same ones every time, and compares everything now and then.
pub fn check_random(seed: u64, count: usize, mut generate: impl FnMut(&mut fastrand::Rng) -> String) {
    for proto in [Proto::Resp2, Proto::Resp3] {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut pair = Pair::new(proto);
        for step in 0..count {
            pair.check(&generate(&mut rng));
            if step % 500 == 499 {
                pair.check_everything();
            }
        }
    }
}
