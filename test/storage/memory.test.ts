/** The contract on the engine in memory, and what it does with values that are parts of something large. */
import test from "ava";
import { createMemoryStorage } from "../../lib/storage/memory.ts";
import { fill } from "../contract/full-disk.ts";
import { testStorage } from "../contract/storage.ts";

testStorage({
  name: "memory",
  modelRuns: 300,

  async open() {
    const storage = createMemoryStorage();
    return {
      storage,
      async tamper(key, change) {
        storage.records.set(key, change(Buffer.from(storage.records.get(key) ?? "", "latin1")).toString("latin1"));
        return storage;
      },
    };
  },

  fillDisk: async () => ({ report: await fill(createMemoryStorage({ bytesMax: 4_000_000 })), code: "disk-full" }),
});

test("a value that is a small part of a page does not keep the page in memory", async (t) => {
  const storage = createMemoryStorage();
  const page = Buffer.alloc(256 * 1024, 7);
  await storage.write([{ key: "small", value: page.subarray(100, 200) }, { key: "large", value: page.subarray(1000) }]); // prettier-ignore
  t.deepEqual(storage.get("small"), page.subarray(100, 200));
  t.true(storage.get("small")!.buffer.byteLength <= Buffer.poolSize);
  t.is(storage.get("large")!.buffer, page.buffer, "what is most of it is held as it was given");
});
