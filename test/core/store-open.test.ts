/**
 * Opening a store: what agrees with its entries is loaded as it is. What does not is made anew from the entries (rule 5), because absence and
 * context together read as "deleted": entries that were lost must be unknown afterwards, not deleted.
 */
import test from "ava";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import { contextAt, ENTRY, entryAt, EXPIRY, INDEX, indexAt, META } from "../../lib/core/layout.ts";
import type { Storage, StorageChange } from "../../lib/core/ports.ts";
import { AUDIT_AT_OPEN_MAX, openStore } from "../../lib/core/store-open.ts";
import type { MemoryStorage } from "../../lib/storage/memory.ts";
import { START_MS } from "../support/chance.ts";
import {
  contradictions,
  copyOf,
  damage,
  json,
  liveDots,
  openTestStore,
  rowCounts,
  rowsOf,
  stateOf,
  textsOf,
  type TestStore,
} from "../support/stores.ts";
import { createFilled } from "../support/filled.ts";
import { pullToEnd } from "../support/world.ts";

const NOW = START_MS;
const OTHER_KEY = Buffer.from("another-cluster!");

test("an empty folder is an empty store", async (t) => {
  const { store, rebuilt } = await openTestStore("a");
  t.is(rebuilt, undefined);
  t.deepEqual(stateOf(store), { entries: {}, context: {} });
  t.deepEqual([store.count, store.keyCount, store.incarnation], [0, 0, undefined]);
});

test("what was closed is opened again, with nothing made anew", async (t) => {
  const side = await createFilled();
  const again = await side.reopen();
  t.is(again.rebuilt, undefined);
  t.deepEqual(stateOf(again.store), stateOf(side.store));
  t.deepEqual(again.store.summary(), side.store.summary());
  t.deepEqual(contradictions(again.store), []);
});

test("what was not made durable is not there", async (t) => {
  const side = await createFilled();
  side.store.put("k", json("lost"), NOW);
  const again = await side.reopen();
  t.deepEqual(textsOf(again.store, "k"), ["1"]);
  t.deepEqual(contradictions(again.store), []);
});

test("the clock does not run backwards over a restart", async (t) => {
  const side = await createFilled();
  const { store } = await side.reopen();
  store.put("k", json("2"), NOW - 1_000_000);
  const [before] = side.store.read("both");
  const [after] = store.read("k");
  t.true(after!.stamp.ms >= before!.stamp.ms);
});

/** Each way in which the parts may come to disagree, and what the store says of it. */
const disagreements: Record<string, readonly [spoil: (side: TestStore) => StorageChange[], why: RegExp]> = {
  "an entry and its row in the index are lost": [
    ({ store }) => [entryAt("k"), indexAt(store.incarnation!, 1)].map((key) => ({ key, value: undefined })),
    /3 values are there where 4 should be/,
  ],
  "everything is lost but what is known of the whole": [
    ({ storage }) => [...rowsOf(storage, ENTRY), ...rowsOf(storage, INDEX)].map(([key]) => ({ key, value: undefined })),
    /0 values are there where 4/,
  ],
  "an entry is an older one": [
    ({ store }) => {
      const [sibling] = store.read("k");
      return [{ key: entryAt("k"), value: encodeSiblings([{ ...sibling!, dot: { ...sibling!.dot, counter: 3 } }]) }];
    },
    /the dots do not sum up to the recorded digest/,
  ],
  "the context is lost": [
    ({ store }) => [{ key: contextAt(store.incarnation!), value: undefined }],
    /the context does not know a live dot/,
  ],
  "the context is malformed": [({ store }) => [{ key: contextAt(store.incarnation!), value: Buffer.from([9]) }], /malformed/],
  "the store's own record is lost": [() => [{ key: META, value: undefined }], /its own record is missing/],
  "the store's own record is malformed": [() => [{ key: META, value: Buffer.from([1, 2, 3]) }], /malformed/],
  "the sums are another time's": [
    ({ storage }) => {
      const meta = Buffer.from(storage.get(META)!);
      meta[0]! ^= 1;
      return [{ key: META, value: meta }];
    },
    /the values do not sum up to the recorded digest/,
  ],
};

for (const [what, [spoil, why]] of Object.entries(disagreements)) {
  test(`rule 5: when ${what}, the entries win: the context is their dots, and the next write begins a new incarnation`, async (t) => {
    const side = await createFilled();
    const before = side.store.incarnation;
    await side.storage.write(spoil(side));
    const again = await side.reopen();
    t.regex(again.rebuilt ?? "", why);
    t.deepEqual(contradictions(again.store), []);
    const live = ["k", "l", "both"].flatMap((key) => dotsOf(again.store.read(key)));
    t.true(again.store.context.equals(Context.of(live)), "nothing else has been seen");
    t.not(again.store.put("new", json("1"), NOW).dot.incarnation, before!);
    await again.persist();
    t.is((await again.reopen()).rebuilt, undefined, "and it is whole again");
  });
}

