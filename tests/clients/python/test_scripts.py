"""Lua scripts and functions."""
import pytest
import redis


def test_eval_replies(r, protocol):
    assert r.eval("return {1, 'two', {3, false}}", 0) == [1, "two", [3, None]]
    assert r.eval("return redis.status_reply('FINE')", 0) == "FINE"
    assert r.eval("return {KEYS[1], ARGV[1]}", 1, "k", "a") == ["k", "a"]
    with pytest.raises(redis.ResponseError, match="no luck"):
        r.eval("return redis.error_reply('no luck')", 0)
    doubles = r.eval("redis.setresp(3); return {double=1.5}", 0)
    assert doubles == (1.5 if protocol == 3 else "1.5")


def test_registered_script_survives_a_script_flush(r):
    script = r.register_script("redis.call('INCRBY', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[1])")
    assert script(keys=["k"], args=[5]) == "5"
    assert script(keys=["k"], args=[5]) == "10"
    assert r.script_exists(script.sha) == [True]
    assert r.script_flush()
    assert r.script_exists(script.sha) == [False]
    assert script(keys=["k"], args=[1]) == "11"
    assert r.get("k") == "11"


def test_script_in_pipelines(r):
    script = r.register_script("return redis.call('INCR', KEYS[1])")
    for transaction in (True, False):
        p = r.pipeline(transaction=transaction)
        for _ in range(3):
            script(keys=["n"], client=p)
            p.get("n")
        replies = p.execute()
        assert replies[1::2] == [str(n) for n in replies[0::2]]
    assert r.get("n") == "6"


def test_noscript_and_compile_errors(r):
    with pytest.raises(redis.exceptions.NoScriptError):
        r.evalsha("f" * 40, 0)
    with pytest.raises(redis.ResponseError, match="[Cc]ompiling"):
        r.eval("this is not lua", 0)


def test_script_writes_are_seen_at_once(client):
    r, other = client(decode_responses=True), client(decode_responses=True)
    for i in range(50):
        other.get("declared"), other.get("undeclared")
        r.eval("redis.call('SET', KEYS[1], ARGV[1]); redis.call('SET', 'undeclared', ARGV[1])", 1, "declared", i)
        assert (other.get("declared"), other.get("undeclared")) == (str(i), str(i))


def test_read_only_script(r):
    r.set("k", "v")
    assert r.eval_ro("return redis.call('GET', KEYS[1])", 1, "k") == "v"
    with pytest.raises(redis.ResponseError, match="read-only"):
        r.eval_ro("return redis.call('DEL', KEYS[1])", 1, "k")


def test_functions(r):
    code = """#!lua name=lib
redis.register_function('bump', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)
redis.register_function{function_name='peek', callback=function(keys) return redis.call('GET', keys[1]) end,
  flags={'no-writes'}}"""
    assert r.function_load(code) == "lib"
    assert r.fcall("bump", 1, "k", 3) == 3
    assert r.get("k") == "3"
    assert r.fcall("bump", 1, "k", 3) == 6
    assert r.get("k") == "6"
    assert r.fcall_ro("peek", 1, "k") == "6"
    with pytest.raises(redis.ResponseError, match="already exists"):
        r.function_load(code)
    assert "lib" in str(r.function_list())
    assert r.function_delete("lib")
    with pytest.raises(redis.ResponseError, match="Function not found"):
        r.fcall("bump", 1, "k", 3)
