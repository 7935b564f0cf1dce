/**
 * A hostile peer against a real process: whatever it sends, and however it answers, the node goes on, its data is what it was, what was
 * refused is counted by its reason, and its memory grows by 64 MiB at the most.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import test, { type ExecutionContext } from "ava";
import { decodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { Message, RepairAnswer, WireEntry } from "../../lib/core/message.ts";
import { absoluteOf } from "../../lib/core/relative-context.ts";
import { framed } from "../support/frames.ts";
import { manyEntries, manyGone, manyIdentities, manyRanges } from "../support/giant-frames.ts";
import { entryOf, everything, HostilePeer, requestOf, siblingOf, type Lie } from "../support/hostile-peer.ts";
import { freePorts, pairs, putAll, sleep, TestNode, waitFor } from "./support.ts";

const MEMORY_MAX_MIB = 64;
const ROUNDS_MAX = 3;
const REST_MS = 2_000;
const KEYS = 3_000;
/** Half of the largest value. Four frames of it side by side are honest work too. */
const LARGE_BYTES = 4 * 1024 * 1024;

interface Siege {
  readonly node: TestNode;
  readonly peer: HostilePeer;
  /** The dots that the node has issued, by key. */
  readonly dots: ReadonlyMap<string, Dot>;
  readonly own: string;
  /** Memory at its highest while the node did honest work, in MiB: what an attack adds is over this. */
  readonly workMib: number;
}

/** A node with data of its own that has worked for a while, and a hostile peer that is on its list and has learned all that it holds. */
async function besiege(t: ExecutionContext): Promise<Siege> {
  const peer = await HostilePeer.start(t);
  const [port = 0] = await freePorts(1);
  const node = await new TestNode(t, port, { peers: [peer.url], timeout: 5 }).start();
  await warmUp(node, peer);
  const entries: WireEntry[] = [];
  const seen = new Context();
  for (let more = true; more;) {
    const { reply } = await peer.send(node.url, requestOf(seen, { bytesMax: 256 * 1024 }));
    const { entries: page, covered, more: goesOn, context } = reply as RepairAnswer;
    entries.push(...page);
    peer.seen = absoluteOf(context, seen);
    seen.join(covered);
    more = goesOn;
  }
  const workMib = memoryPeakOf(node.pid);
  const live = entries.filter(({ record }) => record.length > 0);
  const dots = new Map(live.map(({ key, record }) => [key, decodeSiblings(record)[0]!.dot]));
  t.is(dots.size, KEYS);
  return { node, peer, dots, own: [...dots.values()][0]!.incarnation, workMib };
}

/** The work of some seconds, so that what the runtime takes for any work, up to its first collections, is not taken for an attack. */
async function warmUp(node: TestNode, peer: HostilePeer): Promise<void> {
  const text = "x".repeat(100);
  const entryOfKey = (i: number): WireEntry => entryOf(`k${i}`, [siblingOf(`k${i}`, text, { incarnation: "earlier!", counter: i + 1 })]);
  const entries = Array.from({ length: KEYS }, (_, i) => entryOfKey(i));
  for (let i = 0; i < 100; i++) await peer.push(node.url, i === 0 ? entries : entries.slice(0, 1_500));
  const large = siblingOf("large", "x".repeat(LARGE_BYTES), { incarnation: "earlier!", counter: KEYS + 1 });
  for (let i = 0; i < 10; i++) await Promise.all([1, 2, 3, 4].map(() => peer.push(node.url, [entryOf("large", [large])])));
  await putAll(node, pairs("k", KEYS));
  await node.client.delete("large");
}

const statusOf = async ({ node }: Siege) => node.client.status();

/** Resident memory in MiB at its highest since it was last reset. */
function memoryPeakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/**
 * Runs the attack; afterwards the node answers, holds what it held, and has not grown by more than it may. A collector that does not come
 * to its turn on a busy machine leaves garbage in that figure: an attack is repeated before its memory is held against the node.
 */
async function withstand(t: ExecutionContext, siege: Siege, what: string, attack: () => Promise<unknown>): Promise<void> {
  const { node } = siege;
  const before = await statusOf(siege);
  let grown = Infinity;
  for (let round = 0; round < ROUNDS_MAX && grown > MEMORY_MAX_MIB; round++) {
    if (round > 0) await sleep(REST_MS);
    writeFileSync(`/proc/${node.pid}/clear_refs`, "5");
    await attack();
    const after = await statusOf(siege);
    t.deepEqual([after.keys, after.hash, after.stopped], [before.keys, before.hash, undefined], what);
    grown = memoryPeakOf(node.pid) - siege.workMib;
    t.log(`${what}: ${grown.toFixed(1)} MiB more`);
  }
  t.true(grown <= MEMORY_MAX_MIB, `${what}: ${grown.toFixed(1)} MiB more`);
  t.is(await node.client.get("k1"), 1);
}

