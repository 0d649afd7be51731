//! NEARCACHE: each subcommand through a real proxy and a real Redis, and without an upstream.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::link::{Link, Weather};
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, encode};
use crate::support::until;

/// Everything read once is cached.
const EAGER: &[(&str, &str)] = &[("cache.admission", "always"), ("cache.max_age", "1h")];

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

fn say(client: &mut RawClient, line: &str) -> String {
    let reply = client.call_raw(&words(line)).unwrap();
    String::from_utf8_lossy(&reply).trim_end().replace("\r\n", " ")
}

/// The value behind a name in a map, or in a flat list of names and values.
fn at<'r>(map: &'r Reply, name: &str) -> &'r Reply {
    let mut pairs = map.items().chunks_exact(2);
    let pair = pairs.find(|pair| pair[0].text() == Some(name.as_bytes()));
    &pair.unwrap_or_else(|| panic!("no {name} in {map:?}"))[1]
}

fn number(map: &Reply, name: &str) -> i64 {
    at(map, name).number().unwrap() as i64
}

/// Reads until the reply comes from L1.
fn warm(client: &mut RawClient, read: &str) {
    until("it is cached", || {
        say(client, read);
        let key = words(read)[1];
        let shown = client.call(&["NEARCACHE", "DEBUG", "KEY", key]).unwrap();
        at(&shown, "entries").items().iter().any(|entry| number(entry, "hits") > 0).then_some(())
    });
}

fn connect(addr: SocketAddr, proto: u8) -> RawClient {
    if proto == 3 { RawClient::connect_resp3(addr) } else { RawClient::connect(addr) }.unwrap()
}

#[test]
fn info_knows_the_keys_of_the_upstream() {
    let mut redis = RedisServer::start(&[]);
    let mut direct = redis.client();
    for line in ["MSET a 1 b 2", "EXPIRE b 1000", "SELECT 3", "SET c 3", "SELECT 0"] {
        say(&mut direct, line);
    }
    let proxy = Proxy::behind(redis.addr(), &[("upstream.down_after", "100ms")]);
    let shown = |field: &str| proxy.info(field).unwrap_or_default();
    until("it has been asked", || (shown("db3") == "keys=1,expires=0,avg_ttl=0").then_some(()));
    assert!(shown("db0").starts_with("keys=2,expires=1,avg_ttl="), "{}", shown("db0"));
    // What is asked for alone is exact at once, everywhere.
    say(&mut direct, "FLUSHALL");
    for proto in [2, 3] {
        let (mut client, mut direct) = (connect(proxy.addr(), proto), connect(redis.addr(), proto));
        for lines in
            [&["SET d 1", "INFO Keyspace"][..], &["MULTI", "SET e 1", "INFO keyspace", "EXEC"], &["DEL e"]]
        {
            for line in lines {
                let (ours, theirs) = (say(&mut client, line), say(&mut direct, line));
                assert!(ours == theirs || *line == "DEL e", "{line}: {ours} and {theirs}");
            }
        }
    }
    proxy.shared().upstream.as_ref().unwrap().node.look_around();
    until("it has been asked again", || (shown("db0") == "keys=1,expires=0,avg_ttl=0").then_some(()));
    assert_eq!(shown("db3"), "");
    redis.kill();
    proxy.await_upstream("down");
    assert_eq!(shown("db0"), "");
    let refused = say(&mut proxy.client(), "INFO keyspace");
    assert!(refused.starts_with("-MASTERDOWN"), "{refused}");
}

