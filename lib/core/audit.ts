/**
 * An audit reads all that the storage holds, a slice at a time and while writes go on, and recomputes from the entries alone what the store
 * believes of itself.
 *
 * It walks the keys in order. A change to a key that it has passed is applied to its own sums as it happens (the store tells); a
 * change to a key ahead is found when it gets there. So the sums are those of one instant at the end, without a snapshot.
 *
 * Then it walks the dot index. Its rows must be those of the live siblings: the sums of both say so. Only when they do not, or an
 * entry could not be read, it walks the index once more and looks for the entry of each row: rows that no entry answers to name the
 * dots that were lost. What follows from all this is said in audit-verdict.ts.
 */
import { contextRecord } from "./context-record.ts";
import { decodeSiblings } from "./codec.ts";
import { contentHash, Digest, DotHasher } from "./digest.ts";
import { dotKey, dotOfKey, includesDot, type Dot, type DotKey } from "./dot.ts";
import { dotsOf, type Sibling, type Siblings } from "./entry.ts";
import { sweepAt } from "./expiry.ts";
import {
  after,
  CONTEXT,
  dotAtEnd,
  ENTRY,
  entryAt,
  EXPIRY,
  INDEX,
  indexAt,
  keyFromBytes,
  keyOfRow,
  MARK,
  META,
  SEVERAL,
  severalAt,
} from "./layout.ts";
import type { EntryKey } from "./layout.ts";
import { holdsSeveral, judge, type Evidence, type Finding } from "./audit-verdict.ts";
import type { StorageKey, StorageReader } from "./ports.ts";
import type { Store } from "./store.ts";
import { Tally } from "./tally.ts";
import { readStretch, valueAt } from "./walk.ts";

/** Rows of one slice: some three milliseconds of small entries. */
const SLICE_ROWS = 512;

/** Bytes of one slice: hashing as many takes a few milliseconds. */
const SLICE_BYTES = 1024 * 1024;

/** Bytes that one page of the storage is meant to have; how many rows that is, the rows before tell. */
const PAGE_BYTES = 256 * 1024;
const PAGE_ROWS_MAX = 128;

export type AuditStep = { readonly done: false } | { readonly done: true; readonly finding: Finding };

/** Rows from..to, and what to make of them. */
interface Segment {
  readonly from: StorageKey;
  readonly to: StorageKey;
  row(key: StorageKey, value: Uint8Array): void;
  damaged(key: StorageKey): void;
}

export class Audit {
  /** What has been read so far. */
  records = 0;
  bytes = 0;
  readonly #store: Store;
  readonly #evidence: Evidence;
  readonly #hasher: DotHasher;
  readonly #segments: Segment[];
  readonly #entries: Segment;
  readonly #index: Segment;
  #at = 0;
  /** All rows of the segment before this one have been visited. */
  #next: StorageKey = ENTRY;
  #pageRows = 16;
  /** The number of keys before a change to a key that was passed; the change is known when the next thing happens. */
  #keysBefore: number | undefined;
  readonly #stopListening: () => void;

