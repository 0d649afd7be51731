//! Random arguments by kind, out of small pools full of edges.
//!
//! Few keys, so that commands meet on them; each type has keys of its own that its commands prefer, so that
//! they often meet the right type and sometimes a wrong one. Times to live are huge, negative or nonsense,
//! so that no key expires while a test runs.

use crate::support::Rng;

/// The state that arguments are drawn from.
pub struct Arguments {
    pools: Pools,
    next_id: u64,
    script: usize,
}

/// Arguments that only a running Redis can make.
#[derive(Clone, Default)]
pub struct Pools {
    /// DUMPs of values of all types.
    pub payloads: Vec<Vec<u8>>,
    /// FUNCTION DUMPs.
    pub libraries: Vec<Vec<u8>>,
    /// SHA1 of each of `SCRIPTS`.
    pub shas: Vec<Vec<u8>>,
}

const STRINGS: &[&[u8]] = &[b"s1", b"", b"weight_1"];
const LISTS: &[&[u8]] = &[b"l1", b"l\r\n2"];
const SETS: &[&[u8]] = &[b"t1", b"t\x00\xff"];
const HASHES: &[&[u8]] = &[b"h1", b"{h}2"];
const ZSETS: &[&[u8]] = &[b"z1", b"z 2"];
const STREAMS: &[&[u8]] = &[b"x1", b"x2"];
const LOGS: &[&[u8]] = &[b"p1", b"p2"];
const ALL_KEYS: &[&[&[u8]]] = &[STRINGS, LISTS, SETS, HASHES, ZSETS, STREAMS, LOGS];

/// Every key that rows name by a kind; the comparison of data looks at these first.
pub fn known_keys() -> impl Iterator<Item = &'static [u8]> {
    ALL_KEYS.iter().flat_map(|keys| keys.iter().copied()).chain([&b"only-lists"[..], b"top-stream", b"nokey"])
}

const VALUES: &[&[u8]] = &[
    b"a",
    b"b",
    b"hello world",
    b"",
    b"1",
    b"-5",
    b"10",
    b"3.14",
    b"1e3",
    b"inf",
    b"nan",
    b"\r\n",
    b"\x00\xff",
    b"$5\r\n",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"01",
    b" 1",
    b"+1",
    b"12345678901234567890",
    b"0123456789012345678901234567890123456789012345",
    b"embstr-limit-is-44-bytes-this-one-is-44-long",
    b"a value that is longer than sixty-four bytes, so that listpacks do not take it in",
];
// SORT ALPHA compares up to the first NUL, so no two members may be equal up to there.
const MEMBERS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"f",
    b"",
    b"1",
    b"2",
    b"3",
    b"-7",
    b"3000000000",
    b"1.5",
    b"\r\n",
    b"n\x00\xff",
    b"e1",
    b"e2",
    b"a member that is longer than sixty-four bytes, so that listpacks do not take it",
];
const INTS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "5",
    "-5",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "abc",
    "",
    "1.5",
    "+1",
    "01",
    " 1",
];
const INDEXES: &[&str] = &[
    "0",
    "0",
    "1",
    "-1",
    "-1",
    "2",
    "-2",
    "5",
    "-100",
    "100",
    "9223372036854775807",
    "-9223372036854775808",
    "9999999999999999999",
    "x",
];
const FLOATS: &[&str] = &[
    "1.5",
    "-2",
    "0",
    "-0",
    "3",
    "10",
    "inf",
    "-inf",
    "+inf",
    "nan",
    "1e400",
    "1e308",
    "0x1p3",
    "3.0e2",
    "abc",
    "",
    " 1",
    "1e-5",
    "0.1",
    "1234567890.125",
    "17179869184.5",
    "1e17",
    "1e21",
    "0.30000000000000004",
];
const SCORES: &[&str] = &["0", "1", "2", "3", "-1", "1.5", "2.25", "1e3", "inf", "-inf", "100"];
const SCORE_BOUNDS: &[&str] =
    &["-inf", "+inf", "inf", "0", "1", "2", "(1", "(2", "-1", "5", "100", "(inf", "nan", "(x", "1.5"];
