/** What a stranger can do to the server: too much, too slowly, or nothing at all. */
import test from "ava";
import { send, sendRaw } from "../support/http.ts";
import { startTestNode } from "../support/nodes.ts";

test("a body over the limit is refused, with a GET as well, and the node goes on", async (t) => {
  const { url } = await startTestNode(t);
  const body = `{"key":"k","value":"${"x".repeat(11 * 1024 * 1024)}"}`;
  for (const [method, path] of [
    ["POST", "/store"],
    ["GET", "/store/key"],
    ["POST", "/replicate"],
  ] as const) {
    const { status, json, headers } = await send(url, method, path, { body });
    t.is(status, 413);
    t.regex(json.error, /larger than 10485760 bytes/);
    t.is(headers.connection, "close");
  }
  t.is((await send(url, "GET", "/ping")).status, 200);
});

test("a value over what one key may hold is refused by size, whatever the limit of a value", async (t) => {
  await t.throwsAsync(startTestNode(t, { valueBytesMax: 8 * 1024 * 1024 + 1 }), { message: /from 1 to 8388608/ });
  const { url } = await startTestNode(t, { valueBytesMax: 8 * 1024 * 1024 });
  const { status, json } = await send(url, "POST", "/store", { body: `{"key":"k","value":"${"x".repeat(9 * 1024 * 1024)}"}` });
  t.is(status, 413);
  t.regex(json.error, /8388608 are the most/);
});

test("a compressed body is refused", async (t) => {
  const { url } = await startTestNode(t);
  const { status } = await send(url, "POST", "/store", { body: "x", headers: { "content-encoding": "gzip" } });
  t.is(status, 415);
});

test("headers that do not end, and connections that say nothing, are cut in seconds", async (t) => {
  const { url } = await startTestNode(t);
  const attacks = ["", "GET / HTTP/1.1\r\nhost: localhost\r\n", "GET /ping HT"];
  for (const { text, tookMs } of await Promise.all(attacks.map((attack) => sendRaw(url, attack)))) {
    t.true(tookMs < 9_000, `cut after ${tookMs} ms`);
    t.true(text === "" || text.startsWith("HTTP/1.1 408"));
  }
});

test("requests that are none get 400, and no stack trace", async (t) => {
  const { url } = await startTestNode(t);
  for (const head of ["NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET /a\\b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"]) {
    const { text } = await sendRaw(url, head);
    t.regex(text, /^HTTP\/1\.1 400/);
    t.notRegex(text, /at .*:\d+/);
  }
});
