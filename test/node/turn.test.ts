/** The pace of turns: when what has come is worth a batch, and that every turn's effects still follow their own batch, in order. */
import test from "ava";
import { ConcordError } from "../../lib/core/errors.ts";
import type { Operation } from "../../lib/replica.ts";
import { createClock, type ManualClock } from "../support/chance.ts";
import {
  createHeldStorage,
  createTestNode,
  entriesOf,
  meet,
  quiet,
  watched,
  type HeldStorage,
  type TestNode,
} from "../support/driven-nodes.ts";
import { json } from "../support/stores.ts";

const put = (key: string, text = "1"): Operation => ({ key, write: json(text) });

/** A node whose turns run when the test says so. */
async function createPaced(): Promise<TestNode & { readonly storage: HeldStorage; readonly clock: ManualClock; readonly run: () => void }> {
  const [storage, clock, turns] = [createHeldStorage(), createClock(), [] as (() => void)[]];
  const timing = { defer: (turn: () => void) => void turns.push(turn) };
  const run = (): void => turns.splice(0).forEach((turn) => turn());
  return { ...(await createTestNode("a", { storage, clock, timing })), storage, clock, run };
}

test("a turn is ripe when its inputs have gathered for half as long as a batch takes: the disk gets them while others come", async (t) => {
  const { node, storage, clock, run } = await createPaced();
  const first = watched(node.write([put("a")], 1));
  t.is(storage.waiting, 0, "a turn waits for what comes with it");
  run();
  clock.advance(8);
  await storage.release();
  t.true(first.value?.ok);
  const results = [watched(node.write([put("b")], 1))];
  clock.advance(3);
  results.push(watched(node.write([put("c")], 1)));
  t.is(storage.waiting, 0, "the last batch took 8 ms");
  clock.advance(1);
  results.push(watched(node.write([put("d")], 1)), watched(node.write([put("e")], 1)));
  t.deepEqual(entriesOf(storage.batches.at(-1)!), ["eb", "ec", "ed"]);
  run();
  await quiet();
  t.deepEqual(results.map(({ value }) => value?.ok), [undefined, undefined, undefined, undefined]); // prettier-ignore
  await storage.release();
  t.deepEqual(results.map(({ value }) => value?.ok), [true, true, true, undefined]); // prettier-ignore
  run();
  await storage.release();
  t.true(results[3]!.value?.ok);
});

test("when a batch is durable the disk gets the next one first, and each turn's effects follow their own batch, in order", async (t) => {
  const { node, storage, clock, changed, run } = await createPaced();
  const results = [watched(node.write([put("a")], 1))];
  run();
  results.push(watched(node.write([put("b")], 1)));
  run();
  clock.advance(5);
  const handed: number[] = [];
  void node.write([put("c")], 1).then(() => handed.push(storage.batches.length));
  await storage.release();
  t.deepEqual([entriesOf(storage.batches[1]!), storage.waiting], [["eb", "ec"], 1], "what had gathered went without waiting for a turn");
  t.deepEqual([results.map(({ value }) => value?.ok), changed, handed], [[true, undefined], ["a"], []]);
  run();
  await storage.release();
  t.deepEqual([results[1]!.value?.ok, changed, handed], [true, ["a", "b", "c"], [2]]);
});

test("what was durable is answered, also when the batch after it cannot be made or fails", async (t) => {
  for (const breaks of ["write", "step"] as const) {
    const { node, storage, clock, changed, failures, run } = await createPaced();
    const first = watched(node.write([put("a")], 1));
    run();
    const broken = { ...put("b"), get write(): never { throw new Error("broken invariant: as planned"); } }; // prettier-ignore
    const second = watched(node.write([breaks === "step" ? broken : put("b")], 1));
    clock.advance(5);
    await storage.release();
    if (breaks === "write") await storage.fail(new ConcordError("disk-full", "no room"));
    await quiet();
    t.deepEqual([first.value?.ok, second.value?.ok, changed, failures.length], [true, false, ["a"], 1], breaks);
  }
});

test("a write to a peer that has just been pushed to waits for its time, and for nothing else", async (t) => {
  const [clock, timers] = [createClock(), [] as { afterMs: number; run: () => void }[]];
  const timing = { later: (afterMs: number, run: () => void) => void timers.push({ afterMs, run }) };
  const held = await createTestNode("a", { peers: ["b"], clock, timing, pushEveryMs: 10 });
  meet(held, "b");
  held.sent.length = 0;
  await held.node.write([put("k")], 1);
  const { message } = held.sent[0]!;
  held.node.receive("b", { kind: "push-ack", exchange: message.exchange, accepted: true });
  await held.node.write([put("l")], 1);
  t.deepEqual([held.sent.length, timers.map(({ afterMs }) => afterMs)], [1, [10]]);
  clock.advance(10);
  timers[0]!.run();
  t.deepEqual(held.sent.map(({ message: { kind } }) => kind), ["push", "push"]); // prettier-ignore
});
