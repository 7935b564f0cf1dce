/**
 * The journal before a storage, in memory: the contract, and crashes at every moment.
 *
 * A crash leaves of a write to the journal any of its sectors, and of a batch that the tree was given all or nothing. What is there at the next opening
 * is what was acknowledged, and of what was not at most a beginning, batch by batch: never a part of a batch, never a later one without an
 * earlier one.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { ConcordError } from "../../lib/core/errors.ts";
import type { Storage, StorageChange } from "../../lib/core/ports.ts";
import { Prng } from "../../lib/sim/prng.ts";
import { openJournaled, type JournalLimits, type JournalMedium } from "../../lib/storage/journaled.ts";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { fill } from "../contract/full-disk.ts";
import { bytes, put, rowsOf, type Row } from "../contract/storage-engine.ts";
import { testStorage } from "../contract/storage.ts";
import { holdsAsync } from "../support/property.ts";

/** So small that every run turns to the other half many times. */
const LIMITS: JournalLimits = { recordBytesMax: 6_000, halfBytes: 16_384, rowsMax: 12 };
const SECTOR_BYTES = 512;
const ALL = ["", "\xff\xff\xff\xff\xff"] as const;

/** What outlives a crash. */
class Ground {
  readonly tree = createMemoryStorage();
  journal: Buffer | undefined;
  /** Steps that reach the disk before the one in whose middle this life ends. */
  stepsLeft = Infinity;
  /** Called when it ends. */
  onCrash = (): void => undefined;
  /** The salt too. */
  #life = 0;
  readonly #prng: Prng;

  constructor(seed: number) {
    this.#prng = new Prng(`crash ${seed}`);
  }

