/**
 * The tree on disk: one lmdb database, one ordered key space, one folder. Small batches come to it by way of the journal (journaled.ts).
 *
 * lmdb is a B-tree in a memory map, copied on write, with two meta pages that are replaced in turn: a crash at any moment leaves the last
 * whole transaction, and opening takes the same time whatever the size. Reads are a few memory accesses.
 *
 * - `overlappingSync: false`: its default shows a batch before it is durable, and after a full disk later writes hang for ever.
 * - One transaction at a time, on lmdb's writer thread: this thread never waits for the disk. Batches that arrive meanwhile share the next.
 * - Reads go to a snapshot that moves on when a write's promise is about to resolve, never earlier: what is read is what was acknowledged.
 *   The snapshot holds back no free pages, for the transaction under way may not reuse what the last one left anyway.
 * - The snapshot is also the claim to the folder: it stands, with our process number, in the reader table that lmdb shares between
 *   processes and clears of the dead with file locks. No lock file can go stale. The next snapshot is taken before the last is let
 *   go, and whoever finds anybody else there leaves: two that come at once may both leave, never both stay.
 * - After a failed write every write is refused (the port says so): whether that batch is there is decided by the next open.
 */
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { ConcordError } from "../core/errors.ts";
import type { Storage, StorageChange, StorageKey, StoragePage } from "../core/ports.ts";
import { lockedFolder, storageError } from "./failure.ts";
import { openFolder, type Folder } from "./folder.ts";
import { checkFreeSpace } from "./free-space.ts";
import { DATA_FILE, forgetStarts, MAP_BYTES } from "./probe.ts";
import { checkKey, checkLimit, recordBytes, sealInto, unsealCopy } from "./record.ts";
import { probeOrRemake } from "./unfinished.ts";

export interface LmdbStorageOptions {
  /** Made when missing. A local disk: lmdb's locks and its memory map do not work on network file systems. */
  readonly folder: string;
}

/** The data belongs to the user that runs the node. */
const FILE_MODE = 0o600;

/** Keys go straight into lmdb's memory, without a Buffer each: several come with every write. */
const KEY_ENCODER = {
  /** Returns where the key ends. lmdb takes a RangeError for "begin a new buffer". */
  writeKey(key: StorageKey, target: Uint8Array, start: number): number {
    const end = start + key.length;
    if (end > target.length) throw new RangeError("the key does not fit");
    for (let i = 0; i < key.length; i++) target[start + i] = key.charCodeAt(i);
    return end;
  },
  readKey(source: Uint8Array, start: number, end: number): StorageKey {
    return asBuffer(source).toString("latin1", start, end);
  },
};

/** Rows of a range come as lmdb's own buffer, which the next row overwrites, and how much of it is the record: one copy then does. */
const VALUE_ENCODER = {
  lastBytes: 0,
  encode: (record: Uint8Array): Uint8Array => record,
  decode(bytes: Uint8Array, lastBytes: number): Uint8Array {
    VALUE_ENCODER.lastBytes = lastBytes;
    return bytes;
  },
};

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type Database = RootDatabase<Uint8Array, StorageKey>;
/** lmdb's own declarations leave out that every read takes options, and that the size of what it read stands here. */
interface FastDatabase extends Database {
  readonly lastSize: number;
  getBinaryFast(key: StorageKey, options?: Reading): Buffer | undefined;
}
type Snapshot = ReturnType<Database["useReadTransaction"]>;
interface Reading {
  readonly transaction: Snapshot;
}

/** All records of a batch in one piece of memory, one after the other: lmdb is told where each lies. */
interface SealedBatch {
  readonly batch: readonly StorageChange[];
  readonly records: Buffer & Piece;
}

/** What lmdb's `put` looks at when it is given a buffer: only this part of it is the value. */
interface Piece {
  start?: number;
  end?: number;
}

interface Waiting extends SealedBatch {
  readonly resolve: () => void;
  readonly reject: (error: ConcordError) => void;
}

/** Rejects with ConcordError `foreign`, `newer-format`, `locked`, `damaged`, `disk-full` or `storage-failed`. */
export async function openLmdbStorage({ folder }: LmdbStorageOptions): Promise<Storage> {
  const home = await openFolder(folder).catch((error: unknown) => {
    throw storageError(folder, error);
  });
  let database: FastDatabase | undefined;
  try {
    await probeOrRemake(home.path, home.fresh);
    database = openDatabase(home.path);
    const snapshot = claim(database, home.path);
    await home.settle();
    return createLmdbStorage(database, snapshot, home);
  } catch (error) {
    await database?.close();
    home.release();
    throw storageError(home.path, error);
  }
}

function openDatabase(path: string): FastDatabase {
  const options = {
    path,
    encoding: "binary",
    encoder: VALUE_ENCODER,
    keyEncoder: KEY_ENCODER,
    maxDbs: 1,
    mapSize: MAP_BYTES,
    permissionsMode: FILE_MODE,
    overlappingSync: false,
    // A batch goes to the writer thread whole, when it is complete: not by turns of the event loop, not in parts.
    eventTurnBatching: false,
    batchStartThreshold: Number.MAX_SAFE_INTEGER,
  } as const;
  return open<Uint8Array, StorageKey>(options) as FastDatabase;
}

