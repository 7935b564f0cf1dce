/**
 * A node that repairs from a hostile peer, over real sockets: it has been told that the peer holds something else, asks, and is lied to.
 * Whatever the answer, what it holds stays, and what was wrong is counted. (What it costs in memory: test/cluster/hostile.test.ts.)
 */
import test, { type ExecutionContext } from "ava";
import { Context } from "../../lib/core/context.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { RepairReceipt } from "../../lib/core/output.ts";
import type { RepairAnswer } from "../../lib/core/message.ts";
import { absoluteOf } from "../../lib/core/relative-context.ts";
import { CELL_BYTES } from "../../lib/repair/sketch.ts";
import { EMPTY, entryOf, everything, HostilePeer, NO_RECORD, requestOf, siblingOf, type Lie } from "../support/hostile-peer.ts";
import { pause, startTestNode, until, type TestNode } from "../support/nodes.ts";

const KEYS = 20;

interface Lied {
  readonly node: TestNode;
  readonly peer: HostilePeer;
  readonly dots: readonly Dot[];
}

/** Most lies tell of more than may vanish. */
const TUNING = { pingEveryMs: 1, jitterMs: 0, dropsAllowed: 0, dropShareMax: 0.5 };

async function start(t: ExecutionContext): Promise<Lied> {
  const peer = await HostilePeer.start(t);
  peer.isThere = false;
  const node = await startTestNode(t, { peers: [peer.url], tuning: TUNING, timeoutMs: 10_000 });
  await node.ready;
  for (let i = 0; i < KEYS; i++) await node.kv.write([{ key: `k${i}`, value: Buffer.from(String(i)) }]);
  const { reply } = await peer.send(node.url, requestOf(new Context()));
  peer.seen = absoluteOf((reply as RepairAnswer).context, new Context());
  const [own] = [...peer.seen.incarnations()];
  return { node, peer, dots: Array.from({ length: KEYS }, (_, i) => ({ incarnation: own!, counter: i + 1 })) };
}

async function told(node: TestNode): Promise<{ readonly peers: Record<string, number>; readonly valuesKept: number }> {
  const response = await fetch(`${node.url}/status`);
  return ((await response.json()) as { refused: { peers: Record<string, number>; valuesKept: number } }).refused;
}

interface Case {
  readonly lie: (lied: Lied) => Lie;
  /** What it is counted as. */
  readonly reason?: string;
  readonly kept?: boolean;
  /** What the node says of the repair. */
  readonly result: RepairReceipt["result"];
}

const forged = (dot: Dot) => siblingOf("k1", "forged", dot, { digest: "d".repeat(16) });

const CASES: Readonly<Record<string, Case>> = {
  "a summary that no answer agrees with": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { summary: peer.summary() }),
    result: "differs",
  },
  "pages without end that bring nothing": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { more: true }),
    reason: "no-progress",
    result: "interrupted",
  },
  "entries whose hashes are wrong": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { entries: [entryOf("k1", [forged({ incarnation: "hostile!", counter: 1 })])] }),
    reason: "hash",
    result: "interrupted",
  },
  "other contents under the node's own dots": {
    lie:
      ({ peer, dots }) =>
      (asked) =>
        peer.answer(asked, { entries: dots.map((dot, i) => entryOf(`k${i}`, [siblingOf(`k${i}`, "forged", dot)])) }),
    reason: "dot",
    result: "differs",
  },
  "a dot that the node never issued": {
    lie:
      ({ peer, dots }) =>
      (asked) =>
        peer.answer(asked, { entries: [entryOf("k1", [], [{ ...dots[0]!, counter: 1_000 }])] }),
    reason: "dot",
    result: "differs",
  },
  "a context with more dots than the node has issued": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { context: everything(peer.seen) }),
    reason: "context",
    result: "interrupted",
  },
  "a context of more identities than anybody could read": {
    lie:
      ({ peer }) =>
      (asked) => {
        const covered = new Context();
        for (let i = 0; i < 40_000; i++) covered.add({ incarnation: String(peer.requests * 40_000 + i).padStart(8, "i"), counter: 1 });
        return peer.answer(asked, { covered, more: true });
      },
    reason: "context",
    result: "interrupted",
  },
  "an empty store that has seen everything": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked),
    kept: true,
    result: "too-many-drops",
  },
  "the same in pages that name every key": {
    lie:
      ({ peer, dots }) =>
      (asked) =>
        peer.answer(asked, { entries: dots.map((_, i) => ({ key: `k${i}`, record: NO_RECORD, gone: [] })) }),
    kept: true,
    result: "too-many-drops",
  },
  "a sketch that drops everything": {
    lie:
      ({ peer }) =>
      (asked) =>
        asked.cells === 0
          ? peer.answer(asked, { summary: peer.summary() })
          : peer.answer(asked, { sketch: Buffer.alloc(asked.cells * CELL_BYTES) }),
    kept: true,
    result: "too-many-drops",
  },
  "sketches that nobody can read": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, {
          summary: peer.summary(),
          ...(asked.cells > 0 && { sketch: Buffer.alloc(asked.cells * CELL_BYTES, 0x5a) }),
        }),
    result: "differs",
  },
  "a sketch of a million cells": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { summary: peer.summary(), ...(asked.cells > 0 && { sketch: Buffer.alloc(1_000_000 * CELL_BYTES) }) }),
    reason: "malformed",
    result: "interrupted",
  },
  "an answer to a sketch that the node has not sent": {
    lie:
      ({ peer, dots }) =>
      (asked) =>
        peer.answer(asked, { more: true, found: { result: "decoded", missing: new Context(), drops: Context.of(dots) } }),
    reason: "malformed",
    result: "interrupted",
  },
  "runs of dots that stand for millions of millions": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { found: { result: "decoded", missing: everything(peer.seen), drops: everything(peer.seen) } }),
    result: "interrupted",
  },
  "a context that is told as news, of dots that the node has not issued": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { context: { from: "seen", gained: everything(peer.seen), lacked: new Context() } }),
    reason: "context",
    result: "interrupted",
  },
  "a page that covers dots that the node has not issued": {
    lie:
      ({ peer }) =>
      (asked) =>
        peer.answer(asked, { more: true, covered: everything(peer.seen) }),
    reason: "context",
    result: "interrupted",
  },
  garbage: { lie: () => () => Buffer.alloc(100_000, 0xc0), result: "interrupted" },
  "nothing at all": { lie: () => (_asked, outgoing) => void outgoing.destroy(), result: "interrupted" },
};

