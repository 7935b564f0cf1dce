/** The sketch of a store is that of its live dots, however they came; and what a repair with it costs and finds. */
import assert from "node:assert/strict";
import test from "ava";
import { encodeFrame } from "../../lib/core/frame.ts";
import { indexAt, META } from "../../lib/core/layout.ts";
import type { Steps } from "../../lib/core/frame.ts";
import type { RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { answerRequest } from "../../lib/repair/answer.ts";
import type { PeerHint } from "../../lib/repair/ladder.ts";
import { Pull, type PullOptions, type PullResult } from "../../lib/repair/pull.ts";
import { sketchAnswerSteps } from "../../lib/repair/sketch-answer.ts";
import { Sketches } from "../../lib/repair/sketches.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore, stateOf, textsOf, type TestStore } from "../support/stores.ts";
import { PULL_OPTIONS, pullToEnd, read } from "../support/world.ts";

const NOW = START_MS;
const LARGE = 20_500;

function same(one: Sketches, other: Sketches, cells: number): boolean {
  return Buffer.from(one.take(cells).encode()).equals(other.take(cells).encode());
}

function fill(store: Store, prefix: string, keys: number): void {
  for (let n = 0; n < keys; n++) store.put(`${prefix}${n}`, json(`${n}`), NOW);
}

/** Two stores that hold the same and remember no deletion. */
async function createPair(keys: number): Promise<[a: Store, b: Store]> {
  const [a, b] = [(await openTestStore("a", { recentDeletionsMax: 0 })).store, (await openTestStore("b", { recentDeletionsMax: 0 })).store];
  fill(a, "k", keys);
  pullToEnd(b, a);
  return [a, b];
}

interface Run {
  readonly result: PullResult;
  readonly counts: Pull["counts"];
  /** Bytes of all frames without the entries' own. */
  readonly overhead: number;
}

interface RunOptions {
  readonly options?: PullOptions;
  readonly patient?: boolean;
  readonly hint?: PeerHint;
  /** Happens before each answer is given, and between the steps (-1) in which a sketch is answered. */
  readonly meanwhile?: (step: number) => void;
  /** Rows of such a step. */
  readonly stepMax?: number;
  readonly change?: (answer: RepairAnswer) => RepairAnswer;
}

function repair(
  by: Store,
  from: Store,
  { options = PULL_OPTIONS, patient = false, hint, meanwhile, change, stepMax = 100 }: RunOptions = {},
): Run {
  const sketches = new Sketches(by);
  const theirs = new Sketches(from);
  const pull = new Pull(by, "delta", options, patient, sketches, { count: from.count, ...hint });
  const answer = (request: RepairRequest): RepairAnswer => {
    const said =
      request.sketch === undefined
        ? answerRequest(from, request, theirs, { ...options, answerStepMax: 100 })
        : atOnce(sketchAnswerSteps(from, theirs, request, request.sketch, stepMax), () => meanwhile?.(-1));
    return read<RepairAnswer>(encodeFrame(change?.(said) ?? said));
  };
  for (let step = 0; ; step++) {
    meanwhile?.(step);
    const result = pull.isBusy ? pull.advance([]) : pull.onAnswer(answer(read<RepairRequest>(encodeFrame(pull.request(1)))), NOW, []);
    assert.ok(step < 10_000, "no end");
    if (result === undefined) continue;
    pull.stop();
    const { bytesIn, bytesOut, entryBytesIn } = pull.counts;
    return { result, counts: pull.counts, overhead: bytesIn + bytesOut - entryBytesIn };
  }
}

function atOnce(steps: Steps<RepairAnswer>, between?: () => void): RepairAnswer {
  for (;;) {
    const { value } = steps.next();
    if (value !== undefined) return value;
    between?.();
  }
}

/** The same store opened again after its own record was lost: its context is that of its entries. */
async function rebuilt(side: TestStore): Promise<Store> {
  await side.persist();
  await side.storage.write([{ key: META, value: undefined }]);
  const again = await side.reopen();
  assert.ok(again.rebuilt !== undefined);
  return again.store;
}

test("it follows every write, rewrite and deletion, and is the same when it is built later", async (t) => {
  const { store } = await openTestStore("a");
  const early = new Sketches(store);
  fill(store, "k", 200);
  fill(store, "k", 100);
  for (let n = 50; n < 150; n++) store.remove(`k${n}`, undefined, NOW);
  t.true(same(early, new Sketches(store), 96) && same(early, new Sketches(store), 5000));
});

test("a large store is walked in slices, and writes behind and ahead of the walk are in it once", async (t) => {
  const { store } = await openTestStore("a");
  fill(store, "k", LARGE);
  const sketches = new Sketches(store);
  t.false(sketches.isReady);
  for (let step = 0; !sketches.isReady; step++) {
    sketches.step();
    store.put("k0", json("new"), NOW);
    store.put(`k${LARGE - 1 - step}`, json("new"), NOW);
    store.remove(`k${10 + step}`, undefined, NOW);
  }
  const again = new Sketches(store);
  while (!again.isReady) again.step();
  t.true(same(sketches, again, 4096) && same(sketches, again, 30_000));
});

// A context that does not know of some deletions.

for (const { deleted, requests, bytes } of [
  { deleted: 1, requests: 1, bytes: 1500 },
  { deleted: 48, requests: 1, bytes: 1500 },
  { deleted: 1000, requests: 2, bytes: 18_000 },
]) {
  test(`${deleted} forgotten deletions of 3,000 keys: ${requests} requests and under ${bytes} bytes`, async (t) => {
    const [a, b] = await createPair(3000);
    for (let n = 0; n < deleted; n++) b.remove(`k${3 * n}`, undefined, NOW);
    const { result, counts, overhead } = repair(a, b);
    t.is(result, "joined");
    t.like(counts, { kind: "sketch", dropped: deleted, differences: deleted, requests, entriesIn: 0 });
    t.true(overhead <= bytes, `${overhead} bytes for ${deleted} differences`);
    t.deepEqual(stateOf(a), stateOf(b));
  });
}

test("with writes on both sides besides, the sketch shows what only deletions explain, and the writes stay", async (t) => {
  const [a, b] = await createPair(3000);
  for (let n = 0; n < 30; n++) b.remove(`k${3 * n}`, undefined, NOW);
  b.put("k1", json('"b"'), NOW);
  a.put("k2", json('"a"'), NOW);
  const { result, counts } = repair(a, b);
  t.is(result, "joined");
  // Both values of k1, that of k2 and the one that it replaced, and 30 deletions.
  t.like(counts, { kind: "sketch", dropped: 30, differences: 34, requests: 1, entriesIn: 1, peerLacks: 1 });
  t.deepEqual([textsOf(a, "k0"), textsOf(a, "k1"), textsOf(a, "k2")], [[], ['"b"'], ['"a"']]);
  t.is(repair(b, a).result, "joined");
  t.deepEqual(stateOf(a), stateOf(b));
});

test("a peer that remembers its deletions sends no sketch, and neither does one of which nothing was missed", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  fill(b, "k", 3000);
  t.is(repair(a, b).result, "joined");
  for (let n = 0; n < 20; n++) b.remove(`k${3 * n}`, undefined, NOW);
  const { counts, overhead } = repair(a, b);
  t.like(counts, { kind: "delta", requests: 1 });
  t.true(overhead < 200, `${overhead} bytes`);
  t.true(repair(a, b).overhead < 200);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("what a node learned from one that had forgotten, it does not claim to know", async (t) => {
  const [a, b] = await createPair(3000);
  const c = (await openTestStore("c")).store;
  t.is(repair(c, a).result, "joined");
  b.remove("k7", undefined, NOW);
  t.is(repair(a, b).counts.kind, "sketch");
  t.like(repair(c, a), { result: "joined", counts: { kind: "sketch", requests: 1, dropped: 1 } });
  t.deepEqual(stateOf(c), stateOf(b));
});

test("contexts that are equal with other digests: the first request asks for a sketch", async (t) => {
  const [a, b] = await createPair(3000);
  fill(b, "new", 40);
  // The asker counts the new ones as seen and does not hold them: as if it had deleted them.
  a.joinContext(b.context);
  const { result, counts, overhead } = repair(a, b, { hint: { sameContext: true } });
  t.is(result, "joined");
  t.like(counts, { kind: "sketch", requests: 1, differences: 40, entriesIn: 0 });
  t.true(overhead <= 1500, `${overhead} bytes`);
  t.like(repair(b, a, { hint: { sameContext: true } }), { result: "joined", counts: { dropped: 40 } });
  t.deepEqual(stateOf(a), stateOf(b));
});

// A context that is larger than a sketch.

/** A store that was written over again and again, and another that has the same and lost its context. */
async function createRebuilt(keys: number): Promise<[rebuilt: Store, kept: Store]> {
  const [a, b] = [await openTestStore("a"), await openTestStore("b")];
  fill(b.store, "k", keys);
  for (let n = 0; n < keys; n += 3) b.store.put(`k${(7 * n) % keys}`, json('"again"'), NOW);
  pullToEnd(a.store, b.store);
  return [await rebuilt(a), b.store];
}

for (const { changed, requests, bytes } of [
  { changed: 1, requests: 1, bytes: 1500 },
  { changed: 24, requests: 1, bytes: 1500 },
  { changed: 500, requests: 2, bytes: 18_000 },
]) {
  test(`a rebuilt context and ${changed} keys that were written again: ${requests} requests and under ${bytes} bytes`, async (t) => {
    const [a, b] = await createRebuilt(3000);
    t.true(a.context.exceptionCount > 500);
    for (let n = 0; n < changed; n++) b.put(`k${5 * n}`, json('"changed"'), NOW);
    const { result, counts, overhead } = repair(a, b);
    t.is(result, "joined");
    t.like(counts, { kind: "sketch", differences: 2 * changed, requests, entriesIn: changed });
    t.true(overhead <= bytes, `${overhead} bytes`);
    t.deepEqual(stateOf(a), stateOf(b));
  });
}

for (const { changed, requests, bytes } of [
  { changed: 500, requests: 2, bytes: 18_000 },
  { changed: 2000, requests: 3, bytes: 170_000 },
]) {
  test(`a rebuilt context that has lost thousands of deletions, and ${changed} keys that were written again: ${requests} requests`, async (t) => {
    const [a, b] = [await openTestStore("a"), await openTestStore("b")];
    fill(b.store, "k", 9000);
    for (let n = 0; n < 9000; n += 3) b.store.put(`k${(7 * n) % 9000}`, json('"again"'), NOW);
    for (let n = 3500; n < 9000; n++) b.store.remove(`k${n}`, undefined, NOW);
    pullToEnd(a.store, b.store);
    const lost = await rebuilt(a);
    for (let n = 0; n < changed; n++) b.store.put(`k${n}`, json('"changed"'), NOW);
    const { result, counts, overhead } = repair(lost, b.store, { options: { ...PULL_OPTIONS, answerBytesMax: 256 * 1024 } });
    t.like({ result, ...counts }, { result: "joined", kind: "sketch", differences: 2 * changed, entriesIn: changed });
    t.true(counts.requests <= requests + Math.floor(changed / 1024), `${counts.requests} requests`);
    t.true(overhead <= bytes, `${overhead} bytes`);
    t.deepEqual(stateOf(lost), stateOf(b.store));
  });
}

test("a rebuilt context and what is missing, deleted and new, more than one answer holds: fetched page by page", async (t) => {
  const [a, b] = await createRebuilt(18_000);
  fill(b, "new", 1150);
  for (let n = 0; n < 20; n++) b.remove(`k${n}`, undefined, NOW);
  a.put("k999", json('"mine"'), NOW);
  const { result, counts, overhead } = repair(a, b, { options: { ...PULL_OPTIONS, answerBytesMax: 4000 } });
  t.is(result, "joined");
  t.like(counts, { kind: "sketch", dropped: 20, entriesIn: 1151 });
  t.true(counts.requests > 10);
  t.true(overhead < 25_000, `${overhead} bytes`);
  t.deepEqual(textsOf(a, "k999"), ['"mine"']);
  repair(b, a);
  t.deepEqual(stateOf(a), stateOf(b));
});

// What goes wrong.

test("when too much differs for a sketch to pay, everything is pushed", async (t) => {
  const [a, b] = await createPair(300);
  for (let n = 0; n < 200; n++) b.remove(`k${n}`, undefined, NOW);
  const { result, counts } = repair(a, b, { options: { ...PULL_OPTIONS, entryBytes: 8 } });
  t.deepEqual([result, counts.kind, counts.dropped], ["joined", "full", 200]);
  t.regex(counts.why, /200 values differ/);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("sketches that fail on purpose end as a full push, and nothing is joined before", async (t) => {
  const garbage = (answer: RepairAnswer): RepairAnswer =>
    answer.sketch === undefined ? answer : { ...answer, sketch: Buffer.alloc(answer.sketch.length, 0x5a) };
  const [a, b] = await createPair(3000);
  for (let n = 0; n < 10; n++) b.remove(`k${n}`, undefined, NOW);
  const { result, counts } = repair(a, b, { change: garbage, meanwhile: () => t.false(a.context.covers(b.context)) });
  t.like({ result, ...counts }, { result: "joined", kind: "full", dropped: 10 });
  t.deepEqual(stateOf(a), stateOf(b));
});

test("a sketch of another instant than its summary is not verified", async (t) => {
  const [a, b] = await createPair(3000);
  const old = new Sketches(b).take(96).encode();
  for (let n = 0; n < 10; n++) b.remove(`k${n}`, undefined, NOW);
  const stale = (answer: RepairAnswer): RepairAnswer => (answer.sketch === undefined ? answer : { ...answer, sketch: old });
  const { result, counts } = repair(a, b, { change: stale, patient: false });
  t.like({ result, kind: counts.kind, dropped: counts.dropped }, { result: "joined", kind: "full", dropped: 10 });
});

test("cells that are none end the session, on both sides", async (t) => {
  const [a, b] = await createPair(3000);
  const request: RepairRequest = { kind: "repair-request", exchange: 1, seen: a.context, bytesMax: 1000, count: 0, cells: 0 };
  for (const bytes of [0, 11, 12 * 65_537]) {
    t.throws(() => atOnce(sketchAnswerSteps(a, new Sketches(a), request, Buffer.alloc(bytes), 100)), { code: "malformed" });
    b.remove(`k${bytes % 1000}`, undefined, NOW);
    const change = (answer: RepairAnswer): RepairAnswer => ({ ...answer, sketch: Buffer.alloc(bytes) });
    t.throws(() => repair(a, b, { change }), { code: "malformed" });
    t.false(a.context.covers(b.context));
  }
});

test("writes of all kinds on both sides between any two steps: what differs afterwards is only what is new", async (t) => {
  for (const [what, pair] of [
    ["forgotten", createPair],
    ["rebuilt", createRebuilt],
  ] as const) {
    const [a, b] = await pair(2000);
    for (let n = 0; n < 60; n++) b.remove(`k${n}`, undefined, NOW);
    let writes = 0;
    const meanwhile = (): void => {
      if (writes++ > 12) return;
      a.put(`k${writes + 50}`, json(`"a${writes}"`), NOW);
      b.put(`k${writes + 55}`, json(`"b${writes}"`), NOW);
      a.remove(`k${3 * writes}`, undefined, NOW);
      b.remove(`k${1000 + writes}`, undefined, NOW);
    };
    const results = [repair(a, b, { meanwhile }).result, repair(b, a, { meanwhile }).result];
    t.deepEqual(results, ["joined", "joined"], what);
    repair(a, b);
    repair(b, a);
    repair(a, b);
    t.deepEqual(stateOf(a), stateOf(b), what);
  }
});

test("a sketch is answered in steps: whatever is written between them, nothing is missed and nothing dropped that is held", async (t) => {
  for (const stepMax of [1, 3, 10]) {
    const [a, b] = await createRebuilt(3000);
    for (let n = 0; n < 10; n++) b.remove(`k${n}`, undefined, NOW);
    for (let n = 20; n < 30; n++) b.put(`k${n}`, json('"new"'), NOW);
    const mine = new Set<string>();
    let steps = 0;
    const meanwhile = (step: number): void => {
      if (step !== -1 || steps++ > 60) return;
      // What only one side held, what both did, and what nobody did, written and removed on either side.
      b.put(`k${30 + (steps % 20)}`, json(`"b${steps}"`), NOW);
      b.remove(`k${40 + (steps % 20)}`, undefined, NOW);
      b.remove(`k${100 + steps}`, undefined, NOW);
      b.put(`fresh${steps}`, json("1"), NOW);
      b.remove(`fresh${steps - 2}`, undefined, NOW);
      a.put(`k${500 + steps}`, json(`"a${steps}"`), NOW);
      // A push that comes after the key was read, or before.
      for (const key of [`k${20 + (steps % 10)}`, `k${29 - (steps % 10)}`]) {
        mine.add(key);
        a.put(key, json(`"mine${key}"`), NOW);
        b.merge(a.wireEntry(key, []), a.context.lowerBound(0).clone(), NOW);
      }
    };
    const { result, counts } = repair(a, b, { meanwhile, stepMax });
    t.deepEqual([result, counts.kind], ["joined", "sketch"]);
    t.true(steps > 1 && counts.requests > 1, "what has changed meanwhile is asked for");
    t.true(a.context.covers(b.context));
    repair(b, a);
    repair(a, b);
    t.deepEqual(stateOf(a), stateOf(b));
    for (const key of mine) t.true(textsOf(a, key).includes(`"mine${key}"`), key);
  }
});

test("a check makes the tables anew while writes go on, says whether they were right, and replaces those that were not", async (t) => {
  const side = await openTestStore("a");
  const { store } = side;
  fill(store, "k", 5_000);
  const sketches = new Sketches(store);
  const checked = (): boolean => {
    const check = sketches.check();
    for (let slice = 0; ; slice++) {
      store.put(`during${slice}`, json("1"), NOW);
      store.remove(`k${slice}`, undefined, NOW);
      const agree = check.step();
      if (agree !== undefined) return agree;
    }
  };
  t.true(checked());
  // A dot that no write has taken away from the index, and of which nobody was told.
  await side.persist();
  await side.storage.write([{ key: indexAt(store.incarnation!, 4_000), value: undefined }]);
  t.false(checked());
  t.true(checked(), "they were replaced");
});