const LEX_BOUNDS: &[&str] = &["-", "+", "[a", "(a", "[b", "(c", "[", "(", "x", "[e1"];
const PATTERNS: &[&[u8]] =
    &[b"*", b"?1", b"[a-l]*", b"[^s]*", b"s*", b"*\xff", b"\\*", b"nokey", b"", b"z ?", b"[", b"*1*"];
const OFFSETS: &[&str] =
    &["0", "1", "7", "8", "15", "64", "100", "-1", "4294967296", "9223372036854775807", "abc"];
const BAD_TIMES: &[&str] = &[
    "0",
    "-1",
    "-100",
    "9223372036854775807",
    "-9223372036854775808",
    "abc",
    "1.5",
    "",
    "92233720368547758",
];
const PLACES: &[[&str; 3]] = &[
    ["13.361389", "38.115556", "Palermo"],
    ["15.087269", "37.502669", "Catania"],
    ["0", "0", "a"],
    ["-122.27", "37.80", "b"],
    ["180", "85.05112878", "c"],
    ["-180", "-85.05112878", "d"],
    ["181", "0", "e1"],
    ["0", "86", "e2"],
    ["x", "1", "f"],
    ["13.5", "38.0", ""],
];
const GARBAGE: &[&[u8]] = &[
    b"",
    b"abc",
    b"9223372036854775807",
    b"-1",
    b"9223372036854775808",
    b"1e400",
    b"nan",
    b"0x10",
    b"\r\n",
    b" 1",
    b"y\x00",
    b"-inf",
    b"(",
    b"a much longer argument than those that stand here as a rule, and with 0x00 \x00",
];

/// Scripts: what they return, what they call, how they fail.
pub const SCRIPTS: &[&str] = &[
    "return {1,2,{3,'four'},false,true,nil,5}",
    "return redis.call('set', KEYS[1], ARGV[1])",
    "return redis.call('get', KEYS[1])",
    "return {KEYS, ARGV, #KEYS, #ARGV}",
    "return redis.pcall('incr', KEYS[1])",
    "return redis.call('incr', KEYS[1])",
    "return redis.error_reply('MYERR no')",
    "return redis.status_reply('FINE')",
    "return {err='x', ok='y'}",
    "return 3.99",
    "redis.setresp(3); return redis.call('zrange', KEYS[1], 0, -1, 'withscores')",
    "redis.setresp(3); return {double=2.5}",
    "redis.setresp(3); return {map={a=1}}",
    "return redis.call('lrange', KEYS[1], 0, -1)",
    "redis.call('rpush', 'l1', 'from a script'); return redis.call('llen', 'l1')",
    "return cjson.encode({1, 'a', {b = 2}})",
    "return redis.sha1hex(ARGV[1] or '')",
    "this is not lua",
    "error('boom')",
    "return redis.call('nosuchcommand')",
    "return redis.call('get')",
    "return tostring(redis.call('exists', KEYS[1]))",
    "#!lua flags=no-writes\nreturn redis.call('strlen', KEYS[1])",
    "#!lua flags=no-writes\nreturn redis.call('set', KEYS[1], '1')",
    "#!lua flags=nonsense\nreturn 1",
    "return redis.call('select', 1)",
    "redis.call('select', 1); redis.call('set', KEYS[1], 'db1'); return redis.call('get', KEYS[1])",
    "return redis.call('del', unpack(KEYS))",
    "local t = {} for i = 1, 200 do t[i] = i end return t",
    "undeclared = 1",
    "return redis.REDIS_VERSION",
    "return redis.call('multi')",
    "return redis.call('blpop', 'nokey', 0)",
];

const LIBRARIES: &[&str] = &[
    "#!lua name=one\nredis.register_function('f1', function(keys, args) return {keys, args} end)",
    "#!lua name=two\nredis.register_function{function_name='f2', callback=function(keys, args) \
     return redis.call('get', keys[1]) end, flags={'no-writes'}}",
    "#!lua name=three\nlocal function set(keys, args) return redis.call('set', keys[1], args[1]) end\n\
     redis.register_function('f3', set)\nredis.register_function('f4', function() return redis.error_reply('E no') end)",
    "#!lua name=bad\nthis is not lua",
    "#!lua nam=bad\nreturn 1",
    "no shebang",
    "#!lua name=empty\nreturn 1",
];

