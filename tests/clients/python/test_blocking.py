"""Blocking pops: answered, timed out, abandoned, unblocked."""
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

import pytest
import redis

from conftest import URL, blocked, plain


def test_element_already_there(r):
    r.rpush("q", "a", "b", "c")
    assert plain(r.blpop("q", 1)) == ["q", "a"]
    assert plain(r.brpop(["none", "q"], 1)) == ["q", "c"]
    assert r.blmove("q", "q2", 1) == "b"
    r.zadd("z", {"m": 1, "n": 2})
    assert plain(r.bzpopmin("z", 1)) == ["z", "m", 1.0]
    assert plain(r.bzpopmax("z", 1)) == ["z", "n", 2.0]
    r.rpush("q", "a", "b")
    assert r.blmpop(1, 2, "none", "q", direction="LEFT", count=2) == ["q", ["a", "b"]]
    r.zadd("z", {"m": 1})
    name, ((member, score),) = r.bzmpop(1, 1, ["z"], min=True)
    assert (name, member, float(score)) == ("z", "m", 1.0)


def test_timeout_is_nil(r):
    assert r.blpop("none", 0.1) is None
    assert r.brpoplpush("none", "x", 1) is None
    assert r.bzpopmin("none", 0.05) is None
    assert r.blmove("none", "x", 0.05) is None
    assert r.blmpop(0.05, 1, "none", direction="LEFT") is None
    assert r.ping()


@pytest.mark.parametrize("pop", ["blpop", "brpop", "bzpopmin", "blmove"])
def test_push_from_another_client(client, upstream, pop):
    r, other = client(decode_responses=True), client(decode_responses=True)
    with ThreadPoolExecutor() as threads:
        args = ("q", "to", 20) if pop == "blmove" else ("q", 20)
        waiting = threads.submit(getattr(r, pop), *args)
        blocked(upstream, 1)
        other.zadd("q", {"x": 1}) if pop == "bzpopmin" else other.rpush("q", "x")
        expected = {"bzpopmin": ["q", "x", 1.0], "blmove": "x"}.get(pop, ["q", "x"])
        assert plain(waiting.result(10)) == expected
    assert other.exists("q") == 0
    if pop == "blmove":
        assert other.lrange("to", 0, -1) == ["x"]


def test_served_in_the_order_of_waiting(client, upstream):
    other = client(decode_responses=True)
    with ThreadPoolExecutor(8) as threads:
        waiting = []
        for i in range(6):
            waiting.append(threads.submit(client(decode_responses=True).blpop, "q", 20))
            blocked(upstream, i + 1)
        for i in range(6):
            other.rpush("q", i)
        assert [plain(w.result(10)) for w in waiting] == [["q", str(i)] for i in range(6)]


def test_client_that_leaves_takes_nothing(client, upstream):
    r = client(decode_responses=True)
    address = urlparse(URL)
    for _ in range(5):
        left = socket.create_connection((address.hostname, address.port))
        left.sendall(b"BLPOP q 0\r\n")
        blocked(upstream, 1)
        left.close()
        blocked(upstream, 0)
        r.rpush("q", "kept")
        assert r.lrange("q", 0, -1) == ["kept"]
        assert r.lpop("q") == "kept"


def test_pipelined_around_a_blocking_pop(client):
    """What stands before the pop in the pipeline happens before it, what stands behind it, after."""
    r = client(decode_responses=True)
    for i in range(5):
        p = r.pipeline(transaction=False).rpush("q", i).blpop("q", 5).llen("q").set("k", i).get("k")
        replies = plain(p.blpop("none", 0.01).get("k").execute())
        assert replies[1:] == [["q", str(i)], 0, True, str(i), None, str(i)]


def test_blocking_inside_a_transaction_does_not_block(r):
    replies = r.pipeline().blpop("none", 0).rpush("q", "x").blpop("q", 0).execute()
    assert plain(replies) == [None, 1, ["q", "x"]]


def test_unblock(client, upstream):
    other = client(decode_responses=True)
    with ThreadPoolExecutor() as threads:
        for error in (False, True):
            r = client(decode_responses=True, single_connection_client=True)
            number = r.client_id()
            waiting = threads.submit(r.blpop, "none", 0)
            blocked(upstream, 1)
            assert other.client_unblock(number, error=error) in (1, True)
            if error:
                with pytest.raises(redis.ResponseError, match="UNBLOCKED client unblocked via CLIENT UNBLOCK"):
                    waiting.result(10)
            else:
                assert waiting.result(10) is None
            assert r.ping()
            assert other.client_unblock(number) in (0, False)


def test_wrong_type_and_bad_timeout(r):
    r.set("s", "v")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE|wrong kind"):
        r.blpop("s", 1)
    with pytest.raises(redis.ResponseError, match="timeout is negative"):
        r.blpop("none", -1)
    with pytest.raises(redis.ResponseError, match="timeout is not a float"):
        r.execute_command("BLPOP", "none", "soon")


def test_producers_and_consumers(client):
    """Every element is taken exactly once."""
    jobs, taken, lock = 600, [], threading.Lock()

    def consume():
        c = client(decode_responses=True)
        while (item := c.blpop("q", 15)[1]) != "stop":
            with lock:
                taken.append(int(item))

    def produce(start):
        c = client()
        for i in range(start, jobs, 3):
            c.lpush("q", i) if i % 2 else c.rpush("q", i)

    consumers = [threading.Thread(target=consume) for _ in range(6)]
    producers = [threading.Thread(target=produce, args=(n,)) for n in range(3)]
    [t.start() for t in consumers + producers]
    [t.join() for t in producers]
    client().rpush("q", *["stop"] * 6)
    [t.join() for t in consumers]
    assert sorted(taken) == list(range(jobs))


def test_wait(r):
    r.set("k", "v")
    assert r.wait(0, 100) == 0
    assert r.wait(1, 50) == 0
