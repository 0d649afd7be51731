//! The near cache through real sockets: what is served, what makes it forget, and how that is shown. The
//! order of things under load is the consistency checker's subject (tests/consistency).

use crate::support::client::RawClient;
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

/// Everything is kept at its first reading, and a slow machine is no reason to wait.
const EAGER: &[(&str, &str)] =
    &[("cache.admission", "always"), ("cache.admit_after", "1"), ("cache.max_staleness", "60s")];

fn eager(redis: &RedisServer, more: &[(&str, &str)]) -> Proxy {
    Proxy::behind(redis.addr(), &[EAGER, more].concat())
}

fn raw(client: &mut RawClient, args: &[&str]) -> String {
    client.call_raw(args).unwrap().escape_ascii().to_string()
}

fn number(proxy: &Proxy, field: &str) -> u64 {
    proxy.info(field).and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// Reads until the entry is there: the reply that fills L1 is released before PTTL's has come.
fn warm(proxy: &Proxy, client: &mut RawClient, args: &[&str]) -> String {
    let before = number(proxy, "l1_hits");
    until("a hit", || {
        let reply = raw(client, args);
        (number(proxy, "l1_hits") > before).then_some(reply)
    })
}

#[test]
fn what_is_kept_is_served_while_the_upstream_stands_still() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let mut client = proxy.client();
    let mut other = RawClient::connect_resp3(proxy.addr()).unwrap();
    let reads: &[(&[&str], &[&str])] = &[
        (&["SET", "s", "v"], &["GET", "s"]),
        (&["HSET", "h", "f", "v"], &["HGETALL", "h"]),
        (&["RPUSH", "l", "a", "b"], &["LRANGE", "l", "0", "-1"]),
        (&["SADD", "set", "m"], &["SMEMBERS", "set"]),
        (&["ZADD", "z", "1.5", "m"], &["ZRANGE", "z", "0", "-1", "WITHSCORES"]),
        (&["SET", "t", "v", "EX", "1000"], &["STRLEN", "t"]),
        (&["PING"], &["GET", "missing"]),
        (&["PING"], &["EXISTS", "missing"]),
    ];
    let mut expected = Vec::new();
    for (write, read) in reads {
        raw(&mut client, write);
        warm(&proxy, &mut client, read);
        expected.push((raw(&mut redis.client(), read), raw(&mut redis_resp3(&redis), read)));
    }
    redis.pause();
    for ((_, read), (resp2, resp3)) in reads.iter().zip(&expected) {
        assert_eq!(raw(&mut client, read), *resp2, "{read:?}");
        assert_eq!(raw(&mut other, read), *resp3, "{read:?} in RESP3");
    }
    redis.resume();
}

fn redis_resp3(redis: &RedisServer) -> RawClient {
    RawClient::connect_resp3(redis.addr()).unwrap()
}

#[test]
fn what_others_change_is_seen() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    raw(&mut client, &["SET", "k", "old"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    raw(&mut direct, &["SET", "k", "new"]);
    until("the change", || (raw(&mut client, &["GET", "k"]) == r"$3\r\nnew\r\n").then_some(()));
    warm(&proxy, &mut client, &["GET", "k"]);
    raw(&mut direct, &["FLUSHALL"]);
    until("the flush", || (raw(&mut client, &["GET", "k"]) == r"$-1\r\n").then_some(()));
}

#[test]
fn mget_is_served_only_whole() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let mut client = proxy.client();
    raw(&mut client, &["MSET", "a", "1", "b", "2"]);
    raw(&mut client, &["LPUSH", "list", "x"]);
    let all = ["MGET", "a", "missing", "b", "list", "a"];
    let reply = r"*5\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n$-1\r\n$1\r\n1\r\n";
    assert_eq!(warm(&proxy, &mut client, &all), reply);
    // An element of MGET answers GET when it is a string, and only then.
    redis.pause();
    assert_eq!(raw(&mut client, &all), reply);
    assert_eq!(raw(&mut client, &["GET", "b"]), r"$1\r\n2\r\n");
    redis.resume();
    assert!(raw(&mut client, &["GET", "list"]).starts_with("-WRONGTYPE"));
    raw(&mut client, &["SET", "b", "3"]);
    assert_eq!(raw(&mut client, &["MGET", "a", "b"]), r"*2\r\n$1\r\n1\r\n$1\r\n3\r\n");
    warm(&proxy, &mut client, &["EXISTS", "a"]);
    warm(&proxy, &mut client, &["EXISTS", "nobody"]);
    redis.pause();
    assert_eq!(raw(&mut client, &["EXISTS", "a", "nobody", "a"]), r":2\r\n");
    redis.resume();
}

