//! The upstream goes away: what was sent is uncertain, reads are repeated, what was not sent waits, and the
//! proxy comes back by itself.

use std::io::ErrorKind;

use crate::support::client::RawClient;
use crate::support::fake::{Answer, FakeUpstream};
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

/// Waits out any restart of a test, and looks for it often.
const PATIENT: &[(&str, &str)] = &[("upstream.down_after", "30s"), ("upstream.reconnect_max", "50ms")];
/// Gives up soon, and looks for it often.
const HASTY: &[(&str, &str)] = &[("upstream.down_after", "50ms"), ("upstream.reconnect_max", "50ms")];

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn starts(reply: &[u8], with: &str) {
    assert!(reply.starts_with(with.as_bytes()), "{} instead of {with}", text(reply));
}

/// Sends requests to a server that is stopped, and returns when they are with the kernel.
fn send_unanswered(proxy: &Proxy, client: &mut RawClient, requests: &[&[&str]]) {
    let filler = "x".repeat(4096);
    let mut bytes = requests.iter().flat_map(|request| encode(request)).collect::<Vec<u8>>();
    bytes.extend(encode(&["ECHO", &filler])); // answered here: it must wait for its turn
    bytes.extend(encode(&["GET", &filler])); // seen to be written by its size
    let before = proxy.lane_bytes();
    client.send(&bytes).unwrap();
    until("the requests are written", || (proxy.lane_bytes() >= before + 4096).then_some(()));
}

#[test]
fn sent_writes_are_uncertain_and_reads_are_repeated() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), PATIENT);
    let mut client = proxy.client();
    redis.pause();
    send_unanswered(&proxy, &mut client, &[&["SET", "k", "v"], &["GET", "k"], &["INCR", "n"], &["GET", "n"]]);
    redis.kill();
    starts(&client.read().unwrap(), "-UNCERTAIN ");
    redis.start_again();
    assert_eq!(text(&client.read().unwrap()), r"$-1\r\n");
    starts(&client.read().unwrap(), "-UNCERTAIN ");
    assert_eq!(text(&client.read().unwrap()), r"$-1\r\n");
    starts(&client.read().unwrap(), "$4096\r\nxxx");
    assert_eq!(text(&client.read().unwrap()), r"$-1\r\n");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
    assert_eq!(proxy.info("uncertain_writes").as_deref(), Some("2"));
}

#[test]
fn a_transaction_in_flight_is_uncertain_as_a_whole() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), PATIENT);
    let mut client = proxy.client();
    redis.pause();
    send_unanswered(&proxy, &mut client, &[&["MULTI"], &["GET", "k"], &["SET", "k", "v"], &["EXEC"]]);
    redis.kill();
    let replies: Vec<_> = (0..4).map(|_| text(&client.read().unwrap())).collect();
    assert_eq!(replies[..3], [r"+OK\r\n", r"+QUEUED\r\n", r"+QUEUED\r\n"]);
    assert!(replies[3].starts_with("-UNCERTAIN "), "{}", replies[3]);
    redis.start_again();
    starts(&client.read().unwrap(), "$4096");
    assert_eq!(text(&client.read().unwrap()), r"$-1\r\n");
}

#[test]
fn what_was_not_sent_waits_for_a_short_absence() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), PATIENT);
    let mut client = proxy.client();
    redis.kill();
    proxy.await_upstream("down");
    client
        .send(&[encode(&["SELECT", "3"]), encode(&["SET", "k", "v"]), encode(&["GET", "k"])].concat())
        .unwrap();
    redis.start_again();
    let replies: Vec<_> = (0..3).map(|_| text(&client.read().unwrap())).collect();
    assert_eq!(replies, [r"+OK\r\n", r"+OK\r\n", r"$1\r\nv\r\n"]);
    let mut direct = redis.client();
    assert_eq!(text(&direct.call_raw(&["DBSIZE"]).unwrap()), r":0\r\n");
    direct.call(&["SELECT", "3"]).unwrap();
    assert_eq!(text(&direct.call_raw(&["GET", "k"]).unwrap()), r"$1\r\nv\r\n");
}

