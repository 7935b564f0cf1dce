/**
 * The file that the journal is in.
 *
 * It grows by zeros ahead of what is written, some thirty batches at a time: a write past the end of a file waits for the file system's own
 * journal as well, which has to note that the file has grown and where.
 */
import { constants, open, readFile, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { assert } from "../core/errors.ts";
import { synchronise } from "./folder.ts";
import { JOURNAL_BYTES_MAX, type JournalMedium } from "./journaled.ts";

export const JOURNAL_FILE = "concord-journal";

/** The data belongs to the user that runs the node. */
const FILE_MODE = 0o600;
const GROW_BYTES = 256 * 1024;

/** With this flag a write waits for the disk. Elsewhere than on Linux it may wait for less, and a second call of the system does. */
const SYNCHRONOUS = process.platform === "linux" ? constants.O_DSYNC : 0;

/** Its calls reject with what Node rejects with. */
export function journalFile(path: string): JournalMedium {
  let opened: FileHandle | undefined;
  let size = 0;

  const writeAll = async (bytes: Buffer, at: number): Promise<void> => {
    assert(opened !== undefined, "the journal is opened before it is written");
    for (let written = 0; written < bytes.length;) {
      const { bytesWritten } = await opened.write(bytes, written, bytes.length - written, at + written);
      written += bytesWritten;
    }
  };

  return {
    async read() {
      try {
        return (await readFile(path)).subarray(0, JOURNAL_BYTES_MAX);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    async open() {
      opened = await open(path, constants.O_RDWR | constants.O_CREAT | SYNCHRONOUS, FILE_MODE);
      size = (await opened.stat()).size;
      await synchronise(dirname(path));
    },
    async write(bytes, at) {
      const end = at + bytes.length;
      if (end > size) {
        const zeros = Buffer.alloc(Math.ceil((end - size) / GROW_BYTES) * GROW_BYTES);
        await writeAll(zeros, size);
        size += zeros.length;
      }
      await writeAll(bytes, at);
      if (SYNCHRONOUS === 0) await opened?.datasync();
    },
    async close() {
      await opened?.close();
    },
  };
}
