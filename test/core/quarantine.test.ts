/**
 * Quarantine: a record that a disk has damaged is never read as a value and never as a deletion. Its dots leave the context, so that peers
 * send them again and keep their own; until then the key is marked, through restarts too.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Audit } from "../../lib/core/audit.ts";
import { Context } from "../../lib/core/context.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import { ENTRY, entryAt, indexAt, MARK, markAt } from "../../lib/core/layout.ts";
import { decodeMark } from "../../lib/core/mark.ts";
import { START_MS } from "../support/chance.ts";
import { holdsAsync } from "../support/property.ts";
import { contradictions, damage, json, liveDots, rowsOf, stateOf, textsOf, type TestStore } from "../support/stores.ts";
import { createFilled, marked, peerOf } from "../support/filled.ts";
import { pullToEnd } from "../support/world.ts";

const NOW = START_MS;

/** What the keys hold, before anything is damaged. */
function valuesOf({ store }: TestStore): Readonly<Record<string, string[]>> {
  return Object.fromEntries(
    [...rowsOf(store.reader, ENTRY)].map(([row]) => [row.slice(ENTRY.length), textsOf(store, row.slice(ENTRY.length))]),
  );
}

for (const key of ["k", "l", "both"]) {
  test(`the record of "${key}" is damaged: its dots are not seen, its key is marked, and a peer sends it again`, async (t) => {
    const side = await createFilled();
    const peer = await peerOf(side);
    const lost = dotsOf(side.store.read(key));
    const before = stateOf(side.store);
    const values = valuesOf(side);
    damage(side.storage, entryAt(key), 77);
    const again = await side.reopen();
    t.is(again.rebuilt, undefined);
    t.is(again.healed, `1 records are damaged, ${lost.length} values are lost`);
    t.deepEqual(contradictions(again.store), []);
    t.true(lost.every((dot) => !again.store.context.has(dot)));
    const rest = side.store.context.minus(Context.of(lost));
    t.true(again.store.context.equals(rest), "and nothing else has left the context");
    t.deepEqual([marked(again), again.store.quarantine.size], [[key], 1]);
    t.deepEqual(again.store.quarantine.lostDots(key), lost);

    t.is(pullToEnd(peer.store, again.store), "joined");
    t.deepEqual(textsOf(peer.store, key), values[key], "the peer keeps what it has");
    t.is(pullToEnd(again.store, peer.store), "joined");
    await again.persist();
    t.deepEqual(stateOf(again.store), before);
    t.deepEqual([marked(again), again.store.quarantine.size, again.store.quarantine.healed], [[], 0, 1]);
    t.deepEqual(contradictions(again.store), []);
    t.is((await again.reopen()).healed, undefined);
  });
}

test("an entry that is missing without a trace is found by the index alike", async (t) => {
  const side = await createFilled();
  await side.storage.write([{ key: entryAt("both"), value: undefined }]);
  const again = await side.reopen();
  t.is(again.healed, "2 values are lost");
  t.deepEqual(marked(again), ["both"]);
});

test("a mark survives restarts, also when nothing else is changed", async (t) => {
  const side = await createFilled();
  damage(side.storage, entryAt("k"));
  const first = await side.reopen();
  const second = await first.reopen();
  t.is(second.healed, undefined);
  t.deepEqual(marked(second), ["k"]);
  t.is(second.store.quarantine.size, 1);
  t.deepEqual(stateOf(second.store), stateOf(first.store));
});

test("what was replaced or deleted elsewhere meanwhile is not waited for", async (t) => {
  const side = await createFilled();
  const peer = await peerOf(side);
  peer.store.remove("k", undefined, NOW);
  peer.store.put("both", json("6"), NOW);
  damage(side.storage, entryAt("k"));
  damage(side.storage, entryAt("both"));
  const again = await side.reopen();
  t.is(again.store.quarantine.size, 2);
  t.is(pullToEnd(again.store, peer.store), "joined");
  again.store.quarantine.settleSome();
  t.is(again.store.quarantine.size, 0);
  t.deepEqual([textsOf(again.store, "k"), textsOf(again.store, "both")], [[], ["6"]]);
});

test("a new write stands beside what was lost, and ends the wait", async (t) => {
  const side = await createFilled();
  const peer = await peerOf(side);
  damage(side.storage, entryAt("k"));
  const again = await side.reopen();
  again.store.put("k", json("7"), NOW);
  t.is(again.store.quarantine.size, 0);
  t.is(pullToEnd(again.store, peer.store), "joined");
  t.deepEqual(textsOf(again.store, "k").sort(), ["1", "7"]);
});

test("a deletion means the lost values, wherever they are", async (t) => {
  const side = await createFilled();
  const peer = await peerOf(side);
  damage(side.storage, entryAt("both"));
  const again = await side.reopen();
  const change = again.store.remove("both", undefined, NOW);
  t.is(change?.entry.gone.length, 3);
  t.is(again.store.quarantine.size, 0);
  t.is(pullToEnd(peer.store, again.store), "joined");
  t.deepEqual(textsOf(peer.store, "both"), []);
  t.is(pullToEnd(again.store, peer.store), "joined");
  t.deepEqual(textsOf(again.store, "both"), []);
});

