/**
 * Keys in byte order, in memory: a list of sorted blocks of a few hundred keys.
 *
 * A balanced tree has the better bound and the worse constant: an object per key, and a pointer chased per level. Here a key costs one
 * slot in an array, a lookup is two binary searches, an insertion moves half a block (a memmove of 2 KB), and a scan is a
 * walk along arrays. Keys that arrive in order, as dots do, only append and leave full blocks behind.
 */
import { assert } from "../core/errors.ts";
import type { StorageKey } from "../core/ports.ts";

export interface KeyPage {
  readonly keys: readonly StorageKey[];
  /** True when the range holds more keys after the last one. */
  readonly more: boolean;
}

export interface KeyOrder {
  /** The key must not be there yet. */
  add(key: StorageKey): void;
  /** The key must be there. */
  remove(key: StorageKey): void;
  /** Keys k with `from <= k < to`, `limit` of them at most. */
  page(from: StorageKey, to: StorageKey, limit: number): KeyPage;
}

/** Insertion moves half a block, the list of blocks has n / 512 elements: both stay cheap up to tens of millions of keys. */
const BLOCK_KEYS_MAX = 512;
/** Neighbours that fit into half a block together become one, so that many removals do not leave many tiny blocks. */
const BLOCK_KEYS_MERGE = BLOCK_KEYS_MAX / 2;

export function createKeyOrder(): KeyOrder {
  const blocks: StorageKey[][] = [];
  return {
    add: (key) => addKey(blocks, key),
    remove: (key) => removeKey(blocks, key),
    page: (from, to, limit) => pageOf(blocks, from, to, limit),
  };
}

function addKey(blocks: StorageKey[][], key: StorageKey): void {
  const last = blocks.at(-1);
  if (last === undefined || (key > maximum(last) && last.length >= BLOCK_KEYS_MAX)) {
    blocks.push([key]);
    return;
  }
  if (key > maximum(last)) {
    last.push(key);
    return;
  }
  const at = blockAt(blocks, key);
  const block = blockOf(blocks, at);
  block.splice(positionAt(block, key), 0, key);
  if (block.length > BLOCK_KEYS_MAX) blocks.splice(at + 1, 0, block.splice(BLOCK_KEYS_MAX / 2));
}

function removeKey(blocks: StorageKey[][], key: StorageKey): void {
  const at = blockAt(blocks, key);
  const block = blockOf(blocks, at);
  const position = positionAt(block, key);
  assert(block[position] === key, "a key that is removed from the order stands in it");
  block.splice(position, 1);
  if (block.length === 0) blocks.splice(at, 1);
  else if (block.length < BLOCK_KEYS_MERGE) merge(blocks, at);
}

function merge(blocks: StorageKey[][], at: number): void {
  const block = blockOf(blocks, at);
  const next = blocks[at + 1];
  const previous = blocks[at - 1];
  if (next !== undefined && block.length + next.length <= BLOCK_KEYS_MERGE) {
    blocks.splice(at, 2, [...block, ...next]);
  } else if (previous !== undefined && previous.length + block.length <= BLOCK_KEYS_MERGE) {
    blocks.splice(at - 1, 2, [...previous, ...block]);
  }
}

function pageOf(blocks: readonly StorageKey[][], from: StorageKey, to: StorageKey, limit: number): KeyPage {
  const keys: StorageKey[] = [];
  for (let at = blockAt(blocks, from); at < blocks.length; at++) {
    const block = blockOf(blocks, at);
    for (let position = keys.length === 0 ? positionAt(block, from) : 0; position < block.length; position++) {
      const key = block[position];
      if (key === undefined || key >= to) return { keys, more: false };
      if (keys.length >= limit) return { keys, more: true };
      keys.push(key);
    }
  }
  return { keys, more: false };
}

/** The first block whose greatest key is not below this one. */
function blockAt(blocks: readonly StorageKey[][], key: StorageKey): number {
  let low = 0;
  let high = blocks.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (maximum(blockOf(blocks, middle)) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The first position in a block whose key is not below this one. */
function positionAt(block: readonly StorageKey[], key: StorageKey): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((block[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function blockOf(blocks: readonly StorageKey[][], at: number): StorageKey[] {
  const block = blocks[at];
  assert(block !== undefined, "the order of keys has a block there");
  return block;
}

/** No block is ever empty. */
function maximum(block: readonly StorageKey[]): StorageKey {
  return block[block.length - 1] ?? "";
}
