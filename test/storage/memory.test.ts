/** The contract on the engine in memory. */
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
