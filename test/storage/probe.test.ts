/** Data files that were cut, zeroed or overwritten: an error that says what to do, where lmdb itself would take the process down. */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { ConcordError } from "../../lib/core/errors.ts";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { scratch } from "./disk.ts";

const PAGE_BYTES = 4_096;
const WAY_OUT = /^the data in \S+ is damaged \(.+\): restore the folder from a backup, or move it away and start again/;

const zeros = (file: Buffer, from: number, to: number): Buffer => Buffer.from(file).fill(0, from, to);

const damages: Readonly<Record<string, (file: Buffer) => Buffer | undefined>> = {
  "is missing": () => undefined,
  "is empty": () => Buffer.alloc(0),
  "has 100 bytes": (file) => file.subarray(0, 100),
  "has one page": (file) => file.subarray(0, PAGE_BYTES),
  "has its two meta pages": (file) => file.subarray(0, 2 * PAGE_BYTES),
  "is cut in half": (file) => file.subarray(0, file.length / 2),
  "is all zeros": (file) => zeros(file, 0, file.length),
  "has lost its first meta page": (file) => zeros(file, 0, PAGE_BYTES),
  "has lost its second meta page": (file) => zeros(file, PAGE_BYTES, 2 * PAGE_BYTES),
  "has zeros for data": (file) => zeros(file, 2 * PAGE_BYTES, file.length),
  "has another text for data": (file) => Buffer.from(file).fill("this is not a page ", 2 * PAGE_BYTES),
  "is a text": () => Buffer.from("nothing to see here\n".repeat(1_000)),
};

for (const [what, damage] of Object.entries(damages)) {
  test(`probe: a data file that ${what}`, async (t) => {
    const folder = join(await scratch(t), "data");
    const path = join(folder, "data.mdb");
    const storage = await openLmdbStorage({ folder });
    for (let batch = 0; batch < 20; batch++) {
      await storage.write(Array.from({ length: 100 }, (_, row) => ({ key: `${batch} ${row}`, value: Buffer.alloc(row * 5, batch) })));
    }
    await storage.close();
    const damaged = damage(await readFile(path));
    if (damaged === undefined) await rm(path);
    else await writeFile(path, damaged);

    await t.throwsAsync(openLmdbStorage({ folder }), { instanceOf: ConcordError, code: "damaged", message: WAY_OUT });
    t.deepEqual(damaged, await readFile(path).catch(() => undefined), "the evidence is left as it is");
  });
}

test("probe: a healthy file is opened, however it was filled", async (t) => {
  const folder = join(await scratch(t), "data");
  for (let round = 0; round < 5; round++) {
    const storage = await openLmdbStorage({ folder });
    for (let batch = 0; batch < 10; batch++) {
      const value = (row: number): Buffer | undefined => ((row + round) % 3 === 0 ? undefined : Buffer.alloc(row * 131 * round));
      await storage.write(Array.from({ length: 60 }, (_, row) => ({ key: `${row}`, value: value(row) })));
    }
    await storage.close();
  }
  const storage = await openLmdbStorage({ folder });
  t.is(storage.range("", "\xff", 100).rows.length, 40);
  await storage.close();
});
