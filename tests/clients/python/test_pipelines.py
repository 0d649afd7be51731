"""Pipelines, MULTI/EXEC, WATCH."""
import threading

import pytest
import redis

from conftest import plain


def test_pipeline_answers_in_order(r):
    with r.pipeline(transaction=False) as p:
        for i in range(1000):
            p.set(f"k{i % 10}", i).get(f"k{i % 10}").incr("n").hset("h", "f", i).hget("h", "f")
        replies = p.execute()
    for i in range(1000):
        assert replies[5 * i] is True
        assert replies[5 * i + 1] == str(i)
        assert replies[5 * i + 2] == i + 1
        assert replies[5 * i + 4] == str(i)


@pytest.mark.parametrize("transaction", [False, True])
def test_ten_thousand_deep(r, transaction):
    with r.pipeline(transaction=transaction) as p:
        for i in range(10_000):
            p.incr("n") if i % 2 else p.get("n")
        replies = p.execute()
    assert replies == [i // 2 + 1 if i % 2 else (str(i // 2) if i else None) for i in range(10_000)]


def test_repeated_reads_in_a_pipeline(r):
    r.mset({f"k{i}": f"v{i}" for i in range(100)})
    for _ in range(5):
        p = r.pipeline(transaction=False)
        for i in range(100):
            p.get(f"k{i}")
        assert p.execute() == [f"v{i}" for i in range(100)]


def test_pipeline_goes_on_after_an_error(r):
    p = r.pipeline(transaction=False).set("k", "v").lpush("k", "x").get("k").execute_command("NOSUCH").get("k")
    ok, wrong, value, unknown, again = p.execute(raise_on_error=False)
    assert (ok, value, again) == (True, "v", "v")
    assert isinstance(wrong, redis.ResponseError) and "WRONGTYPE" in str(wrong)
    assert isinstance(unknown, redis.ResponseError)


def test_transaction(r):
    r.set("k", "1")
    p = r.pipeline().incr("k").get("k").hset("h", mapping={"a": 1}).hgetall("h").zadd("z", {"m": 1.5})
    replies = p.zrange("z", 0, -1, withscores=True).ping().echo("e").smembers("none").execute()
    assert plain(replies) == [2, "2", 1, {"a": "1"}, 1, [["m", 1.5]], True, "e", set()]
    assert r.get("k") == "2"


def test_error_inside_a_transaction(r):
    replies = r.pipeline().set("k", "v").lpush("k", "x").get("k").execute(raise_on_error=False)
    assert replies[0] is True and replies[2] == "v"
    assert "WRONGTYPE" in str(replies[1])


def test_refused_at_queueing(r):
    with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH'"):
        r.pipeline().set("k", "v").execute_command("NOSUCH").execute()
    assert r.get("k") is None
    with pytest.raises(redis.ResponseError, match="EXEC without MULTI"):
        r.execute_command("EXEC")
    assert r.ping()


def test_refused_transaction_by_hand(client):
    r = client(decode_responses=True, single_connection_client=True)
    r.execute_command("MULTI")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        r.execute_command("GET")
    assert r.execute_command("INCR", "k") == "QUEUED"
    with pytest.raises(redis.exceptions.ExecAbortError):
        r.execute_command("EXEC")
    assert r.get("k") is None


def test_discard(client):
    r = client(decode_responses=True, single_connection_client=True)
    assert r.execute_command("MULTI") in (True, "OK")
    assert r.execute_command("INCR", "k") == "QUEUED"
    with pytest.raises(redis.ResponseError, match="MULTI calls can not be nested"):
        r.execute_command("MULTI")
    assert r.execute_command("DISCARD") in (True, "OK")
    assert r.get("k") is None


def test_watch_conflict_and_retry(client):
    r, other = client(decode_responses=True), client(decode_responses=True)
    r.set("k", "1")
    assert r.get("k") == r.get("k") == "1"
    with r.pipeline() as p:
        p.watch("k")
        assert p.get("k") == "1"
        other.set("k", "10")
        p.multi()
        p.set("k", "2")
        with pytest.raises(redis.WatchError):
            p.execute()
        assert r.get("k") == "10"
        p.watch("k")
        value = int(p.get("k"))
        p.multi()
        p.set("k", value + 1).get("k")
        assert p.execute() == [True, "11"]
    assert other.get("k") == "11"


def test_unwatch(client):
    r, other = client(decode_responses=True), client(decode_responses=True)
    with r.pipeline() as p:
        p.watch("k")
        other.set("k", "x")
        p.unwatch()
        p.multi()
        p.get("k")
        assert p.execute() == ["x"]


def test_watch_of_a_key_written_by_oneself(r):
    with r.pipeline() as p:
        p.watch("k")
        p.set("k", "mine")
        p.multi()
        p.get("k")
        with pytest.raises(redis.WatchError):
            p.execute()


def test_optimistic_counter_of_many_threads(client):
    r = client(decode_responses=True, max_connections=16)
    r.set("n", 0)

    def increment(p):
        value = int(p.get("n"))
        p.multi()
        p.set("n", value + 1)

    def work():
        for _ in range(25):
            r.transaction(increment, "n")

    threads = [threading.Thread(target=work) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert r.get("n") == "150"
