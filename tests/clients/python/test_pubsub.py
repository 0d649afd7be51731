"""Subscriptions: kinds, order, modes of both protocols."""
import threading

import pytest
import redis

from conftest import connect, until


def next_message(pubsub, seconds=10):
    message = until(lambda: pubsub.get_message(timeout=0.5), "a message", seconds)
    return message["type"], message["channel"], message["data"]


def test_subscribe_publish_unsubscribe(r):
    p = r.pubsub()
    p.subscribe("a", "b")
    assert next_message(p) == ("subscribe", "a", 1)
    assert next_message(p) == ("subscribe", "b", 2)
    assert r.publish("a", "1") == 1
    assert r.publish("c", "1") == 0
    assert next_message(p) == ("message", "a", "1")
    p.unsubscribe("a")
    assert next_message(p) == ("unsubscribe", "a", 1)
    assert r.publish("a", "2") == 0
    p.unsubscribe()
    assert next_message(p) == ("unsubscribe", "b", 0)
    assert not p.subscribed
    p.close()


def test_patterns(r):
    p = r.pubsub()
    p.psubscribe("news.*", "n?ws.[ab]")
    assert next_message(p)[0] == next_message(p)[0] == "psubscribe"
    assert r.publish("news.a", "x") == 2
    got = {tuple(sorted((k, m[k]) for k in ("pattern", "channel", "data")))
           for m in (until(lambda: p.get_message(timeout=0.5), "a message") for _ in range(2))}
    assert {dict(each)["pattern"] for each in got} == {"news.*", "n?ws.[ab]"}
    assert r.publish("news.z", "y") == 1
    assert next_message(p) == ("pmessage", "news.z", "y")
    p.punsubscribe()
    assert next_message(p)[0] == next_message(p)[0] == "punsubscribe"
    assert r.publish("news.a", "x") == 0
    p.close()


def test_sharded(r):
    p = r.pubsub()
    p.ssubscribe("shard")
    assert next_message(p) == ("ssubscribe", "shard", 1)
    assert r.spublish("shard", "x") == 1
    assert r.publish("shard", "not sharded") == 0
    assert next_message(p) == ("smessage", "shard", "x")
    p.sunsubscribe("shard")
    assert next_message(p) == ("sunsubscribe", "shard", 0)
    p.close()


def test_channel_and_pattern_of_one_client(r):
    p = r.pubsub()
    p.subscribe("ch")
    p.psubscribe("c*")
    next_message(p), next_message(p)
    assert r.publish("ch", "x") == 2
    assert {next_message(p)[0], next_message(p)[0]} == {"message", "pmessage"}
    p.close()


def test_order_of_messages(client):
    r = client(decode_responses=True)
    subscribers = [client(decode_responses=True).pubsub() for _ in range(3)]
    for p in subscribers:
        p.subscribe("a", "b")
        next_message(p), next_message(p)
    pipe = r.pipeline(transaction=False)
    for i in range(2000):
        pipe.publish("ab"[i % 2], i)
    assert pipe.execute() == [3] * 2000
    for p in subscribers:
        for i in range(2000):
            assert next_message(p) == ("message", "ab"[i % 2], str(i))
        p.close()


def test_message_comes_after_the_write_it_announces(client):
    """A subscriber that reads the key upon the message never sees the value before the write."""
    writer, reader = client(decode_responses=True), client(decode_responses=True)
    p = reader.pubsub()
    p.subscribe("changed")
    next_message(p)
    for i in range(200):
        reader.get("k"), reader.get("k")
        writer.pipeline(transaction=False).set("k", i).publish("changed", i).execute()
        assert next_message(p) == ("message", "changed", str(i))
        assert reader.get("k") == str(i)
    p.close()


def test_timeouts_without_messages(r):
    p = r.pubsub()
    p.subscribe("quiet")
    assert next_message(p)[0] == "subscribe"
    assert p.get_message(timeout=0.05) is None
    assert p.get_message() is None
    assert r.publish("quiet", "x") == 1
    assert next_message(p) == ("message", "quiet", "x")
    p.close()


