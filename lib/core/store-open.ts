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
import { contentHash, shortHash } from "./digest.ts";
import { sweepAt } from "./expiry.ts";
import type { Sibling, Siblings } from "./entry.ts";
import { ConcordError } from "./errors.ts";
import { after, CONTEXT, contextAt, ENTRY, EXPIRY, INDEX, indexAt, META, SEVERAL, severalAt } from "./layout.ts";
import { decodeMeta, encodeMeta, metaOf, type Meta } from "./meta.ts";
import type { Storage, StorageChange, StorageKey } from "./ports.ts";
import { Store } from "./store.ts";
import type { StoreOptions } from "./store-options.ts";
import { Tally } from "./tally.ts";
import { compareStamps, STAMP_ZERO, type Stamp } from "./time.ts";

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
  const known = recordedMeta(storage);
  await storage.write([{ key: META, value: undefined }]);
  for (const prefix of [CONTEXT, INDEX, EXPIRY, SEVERAL]) await clear(storage, prefix);
  const sameKey = known?.keyFingerprint === shortHash(options.digestKey, EMPTY);
  const sums: Sums = { tally: new Tally(options.digestKey), context: new Context(), stamp: known?.stamp ?? STAMP_ZERO };
  let batch: StorageChange[] = [];
  for (let from = ENTRY, more = true; more;) {
    const page = storage.range(from, after(ENTRY), PAGE_ROWS);
    for (const row of page.rows) {
      batch.push(...recount(options, row.key, sound(options, row.key, decodeSiblings(row.value), sameKey), sums));
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
  await storage.write([...batch, { key: META, value: encodeMeta(metaOf(sums.tally, sums.stamp, options.digestKey)) }]);
}

interface Sums {
  readonly tally: Tally;
  readonly context: Context;
  /** The latest of this node's own: those of others may come from a clock that is far ahead. */
  stamp: Stamp;
}

/** Adds one key's siblings to the sums, and returns its rows. */
function recount(options: StoreOptions, at: StorageKey, siblings: Siblings, sums: Sums): StorageChange[] {
  if (siblings.length === 0) return [{ key: at, value: undefined }];
  const key = Buffer.from(at.slice(ENTRY.length), "latin1");
  const rows: StorageChange[] = [{ key: at, value: encodeSiblings(siblings) }];
  if (siblings.length > 1) rows.push({ key: severalAt(key.toString("latin1")), value: key });
  for (const sibling of siblings) {
    sums.tally.add(sibling);
    sums.context.add(sibling.dot);
    if (sibling.writer === options.name && compareStamps(sibling.stamp, sums.stamp) > 0) sums.stamp = sibling.stamp;
    rows.push({ key: indexAt(sibling.dot.incarnation, sibling.dot.counter), value: key });
    if (sibling.expiresAtMs !== 0) rows.push({ key: sweepAt(sibling, options.name), value: key });
  }
  sums.tally.keyCount++;
  return rows;
}

/** The siblings whose content is what their hash says; the others are lost, and peers have them. Under another key all are hashed anew. */
function sound(options: StoreOptions, at: StorageKey, siblings: Siblings, sameKey: boolean): Siblings {
  const key = at.slice(ENTRY.length);
  const hashed = siblings.map((sibling): Sibling => ({
    ...sibling,
    digest: contentHash(options.digestKey, key, sibling.contentType, sibling.value),
  }));
  return sameKey ? hashed.filter((sibling, i) => sibling.digest === siblings[i]!.digest) : hashed;
}

function recordedMeta(storage: Storage): Meta | undefined {
  const record = storage.get(META);
  try {
    return record === undefined ? undefined : decodeMeta(record);
  } catch {
    return undefined;
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
