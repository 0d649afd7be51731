"""Connecting, the data types, large and binary values, databases."""
import pytest
import redis

from conftest import URL, plain


def test_handshake(client, protocol):
    r = client(client_name="tester", decode_responses=True)
    assert r.ping() is True
    assert r.client_getname() == "tester"
    hello = r.execute_command("HELLO", protocol)
    if isinstance(hello, list):
        hello = dict(zip(hello[::2], hello[1::2]))
    assert hello["server"] == "redis"
    assert hello["proto"] == protocol
    assert hello["role"] == "master"


def test_password_where_none_is_set(client, protocol):
    # AUTH with a password alone is refused; HELLO names the user, who takes any password.
    if protocol == 2:
        with pytest.raises(redis.exceptions.AuthenticationError):
            client(password="wrong").ping()
    else:
        assert client(password="any").ping()
    with pytest.raises(redis.exceptions.AuthenticationError):
        client(username="nobody", password="wrong").ping()


def test_unknown_command_and_arity(r):
    with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH'"):
        r.execute_command("NOSUCH", "x")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments for 'get' command"):
        r.execute_command("GET")
    assert r.ping()


def test_strings(r):
    assert r.get("s") is None
    assert r.set("s", "1") is True
    assert r.incrby("s", 41) == 42
    for _ in range(5):
        assert r.get("s") == "42"
    assert r.append("s", "!") == 3
    assert r.get("s") == "42!"
    assert r.set("s", "no", nx=True) is None
    assert r.set("s", "new", get=True) == "42!"
    assert r.mset({"a": "1", "b": "2"})
    assert r.mget("a", "none", "b") == ["1", None, "2"]
    assert r.getrange("s", 0, 1) == "ne"
    assert r.incrbyfloat("f", 1.5) == 1.5
    assert r.getdel("s") == "new"
    assert r.exists("s", "a", "b") == 2
    with pytest.raises(redis.ResponseError, match="not an integer"):
        r.incr("f")


def test_expiry(r):
    r.set("k", "v", px=60_000)
    assert r.get("k") == "v"
    assert 0 < r.pttl("k") <= 60_000
    assert r.persist("k") is True
    assert r.ttl("k") == -1
    assert r.pexpire("k", 0) is True
    assert r.get("k") is None
    assert r.ttl("k") == -2


def test_hashes(r):
    assert r.hset("h", mapping={"a": "1", "b": "2"}) == 2
    for _ in range(5):
        assert r.hgetall("h") == {"a": "1", "b": "2"}
        assert r.hget("h", "a") == "1"
        assert r.hmget("h", "a", "z") == ["1", None]
    assert r.hincrby("h", "a", 4) == 5
    assert r.hgetall("h") == {"a": "5", "b": "2"}
    assert r.hincrbyfloat("h", "f", 0.25) == 0.25
    assert r.hdel("h", "a", "f") == 2
    assert (r.hlen("h"), r.hkeys("h"), r.hvals("h")) == (1, ["b"], ["2"])
    assert r.hexists("h", "a") is False
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE|Operation against a key"):
        r.get("h")


def test_lists(r):
    assert r.rpush("l", *"abcde") == 5
    for _ in range(5):
        assert r.lrange("l", 0, -1) == list("abcde")
    assert r.lpop("l") == "a"
    assert r.rpop("l", 2) == ["e", "d"]
    assert r.lrange("l", 0, -1) == ["b", "c"]
    assert r.linsert("l", "before", "c", "x") == 3
    assert r.lpos("l", "x") == 1
    assert r.lmove("l", "l2", "LEFT", "RIGHT") == "b"
    assert r.lmpop(2, "none", "l", direction="LEFT", count=5) == ["l", ["x", "c"]]
    assert r.lpop("none", 2) is None


def test_sets(r):
    assert r.sadd("s1", "a", "b", "c") == 3
    assert r.sadd("s2", "b", "c", "d") == 3
    for _ in range(5):
        assert r.smembers("s1") == {"a", "b", "c"}
        assert r.sismember("s1", "a") == 1
        assert r.smismember("s1", ["a", "d"]) == [1, 0]
        assert r.sinter("s1", "s2") == {"b", "c"}
    assert r.srem("s1", "a") == 1
    assert r.smembers("s1") == {"b", "c"}
    assert r.sinter("s1", "s2") == {"b", "c"}
    assert r.sunionstore("s3", "s1", "s2") == 3
    assert r.sintercard(2, ["s1", "s2"]) == 2


