/** Who gets in where nodes speak TLS, on real sockets: each of the wrong ways in is tried, beside the right one. */
import { readFileSync } from "node:fs";
import { copyFile, writeFile } from "node:fs/promises";
import { createServer, request, type RequestOptions } from "node:https";
import { connect as connectPlain, type AddressInfo } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { readTlsFiles } from "../../lib/auth/tls-files.ts";
import { createClient } from "../../lib/client.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import { encodeFrame } from "../../lib/core/frame.ts";
import type { Message, Ping } from "../../lib/core/message.ts";
import { createHttpTransport } from "../../lib/transport/http.ts";
import { send, sendRaw } from "../support/http.ts";
import { freePorts, pause, startTestNode, until, type TestNode } from "../support/nodes.ts";
import { certificatesFor, clusterKeyFile, type Certificates } from "../support/secrets.ts";

const DAY_MS = 86_400_000;
const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 1, context: "c".repeat(8) };
const ping: Ping = { kind: "ping", exchange: 7, name: "a", address: "", instance: "iiiiiiii", summary };

interface Got {
  readonly status: number;
  readonly text: string;
}

function ask(node: TestNode, options: RequestOptions, body?: Uint8Array): Promise<Got> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "localhost", port: node.port, agent: false, ...options }, (incoming) => {
      let text = "";
      incoming.setEncoding("latin1").on("data", (chunk: string) => (text += chunk));
      incoming.on("end", () => resolve({ status: incoming.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** A frame as a peer sends it, with whatever certificate. */
function sendFrame(node: TestNode, options: RequestOptions): Promise<Got> {
  const headers = { "content-type": "application/octet-stream" };
  return ask(node, { method: "POST", path: "/peer", headers, ...options }, encodeFrame(ping));
}

/** What a peer with these certificates shows and believes. */
function peerOf(certificates: Certificates, host = "localhost"): { readonly cert: string; readonly key: string; readonly ca: string } {
  const { cert, key, ca } = certificates.paths(host);
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8"), ca: readFileSync(ca, "utf8") };
}

async function expired(t: ExecutionContext, ca: Certificates): Promise<Certificates> {
  return certificatesFor(t, ["localhost"], { ca, days: 1, nowMs: Date.now() - 3 * DAY_MS });
}

test("a peer gets in with a certificate of the CA, and in no other way", async (t) => {
  const good = await certificatesFor(t, ["localhost", "n2"]);
  const foreign = await certificatesFor(t, ["localhost"]);
  const node = await startTestNode(t, { tls: good.paths("localhost") });
  t.is(node.url, `https://127.0.0.1:${node.port}`);
  t.is(node.address, `https://localhost:${node.port}`);
  const { ca } = peerOf(good);

  t.is((await sendFrame(node, peerOf(good))).status, 200);
  t.is((await sendFrame(node, peerOf(good, "n2"))).status, 200, "that of any node");
  const refused: readonly (readonly [what: string, options: RequestOptions, why: RegExp])[] = [
    ["no certificate", { ca }, /CA here, and there was none/],
    ["wrong CA, right name", { ...peerOf(foreign), ca }, /the one shown is refused: UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
    ["expired", { ...peerOf(await expired(t, good)), ca }, /the one shown is refused: CERT_HAS_EXPIRED/],
  ];
  for (const [what, options, why] of refused) {
    const { status, text } = await sendFrame(node, options);
    t.is(status, 403, what);
    t.regex(text, why, what);
  }
  await t.throwsAsync(sendFrame(node, { ...peerOf(good), maxVersion: "TLSv1.2" }), { message: /alert protocol version/ });
  await t.throwsAsync(send(`http://127.0.0.1:${node.port}`, "GET", "/ping"), { code: "ECONNRESET" });
  t.is(
    (await sendRaw(`http://127.0.0.1:${node.port}`, "GET /store HTTP/1.1\r\nhost: localhost\r\n\r\n").catch(() => ({ text: "" }))).text,
    "",
  );
  t.is((await ask(node, { ca, path: "/ping" })).text, '{"message":"pong"}');
  t.is((await ask(node, { ca, path: "/store" })).text, "[]\n", "clients have no certificates");
});

test("a session that is resumed shows no certificate, so there is none to resume", async (t) => {
  const good = await certificatesFor(t, ["localhost"]);
  const node = await startTestNode(t, { tls: good.paths("localhost") });
  const { ca } = peerOf(good);
  const open = (session?: Buffer): Promise<{ socket: TLSSocket; tickets: Buffer[] }> =>
    new Promise((resolve, reject) => {
      const tickets: Buffer[] = [];
      const socket = connect({ port: node.port, host: "localhost", ca, ...(session && { session }) });
      socket.on("session", (ticket: Buffer) => tickets.push(ticket));
      socket.on("error", reject).on("data", () => resolve({ socket, tickets }));
      socket.write("POST /peer HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    });
  const first = await open();
  const again = await open(first.tickets[0] ?? first.socket.getSession());
  t.false(again.socket.isSessionReused());
  for (const { socket } of [first, again]) socket.destroy();
  const resuming = { ca, session: first.tickets[0] ?? first.socket.getSession() } as RequestOptions;
  t.is((await sendFrame(node, resuming)).status, 403);
});

test("a handshake that does not come is cut", async (t) => {
  const good = await certificatesFor(t, ["localhost"]);
  const node = await startTestNode(t, { tls: good.paths("localhost") });
  const socket = connectPlain(node.port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    socket.on("close", () => resolve()).on("error", () => undefined);
    setTimeout(() => reject(new Error("the connection is still open")), 20_000).unref();
  });
  t.is((await sendFrame(node, peerOf(good))).status, 200);
});

/** What a node with these certificates says of a peer at this address. */
async function reasonAt(t: ExecutionContext, url: string, certificates: Certificates): Promise<string> {
  const identity = readTlsFiles(certificates.paths("localhost"));
  const transport = createHttpTransport({ address: "https://localhost:1", timeoutMs: 5_000, tls: () => identity });
  t.teardown(() => transport.close());
  return new Promise((resolve) => {
    transport.attach({
      receive: (_from, message: Message) => resolve(message.kind),
      unreachable: (_to, why) => resolve(why),
      speakBase: () => resolve("it speaks the base protocol"),
    });
    transport.send(url, ping);
  });
}

test("a node believes a peer with a certificate of the CA for its name, and no other", async (t) => {
  const good = await certificatesFor(t, ["localhost", "elsewhere"]);
  const foreign = await certificatesFor(t, ["localhost"]);
  const start = async (certificates: Certificates, host = "localhost"): Promise<string> => {
    const { port } = await startTestNode(t, { tls: certificates.paths(host), address: "https://localhost:1" });
    return `https://localhost:${port}`;
  };
  t.is(await reasonAt(t, await start(good), good), "pong");
  t.is(await reasonAt(t, await start(foreign), good), "its certificate is not signed by the CA that is trusted here");
  t.is(await reasonAt(t, await start(good, "elsewhere"), good), "its certificate is for another name");
  t.is(await reasonAt(t, await start(await expired(t, good)), good), "its certificate has expired");
  const plain = await startTestNode(t);
  t.regex(await reasonAt(t, plain.address.replace("http:", "https:"), good), /^it does not speak TLS/);
  t.is(await reasonAt(t, plain.address, good), "its address is one of http, and this node speaks TLS");

  const old = createServer({ ...peerOf(good), maxVersion: "TLSv1.2" }, (_incoming, outgoing) => outgoing.end());
  await new Promise<void>((resolve) => old.listen(0, "localhost", resolve));
  t.teardown(() => old.close());
  t.is(await reasonAt(t, `https://localhost:${(old.address() as AddressInfo).port}`, good), "it does not speak TLS 1.3");
});

test("two nodes with TLS and a key hold the same, and a client that knows the CA can ask them", async (t) => {
  const good = await certificatesFor(t, ["localhost"]);
  const key = await clusterKeyFile(t);
  const ports = await freePorts(2);
  const peers = ports.map((port) => `https://localhost:${port}`);
  const options = { peers, clusterKeyFile: key, tls: good.paths("localhost") };
  const nodes = await Promise.all(ports.map((port) => startTestNode(t, { ...options, port })));
  await until(t, "all are up", () => nodes.every(({ lines }) => lines.includes("All peers are up")), nodes);
  const client = createClient({ node: peers[0]!, ca: peerOf(good).ca });
  t.teardown(() => client.close());
  await client.put("hello", "world");
  await until(t, "the other has it", () => nodes[1]!.kv.get("hello") !== undefined, nodes);
  const { access } = (await client.status()) as unknown as { access: Record<string, unknown> };
  t.like(access, { clusterKeys: 1, clients: "this machine", refused: 0 });
  t.regex(String(access["certificateUntil"]), /^20\d\d-\d\d-\d\dT/);

  const stranger = createClient({ node: peers[0]! });
  t.teardown(() => stranger.close());
  await t.throwsAsync(stranger.status(), {
    instanceOf: ConcordError,
    message: /no node answers .* \(its certificate is not signed by the CA that is trusted here\)/,
  });
  const unsigned = await sendFrame(nodes[0]!, peerOf(good));
  t.is(unsigned.status, 401, "a certificate does not replace the key");
});

test("with a key, a peer without a certificate is told what is missing", async (t) => {
  const good = await certificatesFor(t, ["localhost"]);
  const key = await clusterKeyFile(t);
  const node = await startTestNode(t, { clusterKeyFile: key, tls: good.paths("localhost") });
  const other = await certificatesFor(t, ["localhost"]);
  // It believes the node, and shows a certificate of its own CA.
  await copyFile(good.paths("localhost").ca, other.paths("localhost").ca);
  const peer = await startTestNode(t, { clusterKeyFile: key, tls: other.paths("localhost"), peers: [node.address] });
  await until(t, "it is told", () => peer.lines.length > 0, [peer]);
  t.regex(peer.lines[0] ?? "", /is down: it answered 403: peers show a certificate of the cluster's CA here, and the one shown is refused/);
});

test("renewed certificates are taken over while the node runs, and broken ones are not", async (t) => {
  t.timeout(90_000);
  const good = await certificatesFor(t, ["localhost"], { days: 5 });
  const renewed = await certificatesFor(t, ["localhost"], { ca: good, days: 300 });
  const paths = good.paths("localhost");
  const port = (await freePorts(1))[0]!;
  const node = await startTestNode(t, { tls: paths, port });
  const peer = await startTestNode(t, { tls: paths, peers: [`https://localhost:${port}`] });
  t.true(node.lines.includes("this node's certificate expires in 4 days; make new ones with concord certs"));
  const serialOf = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: "localhost", ca: peerOf(good).ca }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.on("error", reject);
    });
  const before = await serialOf();

  await writeFile(paths.cert, "no certificate\n");
  const said = (line: RegExp) => async () => {
    await pause(300);
    return node.lines.some((each) => line.test(each));
  };
  await until(t, "it says so", said(/are no certificate and its key in PEM: .*; the certificate stays what it was/));
  t.is(await serialOf(), before);

  await copyFile(renewed.paths("localhost").cert, paths.cert);
  await copyFile(renewed.paths("localhost").key, paths.key);
  await until(t, "it is taken over", said(/^the certificate has changed, and the new is in use$/));
  t.not(await serialOf(), before);
  t.is(node.lines.filter((line) => line.includes("stays what it was")).length, 1, "once, not with each look");
  await until(t, "the peer goes on", () => peer.lines.includes("All peers are up"), [peer, node]);
});

test("a key that is not the certificate's, and files that are not there, are refused at the start", async (t) => {
  const good = await certificatesFor(t, ["localhost", "n2"]);
  const { cert, ca } = good.paths("localhost");
  const { key } = good.paths("n2");
  const start = (tls: { cert: string; key: string; ca: string }): Promise<unknown> => startTestNode(t, { tls });
  await t.throwsAsync(start({ cert, key, ca }), { message: /the key is that of another certificate$/ });
  await t.throwsAsync(start({ cert, key: `${key}x`, ca }), { message: /the certificate's key .*x cannot be read: there is no such file/ });
  await t.throwsAsync(start({ cert, key, ca: key }), { message: /is no certificate in PEM/ });
  await t.throwsAsync(startTestNode(t, { tls: good.paths("localhost"), peers: ["http://localhost:1"] }), {
    message: 'peer "http://localhost:1": this node speaks TLS, so write https://',
  });
});
