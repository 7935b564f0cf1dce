/** Whole nodes over real sockets: what they say, what they hold after faults, and how they start and stop. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { ConcordError } from "../lib/core/errors.ts";
import { startNode } from "../lib/serve.ts";
import { createMemoryStorage } from "../lib/storage/memory.ts";
import { send } from "./support/http.ts";
import { freePorts, pause, startCluster, startTestNode, until, type TestNode } from "./support/nodes.ts";

const put = (node: TestNode, key: string, value: unknown, query = "") =>
  send(node.url, "POST", `/store${query}`, { body: JSON.stringify({ key, value }) });
const read = async (node: TestNode, key: string) => (await send(node.url, "GET", `/store/key?key=${key}`)).json?.value;
const agree = (nodes: readonly TestNode[]) => () => new Set(nodes.map((node) => node.kv.hash())).size === 1;

test("three nodes: a write at one is read at all", async (t) => {
  const nodes = await startCluster(t, 3);
  await until(t, "all are up", () => nodes.every(({ lines }) => lines.includes("All peers are up")), nodes);
  const { status, json } = await put(nodes[0]!, "hello", "world", "?w=3");
  t.deepEqual([status, json.copies], [200, 3]);
  for (const node of nodes) t.is(await read(node, "hello"), "world");
  t.is((await send(nodes[1]!.url, "DELETE", "/store/key?key=hello")).status, 200);
  await until(t, "the deletion is everywhere", () => nodes.every((node) => node.kv.get("hello") === undefined));
  t.true(agree(nodes)());
});

test("a node that was away is repaired, and nothing that it wrote is lost", async (t) => {
  const [portA, portB] = (await freePorts(2)) as [number, number];
  const [urlA, urlB] = [`http://localhost:${portA}`, `http://localhost:${portB}`];
  const a = await startTestNode(t, { port: portA, peers: [urlB] });
  await a.ready;
  t.deepEqual(a.lines, [`Peer ${urlB} is down: connection refused`]);
  await put(a, "only-a", 1);
  const b = await startTestNode(t, { port: portB, peers: [urlA] });
  await b.ready;
  t.is(await read(b, "only-a"), 1, "the first round repaired it before clients were answered");
  t.true(b.lines.includes(`Peer ${urlA} is up`) && b.lines.includes(`${urlA}: store hashes differ, replicating`));
  t.regex(
    b.lines.join("\n"),
    /repaired by full \(this node holds nothing yet\): 1 difference, 1 entry, \d+ bytes, in 1 request and \d+ ms/,
  );
  await until(t, "a sees b", () => a.lines.includes(`Peer ${urlB} is up`), [a, b]);
  await until(t, "both agree", () => a.lines.includes(`${urlB}: store hashes match, no replication needed`), [a, b]);
  t.is(a.lines.filter((line) => line === "All peers are up").length, 1);
});

/** A peer that takes connections and says nothing until it is told to break them off. */
async function startSilent(t: ExecutionContext): Promise<{ readonly url: string; breakOff(): void }> {
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const breakOff = (): void => {
    silent.close();
    silent.closeAllConnections();
  };
  t.teardown(breakOff);
  return { url: `http://localhost:${(silent.address() as { port: number }).port}`, breakOff };
}

test("a client's request waits for the first round with the peers, and a peer's does not", async (t) => {
  const peer = await startSilent(t);
  const node = await startTestNode(t, { peers: [peer.url], timeoutMs: 60_000 });
  let answered = false;
  const reading = send(node.url, "GET", "/store/key?key=x").finally(() => (answered = true));
  t.is((await send(node.url, "GET", "/ping")).status, 200);
  t.is((await send(node.url, "GET", "/status")).status, 200);
  t.false(answered, "the read was sent first");
  peer.breakOff();
  t.is((await reading).status, 404);
});

test("a client does not wait for ever for a peer that is silent", async (t) => {
  const peer = await startSilent(t);
  const node = await startTestNode(t, { peers: [peer.url], timeoutMs: 500 });
  t.is((await send(node.url, "GET", "/store/key?key=x")).status, 404);
});

test("a request that comes while the node is opening is answered", async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const starting = startTestNode(t, { port });
  let answer: Awaited<ReturnType<typeof send>> | undefined;
  for (let i = 0; i < 200 && answer === undefined; i++) {
    answer = await send(`http://127.0.0.1:${port}`, "GET", "/ping").catch(() => undefined);
  }
  t.is(answer?.status, 200);
  await starting;
});

