//! The `redis` crate: multiplexed and blocking connections, the manager, pub/sub in both protocols.

use std::collections::{BTreeSet, HashMap};

use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::{
    AsyncCommands, AsyncConnectionConfig, Client, Commands, ErrorKind, PushInfo, PushKind, Script, Value,
};
use tokio::sync::mpsc;

use crate::{Subject, until, within};

const PROTOCOLS: [&str; 2] = ["?protocol=resp2", "?protocol=resp3"];

async fn connect(subject: &Subject, protocol: &str) -> MultiplexedConnection {
    let client = Client::open(subject.url(protocol)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

#[tokio::test]
async fn types_in_both_protocols() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let mut c = connect(&subject, protocol).await;
        let [s, h, l, z] = ["s", "h", "l", "z"].map(|name| subject.key(name));
        let bytes: Vec<u8> = (0..=255).collect();
        let _: () = c.set(&s, &bytes).await.unwrap();
        let _: () = c.hset_multiple(&h, &[("a", 1), ("b", 2)]).await.unwrap();
        let _: usize = c.rpush(&l, &[1, 2, 3]).await.unwrap();
        let _: usize = c.zadd_multiple(&z, &[(1.5, "a"), (2.0, "b")]).await.unwrap();
        for _ in 0..5 {
            assert_eq!(c.get::<_, Vec<u8>>(&s).await.unwrap(), bytes);
            assert_eq!(c.get::<_, Option<String>>("none").await.unwrap(), None);
            let all: HashMap<String, i32> = c.hgetall(&h).await.unwrap();
            assert_eq!(all, HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
            assert_eq!(c.lrange::<_, Vec<i32>>(&l, 0, -1).await.unwrap(), [1, 2, 3]);
            let scored: Vec<(String, f64)> = c.zrange_withscores(&z, 0, -1).await.unwrap();
            assert_eq!(scored, [("a".to_owned(), 1.5), ("b".to_owned(), 2.0)]);
            assert_eq!(c.zscore::<_, _, Option<f64>>(&z, "none").await.unwrap(), None);
        }
        assert_eq!(c.incr::<_, _, i64>(subject.key("n"), 7).await.unwrap(), 7);
        let error = c.incr::<_, _, i64>(&h, 1).await.unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"));
        let error = redis::cmd("NOSUCH").query_async::<()>(&mut c).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResponseError);
    }
}

#[tokio::test]
async fn the_protocol_asked_for_is_spoken() {
    let subject = Subject::start().await;
    for (protocol, map) in [(PROTOCOLS[0], false), (PROTOCOLS[1], true)] {
        let mut c = connect(&subject, protocol).await;
        let key = subject.key("h");
        let _: usize = c.hset(&key, "a", 1).await.unwrap();
        let reply: Value = c.hgetall(&key).await.unwrap();
        assert_eq!(matches!(reply, Value::Map(_)), map, "{reply:?}");
    }
}

#[tokio::test]
async fn pipelines_and_transactions() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let mut c = connect(&subject, protocol).await;
        let key = subject.key("k");
        let mut pipe = redis::pipe();
        for i in 0..2000 {
            pipe.set(&key, i).ignore().get(&key);
        }
        let replies: Vec<i32> = pipe.query_async(&mut c).await.unwrap();
        assert_eq!(replies, (0..2000).collect::<Vec<_>>());

        let mut atomic = redis::pipe();
        atomic.atomic().incr(&key, 1).get(&key).hset(format!("{key}h"), "a", 1).hgetall(format!("{key}h"));
        let (incremented, read, added, all): (i32, String, i32, HashMap<String, i32>) =
            atomic.query_async(&mut c).await.unwrap();
        assert_eq!((incremented, read.as_str(), added, all["a"]), (2000, "2000", 1, 1));
    }
}

#[tokio::test]
async fn a_watched_key_that_changed_ends_the_transaction() {
    let subject = Subject::start().await;
    let (key, client) = (subject.key("n"), Client::open(subject.url("")).unwrap());
    let work = move || {
        let (mut c, mut other) = (client.get_connection().unwrap(), client.get_connection().unwrap());
        let mut attempts = 0;
        let (new,): (i32,) = redis::transaction(&mut c, &[&key], |c, pipe| {
            attempts += 1;
            let old: i32 = c.get::<_, Option<i32>>(&key)?.unwrap_or(0);
            if attempts == 1 {
                other.set::<_, _, ()>(&key, 10)?;
            }
            pipe.set(&key, old + 1).ignore().get(&key).query(c)
        })
        .unwrap();
        assert_eq!((attempts, new), (2, 11));
    };
    within(tokio::task::spawn_blocking(work)).await.unwrap();
}

#[tokio::test]
async fn messages_in_order_resp2() {
    let subject = Subject::start().await;
    let (channel, client) = (subject.key("ch"), Client::open(subject.url(PROTOCOLS[0])).unwrap());
    let mut publisher = connect(&subject, PROTOCOLS[0]).await;
    let (subscribed, ready) = tokio::sync::oneshot::channel();
    let name = channel.clone();
    let receive = tokio::task::spawn_blocking(move || {
        let mut c = client.get_connection().unwrap();
        let mut pubsub = c.as_pubsub();
        pubsub.subscribe(&name).unwrap();
        pubsub.psubscribe(format!("{name}*")).unwrap();
        subscribed.send(()).unwrap();
        (0..1000).map(|_| pubsub.get_message().unwrap().get_payload::<i32>().unwrap()).collect::<Vec<_>>()
    });
    within(ready).await.unwrap();
    for i in 0..500 {
        assert_eq!(publisher.publish::<_, _, i32>(&channel, i).await.unwrap(), 2);
    }
    let got = within(receive).await.unwrap();
    assert_eq!(got, (0..1000).map(|i| i / 2).collect::<Vec<_>>());
}