for (const [what, { lie, reason, kept = false, result }] of Object.entries(CASES)) {
  test.serial(`lied to in a repair: ${what}`, async (t) => {
    const lied = await start(t);
    const { node, peer } = lied;
    let count = 0;
    peer.lie = lie(lied);
    const summary = { ...EMPTY, root: "r".repeat(16), count: 7 };
    peer.summary = () => ({ ...summary, context: String(count++).padStart(8, "c") });
    const hash = node.kv.hash();
    peer.isThere = true;
    // At first the node may give the peer time to repair from here.
    const ended = () => node.kv.status().lastRepair?.result ?? "behind";
    await until(t, "a repair has ended", () => ended() !== "behind", [node]);
    t.is(ended(), result);
    const refused = await told(node);
    if (reason !== undefined) t.true(refused.peers[reason]! >= 1, JSON.stringify(refused));
    if (kept) t.true(refused.valuesKept >= KEYS, JSON.stringify(refused));
    t.is(node.kv.hash(), hash);
    t.is(node.kv.status().keys, KEYS);
    await node.kv.write([{ key: "after", value: Buffer.from("1") }]);
    t.not(node.kv.get("after"), undefined);
    t.is(node.kv.status().stopped, undefined);
  });
}

test("compared with a hostile peer: the one who asked hears why it cannot be, and nothing changes", async (t) => {
  const { node, peer } = await start(t);
  const hash = node.kv.hash();
  const lies: readonly Lie[] = [
    (asked) => peer.answer(asked, { sketch: Buffer.alloc(1_000_000 * CELL_BYTES) }),
    (asked) => peer.answer(asked, { sketch: Buffer.alloc(asked.cells * CELL_BYTES + 1) }),
    (asked) =>
      peer.answer(asked, { sketch: Buffer.alloc(asked.cells * CELL_BYTES), context: everything(peer.seen), summary: peer.summary() }),
    (asked) => peer.answer(asked),
  ];
  peer.summary = () => ({ ...EMPTY, root: "r".repeat(16), count: 7 });
  peer.isThere = true;
  await until(t, "the peer is up", () => node.kv.status().peers[0]?.status === "alive", [node]);
  for (const lie of lies) {
    peer.lie = lie;
    const response = await fetch(`${node.url}/repair?dryRun=true&peer=${encodeURIComponent(peer.url)}`, { method: "POST" });
    t.is(response.status, 502);
    t.regex(((await response.json()) as { error: string }).error, /^cannot compare with /);
  }
  t.is(node.kv.hash(), hash);
  t.true((await told(node)).peers["malformed"]! >= 2);
});

test("a peer that is told off again and again is written of in the log once a minute, not each time", async (t) => {
  const { node, peer } = await start(t);
  const wrong = entryOf("k1", [forged({ incarnation: "hostile!", counter: 1 })]);
  for (let i = 0; i < 50; i++) await peer.push(node.url, [wrong]);
  t.is((await told(node)).peers["hash"], 50);
  t.is(node.lines.filter((line) => line.includes("does not match its hash")).length, 1);
});

test("what a peer deletes with a dot for each goes, however much that is", async (t) => {
  const { node, peer, dots } = await start(t);
  const entries = dots.map((dot, i) => entryOf(`k${i}`, [], [dot, { incarnation: "honest!!", counter: i + 1 }]));
  t.deepEqual((await peer.push(node.url, entries)).reply, { kind: "push-ack", exchange: 1, accepted: true });
  await pause(20);
  t.is(node.kv.status().keys, 0);
  t.is((await told(node)).valuesKept, 0);
});
