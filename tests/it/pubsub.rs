//! Subscriptions: the same bytes as from Redis, exact counts, order, and what happens when somebody is slow
//! or the upstream goes away. Two clients of the proxy share one connection to Redis; nobody may notice.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, encode};
use crate::support::until;

/// Holds a conversation with Redis and with the proxy before another Redis, and compares every byte.
fn same(conversation: impl Fn(SocketAddr, u8) -> Vec<String>) {
    for proto in [2, 3] {
        let (oracle, upstream) = (RedisServer::start(&[]), RedisServer::start(&[]));
        let proxy = Proxy::start(upstream.addr(), &[]);
        let theirs = conversation(oracle.addr(), proto);
        let ours = conversation(proxy.addr(), proto);
        assert!(!theirs.is_empty());
        assert_eq!(theirs, ours, "RESP{proto}");
    }
}

fn connect(addr: SocketAddr, proto: u8) -> RawClient {
    if proto == 3 { RawClient::connect_resp3(addr) } else { RawClient::connect(addr) }.unwrap()
}

/// Sends a command and hears that many frames.
fn hear(client: &mut RawClient, command: &str, frames: usize) -> Vec<String> {
    let args: Vec<&str> = command.split(' ').collect();
    client.send(&encode(&args)).unwrap();
    frames_of(client, frames)
}

fn frames_of(client: &mut RawClient, frames: usize) -> Vec<String> {
    (0..frames).map(|_| client.read_frame().unwrap().escape_ascii().to_string()).collect()
}

fn number(client: &mut RawClient, command: &str) -> i64 {
    let args: Vec<&str> = command.split(' ').collect();
    let reply = client.call(&args).unwrap();
    let counted = reply.items().last().cloned().unwrap_or(reply);
    counted.number().unwrap_or_else(|| panic!("{command}: {counted:?}")) as i64
}

#[test]
fn subscribing_and_unsubscribing() {
    same(|addr, proto| {
        let mut client = connect(addr, proto);
        let mut heard = Vec::new();
        for (command, frames) in [
            ("UNSUBSCRIBE", 1),
            ("PUNSUBSCRIBE", 1),
            ("SUNSUBSCRIBE", 1),
            ("UNSUBSCRIBE nosuch other", 2),
            ("SUBSCRIBE a", 1),
            ("SUBSCRIBE a b a", 3),
            ("PSUBSCRIBE a* [", 2),
            ("SSUBSCRIBE s a", 2),
            ("UNSUBSCRIBE nosuch", 1),
            ("UNSUBSCRIBE a a", 2),
            ("UNSUBSCRIBE", 1),
            ("UNSUBSCRIBE", 1),
            ("SUNSUBSCRIBE s", 1),
            ("PUNSUBSCRIBE a* nosuch", 2),
            ("PUNSUBSCRIBE", 1),
            ("SUNSUBSCRIBE", 1),
            ("SUBSCRIBE a", 1),
            ("SUBSCRIBE", 1),
            ("UNSUBSCRIBE a", 1),
            ("GET k", 1),
        ] {
            heard.extend(hear(&mut client, command, frames));
        }
        // Without names the order is that of Redis's table: only the frames' number and last count are fixed.
        hear(&mut client, "SUBSCRIBE 1 2 3", 3);
        heard.push(hear(&mut client, "UNSUBSCRIBE", 3)[2].rsplit(':').next().unwrap().to_owned());
        heard
    });
}

#[test]
fn what_a_subscriber_may_do() {
    same(|addr, proto| {
        let mut client = connect(addr, proto);
        let mut heard = Vec::new();
        for family in ["SUBSCRIBE a", "PSUBSCRIBE a", "SSUBSCRIBE a"] {
            heard.extend(hear(&mut client, family, 1));
            for command in ["PING", "PING text", "PING a b", "GET k", "get k", "CLIENT ID x", "PUBLISH z x"] {
                heard.extend(hear(&mut client, command, 1));
            }
            for command in ["PUBSUB NUMPAT", "MULTI", "DISCARD", "nosuch a", "CONFIG GET"] {
                heard.extend(hear(&mut client, command, 1));
            }
            heard.extend(hear(&mut client, "RESET", 1));
            if proto == 3 {
                client.send(&encode(&["HELLO", "3"])).unwrap();
                client.read_frame().unwrap();
            }
            heard.extend(hear(&mut client, "PING", 1));
        }
        heard.extend(hear(&mut client, "SUBSCRIBE a", 1));
        client.send(&encode(&["QUIT"])).unwrap();
        heard.push(client.read_to_end().unwrap().escape_ascii().to_string());
        heard
    });
}

