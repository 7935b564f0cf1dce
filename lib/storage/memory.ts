/**
 * The storage in memory: for tests, for the simulator, and for a node that may forget all when it stops and be refilled by its peers.
 *
 * It keeps the port's promises as strictly as the disk does, because code that is tested on it must not learn bad habits. A batch is
 * taken when it is handed over and applied one microtask later: no read sees it before its promise is about to resolve. It is
 * checked as a whole before any of it is applied.
 *
 * Values are held as they are given, which the port allows, unless they are parts of something larger, and have no checksum: nothing here tears a page. Whoever wants to play the
 * failing disk sees and changes sealed records all the same (`records`), so that one contract suite, damage included, runs on both
 * engines: a record is sealed when it is looked at, and one that is put back damaged is kept as damaged.
 */
import { DamagedRecordError } from "../core/damaged.ts";
import { ConcordError } from "../core/errors.ts";
import type { Storage, StorageChange, StorageKey } from "../core/ports.ts";
import { createKeyOrder } from "./key-order.ts";
import { checkKey, checkLimit, checkRow, seal, unseal } from "./record.ts";
import { ShardedMap } from "./sharded-map.ts";

export interface MemoryStorageOptions {
  /**
   * Bytes of keys and records that it takes before it answers `disk-full`. None by default: the machine's memory is the limit,
   * and what the store may hold is limited above.
   */
  readonly bytesMax?: number;
}

export interface MemoryStorage extends Storage {
  /** The records as the disk would hold them. Whoever changes one plays the failing disk; for tests. */
  readonly records: SealedRecords;
}

export interface SealedRecords {
  readonly size: number;
  get(key: StorageKey): ByteString | undefined;
  set(key: StorageKey, record: ByteString): void;
}

/** One character a byte. */
export type ByteString = string;

/** Stands for a value whose record is damaged. */
const DAMAGED = new Uint8Array(0);

export function createMemoryStorage({ bytesMax = Number.POSITIVE_INFINITY }: MemoryStorageOptions = {}): MemoryStorage {
  const values = new ShardedMap<Uint8Array>();
  const order = createKeyOrder();
  let bytes = 0;
  let refusal: ConcordError | undefined;
  let closed = false;

  const checkOpen = (): void => {
    if (closed) throw new ConcordError("stopping", "the memory storage is closed");
  };

  const apply = (key: StorageKey, value: Uint8Array | undefined): void => {
    if (value === undefined) {
      if (values.delete(key)) order.remove(key);
      return;
    }
    if (values.set(key, aloneInMemory(value))) order.add(key);
  };

  return {
    records: sealedRecords(values),

    get(key) {
      checkOpen();
      checkKey(key);
      return wholeValue(key, values.get(key));
    },

    range(from, to, limit) {
      checkOpen();
      checkLimit(limit);
      const { keys, more } = order.page(from, to, limit);
      return { rows: keys.map((key) => ({ key, value: wholeValue(key, values.get(key)) ?? DAMAGED })), more };
    },

    async write(batch) {
      checkOpen();
      for (const { key, value } of batch) checkRow(key, value);
      await Promise.resolve();
      if (refusal !== undefined) throw refusal;
      if (bytesMax < Number.POSITIVE_INFINITY) {
        bytes += growthOf(batch, values);
        if (bytes > bytesMax) {
          refusal = new ConcordError("disk-full", `the memory storage is full: it may hold ${bytesMax} bytes`);
          throw refusal;
        }
      }
      for (const { key, value } of batch) apply(key, value);
    },

    async close() {
      closed = true;
      await Promise.resolve();
    },
  };
}

/**
 * A value that is a small part of something large, as an entry is of the page that brought it, would keep all of it in memory for as long
 * as it is held itself. (Values of a write share pieces of `Buffer.poolSize`: as little as that may stay.)
 */
function aloneInMemory(value: Uint8Array): Uint8Array {
  const wholeBytes = value.buffer.byteLength;
  return wholeBytes > Buffer.poolSize && wholeBytes > 2 * value.length ? Buffer.from(value) : value;
}

function wholeValue(key: StorageKey, value: Uint8Array | undefined): Uint8Array | undefined {
  if (value === DAMAGED) throw new DamagedRecordError(key);
  return value;
}

function sealedRecords(values: ShardedMap<Uint8Array>): SealedRecords {
  return {
    get size() {
      return values.size;
    },
    get(key) {
      const value = values.get(key);
      return value === undefined ? undefined : seal(key, value).toString("latin1");
    },
    set(key, record) {
      values.set(key, valueIn(key, record));
    },
  };
}

function valueIn(key: StorageKey, record: ByteString): Uint8Array {
  try {
    return unseal(key, Buffer.from(record, "latin1"));
  } catch (error) {
    if (error instanceof DamagedRecordError) return DAMAGED;
    throw error;
  }
}

/** Bytes that a batch adds. A batch that names a key twice is counted as it is applied: the last change stands. */
function growthOf(batch: readonly StorageChange[], values: ShardedMap<Uint8Array>): number {
  let growth = 0;
  for (const [key, value] of new Map(batch.map((change) => [change.key, change.value]))) {
    const before = values.get(key);
    if (before !== undefined) growth -= key.length + before.length;
    if (value !== undefined) growth += key.length + value.length;
  }
  return growth;
}