for (const [what, keyOf] of Object.entries({
  "its own record": () => META,
  "a row of its context": ({ store }: TestStore) => contextAt(store.incarnation!),
})) {
  test(`rule 5: a store of which ${what} cannot be read is rebuilt from its entries`, async (t) => {
    const side = await createFilled();
    damage(side.storage, keyOf(side));
    const again = await side.reopen();
    t.regex(again.rebuilt ?? "", /^the stored record of key "[mc].* is damaged/);
    t.deepEqual(contradictions(again.store), []);
    t.deepEqual(liveDots(again.store), liveDots(side.store));
    t.true(again.store.context.equals(Context.of(["k", "l", "both"].flatMap((key) => dotsOf(again.store.read(key))))));
  });
}

test("rule 5: entries that were lost come back from a peer, and the peer keeps them", async (t) => {
  const side = await createFilled();
  const peer = await openTestStore("b");
  t.is(pullToEnd(peer.store, side.store), "joined");
  await side.storage.write(["k", "l", "both"].map((key) => ({ key: entryAt(key), value: undefined })));
  const again = await side.reopen();
  t.is(pullToEnd(peer.store, again.store), "joined");
  t.deepEqual(textsOf(peer.store, "k"), ["1"]);
  t.is(pullToEnd(again.store, peer.store), "joined");
  t.deepEqual(stateOf(again.store), stateOf(peer.store));
  t.deepEqual([textsOf(again.store, "k"), textsOf(again.store, "gone"), textsOf(again.store, "both")], [["1"], [], ["4", "5"]]);
});

test("a folder of another cluster's key is hashed anew: the same data has the digests of this cluster", async (t) => {
  const side = await createFilled();
  const moved = await openTestStore("a", { storage: await copyOf(side.storage), digestKey: OTHER_KEY });
  t.regex(moved.rebuilt ?? "", /another cluster key/);
  t.deepEqual(contradictions(moved.store), []);
  t.deepEqual(liveDots(moved.store), liveDots(side.store));
  t.false(moved.store.root.equals(side.store.root));
  t.is((await moved.reopen()).rebuilt, undefined);
});

test("a rebuild finds the expiries again", async (t) => {
  const side = await createFilled();
  await side.storage.write([...rowsOf(side.storage, EXPIRY), ...rowsOf(side.storage, META)].map(([key]) => ({ key, value: undefined })));
  const again = await side.reopen();
  t.deepEqual(rowCounts(again.storage), { entries: 3, index: 4, expiry: 1, context: 1, several: 1, all: 11 });
  t.is(again.store.sweep(NOW + 60_000, 10, NOW + 60_000).length, 1);
  t.deepEqual(textsOf(again.store, "l"), []);
});

/** Writes so many batches, then refuses. */
function failingAfter(storage: MemoryStorage, batches: number): Storage {
  let left = batches;
  return {
    get: (key) => storage.get(key),
    range: (from, to, limit) => storage.range(from, to, limit),
    close: () => storage.close(),
    async write(batch) {
      if (left-- <= 0) throw new ConcordError("storage-failed", "the power went out");
      await storage.write(batch);
    },
  };
}

test("a rebuild that is interrupted at any batch is begun again at the next open", async (t) => {
  const side = await createFilled();
  const damagedCopy = async (): Promise<MemoryStorage> => {
    const storage = await copyOf(side.storage);
    for (const key of [META, entryAt("k")]) damage(storage, key);
    return storage;
  };
  const whole = await openTestStore("a", { storage: await damagedCopy() });
  let interrupted = 0;
  for (let batches = 0; ; batches++) {
    const storage = await damagedCopy();
    const outcome = await openStore(failingAfter(storage, batches), whole.store.options).catch((error: unknown) => error);
    if (!(outcome instanceof ConcordError)) break;
    interrupted++;
    const again = await openTestStore("a", { storage });
    t.not(again.rebuilt, undefined);
    t.deepEqual(stateOf(again.store), stateOf(whole.store));
    t.deepEqual(contradictions(again.store), []);
  }
  t.true(interrupted >= 4, `${interrupted} batches`);
});

test("a rebuild that is interrupted is begun again also where the store is too large to be compared at the open", async (t) => {
  const side = await openTestStore("a");
  for (let i = 0; i <= AUDIT_AT_OPEN_MAX; i++) side.store.put(`key${i}`, json("1"), NOW);
  await side.persist();
  const otherCluster = { ...side.store.options, digestKey: OTHER_KEY };
  await t.throwsAsync(openStore(failingAfter(side.storage, 2), otherCluster), { code: "storage-failed" });
  const again = await side.reopen();
  t.is(again.rebuilt, "its own record is missing");
  t.deepEqual(contradictions(again.store), []);
  t.is(again.store.count, AUDIT_AT_OPEN_MAX + 1);
});

test("entries that no store could have written are refused at the open, with the reason", async (t) => {
  const side = await createFilled();
  const [first, second] = side.store.read("both");
  await side.storage.write([{ key: entryAt("both"), value: encodeSiblings([second!, first!]) }]);
  await t.throwsAsync(side.reopen(), { code: "malformed", message: /out of order/ });
});

test("a large store opens without being read; what it believes is compared while it serves", async (t) => {
  const side = await openTestStore("a");
  for (let i = 0; i <= AUDIT_AT_OPEN_MAX; i++) side.store.put(`key${i}`, json("1"), NOW);
  await side.persist();
  await side.storage.write([{ key: entryAt("key7"), value: undefined }]);
  const large = await side.reopen();
  t.is(large.rebuilt, undefined);
  t.is(large.store.count, AUDIT_AT_OPEN_MAX + 1);
  large.store.invalidate();
  await large.persist();
  const again = await large.reopen();
  t.is(again.rebuilt, "its own record is missing", "an audit that found something asks for this");
  t.is(again.store.count, AUDIT_AT_OPEN_MAX);
});