def test_sorted_sets(r):
    assert r.zadd("z", {"a": 1, "b": 2.5, "c": float("inf")}) == 3
    for _ in range(5):
        assert r.zscore("z", "b") == 2.5
        assert r.zscore("z", "none") is None
        assert r.zrange("z", 0, -1) == ["a", "b", "c"]
        assert plain(r.zrange("z", 0, 1, withscores=True)) == [["a", 1.0], ["b", 2.5]]
        assert r.zmscore("z", ["a", "none"]) == [1.0, None]
    assert r.zincrby("z", 10, "a") == 11.0
    assert r.zrange("z", 0, -1) == ["b", "a", "c"]
    above = r.zrangebyscore("z", "(2.5", "+inf", withscores=True)
    assert plain(above) == [["a", 11.0], ["c", float("inf")]]
    assert r.zrank("z", "none") is None
    assert plain(r.zpopmin("z")) in ([["b", 2.5]], ["b", 2.5])
    assert r.zrandmember("none") is None
    assert plain(r.zunion(["z", "none"], withscores=True)) == [["a", 11.0], ["c", float("inf")]]


def test_bits_geo_hyperloglog(r):
    assert r.setbit("bits", 7, 1) == 0
    assert (r.getbit("bits", 7), r.bitcount("bits")) == (1, 1)
    assert r.bitfield("bits").get("u8", 0).execute() == [1]
    assert r.pfadd("hll", "a", "b", "a") == 1
    assert r.pfcount("hll") == 2
    assert r.geoadd("g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")) == 2
    assert round(r.geodist("g", "Palermo", "Catania", unit="km"), 4) == 166.2742
    assert r.geosearch("g", member="Palermo", radius=200, unit="km", sort="ASC") == ["Palermo", "Catania"]
    (longitude, latitude), missing = r.geopos("g", "Palermo", "none")
    assert abs(longitude - 13.361389) < 1e-5 and abs(latitude - 38.115556) < 1e-5 and missing is None


def test_generic(client):
    r = client(decode_responses=True)
    r.set("k", "v")
    assert r.type("k") == "string" and r.type("none") == "none"
    assert r.copy("k", "k2") is True
    assert r.rename("k2", "k3") is True
    assert r.get("k2") is None and r.get("k3") == "v"
    dumped = client().dump("k")
    assert r.restore("k4", 0, dumped) == "OK"
    assert r.get("k4") == "v"
    assert r.object("encoding", "k") == "embstr"
    assert r.unlink("k", "k3", "k4", "none") == 3
    assert r.dbsize() == 0
    r.rpush("nums", 3, 1, 2)
    assert r.sort("nums", desc=True) == ["3", "2", "1"]
    assert r.config_get("maxmemory")["maxmemory"].isdigit()
    assert r.memory_usage("nums") > 0


def test_binary_keys_and_values(client):
    r = client()
    every_byte = bytes(range(256))
    for key in (every_byte, b"", b"\r\n$3\r\nfoo\r\n", b"*1\r\n"):
        assert r.set(key, every_byte)
        for _ in range(4):
            assert r.get(key) == every_byte
        assert r.hset(b"h" + key, every_byte, key) == 1
        assert r.hgetall(b"h" + key) == {every_byte: key}
    assert set(r.keys()) >= {every_byte, b"", b"*1\r\n"}


def test_large_values(client):
    r = client()
    big = bytes(range(256)) * (20 * 1024 * 1024 // 256)
    assert r.set("big", big)
    assert r.strlen("big") == len(big)
    for _ in range(3):
        assert r.get("big") == big
    assert r.getrange("big", 256, 511) == big[:256]
    assert r.pipeline(transaction=False).get("big").ping().get("big").execute() == [big, True, big]
    assert r.set("big", b"small") and r.get("big") == b"small"


def test_many_elements(r):
    members = {f"m{i}": i for i in range(20_000)}
    assert r.zadd("z", members) == 20_000
    assert r.rpush("l", *members) == 20_000
    assert r.hset("h", mapping=members) == 20_000
    for _ in range(3):
        assert plain(r.zrange("z", 0, -1, withscores=True)) == [[m, float(s)] for m, s in members.items()]
        assert r.lrange("l", 0, -1) == list(members)
        assert r.hgetall("h") == {m: str(i) for m, i in members.items()}


def test_databases(client):
    base = URL.rstrip("/")
    zero, one = (client(url=f"{base}/{db}", decode_responses=True) for db in (0, 1))
    zero.set("k", "in 0")
    assert one.get("k") is None
    one.set("k", "in 1")
    for _ in range(5):
        assert (zero.get("k"), one.get("k")) == ("in 0", "in 1")
    assert one.move("k", 0) is False
    assert one.delete("k") == 1
    assert (zero.get("k"), one.get("k")) == ("in 0", None)
    with pytest.raises(redis.ResponseError, match="DB index is out of range"):
        client(url=f"{base}/99").ping()


def test_swapdb_and_flushdb(client):
    base = URL.rstrip("/")
    zero, one = (client(url=f"{base}/{db}", decode_responses=True) for db in (0, 1))
    zero.set("k", "a")
    one.set("k", "b")
    for _ in range(4):
        assert (zero.get("k"), one.get("k")) == ("a", "b")
    assert zero.swapdb(0, 1) is True
    assert (zero.get("k"), one.get("k")) == ("b", "a")
    assert one.flushdb() is True
    assert (zero.get("k"), one.get("k")) == ("b", None)
