/** The transport against peers that refuse, break off, stall, or talk nonsense. */
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type ExecutionContext } from "ava";
import { Context } from "../../lib/core/context.ts";
import { encodeFrame } from "../../lib/core/frame.ts";
import type { Message, Ping } from "../../lib/core/message.ts";
import { createHttpTransport, type HttpTransport } from "../../lib/transport/http.ts";
import { freePorts, pause } from "../support/nodes.ts";

const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 1, context: "c".repeat(8) };
const ping: Ping = { kind: "ping", exchange: 7, name: "a", address: "http://localhost:1", instance: "aaaaaaaa", summary };
const pong: Ping = { ...ping, kind: "pong", name: "b" };
const ack: Message = { kind: "push-ack", exchange: 8, accepted: true };

type Heard = readonly ["receive" | "unreachable" | "base", string, unknown];

interface Bench {
  readonly transport: HttpTransport;
  readonly heard: Heard[];
  /** Resolves with the next thing that the transport says. */
  readonly next: () => Promise<Heard>;
}

function createBench(t: ExecutionContext, timeoutMs = 2_000): Bench {
  const heard: Heard[] = [];
  let read = 0;
  const transport = createHttpTransport({ address: "http://localhost:1", timeoutMs });
  transport.attach({
    receive: (from, message) => void heard.push(["receive", from, message]),
    unreachable: (to, why) => void heard.push(["unreachable", to, why]),
    speakBase: (to, message) => void heard.push(["base", to, message.kind]),
  });
  t.teardown(() => transport.close());
  const next = async (): Promise<Heard> => {
    for (let i = 0; i < 500 && heard.length <= read; i++) await pause(10);
    return heard[read++] ?? ["unreachable", "", "nothing was said in five seconds"];
  };
  return { transport, heard, next };
}

async function startPeer(t: ExecutionContext, listener: RequestListener): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  t.teardown(() => server.closeAllConnections());
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, server };
}

test("a message goes out as a frame, and its reply comes back from where it was sent to", async (t) => {
  const bodies: Buffer[] = [];
  const headers: string[][] = [];
  const { url } = await startPeer(t, (incoming, outgoing) => {
    headers.push(incoming.rawHeaders);
    incoming.on("data", (chunk: Buffer) => bodies.push(chunk));
    incoming.on("end", () => outgoing.end(encodeFrame(headers.length === 1 ? pong : ack)));
  });
  const { transport, next } = createBench(t);
  transport.send(url, ping);
  t.deepEqual(await next(), ["receive", url, pong]);
  t.deepEqual(Buffer.concat(bodies), encodeFrame(ping));
  t.deepEqual(
    headers[0]?.filter((_, i) => i % 2 === 0),
    ["host", "connection", "content-type", "content-length"],
    "nothing else is on the wire",
  );
  transport.send(url, { kind: "push", exchange: 8, entries: [], context: new Context() });
  t.deepEqual(await next(), ["receive", url, ack]);
  t.is(headers[1]?.[headers[1].indexOf("from") + 1], "http://localhost:1");
});

test("nobody listens: unreachable, at once and in words", async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const { transport, next } = createBench(t);
  const url = `http://localhost:${port}`;
  transport.send(url, ping);
  t.deepEqual(await next(), ["unreachable", url, "connection refused"]);
  transport.send("http://no-such-machine.invalid:1", ping);
  t.regex(String((await next())[2]), /no machine of this name|the name server does not answer/);
});

test("an address that is none is unreachable, not a crash", async (t) => {
  const { transport, next } = createBench(t);
  for (const address of ["", "garbage", "file:///etc/passwd", "http://"]) {
    transport.send(address, ping);
    t.deepEqual(await next(), ["unreachable", address, "its address is not a URL of HTTP"]);
  }
});

test("a connection that broke while it was idle is not noticed", async (t) => {
  const peer = await startPeer(t, (_incoming, outgoing) => outgoing.end(encodeFrame(pong)));
  const { transport, next } = createBench(t);
  transport.send(peer.url, ping);
  t.is((await next())[0], "receive");
  peer.server.closeAllConnections();
  transport.send(peer.url, ping);
  t.is((await next())[0], "receive");
});

test("a peer that breaks off every time is unreachable", async (t) => {
  let requests = 0;
  const { url } = await startPeer(t, (incoming) => {
    requests++;
    incoming.socket.destroy();
  });
  const { transport, next } = createBench(t);
  transport.send(url, ping);
  t.deepEqual(await next(), ["unreachable", url, "the connection broke"]);
  t.is(requests, 2);
});

test("silence is left to the failure detector, and holds nothing for ever", async (t) => {
  const { url } = await startPeer(t, () => undefined);
  const { transport, heard } = createBench(t, 200);
  for (let i = 0; i < 100; i++) transport.send(url, ack);
  await pause(600);
  t.deepEqual(heard, []);
  await t.throwsAsync(transport.request(url, { method: "GET", path: "/ping" }), { message: "no answer in time" });
});

test("an answer that trickles is given up at the deadline", async (t) => {
  const { url } = await startPeer(t, (_incoming, outgoing) => {
    outgoing.write("x");
    const timer = setInterval(() => outgoing.write("x"), 20);
    outgoing.on("close", () => clearInterval(timer));
  });
  const { transport } = createBench(t, 300);
  // It would never end.
  await t.throwsAsync(transport.request(url, { method: "GET", path: "/ping" }), { message: "no answer in time" });
});

test("what is no frame, or is refused, makes the peer unreachable with the reason", async (t) => {
  let status = 200;
  let body: string | Buffer = "<html>";
  const { url } = await startPeer(t, (_incoming, outgoing) => outgoing.writeHead(status).end(body));
  const { transport, next } = createBench(t);
  transport.send(url, ping);
  t.regex(String((await next())[2]), /^its answer cannot be read: /);
  [status, body] = [400, '{"error":"protocol version 1; this node speaks 2"}'];
  transport.send(url, ping);
  t.is((await next())[2], "it answered 400: protocol version 1; this node speaks 2");
  [status, body] = [302, ""];
  transport.send(url, ping);
  t.is((await next())[2], "it answered 302");
  [status, body] = [200, Buffer.alloc(17 * 1024 * 1024)];
  transport.send(url, ping);
  t.is((await next())[2], "its answer is too large");
});

test("a peer without /peer is spoken to in the base protocol until it has been away", async (t) => {
  let requests = 0;
  const peer = await startPeer(t, (_incoming, outgoing) => {
    requests++;
    outgoing.writeHead(404).end();
  });
  const { transport, next } = createBench(t);
  transport.send(peer.url, ping);
  t.deepEqual(await next(), ["base", peer.url, "ping"]);
  transport.send(peer.url, ping);
  t.deepEqual(await next(), ["base", peer.url, "ping"]);
  t.is(requests, 1, "the second time nobody asked whether it knows /peer");
  peer.server.close();
  peer.server.closeAllConnections();
  await t.throwsAsync(transport.request(peer.url, { method: "GET", path: "/ping" }), { message: "connection refused" });
  transport.send(peer.url, ping);
  t.deepEqual(await next(), ["unreachable", peer.url, "connection refused"]);
});

test("after close nothing is sent and nothing is said", async (t) => {
  let requests = 0;
  let arrived: () => void = () => undefined;
  const first = new Promise<void>((resolve) => (arrived = resolve));
  const { url } = await startPeer(t, () => {
    requests++;
    arrived();
  });
  const { transport, heard } = createBench(t);
  transport.send(url, ping);
  await first;
  await transport.close();
  transport.send(url, ping);
  await pause(100);
  t.deepEqual([requests, heard], [1, []]);
});
