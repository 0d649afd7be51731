//! What the lane is asked beside the clients' commands: whether the upstream is still what it was, and
//! to keep in mind the keys that L1 answers for.
//!
//! SWAPDB is announced to nobody, and neither is a change of role without a lost connection. Both are
//! asked for on the lane itself, so that the answer stands at its place in the stream.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use bytes::{BufMut, BytesMut};
use parking_lot::Mutex;
use tracing::warn;

use super::batch::{Batch, Pending, To};
use super::handshake::Welcome;
use crate::clock::Nanos;
use crate::resp::{Cursor, Kind};
use crate::stats::DatabaseInfo;

/// What the proxy itself asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// ROLE
    Role,
    /// INFO commandstats: how often SWAPDB was called.
    Swaps,
    /// INFO memory: whether keys that are not read are evicted.
    Eviction,
    /// INFO keyspace: how many keys there are, for our own INFO.
    Keyspace,
    /// Something whose answer tells nothing.
    Nothing,
}

/// What is known from the answers.
#[derive(Default)]
pub struct Vigil {
    role: Mutex<String>,
    /// Calls of SWAPDB, by anybody; `UNKNOWN` where the upstream does not say.
    swaps: AtomicU64,
    evicts: AtomicBool,
    /// Fields of hashes may end one by one (Redis 7.4, Valkey 9).
    hash_fields_end: AtomicBool,
    databases: Mutex<Vec<DatabaseInfo>>,
}

/// How many keys there are.
pub const INFO_KEYSPACE: &[u8] = b"*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n";

const UNKNOWN: u64 = u64::MAX;

/// Keys of one TOUCH: enough to make its cost small beside theirs, few enough to delay nobody.
const TOUCHED_AT_ONCE: usize = 64;

impl Vigil {
    /// A new connection: what it said of itself is where comparing begins.
    pub fn begin(&self, welcome: &Welcome) {
        self.role.lock().clone_from(&welcome.role);
        self.swaps.store(welcome.swaps.unwrap_or(UNKNOWN), Relaxed);
        self.hash_fields_end.store(hash_fields_end(welcome), Relaxed);
    }

    /// Whether L1 hides reads from an upstream that evicts what is not read.
    pub fn evicts(&self) -> bool {
        self.evicts.load(Relaxed)
    }

    /// Whether fields of hashes may end without a change of the key.
    pub fn hash_fields_end(&self) -> bool {
        self.hash_fields_end.load(Relaxed)
    }

    /// The databases that had keys when it was asked last.
    pub fn databases(&self) -> Vec<DatabaseInfo> {
        self.databases.lock().clone()
    }

    /// Applies an answer. True if everything in L1 is void: something has changed that no push told of.
    pub fn told(&self, question: Question, reply: &[u8]) -> bool {
        match question {
            Question::Role => self.told_role(reply),
            Question::Swaps => {
                let swaps = swaps(&text(reply)).unwrap_or(UNKNOWN);
                self.swaps.swap(swaps, Relaxed) != swaps
            }
            Question::Eviction => {
                self.evicts.store(evicts(&text(reply)), Relaxed);
                false
            }
            Question::Keyspace => {
                *self.databases.lock() = text(reply).lines().filter_map(database).collect();
                false
            }
            Question::Nothing => false,
        }
    }

    fn told_role(&self, reply: &[u8]) -> bool {
        let mut cursor = Cursor::new(reply);
        let (Some(Kind::Array(_)), Some(Kind::Bulk(role))) = (cursor.read(), cursor.read()) else {
            return false;
        };
        // HELLO says replica where ROLE says slave.
        let role = if role == b"slave" { "replica".into() } else { String::from_utf8_lossy(role) };
        let mut before = self.role.lock();
        let changed = !before.is_empty() && *before != role;
        if changed {
            warn!(before = %*before, now = %role, "the upstream's role has changed");
        }
        *before = role.into_owned();
        changed
    }
}

/// Adds the questions to a batch.
pub fn ask(batch: &mut Batch, questions: &[Question], now: Nanos) {
    for &question in questions {
        let raw: &[u8] = match question {
            Question::Role => b"*1\r\n$4\r\nROLE\r\n",
            Question::Swaps => b"*2\r\n$4\r\nINFO\r\n$12\r\ncommandstats\r\n",
            Question::Eviction => b"*2\r\n$4\r\nINFO\r\n$6\r\nmemory\r\n",
            Question::Keyspace => INFO_KEYSPACE,
            Question::Nothing => continue,
        };
        batch.push(raw, Pending::new(To::Vigil(question), 0, now));
    }
}

