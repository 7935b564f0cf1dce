/** Watching: events over real sockets, going on after a break without a gap, and the limits of what waits for a watcher. */
import { get, type IncomingMessage, type ServerResponse } from "node:http";
import test, { type ExecutionContext } from "ava";
import { createFeed } from "../../../lib/api/v1/feed.ts";
import { createWatchRoute, type WatchLimits } from "../../../lib/api/v1/watch.ts";
import type { Kv, KvEvent, KvOperation } from "../../../lib/core/kv.ts";
import { readEvents, type StreamEvent } from "../../../lib/client/events.ts";
import { send } from "../../support/http.ts";
import { startCluster, startTestNode, until } from "../../support/nodes.ts";

const put = (key: string, text: string, more: Partial<KvOperation> = {}): KvOperation => ({ key, value: Buffer.from(text), ...more });

interface Watching {
  readonly events: StreamEvent[];
  /** Of the last event or heartbeat. */
  readonly lastId: () => string;
  readonly ended: Promise<void>;
  stop(): void;
}

/** Resolves when the answer's head is there. */
async function watch(t: ExecutionContext, url: string, query = "", lastEventId?: string): Promise<Watching> {
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    get(
      `${url}/v1/watch${query}`,
      { agent: false, headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId } },
      resolve,
    ).on("error", reject);
  });
  t.deepEqual([incoming.statusCode, incoming.headers["content-type"]], [200, "text/event-stream"]);
  const events: StreamEvent[] = [];
  let lastId = "";
  const collect = async (): Promise<void> => {
    for await (const event of readEvents(incoming)) {
      lastId = event.id;
      if (event.data !== "") events.push(event);
    }
  };
  const ended = collect().catch(() => undefined);
  t.teardown(() => incoming.destroy());
  return { events, lastId: () => lastId, ended, stop: () => incoming.destroy() };
}

const shown = ({ events }: Watching): string[] =>
  events.map(({ event, data }) => `${event} ${(JSON.parse(data) as { key?: string }).key ?? ""}`);

test("puts, deletions and expiries, with value and token, of the prefix alone", async (t) => {
  const node = await startTestNode(t);
  const watching = await watch(t, node.url, "?prefix=a/");
  await node.kv.write([put("a/1", "1.0"), put("b/1", "2"), put("a/2", "hi", { contentType: "text/plain", ttlMs: 1_500 })]);
  await node.kv.write([{ key: "a/1", value: undefined }]);
  await until(t, "the expiry is told", () => watching.events.length >= 4, [node]);
  t.deepEqual(shown(watching), ["put a/1", "put a/2", "delete a/1", "expire a/2"]);
  const data = watching.events.map((event) => JSON.parse(event.data) as Record<string, unknown>);
  t.like(data[0], { key: "a/1", value: 1, bytes: 3 });
  t.regex(watching.events[0]!.data, /"value":1\.0\}$/);
  t.like(data[1], { value: "aGk=", contentType: "text/plain", encoding: "base64" });
  t.deepEqual(Object.keys(data[2]!), ["key", "token"]);
  const late = await send(node.url, "PUT", "/v1/kv/a/1", { body: "x", headers: { "concord-token": String(data[2]!["token"]) } });
  t.is(late.status, 200, "the token of a deletion is one to write with");
});

test("what other nodes wrote is watched as well", async (t) => {
  const nodes = await startCluster(t, 2);
  await until(t, "both are up", () => nodes.every(({ kv }) => kv.status().peers[0]?.status === "alive"), nodes);
  const watching = await watch(t, nodes[1]!.url);
  await nodes[0]!.kv.write([put("k", "1")]);
  await until(t, "it is told", () => watching.events.length > 0, nodes);
  t.deepEqual(shown(watching), ["put k"]);
});

test("after a break it goes on where it was, without a gap and without anything twice", async (t) => {
  const node = await startTestNode(t);
  const first = await watch(t, node.url, "?prefix=k");
  await node.kv.write([put("k1", "1"), put("other", "1"), put("k2", "{\n}")]);
  await until(t, "both are told", () => first.events.length === 2);
  first.stop();
  await node.kv.write([put("k3", "1"), put("other", "2")]);
  await node.kv.write([{ key: "k1", value: undefined }]);
  const second = await watch(t, node.url, "?prefix=k", first.events[0]!.id);
  await node.kv.write([put("k4", "1")]);
  await until(t, "all is told", () => second.events.length >= 4);
  t.deepEqual(shown(second), ["put k2", "put k3", "delete k1", "put k4"]);
  t.deepEqual(JSON.parse(second.events[0]!.data).value, {});
});