#[test]
fn stats_are_the_sections_of_info() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), EAGER);
    let mut client = proxy.client();
    warm(&mut client, "GET k");
    let field = |name: &str| proxy.info(name).unwrap().parse::<u64>().unwrap();
    assert!(field("l1_hits") > 0 && field("l1_misses") > 0);
    assert_eq!(field("l1_entries"), 1);
    assert_eq!(field("l1_fills"), 1);
    assert!(field("l1_bytes") > 0 && field("l1_max_bytes") == 256 << 20);
    redis.client().call(&["SET", "k", "v"]).unwrap();
    until("the push has been counted", || (field("l1_invalidations") == 1).then_some(()));

    let text = client.call(&["NEARCACHE", "STATS"]).unwrap();
    assert_eq!(text.kind(), b'$');
    let text = String::from_utf8_lossy(text.text().unwrap()).into_owned();
    assert!(text.starts_with("# Nearcache\r\n") && text.contains("\r\nl1_invalidations:1\r\n"), "{text}");
    let mut resp3 = connect(proxy.addr(), 3);
    let verbatim = resp3.call(&["NEARCACHE", "STATS"]).unwrap();
    assert_eq!(verbatim.kind(), b'=');

    say(&mut client, "CONFIG RESETSTAT");
    for name in ["l1_hits", "l1_fills", "l1_invalidations", "l1_fetches"] {
        assert_eq!(field(name), 0, "{name}");
    }
}

#[test]
fn clear_and_invalidate_remove_entries_and_say_how_many() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), EAGER);
    let mut client = proxy.client();
    for key in ["a:1", "a:2", "b:1"] {
        warm(&mut client, &format!("GET {key}"));
    }
    assert_eq!(say(&mut client, "NEARCACHE INVALIDATE a:*"), ":2");
    assert_eq!(say(&mut client, "NEARCACHE INVALIDATE a:*"), ":0");
    assert_eq!(say(&mut client, "nearcache clear"), ":1");
    assert_eq!(say(&mut client, "NEARCACHE CLEAR"), ":0");
    assert_eq!(say(&mut client, "GET b:1"), "$-1");
}

#[test]
fn debug_key_shows_what_is_cached() {
    let redis = RedisServer::start(&[]);
    let mut direct = redis.client();
    direct.call(&["HSET", "h", "f", "value"]).unwrap();
    direct.call(&["PEXPIRE", "h", "1000000"]).unwrap();
    let proxy = Proxy::behind(redis.addr(), EAGER);
    for proto in [2, 3] {
        let mut client = connect(proxy.addr(), proto);
        warm(&mut client, "HGET h f");
        let shown = client.call(&words("NEARCACHE DEBUG KEY h")).unwrap();
        assert_eq!(shown.kind(), if proto == 3 { b'%' } else { b'*' });
        assert_eq!(at(&shown, "key").text(), Some(&b"h"[..]));
        assert!(at(&shown, "namespace").is_null());
        assert_eq!(number(at(&shown, "settings"), "max_age_ms"), 3_600_000);
        let [entry] = at(&shown, "entries").items() else { panic!("{shown:?}") };
        assert_eq!(at(entry, "command").text(), Some(&b"hget"[..]));
        assert_eq!(at(entry, "arguments").items()[0].text(), Some(&b"f"[..]));
        assert_eq!(number(entry, "db"), 0);
        assert_eq!(number(entry, "reply_bytes"), 11);
        assert!(number(entry, "memory_bytes") > 11);
        assert!((1..=1_000_000).contains(&number(entry, "ttl_ms")), "{entry:?}");
        assert!(number(entry, "deadline_ms") <= number(entry, "ttl_ms"), "{entry:?}");
        assert_eq!(at(entry, "live").text(), Some(if proto == 3 { &b"t"[..] } else { b"1" }));
        let nothing = client.call(&words("NEARCACHE DEBUG KEY nosuch")).unwrap();
        assert!(at(&nothing, "entries").items().is_empty());
    }
}

#[test]
fn a_connection_may_bypass_the_near_cache() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), EAGER);
    let mut client = proxy.client();
    warm(&mut client, "GET k");
    let reads = || {
        let stats = redis.client().call(&["INFO", "commandstats"]).unwrap();
        let text = String::from_utf8_lossy(stats.text().unwrap()).into_owned();
        let calls = text.split("cmdstat_get:calls=").nth(1).unwrap().split(',').next().unwrap().to_owned();
        calls.parse::<u64>().unwrap()
    };
    let before = reads();
    say(&mut client, "GET k");
    assert_eq!(reads(), before, "a hit asked Redis");
    assert_eq!(say(&mut client, "NEARCACHE BYPASS"), "$3 off");
    assert_eq!(say(&mut client, "NEARCACHE BYPASS ON"), "+OK");
    assert_eq!(say(&mut client, "NEARCACHE BYPASS"), "$2 on");
    say(&mut client, "GET k");
    assert_eq!(reads(), before + 1);
    assert_eq!(say(&mut client, "RESET"), "+RESET");
    assert_eq!(say(&mut client, "NEARCACHE BYPASS"), "$3 off");
    assert_eq!(say(&mut client, "NEARCACHE BYPASS perhaps"), "-ERR syntax error");
}

