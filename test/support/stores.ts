/**
 * Stores over a memory storage, and what a test asks of them: to write, to say all that they hold, and to contradict themselves nowhere.
 */
import { decodeSiblings } from "../../lib/core/codec.ts";
import type { LocalWrite } from "../../lib/core/change.ts";
import { DEFAULT_DIGEST_KEY, Digest, dotHash } from "../../lib/core/digest.ts";
import { dotKey, dotOfKey, formatDot, formatIncarnation, type Dot } from "../../lib/core/dot.ts";
import { after, CONTEXT, dotAtEnd, ENTRY, EXPIRY, INDEX, SEVERAL } from "../../lib/core/layout.ts";
import type { Random, StorageReader } from "../../lib/core/ports.ts";
import type { Store } from "../../lib/core/store.ts";
import type { StoreOptions } from "../../lib/core/store-options.ts";
import { openStore } from "../../lib/core/store-open.ts";
import { createMemoryStorage, type MemoryStorage } from "../../lib/storage/memory.ts";
import { createRandom } from "./chance.ts";

export interface TestStore {
  readonly store: Store;
  readonly storage: MemoryStorage;
  /** Makes the changes so far durable, as a node does at the end of a turn. Gives the keys of the batch. */
  readonly persist: () => Promise<string[]>;
  /** The same folder in a new process: what was not persisted is gone, and so is whatever was only in memory. */
  readonly reopen: () => Promise<TestStore>;
  readonly rebuilt: string | undefined;
}

export interface TestStoreOptions extends Partial<Omit<StoreOptions, "name">> {
  readonly storage?: MemoryStorage;
}

export async function openTestStore(name: string, options: TestStoreOptions = {}): Promise<TestStore> {
  const storage = options.storage ?? createMemoryStorage();
  const random: Random = options.random ?? createRandom([...name].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0), 7));
  const { digestKey = DEFAULT_DIGEST_KEY, recentDeletionsMax = 1000, policies } = options;
  const { store, rebuilt } = await openStore(storage, { name, digestKey, random, recentDeletionsMax, policies });
  return {
    store,
    storage,
    rebuilt,
    async persist() {
      const batch = store.takeChanges();
      await storage.write(batch);
      store.settle();
      return batch.map(({ key }) => key);
    },
    reopen: () => openTestStore(name, { ...options, storage, random }),
  };
}

/** A folder copied file by file. */
export async function copyOf(storage: MemoryStorage): Promise<MemoryStorage> {
  const copy = createMemoryStorage();
  await copy.write([...rowsOf(storage, "")].map(([key, value]) => ({ key, value })));
  return copy;
}

/** A put's input: JSON text that never expires, unless told otherwise. */
export function json(text: string, more: Partial<LocalWrite> = {}): LocalWrite {
  return { contentType: "", value: Buffer.from(text), expiresAtMs: 0, ...more };
}

export function textsOf(store: Store, key: string): string[] {
  return store.read(key).map(({ value }) => Buffer.from(value).toString());
}

/** All that a store holds and has seen, in a form that a test can compare: two that agree give equal ones. */
export function stateOf(store: Store): { readonly entries: Record<string, string>; readonly context: Record<string, readonly number[]> } {
  const entries: Record<string, string> = {};
  for (const [row, record] of rowsOf(store.reader, ENTRY)) entries[row.slice(ENTRY.length)] = Buffer.from(record).toString("hex");
  const context: Record<string, readonly number[]> = {};
  for (const name of [...store.context.incarnations()].sort()) context[formatIncarnation(name)] = [...store.context.rangesOf(name)];
  return { entries, context };
}

export function liveDots(store: Store): string[] {
  return [...rowsOf(store.reader, ENTRY)].flatMap(([, record]) => decodeSiblings(record).map(({ dot }) => formatDot(dot))).sort();
}

