/**
 * Opening a store: load what is known of the whole, make sure that it agrees with the entries, rebuild it when it does not.
 *
 * Absence plus context reads as "deleted". Entries that were lost while the context survived would therefore be deleted at every peer
 * by the next repair. So when the two disagree the entries win: the context becomes the dots of the entries, and what is missing
 * simply has not been seen yet (DESIGN rule 5). The price is that deletions which no peer knows of yet are forgotten. Where the index
 * tells exactly which dots were lost, that price is not paid: only those leave the context (quarantine.ts).
 *
 * A small store is recomputed and compared here. A large one must open at once; its audit (audit.ts) runs while it serves, and
 * asks for a rebuild at the next open by removing the store's own record.
 */
import { Audit } from "./audit.ts";
import { decodeSiblings, encodeSiblings } from "./codec.ts";
import { Context } from "./context.ts";
import { contextRecord, loadContext } from "./context-record.ts";
import { DamagedRecordError } from "./damaged.ts";
import { contentHash, shortHash } from "./digest.ts";
import { dotOfKey, type Dot } from "./dot.ts";
import { sweepAt } from "./expiry.ts";
import type { Sibling, Siblings } from "./entry.ts";
import { ConcordError } from "./errors.ts";
import {
  after,
  CONTEXT,
  contextAt,
  dotAtEnd,
  ENTRY,
  entryAt,
  EXPIRY,
  INDEX,
  indexAt,
  keyOfRow,
  markAt,
  META,
  SEVERAL,
  severalAt,
} from "./layout.ts";
import { encodeMark, joinMarks, readMark, UNKNOWN } from "./mark.ts";
import { decodeMeta, encodeMeta, metaOf, type Meta } from "./meta.ts";
import type { Storage, StorageChange, StorageKey } from "./ports.ts";
import type { StoreOptions } from "./store-options.ts";
import { Store } from "./store.ts";
import { Tally } from "./tally.ts";
import { compareStamps, STAMP_ZERO, type Stamp } from "./time.ts";
import { readStretch, valueAt } from "./walk.ts";

/** A store of up to this many siblings is audited while it opens: some 100 ms. */
export const AUDIT_AT_OPEN_MAX = 20_000;

/** Changes of one batch while rebuilding: a few MB. */
const REBUILD_BATCH = 10_000;

const PAGE_ROWS = 1024;

export interface Opened {
  readonly store: Store;
  /** Why the store was rebuilt from its entries; undefined when it was loaded as it was. */
  readonly rebuilt: string | undefined;
  /** What was damaged and has been put right without that. */
  readonly healed: string | undefined;
}

/** Throws ConcordError: `malformed` for an entry that no store has written, and what the storage refuses with. */
export async function openStore(storage: Storage, options: StoreOptions): Promise<Opened> {
  const loaded = await load(storage, options);
  if (loaded.problem === undefined) return { store: loaded.store, rebuilt: undefined, healed: loaded.healed };
  await rebuild(storage, options);
  const again = await load(storage, options);
  if (again.problem !== undefined) throw new ConcordError("damaged", `the store cannot be rebuilt: ${again.problem}`);
  return { store: again.store, rebuilt: loaded.problem, healed: again.healed };
}

type Loaded =
  | { readonly store: Store; readonly problem: undefined; readonly healed: string | undefined }
  | { readonly problem: string; readonly store?: undefined };

async function load(storage: Storage, options: StoreOptions): Promise<Loaded> {
  try {
    const record = storage.get(META);
    if (record === undefined) {
      const { rows, damaged } = readStretch(storage, "", "\xff", 1);
      if (rows.length > 0 || damaged !== undefined) return { problem: "its own record is missing" };
      return { store: new Store(storage, options, undefined, new Context()), problem: undefined, healed: undefined };
    }
    const meta = decodeMeta(record);
    if (meta.keyFingerprint !== shortHash(options.digestKey, EMPTY)) return { problem: "its digests were made with another cluster key" };
    const store = new Store(storage, options, meta, loadContext(storage));
    if (meta.count > AUDIT_AT_OPEN_MAX) return { store, problem: undefined, healed: undefined };
    const finding = new Audit(store).runToEnd();
    if (finding.kind === "broken") return { problem: finding.problem };
    if (finding.kind === "sound") return { store, problem: undefined, healed: undefined };
    store.amend(finding.amendment);
    await storage.write(store.takeChanges());
    store.settle();
    return { store, problem: undefined, healed: finding.problem };
  } catch (error) {
    if (error instanceof DamagedRecordError) return { problem: error.message };
    if (error instanceof ConcordError && error.code === "malformed") return { problem: error.message };
    throw error;
  }
}

