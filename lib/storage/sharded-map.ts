/**
 * A map of storage keys that grows without a pause: one small map for each of 256 values of the key's last characters.
 *
 * A JavaScript Map doubles by moving all it holds: with a million keys that is a third of a second in which a node answers nobody. The
 * same doublings happen here, each of a few thousand keys.
 */
import type { StorageKey } from "../core/ports.ts";

const SHARDS = 256;

/** Odd, so that digits and letters, of which keys are usually made, spread over all shards. */
const SPREAD = 37;

export class ShardedMap<Value> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<StorageKey, Value>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: StorageKey): Value | undefined {
    return this.#shardOf(key).get(key);
  }

  /** Returns whether the key is new. */
  set(key: StorageKey, value: Value): boolean {
    const shard = this.#shardOf(key);
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
    return shard.size > before;
  }

  /** Returns whether the key was there. */
  delete(key: StorageKey): boolean {
    const wasThere = this.#shardOf(key).delete(key);
    if (wasThere) this.#size--;
    return wasThere;
  }

  /** A key is one character at least; one of a single character has a shard like any other. */
  #shardOf(key: StorageKey): Map<StorageKey, Value> {
    const end = key.length;
    const hash = key.charCodeAt(end - 1) + SPREAD * (key.charCodeAt(end - 2) | 0) + SPREAD * SPREAD * (key.charCodeAt(end - 3) | 0);
    return this.#shards[hash % SHARDS]!;
  }
}