/// While what Redis announces is held up on its way, an ordinary hit is old. What is behind a fence, and a
/// fenced hit, wait and are not.
#[test]
fn fences_wait_for_what_has_been_announced() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let proxy = Proxy::behind(link.addr(), &[EAGER, &[("cache.max_staleness", "1h")]].concat());
    let (mut client, mut direct) = (proxy.client(), redis.client());
    let held = Weather { hold: true, ..Weather::default() };
    direct.call(&["SET", "k", "old"]).unwrap();

    warm(&mut client, "GET k");
    link.set(Weather::default(), held);
    direct.call(&["SET", "k", "new"]).unwrap();
    assert_eq!(say(&mut client, "GET k"), "$3 old");
    client.send(&[encode(&["NEARCACHE", "FENCE"]), encode(&["GET", "k"])].concat()).unwrap();
    link.clear();
    assert_eq!(client.read().unwrap(), b"+OK\r\n");
    assert_eq!(client.read().unwrap(), b"$3\r\nnew\r\n");

    warm(&mut client, "GET k");
    assert_eq!(say(&mut client, "NEARCACHE CONSISTENCY"), "$7 default");
    assert_eq!(say(&mut client, "NEARCACHE CONSISTENCY FENCED"), "+OK");
    assert_eq!(say(&mut client, "NEARCACHE CONSISTENCY"), "$6 fenced");
    link.set(Weather::default(), held);
    direct.call(&["SET", "k", "newer"]).unwrap();
    assert_eq!(say(&mut proxy.client(), "GET k"), "$3 new");
    client.send(&encode(&["GET", "k"])).unwrap();
    link.clear();
    assert_eq!(client.read().unwrap(), b"$5\r\nnewer\r\n");
    assert_eq!(say(&mut client, "RESET"), "+RESET");
    assert_eq!(say(&mut client, "NEARCACHE CONSISTENCY"), "$7 default");
    assert_eq!(say(&mut client, "NEARCACHE CONSISTENCY strict"), "-ERR syntax error");
    say(&mut client, "MULTI");
    assert_eq!(say(&mut client, "NEARCACHE FENCE"), "+QUEUED");
    assert_eq!(say(&mut client, "EXEC"), "*1 +OK");
}

