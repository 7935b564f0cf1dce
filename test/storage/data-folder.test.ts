/** The contract on the storage of a data folder, tree and journal, and what only a folder does: processes that are killed, formats, files that are damaged or gone. */
import { readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { openDiskStorage } from "../../lib/storage/disk.ts";
import { MARKER_FILE } from "../../lib/storage/folder.ts";
import { JOURNAL_FILE } from "../../lib/storage/journal-file.ts";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { put, rowsOf, text } from "../contract/storage-engine.ts";
import { testStorage } from "../contract/storage.ts";
import { countedBatch } from "./child.ts";
import { fillSmallDisk, fillUnderLimit, scratch, startChild, tamper } from "./disk.ts";

testStorage({
  name: "data folder",
  modelRuns: 25,

  async open(t) {
    const folder = join(await scratch(t), "data");
    let storage = await openDiskStorage({ folder });
    t.teardown(() => storage.close());
    const reopen = async (): Promise<typeof storage> => {
      await storage.close();
      return (storage = await openDiskStorage({ folder }));
    };
    return {
      storage,
      reopen,
      async tamper(key, change) {
        await storage.close();
        await tamper(folder, key, change);
        return reopen();
      },
    };
  },

  fillDisk: (t) => fillSmallDisk(t, "disk"),
});

test("data folder: a write that the system cuts short is a failed storage, which keeps what it has acknowledged", async (t) => {
  const report = await fillUnderLimit(t, "disk");
  t.like(report, { codeAfter: report.code, lost: 0, stray: 0 });
  t.true(report.acknowledged > 0);
  t.regex(report.message, /^the (storage in \S+data failed|disk that holds \S+data has no room) \(.*\): .* start this node again/);
});

/** Writes batch after batch in another process, kills it after so many acknowledged ones, and returns how many there were. */
async function killAfter(t: ExecutionContext, folder: string, batches: number): Promise<number> {
  const child = startChild(t, "count", folder);
  t.deepEqual(await child.next(), { open: true });
  let acknowledged = -1;
  for (let line = await child.next(); line !== undefined; line = await child.next()) {
    t.true("acknowledged" in line, JSON.stringify(line));
    if ("acknowledged" in line) acknowledged = line.acknowledged;
    if (acknowledged === batches - 1) child.process.kill("SIGKILL");
  }
  t.true(acknowledged >= batches - 1);
  return acknowledged;
}

// The first while all is in the journal, the others while the tree has some of it.
for (const batches of [1, 7, 60, 400]) {
  test(`data folder: killed after ${batches} batches, every acknowledged one is there whole, and no part of another`, async (t) => {
    const folder = join(await scratch(t), "data");
    const acknowledged = await killAfter(t, folder, batches);
    const storage = await openDiskStorage({ folder });
    t.teardown(() => storage.close());
    const last = Number(Buffer.from(storage.get("last") ?? "").toString());
    // What the process said last may have died with it, so more may be there than was heard of.
    t.true(last >= acknowledged, `${last} is there, ${acknowledged} was acknowledged`);
    for (let number = 0; number <= last + 2; number++) {
      for (const { key, value } of countedBatch(number).slice(0, -1)) {
        const expected = number <= last ? value : undefined;
        t.deepEqual(storage.get(key), expected, key);
      }
    }
  });
}

test("data folder: one of the format before the journal is taken as it is, and no older program opens it any more", async (t) => {
  const folder = join(await scratch(t), "data");
  const old = await openLmdbStorage({ folder });
  await old.write([put("a", "old")]);
  await old.close();
  const marker = join(folder, MARKER_FILE);
  await writeFile(marker, (await readFile(marker, "utf8")).replace('"format":2', '"format":1'));
  const storage = await openDiskStorage({ folder });
  t.like(JSON.parse(await readFile(marker, "utf8")), { format: 2 });
  await storage.write([put("b", "new")]);
  t.deepEqual(rowsOf(storage, "a", "z"), [
    ["a", "old"],
    ["b", "new"],
  ]);
  await storage.close();
});

test("data folder: a journal that was damaged or taken away is said so, with the way out, and the way works", async (t) => {
  const folder = join(await scratch(t), "data");
  await killAfter(t, folder, 3);
  const path = join(folder, JOURNAL_FILE);
  const journal = await readFile(path);
  const damaged = Buffer.from(journal);
  damaged[100]! ^= 1;
  await writeFile(path, damaged);
  const lacks =
    /^the data in \S+data is damaged \(its journal lacks record 1 and has record 2\): .* put an empty file in the place of \S+concord-journal/;
  await t.throwsAsync(openDiskStorage({ folder }), { code: "damaged", message: lacks });
  await rm(path);
  for (let attempt = 0; attempt < 2; attempt++)
    await t.throwsAsync(openDiskStorage({ folder }), { code: "damaged", message: /\(its journal is missing\)/ });
  await writeFile(path, journal);
  const whole = await openDiskStorage({ folder });
  t.true(Number(text(whole.get("last"))) >= 2);
  await whole.close();
  await truncate(path, 0);
  const emptied = await openDiskStorage({ folder });
  t.true(Number(text(emptied.get("last"))) >= 2);
  await emptied.close();
});
