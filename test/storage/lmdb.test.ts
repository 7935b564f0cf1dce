/** The contract on the engine on disk, and what only a disk does: writes that fail, and processes that are killed. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { testStorage } from "../contract/storage.ts";
import { countedBatch } from "./child.ts";
import { fillSmallDisk, fillUnderLimit, scratch, startChild, tamper } from "./disk.ts";

testStorage({
  name: "lmdb",
  modelRuns: 25,

  async open(t) {
    const folder = join(await scratch(t), "data");
    let storage = await openLmdbStorage({ folder });
    t.teardown(() => storage.close());
    const reopen = async (): Promise<typeof storage> => {
      await storage.close();
      return (storage = await openLmdbStorage({ folder }));
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

  fillDisk: fillSmallDisk,
});

test("lmdb: a write that the system cuts short is a failed storage, which keeps what it has acknowledged", async (t) => {
  const report = await fillUnderLimit(t);
  t.like(report, { code: "storage-failed", codeAfter: "storage-failed", lost: 0, stray: 0 });
  t.true(report.acknowledged > 0);
  t.regex(report.message, /^the storage in \S+data failed \(Input\/output error\): look at the disk and the system's log/);
});

for (const batches of [1, 7, 60]) {
  test(`lmdb: killed after ${batches} batches, every acknowledged one is there whole, and no part of another`, async (t) => {
    const folder = join(await scratch(t), "data");
    const child = startChild(t, "count", folder);
    t.deepEqual(await child.next(), { open: true });
    let acknowledged = -1;
    for (let line = await child.next(); line !== undefined; line = await child.next()) {
      t.true("acknowledged" in line, JSON.stringify(line));
      if ("acknowledged" in line) acknowledged = line.acknowledged;
      if (acknowledged === batches - 1) child.process.kill("SIGKILL");
    }
    t.true(acknowledged >= batches - 1);
    const storage = await openLmdbStorage({ folder });
    t.teardown(() => storage.close());
    const last = Number(Buffer.from(storage.get("last") ?? "").toString());
    t.true(last === acknowledged || last === acknowledged + 1, `${last} is there, ${acknowledged} was acknowledged`);
    for (let number = 0; number <= last + 2; number++) {
      for (const { key, value } of countedBatch(number).slice(0, -1)) {
        const expected = number <= last ? value : undefined;
        t.deepEqual(storage.get(key), expected, key);
      }
    }
  });
}

test("lmdb: snapshots, cursors and large values do not pile up while writes go on", async (t) => {
  const folder = join(await scratch(t), "data");
  const storage = await openLmdbStorage({ folder });
  t.teardown(() => storage.close());
  const large = Buffer.alloc(50_000, 1);
  for (let round = 0; round < 300; round++) {
    const written = storage.write([
      { key: "large", value: large },
      { key: `k${round % 50}`, value: Buffer.from(String(round)) },
    ]);
    for (const { key, value } of storage.range("a", "z", 40).rows) t.true(key === "large" ? value.length === 50_000 : value.length <= 3);
    await written;
    t.is(Buffer.from(storage.get(`k${round % 50}`) ?? "").toString(), String(round));
  }
  const { size } = await stat(join(folder, "data.mdb"));
  t.true(size < 1_000_000, `pages that are free are used again: the file has ${size} bytes`);
});
