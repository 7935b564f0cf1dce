/** The two requests that are answered past the app: which ones are, and that nobody can tell. */
import test from "ava";
import { refusal } from "../../lib/api/answer.ts";
import { guardBrowsers } from "../../lib/api/browsers.ts";
import { createExpress } from "../../lib/api/express.ts";
import { listenHttp } from "../../lib/api/http.ts";
import { RouteMeter } from "../../lib/api/meter.ts";
import type { KvValue } from "../../lib/core/kv.ts";
import { DamagedRecordError } from "../../lib/core/damaged.ts";
import { send, sendRaw, type Answer, type Sent } from "../support/http.ts";
import { startTestNode } from "../support/nodes.ts";
import { clusterKeyFile, tokenFile } from "../support/secrets.ts";

/** What the answer shows of a value. */
const shown = (text: string): KvValue => ({ contentType: "", value: Buffer.from(JSON.stringify(text)) }) as unknown as KvValue;

test("only what is simple is answered past the app", async (t) => {
  const gate = { isOpen: false };
  const get = (key: string) => {
    if (key === "damaged") throw new DamagedRecordError("damaged");
    if (key === "large") return shown("x".repeat(16 * 1024));
    return key === "missing" ? undefined : shown("express");
  };
  const server = await listenHttp({ hostname: "127.0.0.1", port: 0 });
  t.teardown(() => server.close(0));
  const express = createExpress({
    kv: { get },
    gate,
    reads: new RouteMeter("GET", "/store/key"),
    writes: new RouteMeter("POST", "/store"),
    write: (incoming) => (incoming.headers["x-fails"] === undefined ? Promise.resolve('"express"') : Promise.reject(new Error("no"))),
    refuse: (error) => refusal(418, (error as Error).message, { connection: "close" }),
  });
  const app = { fetch: () => new Response('{"value":"app"}'), express };
  server.serve(guardBrowsers(app, { allowed: ["https://app.example.com"], trustsOwnMachine: true, address: server.url }));
  const who = async (method: string, path: string, headers: Record<string, string> = {}) => {
    const { text } = await send(server.url, method, path, { headers, ...(method === "POST" ? { body: "{}" } : {}) });
    return /app|express/.exec(text)?.[0];
  };

  t.is(await who("GET", "/store/key?key=a"), "app", "before the gate is open");
  gate.isOpen = true;
  t.is(await who("GET", "/store/key?key=a"), "express");
  t.is(await who("GET", `/store/key?key=${"a".repeat(1_024)}`), "express");
  t.is(await who("POST", "/store"), "express");
  for (const key of ["", "a%20b", "a+b", "a&w=1", "a#b", "ü", "a".repeat(1_025), "missing", "large", "damaged"])
    t.is(await who("GET", encodeURI(`/store/key?key=${key}`).replaceAll("%25", "%")), "app", key);
  for (const path of ["/store?w=1", "/store?", "/store/", "//store", "/store/key?key=a"]) t.is(await who("POST", path), "app", path);
  for (const path of ["/store/key", "/store/key?Key=a", "/store/key/?key=a", "/store/../store/key?key=a", "/store"])
    t.is(await who("GET", path), "app", path);
  t.is(await who("DELETE", "/store/key?key=a"), "app");
  t.is(await who("GET", "/store/key?key=a", { origin: "https://app.example.com" }), "app", "a page has to be told of CORS");
  for (const headers of [{ origin: "https://evil.example" }, { host: "evil.example" }])
    t.regex((await send(server.url, "GET", "/store/key?key=a", { headers })).text, /"error"/);

  const failed = await send(server.url, "POST", "/store", { body: "{}", headers: { "x-fails": "1" } });
  t.deepEqual([failed.status, failed.json.error, failed.headers.connection], [418, "no", "close"]);
});

/** All but what changes with time and from write to write. */
function comparable({ status, headers, text }: Answer): unknown {
  return [status, { ...headers, date: "…" }, text.replace(/"token":"[^"]+"/, '"token":"…"')];
}

const BODIES: readonly Sent[] = [
  ...['{"key":"a","value":[1,{"b":"ü"}]}', '[{"key":"a","value":1},{"key":"b","value":null}]', "[]", '{"key":"__proto__","value":1}'],
  ...["", "{", '{"key":"a"}', '{"key":"","value":1}', '{"key":"a","key":"b","value":1}', '{"key":"a","value":"\\ud800"}', "\ufeff{}", "1"],
  `{"key":"${"k".repeat(1_025)}","value":1}`,
  `{"key":"v","value":"${"x".repeat(2 * 1024 * 1024)}"}`,
]
  .map((body): Sent => ({ body }))
  .concat(
    { body: Buffer.from([0x7b, 0xff]) },
    { body: '{"key":"a","value":1}', headers: { "content-encoding": "gzip" } },
    { body: '{"key":"a","value":1}', headers: { "content-type": "text/plain; charset=latin1" } },
    { body: '{"key":"a","value":1}', headers: { "content-type": "application/x-www-form-urlencoded" } },
    { body: '{"key":"a","value":1}', headers: { connection: "keep-alive" } },
    { body: "x".repeat(11 * 1024 * 1024) },
  );

test("past the app and through it the answers are the same, headers and all", async (t) => {
  const { url } = await startTestNode(t);
  // The first request by a name goes through the app.
  await send(url, "GET", "/ping");
  for (const sent of BODIES) {
    const about = String(sent.body).slice(0, 60);
    t.deepEqual(comparable(await send(url, "POST", "/store", sent)), comparable(await send(url, "POST", "/store?w=1", sent)), about);
  }
  for (const key of ["a", "b", "__proto__", "missing", "a.b-c_d~e"])
    t.deepEqual(
      comparable(await send(url, "GET", `/store/key?key=${key}`)),
      comparable(await send(url, "GET", `/store/key?key=${key}&x=1`)),
      key,
    );
  const { text } = await send(url, "GET", "/metrics");
  t.regex(text, /concord_http_requests_total\{route="GET \/store\/key",status="2xx"\} 6\n/);
});

test("several requests on one connection are answered in order, whoever answers", async (t) => {
  const { url } = await startTestNode(t);
  await send(url, "POST", "/store", { body: '[{"key":"a","value":1},{"key":"b","value":2}]' });
  const body = '{"key":"c","value":3}';
  const post = `POST /store HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const get = (query: string, more = "") => `GET /store/key?${query} HTTP/1.1\r\nhost: localhost\r\n${more}\r\n`;
  const { text } = await sendRaw(url, get("key=a") + post + get("key=b&x=1") + post + get("key=a", "connection: close\r\n"));
  const answers = [...text.matchAll(/\r\n\r\n\{"(key":"c","stored"|value":\d)/g)].map(([, answer]) => answer);
  t.deepEqual(answers, ['value":1', 'key":"c","stored"', 'value":2', 'key":"c","stored"', 'value":1']);
});

test("a node that asks who it is asks here too", async (t) => {
  const { url } = await startTestNode(t, { tokenFile: await tokenFile(t), clusterKeyFile: await clusterKeyFile(t) });
  await send(url, "GET", "/ping");
  t.is((await send(url, "POST", "/store", { body: '{"key":"a","value":1}' })).status, 401);
  t.is((await send(url, "GET", "/store/key?key=a")).status, 401);
});