/** In bounded batches, the store's own record last: a crash in between finds it missing and begins again. */
async function rebuild(storage: Storage, options: StoreOptions): Promise<void> {
  const known = recordedMeta(storage);
  await storage.write([{ key: META, value: undefined }]);
  await markLost(storage);
  for (const prefix of [CONTEXT, INDEX, EXPIRY, SEVERAL]) await clear(storage, prefix);
  const sameKey = known?.keyFingerprint === shortHash(options.digestKey, EMPTY);
  const sums: Sums = { tally: new Tally(options.digestKey), stamp: known?.stamp ?? STAMP_ZERO };
  let batch: StorageChange[] = [];
  for (let from: StorageKey | undefined = ENTRY; from !== undefined;) {
    const { rows, damaged, next } = readStretch(storage, from, after(ENTRY), PAGE_ROWS);
    for (const row of rows) {
      const siblings = sound(options, row.key, decodeSiblings(row.value), sameKey);
      batch.push(...(siblings.length === 0 ? lostEntry(storage, row.key) : recount(options, row.key, siblings, sums)));
    }
    if (damaged !== undefined) batch.push(...lostEntry(storage, damaged));
    from = next;
    if (batch.length < REBUILD_BATCH && from !== undefined) continue;
    await storage.write(batch);
    batch = [];
  }
  const context = contextOfIndex(storage);
  for (const incarnation of context.incarnations()) {
    batch.push({ key: contextAt(incarnation), value: contextRecord(context, incarnation) });
  }
  await storage.write([...batch, { key: META, value: encodeMeta(metaOf(sums.tally, sums.stamp, options.digestKey)) }]);
}

/** Keys that the index knows and whose entry is gone or cannot be read: until somebody sends them, nobody is to be told that they never were. */
async function markLost(storage: Storage): Promise<void> {
  const isWhole = !hasDamage(storage, INDEX);
  for (let from: StorageKey | undefined = INDEX; from !== undefined;) {
    const { rows, next } = readStretch(storage, from, after(INDEX), PAGE_ROWS);
    const lost = new Map<StorageKey, Dot[]>();
    for (const row of rows) {
      const key = keyOfRow(row.value);
      const record = valueAt(storage, entryAt(key));
      if (record !== undefined && record !== "damaged") continue;
      // Where a row of the index cannot be read, a key may have lost more than the others name.
      lost.set(markAt(key), isWhole ? [...(lost.get(markAt(key)) ?? []), dotOfKey(dotAtEnd(row.key))] : []);
    }
    const marks = Array.from(lost, ([at, dots]) => {
      const mark = joinMarks(readMark(storage, at), { dots, isCertain: isWhole });
      return { key: at, value: encodeMark(mark) };
    });
    if (marks.length > 0) await storage.write(marks);
    from = next;
  }
}

/** What this record held is lost; its dots are named by the mark that it has, if any. */
function lostEntry(storage: Storage, at: StorageKey): StorageChange[] {
  const mark = markAt(at.slice(ENTRY.length));
  const known = readMark(storage, mark) ?? UNKNOWN;
  return [
    { key: at, value: undefined },
    { key: mark, value: encodeMark(known) },
  ];
}

function hasDamage(storage: Storage, prefix: string): boolean {
  for (let from: StorageKey | undefined = prefix; from !== undefined;) {
    const { damaged, next } = readStretch(storage, from, after(prefix), PAGE_ROWS);
    if (damaged !== undefined) return true;
    from = next;
  }
  return false;
}

/** In the order of the index each dot extends its range; in that of the keys, a million would have to be put between others. */
function contextOfIndex(storage: Storage): Context {
  const context = new Context();
  for (let from: StorageKey | undefined = INDEX; from !== undefined;) {
    const { rows, next } = readStretch(storage, from, after(INDEX), PAGE_ROWS);
    for (const { key } of rows) context.add(dotOfKey(dotAtEnd(key)));
    from = next;
  }
  return context;
}

interface Sums {
  readonly tally: Tally;
  /** The latest of this node's own: those of others may come from a clock that is far ahead. */
  stamp: Stamp;
}

/** Adds one key's siblings to the sums, and returns its rows. */
function recount(options: StoreOptions, at: StorageKey, siblings: Siblings, sums: Sums): StorageChange[] {
  const key = Buffer.from(at.slice(ENTRY.length), "latin1");
  const rows: StorageChange[] = [{ key: at, value: encodeSiblings(siblings) }];
  if (siblings.length > 1) rows.push({ key: severalAt(key.toString("latin1")), value: key });
  for (const sibling of siblings) {
    sums.tally.add(sibling);
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
  try {
    const record = storage.get(META);
    return record === undefined ? undefined : decodeMeta(record);
  } catch {
    return undefined;
  }
}

async function clear(storage: Storage, prefix: string): Promise<void> {
  for (let from: StorageKey | undefined = prefix; from !== undefined;) {
    const { rows, damaged, next } = readStretch(storage, from, after(prefix), REBUILD_BATCH);
    const keys = [...rows.map(({ key }) => key), ...(damaged === undefined ? [] : [damaged])];
    if (keys.length > 0) await storage.write(keys.map((key) => ({ key, value: undefined })));
    from = next;
  }
}

const EMPTY = new Uint8Array(0);