impl Arguments {
    /// With what a running Redis has made.
    pub fn new(pools: Pools) -> Self {
        Arguments { pools, next_id: 1000, script: 0 }
    }

    /// Without a Redis; the kinds that need one cannot be made.
    pub fn plain() -> Self {
        Self::new(Pools::default())
    }

    /// An argument that fits nowhere.
    pub fn garbage(&self, rng: &mut Rng) -> Vec<u8> {
        rng.pick(GARBAGE).to_vec()
    }

    /// A random argument of `kind`.
    pub fn make(&mut self, kind: &str, rng: &mut Rng) -> Vec<u8> {
        let text = match kind {
            "key" | "skey" | "lkey" | "tkey" | "hkey" | "zkey" | "xkey" | "pkey" => return key(kind, rng),
            "value" => return rng.pick(VALUES).to_vec(),
            "member" | "field" => return rng.pick(MEMBERS).to_vec(),
            "pattern" => return rng.pick(PATTERNS).to_vec(),
            "payload" => return self.payload(rng),
            "functions" => return rng.pick(&self.pools.libraries).clone(),
            "script" => {
                self.script = rng.below(SCRIPTS.len());
                SCRIPTS[self.script]
            }
            "sha" => return self.sha(rng),
            "xid" => return self.stream_id(rng).into_bytes(),
            "ttl" => return time(rng, 100_000, 1_000_000_000).into_bytes(),
            "pttl" => return time(rng, 100_000_000, 1_000_000_000_000).into_bytes(),
            "at" => return time(rng, 3_000_000_000, 4_000_000_000).into_bytes(),
            "pat" => return time(rng, 3_000_000_000_000, 4_000_000_000_000).into_bytes(),
            "lon" | "lat" | "place" => {
                let i = ["lon", "lat", "place"].iter().position(|&k| k == kind).expect("one of the three");
                if rng.chance(85) { PLACES[rng.below(6)][i] } else { rng.pick(PLACES)[i] }
            }
            _ => fixed(kind, rng),
        };
        text.as_bytes().to_vec()
    }

    fn payload(&self, rng: &mut Rng) -> Vec<u8> {
        let mut payload = rng.pick(&self.pools.payloads).clone();
        if rng.chance(10) && !payload.is_empty() {
            let at = rng.below(payload.len());
            payload[at] ^= 1;
        }
        payload
    }

    fn sha(&self, rng: &mut Rng) -> Vec<u8> {
        match rng.below(10) {
            0 => b"ffffffffffffffffffffffffffffffffffffffff".to_vec(),
            1 => b"short".to_vec(),
            2 => self.pools.shas[self.script].to_ascii_uppercase(),
            3 => rng.pick(&self.pools.shas).clone(),
            _ => self.pools.shas[self.script].clone(),
        }
    }

    fn stream_id(&mut self, rng: &mut Rng) -> String {
        self.next_id += 1;
        let n = self.next_id;
        match rng.below(20) {
            0 => "0-0".into(),
            1 => "abc".into(),
            2 => "5-5".into(),
            3 => "18446744073709551616-1".into(),
            4..=6 => format!("{n}-*"),
            7 => n.to_string(),
            _ => format!("{n}-{}", rng.below(3)),
        }
    }
}

fn key(kind: &str, rng: &mut Rng) -> Vec<u8> {
    let own = match kind {
        "skey" => STRINGS,
        "lkey" => LISTS,
        "tkey" => SETS,
        "hkey" => HASHES,
        "zkey" => ZSETS,
        "xkey" => STREAMS,
        "pkey" => LOGS,
        _ => rng.pick(ALL_KEYS),
    };
    match rng.below(20) {
        0 => b"nokey".to_vec(),
        1 | 2 => {
            let any = ALL_KEYS[rng.below(ALL_KEYS.len())];
            rng.pick(any).to_vec()
        }
        _ => rng.pick(own).to_vec(),
    }
}