#[test]
fn a_pipeline_that_mixes_hits_misses_and_writes_is_answered_in_order() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let mut client = proxy.client();
    raw(&mut client, &["MSET", "k", "0", "x", "y"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    warm(&proxy, &mut client, &["GET", "x"]);
    let requests: &[&[&str]] = &[
        &["GET", "k"],
        &["GET", "cold"],
        &["GET", "k"],
        &["SET", "k", "1"],
        &["GET", "k"],
        &["GET", "x"],
        &["PING"],
        &["MGET", "x", "k"],
        &["SET", "x", "z"],
        &["MGET", "x", "k"],
        &["GET", "x"],
    ];
    let bytes: Vec<u8> = requests.iter().flat_map(|request| encode(request)).collect();
    let replies = client.exchange(&bytes, requests.len()).unwrap();
    let replies: Vec<String> = replies.iter().map(|reply| reply.escape_ascii().to_string()).collect();
    let expected = [
        r"$1\r\n0\r\n",
        r"$-1\r\n",
        r"$1\r\n0\r\n",
        r"+OK\r\n",
        r"$1\r\n1\r\n",
        r"$1\r\ny\r\n",
        r"+PONG\r\n",
        r"*2\r\n$1\r\ny\r\n$1\r\n1\r\n",
        r"+OK\r\n",
        r"*2\r\n$1\r\nz\r\n$1\r\n1\r\n",
        r"$1\r\nz\r\n",
    ];
    assert_eq!(replies, expected);
}

#[test]
fn a_swapdb_elsewhere_is_noticed_and_verification_would_show_it() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[("cache.verify", "1")]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    raw(&mut client, &["SET", "k", "in0"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    until("a comparison", || (number(&proxy, "l1_checked") > 0).then_some(()));
    assert_eq!(number(&proxy, "l1_checked_wrong"), 0);
    // Redis tells nobody: until it is asked, L1 is wrong, and a hit that is verified shows it.
    raw(&mut direct, &["SWAPDB", "0", "1"]);
    until("the wrong hit", || {
        raw(&mut client, &["GET", "k"]);
        let wrong = number(&proxy, "l1_checked_wrong") > 0;
        // The proxy may have looked around meanwhile, and be right again.
        if !wrong && raw(&mut client, &["GET", "k"]) == r"$-1\r\n" {
            raw(&mut direct, &["SWAPDB", "0", "1"]);
        }
        wrong.then_some(())
    });
    proxy.shared().upstream.as_ref().unwrap().node.look_around();
    let there = raw(&mut direct, &["GET", "k"]);
    until("the truth", || (raw(&mut client, &["GET", "k"]) == there).then_some(()));
}

#[test]
fn a_swapdb_in_a_transaction_of_its_own_connection_is_seen_at_once() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[("upstream.bulk_threshold", "64kb")]);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    let large = "x".repeat(40 << 10);
    for before in [&["WATCH", "w"][..], &["PING"]] {
        for proto in ["2", "3"] {
            client.call(&["HELLO", proto]).unwrap();
            raw(&mut client, &["FLUSHALL"]);
            raw(&mut client, &["SET", "k", "in0"]);
            warm(&proxy, &mut other, &["GET", "k"]);
            raw(&mut client, before);
            for command in [&["MULTI"][..], &["MSET", "a", &large, "b", &large], &["SWAPDB", "0", "1"]] {
                raw(&mut client, command);
            }
            assert_eq!(raw(&mut client, &["EXEC"]), r"*2\r\n+OK\r\n+OK\r\n");
            let nil = if proto == "2" { r"$-1\r\n" } else { r"_\r\n" };
            assert_eq!(raw(&mut other, &["GET", "k"]), r"$-1\r\n");
            assert_eq!(raw(&mut client, &["GET", "k"]), nil);
        }
    }
}

