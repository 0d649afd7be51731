//! MULTI, EXEC, DISCARD, WATCH: what Redis says, over the lane wherever that is possible.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;

fn connect(addr: SocketAddr, proto: &str) -> RawClient {
    let mut client = RawClient::connect(addr).unwrap();
    client.call(&["HELLO", proto]).unwrap();
    client
}

/// Each conversation with Redis and with the proxy, one command at a time and as one pipeline.
fn same_as_redis(conversations: &[&[&str]]) -> Proxy {
    let (redis, behind) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let proxy = Proxy::behind(behind.addr(), &[]);
    let mut wrong = Vec::new();
    for (proto, conversation) in conversations.iter().flat_map(|c| [("2", c), ("3", c)]) {
        for piped in [false, true] {
            let mut heard = [Vec::new(), Vec::new()];
            for (addr, heard) in [redis.addr(), proxy.addr()].into_iter().zip(&mut heard) {
                let mut client = connect(addr, proto);
                client.call(&["FLUSHALL"]).unwrap();
                let requests: Vec<Vec<u8>> =
                    conversation.iter().map(|line| encode(&line.split(' ').collect::<Vec<_>>())).collect();
                let replies = if piped {
                    client.exchange(&requests.concat(), requests.len()).unwrap()
                } else {
                    requests.iter().map(|request| client.exchange(request, 1).unwrap().remove(0)).collect()
                };
                heard.extend(replies.iter().map(|reply| reply.escape_ascii().to_string()));
            }
            for (n, line) in conversation.iter().enumerate() {
                if heard[0][n] != heard[1][n] {
                    wrong.push(format!(
                        "RESP{proto}, {line} of {conversation:?}:\n  {}\n  {}",
                        heard[0][n], heard[1][n]
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    proxy
}

#[test]
fn plain_transactions_are_redis_s_and_need_no_connection_of_their_own() {
    let proxy = same_as_redis(&[
        &["MULTI", "SET k v", "GET k", "INCR n", "HGETALL h", "EXEC", "GET k"],
        &["MULTI", "EXEC"],
        &["MULTI", "SET k v", "DISCARD", "GET k", "EXEC", "DISCARD"],
        &["MULTI", "MULTI", "SET k v", "EXEC"],
        &["MULTI", "WATCH k", "SET k v", "EXEC"],
        &["MULTI", "GET", "SET k v", "EXEC", "GET k", "MULTI", "GET k", "EXEC"],
        &["MULTI", "SET k v", "GET k extra", "DISCARD", "GET k"],
        &["MULTI", "SET k v", "LPUSH k x", "INCR k", "GET k", "EXEC"],
        &["EXEC", "DISCARD", "MULTI x", "MULTI", "EXEC x", "EXEC"],
        &["SET a 0", "MULTI", "SELECT 1", "SET a 1", "EXEC", "GET a", "SELECT 0", "GET a"],
        &["SET a 0", "MULTI", "SELECT 99", "GET a", "EXEC", "GET a"],
        &[
            "SET a 0",
            "SELECT 3",
            "MULTI",
            "SELECT x",
            "SET a 3",
            "SELECT -1",
            "EXEC",
            "GET a",
            "SELECT 0",
            "GET a",
        ],
        &["MULTI", "PING", "ECHO hello", "PING text", "EXEC"],
        &["MULTI", "CLIENT GETNAME", "CLIENT SETNAME me", "CLIENT GETNAME", "EXEC", "CLIENT GETNAME"],
        &["MULTI", "CLIENT NOSUCH", "SET k v", "EXEC", "GET k"],
        &["MULTI", "BLPOP none 0", "BRPOP none 0", "RPUSH l a b", "BLPOP l 0", "EXEC"],
        &["MULTI", "PUBLISH c m", "EVAL return{1,redis.call('set','s','1')} 0", "EXEC", "GET s"],
        &["MULTI", "SPUBLISH c m", "UNWATCH", "EXEC"],
        &["MULTI", "FLUSHALL", "SET k v", "DBSIZE", "EXEC"],
        &["SET k v", "RENAME k k2", "MULTI", "GETDEL k2", "EXEC", "RESET", "EXISTS k2"],
        &["UNWATCH", "UNWATCH x", "WATCH"],
        // What would change the connection, or others.
        &["MULTI", "AUTH x", "AUTH default x", "AUTH nobody x", "AUTH", "EXEC"],
        &["MULTI", "AUTH x", "AUTH default x", "AUTH nobody x", "EXEC"],
        &["MULTI", "HELLO 9", "HELLO x", "HELLO 3 NOSUCH", "EXEC", "PING"],
        &["MULTI", "HELLO 9 SETNAME x", "CLIENT SETNAME me", "CLIENT GETNAME", "EXEC", "CLIENT GETNAME"],
        &["MULTI", "CLIENT REPLY ON", "GET k", "CLIENT REPLY nosuch", "EXEC", "PING"],
        &[
            "MULTI",
            "CLIENT TRACKING OFF",
            "CLIENT CACHING YES",
            "CLIENT TRACKINGINFO",
            "CLIENT GETREDIR",
            "EXEC",
        ],
        &["MULTI", "CLIENT PAUSE 1", "CLIENT PAUSE x", "CLIENT UNPAUSE", "SET k v", "EXEC", "GET k"],
        &["MULTI", "CLIENT KILL ID 999999", "CLIENT KILL ID x", "CLIENT KILL TYPE nosuch", "EXEC"],
        &["MULTI", "MONITOR", "SSUBSCRIBE a", "SET k v", "EXEC", "GET k"],
        &["MULTI", "CLIENT NO-EVICT ON", "CLIENT NO-EVICT OFF", "RESET", "EXEC", "PING"],
        &[
            "MULTI",
            "PUBLISH c m",
            "SPUBLISH c m",
            "PUBSUB NUMSUB c d",
            "PUBSUB CHANNELS",
            "PUBSUB NUMPAT",
            "EXEC",
        ],
    ]);
    assert_eq!(proxy.info("pinned_acquired").as_deref(), Some("0"));
}

#[test]
fn what_exec_changes_is_changed_for_the_rest_of_its_reply() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    for lines in [
        &[
            "MULTI",
            "HGETALL h",
            "HELLO 3",
            "HGETALL h",
            "GET none",
            "HELLO 2",
            "GET none",
            "EXEC",
            "GET none",
        ][..],
        &["HELLO 3", "MULTI", "GET none", "HELLO 2", "GET none", "EXEC", "GET none", "HELLO 3", "GET none"],
        &[
            "MULTI",
            "PING",
            "CLIENT REPLY OFF",
            "PING",
            "CLIENT ID",
            "EXEC",
            "PING",
            "CLIENT REPLY ON",
            "ECHO a",
        ],
        &["MULTI", "CLIENT REPLY SKIP", "ECHO a", "PING", "EXEC", "ECHO lost", "ECHO b"],
        &["CLIENT REPLY OFF", "MULTI", "ECHO a", "CLIENT REPLY ON", "ECHO b", "EXEC", "ECHO c"],
        &["CLIENT REPLY OFF", "MULTI", "ECHO a", "CLIENT REPLY SKIP", "ECHO b", "EXEC", "CLIENT REPLY ON"],
        &["MULTI", "GET k", "CLIENT REPLY OFF", "EXEC", "MULTI", "CLIENT REPLY ON", "EXEC", "ECHO a"],
        &["CLIENT REPLY SKIP", "MULTI", "ECHO a", "EXEC", "ECHO b"],
    ] {
        let requests = lines.iter().chain(&["QUIT"]).map(|line| encode(&line.split(' ').collect::<Vec<_>>()));
        let requests = requests.collect::<Vec<_>>().concat();
        let [theirs, ours] = [redis.addr(), proxy.addr()].map(|addr| {
            let mut client = RawClient::connect(addr).unwrap();
            client.send(&requests).unwrap();
            let heard = client.read_to_end().unwrap().escape_ascii().to_string();
            // Who is the how manieth client differs.
            let parts: Vec<_> = heard.split(r"\nid\r\n:").collect();
            let after = |part: &&str| part.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
            parts[..1]
                .iter()
                .map(|first| first.to_string())
                .chain(parts[1..].iter().map(after))
                .collect::<String>()
        });
        assert_eq!(theirs, ours, "{lines:?}");
    }
}

/// What would have to wait for an upstream in the middle of EXEC's reply.
#[test]
fn what_cannot_be_queued_is_refused_at_once() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    for request in
        ["SUBSCRIBE a", "PSUBSCRIBE a", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "CLIENT UNBLOCK 1"]
    {
        let lines = ["MULTI", "SET k v", request, "EXEC", "EXISTS k"];
        let requests: Vec<u8> =
            lines.iter().flat_map(|line| encode(&line.split(' ').collect::<Vec<_>>())).collect();
        let replies = proxy.client().exchange(&requests, lines.len()).unwrap();
        assert!(replies[2].ends_with(b"is not supported inside MULTI\r\n"), "{request}");
        assert!(replies[3].starts_with(b"-EXECABORT"), "{request}");
        assert_eq!(replies[4], b":0\r\n", "{request}");
    }
}

/// With `admin_commands = "allow"` these are queued as any other; what is refused outside is refused here.
#[test]
fn administrative_commands_are_queued_where_they_are_allowed() {
    let redis = RedisServer::start(&["--enable-debug-command", "yes"]);
    let allowed = Proxy::behind(redis.addr(), &[("server.admin_commands", "allow")]);
    let denied = Proxy::behind(redis.addr(), &[]);
    let says = |addr: SocketAddr, lines: &[&str]| -> Vec<String> {
        let mut client = connect(addr, "2");
        let asked = lines.iter().map(|line| encode(&line.split(' ').collect::<Vec<_>>()));
        let replies = asked.map(|request| client.exchange(&request, 1).unwrap().remove(0));
        replies.map(|reply| reply.escape_ascii().to_string()).collect()
    };
    for lines in [
        &["MULTI", "DEBUG SLEEP 0", "SET k 1", "ACL SETUSER zz off", "ACL DELUSER zz", "EXEC", "GET k"][..],
        &["MULTI", "DEBUG ERROR oh", "SET k 2", "EXEC", "GET k"],
        &["WATCH k", "MULTI", "DEBUG JMAP", "CONFIG REWRITE", "EXEC"],
        &["SET k 3", "GET k", "GET k", "MULTI", "DEBUG RELOAD", "EXEC", "GET k"],
    ] {
        assert_eq!(says(allowed.addr(), lines), says(redis.addr(), lines), "{lines:?}");
    }
    for (addr, request) in [(denied.addr(), "DEBUG SLEEP 0"), (allowed.addr(), "SCRIPT DEBUG YES")] {
        let replies = says(addr, &["MULTI", request, "EXEC"]);
        assert!(replies[1].starts_with("-ERR nearcache: this command"), "{request}: {}", replies[1]);
        assert!(replies[2].starts_with("-EXECABORT"), "{request}");
    }
    let always = says(allowed.addr(), &["SCRIPT DEBUG YES"]);
    assert!(!always[0].contains("admin_commands"), "that would not help: {}", always[0]);
}

#[test]
fn watched_transactions_are_redis_s() {
    let proxy = same_as_redis(&[
        &["WATCH k", "MULTI", "SET k v", "EXEC", "GET k"],
        &["WATCH k", "SET k 1", "MULTI", "SET k v", "EXEC", "GET k"],
        &["WATCH k", "SET k 1", "UNWATCH", "MULTI", "SET k v", "EXEC", "GET k"],
        &["WATCH k", "MULTI", "DISCARD", "SET k 1", "MULTI", "SET k v", "EXEC", "GET k"],
        &["WATCH a b", "WATCH c", "SET c 1", "MULTI", "GET c", "EXEC", "MULTI", "GET c", "EXEC"],
        &["WATCH k", "MULTI", "GET", "EXEC", "SET k 1", "MULTI", "GET k", "EXEC"],
        &["EXEC now", "WATCH k", "SET k 1", "EXEC now", "MULTI", "GET k", "EXEC"],
        &["SELECT 1", "WATCH k", "SELECT 2", "SET k 2", "MULTI", "GET k", "EXEC", "SELECT 1", "GET k"],
        &["WATCH k", "MULTI", "SELECT 5", "SET k 5", "EXEC", "GET k", "SELECT 0", "GET k"],
        &["WATCH k", "RESET", "SET k 1", "MULTI", "SET k 2", "EXEC"],
        &["WATCH k", "MULTI", "PING", "ECHO x", "CLIENT GETNAME", "EXEC"],
    ]);
    assert!(proxy.info("pinned_for_watch").unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(proxy.info("pinned_in_use").as_deref(), Some("0"));
}

#[test]
fn unknown_commands_are_judged_by_redis_when_they_are_queued() {
    same_as_redis(&[
        &["MULTI", "NOSUCH a", "EXEC", "PING"],
        &["MULTI", "OBJECT NOSUCH k", "EXEC"],
        &["MULTI", "SET k v", "NOSUCH a", "GET k", "EXEC", "GET k"],
        &["MULTI", "NOSUCH a", "DISCARD", "MULTI", "SET k v", "EXEC"],
        &["WATCH k", "MULTI", "NOSUCH", "EXEC"],
        &["NOSUCH", "CONFIG NOSUCH", "COMMAND NOSUCH", "XGROUP NOSUCH"],
    ]);
}

#[test]
fn plain_traffic_uses_no_connection_of_its_own() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    for request in [
        "SET k v",
        "GET k",
        "MGET k a",
        "SELECT 2",
        "INCR n",
        "EVAL return(1) 0",
        "SCAN 0",
        "KEYS *",
        "CONFIG GET maxmemory",
        "DBSIZE",
        "OBJECT HELP",
        "MEMORY USAGE n",
        "XADD s * a b",
        "XREAD STREAMS s 0",
        "XRANGE s - +",
        "SORT l",
        "OBJECT ENCODING n",
        "PUBLISH c m",
        "TIME",
        "LASTSAVE",
        "COMMAND COUNT",
        "FLUSHDB",
    ] {
        let reply = client.call(&request.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(!reply.is_error(), "{request}: {reply:?}");
    }
    assert_eq!(proxy.info("pinned_acquired").as_deref(), Some("0"));
    for (request, cause) in
        [("BLPOP none 0.01", "blocking"), ("WAIT 0 1", "wait"), ("NOSUCH", "unknown"), ("WATCH k", "watch")]
    {
        client.call(&request.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!(proxy.info(&format!("pinned_for_{cause}")).as_deref(), Some("1"), "{request}");
    }
}

#[test]
fn a_huge_transaction() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let mut client = proxy.client();
    let value = "v".repeat(1000);
    let mut bytes = encode(&["MULTI"]);
    (0..2000).for_each(|n| bytes.extend(encode(&["SET", &format!("k{n}"), &value])));
    bytes.extend(encode(&["EXEC"]));
    let replies = client.exchange(&bytes, 2002).unwrap();
    assert_eq!(replies[2001], [b"*2000\r\n".to_vec(), b"+OK\r\n".repeat(2000)].concat());
    assert_eq!(client.call_raw(&["DBSIZE"]).unwrap(), b":2000\r\n");
}

#[test]
fn nothing_comes_between_the_parts() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let addr = proxy.addr();
    let block = [
        encode(&["MULTI"]),
        encode(&["INCR", "n"]),
        encode(&["GET", "n"]),
        encode(&["INCR", "n"]),
        encode(&["EXEC"]),
    ]
    .concat();
    let others: Vec<_> = (0..4)
        .map(|_| {
            let block = block.clone();
            std::thread::spawn(move || {
                let mut client = RawClient::connect(addr).unwrap();
                for _ in 0..200 {
                    let exec = client.exchange(&block, 5).unwrap().remove(4);
                    let numbers: Vec<u64> = String::from_utf8(exec)
                        .unwrap()
                        .lines()
                        .filter(|line| !line.starts_with(['*', '$']))
                        .map(|line| line.trim_start_matches(':').parse().unwrap())
                        .collect();
                    assert_eq!((numbers[1], numbers[2]), (numbers[0], numbers[0] + 1));
                }
            })
        })
        .collect();
    others.into_iter().for_each(|other| other.join().unwrap());
    assert_eq!(proxy.client().call_raw(&["GET", "n"]).unwrap(), b"$4\r\n1600\r\n");
}

#[test]
fn the_list_of_clients_shows_what_they_do() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::behind(redis.addr(), &[]);
    let (mut client, mut other) = (proxy.client(), proxy.client());
    client.call(&["CLIENT", "SETNAME", "someone"]).unwrap();
    let mut shown = |wanted: &str| {
        crate::support::until(wanted, || {
            let list = other.call(&["CLIENT", "LIST"]).unwrap();
            let list = String::from_utf8_lossy(list.text().unwrap()).into_owned();
            let line = list.lines().find(|line| line.contains("name=someone")).unwrap().to_owned();
            wanted.split(' ').all(|field| line.split(' ').any(|has| has == field)).then_some(())
        });
    };
    client.call(&["SET", "k", "v"]).unwrap();
    shown("cmd=set multi=-1 flags=N");
    client.exchange(&[encode(&["MULTI"]), encode(&["GET", "k"])].concat(), 2).unwrap();
    shown("cmd=get multi=1 flags=x");
    client.call(&["EXEC"]).unwrap();
    shown("cmd=exec multi=-1 flags=N");
}

/// The connection that watches outlives a change of protocol.
#[test]
fn a_client_may_change_its_protocol_between_watch_and_exec() {
    let redis = RedisServer::start(&[]);
    let proxy = Proxy::start(redis.addr(), &[]);
    for (first, then, nil) in [("3", "2", "*-1\r\n"), ("2", "3", "_\r\n")] {
        let mut client = proxy.client();
        client.call(&["HELLO", first]).unwrap();
        client.call(&["ZADD", "z", "1", "a"]).unwrap();
        client.call(&["WATCH", "k"]).unwrap();
        client.call(&["HELLO", then]).unwrap();
        client.call(&["MULTI"]).unwrap();
        client.call(&["ZRANGE", "z", "0", "-1", "WITHSCORES"]).unwrap();
        let reply = client.call_raw(&["EXEC"]).unwrap();
        let expected = match then {
            "2" => "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
            _ => "*1\r\n*1\r\n*2\r\n$1\r\na\r\n,1\r\n",
        };
        assert_eq!(String::from_utf8_lossy(&reply), expected);
        client.call(&["WATCH", "k"]).unwrap();
        client.call(&["HELLO", first]).unwrap();
        client.call(&["HELLO", then]).unwrap();
        proxy.client().call(&["INCR", "k"]).unwrap();
        client.call(&["MULTI"]).unwrap();
        assert_eq!(client.call_raw(&["EXEC"]).unwrap(), nil.as_bytes());
    }
}
