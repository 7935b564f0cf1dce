/** GET, HEAD, PUT, DELETE and touch under /v1/kv, over real sockets. */
import test from "ava";
import { send, type Answer, type Sent } from "../../support/http.ts";
import { startCluster, startTestNode, until } from "../../support/nodes.ts";

const JSON_TYPE = { "content-type": "application/json" };
type Ask = (method: string, path: string, sent?: Sent) => Promise<Answer>;
const asking =
  (url: string): Ask =>
  (method, path, sent) =>
    send(url, method, path, sent);

test("a value is bytes with a media type, and comes back as both", async (t) => {
  const { url } = await startTestNode(t);
  const ask = asking(url);
  const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).toString("latin1");
  const cases: [type: string | undefined, body: string, typeBack: string][] = [
    ["text/plain; charset=utf-8", "hello\n", "text/plain; charset=utf-8"],
    ["image/png", all, "image/png"],
    [undefined, "bytes", "application/octet-stream"],
    ["application/json", '{"b": 1.0,\r\n "a":[ ]}', "application/json"],
    ["Application/JSON; charset=UTF-8", '"ünï"', "application/json"],
    ["application/vnd.api+json", "not checked", "application/vnd.api+json"],
    ["text/plain", "", "text/plain"],
  ];
  for (const [type, text, typeBack] of cases) {
    const body = typeBack.startsWith("image") ? Buffer.from(text, "latin1") : Buffer.from(text);
    const stored = await ask("PUT", "/v1/kv/k", { body, headers: type === undefined ? {} : { "content-type": type } });
    t.is(stored.status, 200, stored.text);
    const { status, headers, text: back } = await ask("GET", "/v1/kv/k");
    t.deepEqual([status, headers["content-type"], headers["content-length"]], [200, typeBack, String(body.length)]);
    if (!typeBack.startsWith("image")) t.is(back, text);
    t.is(headers.etag, stored.headers.etag);
    t.is(headers["concord-token"], stored.json.token);
    const head = await ask("HEAD", "/v1/kv/k");
    t.deepEqual([head.status, head.text, head.headers.etag, head.headers["content-length"]], [200, "", headers.etag, String(body.length)]);
  }
});

test("bytes of every value survive the way in and out", async (t) => {
  const { url, kv } = await startTestNode(t);
  const body = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) % 256));
  await send(url, "PUT", "/v1/kv/big", { body, headers: { "content-type": "image/png" } });
  t.deepEqual(Buffer.from(kv.get("big")!.value), body);
  const back = await fetch(`${url}/v1/kv/big`);
  t.deepEqual(Buffer.from(await back.arrayBuffer()), body);
});

test("the base protocol shows JSON as JSON, and anything else as base64 beside its type", async (t) => {
  const { url } = await startTestNode(t);
  const ask = asking(url);
  await ask("PUT", "/v1/kv/json", { body: '{"a":\n1}', headers: JSON_TYPE });
  await ask("PUT", "/v1/kv/text", { body: "hi", headers: { "content-type": "text/plain" } });
  t.deepEqual((await ask("GET", "/store/key?key=json")).json, { value: { a: 1 } });
  const text = { value: "aGk=", contentType: "text/plain", encoding: "base64" };
  t.deepEqual((await ask("GET", "/store/key?key=text")).json, text);
  t.deepEqual((await ask("GET", "/store")).json, [
    { key: "json", value: { a: 1 } },
    { key: "text", ...text },
  ]);
  await ask("POST", "/store", { body: '{"key":"base","value":[1.0, 2]}' });
  t.is((await ask("GET", "/v1/kv/base")).text, "[1.0,2]");
});

