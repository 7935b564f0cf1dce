/** The keys that hold several values, by the rows that the store keeps of them: a look costs what is listed, whatever else there is. */
import { decodeSiblings } from "../core/codec.ts";
import type { KvListing, KvListOptions, KvValue } from "../core/kv.ts";
import { after, entryAt, keyFromBytes, keyToBytes, SEVERAL, severalAt } from "../core/layout.ts";
import type { Storage } from "../core/ports.ts";
import { endOf, LIST_MAX } from "./kv-list.ts";
import { show, type Showing } from "./kv-view.ts";

/** What a key shows whose values are equal, or have expired but for one, is no conflict and is left out. */
export function listConflicts(storage: Storage, showing: Showing, options: KvListOptions): KvListing {
  const { prefix = "", after: cursor, bytesMax = Infinity } = options;
  const start = severalAt(keyToBytes(prefix));
  const from = cursor === undefined ? start : [start, `${severalAt(keyToBytes(cursor))}\0`].sort().pop()!;
  const end = start === SEVERAL ? after(SEVERAL) : endOf(start);
  const { rows, more } = storage.range(from, end, Math.max(1, Math.min(options.limit, LIST_MAX)));
  const entries: { key: string; value: KvValue }[] = [];
  let bytesLeft = bytesMax;
  for (let i = 0; i < rows.length; i++) {
    const key = rows[i]!.key.slice(SEVERAL.length);
    const record = storage.get(entryAt(key));
    const value = record === undefined ? undefined : show(showing, key, decodeSiblings(record));
    if (value !== undefined && value.siblings > 1) entries.push({ key: keyFromBytes(key), value });
    bytesLeft -= record?.length ?? 0;
    const isLast = !more && i === rows.length - 1;
    if ((bytesLeft <= 0 || i === rows.length - 1) && !isLast) return { entries, cursor: keyFromBytes(key) };
  }
  return { entries, cursor: undefined };
}