test("after a stop and a start on the same folder the data is there, the port and the folder are free", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "concord-serve-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const first = await startTestNode(t, { folder });
  await put(first, "k", { deep: [1, 2] });
  const error = await t.throwsAsync(startTestNode(t, { folder }), { instanceOf: ConcordError });
  t.is(error?.code, "locked");
  await first.stop();
  await t.throwsAsync(send(first.url, "GET", "/ping"), { code: "ECONNREFUSED" });
  const second = await startTestNode(t, { folder, port: first.port });
  t.deepEqual(await read(second, "k"), { deep: [1, 2] });
});

test("a port that is taken is said in one line, and nothing is opened", async (t) => {
  const node = await startTestNode(t);
  const folder = join(tmpdir(), "concord-never-made");
  const error = await t.throwsAsync(startTestNode(t, { port: node.port, folder }), { instanceOf: ConcordError });
  t.is(error?.code, "invalid");
  t.regex(error?.message ?? "", new RegExp(`^port ${node.port} is taken already: stop the program that listens there, or choose another`));
});

test("options that cannot be meant are refused by name", async (t) => {
  const refused = async (options: Parameters<typeof startNode>[0], message: RegExp) => {
    const error = await t.throwsAsync(startNode(options), { instanceOf: ConcordError });
    t.regex(error?.message ?? "", message);
  };
  await refused({ port: 70_000, peers: [] }, /the port is 70000/);
  await refused({ port: 0, peers: ["localhost:8002"] }, /"localhost:8002" is not a base URL: write http:\/\/localhost:8002/);
  await refused({ port: 0, peers: ["ftp://x"] }, /is not a base URL, such as/);
  await refused({ port: 0, peers: ["http://x:1/?a=b"] }, /holds more than/);
  await refused({ port: 0, peers: [], pingEveryMs: 0 }, /the time between pings is 0 s/);
  await refused({ port: 0, peers: [], name: "" }, /the name has/);
  await refused({ port: 0, peers: [], hostname: "192.0.2.1", insecure: true }, /192\.0\.2\.1 is not an address of this machine/);
});

test("a disk that fails stops the node with one clear line; reads go on, writes are refused", async (t) => {
  const memory = createMemoryStorage();
  let failing = false;
  const broken = () => Promise.reject(new ConcordError("disk-full", "the disk that holds /d has no room"));
  const node = await startTestNode(t, { storage: { ...memory, write: (batch) => (failing ? broken() : memory.write(batch)) } });
  await put(node, "k", 1);
  failing = true;
  const { status, json } = await put(node, "k", 2);
  t.deepEqual([status, json], [507, { error: "the disk that holds /d has no room" }]);
  t.is((await node.failed).message, "the disk that holds /d has no room");
  t.deepEqual(node.lines, ["this node has stopped: the disk that holds /d has no room"]);
  t.is(await read(node, "k"), 1);
  t.is((await put(node, "k", 3)).status, 507);
  t.is((await send(node.url, "GET", "/status")).json.stopped, "the disk that holds /d has no room");
});

test("a stop finishes what is in flight and refuses what is new", async (t) => {
  const memory = createMemoryStorage();
  let writes = 0;
  const storage = {
    ...memory,
    write: (batch: Parameters<typeof memory.write>[0]) => (writes++, pause(300).then(() => memory.write(batch))),
  };
  const node = await startTestNode(t, { storage });
  const inFlight = put(node, "a", 1);
  await until(t, "it is on its way to the disk", () => writes > 0);
  const stopping = node.stop();
  await t.throwsAsync(node.kv.write([{ key: "b", value: Buffer.from("1") }]), { message: /this node is stopping/ });
  t.is((await inFlight).status, 200);
  await stopping;
  t.true(memory.records.size > 0);
});

test("a stop hands the last writes to the peers", async (t) => {
  const [a, b] = (await startCluster(t, 2)) as [TestNode, TestNode];
  await until(t, "both are up", () => [a, b].every(({ lines }) => lines.includes("All peers are up")), [a, b]);
  const writes = Array.from({ length: 200 }, (_, i) => a.kv.write([{ key: `k${i}`, value: Buffer.from("1") }]));
  await Promise.all(writes);
  await a.stop();
  t.is(b.kv.status().keys, 200);
});
