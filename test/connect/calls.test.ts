/** The client's calls against a real node, over real sockets. */
import test from "ava";
import { ClientError, connect } from "../../lib/connect.ts";
import { startTestNode } from "../support/nodes.ts";
import { bodyOf, problem, startStub } from "./support.ts";

test("values come back as they went in: JSON, texts, bytes", async (t) => {
  const { url } = await startTestNode(t);
  const store = connect(url);
  t.is(await store.get("k"), undefined);
  for (const value of [null, 0, "", "world", [1, { a: "é\u{1f600}" }], { a: { b: false } }]) {
    const { token, etag, copies } = await store.put("k", value);
    t.deepEqual(await store.get("k"), value);
    const found = await store.read("k");
    t.like(found, { contentType: "application/json", siblings: 1, expiresInMs: undefined, token, etag, node: url });
    t.is(copies, 1);
  }
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31) % 256);
  await store.put("bytes", bytes);
  t.deepEqual(await store.get("bytes"), bytes);
  t.is((await store.read("bytes"))?.contentType, "application/octet-stream");
  await store.put("text", "<b>", { contentType: "text/html" });
  t.is(new TextDecoder().decode(await store.get<Uint8Array>("text")), "<b>");
});

test("keys of every kind, and those that no URL can hold", async (t) => {
  const { url } = await startTestNode(t);
  const store = connect(url);
  const keys = ["a/b", "a/../b", "%2F", "?x=1&y", "#", "+ ", "ключ", "touch", "a/touch", ".hidden", "a".repeat(1_000)];
  for (const key of keys) await store.put(key, key);
  for (const key of keys) t.is(await store.get(key), key);
  for (const key of [".", "..", ""]) await t.throwsAsync(store.get(key), { instanceOf: ClientError, code: "invalid" });
  await t.throwsAsync(store.put("\ud800", 1), { instanceOf: ClientError, code: "invalid" });
  for (const value of [undefined, () => 1, 1n]) await t.throwsAsync(store.put("k", value), { instanceOf: ClientError, code: "invalid" });
});

test("delete, conditions, expiry and touch", async (t) => {
  const { url } = await startTestNode(t);
  const store = connect(url);
  t.false(await store.delete("k"));
  const { etag } = await store.put("k", 1, { ifAbsent: true });
  const refused = await t.throwsAsync(store.put("k", 2, { ifAbsent: true }), { instanceOf: ClientError, code: "condition-failed" });
  t.like(refused, { status: 412, node: url, mayBeStored: false });
  t.regex(refused.hint ?? "", /Read the key again/);
  await store.put("k", 2, { ifMatch: etag! });
  await t.throwsAsync(store.delete("k", { ifMatch: etag! }), { code: "condition-failed" });
  t.true(await store.touch("k", 60_000));
  const left = (await store.read("k"))?.expiresInMs ?? 0;
  t.true(left > 1_000 && left <= 60_000, String(left));
  t.true(await store.touch("k", undefined));
  t.is((await store.read("k"))?.expiresInMs, undefined);
  t.false(await store.touch("none", 1));
  await store.put("short", 1, { ttlMs: 0.5 });
  t.true(await store.delete("k"));
  t.is(await store.get("k"), undefined);
});

test("a list has all keys of the prefix over several pages, with values or without", async (t) => {
  const { url, kv } = await startTestNode(t);
  const store = connect(url);
  await kv.write(Array.from({ length: 1_500 }, (_, i) => ({ key: `p/${String(i).padStart(4, "0")}`, value: Buffer.from(String(i)) })));
  await kv.write([{ key: "q", value: Buffer.from([1, 255]), contentType: "x/y" }]);
  const values: unknown[] = [];
  for await (const { key, value } of store.list({ prefix: "p/" })) {
    t.is(key, `p/${String(value).padStart(4, "0")}`);
    values.push(value);
  }
  t.is(values.length, 1_500);
  for await (const { value, bytes } of store.list({ prefix: "p/0", values: false })) t.true(value === undefined && bytes <= 3);
  for await (const { value, contentType } of store.list({ prefix: "q" })) t.deepEqual([value, contentType], [Uint8Array.of(1, 255), "x/y"]);
  for await (const { key } of store.list()) {
    t.is(key, "p/0000");
    break;
  }
});

test("a batch is taken whole or not at all", async (t) => {
  const { url } = await startTestNode(t);
  const store = connect(url);
  await store.put("old", 1);
  const results = await store.batch([
    { op: "put", key: "a", value: { x: 1 }, ttlMs: 60_000 },
    { op: "put", key: "b", value: Uint8Array.of(0, 200) },
    { op: "delete", key: "old" },
    { op: "delete", key: "none" },
    { op: "touch", key: "old", ttlMs: 5_000 },
  ]);
  t.deepEqual(
    results.map(({ changed }) => changed),
    [true, true, true, false, false],
  );
  t.deepEqual([await store.get("a"), await store.get("b"), await store.get("old")], [{ x: 1 }, Uint8Array.of(0, 200), undefined]);
  const refused = await t.throwsAsync(
    store.batch([
      { op: "put", key: "c", value: 1 },
      { op: "put", key: "a", value: 2, ifAbsent: true },
    ]),
    { code: "condition-failed" },
  );
  t.is((refused as ClientError).field, "operations[1]");
  t.is(await store.get("c"), undefined);
});