  /** Ends the life before, wherever it is. */
  open(limits: JournalLimits = LIMITS): Promise<Storage> {
    this.#life += 1;
    return openJournaled({
      below: this.#below(this.#life),
      medium: this.#medium(this.#life),
      salt: [this.#life, 1],
      damaged: (detail) => new ConcordError("damaged", `the journal ${detail}`),
      failed: (cause) => (cause instanceof ConcordError ? cause : new ConcordError("storage-failed", String(cause))),
      limits,
    });
  }

  /** Whether the step is carried out as a whole. One of a life that is over is not carried out at all, and has no end. */
  async #isWhole(life: number): Promise<boolean> {
    if (life !== this.#life) await NEVER;
    if (this.stepsLeft-- > 0) return true;
    this.#life += 1;
    setImmediate(() => this.onCrash());
    return false;
  }

  #below(life: number): Storage {
    const { tree } = this;
    return {
      get: (key) => tree.get(key),
      range: (from, to, limit) => tree.range(from, to, limit),
      write: async (batch) => {
        // The tree takes longer than the journal.
        for (let turn = this.#prng.below(6); turn > 0; turn--) await new Promise(setImmediate);
        const isWhole = await this.#isWhole(life);
        if (isWhole || this.#prng.chance(0.5)) await tree.write(batch);
        if (!isWhole) await NEVER;
      },
      close: async () => undefined,
    };
  }

  #medium(life: number): JournalMedium {
    return {
      read: async () => this.journal && Buffer.from(this.journal),
      open: async () => void (this.journal ??= Buffer.alloc(0)),
      write: async (record, at) => {
        const isWhole = await this.#isWhole(life);
        const before = this.journal ?? Buffer.alloc(0);
        const after = Buffer.alloc(Math.max(before.length, at + record.length));
        before.copy(after);
        for (let from = 0; from < record.length; from += SECTOR_BYTES)
          if (isWhole || this.#prng.chance(0.7)) record.copy(after, at + from, from, Math.min(from + SECTOR_BYTES, record.length));
        this.journal = after;
        await (isWhole ? new Promise(setImmediate) : NEVER);
      },
      close: async () => undefined,
    };
  }
}

const NEVER = new Promise<never>(() => undefined);

testStorage({
  name: "journaled",
  modelRuns: 200,

  async open() {
    const ground = new Ground(1);
    let storage = await ground.open();
    const reopen = async (): Promise<Storage> => {
      await storage.close();
      return (storage = await ground.open());
    };
    return {
      storage,
      reopen,
      async tamper(key, change) {
        await storage.close();
        const { records } = ground.tree;
        records.set(key, change(Buffer.from(records.get(key) ?? "", "latin1")).toString("latin1"));
        return reopen();
      },
    };
  },

  async fillDisk() {
    const storage = await openJournaled({
      below: createMemoryStorage({ bytesMax: 4_000_000 }),
      medium: { read: async () => undefined, open: async () => undefined, write: async () => undefined, close: async () => undefined },
      salt: [1, 1],
      damaged: (detail) => new ConcordError("damaged", detail),
      failed: (cause) => cause as ConcordError,
    });
    return { report: await fill(storage), code: "disk-full" };
  },
});

/** What a life writes: batches by their sizes, and how many are handed over together. */
const burst = fc.array(
  fc.array(fc.oneof({ weight: 9, arbitrary: fc.nat(300) }, { weight: 1, arbitrary: fc.nat(9_000) }), { maxLength: 6 }),
  {
    minLength: 1,
    maxLength: 4,
  },
);
const life = fc.record({ crashAt: fc.integer({ min: 0, max: 40 }), bursts: fc.array(burst, { maxLength: 30 }) });

test("after any crash there is what was acknowledged, and of the rest a beginning", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 6 }), fc.nat(), async (lives, seed) => {
      const ground = new Ground(seed);
      const keys = new Prng(`keys ${seed}`);
      let number = 0;
      let present: Row[] = [];
      for (const { crashAt, bursts } of lives) {
        const crashed = new Promise<undefined>((resolve) => (ground.onCrash = () => resolve(undefined)));
        ground.stepsLeft = crashAt;
        const storage = await Promise.race([ground.open(), crashed]);
        /** The rows after each batch of this life. */
        const states = [present];
        let acknowledged = 0;
        for (const sizes of storage === undefined ? [] : bursts) {
          const writes = sizes.map((rows) => {
            const batch = rows.map((size): StorageChange => {
              const key = `k${keys.below(30)}`;
              return keys.chance(0.2) ? { key, value: undefined } : put(key, `${++number} `.padEnd(size, "v"));
            });
            states.push(applied(states.at(-1)!, batch));
            return storage!.write(batch).then(() => acknowledged++);
          });
          const seen = stateOf(storage!, states, acknowledged);
          assert.notEqual(seen, undefined, "reads show whole batches, in their order");
          if ((await Promise.race([Promise.all(writes), crashed])) === undefined) break;
        }
        ground.stepsLeft = Infinity;
        const after = await ground.open();
        const kept = stateOf(after, states, acknowledged);
        assert.notEqual(kept, undefined, `${acknowledged} of ${states.length - 1} batches were acknowledged; there is ${brief(after)}`);
        present = states[kept!]!;
      }
    }),
    { numRuns: 400 },
  );
});

