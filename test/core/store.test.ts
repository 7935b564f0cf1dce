/**
 * The store and the rules of causality, one rule a group: each test here fails when its rule is broken. (Rule 3 is entry.test.ts, the second
 * half of rule 4 is pull.test.ts, rule 5 is store-open.test.ts, the durability in rule 1 is node.test.ts.)
 */
import test from "ava";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { storeHash } from "../../lib/core/digest.ts";
import { dotKey, type Dot } from "../../lib/core/dot.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import type { WireEntry } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import type { LocalWrite } from "../../lib/core/change.ts";
import { checkWrite } from "../../lib/core/local-write.ts";
import { META } from "../../lib/core/layout.ts";
import { ENTRY_BYTES_MAX, SIBLINGS_WRITE_MAX } from "../../lib/core/room.ts";
import { createRandom, START_MS } from "../support/chance.ts";
import { contradictions, copyOf, dots, json, openTestStore, rowCounts, stateOf, textsOf } from "../support/stores.ts";

const NOW = START_MS;

test("rule 1: every write and every deletion takes the next dot of one incarnation", async (t) => {
  const { store } = await openTestStore("a");
  const issued = [
    store.put("k", json("1"), NOW).dot,
    store.put("k", json("2"), NOW).dot,
    store.remove("k", undefined, NOW)!.dot,
    store.put("l", json("3"), NOW).dot,
  ];
  t.deepEqual(issued, dots(store.incarnation!, 1, 2, 3, 4));
  t.true(issued.every((dot) => store.context.has(dot)));
});

test("rule 1: after every open the first write begins a fresh incarnation, also when the old one wrote last", async (t) => {
  const first = await openTestStore("a");
  const before = first.store.put("k", json("1"), NOW).dot;
  await first.persist();
  const { store } = await first.reopen();
  t.is(store.incarnation, undefined, "an open alone takes none");
  const after = store.put("k", json("2"), NOW).dot;
  t.not(after.incarnation, before.incarnation);
  t.is(after.counter, 1);
});

test("rule 1: a folder that is copied back from a backup never issues a dot again", async (t) => {
  const original = await openTestStore("a");
  original.store.put("k", json("1"), NOW);
  await original.persist();
  const backup = await copyOf(original.storage);
  const issued = new Set<string>();
  // Every process draws its own numbers.
  const restore = async (seed: number) => openTestStore("a", { storage: await copyOf(backup), random: createRandom(seed) });
  let lives = [original, await restore(1), await restore(2)];
  for (let round = 0; round < 5; round++) {
    for (const { store, persist } of lives) {
      const { incarnation, counter } = store.put("k", json(`${round}`), NOW).dot;
      issued.add(dotKey(incarnation, counter));
      await persist();
    }
    lives = await Promise.all(lives.map((life, i) => (i === round % 3 ? life.reopen() : Promise.resolve(life))));
  }
  t.is(issued.size, 15);
});

const waysToSee: Record<string, (store: Store, dot: Dot) => unknown> = {
  "as live in an entry": (store, dot) => store.merge(entryWith(store, dot), new Context(), NOW),
  "as gone in an entry": (store, dot) => store.merge({ key: "x", record: new Uint8Array(), gone: [dot] }, new Context(), NOW),
  "in a joined context": (store, dot) => store.joinContext(Context.of([dot])),
  "in a token": (store, dot) => store.remove("x", [dot], NOW),
  "by being told": (store) => store.renounceIncarnation(),
};

/** The key "k" as it is, but for its dot. */
function entryWith(store: Store, dot: Dot): WireEntry {
  return { key: "k", record: encodeSiblings([{ ...store.read("k")[0]!, dot }]), gone: [] };
}

