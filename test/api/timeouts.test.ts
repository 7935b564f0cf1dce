/** Connections that are slow or hang, one of each kind side by side: all are gone in a quarter of a minute, and the node is as before. */
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import test, { type ExecutionContext } from "ava";
import { send } from "../support/http.ts";
import { startTestNode, type TestNode } from "../support/nodes.ts";
import { certificatesFor } from "../support/secrets.ts";

const GONE_WITHIN_MS = 15_000;

/** The time is counted in turns of this length: on a machine that is busy otherwise they take longer, as they do for the node. */
const TURN_MS = 20;

interface Attack {
  readonly what: string;
  /** Sent at once. */
  readonly head: string;
  /** Sent again and again, each second. */
  readonly drip?: string;
  /** Never reads what comes. */
  readonly deaf?: boolean;
  /** What the answer begins with; undefined when none is owed. */
  readonly answer?: RegExp;
}

const ATTACKS: readonly Attack[] = [
  { what: "says nothing", head: "" },
  {
    what: "headers that never end",
    head: "GET /ping HTTP/1.1\r\nhost: localhost\r\n",
    drip: "x: y\r\n",
    answer: /^HTTP\/1\.1 408 .*error/s,
  },
  { what: "half a request line", head: "GET /pi", drip: "n" },
  {
    what: "a body that trickles",
    head: "POST /store HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n",
    drip: " ",
    answer: /^HTTP\/1\.1 408 .*error/s,
  },
  {
    what: "a body in chunks that never end",
    head: "GET /store/key HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n",
    drip: "1\r\n \r\n",
    answer: /^HTTP\/1\.1 408 .*error/s,
  },
  {
    what: "a frame that trickles",
    head: "POST /peer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: 999\r\n\r\n",
    drip: "x",
    // Over TLS it is refused at once: it shows no certificate.
    answer: /^HTTP\/1\.1 40[83] .*error/s,
  },
  { what: "an answer without a request's end", head: "GET /ping HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n", drip: " ", answer: /^HTTP\/1\.1 200 / }, // prettier-ignore
  { what: "a connection kept and not used", head: "GET /ping HTTP/1.1\r\nhost: localhost\r\n\r\n", answer: /^HTTP\/1\.1 200 / },
  { what: "a reader of the store that does not read", head: "GET /store HTTP/1.1\r\nhost: localhost\r\n\r\n", deaf: true },
  {
    what: "a reader of a large value that does not read",
    head: "GET /store/key?key=large HTTP/1.1\r\nhost: localhost\r\n\r\n",
    deaf: true,
  },
  { what: "the same, many times in one go", head: "GET /store/key?key=large HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50), deaf: true },
];

/** Resolves with what was received when the other side has closed; with undefined when it has not in time. */
function attack(port: number, isTls: boolean, { head, drip, deaf = false }: Attack): Promise<string | undefined> {
  return new Promise((resolve) => {
    let received = "";
    const begin = (): void => void socket.write(head);
    const place = { port, host: "127.0.0.1", rejectUnauthorized: false };
    const socket = isTls ? connectTls(place, begin) : connect(place, begin);
    if (deaf) socket.pause();
    else socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
    const timer = drip === undefined ? undefined : setInterval(() => socket.write(drip), 1_000);
    // A paused socket does not hear that it was closed; whoever writes to it does.
    const probe = deaf ? setInterval(() => socket.write("\r\n"), 250) : undefined;
    let turns = 0;
    const deadline = setInterval(() => ++turns * TURN_MS > GONE_WITHIN_MS && end(undefined), TURN_MS);
    const end = (outcome: string | undefined): void => {
      clearInterval(timer);
      clearInterval(probe);
      clearInterval(deadline);
      socket.destroy();
      resolve(outcome);
    };
    socket.on("error", () => end(received));
    socket.on("close", () => end(received));
  });
}

const OPEN = "still open";

/** A connection that has said nothing may be closed without a word. */
const NOTHING = /^(HTTP\/1\.1 408 .*)?$/s;

/** A byte that comes while the node closes takes the answer with it. That is chance: what the node does wrong it does each time. */
const ROUNDS_MAX = 3;

/** All attacks at once; afterwards the node holds what it held. */
async function withstand(t: ExecutionContext, { port, kv }: TestNode, isTls: boolean): Promise<void> {
  const value = Buffer.from(JSON.stringify("x".repeat(1024 * 1024)));
  for (let i = 0; i < 30; i++) await kv.write([{ key: `k${i}`, value }]);
  await kv.write([{ key: "large", value: Buffer.from(JSON.stringify("x".repeat(8 * 1024 * 1024 - 2))) }]);
  const hash = kv.hash();
  let wrong: readonly Attack[] = ATTACKS;
  let seen: readonly string[] = [];
  for (let round = 0; round < ROUNDS_MAX && wrong.length > 0; round++) {
    const outcomes = await Promise.all(wrong.map((each) => attack(port, isTls, each)));
    const failed = wrong
      .map((each, i) => [each, outcomes[i]] as const)
      .filter(([{ answer = NOTHING }, outcome = OPEN]) => !answer.test(outcome));
    wrong = failed.map(([each]) => each);
    seen = failed.map(([{ what }, outcome = OPEN]) => `${what}: ${outcome}`);
  }
  t.deepEqual(seen, []);
  t.is(kv.hash(), hash);
}

test("slow and hung connections are gone within 15 s, each with the answer that it is owed", async (t) => {
  const node = await startTestNode(t, { valueBytesMax: 8 * 1024 * 1024 });
  await withstand(t, node, false);
  t.is((await send(node.url, "GET", "/ping")).status, 200);
  const { json } = await send(node.url, "GET", "/status");
  t.is(json.refused.requests.slow >= 4, true);
});

test("the same over TLS", async (t) => {
  const certificates = await certificatesFor(t, ["localhost"]);
  const node = await startTestNode(t, { valueBytesMax: 8 * 1024 * 1024, tls: certificates.paths("localhost") });
  await withstand(t, node, true);
  const ping = "GET /ping HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
  t.regex((await attack(node.port, true, { what: "a ping", head: ping })) ?? "", /pong/);
});
