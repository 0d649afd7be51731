// What the suites share: the address under test, waiting without sleeping blindly, an empty keyspace.
//
// The subject is NEARCACHE_TEST_URL. NEARCACHE_TEST_UPSTREAM is the server behind it (the subject
// itself when there is none), asked how many clients are blocked.
import Redis from "ioredis";

const address = process.env.NEARCACHE_TEST_URL;
if (!address) throw new Error("NEARCACHE_TEST_URL is not set");
export const url = address;
export const host = new URL(url).hostname;
export const port = Number(new URL(url).port);
const upstreamUrl = process.env.NEARCACHE_TEST_UPSTREAM ?? url;

/** Polls until the condition holds and returns what it returned. */
export async function until(condition, what, millis = 10_000) {
  const deadline = Date.now() + millis;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > deadline) throw new Error(`not within ${millis} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

/** One ioredis connection that fails instead of trying again, for the use of a function. */
export async function withClient(use, address = url, options = {}) {
  const client = new Redis(address, { retryStrategy: null, lazyConnect: true, ...options });
  client.on("error", () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

export const flush = () => withClient(async (client) => {
  await client.flushall();
  await client.script("FLUSH");
});

/** Waits until exactly `count` clients are blocked in the server that executes. */
export const blocked = (count) => withClient((upstream) => until(async () => {
  const info = await upstream.info("clients");
  return Number(/blocked_clients:(\d+)/.exec(info)[1]) === count;
}, `${count} blocked clients`), upstreamUrl);

export const numbers = (count) => Array.from({ length: count }, (_, i) => i);
