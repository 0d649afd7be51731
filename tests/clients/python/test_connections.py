"""CLIENT *, INFO, COMMAND, MONITOR, and what becomes of connections that break."""
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlparse

import pytest
import redis

from conftest import URL, until


def raw():
    address = urlparse(URL)
    return socket.create_connection((address.hostname, address.port), timeout=10)


def receive(connection, expected):
    """Reads exactly what is expected, or fails with what came instead."""
    got = b""
    while len(got) < len(expected):
        chunk = connection.recv(len(expected) - len(got))
        assert chunk, f"closed after {got!r}"
        got += chunk
    assert got == expected


def test_client_id_name_info_list(client):
    r = client(decode_responses=True, single_connection_client=True)
    number = r.client_id()
    assert number > 0 and r.client_id() == number
    assert r.client_getname() in (None, "")
    assert r.client_setname("worker-1") is True
    assert r.client_getname() == "worker-1"
    assert r.client_info()["name"] == "worker-1"
    other = client(decode_responses=True)
    listed = {int(c["id"]): c for c in other.client_list()}
    assert listed[number]["name"] == "worker-1"
    assert {"addr", "laddr", "fd", "age", "idle", "flags", "db", "sub", "psub", "cmd", "user", "resp"} <= set(
        listed[number])
    assert [int(c["id"]) for c in other.client_list(client_id=[number])] == [number]
    with pytest.raises(redis.ResponseError, match="cannot contain spaces"):
        r.client_setname("a b")


def test_kill_another_connection(client):
    victim = client(decode_responses=True, single_connection_client=True)
    number, r = victim.client_id(), client(decode_responses=True)
    assert r.client_kill_filter(_id=number) == 1
    with pytest.raises(redis.ConnectionError):
        victim.ping()
    assert r.client_kill_filter(_id=number) == 0
    with pytest.raises(redis.ResponseError, match="No such client"):
        r.client_kill("1.2.3.4:5")


def test_kill_by_address(client):
    victim = client(decode_responses=True, single_connection_client=True)
    r = client(decode_responses=True)
    assert r.client_kill(victim.client_info()["addr"]) is True
    with pytest.raises(redis.ConnectionError):
        victim.ping()


def test_pool_goes_on_after_its_connections_were_killed(client):
    r = client(decode_responses=True, retry=redis.retry.Retry(redis.backoff.NoBackoff(), 2))
    admin = client(decode_responses=True, single_connection_client=True)
    r.set("k", "v")
    for _ in range(10):
        mine = admin.client_id()
        for each in admin.client_list(_type="normal"):
            if int(each["id"]) != mine:
                admin.client_kill_filter(_id=each["id"])
        assert r.get("k") == "v"


def test_pool_connection_is_reused_after_an_error(client):
    r = client(decode_responses=True, max_connections=1)
    number = r.client_id()
    for _ in range(20):
        with pytest.raises(redis.ResponseError):
            r.execute_command("NOSUCH")
        r.rpush("l", 1)
        with pytest.raises(redis.ResponseError):
            r.incr("l")
        assert r.client_id() == number


def test_timeout_breaks_no_other_reply(client):
    """A reply that comes after the client gave up must not be taken for another command's."""
    r = client(decode_responses=True, max_connections=1, socket_timeout=0.5)
    r.set("k", "v")
    for _ in range(2):
        with pytest.raises(redis.TimeoutError):
            r.blpop("none", 0)
        assert r.get("k") == "v"


def test_pause(client):
    r = client(decode_responses=True)
    # All commands wait, UNPAUSE too: this one ends by itself.
    assert r.client_pause(50)
    assert r.get("k") is None
    assert r.client_pause(60_000, all=False)
    with ThreadPoolExecutor() as threads:
        assert r.get("k") is None
        write = threads.submit(r.set, "k", "v")
        assert r.get("k") is None and not write.done()
        assert r.client_unpause()
        assert write.result(10)
    assert r.get("k") == "v"


