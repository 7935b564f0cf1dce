/**
 * Opening a store: load what is known of the whole, make sure that it agrees with the entries, rebuild it when it does not.
 *
 * Absence plus context reads as "deleted". Entries that were lost while the context survived would therefore be deleted at every peer
 * by the next repair. So when the two disagree the entries win: the context becomes the dots of the entries, and what is missing
 * simply has not been seen yet (DESIGN rule 5). The price is that deletions which no peer knows of yet are forgotten.
 *
 * A small store is recomputed and compared here. A large one must open at once; its audit (audit.ts) runs while it serves, and
 * asks for a rebuild at the next open by removing the store's own record.
 */
import { Audit } from "./audit.ts";
import { ByteWriter, decodeSiblings, encodeSiblings, writeRanges } from "./codec.ts";
import { Context } from "./context.ts";
import { loadContext } from "./context-record.ts";
import { contentHash, Digest, dotHash, shortHash } from "./digest.ts";
import { sweepAt } from "./expiry.ts";
import type { Sibling } from "./entry.ts";
import { ConcordError } from "./errors.ts";
import { after, CONTEXT, contextAt, ENTRY, EXPIRY, INDEX, indexAt, META } from "./layout.ts";
import { decodeMeta, encodeMeta, type Meta } from "./meta.ts";
import type { Storage, StorageChange } from "./ports.ts";
import { Store, type StoreOptions } from "./store.ts";
import { STAMP_ZERO } from "./time.ts";

/** A store of up to this many siblings is audited while it opens: some 100 ms. */
export const AUDIT_AT_OPEN_MAX = 20_000;

/** Changes of one batch while rebuilding: a few MB. */
const REBUILD_BATCH = 10_000;

const PAGE_ROWS = 1024;

export interface Opened {
  readonly store: Store;
  /** Why the store was rebuilt from its entries; undefined when it was loaded as it was. */
  readonly rebuilt: string | undefined;
}

/** Throws ConcordError `damaged` when a record's checksum does not match. */
export async function openStore(storage: Storage, options: StoreOptions): Promise<Opened> {
  const loaded = load(storage, options);
  if (loaded.problem === undefined) return { store: loaded.store, rebuilt: undefined };
  await rebuild(storage, options);
  const again = load(storage, options);
  if (again.problem !== undefined) throw new ConcordError("damaged", `the store cannot be rebuilt: ${again.problem}`);
  return { store: again.store, rebuilt: loaded.problem };
}

type Loaded = { readonly store: Store; readonly problem: undefined } | { readonly store?: undefined; readonly problem: string };

function load(storage: Storage, options: StoreOptions): Loaded {
  const record = storage.get(META);
  if (record === undefined) {
    if (storage.range("", "\xff", 1).rows.length > 0) return { problem: "its own record is missing" };
    return { store: new Store(storage, options, undefined, new Context()), problem: undefined };
  }
  try {
    const meta = decodeMeta(record);
    if (meta.keyFingerprint !== shortHash(options.digestKey, EMPTY)) return { problem: "its digests were made with another cluster key" };
    const store = new Store(storage, options, meta, loadContext(storage));
    if (meta.count > AUDIT_AT_OPEN_MAX) return { store, problem: undefined };
    const problem = new Audit(store).runToEnd();
    return problem === undefined ? { store, problem } : { problem };
  } catch (error) {
    if (error instanceof ConcordError && error.code === "malformed") return { problem: error.message };
    throw error;
  }
}

/** In bounded batches, the store's own record last: a crash in between finds it missing and begins again. */
async function rebuild(storage: Storage, options: StoreOptions): Promise<void> {
  const stamp = lastStamp(storage);
  await storage.write([{ key: META, value: undefined }]);
  for (const prefix of [CONTEXT, INDEX, EXPIRY]) await clear(storage, prefix);
  const sums = { root: new Digest(), dotRoot: new Digest(), count: 0, keyCount: 0, context: new Context() };
  let batch: StorageChange[] = [];
  for (let from = ENTRY, more = true; more;) {
    const page = storage.range(from, after(ENTRY), PAGE_ROWS);
    for (const row of page.rows) {
      const key = row.key.slice(ENTRY.length);
      const siblings = decodeSiblings(row.value).map((sibling) => rehash(options, key, sibling));
      batch.push({ key: row.key, value: encodeSiblings(siblings) });
      for (const sibling of siblings) {
        const { incarnation, counter } = sibling.dot;
        sums.root.add(sibling.digest);
        sums.dotRoot.add(dotHash(options.digestKey, incarnation, counter));
        sums.context.add(sibling.dot);
        batch.push({ key: indexAt(incarnation, counter), value: Buffer.from(key, "latin1") });
        if (sibling.expiresAtMs !== 0) batch.push({ key: sweepAt(sibling, options.name), value: Buffer.from(key, "latin1") });
      }
      sums.count += siblings.length;
      sums.keyCount++;
      from = row.key + "\0";
    }
    more = page.more;
    if (batch.length < REBUILD_BATCH && more) continue;
    await storage.write(batch);
    batch = [];
  }
  for (const incarnation of sums.context.incarnations()) {
    const writer = new ByteWriter();
    writeRanges(writer, sums.context.rangesOf(incarnation));
    batch.push({ key: contextAt(incarnation), value: writer.view() });
  }
  const { count, keyCount } = sums;
  const keyFingerprint = shortHash(options.digestKey, EMPTY);
  const meta: Meta = { root: sums.root.toHash(), dotRoot: sums.dotRoot.toHash(), count, keyCount, stamp, keyFingerprint };
  await storage.write([...batch, { key: META, value: encodeMeta(meta) }]);
}

function rehash(options: StoreOptions, key: string, sibling: Sibling): Sibling {
  return { ...sibling, digest: contentHash(options.digestKey, key, sibling.contentType, sibling.value) };
}

function lastStamp(storage: Storage): Meta["stamp"] {
  const record = storage.get(META);
  if (record === undefined) return STAMP_ZERO;
  try {
    return decodeMeta(record).stamp;
  } catch {
    return STAMP_ZERO;
  }
}

async function clear(storage: Storage, prefix: string): Promise<void> {
  for (;;) {
    const page = storage.range(prefix, after(prefix), REBUILD_BATCH);
    if (page.rows.length > 0) await storage.write(page.rows.map((row) => ({ key: row.key, value: undefined })));
    if (!page.more) return;
  }
}

const EMPTY = new Uint8Array(0);
