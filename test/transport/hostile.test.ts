/** The transport against a server that means harm: what it sends is not followed, not unpacked, not taken for an answer, and not endless. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTcpServer, type AddressInfo, type Socket } from "node:net";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import test, { type ExecutionContext } from "ava";
import { encodeFrame, FRAME_BYTES_MAX } from "../../lib/core/frame.ts";
import type { Message, Ping } from "../../lib/core/message.ts";
import { Context } from "../../lib/core/context.ts";
import { createHttpTransport, type HttpTransport } from "../../lib/transport/http.ts";
import { pause } from "../support/nodes.ts";

const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 1, context: "c".repeat(8) };
const ping: Ping = { kind: "ping", exchange: 7, name: "a", address: "http://localhost:1", instance: "aaaaaaaa", summary };
const pong: Ping = { ...ping, kind: "pong", name: "b" };

async function listen(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  return `http://localhost:${(server.address() as AddressInfo).port}`;
}

/** What the transport says of the peer, as it says it. */
function createHearing(t: ExecutionContext, timeoutMs = 3_000): { readonly transport: HttpTransport; readonly heard: string[] } {
  const heard: string[] = [];
  const transport = createHttpTransport({ address: "http://localhost:1", timeoutMs });
  transport.attach({
    receive: (_from, message) => void heard.push(message.kind),
    unreachable: (_to, why) => void heard.push(why),
    speakBase: () => void heard.push("base"),
  });
  t.teardown(() => transport.close());
  return { transport, heard };
}

async function verdictOn(t: ExecutionContext, listener: RequestListener, message: Message = ping): Promise<string | undefined> {
  const { transport, heard } = createHearing(t);
  transport.send(await listen(t, listener), message);
  for (let i = 0; i < 400 && heard.length === 0; i++) await pause(10);
  return heard[0];
}

const FAST = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

const REDIRECTS = [301, 302, 303, 307, 308];

for (const status of REDIRECTS) {
  test(`a redirect is not followed: ${status}`, async (t) => {
    let followed = 0;
    const elsewhere = await listen(t, (_incoming, outgoing) => {
      followed++;
      outgoing.end(encodeFrame(pong));
    });
    const verdict = await verdictOn(t, (_incoming, outgoing) => outgoing.writeHead(status, { location: `${elsewhere}/peer` }).end());
    t.deepEqual([verdict, followed], [`it answered ${status}`, 0]);
    const { transport } = createHearing(t);
    const url = await listen(t, (_incoming, outgoing) => outgoing.writeHead(status, { location: elsewhere }).end());
    t.is((await transport.request(url, { method: "GET", path: "/store/hash" })).status, status);
    t.is(followed, 0);
  });
}

test("what is compressed is neither asked for nor unpacked", async (t) => {
  const asked: (string | undefined)[] = [];
  const packings = { gzip: gzipSync(encodeFrame(pong)), br: brotliCompressSync(Buffer.alloc(200 * 1024 * 1024), FAST) };
  for (const [coding, body] of Object.entries(packings)) {
    const before = process.memoryUsage.rss();
    const verdict = await verdictOn(t, (incoming, outgoing) => {
      asked.push(incoming.headers["accept-encoding"]);
      outgoing.writeHead(200, { "content-encoding": coding }).end(body);
    });
    t.regex(verdict ?? "", /^its answer cannot be read: /, coding);
    t.true(process.memoryUsage.rss() - before < 100 * 1024 * 1024, coding);
  }
  t.deepEqual(asked, [undefined, undefined]);
});

/** Writes until it is stopped, and counts. */
function pour(outgoing: ServerResponse, chunk: Buffer): { sent: number } {
  const count = { sent: 0 };
  const more = (): void => {
    while (!outgoing.destroyed && outgoing.write(chunk)) count.sent += chunk.length;
    count.sent += chunk.length;
  };
  outgoing.on("drain", more);
  more();
  return count;
}

test("every answer is capped: endless, in chunks or declared, to a message and to a request", async (t) => {
  for (const headers of [{}, { "content-length": String(2 ** 40) }]) {
    const counts: { sent: number }[] = [];
    const pourer = (_incoming: IncomingMessage, outgoing: ServerResponse): void => {
      outgoing.writeHead(200, headers);
      counts.push(pour(outgoing, Buffer.alloc(65_536)));
    };
    t.is(await verdictOn(t, pourer), "its answer is too large");
    const { transport } = createHearing(t);
    const url = await listen(t, pourer);
    await t.throwsAsync(transport.request(url, { method: "GET", path: "/store/hash" }), { message: "its answer is too large" });
    // What the kernel's buffers hold comes on top.
    for (const { sent } of counts) t.true(sent < FRAME_BYTES_MAX + 32 * 1024 * 1024, `${sent} bytes`);
  }
});

test("headers without end are cut", async (t) => {
  const server = createTcpServer((socket: Socket) => {
    socket.on("error", () => undefined);
    socket.write("HTTP/1.1 200 OK\r\n");
    const pump = (): void => {
      while (!socket.destroyed && socket.write(`x-${"y".repeat(1_000)}: z\r\n`));
    };
    socket.on("drain", pump);
    pump();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const { transport } = createHearing(t);
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  await t.throwsAsync(transport.request(url, { method: "GET", path: "/ping" }), { code: "peer-failed" });
});

test("an answer of another kind is none", async (t) => {
  const ack: Message = { kind: "push-ack", exchange: 7, accepted: true };
  const push: Message = { kind: "push", exchange: 7, entries: [], context: new Context() };
  t.is(await verdictOn(t, (_incoming, outgoing) => outgoing.end(encodeFrame(ack))), "it answered a ping with a push-ack");
  t.is(await verdictOn(t, (_incoming, outgoing) => outgoing.end(encodeFrame(ping))), "it answered a ping with a ping");
  t.is(await verdictOn(t, (_incoming, outgoing) => outgoing.end(encodeFrame(push))), "it answered a ping with a push");
  t.is(await verdictOn(t, (_incoming, outgoing) => outgoing.end(encodeFrame(pong)), push), "it answered a push with a pong");
});

test("a peer that is busy is not gone, one that stops is", async (t) => {
  const { transport, heard } = createHearing(t);
  let asked = 0;
  let headers: Record<string, string> = { "retry-after": "1" };
  const url = await listen(t, (_incoming, outgoing) => {
    asked++;
    outgoing.writeHead(503, headers).end('{"error":"the node is stopping"}');
  });
  transport.send(url, ping);
  while (asked === 0) await pause(10);
  await pause(100);
  t.deepEqual(heard, []);
  headers = {};
  transport.send(url, ping);
  while (heard.length === 0) await pause(10);
  t.deepEqual(heard, ["it answered 503: the node is stopping"]);
});
