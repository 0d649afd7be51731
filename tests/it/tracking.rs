//! CLIENT TRACKING of the proxy's own clients: the same bytes as from Redis, conversation by conversation,
//! while Redis knows of one tracked connection only.

use std::net::SocketAddr;

use crate::support::client::RawClient;
use crate::support::link::Link;
use crate::support::proxy::Proxy;
use crate::support::redis::RedisServer;
use crate::support::reply::encode;
use crate::support::until;

/// Where a conversation is held: with the subject, and with whom the data are.
#[derive(Clone, Copy)]
struct Place {
    subject: SocketAddr,
    data: SocketAddr,
}

impl Place {
    fn resp3(self) -> RawClient {
        RawClient::connect_resp3(self.subject).unwrap()
    }

    fn resp2(self) -> RawClient {
        RawClient::connect(self.subject).unwrap()
    }

    /// A client that the proxy knows nothing of.
    fn stranger(self) -> RawClient {
        RawClient::connect(self.data).unwrap()
    }
}

/// Holds a conversation with Redis and with the proxy before another Redis, and compares every byte.
fn same(conversation: impl Fn(Place) -> Vec<String>) {
    let (oracle, upstream) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let theirs = conversation(Place { subject: oracle.addr(), data: oracle.addr() });
    assert!(!theirs.is_empty());
    for options in [&[][..], &[("cache.admit_after", "1")], &[("cache.mode", "observe")]] {
        let _ = upstream.client().call(&["FLUSHALL"]).unwrap();
        let proxy = Proxy::behind(upstream.addr(), options);
        let ours = conversation(Place { subject: proxy.addr(), data: upstream.addr() });
        assert_eq!(theirs, ours, "{options:?}");
    }
}

/// The same with the proxy's own memory, which has no strangers.
fn same_in_memory(conversation: impl Fn(Place) -> Vec<String>) {
    let oracle = RedisServer::start(&[]);
    let theirs = conversation(Place { subject: oracle.addr(), data: oracle.addr() });
    let proxy = Proxy::with(&[]);
    let ours = conversation(Place { subject: proxy.addr(), data: proxy.addr() });
    assert_eq!(theirs, ours, "in memory");
}

/// Sends commands in one write and hears that many frames, pushes included.
fn hear(client: &mut RawClient, commands: &[&str], frames: usize) -> Vec<String> {
    let requests: Vec<Vec<u8>> = commands.iter().map(|c| encode(&c.split(' ').collect::<Vec<_>>())).collect();
    client.send(&requests.concat()).unwrap();
    let mut heard = Vec::new();
    while heard.len() < frames {
        let frame = client.read_frame().unwrap_or_else(|error| panic!("{commands:?}: {error}: {heard:?}"));
        heard.push(frame.escape_ascii().to_string());
    }
    heard
}

/// One command after the other, each with one reply and nothing else.
fn ask(client: &mut RawClient, commands: &[&str]) -> Vec<String> {
    commands.iter().flat_map(|command| hear(client, &[command], 1)).collect()
}

fn id(client: &mut RawClient) -> String {
    client.call(&["CLIENT", "ID"]).unwrap().number().unwrap().to_string()
}

/// Client ids are not the same everywhere.
fn without(id: &str, heard: Vec<String>) -> Vec<String> {
    heard.into_iter().map(|text| text.replace(&format!(":{id}\\r"), ":ID\\r")).collect()
}

/// A client that hears for others, and its id.
fn listener(place: Place) -> (RawClient, String) {
    let mut client = place.resp2();
    let id = id(&mut client);
    hear(&mut client, &["SUBSCRIBE __redis__:invalidate"], 1);
    (client, id)
}

