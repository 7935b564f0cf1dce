/**
 * A data file whose making was cut short by a power loss.
 *
 * Until the folder's marker is in place nothing has been acknowledged from it, and what lies there may be anything: lmdb does not synchronise the first
 * pages that it writes. A file that cannot be read is then no loss; it is removed and made anew, where later it would be damage.
 */
import { stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { ConcordError } from "../core/errors.ts";
import { DATA_FILE, probe } from "./probe.ts";

/** As `probe`, but a damaged file of a folder that has no marker yet is removed. */
export async function probeOrRemake(folder: string, fresh: boolean): Promise<void> {
  const path = join(folder, DATA_FILE);
  const before = await inodeOf(path);
  try {
    await probe(folder, fresh);
  } catch (error) {
    if (!fresh || !(error instanceof ConcordError) || error.code !== "damaged") throw error;
    // Another process may have come to the same end sooner: its new file is not the one that was found damaged.
    if ((await inodeOf(path)) !== before) throw error;
    await unlink(path);
  }
}

async function inodeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.ino;
}
