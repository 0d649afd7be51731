//! The `fred` crate: its client, pool and subscriber client.

use std::collections::{BTreeSet, HashMap};

use fred::clients::{Client, Pool, SubscriberClient};
use fred::error::ErrorKind;
use fred::interfaces::*;
use fred::types::config::{Config, ReconnectPolicy};
use fred::types::{Builder, RespVersion, Value};

use crate::{Subject, until, within};

const PROTOCOLS: [RespVersion; 2] = [RespVersion::RESP2, RespVersion::RESP3];

fn builder(subject: &Subject, version: RespVersion) -> Builder {
    let mut builder = Builder::from_config(Config { version, ..Config::from_url(&subject.url).unwrap() });
    builder.set_policy(ReconnectPolicy::new_constant(50, 5));
    builder
}

async fn connect(subject: &Subject, version: RespVersion) -> Client {
    let client = builder(subject, version).build().unwrap();
    within(client.init()).await.unwrap();
    client
}

#[tokio::test]
async fn types_in_both_protocols() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let c = connect(&subject, version).await;
        let [s, h, l, z] = ["s", "h", "l", "z"].map(|name| subject.key(name));
        let _: () = c.set(&s, "v", None, None, false).await.unwrap();
        let _: () = c.hset(&h, vec![("a", 1), ("b", 2)]).await.unwrap();
        let _: () = c.rpush(&l, vec![1, 2, 3]).await.unwrap();
        let _: () = c.zadd(&z, None, None, false, false, vec![(1.5, "a"), (2.0, "b")]).await.unwrap();
        for _ in 0..5 {
            assert_eq!(c.get::<String, _>(&s).await.unwrap(), "v");
            assert_eq!(c.get::<Option<String>, _>("none").await.unwrap(), None);
            let all: HashMap<String, i32> = c.hgetall(&h).await.unwrap();
            assert_eq!(all, HashMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]));
            assert_eq!(c.lrange::<Vec<i32>, _>(&l, 0, -1).await.unwrap(), [1, 2, 3]);
            let scored: Vec<(String, f64)> = c.zrange(&z, 0, -1, None, false, None, true).await.unwrap();
            assert_eq!(scored, [("a".to_owned(), 1.5), ("b".to_owned(), 2.0)]);
            assert_eq!(c.zscore::<Option<f64>, _, _>(&z, "none").await.unwrap(), None);
        }
        let error = c.incr::<i64, _>(&h).await.unwrap_err();
        assert!(error.details().contains("WRONGTYPE"), "{error}");
        within(c.quit()).await.unwrap();
    }
}

#[tokio::test]
async fn pipelines_and_transactions() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let c = connect(&subject, version).await;
        let key = subject.key("k");
        let pipeline = c.pipeline();
        for i in 0..1000 {
            let _: () = pipeline.set(&key, i, None, None, false).await.unwrap();
            let _: () = pipeline.get(&key).await.unwrap();
        }
        let replies: Vec<Value> = within(pipeline.all()).await.unwrap();
        let read: Vec<i64> = replies.iter().skip(1).step_by(2).map(|v| v.as_i64().unwrap()).collect();
        assert_eq!(read, (0..1000).collect::<Vec<_>>());

        let multi = c.multi();
        let _: () = multi.incr(&key).await.unwrap();
        let _: () = multi.get(&key).await.unwrap();
        let (new, read): (i32, i32) = within(multi.exec(true)).await.unwrap();
        assert_eq!((new, read), (1000, 1000));
        within(c.quit()).await.unwrap();
    }
}

