/** The breaker: what counts against it, what does not, and what stays when it has stopped something. */
import test from "ava";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import type { Dot } from "../../lib/core/dot.ts";
import { REMOVALS_WINDOW_MS, RemovalGuard } from "../../lib/core/removal-guard.ts";
import type { Store } from "../../lib/core/store.ts";
import { START_MS as NOW } from "../support/chance.ts";
import { contradictions, json, openTestStore, stateOf } from "../support/stores.ts";

test("a share of what is held, or what is always allowed, in one window; all of a request or nothing", (t) => {
  const guard = new RemovalGuard();
  guard.limit({ dropShareMax: 0.5, dropsAllowed: 10 });
  guard.at(0);
  t.true(guard.take(40, 100));
  t.false(guard.take(11, 60), "the share is that of the window's beginning: 50");
  t.true(guard.take(10, 60));
  t.false(guard.take(1, 50));
  t.is(guard.refused, 12);
  guard.at(REMOVALS_WINDOW_MS - 1);
  t.false(guard.take(1, 50));
  guard.at(REMOVALS_WINDOW_MS);
  t.true(guard.take(10, 12), "a new window, and what is always allowed");
  t.false(guard.take(1, 2));
});

test("a repair that removes nothing begins no window, and a store that has grown may lose a share of what it holds now", (t) => {
  const guard = new RemovalGuard();
  guard.limit({ dropShareMax: 0.5, dropsAllowed: 10 });
  guard.at(0);
  t.true(guard.take(0, 1));
  guard.at(1);
  t.true(guard.take(1, 10));
  t.true(guard.take(400, 1_000), "it has been filled since");
  t.false(guard.take(101, 600));
  t.true(guard.take(99, 600));
});

const NOTHING = new Uint8Array(0);

/** A store of `count` keys of its own and the context of somebody who has seen all of it. */
async function openFilled(count: number): Promise<{ readonly store: Store; readonly all: Context; readonly dots: readonly Dot[] }> {
  const { store } = await openTestStore("a");
  const dots = Array.from({ length: count }, (_, i) => store.put(`k${i}`, json(String(i)), NOW).dot);
  store.removals.limit({ dropShareMax: 0.5, dropsAllowed: 0 });
  return { store, all: store.context.clone(), dots };
}

const removalsWithoutReason: Record<string, (all: Context, dot: Dot) => { readonly gone: readonly Dot[]; readonly context: Context }> = {
  "it has seen it and does not hold it": (all) => ({ gone: [], context: all }),
  "it names it as gone": (_all, dot) => ({ gone: [dot], context: new Context() }),
};

for (const [what, claim] of Object.entries(removalsWithoutReason)) {
  test(`nothing vanishes on an entry's word alone: ${what}`, async (t) => {
    const { store, all, dots } = await openFilled(10);
    const before = stateOf(store);
    for (let i = 0; i < 10; i++) {
      const { gone, context } = claim(all, dots[i]!);
      store.merge({ key: `k${i}`, record: NOTHING, gone }, context, NOW);
    }
    t.deepEqual(stateOf(store), before);
    t.is(store.removals.refused, 10);
    t.not(store.remove("k8", undefined, NOW), undefined, "clients may go on");
  });
}

test("what a write or a deletion explains is not bounded: each shows a dot that is news", async (t) => {
  const { store, all, dots } = await openFilled(20);
  const { store: peer } = await openTestStore("b");
  for (let i = 0; i < 20; i++) peer.merge(store.wireEntry(`k${i}`, []), all, NOW);
  for (let i = 0; i < 20; i++) {
    const change = i % 2 === 0 ? peer.remove(`k${i}`, undefined, NOW)! : peer.put(`k${i}`, json("new"), NOW);
    store.merge(change.entry, peer.context.clone(), NOW);
  }
  t.is(store.count, 10);
  t.is(store.removals.refused, 0);
  t.true(dots.every((dot) => store.context.has(dot)));
});

test("a dot explains one key: shown again it is no news", async (t) => {
  const { store, dots } = await openFilled(10);
  const news: Dot = { incarnation: "hostile!", counter: 1 };
  for (let i = 0; i < 10; i++) store.merge({ key: `k${i}`, record: NOTHING, gone: [dots[i]!, news] }, new Context(), NOW);
  t.is(store.count, 9);
  t.deepEqual(contradictions(store), []);
});

test("another content under a dot that is held here is refused, also under the dot of another node", async (t) => {
  const { store } = await openTestStore("a");
  const { store: other } = await openTestStore("b");
  const { store: liar } = await openTestStore("c");
  const own = store.put("own", json("1"), NOW);
  const foreign = other.put("foreign", json("1"), NOW);
  store.merge(foreign.entry, other.context, NOW);
  for (const { key } of [own, foreign]) {
    const [held] = store.read(key);
    const [forged] = liar.put(key, json("forged"), NOW).after;
    const record = encodeSiblings([{ ...forged!, dot: held!.dot }]);
    const before = stateOf(store);
    t.throws(() => store.merge({ key, record, gone: [] }, new Context(), NOW), { message: /another content/ });
    t.deepEqual(stateOf(store), before);
  }
});