def test_reply_off_on_skip():
    with raw() as c:
        c.sendall(b"CLIENT REPLY OFF\r\nSET k v\r\nGET k\r\nNOSUCH\r\nCLIENT REPLY ON\r\nGET k\r\n")
        receive(c, b"+OK\r\n$1\r\nv\r\n")
        c.sendall(b"CLIENT REPLY SKIP\r\nGET k\r\nECHO a\r\n")
        receive(c, b"$1\r\na\r\n")


def test_inline_and_split_requests():
    with raw() as c:
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        c.sendall(b"SET k 'a b'\r\n\r\nGET k\n")
        receive(c, b"+OK\r\n$3\r\na b\r\n")
        for byte in b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n":
            c.sendall(bytes([byte]))
        receive(c, b"$3\r\na b\r\n")
        c.sendall(b"*1\r\n$5\r\nHELLO\r\n*1\r\n$oops\r\n")
        until(lambda: b"Protocol error: invalid bulk length" in c.recv(4096), "the protocol error")
        assert c.recv(1) == b""


def test_quit_and_reset(protocol):
    with raw() as c:
        c.sendall(b"HELLO %d\r\nSELECT 3\r\nMULTI\r\nRESET\r\n" % protocol)
        got = b""
        while not got.endswith(b"+RESET\r\n"):
            got += c.recv(4096)
        assert b"+OK\r\n+OK\r\n+RESET\r\n" in got
        c.sendall(b"GET none\r\nCLIENT INFO\r\n")
        receive(c, b"$-1\r\n")
        info = b""
        while b"\n\r\n" not in info:
            info += c.recv(4096)
        assert b" db=0 " in info and b" resp=2" in info
        c.sendall(b"QUIT\r\nPING\r\n")
        receive(c, b"+OK\r\n")
        assert c.recv(1) == b""


def test_no_evict_no_touch_tracking(r):
    assert r.client_no_evict("ON") == "OK"
    tracking = r.client_trackinginfo()
    flags = tracking["flags"] if isinstance(tracking, dict) else tracking[1]
    assert set(flags) == {"off"}
    assert r.client_getredir() == -1


def test_info(r):
    info = r.info()
    assert info["redis_version"].count(".") == 2
    assert info["loading"] == 0
    assert info["role"] == "master"
    for name in ("connected_clients", "used_memory", "total_commands_processed", "uptime_in_seconds"):
        assert isinstance(info[name], int), name
    assert "connected_clients" in r.info("clients")
    assert "connected_clients" in r.info("everything")


def test_command(r):
    commands = r.command()
    assert len(commands) > 200
    assert commands["get"]["arity"] == 2 and "readonly" in commands["get"]["flags"]
    assert commands["set"]["arity"] == -3 and commands["set"]["first_key_pos"] == 1
    assert r.command_count() == len(commands)
    docs = r.execute_command("COMMAND DOCS", "get")
    assert "summary" in str(docs) and "get" in str(docs)
    assert r.command_getkeys("MSET", "a", 1, "b", 2) == ["a", "b"]
    assert "get" in r.command_list()


def test_monitor(client):
    r = client(decode_responses=True)
    with client(decode_responses=True).monitor() as monitor:
        r.set("seen", "va\"lue")
        r.get("seen")
        lines = []
        for event in monitor.listen():
            lines.append(event["command"])
            if "GET seen" in lines[-1] or len(lines) > 50:
                break
        assert any('SET seen va' in line for line in lines), lines
        assert "GET seen" in lines[-1]
    assert r.ping()


def test_time_role_lolwut_slowlog(r):
    before = int(time.time())
    seconds, micros = r.time()
    assert before <= seconds <= time.time() and 0 <= micros < 1_000_000
    assert r.role()[0] == "master"
    assert "Redis" in r.lolwut()
    assert isinstance(r.slowlog_len(), int)
    assert isinstance(r.slowlog_get(3), list)
    assert r.acl_whoami() == "default"
    assert isinstance(r.latency_history("command"), list)


def test_many_connections(client):
    clients = [client(decode_responses=True) for _ in range(200)]
    for i, each in enumerate(clients):
        each.set(f"k{i}", i)
    assert [each.get(f"k{i}") for i, each in enumerate(clients)] == [str(i) for i in range(200)]
    assert clients[0].info("clients")["connected_clients"] >= 200
