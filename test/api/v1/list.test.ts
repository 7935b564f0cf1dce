/** Listing and batches, over real sockets; cursors as properties. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { decodeCursor, encodeCursor } from "../../../lib/api/v1/list.ts";
import { Problem } from "../../../lib/api/v1/problem.ts";
import { send } from "../../support/http.ts";
import { startTestNode } from "../../support/nodes.ts";
import { holds } from "../../support/property.ts";

const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 });

test("a cursor comes back as its key with its own prefix, and with no other", (t) => {
  holds(
    t,
    fc.property(key, key, key, (last, prefix, other) => {
      const cursor = encodeCursor(last, prefix);
      assert.match(cursor, /^[\w-]+$/);
      assert.equal(decodeCursor(cursor, prefix), last);
      if (other !== prefix) assert.throws(() => decodeCursor(cursor, other), Problem);
    }),
  );
});

test("whatever else is sent as a cursor is refused", (t) => {
  holds(
    t,
    fc.property(fc.oneof(fc.base64String(), fc.string()), (text) => {
      assert.throws(() => decodeCursor(text, "p"), Problem);
    }),
  );
});

test("pages: every key once, in the order of bytes, whatever the limit", async (t) => {
  const { url, kv } = await startTestNode(t);
  const keys = ["a", "a/1", "a/2", "a/\u00e9", "a/🙂", "b", "б/1", "б/2"];
  await kv.write(keys.map((name) => ({ key: name, value: Buffer.from("1") })));
  const sorted = [...keys].sort((x, y) => Buffer.compare(Buffer.from(x), Buffer.from(y)));
  const collect = async (query: string): Promise<string[]> => {
    const seen: string[] = [];
    for (let cursor = ""; ;) {
      const { json } = await send(url, "GET", `/v1/kv?${query}${cursor}`);
      seen.push(...(json.entries as { key: string }[]).map((entry) => entry.key));
      if (json.cursor === undefined) return seen;
      cursor = `&cursor=${json.cursor}`;
    }
  };
  for (const limit of [1, 3, 8, 100]) t.deepEqual(await collect(`limit=${limit}`), sorted);
  t.deepEqual(await collect("prefix=a/&limit=1"), sorted.filter((name) => name.startsWith("a/"))); // prettier-ignore
  t.deepEqual(await collect(`prefix=${encodeURIComponent("б/")}&limit=1`), ["б/1", "б/2"]);
  t.deepEqual(await collect("prefix=none"), []);
  const { json } = await send(url, "GET", "/v1/kv?limit=1&prefix=a/");
  t.is((await send(url, "GET", `/v1/kv?limit=1&prefix=b&cursor=${json.cursor}`)).json.field, "cursor");
  for (const bad of ["limit=0", "limit=1001", "limit=x", "cursor=x", "values=maybe", "prefx=a"]) t.is((await send(url, "GET", `/v1/kv?${bad}`)).status, 400, bad); // prettier-ignore
});

test("values only when asked for, as what they are; a page of large ones ends early", async (t) => {
  const { url, kv } = await startTestNode(t);
  await kv.write([
    { key: "a", value: Buffer.from("1.0") },
    { key: "b", value: Buffer.from("hi"), contentType: "text/plain", ttlMs: 100_000 },
    { key: "c", value: Buffer.from("1") },
    { key: "c", value: Buffer.from("2"), beside: true },
  ]);
  const plain = await send(url, "GET", "/v1/kv");
  t.deepEqual(Object.keys(plain.json.entries[0]), ["key", "bytes"]);
  t.like(plain.json.entries[1], { key: "b", bytes: 2, contentType: "text/plain" });
  t.is(plain.json.entries[2].siblings, 2);
  const full = await send(url, "GET", "/v1/kv?values");
  t.regex(full.text, /"value":1\.0,/);
  t.like(full.json.entries[1], { value: "aGk=", contentType: "text/plain", encoding: "base64" });
  t.true(full.json.entries[1].expiresIn <= 100);
  const { headers } = await send(url, "GET", "/v1/kv/c");
  t.like(full.json.entries[2], { etag: headers.etag, token: headers["concord-token"] });
  await kv.write([1, 2, 3, 4].map((i) => ({ key: `large${i}`, value: Buffer.alloc(700_000, "x"), contentType: "text/plain" })));
  const page = await send(url, "GET", "/v1/kv?values&prefix=large");
  t.is(page.json.entries.length, 2);
  t.truthy(page.json.cursor);
});

test("a batch: each kind of operation, and a receipt for each", async (t) => {
  const { url, kv } = await startTestNode(t);
  await kv.write([{ key: "old", value: Buffer.from("1") }, { key: "kept", value: Buffer.from("1") }]); // prettier-ignore
  const operations = [
    '{"op":"put","key":"a","value":{"n":12345678901234567890, "__proto__":1.0},"ttl":1000.5}',
    '{"op":"put","key":"b","value":"AAH/","encoding":"base64","contentType":"image/png","ifNoneMatch":"*"}',
    '{"op":"delete","key":"old"}',
    '{"op":"delete","key":"none"}',
    '{"op":"touch","key":"kept","ttl":50}',
    '{"op":"put","key":"j","value":"MQ==","encoding":"base64","contentType":"application/json"}',
  ];
  const { status, json, text } = await send(url, "POST", "/v1/batch", { body: `{"operations":[${operations.join(",\n")}]}` });
  t.is(status, 200, text);
  t.deepEqual((json.results as { changed: boolean }[]).map(({ changed }) => changed), [true, true, true, false, true, true]); // prettier-ignore
  t.is((await send(url, "GET", "/v1/kv/a")).text, '{"n":12345678901234567890,"__proto__":1.0}');
  t.deepEqual(Buffer.from(kv.get("b")!.value), Buffer.from([0, 1, 255]));
  t.deepEqual([kv.get("old"), kv.get("j")!.contentType], [undefined, ""]);
  for (const [i, name] of [[0, "a"], [1, "b"], [4, "kept"]] as const) t.is(json.results[i].etag, (await send(url, "GET", `/v1/kv/${name}`)).headers.etag); // prettier-ignore
  t.is(json.results[2].etag, undefined);
});

test("a batch is refused as a whole, with the place that is at fault", async (t) => {
  const { url, kv } = await startTestNode(t);
  await kv.write([{ key: "taken", value: Buffer.from("1") }]);
  const fine = '{"op":"put","key":"fine","value":1}';
  const cases: [operation: string, status: number, field: string][] = [
    ['{"op":"put","key":"taken","value":1,"ifNoneMatch":"*"}', 412, "operations[1]"],
    ['{"op":"put","key":"x"}', 400, "operations[1].value"],
    ['{"op":"put","key":"","value":1}', 400, "operations[1].key"],
    ['{"op":"put","key":"x","value":1,"ttl":0}', 400, "operations[1].ttl"],
    ['{"op":"put","key":"x","value":1,"tll":1}', 400, "operations[1].tll"],
    ['{"op":"put","key":"x","value":1,"contentType":"text/plain"}', 400, "operations[1].contentType"],
    ['{"op":"put","key":"x","value":"a","encoding":"base64"}', 400, "operations[1].value"],
    ['{"op":"put","key":"x","value":1,"ifMatch":"x"}', 400, "operations[1].ifMatch"],
    ['{"op":"move","key":"x"}', 400, "operations[1].op"],
    ["1", 400, "operations[1]"],
  ];
  for (const [operation, status, field] of cases) {
    const { status: got, json, text } = await send(url, "POST", "/v1/batch", { body: `{"operations":[${fine},${operation}]}` });
    t.deepEqual([got, json.field], [status, field], `${operation} ${text}`);
  }
  for (const body of ["", "[]", "{}", '{"operations":{}}', '{"operations":[]}', `{"operations":[${fine}],"w":2}`, "{"]) t.is((await send(url, "POST", "/v1/batch", { body })).status, 400, body); // prettier-ignore
  const many = `{"operations":[${Array.from({ length: 1_001 }, () => fine).join(",")}]}`;
  t.is((await send(url, "POST", "/v1/batch", { body: many })).status, 413);
  t.is(kv.get("fine"), undefined);
});
