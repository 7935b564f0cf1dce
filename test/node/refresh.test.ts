/** Reads of several nodes: what they hold is merged, what was stale is repaired on both sides, and what cannot be had is said. */
import test from "ava";
import type { KvOperation, KvValue } from "../../lib/core/kv.ts";
import { createCluster, quiet } from "../support/driven-nodes.ts";

const put = (key: string, text: string, more: Partial<KvOperation> = {}): KvOperation => ({ key, value: Buffer.from(text), ...more });
const textOf = (value: KvValue | undefined): string | undefined => (value === undefined ? undefined : Buffer.from(value.value).toString());
const unpushed = { local: true } as const;

test("a read of two nodes finds what only the other holds, and a deletion that only the other knows", async (t) => {
  const { nodes } = await createCluster(["a", "b"]);
  const [a, b] = nodes.map(({ kv }) => kv) as [(typeof nodes)[0]["kv"], (typeof nodes)[0]["kv"]];
  await a.write([put("shared", "1")]);
  await quiet();
  await b.write([put("k", "1")], unpushed);
  await b.write([{ key: "shared", value: undefined }], unpushed);
  t.deepEqual([textOf(a.get("k")), textOf(a.get("shared"))], [undefined, "1"]);
  t.is(await a.refresh("k", { copies: 2 }), 2);
  t.is(await a.refresh("shared", { copies: 2 }), 2);
  t.deepEqual([textOf(a.get("k")), textOf(a.get("shared"))], ["1", undefined]);
  t.is(await a.refresh("k", { copies: 1 }), 1);
});

test("a read pushes to the other what that turns out to lack, and merges what both wrote apart", async (t) => {
  const { nodes } = await createCluster(["a", "b"]);
  const [a, b] = nodes.map(({ kv }) => kv) as [(typeof nodes)[0]["kv"], (typeof nodes)[0]["kv"]];
  await a.write([put("k", "1")]);
  await quiet();
  await a.write([put("k", "2")], unpushed);
  await a.write([put("both", "1")], unpushed);
  await b.write([put("both", "2")], unpushed);
  for (const key of ["k", "both"]) await a.refresh(key, { copies: 2 });
  await quiet();
  t.is(textOf(b.get("k")), "2");
  t.deepEqual([a.get("both")!.siblings, b.get("both")!.siblings], [2, 2]);
  t.is(a.hash(), b.hash());
});

test("more nodes than are known are refused, and those that are down are not waited for", async (t) => {
  const { nodes, network, tick } = await createCluster(["a", "b", "c"]);
  const { kv } = nodes[0]!;
  await t.throwsAsync(kv.refresh("k", { copies: 4 }), { code: "invalid", message: /knows of 3/ });
  t.is(await kv.refresh("k", { copies: 3 }), 3);
  network.detach("b");
  t.is(await kv.refresh("k", { copies: 2 }), 2, "when the first cannot be reached the next is asked");
  await t.throwsAsync(kv.refresh("k", { copies: 3 }), { code: "too-few-copies", message: /2 of 3/ });
  network.detach("c");
  await tick();
  await t.throwsAsync(kv.refresh("k", { copies: 2 }), { code: "too-few-copies" });
});

test("a peer that says nothing: the next is asked, and at last the client is told", async (t) => {
  const { nodes, network, tick } = await createCluster(["a", "b", "c"]);
  const { kv, node } = nodes[0]!;
  const deaf = { receive: () => undefined, unreachable: () => undefined };
  network.attach("b", deaf);
  network.attach("c", deaf);
  const reading = kv.refresh("k", { copies: 2 });
  for (let i = 0; i < 6; i++) await tick();
  await t.throwsAsync(reading, { code: "too-few-copies", message: /1 of 2/ });
  t.is(node.replica.load.waitingReads, 0);
});

test("a token from another node: the answer has seen it, or is refused", async (t) => {
  const { nodes, network, tick } = await createCluster(["a", "b", "c"]);
  const [a, b, c] = nodes.map(({ kv }) => kv) as [(typeof nodes)[0]["kv"], (typeof nodes)[0]["kv"], (typeof nodes)[0]["kv"]];
  const { tokens } = await b.write([put("k", "1")], unpushed);
  await a.refresh("k", { copies: 1, token: tokens[0] });
  t.is(textOf(a.get("k")), "1");
  const later = await b.write([put("k", "2")], unpushed);
  await b.write([put("k", "3")], unpushed);
  await a.refresh("k", { copies: 1, token: later.tokens[0] });
  t.is(textOf(a.get("k")), "3", "what replaced it has seen it");
  const gone = await b.write([{ key: "k", value: undefined }], unpushed);
  await a.refresh("k", { copies: 1, token: gone.tokens[0] });
  t.is(a.get("k"), undefined);
  const lonely = await b.write([put("k", "4")], unpushed);
  network.detach("b");
  await t.throwsAsync(c.refresh("k", { copies: 1, token: lonely.tokens[0] }), { code: "behind" });
  await tick();
  await t.throwsAsync(c.refresh("k", { copies: 1, token: lonely.tokens[0] }), { code: "behind" });
  await t.throwsAsync(c.refresh("other", { copies: 1, token: lonely.tokens[0] }), { code: "invalid" });
});