test("keys: slashes, escapes, dots and all of Unicode; each name is one key", async (t) => {
  const { url, kv } = await startTestNode(t);
  const keys = ["a/b", "a//b", "a%b", "..", "a/../b", "ключ/🙂", "a b", "touch", "a/touch", "?#", "a+b"];
  for (const key of keys) await send(url, "PUT", `/v1/kv/${encodeURIComponent(key)}`, { body: key });
  t.deepEqual(kv.list({ limit: 100 }).entries.map(({ key }) => key).sort(), [...keys].sort()); // prettier-ignore
  for (const key of keys) t.is((await send(url, "GET", `/v1/kv/${encodeURIComponent(key)}`)).text, key);
  t.is((await send(url, "GET", "/v1/kv/a/../b")).text, "a/../b", "nothing is a step up");
  t.is((await send(url, "POST", "/v1/kv/a/touch/touch?ttl=9")).json.key, "a/touch");
  t.is((await send(url, "PUT", "/v1/kv/", { body: "x" })).status, 400);
  t.is((await send(url, "PUT", `/v1/kv/${"k".repeat(1025)}`, { body: "x" })).status, 413);
});

test("conditions: If-Match and If-None-Match, on writes and on reads", async (t) => {
  const { url } = await startTestNode(t);
  const ask = asking(url);
  const put = (headers: Record<string, string>, body = "x"): Promise<Answer> => ask("PUT", "/v1/kv/k", { body, headers });
  t.is((await put({ "if-match": "*" })).status, 412);
  const first = (await put({ "if-none-match": "*" })).headers.etag!;
  t.regex(first, /^"[\w-]{11}"$/);
  t.is((await put({ "if-none-match": "*" })).status, 412);
  t.is((await put({ "if-none-match": `"other", ${first}` })).status, 412);
  t.is((await put({ "if-match": `W/${first}` })).status, 412, "a weak tag never matches here");
  const second = (await put({ "if-match": `"other", ${first}` }, "y")).headers.etag!;
  t.not(second, first);
  const refused = await put({ "if-match": first });
  t.is(refused.status, 412);
  t.like(refused.json, { type: "/docs#condition-failed", status: 412, field: "if-match" });
  t.is((await ask("DELETE", "/v1/kv/k", { headers: { "if-match": first } })).status, 412);
  t.is((await ask("POST", "/v1/kv/k/touch?ttl=9", { headers: { "if-match": first } })).status, 412);
  t.is((await ask("GET", "/v1/kv/k")).text, "y");
  const known = await ask("GET", "/v1/kv/k", { headers: { "if-none-match": `W/${second}` } });
  t.deepEqual([known.status, known.text, known.headers.etag], [304, "", second]);
  t.is((await ask("HEAD", "/v1/kv/k", { headers: { "if-none-match": second } })).status, 304);
  t.is((await ask("GET", "/v1/kv/k", { headers: { "if-none-match": first } })).status, 200);
  t.is((await ask("GET", "/v1/kv/none", { headers: { "if-none-match": "*" } })).status, 404);
  for (const bad of ["first", '"', '"a" "b"', ""]) t.is((await put({ "if-match": bad })).json.field, "if-match");
  t.is((await put({ "if-match": first, "if-none-match": first })).status, 400);
});

test("siblings: a token keeps what it has not seen; the pick, the header, and all of them when asked", async (t) => {
  const { url, name } = await startTestNode(t);
  const ask = asking(url);
  const first = (await ask("PUT", "/v1/kv/k", { body: "1", headers: JSON_TYPE })).json.token as string;
  await ask("PUT", "/v1/kv/k", { body: "2", headers: { ...JSON_TYPE, "concord-token": first } });
  await ask("PUT", `/v1/kv/k?token=${first}`, { body: "three", headers: { "content-type": "text/plain" } });
  const picked = await ask("GET", "/v1/kv/k");
  t.deepEqual([picked.status, picked.text, picked.headers["concord-siblings"]], [200, "three", "2"]);
  const all = await ask("GET", "/v1/kv/k?siblings");
  t.is(all.status, 300);
  t.deepEqual([all.headers.etag, all.headers["concord-token"]], [picked.headers.etag, picked.headers["concord-token"]]);
  t.like(all.json.siblings[0], {
    value: Buffer.from("three").toString("base64"),
    contentType: "text/plain",
    encoding: "base64",
    node: name,
  });
  t.is(all.json.siblings[1].value, 2);
  for (const { dot, time } of all.json.siblings) {
    t.regex(dot, /^[0-9a-f]{16}:\d+$/);
    t.is(new Date(time).toISOString(), time);
  }
  await ask("PUT", "/v1/kv/k", { body: "4", headers: { "concord-token": String(picked.headers["concord-token"]) } });
  const settled = await ask("GET", "/v1/kv/k?siblings=true");
  t.deepEqual([settled.status, settled.text, settled.headers["concord-siblings"]], [200, "4", undefined]);
  t.is((await ask("PUT", "/v1/kv/other", { body: "1", headers: { "concord-token": first } })).status, 400, "another key's token");
});

