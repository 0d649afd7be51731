//! Commands that wait, and clients that leave, are woken or are killed meanwhile.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// A client that is blocked upstream, and its id.
fn blocked(proxy: &Proxy, redis: &RedisServer, waiting: usize) -> (RawClient, String) {
    let mut client = proxy.client();
    let id = String::from_utf8(client.call(&["CLIENT", "ID"]).unwrap().text().unwrap().to_vec()).unwrap();
    client.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    await_blocked(redis, waiting);
    (client, id)
}

fn await_blocked(redis: &RedisServer, count: usize) {
    let wanted = format!("blocked_clients:{count}\r\n");
    until("so many clients are blocked", || {
        let info = redis.client().call(&["INFO", "clients"]).unwrap();
        String::from_utf8_lossy(info.text()?).contains(&wanted).then_some(())
    });
}

#[test]
fn a_pipeline_keeps_its_order_around_what_waits() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    let requests: Vec<Vec<u8>> = [
        "RPUSH l a b",
        "BLPOP l 0",
        "LLEN l",
        "BLPOP l 0",
        "LLEN l",
        "BLPOP l 0.01",
        "SET k v",
        "BLMOVE l m LEFT LEFT 0.01",
        "GET k",
        "PING",
    ]
    .iter()
    .map(|line| encode(&line.split(' ').collect::<Vec<_>>()))
    .collect();
    for _ in 0..20 {
        let replies = client.exchange(&requests.concat(), requests.len()).unwrap();
        let replies: Vec<_> = replies.iter().map(|reply| text(reply)).collect();
        assert_eq!(
            replies,
            [
                r":2\r\n",
                r"*2\r\n$1\r\nl\r\n$1\r\na\r\n",
                r":1\r\n",
                r"*2\r\n$1\r\nl\r\n$1\r\nb\r\n",
                r":0\r\n",
                r"*-1\r\n",
                r"+OK\r\n",
                r"*-1\r\n",
                r"$1\r\nv\r\n",
                r"+PONG\r\n",
            ]
        );
    }
}

#[test]
fn a_client_that_leaves_takes_nothing_with_it() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    for _ in 0..10 {
        let (client, _) = blocked(&proxy, &redis, 1);
        drop(client);
        await_blocked(&redis, 0);
        let mut other = proxy.client();
        assert_eq!(text(&other.call_raw(&["RPUSH", "l", "a"]).unwrap()), r":1\r\n");
        assert_eq!(text(&other.call_raw(&["LPOP", "l"]).unwrap()), r"$1\r\na\r\n");
    }
    until("the connections are free", || (proxy.info("pinned_in_use")? == "0").then_some(()));
    assert_eq!(proxy.info("blocked_clients").as_deref(), Some("0"));
}

/// Everything that a server says to a client that sends this and closes its sending side, and the list then.
fn half_closed(addr: SocketAddr, lines: &[&str]) -> (String, String) {
    let request = |line: &&str| encode(&line.split(' ').collect::<Vec<_>>());
    let mut client = RawClient::connect(addr).unwrap();
    client.send(&lines.iter().flat_map(request).collect::<Vec<u8>>()).unwrap();
    client.shutdown_write().unwrap();
    let heard = text(&client.read_to_end().unwrap());
    let left = RawClient::connect(addr).unwrap().call_raw(&["LRANGE", "q", "0", "-1"]).unwrap();
    (heard, text(&left))
}

