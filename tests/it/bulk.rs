//! Large values: the same bytes both ways, on connections of their own, and no harm when they break off.

use crate::support::link::{Link, Weather};
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::{Rng, until};

const SMALL_THRESHOLD: (&str, &str) = ("upstream.bulk_threshold", "64kb");

fn noise(len: usize) -> Vec<u8> {
    let mut rng = Rng::new(len as u64);
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| rng.next_u64().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

fn set(key: &str, value: &[u8]) -> Vec<u8> {
    encode(&[b"SET", key.as_bytes(), value])
}

/// Not `assert_eq`: nobody reads 20 MB of a difference.
fn same(ours: &[u8], theirs: &[u8], what: &str) {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
    assert!(ours == theirs, "{what}: {} and {} bytes, different at {at:?}", ours.len(), theirs.len());
}

#[test]
fn large_values_come_back_as_they_went() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD]);
    let value = noise(20 << 20);
    for proto in ["2", "3"] {
        let (mut client, mut direct) = (proxy.client(), redis.client());
        client.call(&["HELLO", proto]).unwrap();
        direct.call(&["HELLO", proto]).unwrap();
        assert_eq!(client.exchange(&set("k", &value), 1).unwrap()[0], b"+OK\r\n");
        let many: Vec<Vec<u8>> = ["RPUSH", "l"]
            .iter()
            .map(|w| w.as_bytes().to_vec())
            .chain(value.chunks(100_000).map(<[u8]>::to_vec))
            .collect();
        client.call(&["DEL", "l"]).unwrap();
        let pushed = client.exchange(&encode(&many), 1).unwrap();
        assert_eq!(pushed[0], format!(":{}\r\n", many.len() - 2).into_bytes());
        for request in [
            &["GET", "k"][..],
            &["MGET", "k", "none", "k"],
            &["LRANGE", "l", "0", "-1"],
            &["GETRANGE", "k", "5", "200000"],
        ] {
            same(&client.call_raw(request).unwrap(), &direct.call_raw(request).unwrap(), &request.join(" "));
        }
        let pipelined =
            [encode(&["GET", "k"]), set("k2", &value), encode(&["STRLEN", "k2"]), encode(&["PING"])].concat();
        let replies = client.exchange(&pipelined, 4).unwrap();
        assert_eq!(replies[0].len(), value.len() + 13);
        assert_eq!(replies[1..], [b"+OK\r\n".to_vec(), b":20971520\r\n".to_vec(), b"+PONG\r\n".to_vec()]);
    }
    assert!(proxy.info("pinned_for_bulk").unwrap() != "0");
}

#[test]
fn a_request_cut_off_midway_changes_nothing() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD, ("upstream.bulk_connections", "1")]);
    redis.client().call(&["SET", "k", "before"]).unwrap();
    let request = set("k", &noise(1 << 20));
    for part in [70_000, 500_000, request.len() - 1] {
        let mut client = proxy.client();
        client.send(&request[..part]).unwrap();
        client.shutdown_write().unwrap();
        assert_eq!(client.read_to_end().unwrap(), b"");
    }
    assert_eq!(redis.client().call_raw(&["GET", "k"]).unwrap(), b"$6\r\nbefore\r\n");
    until("the connection is free again", || {
        let reply = proxy.client().exchange(&request, 1).ok()?;
        (reply[0] == b"+OK\r\n").then_some(())
    });
}

#[test]
fn a_client_that_stops_within_a_request_can_be_killed() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD, ("upstream.bulk_connections", "1")]);
    let request = set("k", &noise(1 << 20));
    let mut client = proxy.client();
    let id = String::from_utf8(client.call(&["CLIENT", "ID"]).unwrap().text().unwrap().to_vec()).unwrap();
    client.send(&request[..300_000]).unwrap();
    until("it is being streamed", || (proxy.info("pinned_in_use")? == "1").then_some(()));
    let mut other = proxy.client();
    let refused = &other.exchange(&request, 1).unwrap()[0];
    assert!(refused.starts_with(b"-ERR nearcache: all 1 upstream connections"), "{}", refused.escape_ascii());
    assert_eq!(other.call_raw(&["CLIENT", "KILL", "ID", &id]).unwrap(), b":1\r\n");
    assert!(client.read_to_end().map_or(true, |rest| rest.is_empty()));
    until("its connection is free", || (proxy.info("pinned_in_use")? == "0").then_some(()));
    assert_eq!(other.exchange(&request, 1).unwrap()[0], b"+OK\r\n");
}

/// A value full of commands: whatever breaks, they must not be executed.
fn poison() -> Vec<u8> {
    b"\r\n*3\r\n$3\r\nSET\r\n$6\r\npoison\r\n$1\r\n1\r\n".repeat(50_000)
}

