/** Empties a prefix, for the adapters whose libraries have a `clear`: page by page, in batches. What is written meanwhile may stay. */
import type { Calls } from "../connect/types.ts";

export type Store = Calls<Record<string, unknown>>;

/** As many as one batch takes. */
const KEYS_MAX = 1_000;

/** Returns how many of the keys were there. */
export async function removeKeys(store: Store, keys: readonly string[]): Promise<number> {
  let removed = 0;
  for (let from = 0; from < keys.length; from += KEYS_MAX) {
    const operations = keys.slice(from, from + KEYS_MAX).map((key) => ({ op: "delete", key }) as const);
    removed += (await store.batch(operations)).filter(({ changed }) => changed).length;
  }
  return removed;
}

export async function removeAll(store: Store, prefix: string): Promise<void> {
  let keys: string[] = [];
  for await (const { key } of store.list({ prefix, values: false })) {
    keys.push(key);
    if (keys.length < KEYS_MAX) continue;
    await removeKeys(store, keys);
    keys = [];
  }
  await removeKeys(store, keys);
}