test("expiry: ttl, what is left, touch, and gone for everybody", async (t) => {
  const nodes = await startCluster(t, 2);
  const [ask, askOther] = nodes.map(({ url }) => asking(url)) as [Ask, Ask];
  await until(t, "both are up", () => nodes.every(({ kv }) => kv.status().peers[0]?.status === "alive"), nodes);
  await ask("PUT", "/v1/kv/short?ttl=3.5&w=2", { body: "1" });
  await ask("PUT", "/v1/kv/long?ttl=3.5&w=2", { body: "2" });
  const left = Number((await askOther("GET", "/v1/kv/short")).headers["concord-expires-in"]);
  t.true(left > 0 && left <= 3.5, String(left));
  t.is((await ask("POST", "/v1/kv/long/touch?ttl=100.5&w=2")).status, 200);
  for (const from of [ask, askOther]) await until(t, "it has expired", async () => (await from("GET", "/v1/kv/short")).status === 404);
  for (const from of [ask, askOther]) {
    t.is((await from("GET", "/v1/kv/short")).status, 404);
    t.is((await from("GET", "/store/key?key=short")).status, 404);
    const { headers, text } = await from("GET", "/v1/kv/long");
    t.is(text, "2");
    t.true(Number(headers["concord-expires-in"]) > 3.5 && Number(headers["concord-expires-in"]) <= 100.5);
  }
  t.is((await ask("POST", "/v1/kv/short/touch?ttl=9")).status, 404, "nothing comes back to life");
  await ask("POST", "/v1/kv/long/touch?ttl=none");
  t.is((await ask("GET", "/v1/kv/long")).headers["concord-expires-in"], undefined);
  await ask("PUT", "/v1/kv/long?ttl=100", { body: "3" });
  await ask("PUT", "/v1/kv/long", { body: "4" });
  t.is((await ask("GET", "/v1/kv/long")).headers["concord-expires-in"], undefined, "a write without ttl stays");
  for (const ttl of ["0", "-1", "x", "", "1e3", "99999999999", "4000000000"])
    t.is((await ask("PUT", `/v1/kv/k?ttl=${ttl}`, { body: "1" })).status, 400, ttl);
  t.is((await ask("POST", "/v1/kv/long/touch")).json.field, "ttl");
});

test("deleting: once, and 404 after that", async (t) => {
  const { url } = await startTestNode(t);
  await send(url, "PUT", "/v1/kv/k", { body: "1" });
  const gone = await send(url, "DELETE", "/v1/kv/k?w=1");
  t.deepEqual([gone.status, gone.json.copies, gone.json.etag], [200, 1, undefined]);
  const again = await send(url, "DELETE", "/v1/kv/k");
  t.is(again.status, 404);
  t.is(again.headers["content-type"], "application/problem+json");
  t.deepEqual(Object.keys(again.json), ["type", "title", "status", "detail", "hint"]);
  t.is((await send(url, "GET", "/v1/kv/k")).status, 404);
});

