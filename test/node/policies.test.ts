/** Merge policies through the Kv of nodes that write without knowledge of each other and meet: what is stored, shown, refused and listed. */
import test from "ava";
import type { KvOperation, KvValue } from "../../lib/core/kv.ts";
import { ENTRY_BYTES_MAX } from "../../lib/core/room.ts";
import { createClock } from "../support/chance.ts";
import { createTestNode, quiet, type TestNode, type TestNodeOptions } from "../support/driven-nodes.ts";

const put = (key: string, value: unknown, more: Partial<KvOperation> = {}): KvOperation => ({
  key,
  value: Buffer.from(JSON.stringify(value)),
  ...more,
});
const add = (key: string, by: number, more: Partial<KvOperation> = {}): KvOperation => ({ key, value: undefined, increment: by, ...more });
const jsonOf = (value: KvValue | undefined): unknown => (value === undefined ? undefined : JSON.parse(Buffer.from(value.value).toString()));
const shown = (node: TestNode, key: string): unknown => jsonOf(node.kv.get(key));

const MERGE = ["cart:=union", "config:=fields", "n:=counter", "all:=siblings", "low:=min", "high:=max"];

/** Two nodes of which neither hears of the other until `meet`. */
async function pair(options: TestNodeOptions = {}) {
  const clock = options.clock ?? createClock();
  const [a, b] = [
    await createTestNode("a", { merge: MERGE, ...options, clock }),
    await createTestNode("b", { merge: MERGE, ...options, clock }),
  ];
  const tell = (from: TestNode, to: TestNode, keys: readonly string[]): void => {
    const { store } = from.node.replica;
    const entries = keys.map((key) => store.wireEntry(key, []));
    to.node.receive(from.node.replica.store.options.name, { kind: "push", exchange: 1, context: store.context.clone(), entries });
  };
  const meet = async (...keys: string[]): Promise<void> => {
    tell(a, b, keys);
    tell(b, a, keys);
    await quiet();
  };
  return { a, b, meet, clock };
}

test("increments of all sides add up, also onto a number that was there before", async (t) => {
  const { a, b, meet } = await pair();
  await a.kv.write([put("m", 10)]);
  await meet("m");
  await Promise.all([a.kv.write([add("m", 5)]), b.kv.write([add("m", 7)]), b.kv.write([add("m", 1)])]);
  await meet("m");
  t.deepEqual([shown(a, "m"), shown(b, "m")], [23, 23]);
  t.is(a.kv.get("m")!.rule, "counter");
  await a.kv.write([put("m", 3)]);
  await b.kv.write([add("m", 1)]);
  await meet("m");
  t.is(shown(a, "m"), 4, "a number written to a counter is a difference, also without a policy");
  t.is((await a.kv.write([add("new", -2)])).changed[0], true);
  t.is(shown(a, "new"), -2);
});

test("a touch of a number at two nodes does not count it twice", async (t) => {
  const { a, b, meet } = await pair();
  // As it lies there when the policy comes later than the value.
  const plain = await createTestNode("c");
  await plain.kv.write([put("n:1", 10)]);
  for (const node of [a, b]) {
    const { store } = plain.node.replica;
    node.node.receive("c", { kind: "push", exchange: 1, context: store.context.clone(), entries: [store.wireEntry("n:1", [])] });
  }
  await quiet();
  const touch = { key: "n:1", value: undefined, touch: true, ttlMs: 60_000 };
  await Promise.all([a.kv.write([touch]), b.kv.write([touch])]);
  await meet("n:1");
  t.deepEqual([shown(a, "n:1"), shown(b, "n:1")], [10, 10]);
  await a.kv.write([add("n:1", 1)]);
  t.is(shown(a, "n:1"), 11);
});

test("a union keeps what anyone added, also when the write's token had not seen it, and a touch keeps it all", async (t) => {
  const { a, b, meet } = await pair();
  await a.kv.write([put("cart:1", ["x"])]);
  const { token } = a.kv.get("cart:1")!;
  await a.kv.write([put("cart:1", ["x", "y"], { token })]);
  await a.kv.write([put("cart:1", ["x", "z"], { token })]);
  t.deepEqual((shown(a, "cart:1") as string[]).sort(), ["x", "y", "z"]);
  t.is(a.kv.get("cart:1")!.siblings, 1, "a write takes up all that its node holds");
  await meet("cart:1");
  await Promise.all([a.kv.write([put("cart:1", ["x", "y", "z", "a"])]), b.kv.write([put("cart:1", ["y", "b"])])]);
  await meet("cart:1");
  const touch = { key: "cart:1", value: undefined, touch: true, ttlMs: 60_000 };
  await Promise.all([a.kv.write([touch]), b.kv.write([touch])]);
  await meet("cart:1");
  for (const node of [a, b]) t.deepEqual((shown(node, "cart:1") as string[]).sort(), ["a", "b", "y"]);
  t.deepEqual(
    a.kv.siblings("cart:1").map((value) => value.contentType),
    ["", ""],
    "no reader sees what is stored",
  );
});

