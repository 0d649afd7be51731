"""What every test gets: clients of the server under test, in both protocols, and an empty keyspace.

The subject is NEARCACHE_TEST_URL. NEARCACHE_TEST_UPSTREAM is the server behind it (the subject
itself when there is none): some tests write there, or look there at what the subject did.
"""
import os
import time

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

URL = os.environ["NEARCACHE_TEST_URL"]
UPSTREAM = os.environ.get("NEARCACHE_TEST_UPSTREAM", URL)


def connect(protocol, url=URL, **options):
    """A client that neither retries nor waits forever: a test sees what the server did."""
    options.setdefault("socket_timeout", 20)
    options.setdefault("retry", Retry(NoBackoff(), 0))
    return redis.Redis.from_url(url, protocol=protocol, **options)


def until(condition, what, seconds=10):
    """Polls until the condition holds and returns what it returned."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def plain(reply):
    """The reply with every tuple as a list: the library pairs elements in one protocol, not in the other."""
    return [plain(each) for each in reply] if isinstance(reply, (list, tuple)) else reply


def blocked(upstream, count):
    """Waits until exactly `count` clients are blocked in the server that executes."""
    until(lambda: upstream.info("clients")["blocked_clients"] == count, f"{count} blocked clients")


@pytest.fixture(params=[2, 3], ids=["resp2", "resp3"])
def protocol(request):
    return request.param


@pytest.fixture
def client(protocol):
    """Makes clients and closes them, whatever the test did."""
    made = []

    def make(**options):
        made.append(connect(protocol, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def r(client):
    return client(decode_responses=True)


@pytest.fixture
def upstream():
    with connect(3, UPSTREAM, decode_responses=True) as each:
        yield each


@pytest.fixture(autouse=True)
def empty_keyspace():
    with connect(2) as each:
        each.flushall()
        each.script_flush()
        each.function_flush()