async fn next_push(pushes: &mut mpsc::UnboundedReceiver<PushInfo>) -> PushInfo {
    within(pushes.recv()).await.expect("the connection is open")
}

#[tokio::test]
async fn messages_in_order_resp3() {
    let subject = Subject::start().await;
    let channel = subject.key("ch");
    let (sender, mut pushes) = mpsc::unbounded_channel();
    let config = AsyncConnectionConfig::new().set_push_sender(sender);
    let client = Client::open(subject.url(PROTOCOLS[1])).unwrap();
    let mut c = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    c.subscribe(&channel).await.unwrap();
    assert_eq!(next_push(&mut pushes).await.kind, PushKind::Subscribe);
    // The same connection goes on with ordinary commands between its messages.
    for i in 0..500 {
        assert_eq!(c.publish::<_, _, i32>(&channel, i).await.unwrap(), 1);
        assert_eq!(c.get::<_, Option<i32>>(&channel).await.unwrap(), None);
    }
    for i in 0..500 {
        let push = next_push(&mut pushes).await;
        assert_eq!(push.kind, PushKind::Message);
        assert_eq!(redis::from_redis_value::<i32>(&push.data[1]).unwrap(), i);
    }
    c.unsubscribe(&channel).await.unwrap();
    assert_eq!(next_push(&mut pushes).await.kind, PushKind::Unsubscribe);
    assert_eq!(c.publish::<_, _, i32>(&channel, "gone").await.unwrap(), 0);
}

#[tokio::test]
async fn blocking_pops() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let (mut waiting, mut c) = (connect(&subject, protocol).await, connect(&subject, protocol).await);
        let key = subject.key("q");
        let nothing: Option<(String, i32)> = waiting.blpop(&key, 0.02).await.unwrap();
        assert_eq!(nothing, None);
        for i in 0..20 {
            let (popped, pushed) = tokio::join!(
                within(waiting.blpop::<_, (String, i32)>(&key, 10.0)),
                c.rpush::<_, _, i32>(&key, i)
            );
            assert_eq!((popped.unwrap(), pushed.unwrap()), ((key.clone(), i), 1));
        }
        assert_eq!(c.llen::<_, i32>(&key).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_script_is_loaded_when_it_is_missing() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let mut c = connect(&subject, protocol).await;
        let key = subject.key("n");
        // A digest of its own, so that no other test has loaded the script.
        let script = Script::new(&format!("return redis.call('INCRBY', KEYS[1], ARGV[1]) -- {key}"));
        for i in 1..=3 {
            assert_eq!(script.key(&key).arg(5).invoke_async::<i32>(&mut c).await.unwrap(), 5 * i);
            assert_eq!(c.get::<_, i32>(&key).await.unwrap(), 5 * i);
        }
    }
}

#[tokio::test]
async fn scans_find_every_key() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let mut c = connect(&subject, protocol).await;
        let prefix = subject.key("scan");
        let expected: BTreeSet<String> = (0..2000).map(|i| format!("{prefix}:{i}")).collect();
        let pairs: Vec<(&String, i32)> = expected.iter().map(|key| (key, 1)).collect();
        let _: () = c.mset(&pairs).await.unwrap();
        let mut found = BTreeSet::new();
        let mut keys = c.scan_match::<_, String>(format!("{prefix}:*")).await.unwrap();
        while let Some(key) = within(keys.next_item()).await {
            found.insert(key);
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn many_tasks_on_one_connection() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let c = connect(&subject, protocol).await;
        let total = subject.key("total");
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (mut c, own, total) = (c.clone(), subject.key("own"), total.clone());
            tasks.spawn(async move {
                for i in 0..50 {
                    let _: () = c.set(&own, i).await.unwrap();
                    assert_eq!(c.get::<_, i32>(&own).await.unwrap(), i);
                    let _: i32 = c.incr(&total, 1).await.unwrap();
                }
            });
        }
        within(tasks.join_all()).await;
        assert_eq!(c.clone().get::<_, i32>(&total).await.unwrap(), 2500);
    }
}

#[tokio::test]
async fn the_manager_connects_again() {
    let subject = Subject::start().await;
    for protocol in PROTOCOLS {
        let client = Client::open(subject.url(protocol)).unwrap();
        let config = ConnectionManagerConfig::new().set_factor(1).set_max_delay(20);
        let mut manager = ConnectionManager::new_with_config(client, config).await.unwrap();
        let mut admin = connect(&subject, protocol).await;
        let key = subject.key("k");
        let _: () = manager.set(&key, "v").await.unwrap();
        for _ in 0..3 {
            let id: i64 = redis::cmd("CLIENT").arg("ID").query_async(&mut manager).await.unwrap();
            let mut kill = redis::cmd("CLIENT");
            assert_eq!(kill.arg("KILL").arg("ID").arg(id).query_async::<i32>(&mut admin).await.unwrap(), 1);
            let value = until("the manager's new connection", || {
                let (mut manager, key) = (manager.clone(), key.clone());
                async move { manager.get::<_, String>(&key).await.ok() }
            });
            assert_eq!(value.await, "v");
        }
    }
}
