/** What pages in browsers may do, as browsers ask for it. */
import test from "ava";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { createNode } from "../../lib/serve/embedded.ts";
import { send } from "../support/http.ts";
import { startTestNode } from "../support/nodes.ts";
import { clusterKeyFile, tokenFile, WRITE_TOKEN } from "../support/secrets.ts";

const PAIR = '{"key":"k","value":1}';
const APP = "https://app.example.com";

test("a page of a stranger writes nothing and reads nothing, by whatever route", async (t) => {
  const { url, kv } = await startTestNode(t);
  for (const origin of [APP, "http://localhost:1", "null", "http://localhost", `${url}.evil.example`, "https://127.0.0.1"]) {
    // What a form can send, and so a script without asking.
    const written = await send(url, "POST", "/store", { body: PAIR, headers: { origin, "content-type": "text/plain" } });
    t.is(written.status, 403, origin);
    t.regex(written.text, /--allow-origin/);
    t.is(written.headers["access-control-allow-origin"], undefined);
    const read = await send(url, "GET", "/v1/kv/k", { headers: { origin } });
    t.deepEqual([read.status, read.headers["content-type"]], [403, "application/problem+json"]);
    const headers = { origin, "access-control-request-method": "PUT" };
    t.is((await send(url, "OPTIONS", "/v1/kv/k", { headers })).status, 403);
  }
  t.is(kv.get("k"), undefined);
});

test("the node's own pages and programs are not asked", async (t) => {
  const { url } = await startTestNode(t);
  for (const headers of [{}, { origin: url }, { Origin: url, host: url.slice(7) }, { origin: "http://localhost", host: "localhost" }])
    t.is((await send(url, "POST", "/store", { body: PAIR, headers })).status, 200, JSON.stringify(headers));
});

test("by a name that is not known to lead here a node that trusts its own machine is not reached", async (t) => {
  const { url } = await startTestNode(t, { address: "http://node1.lan:8001" });
  const status = async (host: string) => (await send(url, "GET", "/store", { headers: { host } })).status;
  for (const host of ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3"])
    t.is(await status(host), 403, host);
  t.is((await send(url, "POST", "/store", { body: PAIR, headers: { host: "evil.example", origin: "http://evil.example" } })).status, 403);
  for (const host of ["localhost", "LOCALHOST:8001", "app.localhost:1", "127.0.0.1", "[::1]:8001", "10.0.0.7", "node1.lan:8001"])
    t.is(await status(host), 200, host);
  const files = { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) };
  const guarded = await startTestNode(t, files);
  t.is((await send(guarded.url, "GET", "/ping", { headers: { host: "any.example" } })).status, 200, "there it is the token that decides");
  const keyed = await startTestNode(t, { clusterKeyFile: files.clusterKeyFile });
  t.is((await send(keyed.url, "GET", "/store", { headers: { host: "any.example" } })).status, 403, "who is on the machine needs no key");
});

test("pages of an origin that is allowed ask first, send what they were granted, and read the headers that they need", async (t) => {
  const files = { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) };
  const { url } = await startTestNode(t, { ...files, allowOrigins: ["http://localhost:5173", APP] });
  const asking = { origin: APP, "access-control-request-method": "PUT", "access-control-request-headers": "authorization,concord-token" };
  const preflight = await send(url, "OPTIONS", "/v1/kv/k", { headers: asking });
  t.is(preflight.status, 204, "without a token: a browser does not send it with the question");
  t.is(preflight.headers["access-control-allow-origin"], APP);
  t.regex(preflight.headers["access-control-allow-methods"]!, /\bPUT\b.*\bDELETE\b/);
  for (const name of ["authorization", "content-type", "concord-token", "if-match", "if-none-match", "last-event-id"])
    t.true(preflight.headers["access-control-allow-headers"]!.split(", ").includes(name), name);
  const headers = { origin: APP, authorization: `Bearer ${WRITE_TOKEN}`, "content-type": "application/json" };
  const written = await send(url, "PUT", "/v1/kv/k", { body: "1", headers });
  t.deepEqual([written.status, written.headers["access-control-allow-origin"], written.headers["vary"]], [200, APP, "Origin"]);
  const read = await send(url, "GET", "/v1/kv/k", { headers });
  for (const name of read.headers["access-control-expose-headers"]!.split(", "))
    if (name === "etag" || name === "concord-token") t.truthy(read.headers[name], name);
  t.is(read.text, "1");
  const refused = await send(url, "GET", "/v1/kv/k", { headers: { origin: APP } });
  t.deepEqual([refused.status, refused.headers["access-control-allow-origin"]], [401, APP], "a page may read why");
  t.is((await send(url, "GET", "/v1/kv/k", { headers: { ...headers, origin: "https://other.example.com" } })).status, 403);
  t.is((await send(url, "OPTIONS", "/v1/kv/k", { headers: { origin: APP } })).status, 401, "what is no question of a browser is a request");
});

test("an origin is written as browsers write it", async (t) => {
  for (const origin of [
    "https://app.example.com/",
    "app.example.com",
    "HTTPS://app.example.com",
    "https://app.example.com:443",
    "null",
    "*",
  ]) {
    const error = await t.throwsAsync(startTestNode(t, { allowOrigins: [origin] }), { code: "invalid" });
    t.regex(error.message, /such as https:\/\/app\.example\.com$/, origin);
  }
});

test("a node inside a program is guarded alike; the program's own requests are its own affair", async (t) => {
  const node = await createNode({ address: "http://localhost:3000/kv", allowOrigins: [APP] });
  t.teardown(() => node.stop());
  const app = new Hono();
  app.route("/kv", node.app);
  const server = createServer((incoming, outgoing) => void getRequestListener(app.fetch)(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => void server.close());
  await node.ready;
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const status = async (origin: string) => (await send(url, "POST", "/kv/store", { body: PAIR, headers: { origin } })).status;
  t.deepEqual([await status(APP), await status("https://evil.example"), await status(url)], [200, 403, 200]);
  t.is((await send(url, "GET", "/kv/store", { headers: { host: "evil.example" } })).status, 403);
  const inside = new Request("http://inside/kv/store", { method: "POST", body: PAIR, headers: { origin: "https://evil.example" } });
  t.is((await node.fetch(inside)).status, 200);
});