  constructor(store: Store) {
    this.#store = store;
    const { digestKey } = store.options;
    this.#hasher = new DotHasher(digestKey);
    this.#evidence = {
      store,
      ...{ tally: new Tally(digestKey), indexRoot: new Digest(), indexCount: 0 },
      ...{ damaged: 0, damagedEntries: new Set(), unindexed: new Map(), unswept: new Map() },
      ...{ damagedIndex: new Map(), orphans: new Map(), rows: new Map(), damagedMarks: new Set(), several: new Set(), problem: undefined },
    };
    this.#entries = this.#segment(
      ENTRY,
      (key, value) => this.#visitEntry(key.slice(ENTRY.length), decodeSiblings(value)),
      (key) => this.#evidence.damagedEntries.add(key.slice(ENTRY.length)),
    );
    this.#index = this.#segment(
      INDEX,
      (key) => this.#countIndex(dotOfKey(dotAtEnd(key)), 1),
      (key) => this.#onDamagedIndex(key),
    );
    this.#segments = [this.#entries, this.#index, ...this.#others()];
    this.#stopListening = store.listen((dot, live, key, sibling) => this.#onChange(dot, live, key, sibling));
  }

  /** At once, while nobody writes. */
  runToEnd(): Finding {
    for (;;) {
      const step = this.step();
      if (step.done) return step.finding;
    }
  }

  stop(): void {
    this.#stopListening();
  }

  step(): AuditStep {
    this.#settleKeyCount();
    let rowsLeft = SLICE_ROWS;
    let bytesLeft = SLICE_BYTES;
    while (rowsLeft > 0 && bytesLeft > 0 && this.#evidence.problem === undefined) {
      const segment = this.#segments[this.#at];
      if (segment === undefined) break;
      const { rows, damaged, next } = readStretch(this.#store.reader, this.#next, segment.to, Math.min(this.#pageRows, rowsLeft));
      let bytes = 0;
      for (const { key, value } of rows) {
        segment.row(key, value);
        bytes += key.length + value.length;
      }
      if (damaged !== undefined) this.#onDamaged(segment, damaged);
      rowsLeft -= rows.length + 1;
      bytesLeft -= bytes;
      this.records += rows.length;
      this.bytes += bytes;
      if (bytes > 0) this.#pageRows = Math.max(1, Math.min(PAGE_ROWS_MAX, Math.floor((PAGE_BYTES * rows.length) / bytes)));
      if (next === undefined) this.#begin(this.#at + 1);
      else this.#next = next;
    }
    if (this.#at < this.#segments.length && this.#evidence.problem === undefined) return { done: false };
    this.stop();
    return { done: true, finding: judge(this.#evidence) };
  }

  #begin(at: number): void {
    if (this.#segments[this.#at] === this.#index && this.#isOrphaned) this.#segments.splice(at, 0, this.#locate());
    this.#at = at;
    this.#next = this.#segments[at]?.from ?? "";
  }

  #segment(prefix: string, row: Segment["row"], damaged: Segment["damaged"], to = after(prefix)): Segment {
    return { from: prefix, to, row, damaged };
  }

  #onDamaged(segment: Segment, key: StorageKey): void {
    // The second walk over the index meets what the first has counted.
    if (this.#segments.indexOf(segment) !== this.#segments.findIndex(({ from }) => from === segment.from)) return;
    this.#evidence.damaged++;
    segment.damaged(key);
  }

  #visitEntry(key: EntryKey, siblings: Siblings): void {
    const { digestKey } = this.#store.options;
    if (siblings.some((sibling) => contentHash(digestKey, key, sibling.contentType, sibling.value) !== sibling.digest)) {
      this.#evidence.damaged++;
      this.#evidence.damagedEntries.add(key);
      return;
    }
    if (siblings.length > 1 && !isRow(this.#store.reader, severalAt(key))) this.#evidence.several.add(key);
    this.#evidence.tally.keyCount++;
    for (const sibling of siblings) this.#visitSibling(key, sibling);
  }

  #visitSibling(key: EntryKey, sibling: Sibling): void {
    const { store, unindexed, unswept, tally } = this.#evidence;
    const { incarnation, counter } = sibling.dot;
    if (!store.context.has(sibling.dot)) this.#evidence.problem ??= `the context does not know a live dot of "${keyFromBytes(key)}"`;
    const row = valueAt(store.reader, indexAt(incarnation, counter));
    if (row === undefined || row === "damaged" || keyOfRow(row) !== key)
      unindexed.set(dotKey(incarnation, counter), { dot: sibling.dot, key });
    if (sibling.expiresAtMs !== 0) {
      const at = sweepAt(sibling, store.options.name);
      if (!isRow(store.reader, at)) unswept.set(dotKey(incarnation, counter), { at, key });
    }
    tally.add(sibling);
  }

  #countIndex(dot: Dot, sign: 1 | -1): void {
    this.#hasher.hash(dot.incarnation, dot.counter);
    if (sign === 1) this.#evidence.indexRoot.addDot(this.#hasher);
    else this.#evidence.indexRoot.subtractDot(this.#hasher);
    this.#evidence.indexCount += sign;
  }

  #onDamagedIndex(at: StorageKey): void {
    const dot = dotAtEnd(at);
    if (at.length === INDEX.length + 12 && !this.#evidence.unindexed.has(dot)) this.#evidence.damagedIndex.set(dot, dotOfKey(dot));
    if (!this.#evidence.unindexed.has(dot)) this.#evidence.rows.set(at, undefined);
  }

  /** Some rows of the index are not those of the entries that can be read. */
  get #isOrphaned(): boolean {
    const { damagedEntries, tally, unindexed, indexRoot, indexCount } = this.#evidence;
    if (damagedEntries.size > 0 || tally.count !== indexCount + unindexed.size) return true;
    const expected = tally.dotRoot.clone();
    for (const { dot } of unindexed.values()) {
      this.#hasher.hash(dot.incarnation, dot.counter);
      expected.subtractDot(this.#hasher);
    }
    return !expected.equals(indexRoot);
  }

  /** Each row of the index again: is its dot among the siblings of its key? */
  #locate(): Segment {
    const { damagedEntries, orphans, store } = this.#evidence;
    return this.#segment(
      INDEX,
      (at, value) => {
        const key = keyOfRow(value);
        const dot = dotOfKey(dotAtEnd(at));
        const record = damagedEntries.has(key) ? undefined : valueAt(store.reader, entryAt(key));
        if (record !== undefined && record !== "damaged" && includesDot(dotsOf(decodeSiblings(record)), dot)) return;
        orphans.set(dotAtEnd(at), { dot, key });
      },
      () => undefined,
    );
  }

  /** What lies beside the entries and the index. */
  #others(): Segment[] {
    const { rows, damagedMarks, store, orphans, damagedIndex } = this.#evidence;
    const ignore = (): void => undefined;
    const remove = (key: StorageKey): void => void rows.set(key, undefined);
    const isLost = (dot: DotKey): boolean => orphans.has(dot) || damagedIndex.has(dot);
    const rewrite = (key: StorageKey): void => {
      rows.set(key, contextRecord(store.context, key.slice(CONTEXT.length)));
    };
    return [
      this.#segment(EXPIRY, (key) => isLost(dotAtEnd(key)) && remove(key), remove),
      this.#segment(
        SEVERAL,
        (at) => this.#visitSeveral(at),
        (at) => void this.#evidence.several.add(at.slice(SEVERAL.length)),
      ),
      this.#segment(CONTEXT, ignore, rewrite),
      this.#segment(MARK, ignore, (key) => void damagedMarks.add(key.slice(MARK.length))),
      this.#segment(META, ignore, ignore, META + "\0"),
      // A damaged key may lie anywhere.
      ...GAPS.map(([from, to]) => this.#segment(from, ignore, remove, to)),
    ];
  }

  #visitSeveral(at: StorageKey): void {
    const key = at.slice(SEVERAL.length);
    if (this.#evidence.damagedEntries.has(key) || !holdsSeveral(this.#store.reader, key)) this.#evidence.several.add(key);
  }

  #onChange(dot: Dot, live: boolean, key: EntryKey, sibling: Sibling | undefined): void {
    this.#settleKeyCount();
    const { unindexed, unswept, tally } = this.#evidence;
    const id = dotKey(dot.incarnation, dot.counter);
    if (!live) {
      unindexed.delete(id);
      unswept.delete(id);
    }
    if (sibling === undefined) return;
    if (this.#isPast(this.#entries, entryAt(key))) {
      this.#keysBefore = this.#store.keyCount;
      if (live) tally.add(sibling);
      else tally.subtract(sibling);
    }
    if (this.#isPast(this.#index, INDEX + id)) this.#countIndex(dot, live ? 1 : -1);
  }

  #isPast(segment: Segment, key: StorageKey): boolean {
    const at = this.#segments.indexOf(segment);
    return at < this.#at || (at === this.#at && key < this.#next);
  }

  /** The store counts keys after it has told of their siblings. */
  #settleKeyCount(): void {
    if (this.#keysBefore !== undefined) this.#evidence.tally.keyCount += this.#store.keyCount - this.#keysBefore;
    this.#keysBefore = undefined;
  }
}

function isRow(reader: StorageReader, at: StorageKey): boolean {
  const value = valueAt(reader, at);
  return value !== undefined && value !== "damaged";
}

/** Everything that is none of the known rows. */
const GAPS = [
  ["\0", CONTEXT],
  [after(CONTEXT), ENTRY],
  [after(ENTRY), INDEX],
  [after(INDEX), META],
  [`${META}\0`, MARK],
  [after(MARK), SEVERAL],
  [after(SEVERAL), EXPIRY],
  [after(EXPIRY), "\xff\xff"],
] as const;
