/** The check of pages: it finds nothing wrong with any file that lmdb has written, whatever was written, and what lmdb would stumble over. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Prng } from "../../lib/sim/prng.ts";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { checkPages } from "../../lib/storage/page-check.ts";
import { scratch, startChild } from "./disk.ts";

const FOREVER_MS = 1e9;
const PAGE_BYTES = 4_096;

for (const seed of [1, 2, 3, 4]) {
  test(`page check: nothing is wrong with a file that was written at random, seed ${seed}`, async (t) => {
    const prng = new Prng(`pages ${seed}`);
    const folder = join(await scratch(t), "data");
    const keys = Array.from({ length: 3_000 }, (_, i) => `${"k".repeat(prng.below(seed === 3 ? 900 : 20))}${i}`);
    for (let round = 0; round < 4; round++) {
      const storage = await openLmdbStorage({ folder });
      for (let batch = 0; batch < 25; batch++) {
        const changes = Array.from({ length: prng.skewed(1, 400) }, () => {
          const size = prng.chance(0.1) ? prng.below(60_000) : prng.below(seed === 2 ? 3_000 : 120);
          return { key: prng.pick(keys), value: prng.chance(0.4) ? undefined : Buffer.alloc(size, 7) };
        });
        await storage.write(changes);
      }
      await storage.close();
      t.is(await checkPages(join(folder, "data.mdb"), FOREVER_MS), undefined);
    }
  });
}

test("page check: nothing is wrong with the file of a process that was killed", async (t) => {
  const folder = join(await scratch(t), "data");
  for (let kill = 1; kill <= 4; kill++) {
    const child = startChild(t, "count", folder, "lmdb");
    for (let lines = 0; lines < 10 * kill; lines++) await child.next();
    await child.kill();
    t.is(await checkPages(join(folder, "data.mdb"), FOREVER_MS), undefined);
  }
});

test("page check: sizes, places, numbers and order that cannot be", async (t) => {
  const folder = join(await scratch(t), "data");
  const path = join(folder, "data.mdb");
  const storage = await openLmdbStorage({ folder });
  for (let batch = 0; batch < 20; batch++) {
    await storage.write(Array.from({ length: 100 }, (_, row) => ({ key: `${batch} ${row}`, value: Buffer.alloc(row, batch) })));
  }
  await storage.write([{ key: "large", value: Buffer.alloc(50_000) }]);
  await storage.close();
  const original = await readFile(path);
  const leaf = Array.from({ length: original.length / PAGE_BYTES - 2 }, (_, i) => (i + 2) * PAGE_BYTES).find(
    (at) =>
      original.readUInt16LE(at + 18) === 2 &&
      original.readUInt16LE(at + 20) > 20 &&
      original.includes("10 5", at) &&
      original.indexOf("10 5", at) < at + PAGE_BYTES,
  )!;
  const node = leaf + 24 + original.readUInt16LE(leaf + 24);
  const spoil: Record<string, readonly [(file: Buffer) => void, RegExp]> = {
    "the size of a record": [(file) => file.writeUInt32LE(file.readUInt32LE(node) ^ 0x40, node), /overlap|larger than the page/],
    "the size of a key": [(file) => file.writeUInt16LE(file.readUInt16LE(node + 6) ^ 0x08, node + 6), /overlap|larger|order/],
    "the kind of a record": [(file) => file.writeUInt16LE(4, node + 4), /unknown kind/],
    "the place of a record": [
      (file) => file.writeUInt16LE(file.readUInt16LE(leaf + 24) ^ 0x10, leaf + 24),
      /overlap|outside|larger|unknown kind|order/,
    ],
    "a page's number": [(file) => file.writeUInt32LE(3, leaf), /says that it is another one/],
    "a page's kind": [(file) => file.writeUInt16LE(4, leaf + 18), /of no kind/],
    "a page's bounds": [(file) => file.writeUInt16LE(file.readUInt16LE(leaf + 22) ^ 0x20, leaf + 22), /gap|overlap|outside/],
    "the number of records": [(file) => file.writeUInt16LE(file.readUInt16LE(leaf + 20) - 2, leaf + 20), /gap|overlap/],
  };
  for (const [what, [change, expected]] of Object.entries(spoil)) {
    const file = Buffer.from(original);
    change(file);
    await writeFile(path, file);
    t.regex((await checkPages(path, FOREVER_MS)) ?? "nothing", expected, what);
    await t.throwsAsync(openLmdbStorage({ folder }), { code: "damaged" }, what);
  }
  await writeFile(path, original);
  t.is(await checkPages(path, FOREVER_MS), undefined);
});

test("page check: when the time is over it has found nothing", async (t) => {
  const folder = join(await scratch(t), "data");
  const storage = await openLmdbStorage({ folder });
  for (let batch = 0; batch < 20; batch++) {
    await storage.write(Array.from({ length: 500 }, (_, row) => ({ key: `${batch} ${row}`, value: Buffer.alloc(900, batch) })));
  }
  await storage.close();
  t.is(await checkPages(join(folder, "data.mdb"), -1), undefined);
});