test("r=2 reads two nodes, merges, and repairs; w and r of more nodes than there are, are refused", async (t) => {
  const nodes = await startCluster(t, 2);
  const [a, b] = nodes as [(typeof nodes)[0], (typeof nodes)[0]];
  await until(t, "both are up", () => nodes.every(({ kv }) => kv.status().peers[0]?.status === "alive"), nodes);
  const { tokens } = await b.kv.write([{ key: "k", value: Buffer.from("1") }], { local: true });
  await b.kv.write([{ key: "l", value: Buffer.from("2") }], { local: true });
  t.is((await send(a.url, "GET", "/v1/kv/l")).status, 404);
  t.is((await send(a.url, "GET", "/v1/kv/l?r=2")).text, "2");
  t.is((await send(a.url, "GET", "/v1/kv/l")).text, "2");
  const seen = await send(a.url, "GET", "/v1/kv/k", { headers: { "concord-token": tokens[0]! } });
  t.is(seen.text, "1", "a token from b: a does not answer with less than b has shown");
  for (const [method, path] of [["GET", "?r=3"], ["PUT", "?w=3"], ["DELETE", "?w=3"], ["GET", "?r=0"], ["PUT", "?w=x"]] as const) t.is((await send(a.url, method, `/v1/kv/k${path}`)).status, 400, path); // prettier-ignore
  await b.stop();
  await until(t, "b is down", () => a.kv.status().peers[0]?.status === "dead", [a]);
  const refused = await send(a.url, "GET", "/v1/kv/k?r=2");
  t.deepEqual([refused.status, refused.json.type], [503, "/docs#too-few-copies"]);
});

test("what is refused is a problem that names the field and says what to do", async (t) => {
  const { url } = await startTestNode(t);
  const ask = asking(url);
  const cases: [method: string, path: string, sent: Sent, status: number, field?: string][] = [
    ["GET", "/v1/kv/k?sibling", {}, 400, "sibling"],
    ["GET", "/v1/kv/k?siblings=perhaps", {}, 400, "siblings"],
    ["GET", "/v1/kv/k?r=1&r=2", {}, 400, "URL"],
    ["GET", "/v1/kv/%ff", {}, 400, "URL"],
    ["PUT", "/v1/kv/k?token=*", { body: "1" }, 400, "token"],
    ["PUT", "/v1/kv/k", { body: "{", headers: JSON_TYPE }, 400],
    ["PUT", "/v1/kv/k", { body: Buffer.from([0x22, 0xff, 0x22]), headers: JSON_TYPE }, 400, "body"],
    ["PUT", "/v1/kv/k", { body: "1", headers: { "content-type": "application/json; charset=latin1" } }, 400, "content-type"],
    ["PUT", "/v1/kv/k", { body: "1", headers: { "content-type": "text" } }, 400, "content-type"],
    ["PUT", "/v1/kv/k", { body: "1", headers: { "content-encoding": "gzip" } }, 415],
    ["PUT", "/v1/kv/k", { body: Buffer.alloc(8 * 1024 * 1024 + 1) }, 413],
    ["DELETE", "/v1/kv/k", { body: "1" }, 400, "body"],
    ["PATCH", "/v1/kv/k", { body: "1" }, 405],
    ["POST", "/v1/kv/k", { body: "1" }, 405],
    ["GET", "/v1/nothing", {}, 404],
    ["GET", "/v1", {}, 404],
    ["POST", "/docs", {}, 405],
  ];
  for (const [method, path, sent, status, field] of cases) {
    const answer = await ask(method, path, sent);
    t.deepEqual([answer.status, answer.headers["content-type"]], [status, "application/problem+json"], `${method} ${path} ${answer.text}`);
    t.is(answer.json.status, status);
    t.is(answer.json.field, field, `${method} ${path}`);
    for (const name of ["type", "title", "detail", "hint"]) t.regex(answer.json[name], /\S/);
  }
  t.is((await ask("PATCH", "/v1/kv/k")).headers.allow, "GET, HEAD, PUT, DELETE");
  t.is((await ask("GET", "/v1/kv/k")).status, 404, "nothing of it was written");
});

test("a page that somebody stored does nothing in a browser", async (t) => {
  const { url } = await startTestNode(t);
  await send(url, "PUT", "/v1/kv/page", { body: "<script>alert(1)</script>", headers: { "content-type": "text/html" } });
  const { headers } = await send(url, "GET", "/v1/kv/page");
  t.is(headers["content-security-policy"], "sandbox; default-src 'none'");
  t.is(headers["x-content-type-options"], "nosniff");
});
