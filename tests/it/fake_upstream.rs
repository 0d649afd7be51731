//! Upstreams that no Redis is: odd replies, replies nobody asked for, servers of another age.

/// What a Redis 7 says to a handshake; `+OK` and `+PONG` to everything else.
pub fn handshake(request: &[Vec<u8>]) -> Vec<u8> {
    let words: Vec<String> =
        request.iter().map(|word| String::from_utf8_lossy(word).to_ascii_uppercase()).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["HELLO", "3", ..] => {
            b"%3\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:7\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                .to_vec()
        }
        ["HELLO", ..] => b"*4\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$2\r\nid\r\n:7\r\n".to_vec(),
        ["INFO", ..] => b"$13\r\nrun_id:abcdef\r\n".to_vec(),
        ["PING"] => b"+PONG\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    }
}

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::client::RawClient;
use crate::support::fake::{Answer, FakeUpstream, Request};
use crate::support::link::{Link, Weather};
use crate::support::proxy::Proxy;
use crate::support::reply::encode;

/// Replies to `GET <number>` and `NOSUCH <number>`, as a Redis 7 in everything else.
fn odd(replies: &'static [&'static [u8]]) -> FakeUpstream {
    FakeUpstream::start(move |_, request| match request[0].as_slice() {
        b"GET" | b"NOSUCH" => {
            let number: usize = String::from_utf8_lossy(&request[1]).parse().unwrap();
            Answer::Bytes(replies[number].to_vec())
        }
        _ => Answer::Bytes(handshake(request)),
    })
}

const ODD: &[&[u8]] = &[
    b"#t\r\n",
    b",1.5\r\n",
    b",inf\r\n",
    b",nan\r\n",
    b"(123456789012345678901234567890\r\n",
    b"=7\r\ntxt:abc\r\n",
    b"!5\r\nERR x\r\n",
    b"_\r\n",
    b"~2\r\n:1\r\n:2\r\n",
    b"%1\r\n$1\r\na\r\n*1\r\n_\r\n",
    b"*0\r\n",
    b"%0\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    b"$0\r\n\r\n",
    b"*3\r\n-ERR inside\r\n!5\r\nERR y\r\n+OK\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
];

#[test]
fn replies_of_every_type_arrive_as_they_are_even_in_slivers() {
    let fake = odd(ODD);
    let link = Link::to(fake.addr());
    let proxy = Proxy::behind(link.addr(), &[]);
    let mut client = RawClient::connect_resp3(proxy.addr()).unwrap();
    for slice in [0, 1] {
        link.set(Weather::default(), Weather { slice, ..Weather::default() });
        for (number, reply) in ODD.iter().enumerate() {
            for command in ["GET", "NOSUCH"] {
                let heard = client.call_raw(&[command, &number.to_string()]).unwrap();
                assert_eq!(heard.escape_ascii().to_string(), reply.escape_ascii().to_string(), "{command}");
            }
        }
        let requests: Vec<u8> = (0..ODD.len()).flat_map(|n| encode(&["GET", &n.to_string()])).collect();
        assert_eq!(client.exchange(&requests, ODD.len()).unwrap(), ODD);
    }
}

#[test]
fn pushes_are_no_part_of_replies_wherever_they_stand() {
    const PUSH: &str = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
    let fake = FakeUpstream::start(|_, request| match request[0].as_slice() {
        b"LRANGE" => {
            Answer::Bytes(format!("{PUSH}*2\r\n{PUSH}$1\r\na\r\n{PUSH}{PUSH}$1\r\nb\r\n{PUSH}").into_bytes())
        }
        b"GET" => Answer::Bytes(format!("{PUSH}$1\r\nv\r\n{PUSH}").into_bytes()),
        _ => Answer::Bytes(handshake(request)),
    });
    let link = Link::to(fake.addr());
    let proxy = Proxy::behind(link.addr(), &[]);
    for slice in [0, 1, 7] {
        link.set(Weather::default(), Weather { slice, ..Weather::default() });
        for proto in ["2", "3"] {
            let mut client = proxy.client();
            client.call(&["HELLO", proto]).unwrap();
            let requests = [
                encode(&["LRANGE", "l", "0", "-1"]),
                encode(&["GET", "k"]),
                encode(&["LRANGE", "l", "0", "-1"]),
            ]
            .concat();
            for _ in 0..3 {
                let replies = client.exchange(&requests, 3).unwrap();
                let list = b"*2\r\n$1\r\na\r\n$1\r\nb\r\n".to_vec();
                assert_eq!(replies, [list.clone(), b"$1\r\nv\r\n".to_vec(), list]);
            }
            assert!(client.pushes().is_empty());
        }
    }
}

#[test]
fn a_push_within_the_handshake_is_no_reply() {
    // Somebody says FLUSHALL as soon as tracking is on.
    let fake = FakeUpstream::start(|_, request| match request[0].as_slice() {
        b"CLIENT" if request[1] == b"TRACKING" => {
            Answer::Bytes(b"+OK\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n".to_vec())
        }
        b"GET" => Answer::Bytes(b"$1\r\nv\r\n".to_vec()),
        _ => Answer::Bytes(handshake(request)),
    });
    let proxy = Proxy::behind(fake.addr(), &[]);
    let mut client = proxy.client();
    assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
    assert_eq!(client.call_raw(&["SET", "k", "v"]).unwrap(), b"+OK\r\n");
}