#[test]
fn the_rest_of_a_request_that_cannot_be_sent_is_not_taken_for_commands() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let hasty = [("upstream.down_after", "50ms"), ("upstream.reconnect_max", "50ms")];
    let proxy = Proxy::behind(link.addr(), &[&[SMALL_THRESHOLD][..], &hasty].concat());
    let request = [set("k", &poison()), encode(&["PING"])].concat();

    // The connection breaks within the request.
    let mut client = proxy.client();
    client.send(&request[..200_000]).unwrap();
    until("it is being streamed", || (proxy.info("pinned_in_use")? == "1").then_some(()));
    link.refuse(true);
    link.cut();
    let replies = client.exchange(&request[200_000..], 2).unwrap();
    assert!(replies[0].starts_with(b"-MASTERDOWN "), "{}", replies[0].escape_ascii());
    assert_eq!(replies[1], b"+PONG\r\n");

    // There is no connection to begin with.
    let replies = client.exchange(&request, 2).unwrap();
    assert!(replies[0].starts_with(b"-MASTERDOWN "), "{}", replies[0].escape_ascii());
    assert_eq!(replies[1], b"+PONG\r\n");

    link.refuse(false);
    proxy.await_upstream("up");
    let block = [encode(&["EXISTS", "poison", "k"]), request.clone()].concat();
    let replies = client.exchange(&block, 3).unwrap();
    assert_eq!(replies, [b":0\r\n".to_vec(), b"+OK\r\n".to_vec(), b"+PONG\r\n".to_vec()]);
}

#[test]
fn a_large_reply_cut_off_midway_ends_the_connection_or_is_an_error() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let proxy = Proxy::behind(link.addr(), &[SMALL_THRESHOLD, ("upstream.down_after", "30s")]);
    let value = noise(4 << 20);
    redis.client().exchange(&set("k", &value), 1).unwrap();
    let mut client = proxy.client();
    link.set(Weather::default(), Weather { cut_after: Some(1 << 20), ..Weather::default() });
    client.send(&encode(&["GET", "k"])).unwrap();
    until("the connection is cut", || (link.accepted() >= 2).then_some(()));
    link.clear();
    let reply = client.read().unwrap();
    assert!(reply.len() > value.len() || reply.starts_with(b"-MASTERDOWN"), "{} bytes", reply.len());
}

#[test]
fn a_malformed_large_request_is_told_so() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD]);
    let mut request = b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\n".to_vec();
    request.extend(noise(100_000));
    request.extend(b"\r\n!\r\n");
    let (mut ours, mut theirs) = (proxy.client(), redis.client());
    for client in [&mut ours, &mut theirs] {
        client.send(&request).unwrap();
    }
    assert_eq!(ours.read().unwrap(), theirs.read().unwrap());
}

#[test]
fn a_key_whose_reply_was_large_is_read_over_a_connection_of_its_own_while_it_is() {
    let redis = RedisServer::start(&[]);
    // Too large for L1, which would answer otherwise.
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD, ("cache.max_entry", "1kb")]);
    let mut client = proxy.client();
    let bulk = || proxy.shared().stats.pinned.for_bulk.get();
    let value = noise(100_000);
    redis.client().exchange(&set("k", &value), 1).unwrap();
    redis.client().call(&["SET", "small", "v"]).unwrap();
    let mut read = |key: &str| client.call(&["GET", key]).unwrap().text().unwrap().len();
    assert_eq!((read("k"), bulk()), (100_000, 0), "nobody knew");
    assert_eq!((read("k"), bulk()), (100_000, 1));
    assert_eq!((read("small"), bulk()), (1, 1));
    redis.client().call(&["SET", "k", "v"]).unwrap();
    assert_eq!((read("k"), bulk()), (1, 2), "the last detour");
    assert_eq!((read("k"), bulk()), (1, 2));
}

#[test]
fn what_redis_says_of_a_large_request_is_what_the_client_hears() {
    let redis = RedisServer::start(&["--proto-max-bulk-len", "8mb"]);
    let proxy = Proxy::behind(redis.addr(), &[SMALL_THRESHOLD]);
    let mut admin = redis.client();
    let value = noise(4 << 20);
    let many: Vec<&[u8]> = [b"GET".as_slice()].into_iter().chain(value.chunks(100_000)).collect();
    for (prepare, request, expected) in [
        ("CONFIG SET maxmemory 1", set("k", &value), "-OOM command not allowed when used memory > "),
        ("CONFIG SET maxmemory 0", encode(&many), "-ERR wrong number of arguments for "),
        (
            "LPUSH l a",
            set_in("l", &value),
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
        ),
        (
            "CONFIG SET min-replicas-to-write 1",
            set("k", &value),
            "-NOREPLICAS Not enough good replicas to write.",
        ),
        (
            "CONFIG SET min-replicas-to-write 0",
            set("k", &noise(16 << 20)),
            "-ERR Protocol error: invalid bulk length",
        ),
        ("ACL SETUSER default -setrange", set_in("l", &value), "-NOPERM "),
    ] {
        let done = admin.call(&prepare.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(!done.is_error(), "{prepare}: {done:?}");
        for _ in 0..5 {
            let mut client = proxy.client();
            let replies = client.exchange(&[request.clone(), encode(&["PING"])].concat(), 2).unwrap();
            let heard = replies.iter().map(|reply| reply.escape_ascii().to_string()).collect::<Vec<_>>();
            assert!(heard[0].starts_with(expected), "{prepare}: {heard:?}");
            assert_eq!(heard[1], r"+PONG\r\n", "{prepare}");
        }
    }
    assert_eq!(proxy.info("uncertain_writes").as_deref(), Some("0"));
    until("the connections are free", || (proxy.info("pinned_in_use")? == "0").then_some(()));
}

fn set_in(key: &str, value: &[u8]) -> Vec<u8> {
    encode(&[b"SETRANGE".as_slice(), key.as_bytes(), b"0", value])
}