test("a place that is not known: reset first, and then what comes", async (t) => {
  const node = await startTestNode(t);
  const first = await watch(t, node.url);
  await until(t, "the place is told", () => first.lastId() !== "");
  const place = first.lastId();
  const [epoch] = place.split("-");
  for (const id of ["000000000000-0", `${epoch}-1`, "x", "", `${epoch}-01`]) {
    const watching = await watch(t, node.url, "", id);
    await until(t, `reset is told after ${id}`, () => watching.events.length > 0);
    t.is(watching.events[0]!.event, "reset", id);
    t.regex(watching.events[0]!.id, /^[0-9a-f]{12}-0$/);
  }
  const known = await watch(t, node.url, "", place);
  await node.kv.write([put("k", "1")]);
  await until(t, "it is told", () => known.events.length > 0);
  t.deepEqual(shown(known), ["put k"]);
});

test("who watches does not hold up a node that stops", async (t) => {
  const node = await startTestNode(t);
  const watching = await watch(t, node.url);
  await node.stop();
  await watching.ended;
  t.deepEqual(watching.events, []);
});

/** A route over a Kv that only tells what it is told, with limits of its own. */
function createBench(limits: Partial<WatchLimits>) {
  const listeners: ((event: KvEvent) => void)[] = [];
  const kv = { watch: (_: string, listener: (event: KvEvent) => void) => (listeners.push(listener), () => undefined) } as unknown as Kv;
  const stopping = new AbortController();
  const all = { watchersMax: 2, queueBytesMax: 1_000, heartbeatMs: 10_000, ...limits };
  const route = createWatchRoute({ kv, stopping: stopping.signal } as Parameters<typeof createWatchRoute>[0], all);
  const open = async (): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
    const answer = await route.handle("", new Map(), {
      incoming: { method: "GET", headers: {} } as IncomingMessage,
      outgoing: {} as ServerResponse,
    });
    return answer.body!.getReader();
  };
  const tell = (key: string): void => listeners.forEach((listener) => listener({ kind: "delete", key, value: undefined, token: "t" }));
  return { open, tell, stopping };
}

async function rest(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string> {
  let text = "";
  for (let chunk = await reader.read(); chunk.done !== true; chunk = await reader.read()) text += Buffer.from(chunk.value).toString();
  return text;
}

test("a reader that is too slow is told so and let go; what waits for it is bounded", async (t) => {
  const { open, tell } = createBench({});
  const [slow, quick] = [await open(), await open()];
  let read = 0;
  for (let i = 0; i < 100; i++) {
    tell(`k${i}`);
    for (let quiet = false; !quiet;) {
      const chunk = await Promise.race([quick.read(), new Promise<undefined>((resolve) => setImmediate(() => resolve(undefined)))]);
      if (chunk === undefined) quiet = true;
      else read += Buffer.from(chunk.value!).toString().includes("event: delete") ? 1 : 0;
      if (read === i + 1) quiet = true;
    }
  }
  t.is(read, 100);
  const text = await rest(slow);
  t.true(text.length < 1_500, String(text.length));
  t.regex(text, /event: overrun\ndata: .*\n\n$/);
  t.true(text.includes('"key":"k0"'));
});

test("so many may watch; whoever leaves makes room", async (t) => {
  const { open, stopping } = createBench({});
  const [first] = [await open(), await open()];
  await t.throwsAsync(open(), { message: /2 watch already/ });
  await first.cancel();
  const third = await open();
  stopping.abort();
  t.regex(await rest(third), /^retry: 1000\nid: [0-9a-f]{12}-0\n\n$/);
  await t.throwsAsync(open(), { message: /stopping/ });
});

test("a heartbeat carries the place, also of what was not for this watcher", async (t) => {
  const { open, tell } = createBench({ heartbeatMs: 5 });
  const reader = await open();
  tell("k");
  let text = "";
  let chunks = 0;
  while (chunks++ < 5 && !/\n: \nid: [0-9a-f]{12}-1\n\n/.test(text)) text += Buffer.from((await reader.read()).value!).toString();
  await reader.cancel();
  t.regex(text, /\n: \nid: [0-9a-f]{12}-1\n\n/);
});

test("the ring is bounded in events and in bytes; what fell out of it is a reset", (t) => {
  for (const limits of [
    { eventsMax: 10, bytesMax: 1e6 },
    { eventsMax: 1e6, bytesMax: 700 },
  ]) {
    let tell: (event: KvEvent) => void = () => undefined;
    const kv = { watch: (_: string, listener: typeof tell) => ((tell = listener), () => undefined) } as unknown as Kv;
    const feed = createFeed(kv, { ...limits, valueBytesMax: 100 });
    const ids = [feed.lastId];
    for (let i = 1; i <= 1_000; i++) {
      tell({ kind: "delete", key: `k${i}`, value: undefined, token: "t" });
      ids.push(feed.lastId);
    }
    const kept = ids.filter((id) => feed.since(id) !== undefined);
    t.true(kept.length > 5 && kept.length <= 11, String(kept.length));
    kept.forEach((id, i) => {
      const numbers = feed.since(id)!.map(({ number }) => number);
      t.deepEqual(numbers, Array.from({ length: kept.length - 1 - i }, (_, j) => 1_000 - kept.length + 2 + i + j), id); // prettier-ignore
    });
  }
});