#[test]
fn a_refusal_is_no_verdict_on_what_is_cached() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[("cache.verify", "1")]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    raw(&mut client, &["SET", "k", "v"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    raw(&mut direct, &["ACL", "SETUSER", "default", "-get"]);
    until("a refused comparison", || {
        assert_eq!(raw(&mut client, &["GET", "k"]), r"$1\r\nv\r\n");
        let errors = direct.call(&["INFO", "errorstats"]).unwrap();
        let text = String::from_utf8_lossy(errors.text().unwrap_or_default()).into_owned();
        text.contains("errorstat_NOPERM").then_some(())
    });
    // Its reply comes behind that of the comparison.
    raw(&mut client, &["SET", "other", "v"]);
    assert_eq!(number(&proxy, "l1_checked_wrong"), 0);
}

/// Reads go on with what a write began: a grown table is rehashed step by step, and lists its fields in
/// another order after each.
#[test]
fn another_order_of_a_hash_is_no_wrong_reply() {
    let redis = RedisServer::start(&["--hash-max-listpack-entries", "0"]);
    let proxy = eager(&redis, &[("cache.verify", "1")]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    let rehash = |direct: &mut RawClient, key: &str| {
        for _ in 0..200 {
            raw(direct, &["HGET", key, "none"]);
        }
    };
    // Two hashes of the same fields: by the first it is found out after how many the order changes.
    let fields: Vec<String> = (0..1000).map(|i| format!("field{i}")).collect();
    let grown = fields.iter().find(|field| {
        raw(&mut direct, &["HSET", "first", field, field]);
        let before = raw(&mut direct, &["HKEYS", "first"]);
        rehash(&mut direct, "first");
        raw(&mut direct, &["HKEYS", "first"]) != before
    });
    let grown = grown.expect("tables grow");
    let mut checked = 0;
    for read in ["HKEYS", "HVALS", "HGETALL"] {
        let key = format!("h:{read}");
        for field in fields.iter().take_while(|field| *field != grown) {
            raw(&mut direct, &["HSET", &key, field, field]);
        }
        rehash(&mut direct, &key);
        raw(&mut direct, &["HSET", &key, grown, grown]);
        let kept = warm(&proxy, &mut client, &[read, &key]);
        rehash(&mut direct, &key);
        assert_ne!(raw(&mut direct, &[read, &key]), kept);
        assert_eq!(raw(&mut client, &[read, &key]), kept);
        checked += 2;
        until("comparisons", || (number(&proxy, "l1_checked") >= checked).then_some(()));
        assert_eq!(number(&proxy, "l1_checked_wrong"), 0, "{read}");
    }
}

/// A client that only reads by one command goes straight to L1 each time, but not past what others have done
/// between two of its batches, nor past what it has said itself.
#[test]
fn reads_of_one_name_heed_what_happens_between_them() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    let get = |client: &mut RawClient| raw(client, &["GET", "k"]);
    raw(&mut other, &["SET", "k", "v"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    // Somebody monitors from now on.
    let mut monitor = proxy.client();
    assert_eq!(raw(&mut monitor, &["MONITOR"]), r"+OK\r\n");
    assert_eq!(get(&mut client), r"$1\r\nv\r\n");
    let line = monitor.read_frame().unwrap().escape_ascii().to_string();
    assert!(line.contains(r#"\"GET\" \"k\""#), "{line}");
    drop(monitor);
    // Another configuration.
    let served = |field: &str| number(&proxy, field);
    assert_eq!(raw(&mut other, &["NEARCACHE", "CONFIG", "SET", "cache.enabled", "false"]), r"+OK\r\n");
    let before = served("l1_hits");
    assert_eq!(get(&mut client), r"$1\r\nv\r\n");
    assert_eq!(served("l1_hits"), before);
    assert_eq!(raw(&mut other, &["NEARCACHE", "CONFIG", "SET", "cache.enabled", "true"]), r"+OK\r\n");
    warm(&proxy, &mut client, &["GET", "k"]);
    // The client itself.
    for (line, reply) in [
        (["NEARCACHE", "BYPASS", "ON"].as_slice(), r"+OK\r\n"),
        (&["NEARCACHE", "BYPASS", "OFF"], r"+OK\r\n"),
        (&["CLIENT", "REPLY", "SKIP"], ""),
        (&["MULTI"], r"+OK\r\n"),
    ] {
        let before = served("l1_hits");
        client.send(&[encode(line), encode(&["GET", "k"]), encode(&["ECHO", "end"])].concat()).unwrap();
        let mut heard = String::new();
        while !heard.ends_with(r"$3\r\nend\r\n") && !heard.ends_with(r"+QUEUED\r\n+QUEUED\r\n") {
            heard.push_str(&client.read().unwrap().escape_ascii().to_string());
        }
        let read = match line[0] {
            "MULTI" => r"+QUEUED\r\n+QUEUED\r\n",
            "CLIENT" => r"$3\r\nend\r\n",
            _ => r"$1\r\nv\r\n$3\r\nend\r\n",
        };
        assert_eq!(heard, format!("{reply}{read}"), "{line:?}");
        let is_hit = line.get(2).is_some_and(|last| *last != "ON");
        assert_eq!(served("l1_hits") - before, u64::from(is_hit), "{line:?}");
    }
}

/// Reads between writes are parked and then sent after all; a session that finds that out stops to ask L1 for
/// them, and asks as before where nothing is unanswered.
#[test]
fn reads_that_are_parked_in_vain_are_sent_at_once() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[("upstream.ping_every", "60s")]);
    let mut client = proxy.client();
    raw(&mut client, &["SET", "k", "v"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    let mixed = [encode(&["SET", "w", "1"]), encode(&["GET", "k"]), encode(&["MGET", "k", "w"])].concat();
    let replies = r"+OK\r\n$1\r\nv\r\n*2\r\n$1\r\nv\r\n$1\r\n1\r\n".repeat(8);
    for _ in 0..50 {
        client.send(&mixed.repeat(8)).unwrap();
        let mut heard = String::new();
        while heard.len() < replies.len() {
            heard.push_str(&client.read().unwrap().escape_ascii().to_string());
        }
        assert_eq!(heard, replies);
    }
    let unasked = number(&proxy, "l1_unasked");
    assert!((200..800).contains(&unasked), "{unasked} of 800 did not ask");
    let before = number(&proxy, "l1_hits");
    for _ in 0..100 {
        assert_eq!(raw(&mut client, &["GET", "k"]), r"$1\r\nv\r\n");
    }
    assert_eq!(number(&proxy, "l1_hits") - before, 100);
    assert_eq!(number(&proxy, "l1_unasked"), unasked);
}

#[test]
fn a_dry_run_serves_nothing_and_shows_what_it_would_have() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[("cache.mode", "observe")]);
    let mut client = proxy.client();
    raw(&mut client, &["MSET", "k", "v", "other", "w"]);
    until("would-be hits", || {
        assert_eq!(raw(&mut client, &["GET", "k"]), r"$1\r\nv\r\n");
        assert_eq!(raw(&mut client, &["MGET", "k", "other"]), r"*2\r\n$1\r\nv\r\n$1\r\nw\r\n");
        (number(&proxy, "observed_hits") >= 10).then_some(())
    });
    until("comparisons", || (number(&proxy, "l1_checked") >= 10).then_some(()));
    assert_eq!(number(&proxy, "l1_checked_wrong"), 0);
    assert_eq!(number(&proxy, "l1_hits"), 0);
    assert!(number(&proxy, "l1_observed_bytes") >= 70);
}

#[test]
fn without_tracking_entries_live_by_their_time_and_own_writes() {
    let redis = RedisServer::start(&[]);
    let mut direct = redis.client();
    raw(&mut direct, &["ACL", "SETUSER", "plain", "on", ">pw", "~*", "&*", "+@all", "-client|tracking"]);
    let user = [("upstream.user", "plain"), ("upstream.password", "pw")];
    let off = eager(&redis, &user);
    assert_eq!(off.info("coherence").as_deref(), Some("none"));
    let proxy = eager(&redis, &[user[0], user[1], ("cache.ttl_mode_max_age", "1000s")]);
    assert_eq!(proxy.info("coherence").as_deref(), Some("ttl"));
    let mut client = proxy.client();
    raw(&mut client, &["SET", "k", "old"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    raw(&mut direct, &["SET", "k", "elsewhere"]);
    assert_eq!(raw(&mut client, &["GET", "k"]), r"$3\r\nold\r\n", "that is what the option is for");
    raw(&mut client, &["APPEND", "k", "!"]);
    assert_eq!(raw(&mut client, &["GET", "k"]), r"$10\r\nelsewhere!\r\n");
    // A script may have changed anything, and nobody tells.
    warm(&proxy, &mut client, &["GET", "k"]);
    raw(&mut client, &["EVAL", "return redis.call('SET', 'k', 'script')", "0"]);
    assert_eq!(raw(&mut client, &["GET", "k"]), r"$6\r\nscript\r\n");
    // What goes over a connection of the client's own counts as well.
    raw(&mut client, &["RPUSH", "q", "a", "b"]);
    warm(&proxy, &mut client, &["LLEN", "q"]);
    raw(&mut client, &["BLPOP", "q", "0"]);
    assert_eq!(raw(&mut client, &["LLEN", "q"]), r":1\r\n");
}

#[test]
fn behind_a_link_that_is_silent_hits_wait() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let options =
        [("cache.admission", "always"), ("cache.admit_after", "1"), ("cache.max_staleness", "50ms")];
    let proxy = Proxy::behind(link.addr(), &options);
    let mut client = proxy.client();
    raw(&mut client, &["SET", "k", "old"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    link.half_open();
    let mut served = 0;
    while number(&proxy, "l1_staleness_waits") == 0 {
        client.send(&encode(&["GET", "k"])).unwrap();
        served += 1;
        until("an answer or a wait", || {
            let answered = number(&proxy, "l1_hits") >= served;
            (answered || number(&proxy, "l1_staleness_waits") > 0).then_some(())
        });
    }
    raw(&mut redis.client(), &["SET", "k", "new"]);
    link.clear();
    // The last one waited: what is said after the silence is what is true then.
    let mut last = String::new();
    for _ in 0..served {
        last = client.read().unwrap().escape_ascii().to_string();
    }
    assert_eq!(last, r"$3\r\nnew\r\n");
}

#[test]
fn keys_that_l1_answers_for_are_kept_warm_where_redis_evicts_by_use() {
    let redis = RedisServer::start(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let proxy = eager(&redis, &[("cache.keep_warm", "1s")]);
    let mut client = proxy.client();
    raw(&mut client, &["SELECT", "1"]);
    raw(&mut client, &["SET", "k", "v"]);
    warm(&proxy, &mut client, &["GET", "k"]);
    until("TOUCH", || {
        let stats = redis.client().call(&["INFO", "commandstats"]).unwrap();
        String::from_utf8_lossy(stats.text().unwrap()).contains("cmdstat_touch:").then_some(())
    });
    assert!(number(&proxy, "l1_kept_warm") > 0);
}

#[test]
fn a_fenced_client_sees_what_others_have_written_before_it_asked() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    assert_eq!(raw(&mut client, &["NEARCACHE", "CONSISTENCY", "fenced"]), r"+OK\r\n");
    for i in 100..400 {
        raw(&mut direct, &["MSET", "a", &i.to_string(), "b", &i.to_string()]);
        let value = format!(r"$3\r\n{i}\r\n");
        for _ in 0..3 {
            assert_eq!(raw(&mut client, &["GET", "a"]), value);
            assert_eq!(raw(&mut client, &["MGET", "b", "a"]), format!(r"*2\r\n{value}{value}"));
        }
        let pipeline: Vec<u8> = (0..4).flat_map(|_| encode(&["GET", "b"])).collect();
        for reply in client.exchange(&pipeline, 4).unwrap() {
            assert_eq!(reply.escape_ascii().to_string(), value);
        }
    }
    assert!(number(&proxy, "l1_hits") > 500, "{} hits", number(&proxy, "l1_hits"));
}

/// Redis 7.4 ends fields of hashes by themselves and announces that late. The one here is a 7.0 that calls
/// itself 7.4: what counts is how long replies that may contain such fields are kept.
#[test]
fn hashes_of_a_redis_whose_fields_may_end_are_kept_for_a_short_time() {
    let redis = RedisServer::start(&[]);
    let link = Link::tampering(redis.addr(), || {
        Box::new(|_, bytes| {
            while let Some(at) = bytes.windows(6).position(|six| six == b"7.0.15") {
                bytes[at..at + 6].copy_from_slice(b"7.4.15");
            }
        })
    });
    let proxy = Proxy::behind(link.addr(), &[EAGER, &[("cache.hash_max_age", "7s")]].concat());
    let mut client = proxy.client();
    raw(&mut client, &["HSET", "h", "f", "v"]);
    raw(&mut client, &["SET", "s", "v"]);
    for read in [&["HGET", "h", "f"][..], &["HGETALL", "h"], &["GET", "s"]] {
        warm(&proxy, &mut client, read);
    }
    let upstream = proxy.shared().upstream.as_ref().unwrap();
    let (l1, now) = (upstream.router.home().l1(), proxy.shared().clock.now());
    let left =
        |key: &[u8]| l1.describe(key, now).iter().map(|entry| entry.deadline - now).collect::<Vec<_>>();
    let (hash, string) = (left(b"h"), left(b"s"));
    assert_eq!(hash.len(), 2);
    assert!(hash.iter().all(|&left| left <= 7_000_000_000), "{hash:?}");
    assert!(string[0] > 7_000_000_000, "{string:?}");
}

#[test]
fn reset_statistics() {
    let redis = RedisServer::start(&[]);
    let proxy = eager(&redis, &[]);
    let mut client = proxy.client();
    warm(&proxy, &mut client, &["GET", "k"]);
    assert_eq!(raw(&mut client, &["CONFIG", "RESETSTAT"]), r"+OK\r\n");
    assert_eq!(number(&proxy, "l1_hits"), 0);
}
