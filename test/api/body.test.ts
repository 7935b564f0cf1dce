/** Bodies over real sockets: whole, chunked, too large, too slow, broken, not text. After each, no listener is left behind. */
import test, { type ExecutionContext } from "ava";
import { once } from "node:events";
import { createServer, request, type IncomingMessage } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { readBody, readBodyBytes, type BodyLimits } from "../../lib/api/body.ts";

type Outcome = Awaited<ReturnType<typeof readBody>> | Awaited<ReturnType<typeof readBodyBytes>>;

interface Served {
  readonly port: number;
  /** What the reader made of the next request. */
  readonly next: () => Promise<Outcome>;
}

const events = ["data", "end", "close", "error"] as const;

function countListeners(incoming: IncomingMessage): readonly number[] {
  return events.map((event) => incoming.listenerCount(event));
}

/** A server that reads each body and answers with what came of it. */
async function serve(
  t: ExecutionContext,
  limits: Partial<BodyLimits> = {},
  read: typeof readBody | typeof readBodyBytes = readBody,
): Promise<Served> {
  const outcomes: Outcome[] = [];
  const waiting: ((outcome: Outcome) => void)[] = [];
  const server = createServer((incoming, answer) => {
    const before = countListeners(incoming);
    void read(incoming, { bytesMax: 1_000, timeMs: 5_000, ...limits }).then((outcome) => {
      t.deepEqual(countListeners(incoming), before, "listeners are removed");
      if (!outcome.ok && outcome.close) answer.setHeader("Connection", "close");
      answer.statusCode = outcome.ok ? 200 : outcome.status;
      answer.end(outcome.ok ? ("text" in outcome ? outcome.text : Buffer.from(outcome.bytes)) : outcome.problem);
      const waiter = waiting.shift();
      if (waiter === undefined) outcomes.push(outcome);
      else waiter(outcome);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    next: async () => outcomes.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  };
}

interface Sent {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** Each is written by itself. Without Content-Length they are sent as chunks. */
  readonly parts?: readonly (string | Uint8Array)[];
}

async function send(port: number, { method = "POST", headers = {}, parts = [] }: Sent): Promise<string> {
  const outgoing = request({ host: "127.0.0.1", port, method, headers, agent: false });
  for (const part of parts) outgoing.write(part);
  outgoing.end();
  const [incoming] = (await once(outgoing, "response")) as [IncomingMessage];
  const chunks: Uint8Array[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Uint8Array);
  return `${incoming.statusCode} ${Buffer.concat(chunks).toString()}`;
}

/** A connection to write on by hand. */
async function open(t: ExecutionContext, port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

/** Also when it broke: an error is one way to close. */
async function closed(stream: Socket | IncomingMessage): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => stream.once("close", () => resolve()));
}

function length(text: string | Uint8Array): Record<string, string> {
  return { "Content-Length": String(Buffer.byteLength(text)) };
}

const post = "POST / HTTP/1.1\r\nHost: a\r\n";

test("a GET has a body too", async (t) => {
  const { port } = await serve(t);
  const body = '{"key":"hello"}';
  t.is(await send(port, { method: "GET", headers: length(body), parts: [body] }), `200 ${body}`);
  t.is(await send(port, { method: "GET" }), "200 ", "no body is the empty text");
  t.is(await send(port, { method: "DELETE" }), "200 ");
});

test("chunks of any size, characters split between them", async (t) => {
  const { port } = await serve(t);
  const body = Buffer.from("é漢😀".repeat(40));
  const bytewise = Array.from(body, (byte) => Uint8Array.of(byte));
  t.is(await send(port, { parts: bytewise, headers: { "Transfer-Encoding": "chunked" } }), `200 ${body.toString()}`);
  t.is(await send(port, { parts: ["a", "b".repeat(500), "c".repeat(499)] }), `200 a${"b".repeat(500)}${"c".repeat(499)}`);
  t.is(await send(port, { parts: ["{}"], headers: { "Content-Encoding": "Identity" } }), "200 {}");
});

test("exactly the limit is taken, one byte more is not", async (t) => {
  const { port } = await serve(t);
  t.is(await send(port, { parts: ["x".repeat(1_000)] }), `200 ${"x".repeat(1_000)}`);
  t.is(await send(port, { parts: ["x".repeat(1_001)] }), "413 the body is larger than 1000 bytes");
  t.is(await send(port, { parts: ["x".repeat(600), "x".repeat(600)] }), "413 the body is larger than 1000 bytes");
  t.is(
    await send(port, { method: "GET", headers: length("x".repeat(1_001)), parts: ["x".repeat(1_001)] }),
    "413 the body is larger than 1000 bytes",
  );
});

test("a client that sends far too much still reads why, and its connection is closed", async (t) => {
  const { port, next } = await serve(t);
  const megabyte = "x".repeat(1024 * 1024);
  for (const headers of [{}, { "Content-Length": String(3 * megabyte.length) }]) {
    t.is(await send(port, { headers, parts: [megabyte, megabyte, megabyte] }), "413 the body is larger than 1000 bytes");
    t.deepEqual(await next(), { ok: false, status: 413, problem: "the body is larger than 1000 bytes", close: true });
  }
});

test("a body without end is given up after a bounded number of bytes", async (t) => {
  const { port, next } = await serve(t);
  const socket = await open(t, port);
  socket.write(`${post}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  const flow = (): void => {
    while (socket.writable && socket.write(chunk));
  };
  socket.on("drain", flow).resume();
  flow();
  const outcome = await next();
  t.false(outcome.ok);
  await closed(socket);
  t.true(socket.bytesWritten < 64 * 1024 * 1024, `${socket.bytesWritten} bytes were taken`);
});

test("a declared length over the limit is refused before the body has come", async (t) => {
  const { port, next } = await serve(t);
  const socket = await open(t, port);
  socket.write(`${post}Content-Length: 1001\r\n\r\n`);
  t.deepEqual(await next(), { ok: false, status: 413, problem: "the body is larger than 1000 bytes", close: true });
  socket.resume();
  await closed(socket);
});

test("a body that trickles is given up at the deadline, however regularly it comes", async (t) => {
  const { port, next } = await serve(t, { timeMs: 200 });
  const socket = await open(t, port);
  socket.write(`${post}Content-Length: 900\r\n\r\n`);
  const timer = setInterval(() => socket.write("x"), 10);
  socket.resume();
  t.deepEqual(await next(), { ok: false, status: 408, problem: "the body took longer than 200 ms", close: true });
  await closed(socket);
  clearInterval(timer);
});

test("a client that leaves, politely or not, is noticed at once", async (t) => {
  const { port, next } = await serve(t);
  for (const leave of [
    (socket: Socket) => socket.destroy(),
    (socket: Socket) => socket.resetAndDestroy(),
    (socket: Socket) => socket.end(),
  ]) {
    const socket = await open(t, port);
    socket.write(`${post}Content-Length: 100\r\n\r\nsome`);
    setTimeout(() => leave(socket), 20);
    t.deepEqual(await next(), { ok: false, status: 400, problem: "the connection broke before the body was complete", close: true });
  }
});

test("a client that leaves while its body is thrown away, or when nobody listens any more, harms nothing", async (t) => {
  const { port, next } = await serve(t, { timeMs: 100 });
  const large = await open(t, port);
  large.write(`${post}Content-Length: 5000\r\n\r\nsome`);
  setTimeout(() => large.resetAndDestroy(), 20);
  t.like(await next(), { ok: false, status: 413 });
  const slow = await open(t, port);
  slow.write(`${post}Content-Length: 500\r\n\r\nsome`);
  t.like(await next(), { ok: false, status: 408 });
  slow.resetAndDestroy();
  t.is(await send(port, { parts: ["still here"] }), "200 still here");
});

test("broken chunks are a broken body", async (t) => {
  const { port, next } = await serve(t);
  const socket = await open(t, port);
  socket.write(`${post}Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\nzz\r\n`);
  socket.resume();
  t.like(await next(), { ok: false, status: 400, close: true });
});

test("a request that has broken before it is read is refused at once", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const socket = await open(t, (server.address() as AddressInfo).port);
  socket.write(`${post}Content-Length: 100\r\n\r\nsome`);
  const [incoming] = (await once(server, "request")) as [IncomingMessage];
  socket.destroy();
  await closed(incoming);
  t.like(await readBody(incoming, { bytesMax: 10, timeMs: 1_000 }), { ok: false, status: 400, close: true });
});

test("a body that somebody else has read is a mistake of ours", async (t) => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const socket = await open(t, (server.address() as AddressInfo).port);
  socket.write(`${post}Content-Length: 4\r\n\r\nsome`);
  const [incoming] = (await once(server, "request")) as [IncomingMessage];
  incoming.resume();
  await once(incoming, "data");
  await t.throwsAsync(readBody(incoming, { bytesMax: 10, timeMs: 1_000 }), { message: /broken invariant: a body is read once/ });
  socket.destroy();
});

test("text is strict UTF-8 without a byte order mark, and the connection stays good", async (t) => {
  const { port, next } = await serve(t);
  for (const bytes of [[0xff], [0xc3], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x61, 0x80]]) {
    t.is(await send(port, { parts: [Uint8Array.from(bytes)] }), "400 the body is not valid UTF-8");
    t.like(await next(), { ok: false, close: false });
  }
  t.is(await send(port, { parts: ["\ufeff{}"] }), "400 the body starts with a byte order mark");
  t.is(await send(port, { parts: ["{}\ufeff\u0000"] }), "200 {}\ufeff\u0000");
});

test("a compressed body is refused", async (t) => {
  const { port } = await serve(t);
  for (const encoding of ["gzip", "br", "identity, gzip", "x-unknown"]) {
    const outcome = await send(port, { headers: { "Content-Encoding": encoding }, parts: [gzipSync("{}")] });
    t.is(outcome, `415 the body is encoded as "${encoding}"; send it plain`);
  }
});

test("raw bytes come as they are", async (t) => {
  const { port, next } = await serve(t, {}, readBodyBytes);
  const bytes = Uint8Array.from({ length: 1_000 }, (_, index) => index % 256);
  await send(port, { parts: [bytes.subarray(0, 1), bytes.subarray(1, 3), bytes.subarray(3, 700), bytes.subarray(700)] });
  const outcome = await next();
  t.true(outcome.ok && "bytes" in outcome && Buffer.compare(outcome.bytes, bytes) === 0);
});

test("a refused request leaves a kept connection in step when the whole body was read", async (t) => {
  const { port } = await serve(t);
  const socket = await open(t, port);
  const refused = `${post}Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nGET `;
  socket.write(`${refused}${post}Content-Length: 2\r\nConnection: close\r\n\r\nok`);
  let text = "";
  socket.setEncoding("utf8").on("data", (part: string) => (text += part));
  await closed(socket);
  t.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ["HTTP/1.1 415", "HTTP/1.1 200"]);
});
