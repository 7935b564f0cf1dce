/** More than a node can take: everybody is answered, nobody is dropped without a word, and afterwards it is as if nothing had been. */
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import { Hono } from "hono";
import test, { type ExecutionContext } from "ava";
import { listenHttp, type HttpServer } from "../../lib/api/http.ts";
import type { Env } from "../../lib/api/request.ts";
import { createSlices } from "../../lib/api/slices.ts";
import type { ConcordError } from "../../lib/core/errors.ts";
import type { Storage } from "../../lib/core/ports.ts";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { send } from "../support/http.ts";
import { pause, startTestNode, until } from "../support/nodes.ts";

const MIB = 1024 * 1024;

/** A storage whose writes wait until they are let go. */
function heldStorage(): { readonly storage: Storage; readonly release: () => void } {
  const inner = createMemoryStorage();
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  return { storage: { ...inner, write: (batch) => released.then(() => inner.write(batch)) }, release: () => release() };
}

test("writes that wait for a slow disk are bounded by their bytes: the rest is 503 with Retry-After, and all are answered", async (t) => {
  const { storage, release } = heldStorage();
  const node = await startTestNode(t, { storage, valueBytesMax: 8 * MIB });
  await node.ready;
  const value = Buffer.alloc(8 * MIB);
  const writes = Array.from({ length: 20 }, (_, i) =>
    node.kv.write([{ key: `k${i}`, value, contentType: "application/octet-stream" }]).then(
      () => "stored",
      (error: ConcordError) => error.code,
    ),
  );
  const post = () => send(node.url, "POST", "/store", { body: '{"key":"late","value":1}' });
  const late = await post();
  t.deepEqual([late.status, late.headers["retry-after"]], [503, "1"]);
  t.regex(late.json.error, /wait for the disk/);
  t.is((await send(node.url, "GET", "/ping")).status, 200);
  release();
  const outcomes = await Promise.all(writes);
  t.deepEqual([outcomes.filter((each) => each === "stored").length, outcomes.filter((each) => each === "overloaded").length], [16, 4]);
  t.is(node.kv.status().keys, 16, "what was refused is not there, what was not is");
  t.is((await post()).status, 200);
  t.is((await send(node.url, "GET", "/status")).json.refused.requests.overloaded, 1);
});