test("fields, max, min and siblings show what they say; listings and watchers as well", async (t) => {
  const { a, b, meet } = await pair();
  const seen: unknown[] = [];
  a.kv.watch("", ({ value }) => seen.push(jsonOf(value)));
  await a.kv.write([put("config:", { size: 1 }), put("high:", 5), put("low:", 5), put("all:", 1)]);
  await b.kv.write([put("config:", { colour: 2 }), put("high:", 9), put("low:", 9), put("all:", 2)]);
  await meet("config:", "high:", "low:", "all:");
  for (const node of [a, b]) {
    t.deepEqual([shown(node, "config:"), shown(node, "high:"), shown(node, "low:")], [{ size: 1, colour: 2 }, 9, 5]);
    t.is(node.kv.get("all:")!.rule, "siblings");
    t.deepEqual(
      node.kv
        .list({ limit: 10 })
        .entries.map(({ value }) => jsonOf(value))
        .slice(1),
      [{ size: 1, colour: 2 }, 9, 5],
    );
    t.deepEqual(
      node.kv.conflicts({ limit: 10 }).entries.map(({ key }) => key),
      ["all:", "config:", "high:", "low:"],
    );
  }
  t.true(seen.some((value) => JSON.stringify(value) === '{"size":1,"colour":2}'));
});

test("equal values count as one, and are no conflict; a write that has seen them ends one", async (t) => {
  const { a, b, meet } = await pair();
  await a.kv.write([put("same", { x: 1, y: 2 }), put("k", 1)]);
  await b.kv.write([{ key: "same", value: Buffer.from('{"y":2, "x":1}') }, put("k", 2)]);
  await meet("same", "k");
  t.is(a.kv.get("same")!.siblings, 1);
  t.is(a.kv.siblings("same").length, 1);
  t.is(a.kv.get("k")!.siblings, 2);
  t.deepEqual(
    a.kv.conflicts({ limit: 10 }).entries.map(({ key }) => key),
    ["k"],
  );
  t.deepEqual(a.kv.conflicts({ limit: 1 }).entries.length, 1);
  t.is(a.kv.conflicts({ limit: 1 }).cursor, "k");
  t.deepEqual(a.kv.conflicts({ limit: 1, after: "k" }).entries, []);
  t.deepEqual(a.kv.conflicts({ limit: 9, prefix: "x" }).entries, []);
  await a.kv.write([put("k", 3)]);
  t.deepEqual(a.kv.conflicts({ limit: 10 }).entries, []);
});

test("what has expired is not taken up", async (t) => {
  const { a, clock } = await pair();
  await a.kv.write([put("cart:", ["old"], { ttlMs: 1_000 }), add("n:", 5, { ttlMs: 1_000 })]);
  clock.advance(1_001);
  await a.kv.write([put("cart:", ["new"]), add("n:", 1)]);
  t.deepEqual([shown(a, "cart:"), shown(a, "n:")], [["new"], 1]);
});

test("what a policy cannot take is refused before anything changes, and says why", async (t) => {
  const { a } = await pair();
  await a.kv.write([put("text", "x"), put("half", 0.5)]);
  const before = a.kv.hash();
  const ok = put("ok", 1);
  const large = Buffer.from(JSON.stringify(["x".repeat(ENTRY_BYTES_MAX - 10)]));
  const cases: [operations: KvOperation[], why: RegExp][] = [
    [[ok, put("cart:", 1)], /is union, so its value must be a JSON array/],
    [[ok, put("config:", [1])], /must be a JSON object/],
    [[ok, put("n:", 1.5)], /must be a whole number/],
    [[ok, put("high:", "9")], /must be a number/],
    [[ok, { key: "n:", value: Buffer.from("5"), contentType: "text/plain" }], /must be a whole number/],
    [[ok, { key: "x", value: Buffer.from("{}"), contentType: "application/vnd.concord.union" }], /the store's own/],
    [[ok, add("text", 1)], /something else than a whole number/],
    [[ok, add("half", 1)], /something else than a whole number/],
    [[ok, add("new", 0.5)], /whole number/],
    [[ok, add("twice", 1), add("twice", 1)], /only this one operation/],
    [[ok, put("cart:", ["x".repeat(100)]), { key: "cart:", value: large }], /together/],
  ];
  for (const [operations, message] of cases) {
    await t.throwsAsync(a.kv.write(operations), { code: /together/.test(message.source) ? "too-large" : "invalid", message });
    t.is(a.kv.hash(), before, message.source);
  }
  await a.kv.write([add("big", Number.MAX_SAFE_INTEGER)]);
  await t.throwsAsync(a.kv.write([add("big", 1)]), { code: "invalid", message: /2\^53/ });
});

test("the tag and the token of a receipt are those of what the key shows then", async (t) => {
  const { a } = await pair();
  for (const operation of [put("cart:", [1]), put("cart:", [2]), add("n:", 1), add("n:", 2)]) {
    const receipt = await a.kv.write([operation]);
    const value = a.kv.get(operation.key)!;
    t.deepEqual([receipt.tags, receipt.tokens], [[value.tag], [value.token]]);
  }
});

test("values of two kinds do not merge, and what is stored is never shown", async (t) => {
  const { a, b, meet } = await pair();
  const plain = await createTestNode("z");
  await plain.kv.write([put("cart:", "text")]);
  await a.kv.write([put("cart:", [1])]);
  const { store } = plain.node.replica;
  a.node.receive("z", { kind: "push", exchange: 1, context: store.context.clone(), entries: [store.wireEntry("cart:", [])] });
  await quiet();
  await meet("cart:");
  for (const node of [a, b]) {
    const values = [node.kv.get("cart:")!, ...node.kv.siblings("cart:")];
    t.true(values.every(({ contentType }) => contentType === ""));
    t.true(["[1]", '"text"'].includes(Buffer.from(values[0]!.value).toString()));
  }
  const token = a.kv.get("cart:")!.token;
  await a.kv.write([put("cart:", [2], { token })]);
  t.deepEqual([shown(a, "cart:"), a.kv.get("cart:")!.siblings], [[2], 1]);
});
