/** Whole nodes with keys and tokens: who meets whom, what changes while they run, and what is never said. */
import { appendFile, chmod, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createClusterKey } from "../../lib/auth/cluster-key.ts";
import { createClient } from "../../lib/client.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import type { ServeOptions } from "../../lib/serve.ts";
import { send } from "../support/http.ts";
import { freePorts, pause, startCluster, startTestNode, until, type TestNode } from "../support/nodes.ts";
import { clusterKeyFile, READ_TOKEN, secretFile, tokenFile, WRITE_TOKEN } from "../support/secrets.ts";

const allUp = (nodes: readonly TestNode[]) => () => nodes.every(({ lines }) => lines.includes("All peers are up"));
const said = (node: TestNode, line: RegExp) => async () => {
  await pause(200);
  return node.lines.some((each) => line.test(each));
};

test("three nodes with one key: a write at one is read at all, also by ?w=3", async (t) => {
  const options = { clusterKeyFile: await clusterKeyFile(t), tokenFile: await tokenFile(t) };
  const nodes = await startCluster(t, 3, options);
  await until(t, "all are up", allUp(nodes), nodes);
  const client = createClient({ node: nodes[0]!.url, token: WRITE_TOKEN });
  t.teardown(() => client.close());
  await client.put("hello", "world");
  const headers = { authorization: `Bearer ${WRITE_TOKEN}` };
  const { json } = await send(nodes[1]!.url, "POST", "/store?w=3", { body: '{"key":"k","value":2}', headers });
  t.is(json.copies, 3);
  for (const node of nodes) await until(t, "it is there", () => node.kv.get("hello") !== undefined, nodes);
  const reader = createClient({ node: nodes[2]!.url, token: READ_TOKEN });
  t.teardown(() => reader.close());
  t.is(await reader.get("hello"), "world");
  await t.throwsAsync(reader.put("hello", 2), {
    instanceOf: ConcordError,
    code: "not-allowed",
    message: /refused: this token may read and not write$/,
  });
});

/** Two nodes that list each other; what the first says of the second, and the other way round. */
async function meeting(
  t: ExecutionContext,
  first: Partial<ServeOptions>,
  second: Partial<ServeOptions>,
): Promise<readonly [string, string]> {
  const ports = await freePorts(2);
  const peers = ports.map((port) => `http://localhost:${port}`);
  const a = await startTestNode(t, { ...first, port: ports[0]!, peers });
  const b = await startTestNode(t, { ...second, port: ports[1]!, peers });
  await a.kv.write([{ key: "secret", value: Buffer.from("1") }]);
  const judged = (node: TestNode) =>
    node.lines.filter((line) => /^Peer .* is /.test(line) && !line.includes("connection refused")).length > 0;
  await until(t, "they have met", () => judged(a) && judged(b), [a, b]);
  t.is(b.kv.get("secret"), undefined);
  const lineOf = (node: TestNode): string =>
    node.lines.filter((line) => /^Peer .* is /.test(line) && !line.includes("refused")).at(-1) ?? "";
  return [lineOf(a).replace(/^Peer \S+ /, ""), lineOf(b).replace(/^Peer \S+ /, "")];
}

test("a node without the key, or with another one, is out, in both directions", async (t) => {
  const key = await clusterKeyFile(t);
  t.deepEqual(await meeting(t, { clusterKeyFile: key }, {}), [
    "is down: it answered 400, not signed with the cluster key: it is no node of this cluster, or runs without the key",
    "is down: it answered 401: peers sign with the cluster key here: start the peer with --cluster-key-file",
  ]);
  const stranger = "is down: it does not know this node's cluster key";
  t.deepEqual(await meeting(t, { clusterKeyFile: key }, { clusterKeyFile: await clusterKeyFile(t) }), [stranger, stranger]);
});

test("a node of the base protocol is a stranger to one that has a key", async (t) => {
  const asked: string[] = [];
  const base = createServer((incoming, outgoing) => {
    asked.push(`${incoming.method} ${incoming.url}`);
    outgoing.writeHead(incoming.url === "/peer" ? 404 : 200).end('{"message":"pong"}');
  });
  await new Promise<void>((resolve) => base.listen(0, "localhost", resolve));
  t.teardown(() => base.close());
  t.teardown(() => base.closeAllConnections());
  const url = `http://localhost:${(base.address() as AddressInfo).port}`;
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), peers: [url] });
  await until(t, "it is told", () => node.lines.length > 0, [node]);
  t.deepEqual(node.lines, [
    `Peer ${url} is down: it answered 404, not signed with the cluster key: it is no node of this cluster, or runs without the key`,
  ]);
  t.deepEqual([...new Set(asked)], ["POST /peer"], "it is not given any pair");
});