#[tokio::test]
async fn subscriptions_survive_a_lost_connection() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let channel = subject.key("ch");
        let publisher = connect(&subject, version.clone()).await;
        let subscriber: SubscriberClient = builder(&subject, version).build_subscriber_client().unwrap();
        within(subscriber.init()).await.unwrap();
        let managed = subscriber.manage_subscriptions();
        let mut messages = subscriber.message_rx();
        let id = *subscriber.connection_ids().values().next().expect("one connection");
        within(subscriber.subscribe(&channel)).await.unwrap();
        // In batches that fit the 32 places of the library's channel.
        for batch in 0..10 {
            for i in 0..20 {
                assert_eq!(publisher.publish::<i32, _, _>(&channel, 20 * batch + i).await.unwrap(), 1);
            }
            for i in 0..20 {
                let message = within(messages.recv()).await.unwrap();
                let expected = (channel.clone(), Some(20 * batch + i));
                assert_eq!((message.channel.to_string(), message.value.as_i64()), expected);
            }
        }

        let killed: i32 = publisher
            .client_kill(vec![fred::types::client::ClientKillFilter::ID(id.to_string())])
            .await
            .unwrap();
        assert_eq!(killed, 1);
        until("the subscription after the loss", || async {
            (publisher.publish::<i32, _, _>(&channel, "back").await.unwrap() == 1).then_some(())
        })
        .await;
        assert_eq!(within(messages.recv()).await.unwrap().value.as_str().unwrap(), "back");
        managed.abort();
        within(subscriber.quit()).await.unwrap();
        within(publisher.quit()).await.unwrap();
    }
}

#[tokio::test]
async fn blocking_pops() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let (waiting, c) = (connect(&subject, version.clone()).await, connect(&subject, version).await);
        let key = subject.key("q");
        // The library turns the nil of a timeout into an error of its own.
        let nothing = waiting.blpop::<Value, _>(&key, 0.02).await.unwrap_err();
        assert_eq!(nothing.kind(), &ErrorKind::Timeout);
        for i in 0..20 {
            let (popped, pushed) = tokio::join!(
                within(waiting.blpop::<(String, i32), _>(&key, 10.0)),
                c.rpush::<i32, _, _>(&key, i)
            );
            assert_eq!((popped.unwrap(), pushed.unwrap()), ((key.clone(), i), 1));
        }
        within(waiting.quit()).await.unwrap();
        within(c.quit()).await.unwrap();
    }
}

#[tokio::test]
async fn scripts_and_scans() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let c = connect(&subject, version).await;
        let prefix = subject.key("scan");
        let script = format!("return redis.call('SET', KEYS[1], ARGV[1]) -- {prefix}");
        let sha: String = c.script_load(script).await.unwrap();
        let mut expected = BTreeSet::new();
        for i in 0..500 {
            let key = format!("{prefix}:{i}");
            let _: () = c.evalsha(&sha, key.as_str(), i).await.unwrap();
            assert_eq!(c.get::<i32, _>(&key).await.unwrap(), i);
            expected.insert(key);
        }
        let error = c.evalsha::<(), _, _, _>("f".repeat(40), "k", "v").await.unwrap_err();
        assert!(error.details().contains("NOSCRIPT"), "{error}");

        let (mut found, mut cursor) = (BTreeSet::new(), "0".to_owned());
        loop {
            let (next, keys): (String, Vec<String>) =
                within(c.scan_page(cursor, format!("{prefix}:*"), Some(100), None)).await.unwrap();
            found.extend(keys);
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(found, expected);
        within(c.quit()).await.unwrap();
    }
}

#[tokio::test]
async fn a_pool_goes_on_after_its_connections_were_killed() {
    let subject = Subject::start().await;
    for version in PROTOCOLS {
        let pool: Pool = builder(&subject, version.clone()).build_pool(4).unwrap();
        within(pool.init()).await.unwrap();
        let admin = connect(&subject, version).await;
        let total = subject.key("total");
        for round in 1..=3 {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let (pool, own, total) = (pool.clone(), subject.key("own"), total.clone());
                tasks.spawn(async move {
                    for i in 0..20 {
                        let _: () = pool.set(&own, i, None, None, false).await.unwrap();
                        assert_eq!(pool.get::<i32, _>(&own).await.unwrap(), i);
                        let _: i32 = pool.incr(&total).await.unwrap();
                    }
                });
            }
            within(tasks.join_all()).await;
            assert_eq!(admin.get::<i32, _>(&total).await.unwrap(), 400 * round);
            for client in pool.clients() {
                let id = *client.connection_ids().values().next().expect("one connection");
                let filter = fred::types::client::ClientKillFilter::ID(id.to_string());
                assert_eq!(admin.client_kill::<i32>(vec![filter]).await.unwrap(), 1);
                until("another connection", || async {
                    client.connection_ids().values().next().filter(|new| **new != id).map(|_| ())
                })
                .await;
            }
        }
        within(pool.quit()).await.unwrap();
        within(admin.quit()).await.unwrap();
    }
}
