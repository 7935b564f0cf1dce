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

/** What a key held when its record was damaged. */
interface Lost {
  readonly dots: readonly Dot[];
  /** Some of them have left the context since. */
  isGivenUp: boolean;
}

export class Damage {
  readonly #records = new Set<StorageKey>();
  readonly #lost = new Map<EntryKey, Lost>();
  /** Something was ever damaged here. */
  happened = false;

  /** Records that cannot be read now. */
  get size(): number {
    return this.#records.size;
  }

  hit(key: StorageKey, value: Uint8Array): void {
    this.happened = true;
    if (key.startsWith(ENTRY) && !this.#records.has(key)) {
      this.#lost.set(key.slice(ENTRY.length), { dots: dotsOf(decodeSiblings(value)), isGivenUp: false });
    }
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

  /**
   * To be called after each batch. A key whose lost dots left the context, and are all in it again without a value, is deleted: a peer has said so, or
   * a client. That settles it for good. A rebuild may forget later which deletions there were, and the dots with them (rule 5); but the key
   * had nothing any more that the disk could lose, so it is right to say then that it is not there.
   */
  settle(knows: (dot: Dot) => boolean): void {
    for (const [key, lost] of this.#lost) {
      if (!lost.dots.every(knows)) lost.isGivenUp = true;
      else if (lost.isGivenUp) this.#lost.delete(key);
    }
  }

  clear(): void {
    this.#records.clear();
    this.#lost.clear();
  }

  /** What the key held when its record was damaged, as long as nothing else has been written there, and it is not known to be deleted. */
  lostOf(key: EntryKey): readonly Dot[] {
    return this.#lost.get(key)?.dots ?? [];
  }
}