test("a key is changed while the nodes run", async (t) => {
  t.timeout(90_000);
  const [old, young] = [createClusterKey(), createClusterKey()];
  const files = await Promise.all([secretFile(t, `${old}\n`), secretFile(t, `${old}\n`)]);
  const ports = await freePorts(2);
  const peers = ports.map((port) => `http://localhost:${port}`);
  const nodes = await Promise.all(ports.map((port, i) => startTestNode(t, { port, peers, clusterKeyFile: files[i] })));
  await until(t, "both are up", allUp(nodes), nodes);
  for (const [i, text] of [`${old}\n${young}\n`, `${young}\n${old}\n`, `${young}\n`].entries()) {
    for (const file of files) await writeFile(file, text);
    const taken = (node: TestNode) => node.lines.filter((line) => line === "the cluster key has changed, and the new is in use").length > i;
    await until(t, "it is read", async () => (await pause(200), nodes.every(taken)), nodes);
  }
  t.false(nodes.some(({ lines }) => lines.some((line) => line.includes("is down") && !line.includes("connection refused"))));
  const third = await startTestNode(t, { peers, clusterKeyFile: await secretFile(t, `${young}\n`) });
  await until(t, "a node with the new key is in", () => third.lines.includes("All peers are up"), [...nodes, third]);
});

test("tokens are taken over while the node runs; a file that became bad is said once, and changes nothing", async (t) => {
  t.timeout(60_000);
  const file = await tokenFile(t);
  const node = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t), tokenFile: file });
  const statusFor = async (token: string) =>
    (await send(node.url, "GET", "/store", { headers: { authorization: `Bearer ${token}` } })).status;
  t.is(await statusFor("a-token-of-tomorrow"), 401);
  await appendFile(file, "ro a-token-of-tomorrow\n");
  await until(t, "it is read", said(node, /^the token file has changed, and the new is in use$/));
  t.is(await statusFor("a-token-of-tomorrow"), 200);
  await chmod(file, 0o644);
  await until(t, "it says so", said(node, /other users: type chmod 600 .*; the token file stays what it was$/));
  t.is(await statusFor("a-token-of-tomorrow"), 200);
  await pause(5_000);
  t.is(node.lines.filter((line) => line.includes("stays what it was")).length, 1);
});

test("refused at the start: another interface without a key, tokens without a key, files that are not there", async (t) => {
  const refused = (message: RegExp) => ({ instanceOf: ConcordError, code: "invalid", message });
  for (const hostname of ["0.0.0.0", "::", "10.0.0.1", "127.example.org"]) {
    await t.throwsAsync(startTestNode(t, { hostname }), refused(/would let anybody there read and change the data: give a cluster key/));
  }
  await t.throwsAsync(startTestNode(t, { tokenFile: await tokenFile(t) }), refused(/tokens for clients without a cluster key/));
  await t.throwsAsync(startTestNode(t, { clusterKeyFile: "/no/such/file" }), refused(/there is no such file/));
  const key = await clusterKeyFile(t);
  for (const options of [{ clusterKeyFile: key }, { insecure: true }]) {
    const node = await startTestNode(t, { hostname: "0.0.0.0", address: "http://localhost:1", ...options });
    t.is((await send(`http://127.0.0.1:${node.port}`, "GET", "/ping")).status, 200);
    await node.stop();
  }
});

test("no secret is ever in a log line, an answer or an error", async (t) => {
  const key = await clusterKeyFile(t);
  const tokens = await tokenFile(t);
  const other = await startTestNode(t, { clusterKeyFile: await clusterKeyFile(t) });
  const all: string[] = [];
  const log = { write: (_level: string, line: string) => void all.push(line) };
  const node = await startTestNode(t, { clusterKeyFile: key, tokenFile: tokens, peers: [other.address], log });
  await until(t, "they have refused each other", () => all.some((line) => line.includes("does not know this node's cluster key")), [
    node,
    other,
  ]);
  for (const authorization of [`Bearer ${READ_TOKEN}`, `Bearer ${WRITE_TOKEN}x`, `Basic ${WRITE_TOKEN}`, ""]) {
    for (const [method, path] of [
      ["GET", "/status"],
      ["POST", "/store"],
      ["POST", "/peer"],
      ["GET", `/store/key?token=${READ_TOKEN}`],
    ] as const) {
      all.push((await send(node.url, method, path, { headers: { authorization }, body: "x" })).text);
    }
  }
  const client = createClient({ node: node.url, token: READ_TOKEN });
  t.teardown(() => client.close());
  all.push(String((await t.throwsAsync(client.put("k", 1)))?.stack));
  const keyText = (await readFile(key, "utf8")).trim();
  for (const secret of [keyText, READ_TOKEN, WRITE_TOKEN]) {
    t.deepEqual(
      [...all, ...other.lines].filter((text) => text.includes(secret)),
      [],
    );
  }
  t.true(all.length > 16);
});
