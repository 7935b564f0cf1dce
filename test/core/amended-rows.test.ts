/** What an audit puts right in place: rows that can be computed from the entries, and sums that are counted while writes go on. */
import test from "ava";
import { Audit } from "../../lib/core/audit.ts";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { contextAt, entryAt, EXPIRY, INDEX, indexAt, META, SEVERAL, severalAt } from "../../lib/core/layout.ts";
import { START_MS } from "../support/chance.ts";
import { createFilled, marked } from "../support/filled.ts";
import { contradictions, damage, json, openTestStore, rowsOf, stateOf, type TestStore } from "../support/stores.ts";

const NOW = START_MS;

/** Which record is hit, and what of it. */
const rowKinds: Record<string, (side: TestStore) => string> = {
  "a row of the index": ({ store }) => indexAt(store.incarnation!, 1),
  "a row of the expiries": ({ storage }) => [...rowsOf(storage, EXPIRY)][0]![0],
};

for (const [what, keyOf] of Object.entries(rowKinds)) {
  test(`${what} is damaged: it is made anew, and nothing is lost`, async (t) => {
    const side = await createFilled();
    const before = stateOf(side.store);
    damage(side.storage, keyOf(side), 30);
    const again = await side.reopen();
    t.is(again.rebuilt, undefined);
    t.regex(again.healed ?? "", /^1 records are damaged, 1 rows of the index are missing$/);
    t.deepEqual(stateOf(again.store), before);
    t.deepEqual(contradictions(again.store), []);
    t.is((await again.reopen()).healed, undefined);
  });
}

test("the list of keys with several siblings: missing rows, stray ones and damaged ones are put right, and nothing else is touched", async (t) => {
  const side = await createFilled();
  const before = stateOf(side.store);
  await side.storage.write([
    { key: severalAt("both"), value: undefined },
    { key: severalAt("k"), value: Buffer.from("k") },
  ]);
  const again = await side.reopen();
  t.deepEqual([again.rebuilt, again.healed], [undefined, "the list of keys with several siblings is not that of the entries"]);
  t.deepEqual(stateOf(again.store), before);
  t.deepEqual(contradictions(again.store), []);
  damage(side.storage, severalAt("both"), 3);
  const third = await again.reopen();
  t.deepEqual(
    [third.rebuilt, third.healed],
    [undefined, "1 records are damaged, the list of keys with several siblings is not that of the entries"],
  );
  t.deepEqual(stateOf(third.store), before);
  t.deepEqual(contradictions(third.store), []);
  t.is((await third.reopen()).healed, undefined);
});

test("an entry whose content is not what its hash says is lost, and leaves no row behind", async (t) => {
  const side = await createFilled();
  const siblings = side.store.read("both").map((sibling) => ({ ...sibling, value: Buffer.from("6") }));
  await side.storage.write([{ key: entryAt("both"), value: encodeSiblings(siblings) }]);
  const again = await side.reopen();
  t.deepEqual([again.rebuilt, marked(again)], [undefined, ["both"]]);
  t.deepEqual([...rowsOf(again.storage, SEVERAL)], []);
  t.deepEqual(contradictions(again.store), []);
  t.is((await again.reopen()).healed, undefined);
});

test("the same sums when the store is audited as it serves, in slices", async (t) => {
  const side = await openTestStore("a");
  for (let i = 0; i < 3_000; i++) side.store.put(`key${i}`, json(`${i}`), NOW);
  await side.persist();
  for (const i of [3, 1_500, 2_999]) damage(side.storage, entryAt(`key${i}`), i);
  damage(side.storage, indexAt(side.store.incarnation!, 10));
  damage(side.storage, contextAt(side.store.incarnation!));
  damage(side.storage, META);
  const audit = new Audit(side.store);
  let i = 0;
  for (let step = audit.step(); ; step = audit.step()) {
    if (step.done) {
      if (step.finding.kind !== "damaged") return t.fail(JSON.stringify(step.finding));
      t.is(step.finding.damaged, 4, "what is known of the whole has been written anew meanwhile");
      side.store.amend(step.finding.amendment);
      break;
    }
    side.store.put(`new${i}`, json("0"), NOW);
    side.store.remove(`key${100 + i}`, undefined, NOW);
    side.store.put(`key${2_000 - i++}`, json("1"), NOW);
    if (i % 2 === 0) await side.persist();
  }
  t.true(i > 10);
  await side.persist();
  t.deepEqual(contradictions(side.store), []);
  t.deepEqual(marked(side).sort(), ["key1500", "key2999", "key3"]);
  const again = await side.reopen();
  t.deepEqual([again.rebuilt, again.healed], [undefined, undefined]);
  t.is([...rowsOf(again.storage, INDEX)].length, again.store.count);
});
