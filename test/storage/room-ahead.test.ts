/** The room that is made past the last page: there before it is needed, bounded, never in the way of what is stored. */
import { fstatSync, openSync, closeSync, readFileSync, statSync, truncateSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { Prng } from "../../lib/sim/prng.ts";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { checkPages, usedBytesOf } from "../../lib/storage/page-check.ts";
import { openRoomAhead } from "../../lib/storage/room-ahead.ts";
import { scratch } from "./disk.ts";

const STEP_BYTES = 512 * 1024;
const LOW_BYTES = 128 * 1024;

/** Both as they are between two transactions. */
function lookAt(path: string): { readonly size: number; readonly used: number } {
  const file = openSync(path, "r");
  try {
    return { size: fstatSync(file).size, used: usedBytesOf(file) ?? 0 };
  } finally {
    closeSync(file);
  }
}

test("a file that grows by small batches grows in steps, ahead of its pages, and holds what was written", async (t) => {
  const prng = new Prng("room ahead");
  const folder = join(await scratch(t), "data");
  const path = join(folder, "data.mdb");
  const written = new Map<string, number>();
  const sizes = new Set<number>();
  let grew = 0;
  for (let start = 0; start < 2; start++) {
    const storage = await openLmdbStorage({ folder });
    for (let batch = 0; batch < 150; batch++) {
      const before = lookAt(path);
      const changes = Array.from({ length: 20 }, () => ({ key: `k${prng.below(100_000)}`, value: Buffer.alloc(200, batch) }));
      await storage.write(changes);
      for (const { key } of changes) written.set(key, batch);
      const after = lookAt(path);
      if (after.used > before.used) grew++;
      sizes.add(after.size);
      t.true(after.size >= after.used && after.size - after.used <= STEP_BYTES + LOW_BYTES, JSON.stringify(after));
    }
    await storage.close();
  }
  t.true(grew > 100, `${grew} batches took new pages`);
  t.true(sizes.size <= 8, `the file had ${sizes.size} sizes`);
  t.is(await checkPages(path, 1e9), undefined);
  const storage = await openLmdbStorage({ folder });
  for (const [key, batch] of written) t.is(storage.get(key)?.[0], batch);
  await storage.close();
});

test("a start goes on with a file whose room ahead is gone, or was half made", async (t) => {
  const folder = join(await scratch(t), "data");
  const path = join(folder, "data.mdb");
  for (const cut of [0, 1, 5_000, LOW_BYTES]) {
    const storage = await openLmdbStorage({ folder });
    await storage.write([{ key: `cut at ${cut}`, value: Buffer.from("x") }]);
    await storage.close();
    truncateSync(path, lookAt(path).used + cut);
  }
  const storage = await openLmdbStorage({ folder });
  t.is(storage.range("cut", "cuu", 10).rows.length, 4);
  await storage.close();
});

test("no room is made on a disk that is nearly full, nor for a file that is none of lmdb's", async (t) => {
  const folder = join(await scratch(t), "data");
  const path = join(folder, "data.mdb");
  await (await openLmdbStorage({ folder })).close();
  truncateSync(path, lookAt(path).used);
  const { size } = statSync(path);
  const room = openRoomAhead(path);
  room.keep(STEP_BYTES - 1);
  t.is(statSync(path).size, size);
  room.keep(STEP_BYTES);
  room.keep(STEP_BYTES);
  t.is(statSync(path).size, size + STEP_BYTES);
  room.close();

  const other = join(folder, "other");
  await writeFile(other, "x".repeat(1_000));
  const none = openRoomAhead(other);
  none.keep(Infinity);
  none.close();
  t.is(readFileSync(other, "utf8"), "x".repeat(1_000));
  t.throws(() => openRoomAhead(join(folder, "missing")), { code: "ENOENT" });
});