#[test]
fn pipelined_in_one_write() {
    same(|addr, proto| {
        let (mut client, mut other) = (connect(addr, proto), connect(addr, proto));
        let requests =
            ["SUBSCRIBE a", "PSUBSCRIBE a*", "PING", "UNSUBSCRIBE a", "PUNSUBSCRIBE", "GET k", "SUBSCRIBE b"];
        let bytes =
            requests.iter().flat_map(|r| encode(&r.split(' ').collect::<Vec<_>>())).collect::<Vec<_>>();
        client.send(&bytes).unwrap();
        let mut heard = frames_of(&mut client, 7);
        heard.extend(hear(&mut other, "PUBLISH a x", 1));
        heard.extend(hear(&mut other, "PUBLISH b x", 1));
        heard.extend(frames_of(&mut client, 1));
        heard
    });
}

#[test]
fn several_subscribers_are_counted_one_by_one() {
    same(|addr, proto| {
        let mut clients: Vec<RawClient> = (0..4).map(|_| connect(addr, proto)).collect();
        let mut other = connect(addr, proto);
        let mut heard = Vec::new();
        let mut counts = |heard: &mut Vec<String>| {
            for command in [
                "PUBLISH ab x",
                "PUBLISH b x",
                "SPUBLISH ab x",
                "PUBSUB NUMSUB ab b none",
                "PUBSUB SHARDNUMSUB ab",
                "PUBSUB NUMPAT",
                "MULTI",
                "PUBLISH ab x",
                "GET k",
                "PUBSUB NUMSUB ab b none",
                "SPUBLISH ab x",
                "PUBSUB SHARDNUMSUB ab ab",
                "PUBSUB CHANNELS",
                "PUBLISH b",
                "PUBLISH b x",
                "EXEC",
                "MULTI",
                "PUBLISH ab x",
                "GET k",
                "PUBSUB NUMSUB ab b none",
                "SPUBLISH ab x",
                "PUBSUB SHARDNUMSUB ab ab",
                "PUBSUB NUMPAT",
                "PUBLISH b x",
                "EXEC",
                "WATCH w",
                "MULTI",
                "PUBLISH ab x",
                "EXEC",
            ] {
                heard.extend(hear(&mut other, command, 1));
            }
        };
        for (i, command) in
            ["SUBSCRIBE ab", "PSUBSCRIBE a*", "SSUBSCRIBE ab", "PSUBSCRIBE *b"].iter().enumerate()
        {
            for client in &mut clients[..4 - i] {
                client.send(&encode(&command.split(' ').collect::<Vec<_>>())).unwrap();
                // Earlier messages come first.
                while !client.read_frame().unwrap().windows(9).any(|part| part == b"subscribe") {}
                counts(&mut heard);
            }
        }
        for client in &mut clients {
            for command in ["UNSUBSCRIBE ab", "PUNSUBSCRIBE a*", "SUNSUBSCRIBE ab", "PUNSUBSCRIBE *b"] {
                client.send(&encode(&command.split(' ').collect::<Vec<_>>())).unwrap();
                while !client.read_frame().unwrap().windows(11).any(|part| part == b"unsubscribe") {}
                counts(&mut heard);
            }
        }
        heard
    });
}

#[test]
fn what_was_counted_arrives_before_the_end_and_nothing_is_counted_after() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let (mut publisher, mut stays) = (proxy.client(), proxy.client());
    for round in 0..200 {
        let shared = i64::from(round % 2 == 1);
        let topic = format!("t{round}");
        if shared == 1 {
            hear(&mut stays, &format!("SUBSCRIBE {topic}"), 1);
        }
        let mut client = proxy.client();
        hear(&mut client, &format!("SUBSCRIBE {topic}"), 1);
        assert_eq!(number(&mut publisher, &format!("PUBLISH {topic} x")), 1 + shared);
        let heard = hear(&mut client, &format!("UNSUBSCRIBE {topic}"), 2);
        assert!(heard[0].contains("\\r\\nmessage\\r\\n"), "{heard:?}");
        assert!(heard[1].contains("\\r\\nunsubscribe\\r\\n"), "{heard:?}");
        assert_eq!(number(&mut publisher, &format!("PUBLISH {topic} x")), shared);
        assert_eq!(number(&mut publisher, &format!("PUBSUB NUMSUB {topic}")), shared);
        if shared == 1 {
            frames_of(&mut stays, 2);
        }
    }
}

