/**
 * One page of a listing, read in steps whose size follows that of the values: a page of ten thousand small entries is one or two looks at the
 * storage, and a page of large ones never holds many more of them than it may.
 */
import { decodeSiblings } from "../core/codec.ts";
import type { KvListing, KvListOptions, KvValue } from "../core/kv.ts";
import { after, ENTRY, keyFromBytes, keyToBytes, MARK, markAt } from "../core/layout.ts";
import type { Storage } from "../core/ports.ts";
import { readStretch } from "../core/walk.ts";
import { show, type Showing } from "./kv-view.ts";

/** Keys that one page of a listing holds at most. */
export const LIST_MAX = 10_000;

/** Names of lost keys in one page; the status knows how many there are. */
const WAITING_MAX = 100;

/** The first look of a page that is limited in bytes: with values of the largest size, all that memory should hold. */
const FIRST_ROWS = 16;

export function listKeys(storage: Storage, showing: Showing, options: KvListOptions): KvListing {
  const { prefix = "", after: cursor, bytesMax = Infinity } = options;
  const start = ENTRY + keyToBytes(prefix);
  const end = endOf(start);
  let from = cursor === undefined ? start : [start, ENTRY + keyToBytes(cursor) + "\0"].sort().pop()!;
  let rowsLeft = Math.max(1, Math.min(options.limit, LIST_MAX));
  let bytesLeft = bytesMax;
  let step = bytesMax === Infinity ? rowsLeft : FIRST_ROWS;
  const entries: { key: string; value: KvValue }[] = [];
  for (;;) {
    const { rows, more } = storage.range(from, end, Math.min(step, rowsLeft));
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]!;
      const key = row.key.slice(ENTRY.length);
      const value = show(showing, key, decodeSiblings(row.value));
      if (value !== undefined) entries.push({ key: keyFromBytes(key), value });
      rowsLeft--;
      bytesLeft -= row.value.length + key.length;
      const isLast = !more && i === rows.length - 1;
      if ((rowsLeft <= 0 || bytesLeft <= 0) && !isLast) return { entries, cursor: keyFromBytes(key) };
    }
    if (!more) return { entries, cursor: undefined };
    from = `${rows[rows.length - 1]!.key}\0`;
    // As many as would fill the rest if they were as large as those before.
    step = Math.max(1, Math.min(rowsLeft, Math.ceil((step * bytesLeft) / Math.max(1, bytesMax - bytesLeft))));
  }
}

/** Keys that a page up to this cursor leaves out because they wait for what the disk has lost; a reader must not take them for deleted. */
export function waitingIn(storage: Storage, { prefix = "", after: from }: KvListOptions, to: string | undefined): string[] | undefined {
  const start = markAt(keyToBytes(prefix));
  const first = from === undefined ? start : [start, `${markAt(keyToBytes(from))}\0`].sort().pop()!;
  const end = to === undefined ? endOf(start) : `${markAt(keyToBytes(to))}\0`;
  const { rows, damaged } = readStretch(storage, first, end, WAITING_MAX);
  const marks = [...rows.map(({ key }) => key), ...(damaged === undefined ? [] : [damaged])];
  return marks.length === 0 ? undefined : marks.map((mark) => keyFromBytes(mark.slice(MARK.length)));
}

/** The first storage key after all that begin with this one. */
export function endOf(start: string): string {
  return after(start.replace(/\xff+$/, ""));
}
