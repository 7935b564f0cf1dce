/**
 * Makes the data file longer before lmdb needs it to be.
 *
 * A page that is written past the end of a file makes the next fdatasync wait for the file system's journal as well, which has to record
 * that the file has grown and where; one that was written before needs only its own bytes. On ext4 that is half of what a small batch
 * waits for, and more where several nodes share the disk, for they share the journal. So some room past the last page is filled with zeros,
 * once for many batches. lmdb goes by the last page that it has noted, and takes no notice of what lies behind it.
 *
 * Called between two transactions: what is past the last page then is nobody's. Room that could not be made is no failure; lmdb will
 * find the disk full, or broken, by itself.
 */
import { closeSync, fstatSync, openSync, writeSync } from "node:fs";
import { usedBytesOf } from "./page-check.ts";

/** A quarter of a millisecond to write, for some sixty batches of a few dozen small writes. */
const STEP_BYTES = 512 * 1024;
/** What is left when more is made: several batches. */
const LOW_BYTES = 128 * 1024;

export interface RoomAhead {
  /** `spareBytes`: free on the disk beyond what the batch may take. */
  keep(spareBytes: number): void;
  close(): void;
}

/** Throws what Node throws when the file cannot be opened. */
export function openRoomAhead(path: string): RoomAhead {
  const file = openSync(path, "r+");
  const zeros = Buffer.alloc(STEP_BYTES);
  return {
    keep(spareBytes) {
      if (spareBytes < STEP_BYTES) return;
      const used = usedBytesOf(file);
      if (used === undefined) return;
      const { size } = fstatSync(file);
      if (size - used >= LOW_BYTES) return;
      try {
        writeSync(file, zeros, 0, STEP_BYTES, Math.max(size, used));
      } catch {
        // Told above.
      }
    },
    close: () => closeSync(file),
  };
}
