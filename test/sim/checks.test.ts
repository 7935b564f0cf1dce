/** Checks that cannot fail are worth nothing: each is fed the history that it is there to find. */
import test from "ava";
import { Context } from "../../lib/core/context.ts";
import { DEFAULT_DIGEST_KEY } from "../../lib/core/digest.ts";
import type { Amendment, Change } from "../../lib/core/change.ts";
import { NO_RECORD } from "../../lib/core/codec.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { Storage } from "../../lib/core/ports.ts";
import { openStore } from "../../lib/core/store-open.ts";
import type { Store } from "../../lib/core/store.ts";
import { Tally } from "../../lib/core/tally.ts";
import { EPOCH_MS, MachineClock } from "../../lib/sim/clock.ts";
import { areEqual } from "../../lib/sim/convergence.ts";
import { Disk } from "../../lib/sim/disk.ts";
import { generatePlan } from "../../lib/sim/generate.ts";
import { Network } from "../../lib/sim/network.ts";
import { Prng } from "../../lib/sim/prng.ts";
import { View } from "../../lib/sim/view.ts";
import { World } from "../../lib/sim/world.ts";

interface Bench {
  readonly world: World;
  readonly disk: Disk;
  readonly storage: Storage;
  readonly store: Store;
  readonly view: View;
  readonly put: (key: string, text: string) => Change;
  /** Ends the turn and makes its batch durable. */
  readonly flush: () => Promise<void>;
}

async function createBench(world = new World(generatePlan(1), false), name = "n1"): Promise<Bench> {
  const disk = new Disk({ nowMs: () => world.events.nowMs, delayMs: () => 0, after: (_, happen) => happen() });
  world.disks.set(name, disk);
  const storage = disk.open({ handedOver: () => view.endTurn() });
  const options = { name, digestKey: DEFAULT_DIGEST_KEY, random: new Prng(name), recentDeletionsMax: 10 };
  const { store } = await openStore(storage, options);
  const clock = new MachineClock(world.events);
  clock.now();
  const view: View = new View(world, name, clock, store);
  const bench: Bench = {
    ...{ world, disk, storage, store, view },
    put(key, text) {
      bench.view.submit([{ key, observed: undefined, records: [] }]);
      return store.put(key, { contentType: "", value: Buffer.from(JSON.stringify(text)), expiresAtMs: 0 }, EPOCH_MS);
    },
    async flush() {
      await storage.write(store.takeChanges());
      store.settle();
    },
  };
  return bench;
}

test("a good history breaks nothing", async (t) => {
  const { world, put, flush, view, disk } = await createBench();
  const { dot } = put("a", "one");
  await flush();
  put("a", "two");
  await flush();
  view.checkSeen();
  t.is(world.failure, undefined);
  t.true(disk.knows(dot));
  t.false(disk.isLive(dot));
  t.is(world.ledger.find(dot)?.fate, "gone");
});

test("a value that goes without a write that had seen it", async (t) => {
  const { world, store, put, flush } = await createBench();
  const { dot } = put("a", "one");
  await flush();
  store.drop(dot);
  await flush();
  t.is(world.failure?.check, "value-lost");
});

test("a value that comes back, and one that was never written", async (t) => {
  const bench = await createBench();
  const other = await createBench(bench.world, "n2");
  const { entry } = bench.put("a", "one");
  await bench.flush();
  other.store.merge(entry, new Context(), EPOCH_MS);
  await other.flush();
  t.is(bench.world.failure, undefined);
  bench.put("a", "two");
  await bench.flush();
  // As if the first value were new here.
  bench.store.context.has = () => false;
  bench.store.merge(entry, new Context(), EPOCH_MS);
  await bench.flush();
  t.is(bench.world.failure?.check, "value-returned");

  const stranger = await createBench();
  stranger.store.merge(entry, new Context(), EPOCH_MS);
  await stranger.flush();
  t.is(stranger.world.failure?.check, "value-from-nowhere");
});

test("a value that the disk has lost may come back in the very turn that finds the loss", async (t) => {
  const { world, store, put, flush } = await createBench();
  const { dot, entry } = put("a", "one");
  await flush();
  store.amend(losing(dot));
  store.merge(entry, new Context(), EPOCH_MS);
  await flush();
  t.is(world.failure, undefined);
  t.true(store.context.has(dot));
});

test("nodes are not equal before what they hold is durable", async (t) => {
  const [one, other] = [await createBench(), await createBench()];
  t.true(areEqual([one, other]));
  const { entry, dot } = one.put("a", "one");
  await one.flush();
  other.store.merge(entry, new Context(), EPOCH_MS);
  t.is(other.store.summary().root, one.store.summary().root);
  t.false(areEqual([one, other]), "a turn that gathers has no batch yet");
  await other.flush();
  t.true(areEqual([one, other]));
  for (const { store } of [one, other]) store.joinContext(Context.of([{ ...dot, counter: 2 }]));
  await one.flush();
  t.false(areEqual([one, other]), "nor has a context that was joined a row");
});

test("a value that counts as seen and is not there", async (t) => {
  const bench = await createBench();
  const other = await createBench(bench.world, "n2");
  const { dot } = bench.put("a", "one");
  await bench.flush();
  other.store.joinContext(Context.of([dot]));
  await other.flush();
  other.view.checkSeen();
  t.is(bench.world.failure?.check, "seen-but-missing");
});