#[test]
fn a_reply_cut_off_anywhere_is_read_again() {
    const REPLY: &[u8] = b"*3\r\n$3\r\nabc\r\n:12\r\n*1\r\n_\r\n";
    use std::sync::atomic::{AtomicUsize, Ordering};
    static CUT: AtomicUsize = AtomicUsize::new(0);
    let fake = FakeUpstream::start(|_, request| match request[0].as_slice() {
        b"LRANGE" => match CUT.swap(usize::MAX, Ordering::SeqCst) {
            usize::MAX => Answer::Bytes(REPLY.to_vec()),
            cut => Answer::Close(REPLY[..cut].to_vec()),
        },
        b"INCR" => Answer::Close(b":".to_vec()),
        _ => Answer::Bytes(handshake(request)),
    });
    let proxy = Proxy::behind(
        fake.addr(),
        &[
            ("upstream.down_after", "30s"),
            ("upstream.reconnect_min", "1ms"),
            ("upstream.reconnect_max", "2ms"),
        ],
    );
    let mut client = RawClient::connect_resp3(proxy.addr()).unwrap();
    for cut in 0..REPLY.len() {
        CUT.store(cut, Ordering::SeqCst);
        assert_eq!(client.call_raw(&["LRANGE", "l", "0", "-1"]).unwrap(), REPLY, "cut at {cut}");
    }
    assert!(client.call_raw(&["INCR", "n"]).unwrap().starts_with(b"-UNCERTAIN "));
    assert_eq!(client.call_raw(&["LRANGE", "l", "0", "-1"]).unwrap(), REPLY);
}

#[test]
fn a_reply_without_a_request_or_without_sense_closes_the_lane_and_it_recovers() {
    let fake = FakeUpstream::start(|_, request| match request[0].as_slice() {
        b"GET" if request[1] == b"extra" => Answer::Bytes(b"$1\r\nv\r\n+surplus\r\n".to_vec()),
        b"SET" => Answer::Bytes(b"?what\r\n".to_vec()),
        b"GET" => Answer::Bytes(b"$1\r\nv\r\n".to_vec()),
        _ => Answer::Bytes(handshake(request)),
    });
    let proxy = Proxy::behind(fake.addr(), &[("upstream.down_after", "30s")]);
    let mut client = proxy.client();
    for _ in 0..3 {
        let before: u64 = proxy.shared().stats.lane.disconnects.get();
        assert_eq!(client.call_raw(&["GET", "extra"]).unwrap(), b"$1\r\nv\r\n");
        crate::support::until("the lane is given up", || {
            (proxy.shared().stats.lane.disconnects.get() > before).then_some(())
        });
        assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
        assert!(client.call_raw(&["SET", "k", "v"]).unwrap().starts_with(b"-UNCERTAIN "));
        assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
    }
}

/// A server before 6.0.
fn old(request: &Request) -> Answer {
    Answer::Bytes(match request[0].to_ascii_uppercase().as_slice() {
        b"HELLO" => b"-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n".to_vec(),
        b"CLIENT" if request[1].eq_ignore_ascii_case(b"ID") => b":5\r\n".to_vec(),
        b"CLIENT" if request[1].eq_ignore_ascii_case(b"SETNAME") => b"+OK\r\n".to_vec(),
        b"CLIENT" => b"-ERR Unknown subcommand or wrong number of arguments\r\n".to_vec(),
        b"INFO" => b"$34\r\nredis_version:5.0.7\r\nrun_id:abcdef\r\n".to_vec(),
        b"HGETALL" => b"*2\r\n$1\r\na\r\n$1\r\nb\r\n".to_vec(),
        b"GET" => b"$-1\r\n".to_vec(),
        b"BLPOP" => b"*-1\r\n".to_vec(),
        b"PING" => b"+PONG\r\n".to_vec(),
        _ => b"+OK\r\n".to_vec(),
    })
}

#[test]
fn a_server_that_knows_no_resp3_is_served_in_resp2() {
    let fake = FakeUpstream::start(|_, request| old(request));
    let proxy = Proxy::behind(fake.addr(), &[]);
    let mut client = proxy.client();
    assert!(client.call_raw(&["HELLO", "3"]).unwrap().starts_with(b"-NOPROTO "));
    assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"$-1\r\n");
    assert_eq!(client.call_raw(&["HGETALL", "h"]).unwrap(), b"*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(client.call_raw(&["BLPOP", "l", "1"]).unwrap(), b"*-1\r\n");
    assert!(client.call_raw(&["HELLO", "2"]).unwrap().starts_with(b"*14\r\n"));
    assert_eq!(proxy.info("coherence").as_deref(), Some("none"));
}

#[test]
fn a_lane_that_is_given_up_owes_nothing() {
    // The first SELECT 5 finds the database, the second does not.
    let asked = AtomicUsize::new(0);
    let fake = FakeUpstream::start(move |_, request| match request[0].as_slice() {
        b"SELECT" if request[1] == b"5" && asked.fetch_add(1, Ordering::Relaxed) > 0 => {
            Answer::Bytes(b"-ERR DB index is out of range\r\n".to_vec())
        }
        b"GET" => Answer::Bytes(b"$1\r\nv\r\n".to_vec()),
        _ => Answer::Bytes(handshake(request)),
    });
    let proxy = Proxy::behind(fake.addr(), &[("upstream.reconnect_max", "50ms")]);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    assert_eq!(client.call_raw(&["SELECT", "5"]).unwrap(), b"+OK\r\n");
    assert_eq!(other.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
    let reply = client.call_raw(&["SET", "k", "v"]).unwrap();
    assert!(reply.starts_with(b"-UNCERTAIN "), "{}", reply.escape_ascii());
    assert_eq!(client.call_raw(&["GET", "k"]).unwrap(), b"-ERR DB index is out of range\r\n");
    assert_eq!(other.call_raw(&["GET", "k"]).unwrap(), b"$1\r\nv\r\n");
}
