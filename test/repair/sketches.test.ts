/** The sketch of a store is that of its live dots, however they came; and what a repair with it costs and finds. */
import test from "ava";
import { encodeFrame } from "../../lib/core/frame.ts";
import { indexAt } from "../../lib/core/layout.ts";
import type { RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { answerRequest } from "../../lib/repair/answer.ts";
import { Pull, type PullResult } from "../../lib/repair/pull.ts";
import { answerSketch } from "../../lib/repair/sketch-answer.ts";
import { Sketches } from "../../lib/repair/sketches.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore, stateOf, textsOf } from "../support/stores.ts";
import { PULL_OPTIONS, pullToEnd } from "../support/world.ts";

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
  readonly pull: Pull;
  /** Bytes of all frames without the entries' own. */
  readonly overhead: number;
}

function repair(by: Store, from: Store, options = PULL_OPTIONS): Run {
  const sketches = new Sketches(by);
  const theirs = new Sketches(from);
  const pull = new Pull(by, "delta", options, false, sketches);
  let overhead = 0;
  const answer = (request: RepairRequest): RepairAnswer => {
    const said = request.sketch === undefined ? answerRequest(from, request) : answerSketch(from, theirs, request, request.sketch);
    overhead += encodeFrame(request).length + encodeFrame({ ...said, entries: [] }).length;
    return said;
  };
  for (;;) {
    const result = pull.isBusy ? pull.advance([]) : pull.onAnswer(answer(pull.request(1)), NOW, []);
    if (result !== undefined) return { result, pull, overhead };
  }
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

for (const deleted of [1, 40, 900]) {
  test(`${deleted} forgotten deletions of 3,000 keys are found by a sketch, and both sides' writes stay`, async (t) => {
    const [a, b] = await createPair(3000);
    for (let n = 0; n < deleted; n++) b.remove(`k${3 * n}`, undefined, NOW);
    b.put("k1", json('"b"'), NOW);
    a.put("k2", json('"a"'), NOW);
    const { result, pull, overhead } = repair(a, b);
    t.is(result, "joined");
    t.like(pull.counts, { kind: "sketch", dropped: deleted });
    t.true(overhead < 3000 + 45 * deleted, `${overhead} bytes for ${deleted} differences`);
    t.deepEqual([textsOf(a, "k0"), textsOf(a, "k1"), textsOf(a, "k2")], [[], ['"b"'], ['"a"']]);
    t.is(repair(b, a).result, "joined");
    t.deepEqual(stateOf(a), stateOf(b));
  });
}

test("what they hold and we have superseded is named page by page when it is too much for one answer", async (t) => {
  const [a, b] = await createPair(3000);
  fill(b, "new", 60);
  for (let n = 0; n < 40; n++) b.remove(`k${n}`, undefined, NOW);
  // The asker counts the new ones as seen and does not hold them: it has removed them, and the peer has not heard of that.
  a.joinContext(b.context);
  const { result, pull } = repair(a, b, { ...PULL_OPTIONS, answerBytesMax: 500 });
  t.is(result, "joined");
  t.like(pull.counts, { kind: "sketch", dropped: 40 });
  t.true(pull.counts.requests > 5);
  t.deepEqual([textsOf(a, "k0"), textsOf(a, "new0")], [[], []]);
});

test("when too much differs for a sketch to pay, everything is pushed", async (t) => {
  const [a, b] = await createPair(300);
  for (let n = 0; n < 200; n++) b.remove(`k${n}`, undefined, NOW);
  const { result, pull } = repair(a, b);
  t.deepEqual([result, pull.counts.kind, pull.counts.dropped], ["joined", "full", 200]);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("cells that are none are refused", async (t) => {
  const { store } = await openTestStore("a");
  const request: RepairRequest = { kind: "repair-request", exchange: 1, seen: store.context, bytesMax: 1000 };
  for (const bytes of [0, 11, 12 * 65_537]) {
    t.throws(() => answerSketch(store, new Sketches(store), request, { cells: Buffer.alloc(bytes), count: 0 }), { code: "malformed" });
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