test("a loss ends this life of the data: the next write takes a new incarnation", async (t) => {
  const side = await createFilled();
  const { store } = side;
  const [last] = store.read("both").slice(-1);
  damage(side.storage, entryAt("both"));
  const finding = new Audit(store).runToEnd();
  if (finding.kind !== "damaged") return t.fail(finding.kind);
  store.amend(finding.amendment);
  const { dot } = store.put("new", json("8"), NOW);
  t.not(dot.incarnation, last!.dot.incarnation);
  t.is(dot.counter, 1);
  await side.persist();
  t.is((await side.reopen()).healed, undefined);
});

test("a record turns up under another key: it is removed there, and lost where it was", async (t) => {
  const side = await createFilled();
  const record = side.storage.records.get(entryAt("k"))!;
  side.storage.records.set(entryAt("j"), record);
  await side.storage.write([{ key: entryAt("k"), value: undefined }]);
  damage(side.storage, entryAt("l"));
  const again = await side.reopen();
  t.deepEqual(marked(again), ["k", "l"]);
  t.deepEqual(contradictions(again.store), []);
});

test("an entry and its row in the index: the row's own key still names the dot", async (t) => {
  const side = await createFilled();
  damage(side.storage, entryAt("k"));
  damage(side.storage, indexAt(side.store.incarnation!, 1));
  const again = await side.reopen();
  t.is(again.rebuilt, undefined);
  t.deepEqual(marked(again), ["k"]);
  t.false(again.store.context.has({ incarnation: side.store.incarnation!, counter: 1 }));
  t.deepEqual(again.store.quarantine.lostDots("k"), [], "a deletion must not name it: it may be of any key that was hit");
  t.deepEqual(contradictions(again.store), []);
});

test("a deletion names no dot that may be another key's", async (t) => {
  const side = await createFilled();
  const peer = await peerOf(side);
  const kept = liveDots(peer.store);
  const [k] = side.store.read("k");
  damage(side.storage, entryAt("k"));
  damage(side.storage, entryAt("both"));
  damage(side.storage, indexAt(k!.dot.incarnation, k!.dot.counter));
  const again = await side.reopen();
  t.deepEqual(marked(again).sort(), ["both", "k"]);
  for (const key of marked(again)) {
    t.throws(() => again.store.quarantine.checkRemove(key), { code: "damaged" });
    t.is(again.store.remove(key, undefined, NOW), undefined);
  }
  for (const [one, other] of [
    [peer, again],
    [again, peer],
  ] as const) {
    t.is(pullToEnd(one.store, other.store), "joined");
  }
  again.store.quarantine.settleSome();
  t.deepEqual([liveDots(peer.store), liveDots(again.store), again.store.quarantine.size], [kept, kept, 0]);
});

test("a damaged mark still marks its key, and a deletion there is refused: nobody can say what it would delete", async (t) => {
  const side = await createFilled();
  damage(side.storage, entryAt("k"));
  const first = await side.reopen();
  damage(side.storage, markAt("k"), 9);
  const second = await first.reopen();
  t.deepEqual(marked(second), ["k"]);
  t.deepEqual([second.store.quarantine.size, second.store.quarantine.lostDots("k").length], [1, 0]);
  t.throws(() => second.store.quarantine.checkRemove("k"), { code: "damaged", message: /write it anew, then delete it/ });
  second.store.put("k", json("7"), NOW);
  second.store.quarantine.checkRemove("k");
  t.is(second.store.quarantine.size, 0);
});

/** Which rows of a filled store are hit, and by which bit. */
const hits = fc.array(fc.record({ row: fc.nat({ max: 1_000 }), bit: fc.nat({ max: 4_000 }) }), { minLength: 1, maxLength: 4 });

test("whatever is hit: no wrong value, nothing deleted by it anywhere, and a peer makes it whole", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(hits, fc.boolean(), async (some, peerWrites) => {
      const side = await createFilled();
      const peer = await peerOf(side);
      if (peerWrites) peer.store.put("k", json("9"), NOW);
      const kept = liveDots(peer.store);
      const values = valuesOf(side);
      const keys = [...rowsOf(side.storage, "")].map(([key]) => key);
      for (const { row, bit } of some) damage(side.storage, keys[row % keys.length]!, bit);
      const again = await side.reopen();
      assert.deepEqual(contradictions(again.store), []);
      for (const [row] of rowsOf(again.store.reader, ENTRY)) {
        const key = row.slice(ENTRY.length);
        assert.deepEqual(textsOf(again.store, key), values[key]);
      }
      for (const [row] of rowsOf(side.storage, MARK)) assert.ok(decodeMark(side.storage.get(row)!).dots.length <= 4);
      for (const [one, other] of [
        [peer, again],
        [again, peer],
        [peer, again],
      ] as const) {
        for (let tries = 0; pullToEnd(one.store, other.store) !== "joined"; tries++) assert.ok(tries < 3);
      }
      again.store.quarantine.settleSome();
      assert.deepEqual(liveDots(peer.store), kept, "the peer holds what it held");
      assert.deepEqual(stateOf(again.store), stateOf(peer.store));
      assert.equal(again.store.quarantine.size, 0);
      assert.deepEqual(contradictions(again.store), []);
    }),
    { numRuns: 300 },
  );
});
