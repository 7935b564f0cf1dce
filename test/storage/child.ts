/**
 * Another process for the tests of the engines on disk: `tsx child.ts <what> <folder> <engine>`. It speaks in lines of JSON.
 *
 *   hold    opens, says so, and stays until it is killed
 *   count   writes batch after batch, and says each that is acknowledged
 *   fill    writes until the disk is full, and reports
 */
import { ConcordError } from "../../lib/core/errors.ts";
import type { Storage, StorageChange } from "../../lib/core/ports.ts";
import { openDiskStorage } from "../../lib/storage/disk.ts";
import { openLmdbStorage } from "../../lib/storage/lmdb.ts";
import { fill, type FullDiskReport } from "../contract/full-disk.ts";

/** The tree alone, or all of the data folder's storage. */
export type DiskEngine = "lmdb" | "disk";

const say = (what: unknown): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);

export type ChildLine =
  | { readonly open: true }
  | { readonly acknowledged: number }
  | { readonly refused: string; readonly message: string }
  | { readonly unhandled: string }
  | { readonly full: FullDiskReport };

/** One batch of the counting child: ten rows and the number of the batch itself. */
export function countedBatch(number: number): StorageChange[] {
  const rows = Array.from({ length: 10 }, (_, row) => ({ key: `row ${number} ${row}`, value: Buffer.alloc(400 * row, number) }));
  return [...rows, { key: "last", value: Buffer.from(String(number)) }];
}

async function main(what: string | undefined, folder: string, engine: string | undefined): Promise<void> {
  let storage: Storage;
  try {
    storage = engine === "lmdb" ? await openLmdbStorage({ folder }) : await openDiskStorage({ folder });
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    say({ refused: error.code, message: error.message });
    return;
  }
  say({ open: true });
  if (what === "hold") {
    setInterval(() => storage.get("a"), 1_000);
  } else if (what === "count") {
    for (let number = 0; ; number++) {
      await storage.write(countedBatch(number));
      say({ acknowledged: number });
    }
  } else {
    const full = await fill(storage);
    await storage.close();
    say({ full });
  }
}

if (process.argv[1] === import.meta.filename) {
  process.on("unhandledRejection", (reason) => say({ unhandled: String(reason) }));
  await main(process.argv[2], process.argv[3] ?? "", process.argv[4]);
}