test("increment asks as the route is written down", async (t) => {
  const asked: string[] = [];
  const url = await startStub(t, (incoming, outgoing) => {
    void bodyOf(incoming).then((body) => {
      asked.push(`${incoming.method} ${incoming.url} ${incoming.headers["content-type"]} ${body}`);
      outgoing.writeHead(200, { "content-type": "application/json", "concord-token": "abc" }).end('{"key":"n","value":7,"token":"abc"}');
    });
  });
  const store = connect(url);
  t.deepEqual(await store.increment("a/n"), { value: 7, token: "abc" });
  await store.increment("n", -2.5);
  t.deepEqual(asked, ['POST /v1/kv/a%2Fn/increment application/json {"by":1}', 'POST /v1/kv/n/increment application/json {"by":-2.5}']);
  await t.throwsAsync(store.increment("n", NaN), { code: "invalid" });
});

test("increments of a real node add up, in a session too", async (t) => {
  const { url } = await startTestNode(t);
  const store = connect(url);
  t.is((await store.increment("n")).value, 1);
  t.is((await store.increment("n", 41)).value, 42);
  const session = store.session();
  const { token } = await session.increment("n", -2);
  t.is(session.save()["n"]?.token, token);
  t.is(await session.get("n"), 40);
  await store.put("text", "x");
  await t.throwsAsync(store.increment("text"), { instanceOf: ClientError, code: "invalid" });
});

test("errors say what, where, and what to do", async (t) => {
  let answer: readonly [status: number, text: string] = [400, problem("invalid", 400)];
  const url = await startStub(
    t,
    (incoming, outgoing) => void incoming.resume().on("end", () => outgoing.writeHead(answer[0]).end(answer[1])),
  );
  const store = connect(url);
  const error = await t.throwsAsync(store.get("k"), { instanceOf: ClientError });
  t.like(error, { name: "ClientError", code: "invalid", status: 400, hint: "do this", field: "key", node: url, mayBeStored: false });
  t.is(error.message, `${url} refused: because of invalid`);
  const cases: [number, string, string, boolean][] = [
    [503, problem("too-few-copies", 503), "too-few-copies", true],
    [503, problem("behind", 503), "behind", true],
    [507, problem("disk-full", 507), "disk-full", true],
    [503, problem("overloaded", 503), "overloaded", false],
    [413, problem("too-large", 413), "too-large", false],
    [401, '{"error":"a token is needed here"}', "no-token", false],
    [403, '{"error":"this token may read and not write"}', "not-allowed", false],
    [503, '{"error":"the request took too long"}', "refused", true],
    [200, "<html>", "not-a-node", false],
    [502, "<html>", "not-a-node", true],
  ];
  for (const [status, text, code, mayBeStored] of cases) {
    answer = [status, text];
    t.like(await t.throwsAsync(store.put("k", 1), { instanceOf: ClientError }), { code, status, mayBeStored }, `${status} ${text}`);
  }
  answer = [404, "<h1>Not found</h1>"];
  await t.throwsAsync(store.get("k"), { code: "not-a-node" });
  await t.throwsAsync(store.delete("k"), { code: "not-a-node" });
});

test("the token is shown to each node, and never after a redirect", async (t) => {
  const shown: (string | undefined)[] = [];
  const thief = await startStub(t, (incoming, outgoing) => {
    shown.push(incoming.headers.authorization);
    outgoing.end("1");
  });
  const url = await startStub(t, (incoming, outgoing) => {
    if (incoming.url === "/v1/kv/away") outgoing.writeHead(307, { location: `${thief}/` }).end();
    else outgoing.writeHead(200, { "content-type": "application/json", "concord-token": String(incoming.headers.authorization) }).end("1");
  });
  const store = connect({ nodes: [url], token: "secret" });
  t.is((await store.read("k"))?.token, "Bearer secret");
  await t.throwsAsync(store.get("away"), { instanceOf: ClientError });
  t.deepEqual(shown, []);
});

test("what cannot be connected to is refused at once", (t) => {
  for (const node of ["localhost:8001", "ftp://localhost", "http://u:p@localhost", "http://localhost?x", ""]) {
    const error = t.throws(() => connect(node), { instanceOf: ClientError, code: "invalid" }, node);
    t.notRegex(error.message, /u:p/);
  }
  t.throws(() => connect({ nodes: [] }), { code: "invalid" });
  t.throws(() => connect({ nodes: ["http://localhost"], timeoutMs: 0 }), { code: "invalid" });
  t.throws(() => connect({ nodes: ["http://localhost"], token: "a\nb" }), { code: "invalid" });
});
