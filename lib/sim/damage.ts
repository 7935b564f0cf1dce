/**
 * What a disk has damaged: records whose checksum does not match any more, and the values that were lost with them. It tells which keys must
 * not look as if nobody had ever written them.
 */
import { decodeSiblings } from "../core/codec.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import { dotsOf } from "../core/entry.ts";
import type { Dot } from "../core/dot.ts";
import { ENTRY, type EntryKey } from "../core/layout.ts";
import type { StorageKey } from "../core/ports.ts";

export class Damage {
  readonly #records = new Set<StorageKey>();
  readonly #lost = new Map<EntryKey, readonly Dot[]>();
  /** Something was ever damaged here. */
  happened = false;

  /** Records that cannot be read now. */
  get size(): number {
    return this.#records.size;
  }

  hit(key: StorageKey, value: Uint8Array): void {
    this.happened = true;
    if (key.startsWith(ENTRY) && !this.#records.has(key)) this.#lost.set(key.slice(ENTRY.length), dotsOf(decodeSiblings(value)));
    this.#records.add(key);
  }

  /** Throws as a storage does. */
  check(key: StorageKey): void {
    if (this.#records.has(key)) throw new DamagedRecordError(key);
  }

  /** The key holds something again, and may be deleted from now on like any other. */
  replaced(key: EntryKey): void {
    this.#lost.delete(key);
  }

  /** Returns true when an entry went that could not be read: it was set apart, and may have been written anew in the same batch. */
  onWrite(key: StorageKey): boolean {
    return this.#records.delete(key) && key.startsWith(ENTRY);
  }

  clear(): void {
    this.#records.clear();
    this.#lost.clear();
  }

  /** What the key held when its record was damaged, as long as nothing else has been written there. */
  lostOf(key: EntryKey): readonly Dot[] {
    return this.#lost.get(key) ?? [];
  }
}
