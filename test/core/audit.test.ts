/** Audits: they find every disagreement between a store and its entries, and none while writes go on before, behind and under their walk. */
import test from "ava";
import fc from "fast-check";
import assert from "node:assert/strict";
import { Audit } from "../../lib/core/audit.ts";
import type { Finding } from "../../lib/core/audit-verdict.ts";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { contextAt, entryAt, indexAt, META } from "../../lib/core/layout.ts";
import type { StorageChange } from "../../lib/core/ports.ts";
import { START_MS } from "../support/chance.ts";
import { holdsAsync } from "../support/property.ts";
import { json, openTestStore, type TestStore } from "../support/stores.ts";
import { openStore } from "../../lib/core/store-open.ts";
import { Store } from "../../lib/core/store.ts";
import { decodeMeta } from "../../lib/core/meta.ts";
import { loadContext } from "../../lib/core/context-record.ts";

const NOW = START_MS;
/** Three pages of the walk. */
const KEYS = 1500;

const nameOf = (n: number): string => `key${String(n).padStart(4, "0")}`;

async function createFilled(keys: number): Promise<TestStore> {
  const side = await openTestStore("a");
  for (let n = 0; n < keys; n++) side.store.put(nameOf(n), json(`${n}`), NOW);
  await side.persist();
  return side;
}

function problemOf(audit: Audit): string | undefined {
  for (;;) {
    const step = audit.step();
    if (step.done) return problemIn(step.finding);
  }
}

function problemIn(finding: Finding): string | undefined {
  return finding.kind === "sound" ? undefined : `${finding.kind}: ${finding.problem}`;
}

test("an audit finds nothing wrong while writes, deletions and batches go on", async (t) => {
  const side = await createFilled(KEYS);
  const { store } = side;
  const change = fc.record({
    put: fc.boolean(),
    key: fc.nat({ max: KEYS + 50 }),
    page: fc.nat({ max: 3 }),
    blind: fc.boolean(),
    persist: fc.boolean(),
  });
  await holdsAsync(
    t,
    fc.asyncProperty(fc.array(change, { maxLength: 20, size: "max" }), async (changes) => {
      const audit = new Audit(store);
      for (let page = 0; ; page++) {
        for (const one of changes.filter((other) => other.page === page)) {
          if (one.put) store.put(nameOf(one.key), json("0", one.blind ? { observed: [] } : {}), NOW);
          else store.remove(nameOf(one.key), undefined, NOW);
          if (one.persist) await side.persist();
        }
        const step = audit.step();
        if (!step.done) continue;
        assert.deepEqual(step.finding, { kind: "sound" });
        break;
      }
      assert.deepEqual(new Audit(store).runToEnd(), { kind: "sound" });
    }),
    { numRuns: 40 },
  );
});

/** What was done behind the store's back, and what its audit says. */
const damages: Record<string, readonly [damage: (side: TestStore) => StorageChange[], problem: RegExp]> = {
  "an entry is missing": [() => [{ key: entryAt("key0007"), value: undefined }], /^damaged: 1 values are lost/],
  "a value is another": [
    ({ store }) => [{ key: entryAt("key0007"), value: encodeSiblings([{ ...store.read("key0007")[0]!, value: Buffer.from("1") }]) }],
    /^damaged: 1 records are damaged, 1 values are lost$/,
  ],
  "a live dot is missing in the index": [
    ({ store }) => [{ key: indexAt(store.incarnation!, 8), value: undefined }],
    /^damaged: 1 rows of the index are missing$/,
  ],
  "an entry has an older dot": [
    ({ store }) => {
      const sibling = store.read("key0007")[0]!;
      return [{ key: entryAt("key0007"), value: encodeSiblings([{ ...sibling, dot: { ...sibling.dot, counter: 7 } }]) }];
    },
    /^broken: the dots do not sum up/,
  ],
};

for (const [what, [damage, problem]] of Object.entries(damages)) {
  test(`an audit tells that ${what}`, async (t) => {
    const side = await createFilled(10);
    await side.storage.write(damage(side));
    t.regex(problemOf(new Audit(side.store)) ?? "nothing", problem);
  });
}

test("an audit tells that a live dot was never seen, and that keys were miscounted", async (t) => {
  const side = await createFilled(10);
  await side.storage.write([{ key: contextAt(side.store.incarnation!), value: Buffer.from([1, 0, 6]) }]);
  const meta = decodeMeta(side.storage.get(META)!);
  const forgetful = new Store(side.storage, side.store.options, meta, loadContext(side.storage));
  t.regex(problemOf(new Audit(forgetful)) ?? "nothing", /^broken: the context does not know a live dot of "key0007"$/);
  const miscounted = new Store(side.storage, side.store.options, { ...meta, keyCount: 9 }, side.store.context);
  t.is(problemIn(new Audit(miscounted).runToEnd()), "damaged: the keys were miscounted");
});

test("an audit that is over, or was stopped, listens no more", async (t) => {
  const { store } = await createFilled(KEYS);
  const done = new Audit(store);
  t.is(problemOf(done), undefined);
  const stopped = new Audit(store);
  stopped.step();
  stopped.stop();
  store.put(nameOf(0), json("0"), NOW);
  t.regex(problemOf(stopped) ?? "nothing", /the dots do not sum up/, "what it does not hear of is missing in its sums");
});

test("the audit at the open is the same audit", async (t) => {
  const side = await createFilled(10);
  await side.storage.write([{ key: entryAt("key0007"), value: undefined }]);
  t.like(await openStore(side.storage, side.store.options), { rebuilt: undefined, healed: "1 values are lost" });
});