def test_ping_while_subscribed(r, protocol):
    p = r.pubsub()
    p.subscribe("a")
    next_message(p)
    for sent, expected in ((None, ""), ("hello", "hello")):
        p.ping(sent) if sent else p.ping()
        pong = until(lambda: p.get_message(timeout=0.5), "the pong")
        # In RESP3 a PING of a subscriber is answered as any other, and the library hands on the bare reply.
        assert (pong["type"], pong["data"]) == ("pong", expected) if protocol == 2 else pong
    assert r.publish("a", "x") == 1
    assert next_message(p) == ("message", "a", "x")
    p.close()


def test_commands_while_subscribed(client, protocol):
    r = client(decode_responses=True, single_connection_client=True)
    c = r.connection
    c.send_command("SUBSCRIBE", "a")
    read = (lambda: c.read_response(push_request=True)) if protocol == 3 else c.read_response
    assert read() == ["subscribe", "a", 1]
    c.send_command("GET", "k")
    if protocol == 2:
        with pytest.raises(redis.ResponseError, match="Can't execute 'get'"):
            read()
        c.send_command("RESET")
        assert read() == "RESET"
        c.send_command("GET", "k")
    assert read() is None


def test_introspection(r):
    p = r.pubsub()
    p.subscribe("chan:a", "chan:b")
    p.psubscribe("pat*")
    p.ssubscribe("shard:a")
    [next_message(p) for _ in range(4)]
    assert set(r.pubsub_channels("chan:*")) == {"chan:a", "chan:b"}
    assert r.pubsub_numsub("chan:a", "none") == [("chan:a", 1), ("none", 0)]
    assert r.pubsub_numpat() == 1
    assert r.pubsub_shardchannels("shard:*") == ["shard:a"]
    p.close()
    until(lambda: r.publish("chan:a", "x") == 0, "a closed subscriber gone")
    until(lambda: r.pubsub_numpat() == 0, "its pattern gone")


def test_handlers_in_a_thread(client):
    r = client(decode_responses=True)
    got = []
    p = client(decode_responses=True).pubsub(ignore_subscribe_messages=True)
    p.subscribe(jobs=lambda message: got.append(message["data"]))
    thread = p.run_in_thread(sleep_time=0.05)
    until(lambda: r.publish("jobs", "start") == 1, "the subscriber")
    for i in range(100):
        r.publish("jobs", i)
    until(lambda: got[-1:] == ["99"], "the last message")
    assert got[-100:] == [str(i) for i in range(100)]
    thread.stop()
    thread.join()


def test_publishers_in_threads(client, protocol):
    p = client(decode_responses=True).pubsub(ignore_subscribe_messages=True)
    p.subscribe("all")
    r = client()
    until(lambda: p.get_message() is None and r.pubsub_numsub("all")[0][1] == 1, "the subscriber")

    def publish(name):
        with connect(protocol) as publisher:
            for i in range(200):
                publisher.publish("all", f"{name}:{i}")

    threads = [threading.Thread(target=publish, args=(n,)) for n in range(5)]
    [t.start() for t in threads]
    got = [next_message(p)[2].split(":") for _ in range(1000)]
    [t.join() for t in threads]
    for name in range(5):
        assert [int(i) for n, i in got if n == str(name)] == list(range(200))
    p.close()


def test_binary_messages(client):
    r = client()
    p = r.pubsub()
    channel, data = b"\r\n\x00ch", bytes(range(256)) * 4000
    p.subscribe(channel)
    next_message(p)
    assert r.publish(channel, data) == 1
    assert next_message(p) == ("message", channel, data)
    p.close()


def test_keyspace_notifications(r):
    before = r.config_get("notify-keyspace-events")["notify-keyspace-events"]
    r.config_set("notify-keyspace-events", "KEA")
    try:
        p = r.pubsub()
        p.psubscribe("__keyspace@0__:*")
        next_message(p)
        r.set("k", "v")
        assert next_message(p) == ("pmessage", "__keyspace@0__:k", "set")
        r.delete("k")
        assert next_message(p) == ("pmessage", "__keyspace@0__:k", "del")
        p.close()
    finally:
        r.config_set("notify-keyspace-events", before)
