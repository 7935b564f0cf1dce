/** A damaged record under a node that runs: what watchers hear, what counters add up to, and what is asked about a key that waits. */
import test, { type ExecutionContext } from "ava";
import { after, entryAt, INDEX, SEVERAL, severalAt } from "../../lib/core/layout.ts";
import { AUDIT_AT_OPEN_MAX } from "../../lib/core/store-open.ts";
import { createMemoryStorage, type MemoryStorage } from "../../lib/storage/memory.ts";
import { createMemoryNetwork } from "../../lib/transport/memory.ts";
import { createClock } from "../support/chance.ts";
import { createTestNode, quiet, type TestNode } from "../support/driven-nodes.ts";
import { damage, rowsOf } from "../support/stores.ts";

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

interface Pair {
  readonly a: TestNode;
  readonly b: TestNode;
  readonly storage: MemoryStorage;
  readonly part: () => void;
  readonly meet: () => Promise<void>;
}

/** Two nodes that hold what `write` has written to the first. */
async function createPair(t: ExecutionContext, write: (node: TestNode) => Promise<unknown>): Promise<Pair> {
  const [storage, clock, network] = [createMemoryStorage(), createClock(), createMemoryNetwork()];
  const common = { peers: ["a", "b"], clock, network, merge: ["n:=counter"] };
  const a = await createTestNode("a", { ...common, storage });
  const b = await createTestNode("b", common);
  const meet = async (): Promise<void> => {
    network.attach("a", a.node);
    network.attach("b", b.node);
    for (let ticks = 0; ticks < 20; ticks++) {
      clock.advance(1_000);
      for (const { node } of [a, b]) node.tick();
      for (let i = 0; i < 5; i++) await quiet();
    }
    t.is(a.kv.hash(), b.kv.hash());
  };
  const part = (): void => {
    for (const name of ["a", "b"]) network.detach(name);
  };
  await write(a);
  await meet();
  return { a, b, storage, part, meet };
}

async function scrub({ node, kv }: TestNode): Promise<void> {
  const number = kv.scrub();
  for (let slices = 0; kv.status().scrub.last?.number !== number && slices < 1_000; slices++) {
    node.tick("scrub-slice");
    await quiet();
  }
}

test("a lost key is no deletion to watchers; they hear of it when it is here again, or when it turns out to be deleted", async (t) => {
  const keys = ["kept", "deleted there", "deleted here"];
  const { a, b, storage, part, meet } = await createPair(t, ({ kv }) => kv.write(keys.map((key) => ({ key, value: json(key) }))));
  const events: string[] = [];
  a.kv.watch("", ({ kind, key }) => events.push(`${kind} ${key}`));
  part();
  for (const key of keys) damage(storage, entryAt(key), 60);
  await scrub(a);
  t.deepEqual([a.kv.status().scrub.waiting, events], [3, []]);
  await b.kv.write([{ key: "deleted there", value: undefined }]);
  await a.kv.write([{ key: "deleted here", value: undefined }]);
  await meet();
  t.deepEqual(events.sort(), ["delete deleted here", "delete deleted there", "put kept"]);
  t.is(a.kv.status().scrub.waiting, 0);
  for (const { kv } of [a, b]) {
    t.deepEqual(
      keys.map((key) => kv.get(key) !== undefined),
      [true, false, false],
    );
  }
});

test("what a node adds after a loss takes no place of what it had added before", async (t) => {
  const { a, b, storage, part, meet } = await createPair(t, ({ kv }) => kv.write([{ key: "n:1", value: undefined, increment: 5 }]));
  part();
  damage(storage, entryAt("n:1"), 60);
  await scrub(a);
  await t.throwsAsync(a.kv.write([{ key: "n:1", value: undefined, increment: 2 }]), { code: "damaged" });
  await t.throwsAsync(a.kv.write([{ key: "n:1", value: undefined, touch: true, ttlMs: 1_000 }]), { code: "damaged" });
  await a.kv.write([{ key: "n:1", value: json(3) }]);
  await a.kv.write([{ key: "n:1", value: undefined, increment: 2 }]);
  await b.kv.write([{ key: "n:1", value: undefined, increment: 10 }]);
  await meet();
  for (const { kv } of [a, b]) t.is(Buffer.from(kv.get("n:1")!.value).toString(), "20");
});

