/**
 * A map of storage keys that grows without a pause: 256 small maps, and the key's last characters say in which it is.
 *
 * A JavaScript Map doubles by moving all it holds: with a million keys that is a third of a second in which a node answers nobody. Small maps
 * of the same size would all double within the same few writes. So the last is to hold twice as much as the first, and those between in
 * proportion: each time that the whole doubles, they do one after the other, at even distances.
 */
import type { StorageKey } from "../core/ports.ts";

const SHARDS = 256;

/** As many as a dot has, and most of what keys of one kind differ in. */
const CHARS = 12;
/** FNV-1a's (Fowler, Noll, Vo). */
const [BASIS, PRIME] = [0x811c_9dc5, 0x0100_0193];
/** 2^32 by the golden ratio, so that the upper bits have something of all (Knuth, The Art of Computer Programming 3, 6.4). */
const SCATTER = 0x9e37_79b1;

const SLOT_BITS = 14;
const SHARD_OF_SLOT = Uint8Array.from({ length: 1 << SLOT_BITS }, (_, slot) => Math.floor(SHARDS * Math.log2(1 + slot / (1 << SLOT_BITS))));

export function shardOf(key: StorageKey): number {
  let hash = BASIS;
  for (let at = Math.max(0, key.length - CHARS); at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), PRIME);
  return SHARD_OF_SLOT[Math.imul(hash, SCATTER) >>> (32 - SLOT_BITS)]!;
}

export class ShardedMap<Value> {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<StorageKey, Value>());
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: StorageKey): Value | undefined {
    return this.#shards[shardOf(key)]!.get(key);
  }

  /** Returns whether the key is new. */
  set(key: StorageKey, value: Value): boolean {
    const shard = this.#shards[shardOf(key)]!;
    const before = shard.size;
    shard.set(key, value);
    this.#size += shard.size - before;
    return shard.size > before;
  }

  /** Returns whether the key was there. */
  delete(key: StorageKey): boolean {
    const wasThere = this.#shards[shardOf(key)]!.delete(key);
    if (wasThere) this.#size--;
    return wasThere;
  }
}