#[test]
fn what_was_not_sent_is_refused_after_down_after_and_service_resumes() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), HASTY);
    let mut client = proxy.client();
    for _ in 0..2 {
        redis.kill();
        proxy.await_upstream("down");
        for command in
            [&["SET", "k", "v"][..], &["GET", "k"], &["BLPOP", "l", "0"], &["WATCH", "k"], &["NOSUCH"]]
        {
            starts(&client.call_raw(command).unwrap(), "-MASTERDOWN ");
        }
        assert_eq!(text(&client.call_raw(&["PING"]).unwrap()), r"+PONG\r\n");
        let block = [encode(&["MULTI"]), encode(&["SET", "k", "v"]), encode(&["EXEC"])].concat();
        starts(&client.exchange(&block, 3).unwrap()[2], "-MASTERDOWN ");
        redis.start_again();
        proxy.await_upstream("up");
        assert_eq!(text(&client.call_raw(&["GET", "k"]).unwrap()), r"$-1\r\n");
        assert_eq!(text(&client.call_raw(&["RPUSH", "l", "a"]).unwrap()), r":1\r\n");
        starts(&client.call_raw(&["BLPOP", "l", "0"]).unwrap(), "*2\r\n");
    }
}

#[test]
fn a_cut_connection_is_killed_upstream_before_the_next_serves() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let proxy = Proxy::behind(link.addr(), PATIENT);
    let mut client = proxy.client();
    redis.pause();
    send_unanswered(&proxy, &mut client, &[&["INCR", "n"]]);
    link.cut();
    starts(&client.read().unwrap(), "-UNCERTAIN ");
    redis.resume();
    starts(&client.read().unwrap(), "$4096");
    assert_eq!(text(&client.read().unwrap()), r"$-1\r\n");
    let stats = redis.client().call(&["INFO", "commandstats"]).unwrap();
    let stats = String::from_utf8_lossy(stats.text().unwrap()).into_owned();
    assert!(stats.contains("cmdstat_client|kill:calls="), "{stats}");
    let seen = text(&client.call_raw(&["GET", "n"]).unwrap());
    assert!([r"$-1\r\n", r"$1\r\n1\r\n"].contains(&seen.as_str()), "{seen}");
    assert_eq!(text(&redis.client().call_raw(&["GET", "n"]).unwrap()), seen);
}

#[test]
fn a_half_open_connection_is_given_up_after_reply_timeout() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let options =
        [PATIENT, &[("upstream.reply_timeout", "200ms"), ("upstream.connect_timeout", "200ms")]].concat();
    let proxy = Proxy::behind(link.addr(), &options);
    let (mut client, mut other, mut watcher) = (proxy.client(), proxy.client(), proxy.client());
    assert_eq!(text(&watcher.call_raw(&["WATCH", "w"]).unwrap()), r"+OK\r\n");
    link.half_open();
    other.send(&encode(&["GET", "k"])).unwrap();
    starts(&client.call_raw(&["SET", "k", "v"]).unwrap(), "-UNCERTAIN ");
    let block = [encode(&["MULTI"]), encode(&["SET", "w", "v"]), encode(&["EXEC"])].concat();
    starts(&watcher.exchange(&block, 3).unwrap()[2], "-UNCERTAIN ");
    link.clear();
    assert!(!other.read().unwrap().starts_with(b"-"));
    assert_eq!(text(&client.call_raw(&["SET", "k", "w"]).unwrap()), r"+OK\r\n");
}