test("a key that waits: nobody is told why it holds nothing, no condition is judged, and no conflict is listed for it", async (t) => {
  const { a, storage, part, meet } = await createPair(t, async ({ kv }) => {
    for (const text of ["1", "2"]) await kv.write([{ key: "k", value: json(text), beside: true }]);
  });
  part();
  damage(storage, entryAt("k"), 60);
  t.throws(() => a.kv.conflicts({ limit: 10 }), { code: "damaged" });
  const asking = { code: "damaged", message: /being set apart: try again in a moment/ };
  await Promise.all([t.throwsAsync(a.kv.holders("k"), asking), t.throwsAsync(a.kv.refresh("k", { copies: 2 }), asking)]);
  await scrub(a);
  t.throws(() => a.kv.why("k"), { code: "damaged" });
  t.deepEqual(a.kv.conflicts({ limit: 10 }).entries, []);
  await t.throwsAsync(a.kv.write([{ key: "k", value: json("3"), condition: { kind: "absent" } }]), { code: "damaged" });
  await meet();
  t.is(a.kv.conflicts({ limit: 10 }).entries[0]?.value.siblings, 2);
  damage(storage, severalAt("k"), 3);
  t.throws(() => a.kv.conflicts({ limit: 10 }), { code: "damaged" });
  await scrub(a);
  t.is(a.kv.conflicts({ limit: 10 }).entries[0]?.value.siblings, 2);
});

test("a large folder from before the list of keys with several siblings is put right while it serves", async (t) => {
  const storage = createMemoryStorage();
  const first = await createTestNode("a", { storage });
  const operations = Array.from({ length: AUDIT_AT_OPEN_MAX }, (_, i) => ({ key: `key${i}`, value: json(i) }));
  for (let from = 0; from < operations.length; from += 5_000) await first.kv.write(operations.slice(from, from + 5_000));
  for (const i of [7, 8_000, 19_999]) await first.kv.write([{ key: `key${i}`, value: json(-i), beside: true }]);
  await first.node.stop();
  await storage.write([...rowsOf(storage, SEVERAL)].map(([key]) => ({ key, value: undefined })));
  const again = await createTestNode("a", { storage });
  t.not(again.kv.status().scrub.running, undefined, "it is looked over after its start");
  for (let slices = 0; again.kv.status().scrub.last === undefined && slices < 1_000; slices++) {
    again.node.tick("scrub-slice");
    await quiet();
  }
  t.like(again.kv.status(), { stopped: undefined, scrub: { waiting: 0, last: { reason: "open", damaged: 0, remade: 3, lost: 0 } } });
  t.deepEqual(
    again.kv.conflicts({ limit: 10 }).entries.map(({ key }) => key),
    ["key19999", "key7", "key8000"],
  );
  t.deepEqual(again.failures, []);
});

test("a large store whose index is damaged builds its sketch when a scrub has put that right, and serves meanwhile", async (t) => {
  const storage = createMemoryStorage();
  const first = await createTestNode("a", { storage });
  const operations = Array.from({ length: AUDIT_AT_OPEN_MAX + 1 }, (_, i) => ({ key: `key${i}`, value: json(i) }));
  for (let from = 0; from < operations.length; from += 5_000) await first.kv.write(operations.slice(from, from + 5_000));
  await first.node.stop();
  damage(storage, storage.range(INDEX, after(INDEX), 20).rows[10]!.key);
  const again = await createTestNode("a", { storage });
  again.node.tick();
  await quiet();
  t.false(again.kv.status().sketchReady, "the damaged row ends the building, and nobody goes round in circles");
  await again.kv.write([{ key: "meanwhile", value: json("1") }]);
  for (let slices = 0; again.kv.status().scrub.last === undefined && slices < 1_000; slices++) {
    again.node.tick("scrub-slice");
    await quiet();
  }
  t.like(again.kv.status().scrub, { waiting: 0, last: { damaged: 1, remade: 1, lost: 0 } });
  again.node.tick();
  await quiet();
  t.true(again.kv.status().sketchReady);
  t.true(again.node.replica.isSketchSound);
  t.deepEqual(again.failures, []);
});
