/** Reads of several nodes about what one of them has deleted: the deletion goes with its reason, so that it holds at once on both sides. */
import test, { type ExecutionContext } from "ava";
import { startTestNode, until, type TestNode } from "../support/nodes.ts";

/** Two nodes that let nothing go without a reason, hold a key, and are told of nothing by each other for now. */
async function startPair(t: ExecutionContext): Promise<readonly [TestNode, TestNode]> {
  const tuning = { pingEveryMs: 3_600_000, jitterMs: 0, dropShareMax: 0, dropsAllowed: 0 };
  const first = await startTestNode(t, { tuning });
  const second = await startTestNode(t, { tuning, peers: [first.url] });
  const hasHeard = ({ kv }: TestNode): boolean => kv.status().peers[0]?.inSync !== undefined;
  await until(t, "each has heard of the other", () => hasHeard(first) && hasHeard(second), [first, second]);
  await first.kv.write([{ key: "k", value: Buffer.from("1") }], { copies: 2 });
  return [first, second];
}

test("what another node has deleted is gone for who reads both", async (t) => {
  const [first, second] = await startPair(t);
  await second.kv.write([{ key: "k", value: undefined }], { local: true });
  t.is(await first.kv.refresh("k", { copies: 2 }), 2);
  t.is(first.kv.get("k"), undefined);
});

test("what was deleted here goes there, when a read finds it", async (t) => {
  const [first, second] = await startPair(t);
  await first.kv.write([{ key: "k", value: undefined }], { local: true });
  t.is(await first.kv.refresh("k", { copies: 2 }), 2);
  await until(t, "it is gone there", () => second.kv.get("k") === undefined);
});

test("a value that was replaced and then deleted goes as well", async (t) => {
  const [first, second] = await startPair(t);
  await second.kv.write([{ key: "k", value: Buffer.from("2") }], { local: true });
  await second.kv.write([{ key: "k", value: undefined }], { local: true });
  t.is(await first.kv.refresh("k", { copies: 2 }), 2);
  t.is(first.kv.get("k"), undefined);
});
