/**
 * Whether a batch has room on the disk, asked before lmdb is given it.
 *
 * lmdb would say so itself, but when a write fails for want of room lmdb 3.5 prints more into its message than there is memory for it (100 bytes; with a
 * file of a megabyte or more it takes some 105), and the process may die of that at any later moment, before it has said why it stops. A
 * quota or a limit on the size of files cannot be asked for, and is met as it comes.
 */
import { statfsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { storageError } from "./failure.ts";

/** The pages that lead to the changed ones, the free list, and what others write meanwhile. */
const RESERVE_BYTES = 1024 * 1024;
/** A change rewrites the page that it is in. */
const PAGE_BYTES = 4096;

/** Throws ConcordError `disk-full`. `file`: lmdb's, of whose pages no batch rewrites more than there are. */
export function checkFreeSpace(file: string, changes: number, recordBytes: number): void {
  const folder = dirname(file);
  const { bavail, bsize } = statfsSync(folder);
  const free = bavail * bsize;
  const mostChanged = RESERVE_BYTES + changes * PAGE_BYTES + 2 * recordBytes;
  if (free >= mostChanged) return;
  const needed = Math.min(mostChanged, RESERVE_BYTES + statSync(file).size + 2 * recordBytes);
  if (free >= needed) return;
  throw storageError(folder, Object.assign(new Error(`${free} bytes are free, a batch may take ${needed}`), { code: "ENOSPC" }));
}