for (const [way, see] of Object.entries(waysToSee)) {
  test(`rule 1: dots of our own that we did not issue end the incarnation, however we come to see them: ${way}`, async (t) => {
    const { store } = await openTestStore("a");
    const { incarnation } = store.put("k", json("1"), NOW).dot;
    try {
      see(store, { incarnation, counter: 3 });
    } catch (error) {
      t.like(error, { reason: "dot" });
    }
    t.deepEqual(textsOf(store, "k"), ["1"]);
    const next = store.put("l", json("2"), NOW).dot;
    t.not(next.incarnation, incarnation);
    t.is(next.counter, 1);
    t.deepEqual(contradictions(store), []);
  });
}

test("rule 2: a write without a token supersedes what this node holds", async (t) => {
  const { store } = await openTestStore("a");
  store.put("k", json("1"), NOW);
  store.put("k", json("2", { observed: [] }), NOW);
  t.deepEqual(textsOf(store, "k"), ["1", "2"]);
  const change = store.put("k", json("3"), NOW);
  t.deepEqual(textsOf(store, "k"), ["3"]);
  t.deepEqual(change.entry.gone, dots(store.incarnation!, 1, 2));
});

test("rule 2: a write with a token supersedes exactly what the token names", async (t) => {
  const { store } = await openTestStore("a");
  const [first, second, third] = ["1", "2", "3"].map((text) => store.put("k", json(text, { observed: [] }), NOW).dot) as [Dot, Dot, Dot];
  store.put("k", json("4", { observed: [first, third] }), NOW);
  t.deepEqual(textsOf(store, "k"), ["2", "4"]);
  store.put("k", json("5", { observed: [] }), NOW);
  t.deepEqual(textsOf(store, "k"), ["2", "4", "5"], "a token of nothing supersedes nothing");
  store.remove("k", [second], NOW);
  t.deepEqual(textsOf(store, "k"), ["4", "5"], "and so does a deletion");
});

test("rule 2: what a token names counts as seen, also when this node never held it", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  const elsewhere = a.put("k", json("old"), NOW).dot;
  b.put("k", json("new", { observed: [elsewhere] }), NOW);
  t.true(b.context.has(elsewhere));
  const late = b.merge(a.wireEntry("k", []), a.context, NOW);
  t.is(late.after, late.before, "what was superseded before it came stays away");
  t.deepEqual(textsOf(b, "k"), ["new"]);
  b.remove("l", [{ ...elsewhere, counter: 9 }], NOW);
  t.true(b.context.has({ ...elsewhere, counter: 9 }), "and so does what was deleted before it came");
});

test("rule 2: a deletion of nothing takes no dot and changes nothing", async (t) => {
  const { store, persist } = await openTestStore("a");
  const { dot } = store.put("k", json("1"), NOW);
  store.remove("k", undefined, NOW);
  await persist();
  t.is(store.remove("k", undefined, NOW), undefined);
  t.is(store.remove("k", [dot], NOW), undefined, "it was superseded already");
  t.is(store.remove("never", undefined, NOW), undefined);
  t.is(store.counter, 2);
  t.deepEqual(store.takeChanges(), []);
});

test("rule 4: an entry received adds only its own dots to the context, not its sender's", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  const gone = a.put("k", json("1"), NOW).dot;
  a.put("other", json("x"), NOW);
  const live = a.put("k", json("2"), NOW).dot;
  a.remove("other", undefined, NOW);
  b.merge(a.wireEntry("k", [gone]), a.context, NOW);
  t.true(b.context.equals(Context.of([gone, live])));
  t.deepEqual(textsOf(b, "k"), ["2"]);
});

test("rule 5: entries, context, digests and indexes leave together, in one batch", async (t) => {
  const { store, persist } = await openTestStore("a");
  store.put("k", json("1", { expiresAtMs: NOW + 1 }), NOW);
  const kinds = (await persist()).map((key) => key.charAt(0));
  t.deepEqual(kinds.sort(), ["c", "e", "i", "m", "x"]);
  store.joinContext(Context.of(dots("bbbbbbbb", 1, 2)));
  t.deepEqual(await persist(), ["cbbbbbbbb", META], "and of the context only what changed");
  t.deepEqual(await persist(), []);
});

