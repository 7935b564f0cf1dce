/**
 * What went wrong on the disk, said so that a person knows what to do next: every error names the folder and the way out.
 *
 * lmdb reports the system's error number, or one of its own from −30799 upwards; Node's file functions report a name such as ENOSPC.
 */
import { statfsSync } from "node:fs";
import { constants } from "node:os";
import { ConcordError } from "../core/errors.ts";

/** lmdb.h: the file grew beyond what may be mapped. */
const MAP_FULL = -30_792;
/** lmdb.h: a page is not of the kind that it should be. */
export const CORRUPTED = -30_796;
/**
 * lmdb.h: PAGE_NOTFOUND, CORRUPTED, PANIC, VERSION_MISMATCH, INVALID, and what only a broken tree or list of free pages makes of a sound
 * program: CURSOR_FULL, PAGE_FULL, INCOMPATIBLE, BAD_TXN.
 */
const DAMAGE: ReadonlySet<unknown> = new Set([-30_797, CORRUPTED, -30_795, -30_794, -30_793, -30_787, -30_786, -30_784, -30_782]);

const { ENOSPC, EDQUOT, EFBIG, EIO } = constants.errno;
/** A full quota and a file size limit (ulimit) are a full disk to whoever has to make room. */
const NO_ROOM: ReadonlySet<unknown> = new Set([ENOSPC, EDQUOT, EFBIG, MAP_FULL, "ENOSPC", "EDQUOT", "EFBIG"]);

/** lmdb writes at most this much at once: with less room than that, a write that ended early ended for want of room. */
const LARGEST_WRITE_BYTES = 32 * 1024 * 1024;

const WAY_OUT = "restore the folder from a backup, or move it away and start again, so that this node refills from its peers";

export function damagedStore(folder: string, detail: string, cause?: unknown): ConcordError {
  return new ConcordError("damaged", `the data in ${folder} is damaged (${detail.trim()}): ${WAY_OUT}`, { cause });
}

/** Damage that shows above the storage, where nobody knows the folder: said with the way out. Other errors as they are. */
export function withWayOut(folder: string | undefined, error: unknown): unknown {
  const isBare = error instanceof ConcordError && error.code === "damaged" && !/ start /.test(error.message);
  return isBare && folder !== undefined ? damagedStore(folder, error.message, error) : error;
}

export function lockedFolder(folder: string, holder: string): ConcordError {
  return new ConcordError("locked", `${folder} is already open in ${holder}: stop that one first, or give this node a folder of its own`);
}

/** Any error of lmdb or of Node's file functions, as one of ours. */
export function storageError(folder: string, cause: unknown): ConcordError {
  if (cause instanceof ConcordError) return cause;
  const code = (cause as { readonly code?: unknown } | null | undefined)?.code;
  const detail = cause instanceof Error ? cause.message : String(cause);
  if (DAMAGE.has(code)) return damagedStore(folder, detail, cause);
  if (NO_ROOM.has(code) || (code === EIO && isFull(folder))) {
    const message =
      `the disk that holds ${folder} has no room (${detail}): free some, or raise the quota, then start this node again; ` +
      "what it has acknowledged is safe";
    return new ConcordError("disk-full", message, { cause });
  }
  const message = `the storage in ${folder} failed (${detail}): look at the disk and the system's log, then start this node again`;
  return new ConcordError("storage-failed", message, { cause });
}

/** lmdb answers EIO when the system wrote less than asked, which is how a disk that has just become full answers. */
function isFull(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < LARGEST_WRITE_BYTES;
  } catch {
    return false;
  }
}
