import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { createClient, type Client } from "../lib/client.ts";
import { ConcordError } from "../lib/core/errors.ts";
import { startNode } from "../lib/serve.ts";

async function clientOfNode(t: ExecutionContext): Promise<Client> {
  const node = await startNode({ port: 0, peers: [], log: { silent: true } });
  const client = createClient({ node: `http://127.0.0.1:${node.port}` });
  t.teardown(async () => {
    client.close();
    await node.stop();
  });
  return client;
}

/** A server that answers as a test says. */
async function clientOf(t: ExecutionContext, listener: RequestListener, timeoutMs = 1_000): Promise<Client> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const client = createClient({ node: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, timeoutMs });
  t.teardown(() => {
    client.close();
    server.closeAllConnections();
    server.close();
  });
  return client;
}

const failure = (code: string, message: RegExp): { instanceOf: typeof ConcordError; code: string; message: RegExp } => ({
  instanceOf: ConcordError,
  code,
  message,
});

test("against a node: values as JavaScript has them, and their text to the digit", async (t) => {
  const client = await clientOfNode(t);
  t.is(await client.get("k"), undefined);
  await client.put("k", { a: [1, null, "é\u{1f600}"] });
  t.deepEqual(await client.get("k"), { a: [1, null, "é\u{1f600}"] });
  await client.putText("n", "9007199254740993");
  t.is(await client.getText("n"), "9007199254740993");
  await client.put("", 1).then(
    () => t.fail(),
    (error: ConcordError) => t.is(error.code, "invalid"),
  );
  t.true(await client.delete("k"));
  t.false(await client.delete("k"));
  t.regex(await client.hash(), /^[0-9a-f]+$/);
  const status = await client.status();
  t.is(status.keys, 1);
  t.is(status.hash, await client.hash());
});

test("entries: all of them, in order, more than fit into one answer of the socket", async (t) => {
  const client = await clientOfNode(t);
  const value = "x".repeat(2_000);
  await Promise.all(Array.from({ length: 300 }, (_, i) => client.put(`k${String(i).padStart(3, "0")}`, value)));
  const keys: string[] = [];
  for await (const { key, text } of client.entries()) {
    keys.push(key);
    t.is(text.length, 2_002);
  }
  t.deepEqual(keys, [...keys].sort());
  t.is(keys.length, 300);
  for await (const { key } of client.entries()) {
    t.is(key, "k000");
    break;
  }
  t.is((await client.status()).keys, 300, "a listing that was left in the middle hinders nothing");
});

test("a server that is no node is told from a node without the key", async (t) => {
  const client = await clientOf(t, (_incoming, outgoing) => outgoing.writeHead(404).end("<h1>Not found</h1>"));
  const strange = failure("peer-failed", /^what answers at http:\/\/127\.0\.0\.1:\d+ is not a Concord node$/);
  await t.throwsAsync(client.get("k"), strange);
  await t.throwsAsync(client.delete("k"), strange);
  await t.throwsAsync(client.status(), strange);
  await t.throwsAsync(client.entries()[Symbol.asyncIterator]().next(), strange);
  const liar = await clientOf(t, (_incoming, outgoing) => outgoing.end("[]"));
  await t.throwsAsync(liar.get("k"), strange);
  await t.throwsAsync(liar.hash(), strange);
});

test("refusals keep the node's words and say of which kind they are", async (t) => {
  let status = 400;
  const client = await clientOf(t, (_incoming, outgoing) => outgoing.writeHead(status).end('{"error":"because"}'));
  for (const [code, expected] of [
    [400, "invalid"],
    [413, "too-large"],
    [414, "too-large"],
    [503, "stopping"],
    [500, "peer-failed"],
  ] as const) {
    status = code;
    await t.throwsAsync(client.put("k", 1), failure(expected, /^http:\/\/127\.0\.0\.1:\d+ refused: because$/));
  }
});

test("silence is given up after the timeout, also in the middle of an answer", async (t) => {
  const silent = await clientOf(t, () => undefined, 100);
  await t.throwsAsync(silent.get("k"), failure("peer-failed", /^no node answers at .* \(no answer within 0\.1 s\)$/));
  // Time enough for the first part to come, whatever the machine is busy with.
  const halting = await clientOf(t, (_incoming, outgoing) => void outgoing.write('[{"key":"a","value":1},{"key"'), 2_000);
  const keys: string[] = [];
  await t.throwsAsync(
    async () => {
      for await (const { key } of halting.entries()) keys.push(key);
    },
    failure("peer-failed", /no answer within/),
  );
  t.deepEqual(keys, ["a"]);
});

test("a kept connection that the node has closed: a read is tried again, a write is not", async (t) => {
  let requests = 0;
  const client = await clientOf(t, (incoming, outgoing) => {
    requests++;
    incoming.resume();
    // The second request of a connection meets its end.
    const { socket } = incoming as typeof incoming & { socket: { used?: boolean } };
    if (socket.used === true) socket.destroy();
    else outgoing.end('{"value":1}');
    socket.used = true;
  });
  t.is(await client.get("k"), 1);
  t.is(await client.get("k"), 1);
  t.is(requests, 3);
  await t.throwsAsync(client.put("k", 2), failure("peer-failed", /the connection broke|socket hang up/));
  t.is(requests, 4);
});

test("what is not the URL of a node is refused before anything is sent", (t) => {
  for (const node of ["localhost:8001", "ftp://localhost:8001", "http://localhost:8001/store", "http://u:p@localhost", ""]) {
    t.throws(() => createClient({ node }), failure("invalid", /is not the URL of a node, such as/), node);
  }
});
