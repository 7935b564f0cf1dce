/**
 * The changes that the durable storage does not show yet, laid over it: the replica must see its own writes, and nobody else may see
 * them before they are durable. There are two layers, because a turn takes inputs while the batch of the one before is on its
 * way: `take` hands out the upper layer as a batch and puts it below, `settle` forgets the lower one once the storage shows it.
 */
import { assert } from "./errors.ts";
import type { StorageChange, StorageKey, StoragePage, StorageReader } from "./ports.ts";

/** Null where the key is removed: one lookup tells this from a key that did not change. */
type Layer = Map<StorageKey, Uint8Array | null>;

export class Overlay implements StorageReader {
  readonly #below: StorageReader;
  #pending: Layer = new Map();
  /** The batch on its way. */
  #writing: Layer = new Map();
  /** The keys of both in order, made when a range is read and dropped when a key is added. */
  #sorted: StorageKey[] | undefined;

  constructor(below: StorageReader) {
    this.#below = below;
  }

  /** Rows of the upper layer. */
  get pendingRows(): number {
    return this.#pending.size;
  }

  get(key: StorageKey): Uint8Array | undefined {
    const changed = this.#changed(key);
    return changed === undefined ? this.#below.get(key) : (changed ?? undefined);
  }

  set(key: StorageKey, value: Uint8Array | undefined): void {
    if (this.#sorted !== undefined && !this.#pending.has(key)) this.#sorted = undefined;
    this.#pending.set(key, value ?? null);
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
      const value = this.#changed(key);
      if (value !== undefined && value !== null) rows.push({ key, value });
    }
    const more = rows.length > limit || below.more;
    return { rows: rows.slice(0, limit), more };
  }

  /** The batch of the upper layer. The one before has been settled. */
  take(): StorageChange[] {
    assert(this.#writing.size === 0, "one batch is on its way at a time");
    this.#writing = this.#pending;
    this.#pending = new Map();
    const changes: StorageChange[] = [];
    for (const [key, value] of this.#writing) changes.push({ key, value: value ?? undefined });
    return changes;
  }

  settle(): void {
    this.#writing = new Map();
    this.#sorted = undefined;
  }

  #changed(key: StorageKey): Uint8Array | null | undefined {
    const pending = this.#pending.get(key);
    if (pending !== undefined) return pending;
    return this.#writing.size === 0 ? undefined : this.#writing.get(key);
  }

  #changedWithin(from: StorageKey, to: StorageKey): StorageKey[] {
    if (this.#pending.size === 0 && this.#writing.size === 0) return [];
    this.#sorted ??= [...new Set([...this.#pending.keys(), ...this.#writing.keys()])].sort(byteOrder);
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
