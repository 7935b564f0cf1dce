/** Nodes inside a program: mounted under a path of its server, called without any, and with peers of both kinds. */
import { createServer } from "node:http";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getRequestListener } from "@hono/node-server";
import test, { type ExecutionContext } from "ava";
import { Hono } from "hono";
import { ClientError, connect } from "../lib/connect.ts";
import { ConcordError } from "../lib/core/errors.ts";
import { createNode, type EmbeddedNode, type EmbedOptions } from "../lib/serve/embedded.ts";
import { send } from "./support/http.ts";
import { freePorts, startTestNode, until } from "./support/nodes.ts";
import { clusterKeyFile, READ_TOKEN, tokenFile } from "./support/secrets.ts";

const DRIVEN = {
  log: { silent: true },
  createTicker: () => ({ stop: () => undefined }),
  tuning: { pingEveryMs: 1, jitterMs: 0 },
} as const;

async function embed(t: ExecutionContext, options: EmbedOptions = {}): Promise<EmbeddedNode> {
  const node = await createNode({ ...DRIVEN, timeoutMs: 2_000, ...options });
  t.teardown(() => node.stop());
  return node;
}

/** A program's server, with the node under /kv and something of its own. */
async function serve(t: ExecutionContext, port: number, node: EmbeddedNode): Promise<void> {
  const app = new Hono();
  app.get("/", (call) => call.text("the program's own"));
  app.route("/kv", node.app);
  const server = createServer((incoming, outgoing) => void getRequestListener(app.fetch)(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
}

test("mounted under a path: the program's routes and the node's, each at its place", async (t) => {
  const [port = 0] = await freePorts(1);
  const node = await embed(t, { address: `http://localhost:${port}/kv` });
  await serve(t, port, node);
  const url = `http://127.0.0.1:${port}`;
  t.is((await send(url, "GET", "/")).text, "the program's own");
  t.deepEqual((await send(url, "GET", "/kv/ping")).json, { message: "pong" });
  const body = JSON.stringify({ key: "a", value: "é".repeat(50_000) });
  t.is((await send(url, "POST", "/kv/store", { body })).status, 200);
  t.is((await send(url, "GET", "/kv/store/key?key=a")).json.value.length, 50_000);
  t.is((await send(url, "GET", "/kv/store/key", { body: '{"key":"a"}' })).json.value.length, 50_000, "a body with GET is read as well");
  t.is((await send(url, "HEAD", "/kv/v1/kv/a")).status, 200);
  t.is((await send(url, "PUT", "/kv/v1/kv/..%2F%61", { body: "x" })).status, 200);
  t.truthy(node.kv.get("../a"), "the key is read as it stood on the wire");
  for (const path of ["/kv", "/kv/", "/kv/none", "/kv?x"]) t.is((await send(url, "GET", path)).status, 404, path);
  t.is((await send(url, "PUT", "/kv/ping")).status, 405);
  t.is((await send(url, "GET", "/kvstore")).status, 404);
  t.is((await send(url, "GET", "/store/key?key=a")).status, 404);
  const store = connect(`${url}/kv`);
  const watch = store.watch();
  const changes = watch[Symbol.asyncIterator]();
  await watch.opened;
  await store.put("k", { x: 1 });
  t.like((await changes.next()).value, { kind: "put", key: "k", value: { x: 1 } });
  await node.stop();
  watch.close();
  t.is((await send(url, "GET", "/kv/ping")).status, 503);
  t.is((await send(url, "GET", "/")).status, 200, "the program goes on without it");
});

test("health and metrics under the path of the mount: each node counts what came to it", async (t) => {
  const [port = 0] = await freePorts(1);
  const node = await embed(t, { address: `http://localhost:${port}/kv` });
  await serve(t, port, node);
  const url = `http://127.0.0.1:${port}`;
  await node.ready;
  for (const path of ["/kv/livez", "/kv/readyz"]) t.is((await send(url, "GET", path)).status, 200, path);
  for (const path of ["/livez", "/metrics"]) t.is((await send(url, "GET", path)).status, 404, `${path} is the program's own`);
  t.is((await send(url, "POST", "/kv/store", { body: '{"key":"k","value":1}' })).status, 200);
  t.is((await send(url, "POST", "/kv/store", { body: "{" })).status, 400);
  await node.fetch(new Request("http://inside/kv/v1/kv/k"));
  const { text, headers } = await send(url, "GET", "/kv/metrics");
  t.regex(String(headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  for (const line of [
    'concord_http_requests_total{route="POST /store",status="2xx"} 1',
    'concord_http_requests_total{route="POST /store",status="4xx"} 1',
    'concord_http_requests_total{route="GET /v1/*",status="2xx"} 1',
    'concord_http_request_duration_seconds_count{route="POST /store"} 2',
    'concord_refused_total{source="http",reason="malformed"} 1',
    "concord_keys 1",
    "concord_ready 1",
  ]) {
    t.true(text.includes(`${line}\n`), line);
  }
});

test("without a server: the Kv, and a client whose fetch is the node's", async (t) => {
  const node = await embed(t);
  await node.ready;
  await node.kv.write([{ key: "k", value: Buffer.from("1") }]);
  const store = connect({ nodes: ["http://inside"], fetch: (url, init) => node.fetch(new Request(url, init)) });
  t.is(await store.get("k"), 1);
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => i % 256);
  await store.put("bytes", bytes);
  t.deepEqual(await store.get("bytes"), bytes);
  t.deepEqual(Buffer.from(node.kv.get("bytes")!.value), Buffer.from(bytes));
  await t.throwsAsync(store.put("k", 2, { ifAbsent: true }), { instanceOf: ClientError, code: "condition-failed" });
  const watch = store.watch();
  const changes = watch[Symbol.asyncIterator]();
  await watch.opened;
  t.true(await store.delete("k"));
  t.like((await changes.next()).value, { kind: "delete", key: "k" });
  watch.close();
});

test("with its own folder: what was written is there after the next start, and nobody else may open it meanwhile", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "concord-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const first = await embed(t, { folder });
  await first.kv.write([{ key: "k", value: Buffer.from("1") }]);
  await t.throwsAsync(embed(t, { folder }), { instanceOf: ConcordError, code: "locked" });
  await first.stop();
  await t.throwsAsync(first.kv.write([{ key: "k", value: Buffer.from("2") }]), { code: "stopping" });
  const second = await embed(t, { folder });
  t.is(Buffer.from(second.kv.get("k")!.value).toString(), "1");
});

test("two programs and a node with a port of its own are one cluster", async (t) => {
  const [first = 0, second = 0] = await freePorts(2);
  const addresses = [first, second].map((port) => `http://localhost:${port}/kv`);
  const alone = await startTestNode(t, { peers: addresses });
  const peers = [...addresses, alone.address];
  const nodes = [await embed(t, { address: addresses[0], peers }), await embed(t, { address: addresses[1], peers })];
  // A program's server may come up after its node.
  await Promise.all([serve(t, first, nodes[0]!), serve(t, second, nodes[1]!)]);
  const all = [...nodes, alone];
  const ticked = all as unknown as Parameters<typeof until>[3];
  await until(t, "all see each other", () => all.every(({ kv }) => kv.status().peers.every(({ status }) => status === "alive")), ticked);
  t.deepEqual(
    all.map(({ kv }) => kv.status().peers.length),
    [2, 2, 2],
  );
  await nodes[0]!.kv.write([{ key: "k", value: Buffer.from("1") }]);
  await connect(alone.url).put("from outside", 1);
  await until(t, "all hold the same", () => all.every(({ kv }) => kv.status().keys === 2 && kv.hash() === alone.kv.hash()), ticked);
  t.deepEqual(
    all.map(({ kv }) => kv.status().keys),
    [2, 2, 2],
  );
});

test("with a cluster key the peers sign what they say, through the program's server too", async (t) => {
  const [port = 0] = await freePorts(1);
  const address = `http://localhost:${port}/kv`;
  const options = { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) };
  const alone = await startTestNode(t, { ...options, peers: [address] });
  const node = await embed(t, { ...options, address, peers: [alone.address] });
  await serve(t, port, node);
  const all = [node, alone] as unknown as Parameters<typeof until>[3];
  await until(t, "the two have met", () => [node, alone].every(({ kv }) => kv.status().peers[0]?.status === "alive"), all);
  await alone.kv.write([{ key: "k", value: Buffer.from("1") }]);
  await until(t, "it has come", () => node.kv.get("k") !== undefined, all);
  t.is(await connect({ nodes: [address], token: READ_TOKEN }).get("k"), 1);
  await t.throwsAsync(connect({ nodes: [address], token: READ_TOKEN }).put("k", 2), { code: "not-allowed" });
  await t.throwsAsync(connect(address).get("k"), { code: "no-token" });
  t.is((await send(`http://127.0.0.1:${port}`, "POST", "/kv/replicate", { body: '{"key":"k","value":3}' })).status, 401);
});

test("what a program cannot have meant is refused", async (t) => {
  await t.throwsAsync(createNode({ ...DRIVEN, peers: ["http://localhost:1"] }), {
    code: "invalid",
    message: /needs the address at which they reach it/,
  });
  await t.throwsAsync(createNode({ ...DRIVEN, address: "localhost:3000/kv" }), { code: "invalid" });
  await t.throwsAsync(createNode({ ...DRIVEN, name: "" }), { code: "invalid" });
  await t.throwsAsync(createNode({ ...DRIVEN, tokenFile: "none" }), { code: "invalid", message: /cluster key/ });
});

test("without a key the node answers its own machine only, and a server that hides where requests come from not at all", async (t) => {
  const node = await embed(t);
  const from = (remoteAddress: string) => ({
    incoming: { url: "/ping", method: "GET", headers: {}, rawHeaders: [], socket: { remoteAddress } },
    outgoing: {},
  });
  const ask = async (target: EmbeddedNode, env: object): Promise<number> => (await target.app.request("/ping", {}, env)).status;
  t.is(await ask(node, from("127.0.0.1")), 200);
  t.is(await ask(node, from("::ffff:127.0.0.1")), 200);
  t.is(await ask(node, from("10.0.0.7")), 403);
  t.is(await ask(node, {}), 500);
  const open = await embed(t, { insecure: true });
  t.is(await ask(open, from("10.0.0.7")), 200);
});