#[test]
fn who_was_killed_or_has_left_is_not_counted() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let mut publisher = proxy.client();
    for round in 0..100 {
        let mut client = proxy.client();
        let id = number(&mut client, "CLIENT ID");
        hear(&mut client, "SUBSCRIBE a", 1);
        hear(&mut client, "PSUBSCRIBE a*", 1);
        assert_eq!(number(&mut publisher, "PUBLISH a x"), 2);
        frames_of(&mut client, 2);
        match round % 3 {
            0 => assert_eq!(number(&mut publisher, &format!("CLIENT KILL ID {id}")), 1),
            1 => drop(hear(&mut client, "RESET", 1)),
            _ => drop(hear(&mut client, "QUIT", 1)),
        }
        assert_eq!(number(&mut publisher, "PUBLISH a x"), 0, "round {round}");
        assert_eq!(number(&mut publisher, "PUBSUB NUMPAT"), 0, "round {round}");
    }
}

#[test]
fn one_subscriber_is_never_counted_twice() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let mut publisher = proxy.client();
    for round in 0..100 {
        let mut client = proxy.client();
        let topic = format!("t{round}");
        client.send(&encode(&["SUBSCRIBE", &topic])).unwrap();
        until("the subscriber is counted", || {
            let n = number(&mut publisher, &format!("PUBLISH {topic} x"));
            assert!(n <= 1, "{n} receivers of one subscription");
            (n == 1).then_some(())
        });
        let heard = frames_of(&mut client, 2);
        assert!(heard[0].contains("subscribe") && heard[1].contains("message"), "{heard:?}");
    }
}

#[test]
fn what_was_published_before_a_subscription_is_not_delivered() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let (mut publisher, mut first) = (proxy.client(), proxy.client());
    hear(&mut first, "SUBSCRIBE a", 1);
    for round in 0..100 {
        let mut second = proxy.client();
        until("nobody else is subscribed", || (number(&mut publisher, "PUBLISH a early") == 1).then_some(()));
        hear(&mut second, "SUBSCRIBE a", 1);
        assert_eq!(number(&mut publisher, "PUBLISH a late"), 2, "round {round}");
        let heard = frames_of(&mut second, 1);
        assert!(heard[0].contains("late"), "{heard:?}");
    }
}

#[test]
fn messages_keep_their_order() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let mut subscribers: Vec<RawClient> = (0..3).map(|_| proxy.client()).collect();
    for subscriber in &mut subscribers {
        hear(subscriber, "SUBSCRIBE a b", 2);
    }
    let mut publisher = proxy.client();
    let requests = (0..2000).flat_map(|i| encode(&["PUBLISH", ["a", "b"][i % 2], &i.to_string()]));
    let replies = publisher.exchange(&requests.collect::<Vec<_>>(), 2000).unwrap();
    assert!(replies.iter().all(|reply| reply == b":3\r\n"));
    for subscriber in &mut subscribers {
        for i in 0..2000 {
            let Reply::Many(_, Some(items)) = subscriber_frame(subscriber) else { panic!("no message") };
            assert_eq!(items[2].text(), Some(i.to_string().as_bytes()));
        }
    }
}

fn subscriber_frame(client: &mut RawClient) -> Reply {
    let frame = client.read_frame().unwrap();
    crate::support::reply::decode(&frame).unwrap().unwrap().0
}

#[test]
fn a_subscriber_that_does_not_read_is_disconnected() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let (mut slow, mut quick, mut publisher) = (proxy.client(), proxy.client(), proxy.client());
    hear(&mut slow, "SUBSCRIBE a", 1);
    hear(&mut quick, "SUBSCRIBE a", 1);
    let payload = "x".repeat(1 << 20);
    let mut sent = 0;
    until("the slow one is gone", || {
        sent += 1;
        assert!(sent < 400, "400 MB wait for a client that reads nothing");
        let receivers = publisher.call(&["PUBLISH", "a", &payload]).unwrap().number().unwrap();
        let Reply::Many(_, Some(items)) = subscriber_frame(&mut quick) else { panic!("no message") };
        assert_eq!(items[2].text().map(<[u8]>::len), Some(payload.len()));
        (receivers == 1.0).then_some(())
    });
    until("its session has ended", || {
        let list = publisher.call(&["CLIENT", "LIST", "TYPE", "pubsub"]).unwrap();
        let lines = list.text().unwrap().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        (lines == 1).then_some(())
    });
}

