/**
 * The changes of one turn, laid over the durable storage: the replica must see its own writes within the turn, and nobody else may
 * see them before the batch is durable. `take` hands out the batch; `settle` forgets it once the storage shows it.
 */
import type { StorageChange, StorageKey, StoragePage, StorageReader } from "./ports.ts";

export class Overlay implements StorageReader {
  readonly #below: StorageReader;
  readonly #pending = new Map<StorageKey, Uint8Array | undefined>();
  /** The pending keys in order, made when a range is read and dropped when a key is added. */
  #sorted: StorageKey[] | undefined;

  constructor(below: StorageReader) {
    this.#below = below;
  }

  get size(): number {
    return this.#pending.size;
  }

  get(key: StorageKey): Uint8Array | undefined {
    const pending = this.#pending.get(key);
    if (pending !== undefined || this.#pending.has(key)) return pending;
    return this.#below.get(key);
  }

  set(key: StorageKey, value: Uint8Array | undefined): void {
    if (this.#sorted !== undefined && !this.#pending.has(key)) this.#sorted = undefined;
    this.#pending.set(key, value);
  }

  range(from: StorageKey, to: StorageKey, limit: number): StoragePage {
    const changed = this.#changedWithin(from, to);
    if (changed.length === 0) return this.#below.range(from, to, limit);
    // Every changed key may hide one row below, so this many more rows are enough to fill the page.
    const below = this.#below.range(from, to, limit + changed.length);
    const rows: { key: StorageKey; value: Uint8Array }[] = [];
    let i = 0;
    let j = 0;
    while (rows.length <= limit && (i < below.rows.length || j < changed.length)) {
      const row = below.rows[i];
      const key = changed[j];
      if (key === undefined || (row !== undefined && row.key < key)) {
        rows.push(row!);
        i++;
        continue;
      }
      if (row?.key === key) i++;
      j++;
      const value = this.#pending.get(key);
      if (value !== undefined) rows.push({ key, value });
    }
    const more = rows.length > limit || below.more;
    return { rows: rows.slice(0, limit), more };
  }

  take(): StorageChange[] {
    const changes: StorageChange[] = [];
    for (const [key, value] of this.#pending) changes.push({ key, value });
    return changes;
  }

  settle(): void {
    this.#pending.clear();
    this.#sorted = undefined;
  }

  #changedWithin(from: StorageKey, to: StorageKey): StorageKey[] {
    if (this.#pending.size === 0) return [];
    this.#sorted ??= [...this.#pending.keys()].sort(byteOrder);
    return this.#sorted.slice(firstAtOrAfter(this.#sorted, from), firstAtOrAfter(this.#sorted, to));
  }
}

function byteOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function firstAtOrAfter(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