/// Adds a TOUCH of these keys, sorted by database.
pub fn touch(batch: &mut Batch, keys: &[(u32, Vec<u8>)], now: Nanos) {
    for same_db in keys.chunk_by(|a, b| a.0 == b.0) {
        for keys in same_db.chunks(TOUCHED_AT_ONCE) {
            let mut raw = BytesMut::new();
            raw.put_slice(format!("*{}\r\n$5\r\nTOUCH\r\n", keys.len() + 1).as_bytes());
            for (_, key) in keys {
                raw.put_slice(format!("${}\r\n", key.len()).as_bytes());
                raw.put_slice(key);
                raw.put_slice(b"\r\n");
            }
            let pending = Pending { db: same_db[0].0, ..Pending::new(To::Vigil(Question::Nothing), 0, now) };
            batch.push(&raw, pending);
        }
    }
}

/// The text of a bulk or verbatim string.
fn text(reply: &[u8]) -> String {
    match Cursor::new(reply).read() {
        Some(Kind::Bulk(text) | Kind::Verbatim(_, text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    }
}

/// Calls of SWAPDB according to INFO commandstats; none if that does not say anything at all.
pub fn swaps(info: &str) -> Option<u64> {
    if !info.contains("cmdstat_") {
        return None;
    }
    let line = info.lines().find_map(|line| line.strip_prefix("cmdstat_swapdb:calls="));
    line.map_or(Some(0), |line| line.split(',').next()?.parse().ok())
}

/// `db0:keys=3,expires=1,avg_ttl=0` and what later versions add.
fn database(line: &str) -> Option<DatabaseInfo> {
    let (db, fields) = line.strip_prefix("db")?.split_once(':')?;
    let field = |name: &str| {
        let value = fields.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.trim().parse().ok())
    };
    Some(DatabaseInfo {
        db: db.parse().ok()?,
        keys: field("keys")?,
        expires: field("expires").unwrap_or(0),
        avg_ttl_ms: field("avg_ttl").unwrap_or(0),
    })
}

fn evicts(info: &str) -> bool {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let limited = field("maxmemory").is_some_and(|max| max.trim() != "0");
    let by_use =
        field("maxmemory_policy").is_some_and(|policy| policy.contains("lru") || policy.contains("lfu"));
    limited && by_use
}

fn hash_fields_end(welcome: &Welcome) -> bool {
    let mut numbers = welcome.version.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(u32::MAX), numbers.next().unwrap_or(0));
    match welcome.server.as_str() {
        "valkey" => version >= (9, 0),
        _ => version >= (7, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_or_another_role_voids_everything() {
        let vigil = Vigil::default();
        vigil.begin(&Welcome { role: "master".into(), swaps: Some(1), ..Welcome::default() });
        let info = |swaps: &str| {
            let text = format!("# Commandstats\r\ncmdstat_get:calls=3,usec=1\r\n{swaps}");
            format!("={}\r\ntxt:{text}\r\n", text.len() + 4).into_bytes()
        };
        let one = info("cmdstat_swapdb:calls=1,usec=2\r\n");
        assert!(!vigil.told(Question::Swaps, &one));
        assert!(vigil.told(Question::Swaps, &info("cmdstat_swapdb:calls=2,usec=2\r\n")));
        assert!(vigil.told(Question::Swaps, &info("")), "statistics were reset: nobody knows");
        assert!(!vigil.told(Question::Swaps, &info("")));
        assert!(!vigil.told(Question::Role, b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"));
        assert!(
            vigil.told(Question::Role, b"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n")
        );
    }

    #[test]
    fn an_upstream_that_may_not_say_is_not_taken_for_changed() {
        let vigil = Vigil::default();
        vigil.begin(&Welcome { role: "master".into(), ..Welcome::default() });
        let refused = b"-NOPERM this user has no permissions\r\n";
        assert!(!vigil.told(Question::Swaps, refused));
        assert!(!vigil.told(Question::Role, refused));
    }

    #[test]
    fn databases_are_counted() {
        let vigil = Vigil::default();
        let text =
            "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=9\r\ndb12:keys=1,subexpiry=0,expires=0\r\nerr:x\r\n";
        assert!(!vigil.told(Question::Keyspace, format!("${}\r\n{text}\r\n", text.len()).as_bytes()));
        let found: Vec<_> =
            vigil.databases().iter().map(|d| (d.db, d.keys, d.expires, d.avg_ttl_ms)).collect();
        assert_eq!(found, [(0, 3, 1, 9), (12, 1, 0, 0)]);
        assert!(!vigil.told(Question::Keyspace, b"-NOPERM no\r\n"));
        assert!(vigil.databases().is_empty());
    }

    #[test]
    fn eviction_by_use_is_recognised() {
        assert!(evicts("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n"));
        assert!(!evicts("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n"));
        assert!(!evicts("maxmemory:100\r\nmaxmemory_policy:volatile-ttl\r\n"));
    }

    #[test]
    fn fields_of_hashes_end_since_redis_7_4_and_valkey_9() {
        let of = |server: &str, version: &str| {
            hash_fields_end(&Welcome { server: server.into(), version: version.into(), ..Welcome::default() })
        };
        assert!(
            !of("redis", "7.0.15") && of("redis", "7.4.0") && of("redis", "8.0.1") && of("redis", "unknown")
        );
        assert!(!of("valkey", "8.1.0") && of("valkey", "9.0.0"));
    }
}