#[test]
fn a_client_that_says_nothing_more_gets_what_is_there_and_waits_for_nothing() {
    let redis = RedisServer::start(&[]);
    let behind = RedisServer::start(&[]);
    let proxy = Proxy::behind(behind.addr(), &[]);
    for lines in [
        &["RPUSH q a", "BLPOP q 0"][..],
        &["BLPOP q 0"],
        &["BLPOP q 100", "SET k v"],
        &["RPUSH q a b c", "BLPOP q 0", "PING", "BLMOVE q r LEFT LEFT 0", "BLPOP none 0", "BLPOP q 0"],
        &["XADD s 1-1 f v", "XREAD BLOCK 0 STREAMS s 0", "XREAD BLOCK 0 STREAMS s $", "PING"],
        &["SET q x", "BLPOP q 0", "DEL q"],
        &["BLPOP q nan"],
        &["WAIT 0 0", "WAIT 1 0", "PING"],
        &["NOSUCH a", "PING"],
    ] {
        for _ in 0..10 {
            let [theirs, ours] = [redis.addr(), proxy.addr()].map(|addr| {
                RawClient::connect(addr).unwrap().call(&["FLUSHALL"]).unwrap();
                half_closed(addr, lines)
            });
            assert_eq!(theirs, ours, "{lines:?}");
        }
    }
    until("the connections are free", || (proxy.info("pinned_in_use")? == "0").then_some(()));
    await_blocked(&behind, 0);
}

#[test]
fn nothing_is_popped_for_nobody() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut pushes = redis.client();
    let mut heard = 0;
    for round in 0..200 {
        let mut client = proxy.client();
        client.send(&encode(&["BLPOP", "l", "0"])).unwrap();
        if round % 2 == 0 {
            await_blocked(&redis, 1);
        }
        pushes.send(&encode(&["RPUSH", "l", "a"])).unwrap();
        client.shutdown_write().unwrap();
        let got = usize::from(!client.read_to_end().unwrap().is_empty());
        pushes.read().unwrap();
        let left = pushes.call(&["LLEN", "l"]).unwrap().number().unwrap() as usize;
        assert_eq!(got + left, 1, "round {round}");
        pushes.call(&["DEL", "l"]).unwrap();
        heard += got;
    }
    assert!(heard > 0, "the race was always won by the same side");
}

#[test]
fn an_exhausted_quota_is_an_error_at_once() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(
        redis.addr(),
        &[("upstream.blocking_connections", "2"), ("upstream.transaction_connections", "1")],
    );
    let (mut first, _) = blocked(&proxy, &redis, 1);
    let (_second, _) = blocked(&proxy, &redis, 2);
    let mut third = proxy.client();
    for request in
        [&["BLPOP", "l", "0"][..], &["BRPOP", "l", "0"], &["XREAD", "BLOCK", "0", "STREAMS", "s", "$"]]
    {
        let reply = third.call_raw(request).unwrap();
        assert!(reply.starts_with(b"-ERR nearcache: all 2 "), "{}", text(&reply));
    }
    assert_eq!(text(&third.call_raw(&["WATCH", "k"]).unwrap()), r"+OK\r\n");
    let reply = proxy.client().call_raw(&["WATCH", "k"]).unwrap();
    assert!(reply.starts_with(b"-ERR nearcache: all 1 "), "{}", text(&reply));
    third.call(&["RPUSH", "l", "a"]).unwrap();
    assert_eq!(text(&first.read().unwrap()), r"*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    until("there is room again", || {
        (third.call_raw(&["BLPOP", "none", "0.01"]).unwrap() == b"*-1\r\n").then_some(())
    });
}

#[test]
fn a_blocked_client_can_be_killed_and_unblocked() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut other = proxy.client();
    let (mut client, id) = blocked(&proxy, &redis, 1);
    assert_eq!(text(&other.call_raw(&["CLIENT", "UNBLOCK", &id]).unwrap()), r":1\r\n");
    assert_eq!(text(&client.read().unwrap()), r"*-1\r\n");
    assert_eq!(text(&other.call_raw(&["CLIENT", "UNBLOCK", &id]).unwrap()), r":0\r\n");
    client.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    await_blocked(&redis, 1);
    assert_eq!(text(&other.call_raw(&["CLIENT", "UNBLOCK", &id, "ERROR"]).unwrap()), r":1\r\n");
    assert_eq!(text(&client.read().unwrap()), r"-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    client.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    await_blocked(&redis, 1);
    assert_eq!(text(&other.call_raw(&["CLIENT", "KILL", "ID", &id]).unwrap()), r":1\r\n");
    assert_eq!(client.read_to_end().unwrap(), b"");
    await_blocked(&redis, 0);
    assert_eq!(text(&other.call_raw(&["RPUSH", "l", "a"]).unwrap()), r":1\r\n");
    assert_eq!(text(&other.call_raw(&["LLEN", "l"]).unwrap()), r":1\r\n");
}

