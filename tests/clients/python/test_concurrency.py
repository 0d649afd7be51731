"""Many threads: locks, counters, and writes that every client sees at once."""
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from redis.lock import Lock

from conftest import until


def test_lock_excludes(client):
    r = client(max_connections=20)
    inside, worst = [0], [0]

    def work(_):
        for _ in range(8):
            with Lock(r, "lock", timeout=10, sleep=0.002):
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                r.set("n", int(r.get("n") or 0) + 1)
                inside[0] -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert worst[0] == 1
    assert int(r.get("n")) == 64
    assert r.get("lock") is None


def test_lock_expires_extends_and_is_not_stolen(r):
    lock = r.lock("lock", timeout=10, blocking=False)
    assert lock.acquire()
    assert not r.lock("lock", blocking=False).acquire()
    assert lock.extend(5) and lock.reacquire() and lock.owned() and lock.locked()
    r.set("lock", "another's")
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        lock.release()
    assert r.get("lock") == "another's"


def test_counters(client):
    r = client(decode_responses=True)

    def work(seed):
        own = random.Random(seed)
        for i in range(100):
            r.incr("n")
            r.hincrby("h", f"f{own.randrange(5)}", 1)
            r.get("n"), r.hgetall("h")

    with ThreadPoolExecutor(10) as threads:
        list(threads.map(work, range(10)))
    assert r.get("n") == "1000"
    assert sum(map(int, r.hgetall("h").values())) == 1000


def test_a_write_is_seen_by_every_client_after_its_reply(client):
    clients = [client(decode_responses=True) for _ in range(6)]
    own = random.Random(7)
    for i in range(600):
        writer, reader = own.choice(clients), own.choice(clients)
        key = f"k{i % 4}"
        reader.get(key), writer.get(key)
        writer.set(key, i)
        assert reader.get(key) == str(i)
        assert all(c.get(key) == str(i) for c in clients)


def test_values_never_go_back(client):
    """Readers of a counter that only grows see it only grow; two keys written together stay together."""
    writer, done = client(decode_responses=True), threading.Event()
    writer.mset({"a": 0, "b": 0})

    def write():
        for i in range(1, 400):
            writer.mset({"a": i, "b": i})
        done.set()

    def read(_):
        r, last, reads = client(decode_responses=True), 0, 0
        while not done.is_set() or reads < 10:
            a, b = map(int, r.mget("a", "b"))
            assert a == b
            one = int(r.get("a"))
            assert last <= a <= one
            last, reads = one, reads + 1
        return last

    with ThreadPoolExecutor(5) as threads:
        readers = [threads.submit(read, n) for n in range(4)]
        threads.submit(write).result(20)
        [each.result(20) for each in readers]
    assert [writer.get("a"), writer.get("b")] == ["399", "399"]


def test_writes_behind_the_subject_become_visible(r, upstream):
    for i in range(50):
        r.get("k"), r.get("k"), r.hgetall("h"), r.hgetall("h")
        upstream.set("k", i)
        upstream.hset("h", "f", i)
        until(lambda: r.get("k") == str(i) and r.hgetall("h") == {"f": str(i)}, "the write", 2)
    upstream.flushall()
    until(lambda: r.get("k") is None and r.hgetall("h") == {}, "the flush", 2)


def test_expiry_ends_hits(r, upstream):
    r.set("k", "v", px=80)
    value = [r.get("k")]
    until(lambda: r.get("k") is None, "the expiry", 3)
    assert value in (["v"], [None])
    assert upstream.exists("k") == 0
