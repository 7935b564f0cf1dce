/** The table of the base protocol, row by row, over real sockets; where curl is what people type, with curl. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { encodeFrame } from "../../lib/core/frame.ts";
import { send, type Answer } from "../support/http.ts";
import { startTestNode, until } from "../support/nodes.ts";

const run = promisify(execFile);
const JSON_TYPE = { "content-type": "application/json" };

async function curl(...parameters: string[]): Promise<{ readonly status: number; readonly body: string }> {
  const { stdout } = await run("curl", ["-s", "-w", "\n%{http_code}", ...parameters]);
  const at = stdout.lastIndexOf("\n");
  return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) };
}

const keysOf = (pairs: readonly { readonly key: string }[]): string[] => pairs.map(({ key }) => key);

test("the table, as curl types it", async (t) => {
  const { port } = await startTestNode(t);
  const base = `localhost:${port}`;
  const header = ["-H", "Content-Type: application/json"];
  t.deepEqual(await curl(`${base}/ping`), { status: 200, body: '{"message":"pong"}' });
  const stored = await curl("-X", "POST", `${base}/store`, "-d", '{"key":"hello","value":"world"}', ...header);
  t.is(stored.status, 200);
  t.regex(stored.body, /^\{"key":"hello","stored":true,"copies":1,"token":"[\w-]+"\}$/);
  t.is((await curl("-X", "POST", `${base}/store`, "-d", '{"key":"plain","value":1}')).status, 200);
  const world = { status: 200, body: '{"value":"world"}' };
  t.deepEqual(await curl("-X", "GET", `${base}/store/key`, "-d", '{"key":"hello"}', ...header), world);
  t.deepEqual(await curl("-X", "GET", `${base}/store/key`, "-d", '{"key":"hello"}'), world);
  t.deepEqual(await curl(`${base}/store/key?key=hello`), world);
  t.deepEqual(await curl(`${base}/store/key?key=none`), { status: 404, body: '{"error":"Key not found"}' });
  t.regex((await curl(`${base}/store/hash`)).body, /^\{"hash":"[0-9a-f]{40}"\}$/);
  t.is((await curl(`${base}/store`)).body, '[{"key":"hello","value":"world"},\n{"key":"plain","value":1}]\n');
  const replicated = { status: 200, body: '{"message":"Key-value pair replicated successfully"}' };
  t.deepEqual(await curl(`${base}/replicate`, "-d", '{"key":"k","value":"v"}', ...header), replicated);
  t.deepEqual(await curl(`${base}/replicate`, "-d", '[{"key":"l","value":"v"},{"key":"m","value":"v"}]'), replicated);
  t.deepEqual(await curl("-X", "DELETE", `${base}/store/key`, "-d", '{"key":"none"}'), { status: 404, body: '{"error":"Key not found"}' });
  t.regex((await curl("-X", "DELETE", `${base}/store/key?key=k`)).body, /^\{"key":"k","deleted":true,"copies":1,"token":"[\w-]+"\}$/);
  t.is((await curl(`${base}/store/key?key=k`)).status, 404);
});

test("a value is answered with the very text that was stored", async (t) => {
  const { url } = await startTestNode(t);
  const texts = [
    '"é\\u00e9\\n"',
    "9007199254740993",
    "1.0",
    "-0",
    "null",
    "false",
    "[]",
    '{"__proto__":{"a":[1,{"b":null}]},"":""}',
    '"𝄞"',
  ];
  texts.push(JSON.stringify("long ".repeat(20_000)));
  for (const [i, text] of texts.entries()) {
    t.is((await send(url, "POST", "/store", { body: `{ "value" : ${text} , "key" : "k${i}" }` })).status, 200);
    t.is((await send(url, "GET", `/store/key?key=k${i}`)).text, `{"value":${text}}`);
  }
  t.deepEqual(keysOf((await send(url, "GET", "/store")).json).sort(), texts.map((_, i) => `k${i}`).sort());
});

test("keys of any characters, in the URL and in the body", async (t) => {
  const { url } = await startTestNode(t);
  for (const key of ["ü/ö?&=%", "a b+c", "__proto__", "..", "𝄞", "x".repeat(1024)]) {
    await send(url, "POST", "/store", { body: JSON.stringify({ key, value: key }) });
    t.is((await send(url, "GET", `/store/key?key=${encodeURIComponent(key)}`)).json.value, key);
    t.is((await send(url, "GET", "/store/key", { body: JSON.stringify({ key }) })).json.value, key);
  }
  t.is((await send(url, "GET", "/store")).json.length, 6);
});

test("an array of pairs: all are stored, the last of equal keys counts, and none when one is wrong", async (t) => {
  const { url, kv } = await startTestNode(t);
  const pairs = Array.from({ length: 2_500 }, (_, i) => ({ key: `k${i % 2_400}`, value: i }));
  t.deepEqual((await send(url, "POST", "/store", { body: JSON.stringify(pairs) })).json, { stored: 2_500, copies: 1 });
  t.is((await send(url, "GET", "/store/key?key=k5")).json.value, 2_405);
  t.is(kv.status().keys, 2_400);
  t.deepEqual((await send(url, "POST", "/store", { body: "[]" })).json, { stored: 0, copies: 1 });
  const bad = await send(url, "POST", "/store", { body: '[{"key":"new","value":1},{"value":2}]' });
  t.is(bad.status, 400);
  t.regex(bad.json.error, /pair 1: "key" is missing/);
  t.is((await send(url, "GET", "/store/key?key=new")).status, 404);
});

test("the whole store streams, whatever its size, and an empty one is an empty array", async (t) => {
  const { url, kv } = await startTestNode(t);
  t.is((await send(url, "GET", "/store")).text, "[]\n");
  const value = Buffer.from(JSON.stringify("x".repeat(1_000)));
  for (let i = 0; i < 10; i++) await kv.write(Array.from({ length: 500 }, (_, j) => ({ key: `k${i}-${j}`, value })));
  const { json, headers } = await send(url, "GET", "/store");
  t.is(headers["transfer-encoding"], "chunked");
  t.is(new Set(keysOf(json)).size, 5_000);
});

test("a value that is not JSON is answered as base64 beside its type", async (t) => {
  const { url, kv } = await startTestNode(t);
  await kv.write([{ key: "p", value: Buffer.from([0, 255]), contentType: "image/png" }]);
  const field = '"value":"AP8=","contentType":"image/png","encoding":"base64"';
  t.is((await send(url, "GET", "/store/key?key=p")).text, `{${field}}`);
  t.is((await send(url, "GET", "/store")).text, `[{"key":"p",${field}}]\n`);
});

const refusals: readonly (readonly [
  what: string,
  method: string,
  path: string,
  body: string | undefined,
  status: number,
  error: RegExp,
])[] = [
  ["bad JSON", "POST", "/store", '{"key":"a"', 400, /expected "," or "}"/],
  ["no body", "POST", "/store", undefined, 400, /the text is empty/],
  ["no key", "POST", "/store", '{"value":1}', 400, /"key" is missing/],
  ["no value", "POST", "/store", '{"key":"a"}', 400, /"value" is missing/],
  ["a key of another type", "POST", "/store", '{"key":1,"value":1}', 400, /"key" must be a string/],
  ["an empty key", "POST", "/store", '{"key":"","value":1}', 400, /"key" is empty/],
  ["a key twice", "POST", "/store", '{"key":"a","key":"b","value":1}', 400, /duplicate property "key"/],
  ["deep JSON", "POST", "/store", `{"key":"a","value":${"[".repeat(5_000)}${"]".repeat(5_000)}}`, 400, /nested deeper than 64/],
  ["a long key", "POST", "/store", `{"key":"${"x".repeat(1_025)}","value":1}`, 413, /"key" has 1025 bytes; 1024 are the most/],
  ["a long key in the URL", "GET", `/store/key?key=${"x".repeat(1_025)}`, undefined, 414, /"key" has 1025 bytes/],
  ["a long URL", "GET", `/store/key?key=${"x".repeat(9_000)}`, undefined, 414, /the URL is longer/],
  ["a bad escape", "GET", "/store/key?key=%ff", undefined, 400, /not valid UTF-8/],
  ["no key to read", "GET", "/store/key", undefined, 400, /"key" is missing/],
  ["no key to delete", "DELETE", "/store/key", "{}", 400, /"key" is missing/],
  ["an empty key in the URL", "GET", "/store/key?key=", undefined, 400, /"key" is empty/],
  ["a token that is none", "POST", "/store?token=x", '{"key":"a","value":1}', 400, /the token was not given/],
  ["copies of no number", "POST", "/store?w=two", '{"key":"a","value":1}', 400, /"w" is "two"/],
  ["more copies than nodes", "POST", "/store?w=2", '{"key":"a","value":1}', 400, /2 copies .* 1 nodes/],
  ["no pair to replicate", "POST", "/replicate", '{"key":"a"}', 400, /"value" is missing/],
  ["an unknown path", "GET", "/stores", undefined, 404, /nothing at "\/stores"/],
  ["a path that steps back", "GET", "/x/../ping", undefined, 404, /nothing at/],
  ["an escaped path", "GET", "/pin%67", undefined, 404, /nothing at/],
  ["a broken path", "GET", "/%zz", undefined, 400, /bad percent escape/],
];

for (const [what, method, path, body, status, error] of refusals) {
  test(`refused: ${what}`, async (t) => {
    const { url, lines } = await startTestNode(t);
    const answer = await send(url, method, path, { body, headers: JSON_TYPE });
    t.is(answer.status, status);
    t.regex(answer.json.error, error);
    t.is(answer.headers["content-type"], "application/json");
    t.is((await send(url, "GET", "/store")).text, "[]\n");
    t.deepEqual(lines, [], "a client's mistake is no line in the log");
  });
}

test("a wrong method on a known path is 405 and names the right ones", async (t) => {
  const { url } = await startTestNode(t);
  const allow = async (method: string, path: string) => {
    const { status, headers } = await send(url, method, path);
    return [status, headers.allow];
  };
  t.deepEqual(await allow("PUT", "/store"), [405, "GET, HEAD, POST"]);
  t.deepEqual(await allow("POST", "/store/key"), [405, "GET, HEAD, DELETE"]);
  t.deepEqual(await allow("GET", "/replicate"), [405, "POST"]);
  t.deepEqual(await allow("DELETE", "/ping?x=1"), [405, "GET, HEAD"]);
  t.deepEqual(await allow("PROPFIND", "/store/hash"), [405, "GET, HEAD"]);
});

test("a write that asks for more copies than it gets says how many hold it", async (t) => {
  const node = await startTestNode(t, { peers: ["http://localhost:1"], tuning: { copiesTimeoutMs: 1 } });
  const { url } = node;
  await node.ready;
  let answer: Answer | undefined;
  void send(url, "POST", "/store?w=2", { body: '{"key":"a","value":1}' }).then((got) => (answer = got));
  await until(t, "it is answered", () => answer !== undefined, [node]);
  const { status, json } = answer as unknown as Answer;
  t.is(status, 503);
  t.regex(json.error, /^1 of 2 nodes hold the write durably; it stays/);
  t.is((await send(url, "GET", "/store/key?key=a")).json.value, 1);
});

test("GET /status tells what a person asks first", async (t) => {
  const { url, kv } = await startTestNode(t, { name: "n1", address: "http://example.org:80" });
  const { json } = await send(url, "GET", "/status");
  t.deepEqual([json.name, json.address, json.keys, json.hash], ["n1", "http://example.org", 0, kv.hash()]);
  t.regex(json.version, /^\d+\.\d+\.\d+/);
  t.true(json.uptimeMs >= 0);
  t.deepEqual(json.peers, []);
});

test("POST /peer answers a frame with a frame, and refuses what is none", async (t) => {
  const { url } = await startTestNode(t);
  const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 1, context: "c".repeat(8) };
  const frame = encodeFrame({ kind: "ping", exchange: 7, name: "a", address: "", instance: "iiiiiiii", summary });
  const octets = { "content-type": "application/octet-stream" };
  const answer = await send(url, "POST", "/peer", { body: frame, headers: octets });
  t.is(answer.status, 200);
  t.deepEqual(Object.keys(answer.headers), ["content-length"], "a pong carries nothing that it need not");
  t.is((await send(url, "POST", "/peer", { body: frame })).status, 415);
  const bad = await send(url, "POST", "/peer", { body: frame.subarray(1), headers: octets });
  t.is(bad.status, 400);
  t.regex(bad.json.error, /checksum/);
  for (const reply of [
    { kind: "push-ack", exchange: 7, accepted: true },
    { kind: "pong", exchange: 7, name: "a", address: "", instance: "iiiiiiii", summary },
  ] as const) {
    // prettier-ignore
    const refused = await send(url, "POST", "/peer", { body: encodeFrame(reply), headers: octets });
    t.is(refused.status, 400);
    t.regex(refused.json.error, /that nobody asked for/);
  }
});