#[test]
fn options_are_shown_and_set() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), EAGER);
    let mut client = proxy.client();
    assert_eq!(say(&mut client, "NEARCACHE CONFIG GET cache.max_AGE"), "*2 $13 cache.max_age $2 1h");
    let all = connect(proxy.addr(), 3).call(&words("NEARCACHE CONFIG GET cache.* upstream.url")).unwrap();
    assert_eq!(all.kind(), b'%');
    assert_eq!(at(&all, "cache.mode").text(), Some(&b"serve"[..]));
    assert!(at(&all, "upstream.url").text().unwrap().starts_with(b"redis://"));

    warm(&mut client, "GET k");
    // In the same batch, and for other clients.
    let off = [encode(&words("NEARCACHE CONFIG SET cache.enabled false")), encode(&["GET", "k"])].concat();
    assert_eq!(client.exchange(&off, 2).unwrap(), [&b"+OK\r\n"[..], b"$-1\r\n"]);
    assert_eq!(proxy.info("l1_entries").as_deref(), Some("0"));
    let shown = proxy.client().call(&words("NEARCACHE DEBUG KEY k")).unwrap();
    assert_eq!(at(at(&shown, "settings"), "cache").text(), Some(&b"0"[..]));
    let both = "NEARCACHE CONFIG SET cache.enabled true cache.max_age 2h cache.max_memory 8mb";
    assert_eq!(say(&mut client, both), "+OK");
    assert_eq!(proxy.info("l1_max_bytes").as_deref(), Some("8388608"));
    warm(&mut client, "GET k");
    let shown = client.call(&words("NEARCACHE DEBUG KEY k")).unwrap();
    assert_eq!(number(at(&shown, "settings"), "max_age_ms"), 7_200_000);
    for (line, error) in [
        ("SET cache.max_age 1h cache.admit_after 16", "'cache.admit_after') - must be between 1 and 15"),
        ("SET cache.maxage 1h", "nearest known one is 'cache.max_age'"),
        ("SET server.listen x:1", "by a restart only"),
        ("SET server.admin_commands allow", "where it was set only"),
        ("SET cache.max_age", "-ERR wrong number of arguments for 'nearcache|config|set' command"),
        ("SET cache.max_age 1h cache.mode", "-ERR syntax error"),
        ("REWRITE now", "-ERR unknown subcommand 'REWRITE'. Try NEARCACHE HELP."),
    ] {
        let reply = say(&mut client, &format!("NEARCACHE CONFIG {line}"));
        assert!(reply.starts_with("-ERR ") && reply.contains(error), "{line}: {reply}");
    }
    // All or nothing.
    assert_eq!(say(&mut client, "NEARCACHE CONFIG GET cache.max_age"), "*2 $13 cache.max_age $2 2h");
}

#[test]
fn errors_are_in_redis_words() {
    let redis = RedisServer::start(&[]);
    let behind = Proxy::behind(redis.addr(), &[]);
    for proxy in [&behind, &Proxy::with(&[])] {
        let mut client = proxy.client();
        for (line, reply) in [
            ("NEARCACHE", "-ERR wrong number of arguments for 'nearcache' command"),
            ("NEARCACHE nosuch", "-ERR unknown subcommand 'nosuch'. Try NEARCACHE HELP."),
            ("NEARCACHE CLEAR now", "-ERR wrong number of arguments for 'nearcache|clear' command"),
            ("NEARCACHE INVALIDATE", "-ERR wrong number of arguments for 'nearcache|invalidate' command"),
            ("NEARCACHE BYPASS ON ON", "-ERR wrong number of arguments for 'nearcache|bypass' command"),
            ("NEARCACHE DEBUG KEY", "-ERR wrong number of arguments for 'nearcache|debug' command"),
            ("NEARCACHE DEBUG LOCK k", "-ERR unknown subcommand 'LOCK'. Try NEARCACHE HELP."),
            ("NEARCACHE CONFIG GET", "-ERR wrong number of arguments for 'nearcache|config' command"),
        ] {
            assert_eq!(say(&mut client, line), reply);
        }
        let help = client.call(&["NEARCACHE", "HELP"]).unwrap();
        let lines: Vec<_> = help.items().iter().map(|line| line.text().unwrap().to_vec()).collect();
        for command in nearcache::command::by_name(b"nearcache").unwrap().subcommands() {
            let name = command.name.split('|').nth(1).unwrap().to_ascii_uppercase();
            assert!(lines.iter().any(|line| line.starts_with(name.as_bytes())), "{name} is not in HELP");
        }
    }
}

#[test]
fn only_who_has_logged_in_may_use_them() {
    let proxy = Proxy::with(&[("server.password", "secret")]);
    let mut client = proxy.client();
    for line in ["NEARCACHE CLEAR", "NEARCACHE CONFIG SET cache.enabled false", "NEARCACHE STATS"] {
        assert_eq!(say(&mut client, line), "-NOAUTH Authentication required.");
    }
    assert_eq!(say(&mut client, "AUTH secret"), "+OK");
    assert_eq!(say(&mut client, "NEARCACHE CLEAR"), ":0");
    assert!(!say(&mut client, "NEARCACHE CONFIG GET *").contains("secret"));
}

