/**
 * Long works and turns: a page made or merged is a turn of its own, what continues it does not wait for the disk, and no batch grows beyond
 * what can be handed over in a few milliseconds.
 */
import test from "ava";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { Context } from "../../lib/core/context.ts";
import type { Message, RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import { Node } from "../../lib/node.ts";
import { Replica } from "../../lib/replica.ts";
import { at, createClock, createRandom, START_MS, type ManualClock } from "../support/chance.ts";
import { createHeldStorage, quiet, type HeldStorage } from "../support/driven-nodes.ts";
import { json, openTestStore } from "../support/stores.ts";
import { exchanged } from "../support/world.ts";

const NOW = START_MS;

const REQUEST: RepairRequest = { kind: "repair-request", exchange: 1, seen: new Context(), bytesMax: 1000, count: 0, cells: 0 };

interface Bench {
  readonly node: Node;
  readonly storage: HeldStorage;
  readonly sent: Message[];
  /** Turns that were put off. */
  readonly deferred: (() => void)[];
  readonly clock: ManualClock;
}

/** A node whose turns and whose disk go on when the test says so. */
async function createBench(keys: number): Promise<Bench> {
  const storage = createHeldStorage();
  const { store, persist } = await openTestStore("a");
  for (let n = 0; n < keys; n++) store.put(`k${n}`, json("1"), NOW);
  await persist();
  const options = {
    ...REPLICA_DEFAULTS,
    firstStepEntries: REPLICA_DEFAULTS.stepEntriesMax,
    jitterMs: 0,
    peers: ["b"],
    name: "a",
    address: "a",
  };
  const replica = new Replica(store, options, createRandom(1), at(0));
  const sent: Message[] = [];
  const deferred: (() => void)[] = [];
  const transport = { send: (_to: string, message: Message) => void sent.push(message) };
  const clock = createClock();
  const node = new Node({ replica, storage, transport, clock, defer: (work) => void deferred.push(work) });
  return { node, storage, sent, deferred, clock };
}

/** One look of the event loop at what was put off. */
function turn({ deferred }: Bench): void {
  for (const one of deferred.splice(0)) one();
}

test("two peers that ask for a page each are answered in two turns, and who comes between waits for one of them only", async (t) => {
  const bench = await createBench(10);
  await bench.storage.letGo();
  const answered: string[] = [];
  for (const peer of ["b", "c"]) bench.node.receive(peer, REQUEST, () => void answered.push(peer));
  const turns: string[][] = [];
  while (bench.deferred.length > 0) {
    turn(bench);
    await quiet();
    turns.push(answered.splice(0));
  }
  t.deepEqual(turns.filter((names) => names.length > 0), [["b"], ["c"]]); // prettier-ignore
});

test("one look at the sockets brings many that ask for a page: one is answered before the sockets are looked at again, however ripe the turn is", async (t) => {
  const bench = await createBench(10);
  await bench.storage.letGo();
  const answered: string[] = [];
  for (const peer of ["b", "c", "d", "e"]) {
    bench.node.receive(peer, REQUEST, () => void answered.push(peer));
    bench.clock.advance(10);
  }
  await quiet();
  t.true(answered.length <= 1, answered.join());
  while (bench.deferred.length > 0) {
    turn(bench);
    await quiet();
  }
  t.deepEqual(answered, ["b", "c", "d", "e"]);
});

test("a tick, by which scrubs go on, is a turn of its own", async (t) => {
  const bench = await createBench(10);
  await bench.storage.letGo();
  const answered: string[] = [];
  bench.node.tick();
  bench.node.receive("b", REQUEST, () => void answered.push("b"));
  const before = bench.sent.length;
  turn(bench);
  await quiet();
  t.deepEqual(
    [bench.sent.length - before, answered],
    [0, []],
    "what the tick decided is carried out in the next turn, before the page is made",
  );
  turn(bench);
  await quiet();
  t.deepEqual([bench.sent.length - before, answered], [1, []]);
  while (bench.deferred.length > 0) {
    turn(bench);
    await quiet();
  }
  t.deepEqual(answered, ["b"]);
});

test("a large page is made in several turns, between which others are served; after a stop it is not finished", async (t) => {
  const bench = await createBench(5_000);
  await bench.storage.letGo();
  turn(bench);
  await quiet();
  const said: string[] = [];
  const ask = (): void =>
    bench.node.receive("b", { ...REQUEST, bytesMax: 1_000_000 }, (message) =>
      said.push(message === undefined ? "nothing" : `${(message as RepairAnswer).entries.length} entries`),
    );
  ask();
  turn(bench);
  void bench.node.write([{ key: "k0", write: json("2") }], 1).then(() => said.push("written"));
  for (let turns = 0; turns < 20; turns++) {
    turn(bench);
    await quiet();
  }
  t.deepEqual(said, ["written", "5000 entries"]);
  ask();
  turn(bench);
  const stopped = bench.node.stop();
  turn(bench);
  await stopped;
  t.is(said.at(-1), "nothing");
});

/** Until it has something to say. */
function sentBy(bench: Bench): Message {
  while (bench.sent.length === 0 && bench.deferred.length > 0) turn(bench);
  return bench.sent.pop()!;
}

/** The node is empty and has been answered by a peer of so many entries; its repair has begun. */
async function beginRepair(bench: Bench, keys: number): Promise<RepairAnswer> {
  const { store } = await openTestStore("b");
  for (let n = 0; n < keys; n++) store.put(`k${n}`, json("1"), NOW);
  bench.node.tick();
  const ping = sentBy(bench) as Message & { readonly kind: "ping" };
  bench.node.receive("b", { ...ping, kind: "pong", name: "b", address: "b", instance: "bbbbbbbb", summary: store.summary() });
  return exchanged(sentBy(bench) as RepairRequest, store);
}

test("a page goes on being merged while the disk is at work, and what was decided waits for the disk", async (t) => {
  const bench = await createBench(0);
  const answer = await beginRepair(bench, 1500);
  bench.node.receive("b", answer);
  turn(bench);
  t.is(bench.node.replica.store.count, 256);
  t.is(bench.storage.waiting, 0, "to hand it over is a turn of its own");
  turn(bench);
  t.is(bench.storage.waiting, 1, "the first slice is on its way");
  for (let slices = 0; slices < 10; slices++) turn(bench);
  t.true(bench.node.replica.store.count > 1000);
  t.is(bench.storage.batches.length, 1);
  await bench.storage.release();
  for (let turns = 0; turns < 2; turns++) turn(bench);
  t.is(bench.storage.batches.length, 2, "what was merged meanwhile is one batch");
});

test("a batch on its way holds up a repair when the next one is large enough", async (t) => {
  const bench = await createBench(0);
  const answer = await beginRepair(bench, 5000);
  bench.node.receive("b", { ...answer, entries: answer.entries });
  for (let slices = 0; slices < 40; slices++) turn(bench);
  const { count } = bench.node.replica.store;
  t.true(count >= 2048 && count < 2048 + 2 * 256, `${count} entries, two rows each, and the slice on its way`);
  await bench.storage.letGo();
  for (let slices = 0; slices < 40; slices++) {
    turn(bench);
    await quiet();
  }
  t.is(bench.node.replica.store.count, answer.entries.length);
});

test("stop in the middle of a page: what was merged is written, and nothing is merged any more", async (t) => {
  const bench = await createBench(0);
  bench.node.receive("b", await beginRepair(bench, 1500));
  turn(bench);
  const stopped = bench.node.stop();
  await bench.storage.letGo();
  for (let turns = 0; turns < 3; turns++) {
    turn(bench);
    await quiet();
  }
  await stopped;
  t.deepEqual([bench.node.replica.store.count, bench.storage.get("ek0") !== undefined], [256, true]);
});