#[test]
fn subscriptions_come_back_with_the_upstream() {
    let mut redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    let (mut first, mut second) = (proxy.client(), proxy.client());
    hear(&mut first, "SUBSCRIBE a", 1);
    hear(&mut first, "PSUBSCRIBE p*", 1);
    hear(&mut second, "SUBSCRIBE a", 1);
    hear(&mut second, "SUBSCRIBE b", 1);
    redis.kill();
    // Without an upstream there is nothing to wait for.
    assert!(hear(&mut second, "UNSUBSCRIBE b", 1)[0].contains("unsubscribe"));
    redis.start_again();
    let mut publisher = proxy.client();
    let count = |publisher: &mut RawClient, channel: &str| {
        publisher.call(&["PUBLISH", channel, "back"]).unwrap().number()
    };
    until("both are subscribed again", || (count(&mut publisher, "a") == Some(2.0)).then_some(()));
    until("the pattern too", || (count(&mut publisher, "p1") == Some(1.0)).then_some(()));
    assert_eq!(count(&mut publisher, "b"), Some(0.0));
    for client in [&mut first, &mut second] {
        assert!(frames_of(client, 1)[0].contains("back"));
    }
    // Straight to Redis: its own count shows the one connection.
    let direct = redis.client().call(&["PUBLISH", "a", "direct"]).unwrap();
    assert_eq!(direct.number(), Some(1.0));
    for client in [&mut first, &mut second] {
        until("the message from elsewhere", || frames_of(client, 1)[0].contains("direct").then_some(()));
    }
}

#[test]
fn a_refused_subscription_changes_nothing() {
    let redis = RedisServer::start(&[]);
    let mut admin = redis.client();
    admin.call(&["ACL", "SETUSER", "default", "resetchannels", "&open*"]).unwrap();
    let proxy = Proxy::start(redis.addr(), &[]);
    let mut client = proxy.client();
    let heard = hear(&mut client, "SUBSCRIBE open closed", 1);
    assert!(heard[0].starts_with("-NOPERM"), "{heard:?}");
    assert_eq!(hear(&mut client, "GET k", 1), ["$-1\\r\\n"]);
    assert!(hear(&mut client, "SUBSCRIBE open", 1)[0].contains("subscribe"));
    assert_eq!(number(&mut proxy.client(), "PUBLISH open x"), 1);
}

/// Without a lane there is no invalidation that a message or a popped element could outrun.
#[test]
fn a_lane_that_is_down_holds_nothing_back() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let proxy =
        Proxy::behind(link.addr(), &[("upstream.down_after", "50ms"), ("upstream.reconnect_max", "50ms")]);
    let (mut subscriber, mut pops) = (proxy.client(), proxy.client());
    hear(&mut subscriber, "SUBSCRIBE c", 1);
    pops.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    until("it is blocked", || (proxy.info("blocked_clients")? == "1").then_some(()));
    // The lane alone: it is the one that tracks.
    link.refuse(true);
    let mut direct = redis.client();
    let list = direct.call(&["CLIENT", "LIST"]).unwrap();
    let list = String::from_utf8_lossy(list.text().unwrap()).into_owned();
    let lane = list.lines().find(|line| line.contains("name=nearcache") && line.contains("flags=t")).unwrap();
    let id = lane.split(' ').next().unwrap().trim_start_matches("id=");
    assert_eq!(number(&mut direct, &format!("CLIENT KILL ID {id}")), 1);
    proxy.await_upstream("down");
    assert_eq!(number(&mut direct, "PUBLISH c m"), 1);
    assert!(frames_of(&mut subscriber, 1)[0].contains("message"));
    assert_eq!(number(&mut direct, "RPUSH l a"), 1);
    assert_eq!(pops.read().unwrap(), b"*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    link.refuse(false);
    proxy.await_upstream("up");
    assert_eq!(number(&mut proxy.client(), "PUBLISH c m"), 1);
    assert!(frames_of(&mut subscriber, 1)[0].contains("message"));
}
