/**
 * Rows that lie over those of another storage: what the journal holds and the tree does not yet.
 *
 * A few thousand rows at most. Keys are put in order only when somebody asks for a range, because most writes are followed by another write.
 */
import { DamagedRecordError } from "../core/damaged.ts";
import type { StorageChange, StorageKey, StoragePage, StorageReader } from "../core/ports.ts";

type Row = StoragePage["rows"][number];

export class Memtable {
  /** A removed key is there, with undefined. */
  readonly #rows = new Map<StorageKey, Uint8Array | undefined>();
  #ordered: StorageKey[] | undefined;

  get size(): number {
    return this.#rows.size;
  }

  /** Whether the table says what the key holds; `get` then does. */
  has(key: StorageKey): boolean {
    return this.#rows.has(key);
  }

  /** Undefined when the key is removed, or not here. */
  get(key: StorageKey): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  apply(batch: readonly StorageChange[]): void {
    const before = this.#rows.size;
    for (const { key, value } of batch) this.#rows.set(key, value);
    if (this.#rows.size !== before) this.#ordered = undefined;
  }

  /** What makes another storage hold the same, in key order: a tree is quickest then. */
  changes(): StorageChange[] {
    return this.#keys().map((key) => ({ key, value: this.#rows.get(key) }));
  }

  /** Keys k, removed ones too, with `from <= k < to`, in order. */
  keysBetween(from: StorageKey, to: StorageKey): StorageKey[] {
    if (this.#rows.size === 0) return [];
    const keys = this.#keys();
    return keys.slice(firstAtLeast(keys, from), firstAtLeast(keys, to));
  }

  #keys(): StorageKey[] {
    return (this.#ordered ??= [...this.#rows.keys()].sort(byBytes));
  }
}

/** A page of the range as it is when the tables, the first above the second and so on, lie over the storage; `hidden` keys are in none. */
export function overlaidPage(
  below: StorageReader,
  tables: readonly Memtable[],
  hidden: readonly StorageKey[],
  from: StorageKey,
  to: StorageKey,
  limit: number,
): StoragePage {
  const lists = [...tables.map((table) => table.keysBetween(from, to)), hidden.filter((key) => key >= from && key < to)];
  const keys = merged(lists.filter((list) => list.length > 0));
  if (keys.length === 0) return below.range(from, to, limit);
  const above = new Set(keys);
  const valueAbove = (key: StorageKey): Uint8Array | undefined => tables.find((table) => table.has(key))?.get(key);
  const rows: Row[] = [];
  let next = 0;
  const takeUpTo = (last: StorageKey | undefined): void => {
    for (; next < keys.length && (last === undefined || keys[next]! <= last); next++) {
      const value = valueAbove(keys[next]!);
      if (value !== undefined) rows.push({ key: keys[next]!, value });
    }
  };
  let part: Part = { rows: [], rest: from };
  while (part.rest !== undefined && rows.length < limit) {
    part = partBelow(below, above, part.rest, to, limit - rows.length);
    for (const row of part.rows) {
      takeUpTo(row.key);
      if (!above.has(row.key)) rows.push(row);
    }
    if (part.rest === undefined) takeUpTo(undefined);
  }
  if (rows.length > limit) return { rows: rows.slice(0, limit), more: true };
  const more = part.rest !== undefined && (keys.slice(next).some(valueAbove) || hasRowBesides(below, above, part.rest, to));
  return { rows, more };
}

interface Part {
  readonly rows: readonly Row[];
  /** From where on the range goes on; undefined at its end. */
  readonly rest: StorageKey | undefined;
}

/** Some rows of the range. A damaged one that another has taken the place of is passed over: to write anew is how it is healed. */
function partBelow(below: StorageReader, above: ReadonlySet<StorageKey>, from: StorageKey, to: StorageKey, limit: number): Part {
  try {
    const { rows, more } = below.range(from, to, limit);
    const last = rows.at(-1);
    return { rows, rest: more && last !== undefined ? after(last.key) : undefined };
  } catch (error) {
    if (!(error instanceof DamagedRecordError) || !above.has(error.key)) throw error;
    // It is the first damaged one of at most as many rows as may be.
    return { rows: below.range(from, error.key, limit).rows, rest: after(error.key) };
  }
}

/** Whether the range holds a row below that no key above takes the place of; a damaged one is a row. */
function hasRowBesides(below: StorageReader, above: ReadonlySet<StorageKey>, from: StorageKey, to: StorageKey): boolean {
  try {
    for (let rest: StorageKey | undefined = from; rest !== undefined;) {
      const part: Part = partBelow(below, above, rest, to, 1);
      if (part.rows.some(({ key }) => !above.has(key))) return true;
      rest = part.rest;
    }
    return false;
  } catch (error) {
    if (error instanceof DamagedRecordError) return true;
    throw error;
  }
}

/** The first key behind this one. */
function after(key: StorageKey): StorageKey {
  return `${key}\0`;
}

function merged(lists: readonly (readonly StorageKey[])[]): readonly StorageKey[] {
  const [first = []] = lists;
  return lists.length <= 1 ? first : [...new Set(lists.flat())].sort(byBytes);
}

/** The port's order, of strings with one character a byte. */
function byBytes(a: StorageKey, b: StorageKey): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function firstAtLeast(keys: readonly StorageKey[], key: StorageKey): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? "") < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
