/** Our nodes beside one that somebody else wrote from the table of the base protocol (support/foreign-node.ts). */
import test from "ava";
import { startForeignNode } from "../support/foreign-node.ts";
import { send } from "../support/http.ts";
import { freePorts, pause, startTestNode, until, type TestNode } from "../support/nodes.ts";

const put = (node: TestNode, key: string, value: unknown, query = "") =>
  send(node.url, "POST", `/store${query}`, { body: JSON.stringify({ key, value }) });
const read = async (node: TestNode, key: string) => (await send(node.url, "GET", `/store/key?key=${key}`)).json?.value;

test("a foreign peer is up, is given the whole store, and then each write as it happens", async (t) => {
  const foreign = await startForeignNode(t);
  const node = await startTestNode(t, { peers: [foreign.url] });
  await put(node, "before", { a: 1 });
  await until(t, "it is up", () => node.lines.includes(`Peer ${foreign.url} is up`), [node]);
  await until(t, "it has what was there before", () => foreign.data.has("before"), [node]);
  t.true(node.lines.includes("All peers are up"));
  t.true(node.lines.includes(`${foreign.url}: store hashes differ, replicating`));
  await put(node, "after", "x");
  await until(t, "it has the write", () => foreign.data.get("after") === "x");
  t.deepEqual(foreign.data.get("before"), { a: 1 });
});

test("a write that asks for two copies counts a foreign peer that took it", async (t) => {
  const foreign = await startForeignNode(t);
  const node = await startTestNode(t, { peers: [foreign.url] });
  await until(t, "it is up", () => node.lines.includes(`Peer ${foreign.url} is up`), [node]);
  const { status, json } = await put(node, "k", "v", "?w=2");
  t.deepEqual([status, json.copies], [200, 2]);
  t.is(foreign.data.get("k"), "v");
});

test("nothing is pushed again while its hash stays; all is when it comes back empty", async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const first = await startForeignNode(t, port);
  const node = await startTestNode(t, { peers: [first.url] });
  for (let i = 0; i < 250; i++) await node.kv.write([{ key: `k${i}`, value: Buffer.from(`"v${i}"`) }]);
  await until(t, "it has everything", () => first.data.size === 250, [node]);
  await until(t, "its hash has been read", () => first.seen.at(-1) === "GET /store/hash", [node]);
  const pushes = () => first.seen.filter((line) => line === "POST /replicate").length;
  const pushesBefore = pushes();
  for (let i = 0; i < 5; i++) {
    node.tick();
    await pause(30);
  }
  t.is(pushes(), pushesBefore);
  await first.stop();
  await until(t, "it is down", () => node.lines.some((line) => line.startsWith(`Peer ${first.url} is down:`)), [node]);
  await put(node, "while-away", 1);
  const second = await startForeignNode(t, port);
  await until(t, "it has everything again", () => second.data.size === 251, [node]);
});

test("a foreign node that hands its old store around beats nothing that was acknowledged", async (t) => {
  const foreign = await startForeignNode(t);
  const node = await startTestNode(t, { peers: [foreign.url] });
  await put(node, "k", "old");
  await put(node, "gone", "old");
  await until(t, "it has both", () => foreign.data.size === 2, [node]);
  const handAround = async (key: string, value: unknown) => send(node.url, "POST", "/replicate", { body: JSON.stringify({ key, value }) });
  await put(node, "k", "new");
  await until(t, "it has the new one", () => foreign.data.get("k") === "new", [node]);
  const { hash } = (await send(node.url, "GET", "/store/hash")).json;
  await handAround("k", "new");
  t.is((await send(node.url, "GET", "/store/hash")).json.hash, hash, "its own echo is no news");
  await handAround("k", "theirs");
  t.is(await read(node, "k"), "theirs", "a write of its own clients replaces what it was given");
  t.is(node.kv.get("k")?.siblings, 1);
});

test("a stale push of what a foreign node was given before it was cut off is no news, also of a key deleted since", async (t) => {
  const foreign = await startForeignNode(t);
  const node = await startTestNode(t, { peers: [foreign.url] });
  await put(node, "k", "old");
  await put(node, "gone", "old");
  await until(t, "it has both", () => foreign.data.size === 2, [node]);
  await foreign.stop();
  await until(t, "it is down", () => node.lines.some((line) => line.includes("is down")), [node]);
  await put(node, "k", "new");
  await send(node.url, "DELETE", "/store/key?key=gone");
  for (const key of ["k", "gone"]) await send(node.url, "POST", "/replicate", { body: `{"key":"${key}","value":"old"}` });
  t.is(await read(node, "k"), "new");
  t.is(await read(node, "gone"), undefined);
});

test("pairs from an unknown sender stand beside what clients wrote, and replace each other", async (t) => {
  const node = await startTestNode(t);
  const replicate = (body: string) => send(node.url, "POST", "/replicate", { body });
  t.deepEqual((await replicate('{"key":"k","value":"v"}')).json, { message: "Key-value pair replicated successfully" });
  t.is(await read(node, "k"), "v");
  await replicate('[{"key":"k","value":"w"},{"key":"l","value":1},{"key":"l","value":2}]');
  t.is(await read(node, "k"), "w");
  t.is(await read(node, "l"), 2);
  t.is(node.kv.get("k")?.siblings, 1);
  await put(node, "k", "acknowledged");
  t.is(node.kv.get("k")?.siblings, 1);
  await replicate('{"key":"k","value":"theirs"}');
  t.deepEqual(
    node.kv
      .siblings("k")
      .map(({ value }) => Buffer.from(value).toString())
      .sort(),
    ['"acknowledged"', '"theirs"'],
  );
  await put(node, "k", "both seen");
  t.is(node.kv.get("k")?.siblings, 1);
});

test("what the base protocol has no words for is left out, and said once", async (t) => {
  const foreign = await startForeignNode(t);
  const node = await startTestNode(t, { peers: [foreign.url] });
  await node.kv.write([{ key: "picture", value: Buffer.from([1, 2]), contentType: "image/png" }]);
  await until(t, "it is up", () => node.lines.includes(`Peer ${foreign.url} is up`), [node]);
  await put(node, "a", 1);
  await send(node.url, "DELETE", "/store/key?key=a");
  await put(node, "b", 1);
  await until(t, "it has b", () => foreign.data.has("b"), [node]);
  t.false(foreign.data.has("picture"));
  t.is(node.lines.filter((line) => line.includes("no words for")).length, 1);
});