#[test]
fn a_watched_transaction_does_not_outlive_its_connection() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), PATIENT);
    let mut client = proxy.client();
    for (before, queued) in [(true, false), (true, true), (false, true)] {
        redis.client().call(&["DEL", "k"]).unwrap();
        client.call(&["WATCH", "k"]).unwrap();
        if !before {
            assert_eq!(text(&client.call_raw(&["UNWATCH"]).unwrap()), r"+OK\r\n");
            client.call(&["WATCH", "k"]).unwrap();
        }
        if queued {
            client.call(&["MULTI"]).unwrap();
            client.call(&["SET", "k", "v"]).unwrap();
        }
        redis.restart();
        if !queued {
            client.call(&["MULTI"]).unwrap();
            client.call(&["SET", "k", "v"]).unwrap();
        }
        let reply = client.call_raw(&["EXEC"]).unwrap();
        assert!(
            reply == b"*-1\r\n" || reply.starts_with(b"-MASTERDOWN") || reply.starts_with(b"-UNCERTAIN"),
            "{}",
            text(&reply)
        );
        assert_eq!(text(&redis.client().call_raw(&["GET", "k"]).unwrap()), r"$-1\r\n");
        let block = [encode(&["MULTI"]), encode(&["SET", "k", "v"]), encode(&["EXEC"])].concat();
        assert_eq!(text(&client.exchange(&block, 3).unwrap()[2]), r"*1\r\n+OK\r\n");
    }
}

#[test]
fn a_wrong_upstream_password_is_said_and_a_right_one_works() {
    let redis = RedisServer::start(&[]);
    redis.require_password("right");
    let proxy = Proxy::start(redis.addr(), &[HASTY, &[("upstream.password", "wrong")]].concat());
    let mut client = proxy.client();
    starts(&client.call_raw(&["GET", "k"]).unwrap(), "-MASTERDOWN ");
    starts(&client.call_raw(&["BLPOP", "k", "1"]).unwrap(), "-");
    assert_eq!(text(&client.call_raw(&["PING"]).unwrap()), r"+PONG\r\n");
    let proxy = Proxy::behind(redis.addr(), &[("upstream.password", "right")]);
    for proto in [2, 3] {
        let mut client = proxy.client();
        if proto == 3 {
            client.call(&["HELLO", "3"]).unwrap();
        }
        assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
        starts(&client.call_raw(&["BLPOP", "none", "0.01"]).unwrap(), if proto == 3 { "_" } else { "*-1" });
    }
}

#[test]
fn a_password_that_changed_meanwhile_is_counted_where_it_hurts() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    redis.require_password("new");
    // The lane has logged in before; a connection of one's own has to be opened.
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
    let refused = text(&client.call_raw(&["BLPOP", "none", "0.01"]).unwrap());
    assert!(refused.starts_with("-MASTERDOWN ") && refused.contains("NOAUTH"), "{refused}");
    assert_eq!(proxy.info("pinned_connect_failures").as_deref(), Some("1"));
}

#[test]
fn an_upstream_may_appear_after_the_start() {
    let mut redis = RedisServer::start(&[]);
    redis.kill();
    let proxy = Proxy::start(redis.addr(), HASTY);
    let mut client = proxy.client();
    starts(&client.call_raw(&["GET", "k"]).unwrap(), "-MASTERDOWN ");
    redis.start_again();
    proxy.await_upstream("up");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
}

#[test]
fn errors_of_the_upstream_pass_unchanged() {
    let errors = [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-MISCONF Redis is configured to save RDB snapshots\r\n",
        "-BUSY Redis is busy running a script.\r\n",
        "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
        "-ERR\r\n",
        "-NOREPLICAS Not enough good replicas to write.\r\n",
    ];
    let fake = FakeUpstream::start(move |_, request| match request[0].as_slice() {
        b"SET" | b"GET" | b"BLPOP" => {
            let number: usize = String::from_utf8_lossy(&request[1]).parse().unwrap();
            Answer::Bytes(errors[number].as_bytes().to_vec())
        }
        _ => Answer::Bytes(crate::fake_upstream::handshake(request)),
    });
    let proxy = Proxy::behind(fake.addr(), &[]);
    for proto in ["2", "3"] {
        let mut client = proxy.client();
        client.call(&["HELLO", proto]).unwrap();
        for (number, error) in errors.iter().enumerate() {
            let number = number.to_string();
            for request in [&["SET", &number, "v"][..], &["GET", &number], &["BLPOP", &number, "0"]] {
                assert_eq!(text(&client.call_raw(request).unwrap()), text(error.as_bytes()));
            }
        }
    }
}