/** Asks and never reads. */
function ignore(t: ExecutionContext, port: number, path: string): Socket {
  const socket = connect(port, "127.0.0.1", () => void socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`));
  socket.on("error", () => undefined).pause();
  t.teardown(() => socket.destroy());
  return socket;
}

const READS = ["/store/key?key=large", "/key/large", "/v1/kv/large", "/v1/kv?prefix=large&values=true", "/v1/kv/two?siblings=true"];

test("large answers that nobody reads are bounded, whatever the route; the rest is 503 with Retry-After", async (t) => {
  const { kv, port, url } = await startTestNode(t, { valueBytesMax: 8 * MIB });
  const half = (filler: string): Buffer => Buffer.from(JSON.stringify(filler.repeat(4 * MIB - 100)));
  await kv.write([{ key: "large", value: Buffer.from(JSON.stringify("x".repeat(8 * MIB - 2))) }]);
  await kv.write([
    { key: "two", value: half("x") },
    { key: "two", value: half("y"), beside: true },
  ]);
  for (const path of READS) {
    // Of eight megabytes each: all that there is room for.
    const deaf = Array.from({ length: 16 }, () => ignore(t, port, path));
    await until(t, `there is no room for more: ${path}`, async () => (await send(url, "HEAD", path)).status === 503);
    const { status, headers, text } = await send(url, "GET", path);
    t.deepEqual([status, headers["retry-after"]], [503, "1"], path);
    t.regex(text, /too many large answers/);
    t.is((await send(url, "GET", "/ping")).status, 200);
    for (const socket of deaf) socket.destroy();
    await until(t, `there is room again: ${path}`, async () => (await send(url, "HEAD", path)).status < 400);
  }
});

interface Crowded {
  readonly server: HttpServer;
  /** Lets the requests that hang be answered. */
  readonly release: () => void;
}

/** A server that serves three connections and takes six; GET /hang waits. */
async function startCrowded(t: ExecutionContext): Promise<Crowded> {
  const server = await listenHttp({ hostname: "127.0.0.1", port: 0, servedMax: 3, connectionsMax: 6 });
  t.teardown(() => server.close(0));
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const app = new Hono<Env>();
  app.get("/hang", async (call) => {
    await released;
    return call.text("done");
  });
  app.get("/quick", (call) => call.text("quick"));
  app.get("/ping", (call) => call.text("pong"));
  server.serve(app);
  return { server, release };
}

test("connections beyond those that are served are told to come back; a ping is answered; afterwards all is well", async (t) => {
  const { server, release } = await startCrowded(t);
  const served = [1, 2, 3].map(() => send(server.url, "GET", "/hang"));
  while (server.connections < 3) await pause(5);
  const late = await send(server.url, "GET", "/quick");
  t.deepEqual([late.status, late.headers["retry-after"], late.headers.connection], [503, "1", "close"]);
  t.regex(late.json.error, /too many connections/);
  const lateToo = await send(server.url, "GET", "/v1/kv/k");
  t.deepEqual([lateToo.status, lateToo.headers["content-type"], lateToo.json.status], [503, "application/problem+json", 503]);
  t.is((await send(server.url, "GET", "/ping")).text, "pong");
  release();
  t.deepEqual(
    (await Promise.all(served)).map(({ text }) => text),
    ["done", "done", "done"],
  );
  await until(t, "the connections are gone", () => server.connections === 0);
  t.is((await send(server.url, "GET", "/quick")).text, "quick");
  t.is(server.meter.refused.get("overloaded"), 2);
});

test("a connection that was late is served when there is room again", async (t) => {
  const { server, release } = await startCrowded(t);
  const served = [1, 2, 3].map(() => send(server.url, "GET", "/hang"));
  while (server.connections < 3) await pause(5);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const ask = async (path: string): Promise<number | undefined> => {
    const asked = request(`${server.url}${path}`, { agent }).end();
    const [answer] = (await once(asked, "response")) as [NodeJS.ReadableStream & { readonly statusCode?: number }];
    for await (const _ of answer);
    return answer.statusCode;
  };
  t.is(await ask("/ping"), 200);
  release();
  await Promise.all(served);
  await until(t, "the others are gone", () => server.connections === 1);
  t.is(await ask("/quick"), 200);
});

test("connections beyond those that are taken are closed and counted", async (t) => {
  const { server } = await startCrowded(t);
  const sockets: Socket[] = [];
  t.teardown(() => sockets.forEach((socket) => socket.destroy()));
  for (let i = 0; i < 9; i++) {
    const socket = connect(server.port, "127.0.0.1").on("error", () => undefined);
    sockets.push(socket);
    await once(socket, "connect");
  }
  await until(t, "three are closed", () => server.meter.droppedConnections === 3);
  t.is(server.connections, 6);
});

test("slices: all are handled, in order, a few in a round that brought a connection, and the loop comes round in between", async (t) => {
  const handled: number[] = [];
  let rounds = 0;
  const slices = createSlices<number>((item) => {
    handled.push(item);
    for (const endMs = performance.now() + 1; performance.now() < endMs;);
  });
  for (let i = 0; i < 20; i++) slices.take(i);
  slices.hurry();
  const count = (): void => {
    rounds++;
    if (slices.waiting > 0) setImmediate(count);
  };
  setImmediate(count);
  t.true(slices.waiting >= 16, `${slices.waiting} of 20 wait`);
  while (slices.waiting > 0) await pause(1);
  t.deepEqual(
    handled,
    Array.from({ length: 20 }, (_, i) => i),
  );
  t.true(rounds >= 5, `${rounds} rounds`);
});

test("slices: a connection that comes before the requests of its round hurries them as well, and those of the next round no more", async (t) => {
  const handled: number[] = [];
  const slices = createSlices<number>((item) => void handled.push(item));
  const round = () => new Promise<void>((resolve) => setImmediate(resolve));
  slices.hurry();
  for (let i = 0; i < 3; i++) slices.take(i);
  t.deepEqual(handled, []);
  await round();
  t.deepEqual(handled, [0]);
  await round();
  t.deepEqual(handled, [0, 1, 2]);
  slices.take(3);
  t.deepEqual(handled, [0, 1, 2, 3]);
});