function applied(rows: readonly Row[], batch: readonly StorageChange[]): Row[] {
  const map = new Map(rows);
  for (const { key, value } of batch) {
    if (value === undefined) map.delete(key);
    else map.set(key, Buffer.from(value).toString("latin1"));
  }
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** After how many batches the rows are these: the acknowledged ones at least. */
function stateOf(storage: Storage, states: readonly (readonly Row[])[], acknowledged: number): number | undefined {
  const rows = JSON.stringify(rowsOf(storage, ...ALL));
  const found = states.findIndex((state, index) => index >= acknowledged && JSON.stringify(state) === rows);
  return found < 0 ? undefined : found;
}

const brief = (storage: Storage): string => rowsOf(storage, ...ALL).map(([key, value]) => `${key}=${value.slice(0, 8).trim()}`).join(" "); // prettier-ignore

test("a record that is missing among others is damage; the last may have been cut short", async (t) => {
  const ground = new Ground(1);
  const limits = { ...LIMITS, rowsMax: 1_000 };
  const storage = await ground.open(limits);
  for (let i = 1; i <= 3; i++) await storage.write([put("k", String(i))]);
  const { journal } = ground;
  const without = (record: number): Buffer => {
    const copy = Buffer.from(journal!);
    copy[(record - 1) * 4_096 + 30]! ^= 1;
    return copy;
  };
  ground.journal = without(2);
  await t.throwsAsync(ground.open(), { code: "damaged", message: "the journal lacks record 2 and has record 3" });
  ground.journal = undefined;
  await t.throwsAsync(ground.open(), { code: "damaged", message: "the journal is missing" });
  ground.journal = without(3);
  t.deepEqual(rowsOf(await ground.open(), ...ALL), [["k", "2"]]);
});

test("whatever happens to the journal's bytes: a beginning of what was written, or refused", async (t) => {
  const damage = fc.record({ at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 600 }) });
  let [refused, shorter] = [0, 0];
  await holdsAsync(
    t,
    fc.asyncProperty(
      fc.array(fc.nat(3_000), { minLength: 1, maxLength: 8 }),
      fc.array(damage, { minLength: 1, maxLength: 3 }),
      async (sizes, damages) => {
        const ground = new Ground(1);
        const storage = await ground.open({ ...LIMITS, halfBytes: 131_072, rowsMax: 1_000 });
        const states: Row[][] = [[]];
        for (const [i, size] of sizes.entries()) {
          const batch = [put(`k${i % 3}`, `${i}`.padEnd(size)), put("last", String(i))];
          await storage.write(batch);
          states.push(applied(states.at(-1)!, batch));
        }
        const journal = ground.journal!;
        for (const { at, bytes: others } of damages)
          journal.set(others.slice(0, journal.length - (at % journal.length)), at % journal.length);
        try {
          const kept = stateOf(await ground.open(), states, 0);
          assert.notEqual(kept, undefined);
          if (kept! < sizes.length) shorter++;
        } catch (error) {
          assert.equal((error as ConcordError).code, "damaged");
          refused++;
        }
      },
    ),
    { numRuns: 300 },
  );
  t.true(refused > 0 && shorter > 0, `${refused} refused, ${shorter} shorter`);
});

test("one damaged mark is enough to go on, two are not", async (t) => {
  const [first = "", second = ""] = ["\xffjournal 1", "\xffjournal 2"];
  const flip = (ground: Ground, key: string): void => {
    const record = bytes(ground.tree.records.get(key)!);
    record[6]! ^= 1;
    ground.tree.records.set(key, record.toString("latin1"));
  };
  for (const key of [first, second]) {
    const ground = new Ground(1);
    await (await ground.open()).write([put("k", "1")]);
    flip(ground, key);
    t.deepEqual(rowsOf(await ground.open(), ...ALL), [["k", "1"]]);
  }
  const ground = new Ground(1);
  await (await ground.open()).write([put("k", "1")]);
  flip(ground, first);
  flip(ground, second);
  await t.throwsAsync(ground.open(), { code: "damaged", message: /cannot be read/ });
});

test("closing hands everything to the tree", async (t) => {
  const ground = new Ground(1);
  const storage = await ground.open();
  await storage.write([put("a", "1"), put("b", "2")]);
  t.is(ground.tree.get("a"), undefined);
  await storage.close();
  t.deepEqual(rowsOf(ground.tree, "a", "c"), [
    ["a", "1"],
    ["b", "2"],
  ]);
});

test("a tree that was put back from a copy takes no records of a later opening", async (t) => {
  const ground = new Ground(1);
  const first = await ground.open();
  await first.write([put("a", "1")]);
  await first.close();
  const copy = ground.tree.range("", "\xff\xff", 100).rows;
  const second = await ground.open();
  await second.write([put("a", "2"), put("b", "2")]);
  const restored = new Ground(2);
  await restored.tree.write(copy);
  restored.journal = ground.journal;
  t.deepEqual(rowsOf(await restored.open(), ...ALL), [["a", "1"]]);
});