#[test]
fn real_refusals_pass_unchanged() {
    let redis = RedisServer::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let (mut client, mut direct) = (proxy.client(), redis.client());
    let theirs = direct.call_raw(&["SET", "k", "v"]).unwrap();
    starts(&theirs, "-OOM");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), text(&theirs));
    direct.call(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    direct.call(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let theirs = direct.call_raw(&["SET", "k", "v"]).unwrap();
    starts(&theirs, "-READONLY");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), text(&theirs));
}

/// The proxy's own end: a client of a proxy that stops is told by an end of file, after its replies.
#[test]
fn a_stopped_proxy_closes_its_clients() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
    drop(proxy);
    let error = client.read().unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error}");
}

#[test]
fn a_database_that_is_gone_is_missed_by_its_clients_alone() {
    const GONE: &str = "-ERR DB index is out of range\r\n";
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), PATIENT);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    assert_eq!(text(&client.call_raw(&["SELECT", "9"]).unwrap()), r"+OK\r\n");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
    redis.restart_with(&["--databases", "4"]);
    assert_eq!(text(&other.call_raw(&["SET", "n", "1"]).unwrap()), r"+OK\r\n");
    for command in [&["SET", "k", "v"][..], &["GET", "k"], &["EVAL", "return 1", "0"], &["BLPOP", "k", "1"]] {
        starts(&client.call_raw(command).unwrap(), GONE);
    }
    let asked = [encode(&["GET", "k"]), encode(&["PING"]), encode(&["SELECT", "0"]), encode(&["KEYS", "*"])];
    let replies = client.exchange(&asked.concat(), 4).unwrap();
    assert_eq!(replies, [GONE.as_bytes(), b"+PONG\r\n", b"+OK\r\n", b"*1\r\n$1\r\nn\r\n"]);
    assert_eq!(proxy.info("lane_disconnects").as_deref(), Some("1"));

    let mut lost = proxy.client();
    starts(&lost.call_raw(&["SELECT", "9"]).unwrap(), GONE);
    starts(&lost.call_raw(&["SELECT", "3"]).unwrap(), "+OK");
    redis.restart_with(&["--databases", "2"]);
    starts(&other.call_raw(&["GET", "n"]).unwrap(), "$-1");
    starts(&lost.call_raw(&["GET", "n"]).unwrap(), GONE);
    redis.restart_with(&["--databases", "4"]);
    starts(&other.call_raw(&["GET", "n"]).unwrap(), "$-1");
    starts(&lost.call_raw(&["SET", "n", "3"]).unwrap(), "+OK");
}

#[test]
fn clients_that_begin_in_a_database_that_does_not_exist_write_nowhere() {
    let redis = RedisServer::start(&["--databases", "4"]);
    let proxy = Proxy::behind(redis.addr(), &[("upstream.db", "99")]);
    let mut client = proxy.client();
    starts(&client.call_raw(&["SET", "k", "v"]).unwrap(), "-ERR DB index is out of range");
    starts(&client.call_raw(&["GET", "k"]).unwrap(), "-ERR DB index is out of range");
    assert_eq!(text(&client.call_raw(&["SELECT", "1"]).unwrap()), r"+OK\r\n");
    starts(&client.call_raw(&["GET", "k"]).unwrap(), "$-1");
    assert_eq!(text(&redis.client().call_raw(&["DBSIZE"]).unwrap()), r":0\r\n");
}