#[test]
fn a_pause_holds_commands_and_ends() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    assert_eq!(text(&other.call_raw(&["CLIENT", "PAUSE", "1000000", "WRITE"]).unwrap()), r"+OK\r\n");
    assert_eq!(text(&client.call_raw(&["GET", "k"]).unwrap()), r"$-1\r\n");
    client.send(&[encode(&["SET", "k", "v"]), encode(&["GET", "k"])].concat()).unwrap();
    assert_eq!(text(&other.call_raw(&["GET", "k"]).unwrap()), r"$-1\r\n");
    assert_eq!(text(&other.call_raw(&["CLIENT", "UNPAUSE"]).unwrap()), r"+OK\r\n");
    assert_eq!(text(&client.read().unwrap()), r"+OK\r\n");
    assert_eq!(text(&client.read().unwrap()), r"$1\r\nv\r\n");
    assert_eq!(text(&other.call_raw(&["CLIENT", "PAUSE", "1"]).unwrap()), r"+OK\r\n");
    assert_eq!(text(&client.call_raw(&["SET", "k", "v"]).unwrap()), r"+OK\r\n");
}

#[test]
fn replies_that_are_not_wanted_are_not_sent() {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let proxy = Proxy::behind(behind.addr(), &[]);
    let lines = [
        "SET a 1",
        "CLIENT REPLY SKIP",
        "INCR a",
        "GET a",
        "CLIENT REPLY OFF",
        "INCR a",
        "BLPOP none 0.01",
        "NOSUCH",
        "PING",
        "MULTI",
        "INCR a",
        "EXEC",
        "SELECT 2",
        "SET a two",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY ON",
        "GET a",
        "CLIENT REPLY SKIP",
        "PING",
        "GET a",
        "CLIENT REPLY SKIP",
        "BLPOP none 0.01",
        "GET a",
        "CLIENT REPLY SKIP",
        "GET",
        "SELECT 0",
        "GET a",
        "CLIENT REPLY SKIP",
        "CLIENT REPLY SKIP",
        "GET a",
        "QUIT",
    ];
    let requests: Vec<u8> =
        lines.iter().flat_map(|line| encode(&line.split(' ').collect::<Vec<_>>())).collect();
    let said = [redis.addr(), proxy.addr()].map(|addr| {
        let mut client = RawClient::connect(addr).unwrap();
        client.send(&requests).unwrap();
        text(&client.read_to_end().unwrap())
    });
    assert_eq!(said[0], said[1]);
}

#[test]
fn what_newer_clients_say_first_is_accepted() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    for request in [
        "CLIENT SETINFO LIB-NAME some-lib",
        "CLIENT SETINFO lib-ver 1.2.3",
        "CLIENT NO-TOUCH ON",
        "CLIENT NO-TOUCH off",
    ] {
        let reply = client.call_raw(&request.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(text(&reply), r"+OK\r\n", "{request}");
    }
    for request in
        ["CLIENT SETINFO LIB-NAME", "CLIENT SETINFO NOSUCH x", "CLIENT NO-TOUCH maybe", "CLIENT NO-TOUCH"]
    {
        let reply = client.call(&request.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(reply.is_error(), "{request}: {reply:?}");
    }
    assert!(client.call(&["CLIENT", "SETINFO", "LIB-NAME", "a b"]).unwrap().is_error());
    assert_eq!(proxy.info("pinned_acquired").as_deref(), Some("0"));
}