/** Everything that can be computed from the entries, computed from the entries. Empty when the store agrees with all of it. */
export function contradictions(store: Store): string[] {
  const found: string[] = [];
  const [root, dotRoot] = [new Digest(), new Digest()];
  const live = new Map<string, string>();
  const expiring = new Set<string>();
  let keys = 0;
  for (const [row, record] of rowsOf(store.reader, ENTRY)) {
    keys++;
    for (const { dot, digest, expiresAtMs } of decodeSiblings(record)) {
      const name = dotKey(dot.incarnation, dot.counter);
      if (live.has(name)) found.push(`${formatDot(dot)} is live twice`);
      if (!store.context.has(dot)) found.push(`${formatDot(dot)} is live and unseen`);
      live.set(name, row.slice(ENTRY.length));
      root.add(digest);
      dotRoot.add(dotHash(store.options.digestKey, dot.incarnation, dot.counter));
      if (expiresAtMs > 0) expiring.add(name);
    }
  }
  if (!root.equals(store.root)) found.push("the root is not the sum of the contents");
  if (!dotRoot.equals(store.dotRoot)) found.push("the dotRoot is not the sum of the dots");
  if (store.count !== live.size) found.push(`count ${store.count} of ${live.size}`);
  if (store.keyCount !== keys) found.push(`keyCount ${store.keyCount} of ${keys}`);
  const several = [...rowsOf(store.reader, ENTRY)]
    .filter(([, record]) => decodeSiblings(record).length > 1)
    .map(([row]) => row.slice(ENTRY.length));
  const listed = [...rowsOf(store.reader, SEVERAL)].map(([row]) => row.slice(SEVERAL.length));
  if (several.join("\n") !== listed.join("\n")) found.push(`with several siblings are ${several.join()}, and listed ${listed.join()}`);
  found.push(...indexContradictions(store, live), ...expiryContradictions(store, expiring));
  return found;
}

function indexContradictions(store: Store, live: ReadonlyMap<string, string>): string[] {
  const index = new Map([...rowsOf(store.reader, INDEX)].map(([row, key]) => [dotAtEnd(row), Buffer.from(key).toString("latin1")]));
  const wrong = [...live].filter(([dot, key]) => index.get(dot) !== key).map(([dot]) => `${shown(dot)} is live and not in the index`);
  return [...wrong, ...[...index.keys()].filter((dot) => !live.has(dot)).map((dot) => `${shown(dot)} is in the index and not live`)];
}

function expiryContradictions(store: Store, expiring: ReadonlySet<string>): string[] {
  const rows = new Set([...rowsOf(store.reader, EXPIRY)].map(([row]) => dotAtEnd(row)));
  const missing = [...expiring].filter((dot) => !rows.has(dot)).map((dot) => `${shown(dot)} is never swept`);
  return [...missing, ...[...rows].filter((dot) => !expiring.has(dot)).map((dot) => `${shown(dot)} is swept and not there`)];
}

function shown(dot: string): string {
  return formatDot(dotOfKey(dot));
}

/** Rows that begin with this, in order; all of them for "". */
export function* rowsOf(reader: StorageReader, prefix: string): Generator<[key: string, value: Uint8Array]> {
  const end = prefix === "" ? "\xff" : after(prefix);
  for (let from = prefix, more = true; more;) {
    const page = reader.range(from, end, 1000);
    for (const { key, value } of page.rows) yield [key, value];
    more = page.more;
    from = (page.rows.at(-1)?.key ?? end) + "\0";
  }
}

/** How many rows of each kind the storage holds. */
export function rowCounts(reader: StorageReader): {
  entries: number;
  index: number;
  expiry: number;
  context: number;
  several: number;
  all: number;
} {
  const count = (prefix: string): number => [...rowsOf(reader, prefix)].length;
  return {
    entries: count(ENTRY),
    index: count(INDEX),
    expiry: count(EXPIRY),
    context: count(CONTEXT),
    several: count(SEVERAL),
    all: count(""),
  };
}

export function dots(incarnation: string, ...counters: number[]): Dot[] {
  return counters.map((counter) => ({ incarnation, counter }));
}