test("a value that arrives before it is durable where it was written", async (t) => {
  const bench = await createBench();
  const other = await createBench(bench.world, "n2");
  const { entry } = bench.put("a", "one");
  other.store.merge(entry, new Context(), EPOCH_MS);
  await other.flush();
  t.is(bench.world.failure?.check, "left-before-durable");
});

test("an operation that no client asked for, and a sweep before its time", async (t) => {
  const bench = await createBench();
  bench.store.put("a", { contentType: "", value: Buffer.from("1"), expiresAtMs: 0 }, EPOCH_MS);
  t.is(bench.world.failure?.check, "order-of-operations");

  const early = await createBench();
  early.view.submit([{ key: "a", observed: undefined, records: [] }]);
  early.store.put("a", { contentType: "", value: Buffer.from("1"), expiresAtMs: EPOCH_MS + 5_000 }, EPOCH_MS);
  early.store.sweep(EPOCH_MS + 6_000, 10, EPOCH_MS);
  t.is(early.world.failure?.check, "swept-early");
});

test("what only a lost disk knew is uncertain, and nothing else is", async (t) => {
  const bench = await createBench();
  const other = await createBench(bench.world, "n2");
  const shared = bench.put("a", "one");
  await bench.flush();
  other.store.merge(shared.entry, new Context(), EPOCH_MS);
  await other.flush();
  const lonely = bench.put("b", "two");
  const deletion = bench.put("a", "three");
  await bench.flush();
  const fateOf = ({ dot }: Change) => [bench.world.ledger.find(dot)?.fate, bench.world.ledger.find(dot)?.uncertain];
  t.deepEqual(
    [fateOf(shared), fateOf(lonely)],
    [
      ["gone", false],
      ["live", false],
    ],
  );
  bench.disk.empty();
  bench.world.recomputeFates();
  t.deepEqual(
    [fateOf(shared), fateOf(lonely), fateOf(deletion)],
    [
      ["live", true],
      ["unknown", true],
      ["unknown", true],
    ],
  );
});

test("a value that the disk loses with a batch may leave at that moment; not later, and never as gone", async (t) => {
  for (const { gone, waits, expected } of [
    { gone: false, waits: 0, expected: undefined },
    { gone: false, waits: 1, expected: "sent-before-durable" },
    { gone: true, waits: 0, expected: "sent-before-durable" },
  ]) {
    const { world, disk, store, put, flush } = await createBench();
    const network = new Network(world);
    network.attach("n1", { disk, deliver: () => false, unreachable: () => undefined });
    const { dot, entry } = put("a", "one");
    await flush();
    store.amend(losing(dot));
    await flush();
    t.false(disk.knows(dot));
    world.events.next(world.events.nowMs + waits);
    const entries = [gone ? { key: "a", record: NO_RECORD, gone: [dot] } : entry];
    network.send("n1", "n2", { kind: "push", exchange: 1, context: Context.of([]), entries });
    t.is(world.failure?.check, expected);
  }
});

test("a lost key may be said to be missing once it is known to be deleted, whatever is forgotten afterwards", async (t) => {
  const { disk, store, put, flush } = await createBench();
  const { dot } = put("a", "one");
  await flush();
  disk.damage.hit("ea", disk.get("ea")!);
  put("b", "two");
  await flush();
  const isLost = () => disk.damage.lostOf("a").length > 0;
  t.true(isLost(), "nobody has looked yet, and the context speaks for it");
  store.amend(losing(dot));
  await flush();
  t.true(isLost(), "it was set apart");
  store.joinContext(Context.of([dot]));
  await flush();
  t.false(isLost(), "it was deleted");
  store.amend(losing(dot));
  await flush();
  t.false(isLost(), "and that was forgotten");
});

/** The disk has lost the only value of the key "a". */
function losing(dot: Dot): Amendment {
  return { rows: [{ key: "ea", value: undefined }], lost: [{ dot, key: "a" }], marks: new Map(), tally: new Tally(DEFAULT_DIGEST_KEY) };
}

test("a disk: atomic batches, crashes, failures and copies", async (t) => {
  const queue: (() => void)[] = [];
  const disk = new Disk({ nowMs: () => 0, delayMs: () => 1, after: (_, happen) => queue.push(happen) });
  const value = Buffer.from("x");
  const write = (storage: Storage, key: string) =>
    storage.write([{ key, value }]).then(
      () => "durable",
      (error: Error) => error.name,
    );
  const first = disk.open({ handedOver: () => undefined });
  const written = write(first, "ea");
  t.is(first.get("ea"), undefined, "not shown before it is durable");
  queue.shift()!();
  t.is(await written, "durable");
  disk.takeCopy();
  void write(first, "eb");
  t.true(disk.crash(false));
  void write(disk.open({ handedOver: () => undefined }), "ec");
  t.true(disk.crash(true));
  t.deepEqual([...disk.rows().keys()], ["ea", "ec"]);
  const second = disk.open({ handedOver: () => undefined });
  disk.state = "full";
  const refused = write(second, "ed");
  queue.splice(0).forEach((happen) => happen());
  t.is(await refused, "ConcordError");
  disk.state = "well";
  t.is(await write(second, "ee"), "ConcordError", "once refused, always refused");
  t.deepEqual(second.range("e", "f", 1), { rows: [{ key: "ea", value }], more: true });
  disk.restoreCopy();
  t.deepEqual([...disk.rows().keys()], ["ea"]);
});