test("rule 6: no incarnation ever leaves the context, though nothing of it is live", async (t) => {
  let side = await openTestStore("a");
  const incarnations: string[] = [];
  for (let life = 0; life < 50; life++) {
    side.store.put("k", json("1"), NOW);
    side.store.remove("k", undefined, NOW);
    incarnations.push(side.store.incarnation!);
    await side.persist();
    side = await side.reopen();
  }
  t.deepEqual([...side.store.context.incarnations()].sort(), incarnations.sort());
  t.is(side.store.count, 0);
});

test("no tombstones: after 100,000 deletions nothing of them is left but one range and a bounded cache", async (t) => {
  const { store, storage, persist } = await openTestStore("a", { recentDeletionsMax: 500 });
  for (let i = 0; i < 100_000; i++) {
    store.put(`key${i}`, json("1", { expiresAtMs: i % 10 === 0 ? NOW + 1 : 0 }), NOW);
    if (i % 10_000 === 9_999) await persist();
  }
  t.deepEqual(rowCounts(storage), { entries: 100_000, index: 100_000, expiry: 10_000, context: 1, several: 0, all: 210_002 });
  for (let i = 0; i < 100_000; i++) {
    store.remove(`key${i}`, undefined, NOW);
    if (i % 10_000 === 9_999) await persist();
  }
  t.deepEqual(rowCounts(storage), { entries: 0, index: 0, expiry: 0, context: 1, several: 0, all: 2 });
  t.deepEqual([store.context.incarnationCount, store.context.exceptionCount], [1, 0]);
  t.deepEqual([...store.context.rangesOf(store.incarnation!)], [1, 200_000]);
  t.is(store.recentDeletions.size, 500);
  t.deepEqual([store.count, store.keyCount], [0, 0]);
  t.deepEqual(contradictions(store), []);
});

test("the store's hash depends on neither the order of writes nor that of a JSON value's properties", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  a.put("k", json('{"x":1,"y":[{"p":1,"q":2}]}'), NOW);
  a.put("l", json("2"), NOW);
  b.put("l", json("0"), NOW + 5);
  b.put("gone", json("0"), NOW);
  b.put("l", json("2"), NOW);
  b.remove("gone", undefined, NOW);
  b.put("k", json('{"y":[{"q":2,"p":1}],"x":1}'), NOW);
  t.is(storeHash(a.root, a.count), storeHash(b.root, b.count));
  t.false(a.dotRoot.equals(b.dotRoot), "though the writes are others");
  b.put("k", json('{"y":[{"q":2,"p":1}],"x":2}'), NOW);
  t.not(storeHash(a.root, a.count), storeHash(b.root, b.count));
});

test("two stores that merged the same entries in another order agree to the byte", async (t) => {
  const [a, b, c, d] = (await Promise.all(["a", "b", "c", "d"].map((name) => openTestStore(name)))).map(({ store }) => store);
  for (const [store, text] of [
    [a!, "1"],
    [b!, "2"],
  ] as const)
    for (const key of ["k", "l"]) store.put(key, json(text), NOW);
  const sent = [a!, b!].flatMap((store) => ["k", "l"].map((key) => ({ entry: store.wireEntry(key, []), context: store.context.clone() })));
  for (const { entry, context } of sent) c!.merge(entry, context, NOW);
  for (const { entry, context } of [...sent, ...sent].reverse()) d!.merge(entry, context, NOW);
  t.deepEqual(stateOf(d!), stateOf(c!));
  t.deepEqual(d!.summary(), c!.summary());
  t.deepEqual(textsOf(c!, "k").sort(), ["1", "2"]);
});

