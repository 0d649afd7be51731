//! The protocol as clients speak it, well and badly: the same bytes as Redis, and the same end.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::{Reply, encode};
use crate::support::{Rng, until};

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Everything that the server says to these pieces, each sent alone, and then to the end of them.
fn all_said(addr: SocketAddr, pieces: &[&[u8]]) -> String {
    let mut client = RawClient::connect(addr).unwrap();
    for piece in pieces {
        // Fails when the server has closed already, which is a legal answer.
        let _ = client.send(piece);
    }
    let _ = client.shutdown_write();
    let mut said = Vec::new();
    // Ends with an end of file, or with a reset when the server closes with something unread.
    while let Ok(frame) = client.read_frame() {
        said.extend(frame);
    }
    text(&said)
}

const MALFORMED: &[&[u8]] = &[
    b"*x\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-2\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*1048577\r\n",
    b"*2147483648\r\n",
    b"*-1\r\nPING\r\n",
    b"*0\r\nPING\r\n",
    b"*\r\nPING\r\n",
    b"*1\r\n\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    b"*2\r\n$4\r\nECHO\r\n+x\r\n",
    b"*1 \r\n$4\r\nPING\r\n",
    b"* 1\r\n$4\r\nPING\r\n",
    b"*+1\r\n$4\r\nPING\r\n",
    b"*01\r\n$4\r\nPING\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"\r\n\r\nPING\r\n",
    b"\n\nPING\n",
    b"PING\n",
    b"  PING  \r\n",
    b"PING \"a b\" \r\n",
    b"ECHO \"a\\x41\\n\\\"b\"\r\n",
    b"ECHO 'a\\'b'\r\n",
    b"ECHO \"unbalanced\r\nPING\r\n",
    b"ECHO \"a\"b\r\n",
    b"ECHO 'a'b\r\n",
    b"SET k v\r\nGET k\r\nDEL k\r\n",
    b"GET\r\nPING\r\n",
    b"NOSUCH a b\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\nGET k\r\n*2\r\n$3\r\nDEL\r\n$1\r\nk\r\n",
    b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"QUIT\r\nPING\r\n",
    b"quit now\r\n",
    b"\x00\x01\x02\r\n",
    b"GET \xff\xfe\r\n",
    b"*1\r\n$4\r\nPI\r\n\r\n",
    b"$4\r\nPING\r\n",
    b"+OK\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"Host: x\r\n\r\n",
    b"*1\n$4\nPING\n",
    b"*1\r\n$4\rPING\r\n",
    b"PING\r\n*1\r\n$x\r\nPING\r\n",
    b"SET k v\r\n*1\r\n!\r\n",
];

