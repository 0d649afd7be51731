//! The fixtures themselves: a test that stands on a broken fixture proves nothing.

use std::io::ErrorKind;
use std::time::Duration;

use crate::support::client::RawClient;
use crate::support::fake::{Answer, FakeUpstream};
use crate::support::link::{Direction, Link, Weather};
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, Scanner, decode, encode};
use crate::support::until;

#[test]
fn the_reader_finds_the_end_of_every_type_at_every_split() {
    let replies: &[&[u8]] = &[
        b"+OK\r\n",
        b"-ERR no\r\n",
        b":12\r\n",
        b"$3\r\na\r\n\r\n",
        b"$-1\r\n",
        b"$0\r\n\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*2\r\n*1\r\n:1\r\n%1\r\n+a\r\n,1.5\r\n",
        b"~2\r\n#t\r\n_\r\n",
        b"(123456789012345678901234567890\r\n",
        b"=7\r\ntxt:abc\r\n",
        b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n",
        b"!5\r\nERR x\r\n",
        b"%2\r\n*0\r\n%0\r\n:1\r\n*1\r\n*1\r\n*0\r\n",
    ];
    for reply in replies {
        let mut scanner = Scanner::default();
        for end in 0..reply.len() {
            assert_eq!(scanner.end(&reply[..end]), Ok(None), "{} at {end}", reply.escape_ascii());
            assert_eq!(decode(&reply[..end]), Ok(None), "{} at {end}", reply.escape_ascii());
        }
        let followed = [reply, &b"+next\r\n"[..]].concat();
        assert_eq!(scanner.end(&followed), Ok(Some(reply.len())), "{}", reply.escape_ascii());
        let (_, len) = decode(&followed).unwrap().unwrap();
        assert_eq!(len, reply.len());
    }
    for wrong in [&b"hello\r\n"[..], b"\r\n", b"$x\r\n", b"*-2\r\n", b"$+1\r\n"] {
        assert!(Scanner::default().end(wrong).is_err(), "{}", wrong.escape_ascii());
        assert!(decode(wrong).is_err(), "{}", wrong.escape_ascii());
    }
}

#[test]
fn a_server_can_be_paused_killed_and_restarted_on_its_port() {
    let mut redis = RedisServer::start(&["--maxmemory", "64mb"]);
    let mut client = redis.client();
    assert_eq!(client.call(&["SET", "k", "v"]).unwrap(), Reply::Line(b'+', b"OK".to_vec()));
    let limit = client.call(&["CONFIG", "GET", "maxmemory"]).unwrap();
    assert_eq!(limit.items()[1].text(), Some(&b"67108864"[..]));

    redis.pause();
    client.set_patience(Duration::from_millis(50));
    let error = client.call(&["PING"]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    redis.resume();
    client.set_patience(crate::support::PATIENCE);
    assert_eq!(client.read().unwrap(), b"+PONG\r\n");

    redis.restart();
    assert!(client.call(&["PING"]).is_err(), "the old connection survived a kill");
    assert!(redis.client().call(&["GET", "k"]).unwrap().is_null(), "the server came back with data");
    assert!(redis.unix_socket().exists());
}

#[test]
fn a_client_keeps_pushes_apart_from_replies() {
    let redis = RedisServer::start(&[]);
    let mut reader = RawClient::connect_resp3(redis.addr()).unwrap();
    reader.call(&["CLIENT", "TRACKING", "ON"]).unwrap();
    reader.call(&["GET", "k"]).unwrap();
    redis.client().call(&["SET", "k", "1"]).unwrap();
    let push = reader.read_push().unwrap();
    assert_eq!(push.items()[0].text(), Some(&b"invalidate"[..]));
    reader.call(&["GET", "k"]).unwrap();
    redis.client().call(&["SET", "k", "2"]).unwrap();
    assert_eq!(reader.call(&["PING"]).unwrap(), Reply::Line(b'+', b"PONG".to_vec()));
    assert_eq!(reader.pushes().len(), 1);
}

#[test]
fn a_link_delivers_the_same_bytes_in_slivers() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let sliver = Weather { slice: 1, ..Weather::default() };
    link.set(sliver, sliver);
    let mut client = RawClient::connect(link.addr()).unwrap();
    assert_eq!(client.call(&["ECHO", "a\r\nb"]).unwrap(), Reply::Bulk(b'$', Some(b"a\r\nb".to_vec())));
    assert_eq!(link.accepted(), 1);
}

#[test]
fn a_link_can_cut_a_reply_in_its_middle() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    link.set(Weather::default(), Weather { cut_after: Some(5), ..Weather::default() });
    let mut client = RawClient::connect(link.addr()).unwrap();
    client.send(&encode(&["ECHO", "0123456789"])).unwrap();
    assert_eq!(client.read_to_end().unwrap(), b"$10\r\n");
}

#[test]
fn a_half_open_link_holds_everything_until_it_clears() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let mut client = RawClient::connect(link.addr()).unwrap();
    assert!(!client.call(&["PING"]).unwrap().is_error());
    link.half_open();
    client.set_patience(Duration::from_millis(50));
    assert!(client.call(&["PING"]).is_err(), "a reply came through a half-open link");
    link.clear();
    client.set_patience(crate::support::PATIENCE);
    assert_eq!(client.read().unwrap(), b"+PONG\r\n");
}

#[test]
fn a_link_can_refuse_and_close() {
    let redis = RedisServer::start(&[]);
    let link = Link::to(redis.addr());
    let mut client = RawClient::connect(link.addr()).unwrap();
    assert!(!client.call(&["PING"]).unwrap().is_error());
    link.refuse(true);
    link.cut();
    assert!(client.call(&["PING"]).is_err(), "the connection was not cut");
    let refused = RawClient::connect(link.addr()).and_then(|mut client| client.call(&["PING"]));
    assert!(refused.is_err(), "a new connection was served");
    link.refuse(false);
    until("the link serves again", || {
        RawClient::connect(link.addr()).and_then(|mut client| client.call(&["PING"])).ok()
    });
}

#[test]
fn a_tampering_link_changes_what_it_is_told_to() {
    let redis = RedisServer::start(&[]);
    let link = Link::tampering(redis.addr(), || {
        Box::new(|direction, bytes| {
            if direction == Direction::Down {
                bytes[0] = b'-';
            }
        })
    });
    let mut client = RawClient::connect(link.addr()).unwrap();
    assert_eq!(client.call_raw(&["PING"]).unwrap(), b"-PONG\r\n");
}

#[test]
fn a_fake_upstream_answers_by_its_script() {
    let fake = FakeUpstream::start(|connection, request| match request[0].as_slice() {
        b"WHICH" => Answer::Bytes(format!(":{connection}\r\n").into_bytes()),
        b"SILENCE" => Answer::Silence,
        _ => Answer::Close(b"$10\r\nhalf".to_vec()),
    });
    let mut first = RawClient::connect(fake.addr()).unwrap();
    assert_eq!(first.call_raw(&["WHICH"]).unwrap(), b":0\r\n");
    let mut second = RawClient::connect(fake.addr()).unwrap();
    second.send(&encode(&["SILENCE"])).unwrap();
    assert_eq!(second.call_raw(&["WHICH"]).unwrap(), b":1\r\n");
    second.send(&encode(&["ANYTHING", "x"])).unwrap();
    assert_eq!(second.read_to_end().unwrap(), b"$10\r\nhalf");
    assert_eq!(fake.seen().last().unwrap(), &vec![b"ANYTHING".to_vec(), b"x".to_vec()]);
}
