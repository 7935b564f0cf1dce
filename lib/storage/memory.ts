/**
 * The storage in memory: for tests, for the simulator, and for a node that may forget all when it stops and be refilled by its peers.
 *
 * It keeps the port's promises as strictly as the disk does, because code that is tested on it must not learn bad habits. A batch is
 * sealed when it is handed over and applied one microtask later: no read sees it before its promise is about to resolve. It is
 * checked as a whole before any of it is applied. Records carry the same checksum, which costs some 0.3 µs a record and lets one
 * contract suite, damage included, run on both engines.
 *
 * A record is held as a byte string, like its key: it takes half of what a Buffer takes, and it goes when it is replaced, whereas small
 * Buffers share pools of 8 KB that stay as long as any of them does.
 */
import { ConcordError } from "../core/errors.ts";
import type { Storage, StorageChange, StorageKey } from "../core/ports.ts";
import { createKeyOrder } from "./key-order.ts";
import { checkKey, checkLimit, seal, unseal } from "./record.ts";

export interface MemoryStorageOptions {
  /**
   * Bytes of keys and records that it takes before it answers `disk-full`. None by default: the machine's memory is the limit,
   * and what the store may hold is limited above.
   */
  readonly bytesMax?: number;
}

export interface MemoryStorage extends Storage {
  /** The sealed records. Whoever changes one plays the failing disk; for the simulator and for tests. */
  readonly records: Map<StorageKey, ByteString>;
}

/** One character a byte. */
export type ByteString = string;

interface SealedChange {
  readonly key: StorageKey;
  readonly record: ByteString | undefined;
}

export function createMemoryStorage({ bytesMax = Number.POSITIVE_INFINITY }: MemoryStorageOptions = {}): MemoryStorage {
  const records = new Map<StorageKey, ByteString>();
  const order = createKeyOrder();
  let bytes = 0;
  let refusal: ConcordError | undefined;
  let closed = false;

  const checkOpen = (): void => {
    if (closed) throw new ConcordError("stopping", "the memory storage is closed");
  };

  const apply = ({ key, record }: SealedChange): void => {
    if (record === undefined) {
      if (records.delete(key)) order.remove(key);
      return;
    }
    const count = records.size;
    records.set(key, record);
    if (records.size > count) order.add(key);
  };

  return {
    records,

    get(key) {
      checkOpen();
      checkKey(key);
      const record = records.get(key);
      return record === undefined ? undefined : valueOf(key, record);
    },

    range(from, to, limit) {
      checkOpen();
      checkLimit(limit);
      const { keys, more } = order.page(from, to, limit);
      return { rows: keys.map((key) => ({ key, value: valueOf(key, records.get(key) ?? "") })), more };
    },

    async write(batch) {
      checkOpen();
      const changes = batch.map(sealChange);
      await Promise.resolve();
      if (refusal !== undefined) throw refusal;
      if (bytesMax < Number.POSITIVE_INFINITY) {
        bytes += growthOf(changes, records);
        if (bytes > bytesMax) {
          refusal = new ConcordError("disk-full", `the memory storage is full: it may hold ${bytesMax} bytes`);
          throw refusal;
        }
      }
      for (const change of changes) apply(change);
    },

    async close() {
      closed = true;
      await Promise.resolve();
    },
  };
}

function sealChange({ key, value }: StorageChange): SealedChange {
  checkKey(key);
  if (value === undefined) return { key, record: undefined };
  const record = seal(key, value);
  return { key, record: record.toString("latin1") };
}

function valueOf(key: StorageKey, record: ByteString): Uint8Array {
  return unseal(key, Buffer.from(record, "latin1"));
}

/** Bytes that a batch adds. A batch that names a key twice is counted as it is applied: the last change stands. */
function growthOf(changes: readonly SealedChange[], records: ReadonlyMap<StorageKey, ByteString>): number {
  let growth = 0;
  for (const [key, record] of new Map(changes.map((change) => [change.key, change.record]))) {
    const before = records.get(key);
    if (before !== undefined) growth -= key.length + before.length;
    if (record !== undefined) growth += key.length + record.length;
  }
  return growth;
}
