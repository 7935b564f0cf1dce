/** Who is told what of the repairs and comparisons that operators ask for: each the answer to what they asked, and nobody another's. */
import test from "ava";
import type { Comparison } from "../../lib/core/comparison.ts";
import type { RepairReceipt } from "../../lib/core/output.ts";
import { createRepairDesk, type RepairDesk, type RepairNode } from "../../lib/node/repair-desk.ts";
import { keepReceipt } from "../../lib/node/repairs.ts";
import type { Member } from "../../lib/replica.ts";
import { createCluster, quiet } from "../support/driven-nodes.ts";

const receipt = (number: number, peer: string): RepairReceipt => ({ number, peer }) as RepairReceipt;
const comparison = (atLeast: number): Comparison => ({ peer: "b", atLeast }) as Comparison;

interface Bench {
  readonly desk: RepairDesk;
  readonly asked: Parameters<RepairNode["operate"]>[0][];
  readonly ended: (number: number, peer: string) => void;
  readonly compared: (ticket: number, found: Comparison | string) => void;
  /** All that wait have waited for long enough. */
  readonly timeOut: () => void;
}

function createBench(repairsEnded: number): Bench {
  const members = ["b", "c"].map((address) => ({ address, name: `node-${address}`, isUp: true }) as Member);
  const asked: Bench["asked"] = [];
  const timers = new Set<() => void>();
  const later = (work: () => void): { cancel: () => void } => {
    timers.add(work);
    return { cancel: () => timers.delete(work) };
  };
  const node: RepairNode = { replica: { membership: { members: () => members }, repairsEnded }, operate: (input) => asked.push(input) };
  const desk = createRepairDesk(node, later);
  return {
    desk,
    asked,
    ended: (number, peer) => desk.onEvent({ kind: "repair-ended", receipt: receipt(number, peer) }),
    compared: (ticket, found) => desk.onEvent({ kind: "compared", peer: "b", ticket, comparison: found }),
    timeOut: () => [...timers].forEach((work) => work()),
  };
}

test("a repair is answered by the receipt of its peer that is made after it was asked for", async (t) => {
  const { desk, asked, ended } = createBench(4);
  const answer = desk.repair("node-b");
  t.deepEqual(asked, [{ type: "repair", peer: "b" }]);
  ended(4, "b");
  ended(5, "c");
  ended(6, "b");
  t.deepEqual(await answer, receipt(6, "b"));
});

test("a repair that takes long: which receipt will be its own", async (t) => {
  const { desk, ended, timeOut } = createBench(4);
  const answer = desk.repair("node-b");
  ended(5, "c");
  timeOut();
  t.deepEqual(await answer, { underWay: true, peer: "b", after: 4 });
});

test("comparisons: a refusal and a late answer reach whoever asked for them, and nobody else", async (t) => {
  const { desk, compared, timeOut } = createBench(0);
  const late = desk.compare("b");
  timeOut();
  await t.throwsAsync(late, { code: "peer-failed", message: "cannot compare with b: it did not answer in time" });
  const [second, third] = [desk.compare("b"), desk.compare("b")];
  compared(1, comparison(1));
  compared(3, "one is under way");
  await t.throwsAsync(third, { message: "cannot compare with b: one is under way" });
  compared(2, comparison(2));
  t.deepEqual(await second, comparison(2));
});

test("two comparisons with one peer at once: the first has its result, the second is told why it has none", async (t) => {
  const { nodes } = await createCluster(["a", "b"]);
  const [a, b] = [nodes[0]!, nodes[1]!];
  await b.kv.write([{ key: "k", value: Buffer.from("1") }], { local: true });
  const [first, second] = [a.kv.compare("b"), a.kv.compare("b")];
  await t.throwsAsync(second, { message: /a comparison with b is under way; try again/ });
  t.like(await first, { peer: "b", atLeast: 1, sides: { here: { receives: 1 } } });
});

test("the status has the last receipt of each peer, also of a repair that found nothing, and hides no last one that did", async (t) => {
  const { nodes } = await createCluster(["a", "b", "c"]);
  const { kv } = nodes[0]!;
  await nodes[1]!.kv.write([{ key: "k", value: Buffer.from("1") }], { local: true });
  const before = kv.status().repairs.length === 0 ? 0 : Math.max(...kv.status().repairs.map(({ number }) => number));
  const [fromB, fromC] = [await kv.repair("b"), await kv.repair("c")];
  await quiet();
  t.like(fromB, { number: before + 1, peer: "b", entriesIn: 1 });
  t.like(fromC, { number: before + 2, peer: "c", entriesIn: 0, result: "joined" });
  t.deepEqual([kv.status().lastRepair, kv.status().repairs.slice(-2)], [fromB as RepairReceipt, [fromB, fromC] as RepairReceipt[]]);
});

test("receipts are kept of the 64 peers that repaired last", (t) => {
  const receipts = new Map<string, RepairReceipt>();
  for (let number = 1; number <= 70; number++) keepReceipt(receipts, receipt(number, `peer-${number === 70 ? 10 : number}`));
  t.deepEqual([receipts.size, receipts.get("peer-5"), receipts.get("peer-10")?.number], [64, undefined, 70]);
});
