/** Who may do what, route by route, over real sockets; the addresses of other machines are played. */
import type { IncomingMessage } from "node:http";
import { Hono } from "hono";
import test from "ava";
import { createAccess } from "../../lib/api/access.ts";
import type { Env } from "../../lib/api/request.ts";
import { readClusterKeys } from "../../lib/auth/cluster-key.ts";
import { Conversation, type SealedAnswer } from "../../lib/auth/conversation.ts";
import { encodeFrame } from "../../lib/core/frame.ts";
import { send } from "../support/http.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { clusterKeyFile, READ_TOKEN, tokenFile, WRITE_TOKEN } from "../support/secrets.ts";

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const PAIR = '{"key":"k","value":1}';
const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 1, context: "c".repeat(8) };
const PING = encodeFrame({ kind: "ping", exchange: 7, name: "a", address: "", instance: "iiiiiiii", summary });

const routes: readonly (readonly [method: string, path: string, body: string | undefined, need: "read" | "write"])[] = [
  ["GET", "/store", undefined, "read"],
  ["HEAD", "/store", undefined, "read"],
  ["GET", "/store/key?key=k", undefined, "read"],
  ["GET", "/store/key", '{"key":"k"}', "read"],
  ["GET", "/store/hash", undefined, "read"],
  ["GET", "/status", undefined, "read"],
  ["POST", "/store", PAIR, "write"],
  ["POST", "/replicate", PAIR, "write"],
  ["GET", "/v1/kv/k", undefined, "read"],
  ["HEAD", "/v1/kv/k", undefined, "read"],
  ["GET", "/v1/kv", undefined, "read"],
  ["GET", "/key/k", undefined, "read"],
  ["GET", "/docs", undefined, "read"],
  ["PUT", "/v1/kv/k", "1", "write"],
  ["POST", "/v1/kv/k/touch?ttl=9", undefined, "write"],
  ["POST", "/v1/batch", '{"operations":[{"op":"put","key":"k","value":1}]}', "write"],
  ["DELETE", "/store/key?key=k", undefined, "write"],
];

test("with tokens, each route asks for one, and a token that may only read does not write", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) });
  const { url } = node;
  await send(url, "POST", "/store", { body: PAIR, headers: bearer(WRITE_TOKEN) });
  for (const [method, path, body, need] of routes) {
    const what = `${method} ${path}`;
    const ask = async (headers: Record<string, string>) => send(url, method, path, { body, headers });
    const none = await ask({});
    t.deepEqual([none.status, none.headers["www-authenticate"]], [401, 'Bearer realm="concord"'], what);
    t.is(none.headers["content-type"], path.startsWith("/v1/") ? "application/problem+json" : "application/json", what);
    for (const wrong of ["Bearer x", `Bearer ${READ_TOKEN}x`, `Basic ${READ_TOKEN}`, READ_TOKEN, "Bearer", `Bearer  `]) {
      t.is((await ask({ authorization: wrong })).status, 401, `${what} ${wrong}`);
    }
    t.is((await ask(bearer(READ_TOKEN))).status, need === "read" ? 200 : 403, what);
    t.is((await ask({ authorization: `bearer ${WRITE_TOKEN}` })).status, 200, what);
  }
  t.is((await send(url, "GET", "/ping")).text, '{"message":"pong"}');
  for (const path of ["/livez", "/readyz"]) t.not((await send(url, "GET", path)).status, 401, path);
  t.is((await send(url, "GET", "/ping", { headers: { authorization: "Bearer nonsense" } })).status, 200);
});

test("what nobody has thought of is guarded as a write", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) });
  for (const [method, path] of [
    ["PUT", "/v9/keys/k"],
    ["PATCH", "/store"],
    ["POST", "/ping"],
    ["OPTIONS", "/store"],
    ["POST", "/"],
    ["GET", "/ping/../store"],
    ["GET", "//store"],
  ] as const) {
    t.is((await send(node.url, method, path)).status, 401, `${method} ${path}`);
    t.is((await send(node.url, method, path, { headers: bearer(READ_TOKEN) })).status, method === "GET" ? 404 : 403, `${method} ${path}`);
  }
});

test("who may only read asks for no repair", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) });
  for (const path of ["/repair?peer=x", "/repair?peer=x&dryRun=true"]) {
    t.is((await send(node.url, "POST", path)).status, 401);
    t.is((await send(node.url, "POST", path, { headers: bearer(READ_TOKEN) })).status, 403);
    t.regex((await send(node.url, "POST", path, { headers: bearer(WRITE_TOKEN) })).text, /is no peer of this node/);
  }
});

test("a refused write leaves nothing behind, and its body is not looked at", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) });
  const large = `{"key":"k","value":"${"x".repeat(3_000_000)}"}`;
  for (const body of [PAIR, "no JSON", large]) {
    const { status, json } = await send(node.url, "POST", "/store", { body });
    t.deepEqual([status, json.error], [401, "a token is needed here: Authorization: Bearer TOKEN"]);
  }
  t.is(node.kv.status().keys, 0);
});

