// BullMQ on ioredis and on node-redis: Lua scripts, blocking pops, streams and sorted sets at once.
import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { FlowProducer, Queue, QueueEvents, UnrecoverableError, Worker } from "bullmq";
import Redis from "ioredis";
import { createClient } from "redis";
import { blocked, flush, numbers, until, url } from "./subject.mjs";

const drivers = {
  "ioredis RESP2": () => new Redis(url, { protocol: 2, maxRetriesPerRequest: null }),
  "ioredis RESP3": () => new Redis(url, { protocol: 3, maxRetriesPerRequest: null }),
  "node-redis RESP3": () => createClient({ url, RESP: 3 }),
};

for (const [driver, create] of Object.entries(drivers)) {
  describe(`BullMQ on ${driver}`, () => {
    beforeEach(flush);

    /** Runs a test with makers of queues and workers, all closed at its end, and their errors kept. */
    const withQueue = (body) => async () => {
      const [made, connections, errors] = [[], [], []];
      const connection = async () => {
        const client = create();
        client.on("error", (error) => errors.push(error));
        connections.push(client);
        if (client.connect && !client.status) await client.connect();
        return client;
      };
      const keep = (each) => {
        each.on("error", (error) => errors.push(error));
        made.push(each);
        return each;
      };
      const name = "jobs";
      const tools = {
        queue: async (options) => keep(new Queue(name, { connection: await connection(), ...options })),
        worker: async (run, options) => keep(new Worker(name, run, { connection: await connection(), drainDelay: 1, ...options })),
        events: async () => {
          const events = keep(new QueueEvents(name, { connection: await connection() }));
          await events.waitUntilReady();
          await blocked(1); // it reads from here on: nothing that follows is missed
          return events;
        },
        flow: async () => keep(new FlowProducer({ connection: await connection() })),
      };
      try {
        await body(tools);
        assert.deepEqual(errors, []);
      } finally {
        await Promise.all(made.filter((each) => each instanceof Worker).map((each) => each.close(true)));
        await Promise.all(made.filter((each) => !(each instanceof Worker)).map((each) => each.close()));
        for (const client of connections) {
          if (client instanceof Redis) client.disconnect();
          else if (client.isOpen) client.destroy();
        }
      }
    };

    test("300 jobs, 3 workers, results and failures", withQueue(async ({ queue, worker }) => {
      const q = await queue();
      const done = new Map();
      for (let i = 0; i < 3; i++) {
        await worker(async (job) => {
          done.set(job.data.n, (done.get(job.data.n) ?? 0) + 1);
          if (job.data.n % 10 === 7) throw new Error(`cannot double ${job.data.n}`);
          await job.updateProgress(50);
          return 2 * job.data.n;
        }, { concurrency: 5 });
      }
      await q.addBulk(numbers(150).map((n) => ({ name: "double", data: { n } })));
      await Promise.all(numbers(150).map((n) => q.add("double", { n: n + 150 })));
      await until(async () => {
        const counts = await q.getJobCounts("completed", "failed");
        return counts.completed + counts.failed === 300;
      }, "all jobs", 20_000);
      assert.deepEqual(await q.getJobCounts("completed", "failed", "waiting", "active", "delayed"), {
        completed: 270, failed: 30, waiting: 0, active: 0, delayed: 0 });
      assert.equal(done.size, 300);
      assert.deepEqual([...new Set(done.values())], [1]);
      for (const job of await q.getCompleted(0, 300)) assert.equal(job.returnvalue, 2 * job.data.n);
      for (const job of await q.getFailed(0, 300)) assert.equal(job.failedReason, `cannot double ${job.data.n}`);
    }));

    test("a waiting worker takes each job as it comes", withQueue(async ({ queue, worker, events }) => {
      const [q, e] = [await queue(), await events()];
      await worker(async (job) => job.data + 1);
      for (const n of numbers(30)) {
        const job = await q.add("next", n);
        assert.equal(await job.waitUntilFinished(e, 10_000), n + 1);
      }
    }));

    test("delayed and prioritized jobs", withQueue(async ({ queue, worker, events }) => {
      const [q, e, order] = [await queue(), await events(), []];
      const delayed = await q.add("delayed", "delayed", { delay: 3_600_000 });
      for (const n of [3, 1, 2]) await q.add("first", `priority ${n}`, { priority: n });
      await worker(async (job) => { order.push(job.data); });
      await until(async () => (await q.getCompletedCount()) === 3, "what is not delayed");
      assert.equal(await delayed.getState(), "delayed");
      await delayed.changeDelay(5);
      await delayed.waitUntilFinished(e, 10_000);
      assert.deepEqual(order, ["priority 1", "priority 2", "priority 3", "delayed"]);
    }));

    test("retries with backoff, and giving up", withQueue(async ({ queue, worker, events }) => {
      const [q, e] = [await queue(), await events()];
      await worker(async (job) => {
        if (job.name === "hopeless") throw new UnrecoverableError("never");
        if (job.attemptsMade < 2) throw new Error(`attempt ${job.attemptsMade}`);
        return job.attemptsMade;
      });
      const retried = await q.add("retried", {}, { attempts: 3, backoff: { type: "exponential", delay: 20 } });
      const exhausted = await q.add("exhausted", {}, { attempts: 2, backoff: { type: "fixed", delay: 10 } });
      const hopeless = await q.add("hopeless", {}, { attempts: 5 });
      assert.equal(await retried.waitUntilFinished(e, 10_000), 2);
      await assert.rejects(exhausted.waitUntilFinished(e, 10_000), /attempt 1/);
      await assert.rejects(hopeless.waitUntilFinished(e, 10_000), /never/);
    }));

    test("events", withQueue(async ({ queue, worker, events }) => {
      const [q, e, seen] = [await queue(), await events(), []];
      for (const event of ["waiting", "active", "progress", "completed", "failed"]) {
        e.on(event, ({ jobId }) => seen.push(`${event} ${jobId}`));
      }
      await worker(async (job) => {
        await job.updateProgress(1);
        if (job.data.fail) throw new Error("failed");
      });
      for (const n of numbers(20)) await q.add("job", { fail: n % 2 === 1 }, { jobId: `j${n}` });
      await until(() => seen.filter((each) => /completed|failed/.test(each)).length === 20, "all events");
      for (const n of numbers(20)) {
        const of = seen.filter((each) => each.endsWith(` j${n}`)).map((each) => each.split(" ")[0]);
        assert.deepEqual(of, ["waiting", "active", "progress", n % 2 ? "failed" : "completed"]);
      }
    }));

    test("rate limit", withQueue(async ({ queue, worker }) => {
      const q = await queue();
      await q.addBulk(numbers(12).map((n) => ({ name: "job", data: n })));
      // An hour: the limit ends when it is lifted, and at no other time. The worker looks every 10 ms.
      const limiter = { max: 4, duration: 3_600_000 };
      await worker(async () => {}, { limiter, concurrency: 12, maximumRateLimitDelay: 10 });
      for (const done of [4, 8, 12]) {
        await until(async () => (await q.getCompletedCount()) === done, `${done} completed`);
        const left = await q.getRateLimitTtl(4);
        assert.ok(left > 0 && left <= limiter.duration, `the limit lasts for ${left} ms more`);
        assert.deepEqual(await q.getJobCounts("completed", "active", "waiting"), {
          completed: done, active: 0, waiting: 12 - done });
        assert.equal(await q.removeRateLimitKey(), 1);
      }
    }));

    test("a flow's parent gets its children's values", withQueue(async ({ queue, worker, flow }) => {
      const [q, f] = [await queue(), await flow()];
      await worker(async (job) => {
        if (job.name !== "sum") return job.data;
        return Object.values(await job.getChildrenValues()).reduce((a, b) => a + b, 0);
      }, { concurrency: 4 });
      const { job } = await f.add({
        name: "sum", queueName: "jobs",
        children: numbers(20).map((n) => ({ name: "value", data: n, queueName: "jobs" })),
      });
      await until(async () => (await job.getState()) === "completed", "the parent");
      assert.equal((await q.getJob(job.id)).returnvalue, 190);
    }));

    test("scheduled repeats, pause, drain", withQueue(async ({ queue, worker }) => {
      const [q, ran] = [await queue(), []];
      await worker(async (job) => { ran.push(job.name); });
      await q.upsertJobScheduler("tick", { every: 60 }, { name: "tick" });
      await until(() => ran.length >= 3, "three repeats");
      assert.equal(await q.removeJobScheduler("tick"), true);
      await q.pause();
      assert.equal(await q.isPaused(), true);
      await q.addBulk(numbers(10).map((n) => ({ name: "paused", data: n })));
      assert.ok((await q.getJobCountByTypes("paused", "waiting")) >= 10);
      await q.resume();
      await until(() => ran.filter((name) => name === "paused").length === 10, "the paused jobs");
      await q.obliterate({ force: true });
    }));
  });
}
