/** The overlay against a model: a turn sees its own changes laid over what is durable, in gets and in pages of any range. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Overlay } from "../../lib/core/overlay.ts";
import type { StorageReader } from "../../lib/core/ports.ts";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { holds } from "../support/property.ts";

/** Few keys, so that changes hide rows, stand between them and lie beyond them. */
const key = fc.string({ unit: fc.constantFrom("a", "b", "\xff"), minLength: 1, maxLength: 3 });
const value = fc.constantFrom("1", "2", "");
const change = fc.tuple(key, fc.option(value, { nil: undefined }));

/** What is durable, without the wait for a write. */
function readerOf(rows: ReadonlyMap<string, string>): StorageReader {
  return {
    get: (name) => (rows.has(name) ? Buffer.from(rows.get(name)!) : undefined),
    range(from, to, limit) {
      const within = [...rows.keys()].filter((name) => name >= from && name < to).sort();
      return {
        rows: within.slice(0, limit).map((name) => ({ key: name, value: Buffer.from(rows.get(name)!) })),
        more: within.length > limit,
      };
    },
  };
}

const shown = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : Buffer.from(bytes).toString());

test("get and range: those of the durable rows with the changes applied", (t) => {
  holds(
    t,
    fc.property(
      fc.array(fc.tuple(key, value), { maxLength: 12 }),
      fc.array(change, { maxLength: 12 }),
      fc.array(fc.tuple(key, key, fc.integer({ min: 1, max: 6 })), { minLength: 1, maxLength: 5 }),
      (durable, changes, ranges) => {
        const model = new Map(durable);
        const overlay = new Overlay(readerOf(new Map(durable)));
        for (const [i, [name, text]] of changes.entries()) {
          overlay.set(name, text === undefined ? undefined : Buffer.from(text));
          if (text === undefined) model.delete(name);
          else model.set(name, text);
          // Between changes too: what a range has sorted must not outlive the next change.
          const [from, to, limit] = ranges[i % ranges.length]!;
          const page = overlay.range(from, to, limit);
          const expected = [...model].filter(([one]) => one >= from && one < to).sort(([a], [b]) => (a < b ? -1 : 1));
          assert.deepEqual(
            page.rows.map((row) => [row.key, shown(row.value)]),
            expected.slice(0, limit),
          );
          assert.equal(page.more, expected.length > limit);
        }
        for (const name of ["a", "b", "\xff", "ab"]) assert.equal(shown(overlay.get(name)), model.get(name));
      },
    ),
    { numRuns: 500 },
  );
});

test("walked page by page, a range shows every row once", (t) => {
  holds(
    t,
    fc.property(
      fc.array(fc.tuple(key, value), { maxLength: 20 }),
      fc.array(change, { maxLength: 20 }),
      fc.integer({ min: 1, max: 4 }),
      (durable, changes, limit) => {
        const model = new Map(durable);
        const overlay = new Overlay(readerOf(new Map(durable)));
        for (const [name, text] of changes) {
          overlay.set(name, text === undefined ? undefined : Buffer.from(text));
          if (text === undefined) model.delete(name);
          else model.set(name, text);
        }
        const walked: string[] = [];
        for (let from = "a", more = true; more;) {
          const page = overlay.range(from, "\xff\xff\xff\xff", limit);
          walked.push(...page.rows.map((row) => row.key));
          from = `${page.rows.at(-1)?.key ?? from}\0`;
          more = page.more;
        }
        assert.deepEqual(walked, [...model.keys()].sort());
      },
    ),
  );
});

test("take hands out the last change of each key; settle forgets them when the storage shows them", async (t) => {
  const storage = createMemoryStorage();
  await storage.write([{ key: "gone", value: Buffer.from("0") }]);
  const overlay = new Overlay(storage);
  overlay.set("k", Buffer.from("1"));
  overlay.set("gone", undefined);
  overlay.set("k", Buffer.from("2"));
  t.is(storage.get("k"), undefined, "nobody else sees what is not durable");
  const batch = overlay.take();
  t.deepEqual(
    batch.map((one) => [one.key, shown(one.value)]),
    [
      ["k", "2"],
      ["gone", undefined],
    ],
  );
  t.is(shown(overlay.get("k")), "2", "the turn sees its own write until the storage does");
  await storage.write(batch);
  overlay.settle();
  t.deepEqual([shown(overlay.get("k")), overlay.get("gone")], ["2", undefined]);
});

test("while a batch is on its way the next one gathers above it", async (t) => {
  const storage = createMemoryStorage();
  const overlay = new Overlay(storage);
  for (const one of ["a", "b", "c"]) overlay.set(one, Buffer.from("1"));
  const first = overlay.take();
  overlay.set("b", Buffer.from("2"));
  overlay.set("c", undefined);
  overlay.set("d", Buffer.from("2"));
  const rows = () => overlay.range("a", "z", 10).rows.map((row) => `${row.key} ${shown(row.value)}`);
  t.deepEqual(rows(), ["a 1", "b 2", "d 2"]);
  t.throws(() => overlay.take(), { message: /one batch is on its way at a time/ });
  await storage.write(first);
  overlay.settle();
  t.deepEqual([rows(), shown(overlay.get("b")), overlay.get("c")], [["a 1", "b 2", "d 2"], "2", undefined]);
  await storage.write(overlay.take());
  overlay.settle();
  t.deepEqual(rows(), ["a 1", "b 2", "d 2"]);
});
