"""Streams: ranges, consumer groups, blocking reads."""
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from conftest import blocked


def entries(reply):
    """[(id, fields)] of a read of one stream, whatever shape the library gives it."""
    (_, found), = reply.items() if isinstance(reply, dict) else reply
    return [tuple(e) for e in (found[0] if found and isinstance(found[0], list) else found)]


def test_add_range_trim(r):
    ids = [r.xadd("s", {"n": i, "twice": 2 * i}) for i in range(100)]
    for _ in range(4):
        assert r.xlen("s") == 100
        assert r.xrange("s", count=2) == [(ids[i], {"n": str(i), "twice": str(2 * i)}) for i in range(2)]
    assert r.xrevrange("s", count=1) == [(ids[99], {"n": "99", "twice": "198"})]
    assert entries(r.xread({"s": ids[97]})) == [(ids[i], {"n": str(i), "twice": str(2 * i)}) for i in (98, 99)]
    assert r.xdel("s", ids[0]) == 1
    assert r.xtrim("s", maxlen=10, approximate=False) == 89
    assert r.xlen("s") == 10
    info = r.xinfo_stream("s")
    assert (info["length"], info["last-generated-id"]) == (10, ids[99])
    with pytest.raises(redis.ResponseError, match="equal or smaller"):
        r.xadd("s", {"n": 0}, id=ids[0])


def test_consumer_group(r):
    assert r.xgroup_create("s", "g", id="0", mkstream=True) is True
    with pytest.raises(redis.ResponseError, match="BUSYGROUP|already exists"):
        r.xgroup_create("s", "g")
    ids = [r.xadd("s", {"n": i}) for i in range(10)]
    first = entries(r.xreadgroup("g", "one", {"s": ">"}, count=4))
    second = entries(r.xreadgroup("g", "two", {"s": ">"}))
    assert [i for i, _ in first + second] == ids
    assert r.xack("s", "g", *ids[:3]) == 3
    pending = r.xpending("s", "g")
    assert pending["pending"] == 7
    assert {c["name"]: c["pending"] for c in pending["consumers"]} == {"one": 1, "two": 6}
    assert [p["message_id"] for p in r.xpending_range("s", "g", "-", "+", 2)] == ids[3:5]
    assert [i for i, _ in r.xclaim("s", "g", "one", 0, [ids[9]])] == [ids[9]]
    claimed = r.xautoclaim("s", "g", "one", 0)
    assert claimed[0] == "0-0" and [i for i, _ in claimed[1]] == ids[3:]
    assert r.xinfo_groups("s")[0]["pending"] == 7
    assert {c["name"]: c["pending"] for c in r.xinfo_consumers("s", "g")} == {"one": 7, "two": 0}
    assert r.xgroup_delconsumer("s", "g", "two") == 0
    assert r.xgroup_destroy("s", "g")


def test_blocking_read(client, upstream):
    r, other = client(decode_responses=True), client(decode_responses=True)
    assert not r.xread({"s": "$"}, block=20)
    with ThreadPoolExecutor() as threads:
        for i in range(10):
            waiting = threads.submit(r.xread, {"s": "$"}, block=15_000)
            blocked(upstream, 1)
            added = other.xadd("s", {"n": i})
            assert entries(waiting.result(10)) == [(added, {"n": str(i)})]


def test_blocking_group_read(client, upstream):
    r, other = client(decode_responses=True), client(decode_responses=True)
    r.xgroup_create("s", "g", id="$", mkstream=True)
    assert not r.xreadgroup("g", "c", {"s": ">"}, block=20)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(r.xreadgroup, "g", "c", {"s": ">"}, block=15_000)
        blocked(upstream, 1)
        added = other.xadd("s", {"n": 1})
        assert entries(waiting.result(10)) == [(added, {"n": "1"})]
        waiting = threads.submit(r.xreadgroup, "g", "c", {"s": ">"}, block=15_000)
        blocked(upstream, 1)
        other.delete("s")
        with pytest.raises(redis.ResponseError, match="NOGROUP|no longer exists"):
            waiting.result(10)