const refusedBy = async (siege: Siege, reason: string): Promise<number> => (await statusOf(siege)).refused.peers[reason] ?? 0;

test.serial("frames that a hostile peer sends: each is refused and counted, the data stays, memory is bounded", async (t) => {
  t.timeout(240_000);
  const siege = await besiege(t);
  const { node, peer, dots, own } = siege;
  const keys = [...dots.keys()];
  // A first round of honest work, so that what the runtime allocates once is not taken for an attack.
  for (let i = 0; i < 30; i++)
    await peer.push(
      node.url,
      keys.slice(0, 1_000).map((key) => entryOf(key, [])),
    );
  const attempt = (what: string, attack: () => Promise<unknown>) => withstand(t, siege, what, attack);
  const told = async (reason: string, attack: () => Promise<unknown>): Promise<void> => {
    const before = await refusedBy(siege, reason);
    await attack();
    t.true((await refusedBy(siege, reason)) > before, `counted as ${reason}`);
  };

  await attempt("contents that do not match their hashes", () =>
    told("hash", async () => {
      const wrong = (key: string, counter: number) =>
        siblingOf(key, "forged", { incarnation: "hostile!", counter }, { digest: "d".repeat(16) });
      for (let i = 1; i <= 50; i++)
        await peer.push(node.url, [entryOf(`k${i}`, [wrong(`k${i}`, i)]), entryOf(`new${i}`, [wrong(`new${i}`, i)])]);
    }),
  );
  await attempt("other contents under the dots of others", () =>
    told("dot", async () => {
      for (const [key, dot] of [...dots].slice(0, 50)) await peer.push(node.url, [entryOf(key, [siblingOf(key, "forged", dot)])]);
    }),
  );
  await attempt("dots of the node under other keys", () => peer.push(node.url, keys.map((key, i) => entryOf(`new${i}`, [siblingOf(`new${i}`, "forged", dots.get(key)!)])))); // prettier-ignore
  await attempt("a context that has seen everything, and holds nothing of it", () => peer.push(node.url, keys.map((key) => entryOf(key, [])), peer.seen)); // prettier-ignore
  await attempt("everything named as gone, without a deletion", () => peer.push(node.url, [...dots].map(([key, dot]) => entryOf(key, [], [dot])))); // prettier-ignore
  t.true((await statusOf(siege)).refused.valuesKept >= 2 * KEYS);
  await attempt("dots that the node never issued", () =>
    told("dot", () => peer.push(node.url, [entryOf("k1", [], [{ incarnation: own, counter: 10 * KEYS }])])),
  );
  await node.client.put("k1", 1);
  await attempt("a context that claims everything that there could ever be, again and again", () =>
    told("context", async () => {
      for (let i = 0; i < 40; i++) {
        const { reply } = await peer.send(node.url, requestOf(new Context()));
        await peer.push(node.url, keys.map((key) => entryOf(key, [])), everything(absoluteOf((reply as RepairAnswer).context, new Context()))); // prettier-ignore
        await node.client.put("k1", 1);
      }
    }),
  );
  t.true((await statusOf(siege)).incarnations <= 40, "not a new identity each time");
  await attempt("garbage", async () => {
    for (let i = 0; i < 200; i++) t.is((await peer.send(node.url, Buffer.alloc(1 + i * 50, i))).status, 400);
    for (let kind = 0; kind < 8; kind++) t.is((await peer.send(node.url, framed(kind, Buffer.alloc(2_000, 0xff)))).status, 400);
  });
  await attempt("garbage for sketches", async () => {
    const sketch = (cells: Uint8Array) => requestOf(new Context(), { count: 2 ** 50, sketch: cells });
    for (const length of [1, 12 * 96, 12 * 1_536, 12 * 65_536, 12 * 100_000]) await peer.send(node.url, sketch(Buffer.alloc(length, 0x5a)));
  });
  await attempt("wishes for the largest sketch and for dots by the thousand, many side by side", async () => {
    const wishes = [requestOf(peer.seen, { cells: 65_536 }), requestOf(new Context(), { wanted: scattered() })];
    await Promise.all(Array.from({ length: 200 }, (_, i) => peer.send(node.url, wishes[i % wishes.length]!).catch(() => undefined)));
  });
  await attempt("giant counts, many side by side", async () => {
    const giants = [manyEntries(), manyRanges(), manyIdentities(), manyGone()];
    await Promise.all(Array.from({ length: 16 }, (_, i) => peer.send(node.url, giants[i % giants.length]!).catch(() => undefined)));
  });
  await attempt("the largest frames, many side by side", async () => {
    const push: Message = { kind: "push", exchange: 1, entries: [entryOf("k1", [siblingOf("k1", "x".repeat(15 * 1024 * 1024), dots.get("k1")!)])], context: new Context() }; // prettier-ignore
    await Promise.all(Array.from({ length: 8 }, () => peer.send(node.url, push).catch(() => undefined)));
  });
  await attempt("bodies without end, and others that trickle", () => Promise.all([endless(node.port), endless(node.port), ...Array.from({ length: 50 }, () => trickled(node.port))])); // prettier-ignore
  t.is(await node.client.get("new1"), undefined);
});

