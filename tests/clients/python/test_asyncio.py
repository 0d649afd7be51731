"""The asyncio client: concurrency, pipelines, pub/sub, blocking, cancellation."""
import asyncio

import pytest
import redis.asyncio as aioredis
from redis.exceptions import ResponseError, WatchError

from conftest import URL, blocked, plain


@pytest.fixture
def run(protocol):
    """Runs a coroutine function with an asyncio client."""

    def runner(test):
        async def main():
            async with aioredis.from_url(URL, protocol=protocol, decode_responses=True, max_connections=600) as r:
                await asyncio.wait_for(test(r), 25)

        asyncio.run(main())

    return runner


async def message(pubsub):
    async with asyncio.timeout(10):
        while True:
            if got := await pubsub.get_message(timeout=1):
                return got["type"], got["channel"], got["data"]


def test_types(run):
    async def test(r):
        assert await r.set("k", "v")
        assert await r.hset("h", mapping={"a": 1}) == 1
        assert await r.zadd("z", {"m": 1.5}) == 1
        for _ in range(5):
            assert await r.get("k") == "v"
            assert await r.hgetall("h") == {"a": "1"}
            assert plain(await r.zrange("z", 0, -1, withscores=True)) == [["m", 1.5]]
        with pytest.raises(ResponseError):
            await r.incr("k")

    run(test)


def test_gathered(run):
    async def test(r):
        await asyncio.gather(*(r.set(f"k{i}", i) for i in range(200)))
        for _ in range(3):
            assert await asyncio.gather(*(r.get(f"k{i}") for i in range(200))) == [str(i) for i in range(200)]
        assert sorted(await asyncio.gather(*(r.incr("n") for _ in range(200)))) == list(range(1, 201))

    run(test)


@pytest.mark.parametrize("transaction", [False, True])
def test_pipeline(run, transaction):
    async def test(r):
        async with r.pipeline(transaction=transaction) as p:
            for i in range(2000):
                p.set("k", i).get("k")
            replies = await p.execute()
        assert replies[1::2] == [str(i) for i in range(2000)]

    run(test)


def test_watch(run):
    async def test(r):
        async with r.pipeline() as p:
            await p.watch("k")
            await r.set("k", "other")
            p.multi()
            p.set("k", "mine")
            with pytest.raises(WatchError):
                await p.execute()
        assert await r.get("k") == "other"

    run(test)


def test_pubsub(run):
    async def test(r):
        async with r.pubsub() as p:
            await p.subscribe("a")
            await p.psubscribe("b*")
            assert await message(p) == ("subscribe", "a", 1)
            assert await message(p) == ("psubscribe", "b*", 2)
            for i in range(100):
                assert await r.publish("a", i) == 1
                assert await r.publish("bb", i) == 1
            for i in range(100):
                assert await message(p) == ("message", "a", str(i))
                assert await message(p) == ("pmessage", "bb", str(i))
            assert await p.get_message(timeout=0.02) is None
            await p.unsubscribe("a")
            assert await message(p) == ("unsubscribe", "a", 1)

    run(test)


def test_cancelled_pop_takes_nothing(run, upstream):
    async def test(r):
        waiting = asyncio.create_task(r.blpop("q", 0))
        await asyncio.to_thread(blocked, upstream, 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.to_thread(blocked, upstream, 0)
        await r.rpush("q", "kept")
        assert await r.lrange("q", 0, -1) == ["kept"]

    run(test)


def test_blocking_beside_other_work(run):
    async def test(r):
        waiting = [asyncio.create_task(r.blpop(f"q{i}", 10)) for i in range(20)]
        for i in range(200):
            await r.set("k", i)
            assert await r.get("k") == str(i)
        await asyncio.gather(*(r.rpush(f"q{i}", i) for i in range(20)))
        assert plain(await asyncio.gather(*waiting)) == [[f"q{i}", str(i)] for i in range(20)]

    run(test)


def test_script_scan_stream(run):
    async def test(r):
        script = r.register_script("return redis.call('SET', KEYS[1], ARGV[1])")
        await asyncio.gather(*(script(keys=[f"k{i}"], args=[i]) for i in range(500)))
        assert {k async for k in r.scan_iter(count=50)} == {f"k{i}" for i in range(500)}
        waiting = asyncio.create_task(r.xread({"s": "$"}, block=10_000))
        while not waiting.done():
            await r.xadd("s", {"f": "v"})
            await asyncio.sleep(0.005)
        assert "'f': 'v'" in str(await waiting)

    run(test)
