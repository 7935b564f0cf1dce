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
  /** The keys of both in order, made when a range is read; and those that have come since. */
  #sorted: StorageKey[] | undefined;
  #added: StorageKey[] = [];

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
    if (this.#sorted !== undefined && !this.#pending.has(key) && !this.#writing.has(key)) this.#added.push(key);
    this.#pending.set(key, value ?? null);
  }

  range(from: StorageKey, to: StorageKey, limit: number): StoragePage {
    const changed = this.#changedWithin(from, to);
    if (changed.length === 0) return this.#below.range(from, to, limit);
    const rows: { key: StorageKey; value: Uint8Array }[] = [];
    // One row more than fits tells whether there are more. Changes may hide rows below, and then more of those are read: not as many more as
    // there are changes in the whole range, which may be all of the store.
    for (let next = from, passed = 0; ;) {
      const below = this.#below.range(next, to, limit + 1 - rows.length);
      const last = below.more ? below.rows[below.rows.length - 1]!.key : undefined;
      let at = 0;
      for (; rows.length <= limit && passed < changed.length; passed++) {
        const key = changed[passed]!;
        if (last !== undefined && key > last) break;
        while (at < below.rows.length && below.rows[at]!.key < key) rows.push(below.rows[at++]!);
        if (below.rows[at]?.key === key) at++;
        const value = this.#changed(key);
        if (value !== undefined && value !== null) rows.push({ key, value });
      }
      for (; rows.length <= limit && at < below.rows.length; at++) rows.push(below.rows[at]!);
      if (rows.length > limit || last === undefined) return { rows: rows.slice(0, limit), more: rows.length > limit };
      next = last + "\0";
    }
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
    if (this.#sorted === undefined) {
      this.#sorted = [...new Set([...this.#pending.keys(), ...this.#writing.keys()])].sort(byteOrder);
      this.#added = [];
    } else if (this.#added.length > 0) {
      // Sorting finds out that most are in order already.
      this.#sorted = this.#sorted.concat(this.#added).sort(byteOrder);
      this.#added = [];
    }
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
