/** Records that are damaged behind the back of a scrub, when it has counted them as sound: nothing is given up for them that can be put right. */
import test from "ava";
import { Audit } from "../../lib/core/audit.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import { entryAt, EXPIRY, indexAt } from "../../lib/core/layout.ts";
import type { Output } from "../../lib/core/output.ts";
import type { Now } from "../../lib/core/ports.ts";
import { Sketches } from "../../lib/repair/sketches.ts";
import { Scrubber } from "../../lib/replica/scrubber.ts";
import { START_MS } from "../support/chance.ts";
import { marked } from "../support/filled.ts";
import { contradictions, damage, json, openTestStore, rowsOf, type TestStore } from "../support/stores.ts";

/** Two slices of the walk: the entries are counted in the first, their rows in the second. */
const KEYS = 500;

const NOW: Now = { wallMs: START_MS, monotonicMs: 0 };

const nameOf = (n: number): string => `key${String(n).padStart(4, "0")}`;

const indexOf = (side: TestStore, n: number): string => {
  const [dot] = dotsOf(side.store.read(nameOf(n)));
  return indexAt(dot!.incarnation, dot!.counter);
};

interface Case {
  /** Damaged before the scrub begins, and after its first slice. */
  readonly before: (side: TestStore) => readonly string[];
  readonly behind: (side: TestStore) => readonly string[];
  /** Numbers of the keys that are lost. */
  readonly lost: readonly number[];
}

const none = () => [];

const cases: Record<string, Case> = {
  "an entry, when another is damaged already": {
    before: () => [entryAt(nameOf(3))],
    behind: () => [entryAt(nameOf(5))],
    lost: [3, 5],
  },
  "a row of the index, of a value that is live": { before: none, behind: (side) => [indexOf(side, 490)], lost: [] },
  "a row of the index, and an entry, when others are damaged": {
    before: (side) => [entryAt(nameOf(3)), indexOf(side, 1)],
    behind: (side) => [entryAt(nameOf(5)), indexOf(side, 490)],
    lost: [3, 5],
  },
  "a row of the expiries, of a value that is live": {
    before: none,
    behind: ({ storage }) => [...rowsOf(storage, EXPIRY)].map(([key]) => key),
    lost: [],
  },
};

for (const [what, { before, behind, lost }] of Object.entries(cases)) {
  test(`damaged behind the scrub: ${what}`, async (t) => {
    const side = await openTestStore("a");
    const { store, storage } = side;
    for (let n = 0; n < KEYS; n++) store.put(nameOf(n), json(`${n}`, n === 7 ? { expiresAtMs: START_MS + 1_000_000 } : {}), START_MS);
    await side.persist();
    const lostDots = lost.flatMap((n) => dotsOf(store.read(nameOf(n))));
    const [beforeKeys, behindKeys] = [before(side), behind(side)];
    const scrubber = new Scrubber(store, new Sketches(store), NOW);
    for (const key of beforeKeys) damage(storage, key, 50);
    scrubber.want("asked", NOW);
    const outputs: Output[] = scrubber.step(NOW, none);
    t.true(scrubber.isRunning);
    t.false(behindKeys.length === 0);
    for (const key of behindKeys) damage(storage, key, 50);
    while (scrubber.isRunning) outputs.push(...scrubber.step(NOW, none));
    await side.persist();

    t.deepEqual(
      outputs.map((output) => (output.type === "event" ? output.event.kind : output.type)),
      ["scrub-ended"],
    );
    t.like(scrubber.view().last, { number: 1, damaged: beforeKeys.length + behindKeys.length, lost: lost.length });
    t.deepEqual(marked(side), lost.map(nameOf));
    for (const dot of lostDots) t.false(store.context.has(dot));
    t.is(store.count, KEYS - lost.length);
    t.deepEqual(contradictions(store), []);
    t.is(new Audit(store).runToEnd().kind, "sound");
  });
}