/// A time far away from the present on the side of the future, or one that is past or no time at all.
fn time(rng: &mut Rng, from: u64, to: u64) -> String {
    if rng.chance(15) {
        return (*rng.pick(BAD_TIMES)).to_owned();
    }
    (from + rng.next_u64() % (to - from)).to_string()
}

fn fixed(kind: &str, rng: &mut Rng) -> &'static str {
    let pool: &[&str] = match kind {
        "int" => INTS,
        "index" => INDEXES,
        "float" => FLOATS,
        "score" if rng.chance(85) => SCORES,
        "score" => FLOATS,
        "sbound" => SCORE_BOUNDS,
        "lbound" => LEX_BOUNDS,
        "offset" => OFFSETS,
        "bit" => &["0", "1", "1", "2", "-1", "x"],
        "count" => &["0", "1", "2", "3", "10", "1", "2", "-1", "9223372036854775807", "x"],
        "scount" => &["0", "1", "2", "3", "10", "-1", "-3", "-10", "x", "9223372036854775808"],
        "scancount" => &["1", "2", "1000", "1000", "0", "-1", "x"],
        "cursor" => &["0", "0", "0", "0", "0", "0", "5", "x", "-1", "18446744073709551615"],
        "rank" => &["1", "-1", "2", "-2", "0", "x", "-9223372036854775808"],
        "db" => &["0", "0", "0", "0", "0", "0", "1", "1", "9", "15", "16", "-1", "99999999999", "abc"],
        "nowait" => &["0.01", "0.02"],
        "badwait" => &["-1", "abc", "nan", "inf", "1e400", ""],
        "type" => &["STRING", "list", "Set", "hash", "zset", "stream", "nosuchtype"],
        "bytype" if rng.chance(90) => &["u8", "i8", "u1", "i64", "u63", "i5"],
        "bytype" => &["u8", "i8", "u1", "i64", "u63", "u64", "i5", "x8", "u0"],
        "bitpos" if rng.chance(90) => &["0", "1", "8", "#0", "#1", "#2", "100"],
        "bitpos" => &["0", "1", "8", "#0", "#1", "#2", "100", "-1", "#", "x"],
        "xbound" => &["-", "+", "0", "1001", "1010", "(1001", "(1010-0", "5-5", "abc", "("],
        "xafter" => &["0", "0-0", "1001", "1005-1", "abc", "0"],
        "xgroup" => &["g1", "g1", "g2", "nogroup", ""],
        "consumer" => &["c1", "c1", "c2", ""],
        "xclaimed" => &["1001", "1002-0", "1002-1", "1003-2", "1004", "1010-0", "0-0", "abc"],
        "idle" => &["0", "0", "0", "9999999999999", "-1", "x"],
        "unit" => &["m", "km", "FT", "mi", "KM", "parsec"],
        "radius" => &["100", "200", "5000", "0", "1e7", "-1", "x"],
        "byweight" => &["weight_*", "h*", "{h}*->f", "*", "nokey_*"],
        "getpattern" => &["weight_*", "h*", "{h}*->f", "*", "nokey_*", "#", "h1->*", "s1"],
        "library" => LIBRARIES,
        "goodlibrary" => &LIBRARIES[..3],
        "libname" => &["one", "two", "three", "nolib", "o*", ""],
        "function" => &["f1", "f2", "f3", "f4", "F1", "nofunction"],
        "only-lists" => &["only-lists"],
        "top-stream" => &["top-stream"],
        "nokey" => &["nokey"],
        "channel" => &["c1", "c2", ""],
        "port" => &["1"],
        "ident" => &["name1", "a-b_c", "with space", "", "new\nline"],
        "configname" => &[
            "maxmemory-policy",
            "hash-max-*",
            "list-max-listpack-size",
            "nosuch",
            "MAXMEMORY",
            "slowlog-log-*",
            "[",
        ],
        "command" => {
            &["get", "SET", "config|get", "CONFIG", "nosuch", "mget", "xadd", "zunionstore", "lmpop"]
        }
        "category" => &["read", "FAST", "nosuch", "string"],
        "username" => &["default", "nouser"],
        _ => panic!("no such kind of argument: {kind}"),
    };
    pool[rng.below(pool.len())]
}
