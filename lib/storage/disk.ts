/** The storage of a data folder: lmdb's tree, and a journal before it. */
import { randomFillSync } from "node:crypto";
import { join } from "node:path";
import { ConcordError } from "../core/errors.ts";
import type { Storage } from "../core/ports.ts";
import { storageError } from "./failure.ts";
import { JOURNAL_FILE, journalFile } from "./journal-file.ts";
import { openJournaled } from "./journaled.ts";
import { openLmdbStorage, type LmdbStorageOptions } from "./lmdb.ts";

/** Rejects with ConcordError `foreign`, `newer-format`, `locked`, `damaged`, `disk-full` or `storage-failed`. */
export async function openDiskStorage({ folder }: LmdbStorageOptions): Promise<Storage> {
  const below = await openLmdbStorage({ folder });
  const path = join(folder, JOURNAL_FILE);
  const medium = journalFile(path);
  const [a = 0, b = 0] = randomFillSync(new Uint32Array(2));
  try {
    return await openJournaled({
      below,
      medium,
      salt: [a, b],
      damaged: (detail) => damagedJournal(folder, path, detail),
      failed: (cause) => storageError(folder, cause),
    });
  } catch (error) {
    await medium.close();
    await below.close();
    throw storageError(folder, error);
  }
}

function damagedJournal(folder: string, path: string, detail: string): ConcordError {
  const message =
    `the data in ${folder} is damaged (its journal ${detail}): restore the folder from a backup, or put an empty file in the place of ` +
    `${path} and start again: what the journal alone held then is lost here, and comes back from the peers that have it`;
  return new ConcordError("damaged", message);
}