#[test]
fn malformed_requests_end_as_with_redis() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut wrong = Vec::new();
    for request in MALFORMED {
        let cuts = [0, 1, request.len() / 2, request.len() - 1];
        for cut in cuts {
            let pieces = [&request[..cut], &request[cut..]];
            let (theirs, ours) = (all_said(redis.addr(), &pieces), all_said(proxy.addr(), &pieces));
            redis.client().call(&["FLUSHALL"]).unwrap();
            if theirs != ours {
                wrong.push(format!("{} cut at {cut}:\n  {theirs}\n  {ours}", text(request)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn too_long_lines_end_as_with_redis() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let long = "x".repeat(70_000);
    for request in [long.clone(), format!("*{long}"), format!("*1\r\n${long}"), format!("*1\r\n{long}")] {
        let (mut ours, mut theirs) = (proxy.client(), redis.client());
        for client in [&mut ours, &mut theirs] {
            let _ = client.send(request.as_bytes());
        }
        assert_eq!(text(&ours.read().unwrap()), text(&theirs.read().unwrap()));
    }
}

/// Commands that answer the same on any server with the same data.
fn mixed(rng: &mut Rng, n: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for i in 0..n {
        let key = format!("k{}", rng.below(50));
        let value = "v".repeat(rng.below(40));
        match rng.below(14) {
            0 => bytes.extend(encode(&["SET", &key, &value])),
            1 | 2 => bytes.extend(encode(&["GET", &key])),
            3 => bytes.extend(encode(&["INCR", "n"])),
            4 => bytes.extend(encode(&["PING"])),
            5 => bytes.extend(encode(&["ECHO", &i.to_string()])),
            6 => bytes.extend(encode(&["SELECT", &rng.below(4).to_string()])),
            7 => bytes.extend(encode(&["SELECT", "99"])),
            8 => bytes.extend(encode(&["HSET", "h", &key, &value])),
            9 => bytes.extend(encode(&["HGETALL", "h"])),
            10 => bytes.extend(format!("GET {key}\r\n").into_bytes()),
            11 => bytes.extend([encode(&["MULTI"]), encode(&["INCR", "m"]), encode(&["EXEC"])].concat()),
            12 => bytes.extend(encode(&["NOSUCH", &key])),
            _ => bytes.extend(encode(&["LPUSH", &key, &value])),
        }
    }
    bytes.extend(encode(&["ECHO", "the end"]));
    bytes
}

fn until_the_end(client: &mut RawClient) -> Vec<String> {
    let mut replies = Vec::new();
    loop {
        let reply = text(&client.read().unwrap());
        let last = reply.contains("the end");
        replies.push(reply);
        if last {
            return replies;
        }
    }
}

#[test]
fn deep_pipelines_are_answered_in_order() {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let proxy = Proxy::behind(behind.addr(), &[]);
    for proto in ["2", "3"] {
        let bytes = mixed(&mut Rng::new(7), 10_000);
        let (mut theirs, mut ours) = (redis.client(), proxy.client());
        for client in [&mut theirs, &mut ours] {
            client.call(&["HELLO", proto]).unwrap();
            client.send(&bytes).unwrap();
        }
        let (theirs, ours) = (until_the_end(&mut theirs), until_the_end(&mut ours));
        assert_eq!(theirs.len(), ours.len());
        for (n, pair) in theirs.iter().zip(&ours).enumerate() {
            assert_eq!(pair.0, pair.1, "reply {n}");
        }
    }
}

#[test]
fn one_byte_at_a_time() {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let proxy = Proxy::behind(behind.addr(), &[]);
    let bytes = mixed(&mut Rng::new(11), 60);
    let (mut theirs, mut ours) = (redis.client(), proxy.client());
    for byte in &bytes {
        theirs.send(&[*byte]).unwrap();
        ours.send(&[*byte]).unwrap();
    }
    assert_eq!(until_the_end(&mut theirs), until_the_end(&mut ours));
}

/// A reply in which what differs between any two servers is made the same.
fn comparable(reply: Reply) -> String {
    let mut shown = format!("{reply:?}");
    if let Some(at) = shown.find("$\"id\", :") {
        let digits = shown[at + 8..].bytes().take_while(u8::is_ascii_digit).count();
        shown.replace_range(at + 8..at + 8 + digits, "N");
    }
    shown
}

#[test]
fn hello_auth_and_reset_as_redis_has_them() {
    let conversation: &[&str] = &[
        "HELLO",
        "HELLO 2",
        "HELLO 3",
        "HELLO 2",
        "HELLO 1",
        "HELLO 4",
        "HELLO x",
        "HELLO 3x",
        "HELLO -3",
        "HELLO 3 AUTH",
        "HELLO 3 AUTH default",
        "HELLO 3 AUTH default wrong",
        "HELLO 3 AUTH nosuch secret",
        "HELLO 3 SETNAME",
        "HELLO 2 SETNAME me",
        "CLIENT GETNAME",
        "HELLO 2 NOSUCH",
        "HELLO 2 SETNAME a AUTH default secret",
        "CLIENT GETNAME",
        "HELLO 2 AUTH default secret SETNAME b",
        "CLIENT GETNAME",
        "HELLO 2 AUTH default secret NOSUCH",
        "HELLO 2 SETNAME x NOSUCH",
        "CLIENT GETNAME",
        "GET k",
        "PING",
        "ECHO x",
        "SELECT 1",
        "NOSUCH",
        "GET",
        "MULTI",
        "EXEC",
        "RESET",
        "AUTH",
        "AUTH wrong",
        "AUTH default wrong",
        "AUTH a b c",
        "AUTH secret",
        "AUTH default secret",
        "GET k",
        "HELLO 3",
        "HGETALL none",
        "SELECT 2",
        "SET k v",
        "RESET",
        "GET k",
        "AUTH secret",
        "HGETALL none",
        "GET k",
        "MULTI",
        "SET a 1",
        "RESET",
        "AUTH secret",
        "EXEC",
        "GET a",
        "WATCH a",
        "RESET",
        "AUTH wrong",
        "GET a",
        "AUTH secret",
        "AUTH wrong",
        "GET a",
        "CLIENT SETNAME x",
        "RESET",
        "AUTH secret",
        "CLIENT GETNAME",
        "SUBSCRIBE c",
        "RESET",
        "AUTH secret",
        "GET k",
        "CLIENT REPLY ON",
        "QUIT",
    ];
    for password in [false, true] {
        let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
        if password {
            redis.require_password("secret");
        }
        let options: &[_] = if password { &[("server.password", "secret")] } else { &[] };
        // INFO is not answered without the password, so that the status cannot be asked.
        let proxy = Proxy::start(behind.addr(), options);
        let (mut theirs, mut ours) = (redis.client(), proxy.client());
        until("the upstream is there", || (proxy.shared().stats.lane.connected.get() == 1).then_some(()));
        let mut wrong = Vec::new();
        for line in conversation {
            let request: Vec<&str> = line.split(' ').collect();
            let (theirs, ours) = (theirs.call(&request).unwrap(), ours.call(&request).unwrap());
            let (theirs, ours) = (comparable(theirs), comparable(ours));
            if theirs != ours {
                wrong.push(format!("{line}:\n  {theirs}\n  {ours}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert_eq!(theirs.read_to_end().unwrap(), b"");
        assert_eq!(ours.read_to_end().unwrap(), b"");
    }
}

#[test]
fn who_has_not_said_the_password_may_not_send_much() {
    let redis = RedisServer::start(&[]);
    redis.require_password("secret");
    let behind = RedisServer::start(&[]);
    let proxy = Proxy::start(behind.addr(), &[("server.password", "secret")]);
    for request in [
        "*11\r\n",
        "*10\r\n$16385\r\n",
        "*10\r\n$16384\r\n",
        "*1000000\r\n",
        "*1\r\n$536870912\r\n",
        "*11\r\n$1\r\nx\r\n",
    ] {
        let (theirs, ours) =
            (all_said(redis.addr(), &[request.as_bytes()]), all_said(proxy.addr(), &[request.as_bytes()]));
        assert_eq!(theirs, ours, "{request:?}");
    }
}

#[test]
fn more_clients_than_allowed_are_told() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[("server.max_clients", "3")]);
    let mut clients: Vec<_> = (0..3).map(|_| proxy.client()).collect();
    for client in &mut clients {
        assert_eq!(text(&client.call_raw(&["PING"]).unwrap()), r"+PONG\r\n");
    }
    let mut fourth = proxy.client();
    assert_eq!(text(&fourth.read_to_end().unwrap()), r"-ERR max number of clients reached\r\n");
    clients.pop();
    until("there is room again", || {
        let mut client = proxy.client();
        (client.call_raw(&["PING"]).ok()? == b"+PONG\r\n").then_some(())
    });
}

#[test]
fn idle_clients_are_closed_and_waiting_ones_are_not() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[("server.idle_timeout", "1s")]);
    let (mut blocked, mut subscriber, mut idle) = (proxy.client(), proxy.client(), proxy.client());
    subscriber.call(&["SUBSCRIBE", "c"]).unwrap();
    blocked.send(&encode(&["BLPOP", "l", "0"])).unwrap();
    assert_eq!(text(&idle.call_raw(&["PING"]).unwrap()), r"+PONG\r\n");
    assert_eq!(text(&idle.read_to_end().unwrap()), "");
    redis.client().call(&["RPUSH", "l", "a"]).unwrap();
    assert_eq!(text(&blocked.read().unwrap()), r"*2\r\n$1\r\nl\r\n$1\r\na\r\n");
    redis.client().call(&["PUBLISH", "c", "hello"]).unwrap();
    assert_eq!(text(&subscriber.read().unwrap()), r"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n");
}

#[test]
fn a_client_that_says_no_more_gets_all_it_is_owed() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    let value = "v".repeat(1000);
    let mut bytes = encode(&["SET", "k", &value]);
    for _ in 0..5000 {
        bytes.extend(encode(&["GET", "k"]));
    }
    bytes.extend(encode(&["NOSUCH"]));
    bytes.extend(encode(&["GET", "none"]));
    client.send(&bytes).unwrap();
    client.shutdown_write().unwrap();
    let said = client.read_to_end().unwrap();
    let error = b"-ERR unknown command 'NOSUCH', with args beginning with: \r\n$-1\r\n";
    assert!(said.ends_with(error), "{}", text(&said[said.len().saturating_sub(100)..]));
    assert_eq!(said.len(), 5 + 5000 * 1009 + error.len());
}