/** A peer with this key file, as far as one is needed here. */
function peerOf(
  node: TestNode,
  path: string,
): (sent: {
  method?: string;
  path?: string;
  body?: string | Uint8Array;
  from?: string;
  type?: string;
  tamper?: boolean;
}) => Promise<SealedAnswer> {
  const keys = readClusterKeys(path);
  const conversation = new Conversation(() => keys);
  return ({ method = "POST", path: target = "/peer", body, from = "", type = "application/octet-stream", tamper = false }) =>
    conversation.exchange({ method, path: target, from }, body, async (line, bytes, authorization) => {
      const headers = { "content-type": type, authorization, ...(line.from !== "" && { from: line.from }) };
      const changed = tamper && bytes !== undefined ? Buffer.from(bytes).fill("x", 0, 1) : bytes;
      const answer = await send(node.url, line.method, line.path, { body: changed, headers });
      return { status: answer.status, body: answer.bytes, seal: String(answer.headers["authentication-info"] ?? "") };
    });
}

test("peers sign; whatever they are answered is signed as well", async (t) => {
  const key = await clusterKeyFile(t);
  const node = await startTestNode(t, { clusterKeyFile: key, tokenFile: await tokenFile(t) });
  const ask = peerOf(node, key);
  t.is((await ask({ body: PING })).status, 200);
  t.is((await ask({ body: encodeFrame({ kind: "push-ack", exchange: 7, accepted: true }) })).status, 400, "a reply that nobody asked for");
  t.is((await ask({ body: PING.subarray(1) })).status, 400, "an answer to a frame that is none");
  t.is((await ask({ body: PING, type: "text/plain" })).status, 415);
  t.is((await ask({ method: "GET" })).status, 405);
  t.is((await ask({ path: "/replicate", body: PAIR, type: "application/json" })).status, 200);
  t.truthy(node.kv.get("k"));
  t.is((await ask({ path: "/replicate", body: "no JSON" })).status, 400);
});

test("a body that is not the one that was signed is refused", async (t) => {
  const key = await clusterKeyFile(t);
  const node = await startTestNode(t, { clusterKeyFile: key });
  const ask = peerOf(node, key);
  // The last does not come in one piece.
  const long = JSON.stringify({ key: "k", value: "x".repeat(200_000) });
  for (const [path, sent] of [
    ["/peer", PING],
    ["/replicate", PAIR],
    ["/replicate", long],
  ] as const) {
    // prettier-ignore
    const { status, body } = await ask({ path, body: sent, tamper: true });
    t.deepEqual([status, Buffer.from(body).toString()], [400, '{"error":"the body is not the one that was signed"}'], path);
  }
  t.is(node.kv.status().keys, 0);
});

test("neither a stranger nor a client is a peer", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) });
  const octets = { "content-type": "application/octet-stream" };
  for (const headers of [octets, { ...octets, ...bearer(WRITE_TOKEN) }]) {
    const { status, json, headers: got } = await send(node.url, "POST", "/peer", { body: PING, headers });
    t.deepEqual([status, got["www-authenticate"]], [401, 'Concord realm="concord"']);
    t.is(json.error, "peers sign with the cluster key here: start the peer with --cluster-key-file");
  }
  await t.throwsAsync(peerOf(node, await clusterKeyFile(t))({ body: PING }), { message: "it does not know this node's cluster key" });
  const { access } = (await send(node.url, "GET", "/status", { headers: bearer(READ_TOKEN) })).json;
  t.deepEqual(access, { clusterKeys: 1, clients: "token", refused: 3 });
  t.deepEqual(
    node.lines,
    ["a request from 127.0.0.1 was refused: peers sign with the cluster key here: start the peer with --cluster-key-file"],
    "one line a minute",
  );
});

test("with a key and no tokens, clients are on the same machine", async (t) => {
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t) });
  t.is((await send(node.url, "POST", "/store", { body: PAIR })).status, 200);

  const refusals: string[] = [];
  const options = {
    verifier: undefined,
    tokens: () => undefined,
    certificates: false,
    onRefused: (from: string) => void refusals.push(from),
  };
  const statusFor = async (clients: "this machine" | "anybody", remoteAddress: string | undefined): Promise<number> => {
    const app = new Hono<Env>().use(createAccess({ ...options, clients })).get("/store", () => new Response("fine"));
    const incoming = { method: "GET", url: "/store", headers: {}, socket: { remoteAddress } } as unknown as IncomingMessage;
    return (await app.request("/store", {}, { incoming })).status;
  };
  for (const local of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) t.is(await statusFor("this machine", local), 200, local);
  for (const far of ["10.0.0.7", "::ffff:10.0.0.7", "fe80::1", "::ffff:a7f:1", "localhost.example.org", "127.evil.org", undefined]) {
    t.is(await statusFor("this machine", far), 403, far);
    t.is(await statusFor("anybody", far), 200, far);
  }
  t.is(refusals.length, 7);
});

test("without key, tokens and TLS nothing is asked of anybody", async (t) => {
  const node = await startTestNode(t);
  for (const [method, path, body] of routes) {
    t.is(
      (await send(node.url, method, path, { body, headers: { authorization: "Bearer x" } })).status,
      method === "GET" && path.startsWith("/store/key") ? 404 : 200,
    );
  }
  t.is((await send(node.url, "GET", "/status")).json.access, undefined);
});
