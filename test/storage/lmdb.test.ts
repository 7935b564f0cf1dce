/** The contract on the tree alone, and what only a tree on a disk does: writes that the system cuts short, and pages that are used again. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { testStorage } from "../contract/storage.ts";
import { fillSmallDisk, fillUnderLimit, scratch, tamper } from "./disk.ts";

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

  fillDisk: (t) => fillSmallDisk(t, "lmdb"),
});

test("lmdb: a write that the system cuts short is a failed storage, which keeps what it has acknowledged", async (t) => {
  const report = await fillUnderLimit(t, "lmdb");
  t.like(report, { code: "storage-failed", codeAfter: "storage-failed", lost: 0, stray: 0 });
  t.true(report.acknowledged > 0);
  t.regex(report.message, /^the storage in \S+data failed \(Input\/output error\): look at the disk and the system's log/);
});

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
