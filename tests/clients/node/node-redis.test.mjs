// node-redis, in both protocols, without its client-side cache.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { RESP_TYPES, createClient, createClientPool, defineScript } from "redis";
import { blocked, flush, numbers, until, url } from "./subject.mjs";

const add = defineScript({
  SCRIPT: "return redis.call('INCRBY', KEYS[1], ARGV[1])",
  NUMBER_OF_KEYS: 1,
  FIRST_KEY_INDEX: 0,
  parseCommand(parser, key, by) {
    parser.pushKey(key);
    parser.push(String(by));
  },
  transformReply: (reply) => reply,
});

for (const RESP of [2, 3]) {
  describe(`node-redis RESP${RESP}`, () => {
    beforeEach(flush);

    const withClients = (body) => async () => {
      const made = [];
      const connect = async (options = {}) => {
        const client = createClient({ url, RESP, scripts: { add }, socket: { reconnectStrategy: false }, ...options });
        client.on("error", () => {});
        made.push(client);
        return client.connect();
      };
      try {
        await body(connect);
      } finally {
        made.filter((client) => client.isOpen).forEach((client) => client.destroy());
      }
    };

    test("handshake", withClients(async (connect) => {
      const r = await connect({ name: "named", database: 3 });
      assert.equal(await r.clientGetName(), "named");
      const info = await r.clientInfo();
      assert.equal(info.db, 3);
      assert.equal(Number(info.resp), RESP);
      assert.equal((await r.hello()).proto, RESP);
      assert.equal(await r.ping(), "PONG");
      await r.select(0);
      assert.equal((await r.clientInfo()).db, 0);
      await assert.rejects(connect({ database: 99 }), /DB index is out of range/);
    }));

    test("types", withClients(async (connect) => {
      const r = await connect();
      await r.set("s", "v", { expiration: { type: "EX", value: 100 } });
      await r.hSet("h", { a: "1", b: "2" });
      await r.rPush("l", ["1", "2"]);
      await r.sAdd("set", ["x", "y"]);
      await r.zAdd("z", [{ score: 1.5, value: "a" }, { score: Infinity, value: "b" }]);
      for (let i = 0; i < 5; i++) {
        assert.equal(await r.get("s"), "v");
        assert.equal(await r.get("none"), null);
        assert.deepEqual({ ...(await r.hGetAll("h")) }, { a: "1", b: "2" });
        assert.deepEqual({ ...(await r.hGetAll("none")) }, {});
        assert.deepEqual(await r.lRange("l", 0, -1), ["1", "2"]);
        assert.deepEqual([...(await r.sMembers("set"))].sort(), ["x", "y"]);
        assert.equal(await r.sIsMember("set", "x"), 1);
        assert.deepEqual(await r.zRangeWithScores("z", 0, -1), [
          { value: "a", score: 1.5 }, { value: "b", score: Infinity }]);
        assert.equal(await r.zScore("z", "a"), 1.5);
        assert.equal(await r.zScore("z", "none"), null);
        assert.deepEqual(await r.mGet(["s", "none"]), ["v", null]);
        assert.equal(await r.exists("s"), 1);
      }
      const bytes = r.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      const every = Buffer.from(numbers(256));
      await r.set(every, every);
      assert.deepEqual(await bytes.get(every), every);
      await assert.rejects(r.incr("s"), /not an integer/);
      await assert.rejects(r.lPush("s", "x"), /WRONGTYPE/);
      assert.equal(Number((await r.configGet("maxmemory")).maxmemory) >= 0, true);
      assert.ok((await r.info()).includes("redis_version:"));
    }));

    test("commands of one tick are a pipeline", withClients(async (connect) => {
      const r = await connect();
      const replies = await Promise.all(numbers(5000).flatMap((i) => [r.set("k", String(i)), r.get("k")]));
      for (const i of numbers(5000)) assert.equal(replies[2 * i + 1], String(i));
    }));

    test("multi and watch", withClients(async (connect) => {
      const [r, other] = [await connect(), await connect()];
      const replies = await r.multi().incr("n").get("n").hSet("h", "a", "1").hGetAll("h").zAdd("z", { score: 2.5, value: "m" })
        .zScore("z", "m").exec();
      assert.deepEqual(replies.map((x) => (x && typeof x === "object" ? { ...x } : x)), [1, "1", 1, { a: "1" }, 1, 2.5]);
      await r.watch("n");
      assert.equal(await r.get("n"), "1");
      await other.set("n", "10");
      await assert.rejects(r.multi().set("n", "2").exec(), /watch/i);
      await r.watch("n");
      assert.deepEqual(await r.multi().incr("n").exec(), [11]);
      await assert.rejects(r.multi().set("n", "1").addCommand(["NOSUCH"]).exec(), /EXECABORT|unknown command/);
      assert.equal(await other.get("n"), "11");
    }));

    test("publish and subscribe", withClients(async (connect) => {
      const [r, s] = [await connect(), await connect()];
      const got = [];
      await s.subscribe(["a", "b"], (message, channel) => got.push([channel, message]));
      await s.pSubscribe("p*", (message, channel) => got.push([channel, message]));
      await s.sSubscribe("shard", (message, channel) => got.push([channel, message]));
      const counts = await Promise.all(numbers(1000).map((i) => r.publish(i % 2 ? "a" : "px", String(i))));
      assert.deepEqual(new Set(counts), new Set([1]));
      await until(() => got.length === 1000, "all messages");
      assert.deepEqual(got, numbers(1000).map((i) => [i % 2 ? "a" : "px", String(i)]));
      assert.equal(await r.sPublish("shard", "x"), 1);
      await until(() => got.length === 1001, "the sharded message");
      assert.match(await s.ping(), /^pong$/i);
      if (RESP === 3) assert.equal(await s.get("none"), null);
      await s.unsubscribe("a");
      assert.equal(await r.publish("a", "gone"), 0);
      await s.unsubscribe();
      await s.pUnsubscribe();
      await s.sUnsubscribe();
      assert.equal(await s.get("none"), null);
      assert.deepEqual(await r.pubSubChannels(), []);
    }));

    test("blocking on a connection of its own", withClients(async (connect) => {
      const [r, other] = [await connect(), await connect()];
      assert.equal(await r.blPop("none", 0.05), null);
      const waiting = r.blPop("q", 15);
      await blocked(1);
      await other.rPush("q", "x");
      assert.deepEqual({ ...(await waiting) }, { key: "q", element: "x" });
      const zset = r.bzPopMin("z", 15);
      await blocked(1);
      await other.zAdd("z", { score: 1.5, value: "m" });
      assert.deepEqual({ ...(await zset) }, { key: "z", value: "m", score: 1.5 });
      const stream = r.xRead({ key: "s", id: "$" }, { BLOCK: 15_000 });
      await blocked(1);
      const id = await other.xAdd("s", "*", { f: "v" });
      const [{ name, messages }] = await stream;
      assert.deepEqual([name, messages[0].id, { ...messages[0].message }], ["s", id, { f: "v" }]);
    }));

    test("blocking in a pool", async () => {
      const pool = createClientPool({ url, RESP }, { minimum: 1, maximum: 20 });
      pool.on("error", () => {});
      await pool.connect();
      try {
        const waiting = numbers(10).map((i) => pool.blPop(`q${i}`, 15));
        await blocked(10);
        await Promise.all(numbers(200).map((i) => pool.set("k", String(i))));
        await Promise.all(numbers(10).map((i) => pool.rPush(`q${i}`, String(i))));
        const taken = (await Promise.all(waiting)).map((each) => ({ ...each }));
        assert.deepEqual(taken, numbers(10).map((i) => ({ key: `q${i}`, element: String(i) })));
      } finally {
        pool.destroy();
      }
    });

    test("scripts and functions", withClients(async (connect) => {
      const r = await connect();
      assert.equal(await r.add("n", 5), 5);
      await r.scriptFlush();
      assert.equal(await r.add("n", 5), 10);
      assert.equal(await r.get("n"), "10");
      assert.deepEqual(await r.multi().add("n", 1).get("n").exec(), [11, "11"]);
      await r.functionFlush();
      const code = "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call('INCR', k[1]) end)";
      assert.equal(await r.functionLoad(code), "lib");
      assert.equal(await r.fCall("f", { keys: ["n"], arguments: [] }), 12);
      assert.equal(await r.get("n"), "12");
      await r.functionFlush();
    }));

    test("scan iterators", withClients(async (connect) => {
      const r = await connect();
      const names = numbers(3000).map((i) => `key:${i}`);
      await r.mSet(Object.fromEntries(names.map((key) => [key, "v"])));
      await r.hSet("h", Object.fromEntries(names.map((key) => [key, "v"])));
      await r.zAdd("z", names.map((value, score) => ({ value, score })));
      const keys = new Set();
      for await (const batch of r.scanIterator({ MATCH: "key:*", COUNT: 200 })) batch.forEach((k) => keys.add(k));
      assert.equal(keys.size, 3000);
      const fields = new Set();
      for await (const batch of r.hScanIterator("h")) batch.forEach(({ field }) => fields.add(field));
      assert.equal(fields.size, 3000);
      let sum = 0;
      for await (const batch of r.zScanIterator("z", { COUNT: 5000 })) batch.forEach(({ score }) => (sum += score));
      assert.equal(sum, (2999 * 3000) / 2);
    }));

    test("reconnects after the connection was killed", withClients(async (connect) => {
      const admin = await connect();
      const r = await connect({ socket: { reconnectStrategy: () => 5 }, name: "again" });
      const got = [];
      await r.set("k", "v");
      for (let i = 0; i < 3; i++) {
        const id = await r.clientId();
        assert.equal(await admin.clientKill({ filter: "ID", id }), 1);
        await until(async () => r.isReady && (await r.clientId().catch(() => id)) !== id, "a new connection");
        assert.equal(await r.get("k"), "v");
        assert.equal(await r.clientGetName(), "again");
      }
      const s = await connect({ socket: { reconnectStrategy: () => 5 } });
      const id = await s.clientId();
      await s.subscribe("a", (message) => got.push(message));
      assert.equal(await admin.clientKill({ filter: "ID", id }), 1);
      await until(async () => (await admin.publish("a", "back")) === 1, "the subscription");
      await until(() => got.includes("back"), "the message");
    }));

    test("monitor", withClients(async (connect) => {
      const [r, m] = [await connect(), await connect()];
      const seen = [];
      await m.monitor((line) => seen.push(String(line)));
      await r.set("k", "v");
      await until(() => seen.some((line) => /"SET" "k" "v"/i.test(line)), "the command");
    }));

    test("command introspection", withClients(async (connect) => {
      const r = await connect();
      assert.ok((await r.commandCount()) > 200);
      const [get] = await r.commandInfo(["get"]);
      assert.deepEqual([get.name, get.arity, get.firstKeyIndex], ["get", 2, 1]);
      assert.deepEqual(await r.commandGetKeys(["MSET", "a", "1", "b", "2"]), ["a", "b"]);
      assert.ok((await r.clientList()).length >= 1);
    }));
  });
}