test("a merge that is refused changes nothing: content that does not match its hash, bytes that are no record, text that is no JSON", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  a.put("k", json("1"), NOW);
  const [sibling] = a.read("k");
  const records = {
    "another value": encodeSiblings([{ ...sibling!, value: Buffer.from("2") }]),
    "another type": encodeSiblings([{ ...sibling!, contentType: "text/plain" }]),
    "no JSON": encodeSiblings([{ ...sibling!, value: Buffer.from('{"a') }]),
    "no record": Buffer.from([1, 2, 3]),
    "half a record": Buffer.from(encodeSiblings(a.read("k"))).subarray(0, -1),
  };
  for (const [what, record] of Object.entries(records)) {
    t.throws(() => b.merge({ key: "k", record, gone: dots("gggggggg", 1) }, a.context, NOW), { code: "malformed" }, what);
  }
  t.throws(() => b.merge({ ...a.wireEntry("k", []), key: "l" }, a.context, NOW), { code: "malformed" }, "under another key");
  t.true(b.context.isEmpty);
  t.deepEqual(b.takeChanges(), []);
});

test("what an entry names as gone goes, also when the context that comes with it is too small to say so", async (t) => {
  const { store } = await openTestStore("a");
  const { dot } = store.put("k", json("1"), NOW);
  store.put("k", json("2", { observed: [] }), NOW);
  store.merge({ key: "k", record: new Uint8Array(), gone: [dot, { incarnation: "theirs..", counter: 1 }] }, new Context(), NOW);
  t.deepEqual(textsOf(store, "k"), ["2"]);
  t.deepEqual(contradictions(store), []);
});

test("the clock follows the stamps that are merged, and never runs backwards by them", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  a.put("late", json("1"), NOW + 5000);
  b.put("early", json("1"), NOW);
  b.merge(a.wireEntry("late", []), a.context, NOW);
  b.put("k", json("1"), NOW);
  t.deepEqual(b.read("k")[0]!.stamp, { ms: NOW + 5000, tick: 1 });
  b.merge({ ...b.wireEntry("early", []), gone: dots("gggggggg", 1) }, new Context(), NOW);
  b.put("k", json("2"), NOW);
  t.deepEqual(b.read("k")[0]!.stamp, { ms: NOW + 5000, tick: 2 });
});

test("a merge that brings nothing new says so, and writes nothing", async (t) => {
  const [a, b] = [await openTestStore("a"), await openTestStore("b")];
  a.store.put("k", json("1"), NOW);
  const entry = a.store.wireEntry("k", []);
  t.deepEqual(dotsOf(b.store.merge(entry, a.store.context, NOW).after), dots(a.store.incarnation!, 1));
  await b.persist();
  const again = b.store.merge(entry, a.store.context, NOW);
  t.is(again.after, again.before);
  t.deepEqual(b.store.takeChanges(), []);
});

test("room: a merge that would leave more in one key than a frame or a record can hold is refused, and changes nothing", async (t) => {
  const large = { contentType: "text/plain", value: Buffer.alloc(7 * 1024 * 1024), expiresAtMs: 0 };
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  for (const store of [a, b]) store.put("k", large, NOW);
  const before = stateOf(a);
  t.throws(() => a.merge(b.wireEntry("k", []), b.context, NOW), { code: "overloaded", message: /14680064 bytes, 12582912 are the most/ });
  t.deepEqual(stateOf(a), before);
  b.put("k", json("small"), NOW);
  t.is(a.merge(b.wireEntry("k", []), b.context, NOW).after.length, 2);
});

test("room: a key takes so many siblings and so many bytes from old tokens, and says so before it changes", async (t) => {
  const { store } = await openTestStore("a");
  for (let i = 0; i < SIBLINGS_WRITE_MAX; i++) store.put("k", json(`${i}`, { observed: [] }), NOW);
  const check = (key: string, input: LocalWrite): void => checkWrite(store.landing(key, input, NOW));
  t.throws(() => check("k", json("x", { observed: [] })), { code: "too-large", message: /100 concurrent values/ });
  t.notThrows(() => check("k", json("x")));
  t.notThrows(() => check("k", json("x", { observed: [store.read("k")[0]!.dot] })));
  const large = { contentType: "text/plain", value: Buffer.alloc(ENTRY_BYTES_MAX + 1), expiresAtMs: 0 };
  t.throws(() => check("l", large), { code: "too-large", message: /8388609 bytes; 8388608/ });
  t.is(store.read("l").length, 0);
});