test.serial("answers that a node has asked for: endless, trickling, or larger than they look", async (t) => {
  t.timeout(240_000);
  const siege = await besiege(t);
  const { node, peer } = siege;
  let count = 0;
  // Another one each time, so that it always differs.
  peer.summary = () => ({ root: String(count++).padStart(16, "r"), dotRoot: "d".repeat(16), count, context: "c".repeat(8) });
  const lies: Record<string, Lie> = {
    "an answer without end": (_asked, outgoing) => {
      const chunk = Buffer.alloc(65_536);
      const pour = (): void => {
        while (!outgoing.destroyed && outgoing.write(chunk));
      };
      outgoing.on("drain", pour);
      pour();
      return undefined;
    },
    "an answer that trickles": (_asked, outgoing) => {
      const timer = setInterval(() => outgoing.write("x"), 100);
      outgoing.on("close", () => clearInterval(timer));
      return undefined;
    },
    "pages that cover a million gaps": (asked) => peer.answer(asked, { covered: gaps(), more: true }),
    "a context of a million gaps": (asked) => peer.answer(asked, { context: gaps() }),
    "a million gaps told as news": (asked) => peer.answer(asked, { context: { from: "seen", gained: gaps(), lacked: new Context() } }),
    "a million gaps in what it lacks": (asked) => peer.answer(asked, { context: { from: "seen", gained: new Context(), lacked: gaps() } }),
  };
  for (const [what, lie] of Object.entries(lies)) {
    await withstand(t, siege, what, async () => {
      const before = peer.requests;
      peer.lie = lie;
      await waitFor(`the node to ask: ${what}`, () => peer.requests > before, { nodes: [node], withinMs: 60_000 });
      await sleep(2_000);
    });
  }
});

/** As many dots as one request may name, each on its own. */
function scattered(): Context {
  const dots = new Context();
  for (let counter = 1; counter < 2 * 4_096; counter += 2) dots.addRange("hostile!", counter, counter);
  return dots;
}

function gaps(): Context {
  const context = new Context();
  for (let i = 1; i < 2_000_000; i += 2) context.addRange("hostile!", i, i);
  return context;
}

test.serial("stamps that are far in the future are counted and never followed", async (t) => {
  t.timeout(180_000);
  const siege = await besiege(t);
  const { node, peer } = siege;
  const future = { ms: Date.now() + 100 * 365 * 86_400_000, tick: 0 };
  await peer.push(node.url, Array.from({ length: 10 }, (_, i) => entryOf(`f${i}`, [siblingOf(`f${i}`, "later", { incarnation: "hostile!", counter: i + 1 }, { stamp: future })]))); // prettier-ignore
  t.is((await statusOf(siege)).refused.valuesFarAhead, 10);
  t.is(await node.client.get("f1"), "later", "stored as it is");
  await node.client.put("f1", "now");
  t.is(await node.client.get("f1"), "now", "a write that has seen it replaces it, whatever its time");
  const { reply } = await peer.send(node.url, requestOf(peer.seen));
  const written = (reply as RepairAnswer).entries.find(({ key }) => key === "f1")!;
  const stampMs = Buffer.from(written.record).readUIntLE(13, 6);
  t.true(stampMs < Date.now() + 60_000, "the node's own clock stayed where it was");
  t.is(node.lines.filter((line) => line.includes("far ahead")).length, 1, "one line, however many values");
});

const FRAME_HEAD = "POST /peer HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n";

/** Sends chunks as fast as they are taken until the node lets go. */
function endless(port: number): Promise<void> {
  return new Promise((resolve) => {
    const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const socket = connect(port, "127.0.0.1", () => void socket.write(`${FRAME_HEAD}transfer-encoding: chunked\r\n\r\n`));
    const pour = (): void => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on("drain", pour).on("connect", pour);
    socket.on("error", () => undefined).on("close", () => resolve());
    socket.resume();
  });
}

/** Promises sixteen megabytes and sends a byte at a time, until the node lets go. */
function trickled(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => void socket.write(`${FRAME_HEAD}content-length: ${16 * 1024 * 1024}\r\n\r\n`));
    const timer = setInterval(() => socket.write("x"), 200);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      resolve();
    });
    socket.resume();
  });
}
