// ioredis, in both protocols.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import Redis from "ioredis";
import { blocked, flush, host, numbers, port, until, url } from "./subject.mjs";

for (const protocol of [2, 3]) {
  describe(`ioredis RESP${protocol}`, () => {
    beforeEach(flush);

    /** Runs a test with a factory of clients, all closed at its end. */
    const withClients = (body) => async () => {
      const made = [];
      const connect = (options = {}) => {
        const client = new Redis(url, { protocol, maxRetriesPerRequest: 0, ...options });
        client.errors = [];
        client.on("error", (error) => client.errors.push(error));
        made.push(client);
        return client;
      };
      try {
        await body(connect);
      } finally {
        made.forEach((client) => client.disconnect());
      }
    };

    test("ready check, name, database", withClients(async (connect) => {
      const r = connect({ connectionName: "named", db: 2, enableReadyCheck: true });
      await until(() => r.status === "ready", "ready");
      assert.equal(await r.client("GETNAME"), "named");
      assert.match(await r.client("INFO"), / db=2 /);
      assert.equal(r.serverInfo?.loading ?? "0", "0");
      await r.set("k", "in 2");
      assert.equal(await connect().get("k"), null);
      assert.deepEqual(r.errors, []);
    }));

    test("lazy connect", withClients(async (connect) => {
      const r = connect({ lazyConnect: true });
      assert.equal(r.status, "wait");
      await r.connect();
      assert.equal(await r.ping(), "PONG");
      assert.equal(await r.quit(), "OK");
      await until(() => r.status === "end", "the end");
    }));

    test("types", withClients(async (connect) => {
      const r = connect();
      await r.set("s", "v", "EX", 100);
      await r.hset("h", { a: 1, b: 2 });
      await r.rpush("l", 1, 2, 3);
      await r.sadd("set", "x");
      await r.zadd("z", 1.5, "a", 2, "b");
      for (let i = 0; i < 5; i++) {
        assert.equal(await r.get("s"), "v");
        assert.deepEqual(await r.hgetall("h"), { a: "1", b: "2" });
        assert.deepEqual(await r.hmget("h", "a", "none"), ["1", null]);
        assert.deepEqual(await r.lrange("l", 0, -1), ["1", "2", "3"]);
        assert.deepEqual(await r.smembers("set"), ["x"]);
        assert.deepEqual(await r.zrange("z", 0, -1, "WITHSCORES"), ["a", "1.5", "b", "2"]);
        assert.equal(await r.zscore("z", "a"), "1.5");
        assert.equal(await r.get("none"), null);
        assert.deepEqual(await r.mget("s", "none"), ["v", null]);
      }
      const bytes = Buffer.from(numbers(256));
      await r.set(bytes, bytes);
      for (let i = 0; i < 3; i++) assert.deepEqual(await r.getBuffer(bytes), bytes);
      await assert.rejects(r.incr("s"), /ERR value is not an integer/);
      await assert.rejects(r.lpush("s", "x"), /WRONGTYPE/);
      await assert.rejects(r.call("NOSUCH", "x"), /unknown command 'NOSUCH'/);
    }));

    test("replies as objects and numbers", withClients(async (connect) => {
      const r = connect(protocol === 3 ? { replyMapping: "resp3" } : {});
      await r.zadd("z", 1.5, "a");
      const expected = protocol === 3 ? 1.5 : "1.5";
      for (let i = 0; i < 4; i++) assert.equal(await r.zscore("z", "a"), expected);
      const config = await r.config("GET", "maxmemory");
      assert.ok(protocol === 3 ? "maxmemory" in config : config[0] === "maxmemory");
    }));

    test("pipeline", withClients(async (connect) => {
      const r = connect();
      const pipeline = r.pipeline();
      for (const i of numbers(5000)) pipeline.set("k", i).get("k");
      const replies = await pipeline.lpush("k", 1).get("k").exec();
      for (const i of numbers(5000)) assert.deepEqual(replies[2 * i + 1], [null, String(i)]);
      assert.match(replies[10_000][0].message, /WRONGTYPE/);
      assert.deepEqual(replies[10_001], [null, "4999"]);
    }));

    test("multi, discard, watch", withClients(async (connect) => {
      const [r, other] = [connect(), connect()];
      assert.deepEqual(await r.multi().incr("n").get("n").hset("h", "a", 1).hgetall("h").exec(), [
        [null, 1], [null, "1"], [null, 1], [null, { a: "1" }]]);
      await r.multi({ pipeline: false });
      assert.equal(await r.incr("n"), "QUEUED");
      await r.discard();
      await r.watch("n");
      assert.equal(await r.get("n"), "1");
      await other.set("n", 10);
      assert.equal(await r.multi().set("n", 2).exec(), null);
      await r.watch("n");
      assert.deepEqual(await r.multi().incr("n").exec(), [[null, 11]]);
      await assert.rejects(r.multi().set("n", 1).call("NOSUCH").exec(), /EXECABORT/);
      assert.equal(await other.get("n"), "11");
    }));

    test("publish and subscribe", withClients(async (connect) => {
      const [r, s] = [connect(), connect()];
      const got = [];
      s.on("message", (channel, message) => got.push(["message", channel, message]));
      s.on("pmessage", (pattern, channel, message) => got.push([pattern, channel, message]));
      s.on("smessage", (channel, message) => got.push(["smessage", channel, message]));
      assert.equal(await s.subscribe("a", "b"), 2);
      assert.equal(await s.psubscribe("p*"), 3);
      assert.equal(await s.ssubscribe("shard"), 1);
      const counts = await Promise.all(numbers(1000).map((i) => r.publish(i % 2 ? "a" : "px", i)));
      assert.deepEqual(new Set(counts), new Set([1]));
      assert.equal(await r.spublish("shard", "x"), 1);
      await until(() => got.length === 1001, "all messages");
      for (const i of numbers(1000)) {
        assert.deepEqual(got[i], i % 2 ? ["message", "a", String(i)] : ["p*", "px", String(i)]);
      }
      assert.deepEqual(got[1000], ["smessage", "shard", "x"]);
      assert.equal(await s.unsubscribe("a", "b"), 1);
      assert.equal(await r.publish("a", "gone"), 0);
      await s.punsubscribe("p*");
      await s.sunsubscribe("shard");
      assert.equal(await s.get("k"), null);
    }));

    test("subscriptions come back after the connection was killed", withClients(async (connect) => {
      const r = connect();
      const s = connect({ retryStrategy: () => 5 });
      const id = await s.client("ID");
      const got = [];
      s.on("message", (_, message) => got.push(message));
      await s.subscribe("a");
      assert.equal(await r.client("KILL", "ID", id), 1);
      await until(async () => (await r.publish("a", "back")) === 1, "the subscription");
      await until(() => got.includes("back"), "the message");
    }));

    test("reconnects after the connection was killed", withClients(async (connect) => {
      const admin = connect();
      const r = connect({ retryStrategy: () => 5, maxRetriesPerRequest: 5 });
      await r.set("k", "v");
      for (let i = 0; i < 5; i++) {
        const id = await r.client("ID");
        assert.equal(await admin.client("KILL", "ID", id), 1);
        assert.equal(await r.get("k"), "v");
        await until(() => r.status === "ready", "ready again");
        assert.notEqual(await r.client("ID"), id);
      }
    }));

    test("blocking pops", withClients(async (connect) => {
      const [r, other] = [connect(), connect()];
      assert.equal(await r.blpop("none", 0.05), null);
      const waiting = r.blpop("q", 15);
      const behind = r.get("k");
      await blocked(1);
      await other.set("k", "later");
      await other.rpush("q", "x");
      assert.deepEqual(await waiting, ["q", "x"]);
      assert.equal(await behind, "later");
      const left = connect();
      left.blpop("q", 0).catch(() => {});
      await blocked(1);
      left.disconnect();
      await blocked(0);
      await other.rpush("q", "kept");
      assert.deepEqual(await other.lrange("q", 0, -1), ["kept"]);
    }));

    test("defined commands", withClients(async (connect) => {
      const r = connect({
        scripts: { addTo: { numberOfKeys: 1, lua: "return redis.call('INCRBY', KEYS[1], ARGV[1])" } },
      });
      assert.equal(await r.addTo("n", 5), 5);
      await r.script("FLUSH");
      assert.equal(await r.addTo("n", 5), 10);
      assert.equal(await r.get("n"), "10");
      const replies = await r.pipeline().addTo("n", 1).get("n").addTo("n", 1).exec();
      assert.deepEqual(replies, [[null, 11], [null, "11"], [null, 12]]);
      assert.deepEqual(await r.multi().addTo("n", 1).get("n").exec(), [[null, 13], [null, "13"]]);
    }));

    test("scan streams", withClients(async (connect) => {
      const r = connect();
      const expected = numbers(3000).map((i) => `key:${i}`);
      await r.mset(expected.flatMap((key) => [key, "v"]));
      await r.hset("h", Object.fromEntries(expected.map((key) => [key, "v"])));
      const keys = new Set();
      for await (const batch of r.scanStream({ match: "key:*", count: 200 })) batch.forEach((k) => keys.add(k));
      assert.deepEqual([...keys].sort(), [...expected].sort());
      const fields = new Set();
      for await (const batch of r.hscanStream("h", { count: 200 })) batch.forEach((f) => fields.add(f));
      fields.delete("v");
      assert.equal(fields.size, 3000);
    }));

    test("automatic pipelining", withClients(async (connect) => {
      const r = connect({ enableAutoPipelining: true });
      await Promise.all(numbers(2000).map((i) => r.set(`k${i % 100}`, i)));
      for (let round = 0; round < 3; round++) {
        const values = await Promise.all(numbers(100).map((i) => r.get(`k${i}`)));
        assert.deepEqual(values, numbers(100).map((i) => String(1900 + i)));
      }
    }));

    test("key prefix", withClients(async (connect) => {
      const [r, plain] = [connect({ keyPrefix: "app:" }), connect()];
      await r.mset("a", 1, "b", 2);
      assert.deepEqual(await r.mget("a", "b"), ["1", "2"]);
      assert.deepEqual(await plain.mget("app:a", "app:b"), ["1", "2"]);
      assert.equal(await plain.get("a"), null);
    }));

    test("streams", withClients(async (connect) => {
      const [r, other] = [connect(), connect()];
      await r.xgroup("CREATE", "s", "g", "$", "MKSTREAM");
      const waiting = r.xreadgroup("GROUP", "g", "c", "BLOCK", 15_000, "STREAMS", "s", ">");
      await blocked(1);
      const id = await other.xadd("s", "*", "f", "v");
      assert.deepEqual(await waiting, [["s", [[id, ["f", "v"]]]]]);
      assert.equal(await r.xack("s", "g", id), 1);
      assert.equal(await r.xread("BLOCK", 20, "STREAMS", "s", "$"), null);
      assert.deepEqual(await r.xrange("s", "-", "+"), [[id, ["f", "v"]]]);
    }));

    test("monitor", withClients(async (connect) => {
      const r = connect();
      const monitor = await r.monitor();
      const seen = [];
      monitor.on("monitor", (_, args) => seen.push(args.join(" ")));
      try {
        await r.set("k", "v");
        await until(() => seen.some((line) => /^set k v$/i.test(line)), "the command");
      } finally {
        monitor.disconnect();
      }
    }));

    test("large values", withClients(async (connect) => {
      const r = connect();
      const big = Buffer.alloc(8 << 20, "0123456789abcdef");
      await r.set("big", big);
      for (let i = 0; i < 3; i++) assert.ok((await r.getBuffer("big")).equals(big));
    }));

    test("a port where nobody listens is an error", async () => {
      const r = new Redis({ host, port: 1, protocol, retryStrategy: null, lazyConnect: true });
      r.on("error", () => {});
      await assert.rejects(r.connect());
      assert.ok(port > 1);
    });
  });
}
