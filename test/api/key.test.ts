/** The table of the routes /key, row by row, over real sockets. */
import test from "ava";
import { send } from "../support/http.ts";
import { startTestNode } from "../support/nodes.ts";

test("the table", async (t) => {
  const { url } = await startTestNode(t);
  const ask = async (method: string, path: string, body?: string): Promise<[number, string]> => {
    const { status, text } = await send(url, method, path, { body });
    return [status, text];
  };
  t.deepEqual(await ask("POST", "/key", '{"key1": "value1"}'), [200, '{"key1":"value1"}']);
  t.deepEqual(await ask("POST", "/key", '{"key1":"other"}'), [409, '{"message":"key key1 already exists"}']);
  t.deepEqual(await ask("GET", "/key/key1"), [200, '{"key1":"value1"}']);
  t.deepEqual(await ask("GET", "/key/key2"), [404, `{"message":"key 'key2' not found"}`]);
  t.deepEqual(await ask("DELETE", "/key/key1"), [200, '{"message":"key deleted successfully"}']);
  t.deepEqual(await ask("DELETE", "/key/key1"), [404, `{"message":"key 'key1' not found"}`]);
  t.deepEqual(await ask("POST", "/key", '{"key1":1.0}'), [200, '{"key1":1.0}']);
  t.deepEqual(await ask("GET", "/health"), [200, '{"status":"ok"}']);
});

test("anything but exactly one pair is 400 with a message", async (t) => {
  const { url } = await startTestNode(t);
  for (const body of ["", "{}", '{"a":1,"b":2}', "[]", '["a"]', '"a"', "{", '{"":1}', '{"a":1}x', "1"]) {
    const { status, json, text } = await send(url, "POST", "/key", { body });
    t.deepEqual([status, Object.keys(json)], [400, ["message"]], `${body} ${text}`);
  }
  t.is((await send(url, "GET", "/key/%ff")).status, 400);
  t.is((await send(url, "POST", "/key", { body: `{"${"k".repeat(1025)}":1}` })).status, 413);
  t.deepEqual((await send(url, "GET", "/store")).json, []);
});

test("it is the same store, whatever a key is called and whatever a value is", async (t) => {
  const { url } = await startTestNode(t);
  await send(url, "POST", "/key", { body: '{"a/b":{"x":1}}' });
  t.is((await send(url, "GET", "/v1/kv/a/b")).text, '{"x":1}');
  for (const path of ["/key/a/b", "/key/a%2Fb"]) t.deepEqual((await send(url, "GET", path)).json, { "a/b": { x: 1 } });
  await send(url, "PUT", "/v1/kv/text", { body: "hi", headers: { "content-type": "text/plain" } });
  t.deepEqual((await send(url, "GET", "/key/text")).json, { text: "aGk=", contentType: "text/plain", encoding: "base64" });
  t.is((await send(url, "POST", "/key", { body: '{"text":1}' })).status, 409);
  const wrong = await send(url, "PUT", "/key/text");
  t.deepEqual([wrong.status, wrong.headers.allow], [405, "GET, HEAD, DELETE"]);
});

test("of many who make the same key at once, one does", async (t) => {
  const { url } = await startTestNode(t);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send(url, "POST", "/key", { body: `{"k":${i}}` })));
  t.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array.from({ length: 19 }, () => 409)]); // prettier-ignore
  t.is((await send(url, "GET", "/key/k")).text, answers.find(({ status }) => status === 200)!.text);
});
