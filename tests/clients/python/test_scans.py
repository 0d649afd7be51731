"""SCAN and its family over thousands of elements; keys() and dbsize() agree."""


def test_scan_iter(r):
    keys = {f"key:{i}" for i in range(5000)}
    p = r.pipeline(transaction=False)
    for key in keys:
        p.set(key, "v")
    p.sadd("a-set", "x")
    p.execute()
    assert set(r.scan_iter(count=100)) == keys | {"a-set"}
    assert set(r.scan_iter(match="key:1*", count=500)) == {k for k in keys if k.startswith("key:1")}
    assert set(r.scan_iter(_type="set", count=1000)) == {"a-set"}
    assert set(r.keys("key:12?")) == {k for k in keys if k.startswith("key:12") and len(k) == 7}
    assert r.dbsize() == 5001


def test_hscan_sscan_zscan(r):
    mapping = {f"f{i}": str(i) for i in range(3000)}
    r.hset("h", mapping=mapping)
    r.sadd("s", *mapping)
    r.zadd("z", mapping)
    assert dict(r.hscan_iter("h", count=100)) == mapping
    assert set(r.sscan_iter("s", count=100)) == set(mapping)
    assert dict(r.zscan_iter("z", count=100)) == {m: float(s) for m, s in mapping.items()}
    assert dict(r.hscan_iter("h", match="f299?")) == {f"f299{i}": f"299{i}" for i in range(10)}
    assert list(r.sscan_iter("none")) == []


def test_scan_while_keys_change(r):
    stay = {f"stay:{i}" for i in range(1000)}
    r.mset({k: 1 for k in stay})
    seen = set()
    for n, key in enumerate(r.scan_iter(count=50)):
        seen.add(key)
        r.set(f"new:{n}", 1) if n % 2 else r.delete(f"new:{n - 1}")
        if n > 20_000:
            break
    assert stay <= seen