#[test]
fn a_reader_is_told_once_of_each_change() {
    let conversation = |place: Place| {
        let (mut reader, mut writer, mut stranger) = (place.resp3(), place.resp2(), place.stranger());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON", "GET k", "GET k", "GET k", "GET other"]);
        for writer in [&mut writer, &mut stranger] {
            heard.extend(ask(writer, &["SET k 1", "SET k 2", "SET nobody 1"]));
            heard.extend(hear(&mut reader, &[], 1));
            heard.extend(ask(
                &mut reader,
                &["PING", "GET k", "GET k", "STRLEN k", "EXISTS k", "MGET k other k"],
            ));
            heard.extend(ask(writer, &["DEL k", "SETNX k 3", "APPEND other x"]));
            heard.extend(hear(&mut reader, &[], 2));
            heard.extend(ask(&mut reader, &["GET k", "GET other"]));
        }
        heard
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn a_writer_hears_of_its_own_behind_the_reply() {
    same(|place| {
        let mut client = place.resp3();
        let mut heard = ask(&mut client, &["CLIENT TRACKING ON", "GET k"]);
        heard.extend(hear(&mut client, &["GET k", "SET k 1", "GET k", "INCR k", "GET k"], 7));
        heard.extend(hear(&mut client, &["SET k 2"], 2));
        heard.extend(ask(&mut client, &["SET k 3", "GET k"]));
        heard.extend(hear(&mut client, &["MULTI", "GET k", "SET k 4", "GET a", "EXEC", "PING"], 7));
        heard.extend(ask(&mut client, &["GET k"]));
        heard.extend(hear(&mut client, &["EVAL return(redis.call('set',KEYS[1],'9')) 1 k", "PING"], 3));
        heard.extend(ask(&mut client, &["GET k", "GET k"]));
        heard.extend(hear(&mut client, &["MSET k 1 a 2 b 3", "PING"], 4));
        heard
    });
}

#[test]
fn every_read_is_registered() {
    same(|place| {
        let (mut reader, mut writer) = (place.resp3(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON"]);
        let reads: [(&str, &[&str]); 19] = [
            ("SINTER s1 s2", &["SADD s1 a", "SADD s2 b"]),
            ("SDIFF s1 s2 s3", &["SADD s3 a"]),
            ("ZRANGE z 0 -1 WITHSCORES", &["ZADD z 1 a"]),
            ("HGETALL h", &["HSET h f v"]),
            ("LRANGE l 0 -1", &["RPUSH l a"]),
            ("SORT_RO l ALPHA", &["RPUSH l b"]),
            ("TTL t", &["SET t 1"]),
            ("OBJECT ENCODING t", &["SET t 2"]),
            ("DUMP t2", &["SET t2 2"]),
            ("TYPE ty", &["SET ty 2"]),
            ("BITCOUNT bc", &["SETBIT bc 1 1"]),
            ("XRANGE x - +", &["XADD x 1-1 f v"]),
            ("XREAD STREAMS x 0", &["XADD x 2-1 f v"]),
            ("GET x", &["XADD x 3-1 f v"]),
            ("LCS c1 c2", &["SET c1 a", "SET c2 b"]),
            ("GEOSEARCH g FROMLONLAT 1 1 BYRADIUS 1 km", &["GEOADD g 1 1 a"]),
            ("EVAL return(redis.call('get',KEYS[1])) 2 e1 e2", &["SET e1 1", "SET e2 1"]),
            ("EVAL_RO return(redis.call('get',KEYS[1])) 1 e1", &["SET e1 3"]),
            ("RANDOMKEY", &[]),
        ];
        for (read, writes) in reads {
            let first = hear(&mut reader, &[read], 1);
            if read != "RANDOMKEY" {
                heard.extend(first);
            }
            for write in writes {
                heard.extend(ask(&mut writer, &[write]));
                heard.extend(hear(&mut reader, &[], 1));
            }
        }
        heard.extend(ask(&mut reader, &["PING", "WATCH w", "GET w"]));
        heard.extend(ask(&mut writer, &["SET w 1"]));
        heard.extend(hear(&mut reader, &[], 1));
        heard.extend(ask(&mut reader, &["UNWATCH"]));
        heard
    });
}

#[test]
fn opting_in_and_out() {
    let conversation = |place: Place| {
        let (mut reader, mut writer) = (place.resp3(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON OPTIN", "GET a", "CLIENT TRACKINGINFO"]);
        heard.extend(ask(&mut writer, &["SET a 1"]));
        heard.extend(ask(
            &mut reader,
            &["PING", "CLIENT CACHING YES", "CLIENT TRACKINGINFO", "GET a", "GET b"],
        ));
        heard.extend(ask(&mut writer, &["SET b 1", "SET a 2"]));
        heard.extend(hear(&mut reader, &[], 1));
        // The word holds for one command, even a wrong one, or for one block.
        for command in ["PING", "NOSUCH", "GET", "SET x 1", "CLIENT ID x"] {
            heard.extend(ask(&mut reader, &["CLIENT CACHING YES"]));
            hear(&mut reader, &[command], 1);
            heard.extend(ask(&mut reader, &["GET a"]));
            heard.extend(ask(&mut writer, &["SET a 3"]));
            if command.starts_with("CLIENT") {
                heard.extend(hear(&mut reader, &[], 1));
            }
            heard.extend(ask(&mut reader, &["PING"]));
        }
        heard.extend(ask(&mut reader, &["CLIENT CACHING YES", "MULTI", "GET a", "GET b", "EXEC", "GET c"]));
        heard.extend(ask(&mut writer, &["SET c 1", "SET b 2", "SET a 2"]));
        heard.extend(hear(&mut reader, &[], 2));
        heard.extend(ask(&mut reader, &["MULTI", "GET c", "CLIENT CACHING YES", "GET a", "EXEC", "GET b"]));
        heard.extend(ask(&mut writer, &["SET c 1", "SET b 2", "SET a 2"]));
        heard.extend(hear(&mut reader, &[], 1));
        heard.extend(ask(
            &mut reader,
            &["CLIENT CACHING NO", "CLIENT CACHING x", "CLIENT TRACKING ON OPTOUT", "CLIENT TRACKING OFF"],
        ));
        heard.extend(ask(&mut reader, &["CLIENT TRACKING ON OPTOUT", "CLIENT CACHING YES"]));
        heard.extend(ask(&mut reader, &["CLIENT CACHING NO", "CLIENT TRACKINGINFO", "GET a", "GET b"]));
        heard.extend(ask(&mut writer, &["SET a 1", "SET b 1"]));
        heard.extend(hear(&mut reader, &["PING"], 2));
        heard
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn noloop_keeps_silent_about_own_writes_only() {
    same(|place| {
        let (mut reader, mut writer) = (place.resp3(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON NOLOOP", "MGET a b c", "SET a 1", "PING"]);
        heard.extend(ask(&mut writer, &["SET a 2", "SET b 1"]));
        heard.extend(hear(&mut reader, &[], 1));
        heard.extend(ask(&mut reader, &["GET a", "SETNX a 3", "PING"]));
        heard.extend(ask(&mut writer, &["INCR a"]));
        heard.extend(hear(&mut reader, &[], 1));
        heard.extend(ask(&mut reader, &["GET a", "EVAL return(redis.call('set',KEYS[1],'2')) 1 a", "GET a"]));
        heard.extend(ask(&mut reader, &["MULTI", "GET a", "INCR a", "GET a", "SET c 1", "EXEC", "PING"]));
        heard.extend(ask(&mut writer, &["INCR a"]));
        heard.extend(hear(&mut reader, &[], 1));
        heard.extend(ask(&mut reader, &["GET a", "DEL a", "GET a", "LPUSH l x", "LRANGE l 0 -1", "LPOP l"]));
        heard.extend(ask(&mut reader, &["CLIENT TRACKINGINFO", "PING"]));
        heard
    });
}

#[test]
fn redirection_to_a_subscriber() {
    let conversation = |place: Place| {
        let (mut target, target_id) = listener(place);
        let (mut reader, mut other, mut writer) = (place.resp2(), place.resp3(), place.resp2());
        let on = format!("CLIENT TRACKING ON REDIRECT {target_id}");
        let mut heard = ask(&mut reader, &[&on, "GET k", "CLIENT GETREDIR", "CLIENT TRACKINGINFO"]);
        heard.extend(ask(&mut other, &[&on, "GET k", "GET z"]));
        heard.extend(ask(&mut writer, &["SET k 1", "SET k 2"]));
        heard.extend(hear(&mut target, &[], 2));
        heard.extend(ask(&mut reader, &["GET k", "SET k 3"]));
        heard.extend(hear(&mut target, &[], 1));
        heard.extend(ask(&mut reader, &["GET k", "PING"]));
        heard.extend(ask(&mut other, &["CLIENT TRACKING OFF"]));
        heard.extend(ask(&mut writer, &["FLUSHALL"]));
        heard.extend(hear(&mut target, &[], 1));
        // A target in RESP3 need not be subscribed.
        let mut modern = place.resp3();
        let modern_id = id(&mut modern);
        let on = format!("CLIENT TRACKING ON REDIRECT {modern_id}");
        heard.extend(ask(&mut reader, &[&on, "GET k", "SET k 3"]));
        heard.extend(hear(&mut modern, &["PING"], 2));
        // One in RESP2 that is not subscribed hears nothing.
        let mut deaf = place.resp2();
        let on = format!("CLIENT TRACKING ON REDIRECT {}", id(&mut deaf));
        heard.extend(ask(&mut reader, &[&on, "GET k", "SET k 4"]));
        heard.extend(ask(&mut deaf, &["PING"]));
        heard.extend(hear(&mut target, &["PING"], 1));
        without(&target_id, heard)
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn a_broken_redirection() {
    let conversation = |place: Place| {
        let (target, target_id) = listener(place);
        let (mut reader, mut old, mut writer) = (place.resp3(), place.resp2(), place.resp2());
        let on = format!("CLIENT TRACKING ON REDIRECT {target_id}");
        let mut heard = ask(&mut reader, &[&on, "GET k"]);
        heard.extend(ask(&mut old, &[&on, "GET k"]));
        drop(target);
        until("the target is gone", || {
            let list = writer.call(&["CLIENT", "LIST", "ID", &target_id]).unwrap();
            list.text().is_none_or(<[u8]>::is_empty).then_some(())
        });
        heard.extend(ask(&mut reader, &["CLIENT TRACKINGINFO"]));
        heard.extend(ask(&mut writer, &["SET k 1"]));
        heard.extend(hear(&mut reader, &["CLIENT TRACKINGINFO", "CLIENT GETREDIR"], 3));
        heard.extend(ask(&mut old, &["CLIENT TRACKINGINFO"]));
        for client in [&mut reader, &mut old] {
            heard.extend(flags(client));
        }
        heard.extend(ask(&mut reader, &[&on, "CLIENT TRACKING ON", "CLIENT TRACKINGINFO"]));
        without(&target_id, heard)
    };
    same(conversation);
    same_in_memory(conversation);
}

/// The flags of CLIENT INFO.
fn flags(client: &mut RawClient) -> Vec<String> {
    let info = client.call(&["CLIENT", "INFO"]).unwrap();
    let text = String::from_utf8_lossy(info.text().unwrap()).into_owned();
    text.split_whitespace().filter(|word| word.starts_with("flags=")).map(str::to_owned).collect()
}

#[test]
fn modes_errors_and_flags() {
    let conversation = |place: Place| {
        let mut client = place.resp3();
        let mut heard = ask(
            &mut client,
            &[
                "CLIENT TRACKING ON BCAST PREFIX a PREFIX ab",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING ON BCAST PREFIX foo PREFIX bar",
                "CLIENT TRACKINGINFO",
                "CLIENT TRACKING ON BCAST PREFIX foo",
                "CLIENT TRACKING ON BCAST PREFIX fo",
                "CLIENT TRACKING ON BCAST PREFIX zoo",
                "CLIENT TRACKING ON",
                "CLIENT TRACKING ON BCAST OPTIN",
                "CLIENT CACHING YES",
                "CLIENT TRACKINGINFO",
            ],
        );
        heard.extend(flags(&mut client));
        heard.extend(ask(&mut client, &["CLIENT TRACKING OFF", "CLIENT TRACKINGINFO"]));
        heard.extend(ask(&mut client, &["CLIENT TRACKING ON BCAST", "CLIENT TRACKING ON BCAST PREFIX a"]));
        heard.extend(ask(&mut client, &["CLIENT TRACKING ON BCAST", "CLIENT TRACKINGINFO"]));
        heard.extend(ask(
            &mut client,
            &["CLIENT TRACKING OFF", "CLIENT TRACKING ON", "CLIENT TRACKING ON BCAST"],
        ));
        heard.extend(flags(&mut client));
        heard.extend(ask(&mut client, &["CLIENT TRACKING ON NOLOOP OPTIN", "CLIENT TRACKINGINFO"]));
        heard.extend(ask(&mut client, &["CLIENT TRACKING ON OPTOUT", "CLIENT TRACKING ON REDIRECT 999999"]));
        let own = id(&mut client);
        let twice = format!("CLIENT TRACKING ON REDIRECT {own} REDIRECT {own}");
        heard.extend(ask(&mut client, &[&twice, "CLIENT TRACKING ON", "CLIENT TRACKINGINFO"]));
        heard.extend(ask(&mut client, &["RESET"]));
        heard.extend(ask(&mut client, &["CLIENT TRACKINGINFO", "CLIENT GETREDIR"]));
        heard.extend(flags(&mut client));
        without(&own, heard)
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn the_protocol_may_change() {
    let conversation = |place: Place| {
        let (mut reader, mut writer) = (place.resp2(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON", "GET a", "GET b", "GET c"]);
        heard.extend(ask(&mut writer, &["SET a 1"]));
        heard.extend(ask(&mut reader, &["PING"]));
        hear(&mut reader, &["HELLO 3"], 1);
        heard.extend(ask(&mut writer, &["SET b 1"]));
        heard.extend(hear(&mut reader, &["PING"], 2));
        hear(&mut reader, &["HELLO 2"], 1);
        heard.extend(ask(&mut writer, &["SET c 1"]));
        heard.extend(ask(&mut reader, &["PING", "CLIENT TRACKINGINFO"]));
        heard
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn what_is_registered_outlives_off_and_on() {
    let conversation = |place: Place| {
        let (mut reader, mut writer) = (place.resp3(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON", "GET a", "GET b", "CLIENT TRACKING OFF"]);
        heard.extend(ask(&mut writer, &["SET a 1"]));
        heard.extend(ask(&mut reader, &["PING", "CLIENT TRACKING ON"]));
        heard.extend(ask(&mut writer, &["SET a 2", "SET b 1"]));
        heard.extend(hear(&mut reader, &["PING"], 2));
        heard
    };
    same(conversation);
    same_in_memory(conversation);
}

#[test]
fn emptied_databases_are_told_to_all() {
    same(|place| {
        let (mut reader, mut prefix, mut writer) = (place.resp3(), place.resp3(), place.resp2());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON NOLOOP", "GET a"]);
        heard.extend(ask(&mut prefix, &["CLIENT TRACKING ON BCAST PREFIX zzz"]));
        for empty in ["FLUSHALL", "FLUSHDB"] {
            heard.extend(ask(&mut writer, &[empty]));
            heard.extend(hear(&mut reader, &[], 1));
            heard.extend(hear(&mut prefix, &[], 1));
        }
        heard.extend(hear(&mut reader, &["FLUSHALL", "PING"], 3));
        // BCAST comes by a connection of its own: it waits for the lane, not the lane for it.
        heard.extend(hear(&mut prefix, &[], 1));
        heard
    });
}

#[test]
fn prefixes_are_told_of_every_key() {
    same(|place| {
        let (mut reader, mut all, mut stranger) = (place.resp3(), place.resp3(), place.stranger());
        let mut heard = ask(&mut reader, &["CLIENT TRACKING ON BCAST PREFIX user: PREFIX item:"]);
        heard.extend(ask(&mut all, &["CLIENT TRACKING ON BCAST", "GET user:1"]));
        for (write, frames) in [
            ("SET user:1 a", (1, 1)),
            ("SET user:1 b", (1, 1)),
            ("SET nobody c", (0, 1)),
            ("MSET user:2 a item:1 b item:2 c zzz d", (2, 1)),
        ] {
            heard.extend(ask(&mut stranger, &[write]));
            heard.extend(hear(&mut all, &[], frames.1));
            heard.extend(hear(&mut reader, &[], frames.0));
        }
        heard.extend(ask(&mut reader, &["GET user:1", "CLIENT TRACKING OFF"]));
        heard.extend(ask(&mut stranger, &["SET user:1 d"]));
        heard.extend(hear(&mut all, &[], 1));
        heard.extend(ask(&mut all, &["GET user:1"]));
        heard.extend(ask(&mut reader, &["GET user:1"]));
        heard
    });
}

#[test]
fn who_reads_again_when_told_reads_the_new_value() {
    let upstream = RedisServer::start(&[]);
    let proxy = Proxy::behind(upstream.addr(), &[("cache.admit_after", "1")]);
    let place = Place { subject: proxy.addr(), data: upstream.addr() };
    let (mut stranger, mut one, mut prefix) = (place.stranger(), place.resp3(), place.resp3());
    ask(&mut one, &["CLIENT TRACKING ON"]);
    ask(&mut prefix, &["CLIENT TRACKING ON BCAST PREFIX k"]);
    for n in 0..300 {
        let value = n.to_string();
        // Somebody else keeps the key in L1.
        ask(&mut one, &["GET k"]);
        ask(&mut stranger, &[&format!("SET k {value}")]);
        for client in [&mut one, &mut prefix] {
            let push = client.read_push().unwrap();
            assert_eq!(push.items()[0].text(), Some(&b"invalidate"[..]));
            assert_eq!(client.call(&["GET", "k"]).unwrap().text(), Some(value.as_bytes()));
        }
    }
}

#[test]
fn a_thousand_clients_cost_the_upstream_one() {
    let upstream = RedisServer::start(&[]);
    let proxy = Proxy::behind(upstream.addr(), &[]);
    let place = Place { subject: proxy.addr(), data: upstream.addr() };
    let mut clients: Vec<RawClient> = (0..1000).map(|_| place.resp3()).collect();
    for client in &mut clients {
        hear(client, &["CLIENT TRACKING ON", "GET a", "GET b"], 3);
    }
    let info = |field: &str| {
        let info = upstream.client().call(&["INFO", "everything"]).unwrap();
        let text = String::from_utf8_lossy(info.text().unwrap()).into_owned();
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned)).unwrap()
    };
    assert_eq!((info("tracking_clients"), info("tracking_total_items")), ("1".into(), "2".into()));
    assert_eq!(proxy.info("tracking_clients").as_deref(), Some("1000"));
    assert_eq!(proxy.info("tracking_total_items").as_deref(), Some("2000"));
    place.stranger().call(&["SET", "a", "1"]).unwrap();
    for client in &mut clients {
        let push = client.read_frame().unwrap();
        assert_eq!(
            push.escape_ascii().to_string(),
            ">2\\r\\n$10\\r\\ninvalidate\\r\\n*1\\r\\n$1\\r\\na\\r\\n"
        );
    }
    drop(clients);
    until("all are gone", || (proxy.info("tracking_clients")? == "0").then_some(()));
}

#[test]
fn a_lost_upstream_is_told_to_all() {
    let upstream = RedisServer::start(&[]);
    let link = Link::to(upstream.addr());
    let proxy = Proxy::behind(link.addr(), &[]);
    let place = Place { subject: proxy.addr(), data: upstream.addr() };
    let (mut reader, mut prefix) = (place.resp3(), place.resp3());
    ask(&mut reader, &["CLIENT TRACKING ON", "GET k"]);
    ask(&mut prefix, &["CLIENT TRACKING ON BCAST"]);
    link.cut();
    for client in [&mut reader, &mut prefix] {
        assert_eq!(client.read_frame().unwrap(), b">2\r\n$10\r\ninvalidate\r\n_\r\n");
    }
    // What is read behind it is told again: so is what was in flight.
    until("the new lane serves", || (!reader.call(&["GET", "k"]).unwrap().is_error()).then_some(()));
    place.stranger().call(&["SET", "k", "1"]).unwrap();
    until("the change is told", || {
        (reader.read_frame().unwrap() == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n").then_some(())
    });
}