/** Takes the first snapshot, and with it the folder, unless anybody else is there before or after. */
function claim(database: FastDatabase, path: string): Snapshot {
  const before = readersOf(database);
  if (before.length > 0) throw lockedFolder(path, `process ${before[0]}`);
  const snapshot = database.useReadTransaction();
  const after = readersOf(database);
  if (after.length === 1) return snapshot;
  snapshot.done();
  throw lockedFolder(path, `process ${after.find((pid) => pid !== String(process.pid)) ?? process.pid}`);
}

/** The process numbers in lmdb's reader table, whose first line is a heading. */
function readersOf(database: FastDatabase): string[] {
  const rows = database.readerList().split("\n");
  return rows.map((row) => /^\s*(\d+)\s/.exec(row)?.[1]).filter((pid) => pid !== undefined);
}

function createLmdbStorage(database: FastDatabase, firstSnapshot: Snapshot, home: Folder): Storage {
  const file = join(home.path, DATA_FILE);
  /** What reads are given. */
  let current: Reading = { transaction: firstSnapshot };
  let waiting: Waiting[] = [];
  let draining: Promise<void> | undefined;
  let refusal: ConcordError | undefined;
  let closing: Promise<void> | undefined;

  /** Commits what waits, one transaction after the other, until nothing does. */
  const drain = async (): Promise<void> => {
    while (waiting.length > 0) {
      const group = waiting;
      waiting = [];
      try {
        if (refusal === undefined) {
          const changes = sum(group, ({ batch }) => batch.length);
          const valueBytes = sum(group, ({ records }) => records.length);
          checkFreeSpace(file, changes, valueBytes);
          await commit(database, group);
          const last = current.transaction;
          current = { transaction: database.useReadTransaction() };
          last.done();
        }
      } catch (error) {
        refusal = storageError(home.path, error);
      }
      for (const { resolve, reject } of group) {
        if (refusal === undefined) resolve();
        else reject(refusal);
      }
    }
    draining = undefined;
  };

  const checkOpen = (): void => {
    if (closing !== undefined) throw new ConcordError("stopping", `the storage in ${home.path} is closed`);
  };

  const read = <T>(action: () => T): T => {
    checkOpen();
    try {
      return action();
    } catch (error) {
      throw storageError(home.path, error);
    }
  };

  const release = async (): Promise<void> => {
    await draining;
    current.transaction.done();
    await database.close();
    if (refusal?.code !== "damaged") await forgetStarts(home.path);
    home.release();
  };

  return {
    get(key) {
      checkKey(key);
      checkOpen();
      try {
        return getRecord(database, current, key);
      } catch (error) {
        throw storageError(home.path, error);
      }
    },
    range(from, to, limit) {
      checkLimit(limit);
      return read(() => getPage(database, current.transaction, from, to, limit));
    },
    async write(batch) {
      checkOpen();
      const records = sealAll(batch);
      if (refusal !== undefined) throw refusal;
      const written = new Promise<void>((resolve, reject) => waiting.push({ batch, records, resolve, reject }));
      draining ??= drain();
      await written;
    },
    close: () => (closing ??= release()),
  };
}

/** The next read overwrites lmdb's buffer, which is longer than the record in it. One copy, from a pool: most values are small. */
function getRecord(database: FastDatabase, reading: Reading, key: StorageKey): Uint8Array | undefined {
  const buffer = database.getBinaryFast(key, reading);
  return buffer === undefined ? undefined : unsealCopy(key, buffer, database.lastSize);
}

/** The cursor is opened and closed within this call: one held longer would keep every page alive that is freed meanwhile. */
function getPage(database: FastDatabase, transaction: Snapshot, from: StorageKey, to: StorageKey, limit: number): StoragePage {
  const rows: { readonly key: StorageKey; readonly value: Uint8Array }[] = [];
  if (from >= to) return { rows, more: false };
  for (const { key, value } of database.getRange({ start: from, end: to, limit: limit + 1, transaction })) {
    if (rows.length === limit) return { rows, more: true };
    rows.push({ key, value: unsealCopy(key, asBuffer(value), VALUE_ENCODER.lastBytes) });
  }
  return { rows, more: false };
}

/** Memory of its own, for lmdb counts from the beginning of what a buffer is a part of. */
function sealAll(batch: readonly StorageChange[]): Buffer {
  let bytes = 0;
  for (const { key, value } of batch) {
    checkKey(key);
    if (value !== undefined) bytes += recordBytes(value);
  }
  const records = Buffer.allocUnsafeSlow(bytes);
  let end = 0;
  for (const { key, value } of batch) if (value !== undefined) end = sealInto(records, end, key, value);
  return records;
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}

/** Resolves when all of the group is on the disk: without overlappingSync, lmdb's promise waits for that. */
async function commit(database: FastDatabase, group: readonly Waiting[]): Promise<void> {
  if (group.every(({ batch }) => batch.length === 0)) return;
  try {
    await database.batch(() => {
      for (const sealed of group) putAll(database, sealed);
    });
  } catch (error) {
    throw await reasonOf(error);
  }
}

function putAll(database: FastDatabase, { batch, records }: SealedBatch): void {
  records.end = 0;
  for (const { key, value } of batch) {
    if (value === undefined) {
      void database.remove(key);
      continue;
    }
    records.start = records.end;
    records.end += recordBytes(value);
    void database.put(key, records);
  }
}

/** lmdb puts the reason into a second promise beside the rejected one. Nobody listening to it would end the process. */
async function reasonOf(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return error;
  return commitError.catch((reason: unknown) => reason);
}
