/**
 * Keys in byte order, in memory: a list of sorted blocks of a few hundred keys.
 *
 * A balanced tree has the better bound and the worse constant: an object per key, and a pointer chased per level. Here a key costs one
 * slot in an array, a lookup is two binary searches, an insertion moves half a block (a memmove of 2 KB), and a scan is a
 * walk along arrays. Keys that arrive in order, as dots do, only append and leave full blocks behind; each first byte has a list of
 * blocks to itself, so that the end to which they append is theirs.
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
  /** By first byte. */
  const lists: StorageKey[][][] = Array.from({ length: 256 }, () => []);
  return {
    add: (key) => addKey(listOf(lists, key), key),
    remove: (key) => removeKey(listOf(lists, key), key),
    page(from, to, limit) {
      const keys: StorageKey[] = [];
      const last = to === "" ? -1 : to.charCodeAt(0);
      let more = false;
      for (let first = from === "" ? 0 : from.charCodeAt(0); first <= last && !more; first++) {
        more = addPage(lists[first] ?? [], from, to, limit, keys);
      }
      return { keys, more };
    },
  };
}

function listOf(lists: readonly StorageKey[][][], key: StorageKey): StorageKey[][] {
  const list = lists[key.charCodeAt(0)];
  assert(list !== undefined, "a key has bytes");
  return list;
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

/** Returns whether the range holds more keys than the page may. */
function addPage(blocks: readonly StorageKey[][], from: StorageKey, to: StorageKey, limit: number, page: StorageKey[]): boolean {
  const firstBlock = blockAt(blocks, from);
  for (let at = firstBlock; at < blocks.length; at++) {
    const block = blockOf(blocks, at);
    for (let position = at === firstBlock ? positionAt(block, from) : 0; position < block.length; position++) {
      const key = block[position];
      if (key === undefined || key >= to) return false;
      if (page.length >= limit) return true;
      page.push(key);
    }
  }
  return false;
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
