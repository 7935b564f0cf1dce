/** Random steps against the simplest ordered map there is. Few keys, so that they meet; byte values from both ends. */
import test from "ava";
import fc from "fast-check";
import { rowsOf, text, type Row, type StorageEngine } from "./storage-engine.ts";

export function testModel(engine: StorageEngine): void {
  const key = fc.array(fc.constantFrom("\x00", "a", "b", "\xff"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(""));
  const value = fc.oneof(
    fc.constant(undefined),
    fc.string({ maxLength: 20 }),
    fc.integer({ min: 0, max: 20_000 }).map((n) => "v".repeat(n)),
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ batch: fc.array(fc.tuple(key, value), { maxLength: 40 }) }) },
    { weight: 4, arbitrary: fc.record({ from: key, to: key, limit: fc.integer({ min: 0, max: 30 }) }) },
    { weight: 1, arbitrary: fc.constant({ reopen: true } as const) },
  );

  test(`${engine.name}: behaves as a sorted map does`, async (t) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const opened = await engine.open(t);
        let storage = opened.storage;
        const model = new Map<string, string>();
        const expected = (from: string, to: string): Row[] =>
          [...model].filter(([name]) => name >= from && name < to).sort(([a], [b]) => (a < b ? -1 : 1));
        for (const move of steps) {
          if ("batch" in move) {
            const batch = move.batch.map(([name, content]) => ({
              key: name,
              value: content === undefined ? undefined : Buffer.from(content),
            }));
            await storage.write(batch);
            for (const change of batch) {
              if (change.value === undefined) model.delete(change.key);
              else model.set(change.key, text(change.value) ?? "");
            }
          } else if ("reopen" in move) {
            if (opened.reopen !== undefined) storage = await opened.reopen();
          } else {
            const all = expected(move.from, move.to);
            t.deepEqual(rowsOf(storage, move.from, move.to, move.limit), all.slice(0, move.limit));
            t.is(storage.range(move.from, move.to, move.limit).more, all.length > move.limit);
          }
        }
        t.deepEqual(rowsOf(storage, "", "\xff\xff\xff\xff\xff"), expected("", "\xff\xff\xff\xff\xff"));
        for (const [name, content] of model) t.is(text(storage.get(name)), content);
        await storage.close();
      }),
      { numRuns: engine.modelRuns },
    );
  });
}