#[test]
fn without_an_upstream_there_is_nothing_to_show() {
    let proxy = Proxy::with(&[]);
    let mut client = proxy.client();
    say(&mut client, "SET k v");
    assert_eq!(say(&mut client, "NEARCACHE CLEAR"), ":0");
    assert_eq!(say(&mut client, "NEARCACHE INVALIDATE *"), ":0");
    assert_eq!(say(&mut client, "GET k"), "$1 v");
    let shown = client.call(&words("NEARCACHE DEBUG KEY k")).unwrap();
    assert!(at(&shown, "entries").items().is_empty());
    for line in ["NEARCACHE FENCE", "NEARCACHE BYPASS ON", "NEARCACHE CONSISTENCY FENCED"] {
        assert_eq!(say(&mut client, line), "+OK");
    }
    assert!(say(&mut client, "NEARCACHE STATS").contains("mode:memory"));
    assert_eq!(say(&mut client, "NEARCACHE CONFIG SET cache.max_memory 4mb"), "+OK");
    assert_eq!(say(&mut client, "CONFIG GET maxmemory"), "*2 $9 maxmemory $7 4194304");
    say(&mut client, "MULTI");
    assert_eq!(say(&mut client, "NEARCACHE FENCE"), "+QUEUED");
    assert_eq!(say(&mut client, "NEARCACHE STATS"), "+QUEUED");
    assert!(say(&mut client, "EXEC").starts_with("*2 +OK $"));
    say(&mut client, "MULTI");
    assert!(say(&mut client, "NEARCACHE CONFIG SET cache.max_memory 8mb").contains("inside MULTI"));
}

#[test]
fn namespaces_are_counted_apart_and_can_be_set() {
    let redis = RedisServer::start(&[]);
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("nearcache.toml");
    let text = "[cache]\nadmission = \"always\"\n\
                [[namespace]]\nname = \"users\"\nmatch = \"user:*\"\nmax_age = \"10s\"\n\
                [[namespace]]\nname = \"off\"\nmatch = \"off:*\"\ncache = false\n";
    std::fs::write(&file, text).unwrap();
    let proxy = Proxy::configured(&file, redis.addr());
    proxy.await_upstream("up");
    let mut client = proxy.client();
    warm(&mut client, "GET user:1");
    say(&mut client, "CONFIG RESETSTAT");
    say(&mut client, "GET user:1");
    say(&mut client, "MGET user:1 user:1 other");
    say(&mut client, "GET off:1");
    let field = |name: &str| proxy.info(name).unwrap();
    assert_eq!(
        field("namespace_users"),
        "hits=1,misses=2,coalesced=0,bypasses=0,observed=0,hit_ratio=0.3333"
    );
    assert_eq!(field("namespace_off"), "hits=0,misses=0,coalesced=0,bypasses=1,observed=0,hit_ratio=0.0000");
    assert!(say(&mut client, "NEARCACHE STATS").contains("# Namespaces namespace_users:hits=1,"));

    let shown = client.call(&words("NEARCACHE DEBUG KEY user:1")).unwrap();
    assert_eq!(at(&shown, "namespace").text(), Some(&b"users"[..]));
    assert_eq!(number(at(&shown, "settings"), "max_age_ms"), 10_000);
    let set = "NEARCACHE CONFIG SET namespace.users.max_age 20s namespace.off.cache true";
    assert_eq!(say(&mut client, set), "+OK");
    let shown = client.call(&words("NEARCACHE DEBUG KEY user:1")).unwrap();
    assert_eq!(number(at(&shown, "settings"), "max_age_ms"), 20_000);
    warm(&mut client, "GET off:1");
    let got = client.call(&words("NEARCACHE CONFIG GET namespace.users.*")).unwrap();
    assert_eq!(at(&got, "namespace.users.match").text(), Some(&b"user:*"[..]));
    assert_eq!(at(&got, "namespace.users.max_entry").text(), Some(&b""[..]));
    // What was counted stays with the name.
    assert!(field("namespace_users").starts_with("hits=1,"), "{}", field("namespace_users"));
    let unknown = say(&mut client, "NEARCACHE CONFIG SET namespace.nosuch.max_age 1s");
    assert!(unknown.contains("there is no namespace of this name"), "{unknown}");
}
