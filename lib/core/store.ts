/**
 * The store of one replica, and the ONLY thing that changes it: entries, context, digests and indexes change together, in one
 * synchronous step, and leave together, in one storage batch. Nothing else holds a reference through which it could change one
 * of them alone, because every disagreement between them is data loss waiting for a repair to spread it.
 *
 * In memory: the context, the digests and a bounded cache of recent deletions. Entries stay in the storage and are read on demand,
 * so that a store may be larger than memory.
 */
import { ByteWriter, decodeSiblings, encodeSiblings, malformed, RANGES_MAX, SIBLINGS_MAX, writeRanges } from "./codec.ts";
import type { Context } from "./context.ts";
import { hashOfContext } from "./context-record.ts";
import { contentHash, Digest, dotHash, shortHash, type DigestKey } from "./digest.ts";
import { COUNTER_MAX, dotKey, dotOfKey, incarnationLow32, newIncarnation, type Dot, type DotKey, type Incarnation } from "./dot.ts";
import { dotsOf, merge, NO_SIBLINGS, remove, write, type Sibling, type Siblings } from "./entry.ts";
import { ConcordError } from "./errors.ts";
import { contextAt, dotAtEnd, entryAt, EXPIRY, expiryAfter, expiryAt, indexAt, META, type EntryKey } from "./layout.ts";
import type { Summary, WireEntry } from "./message.ts";
import { encodeMeta, type Meta } from "./meta.ts";
import { Overlay } from "./overlay.ts";
import type { Random, StorageChange, StorageKey, StorageReader } from "./ports.ts";
import { followStamp, isFarAhead, nextStamp, STAMP_ZERO, type Stamp } from "./time.ts";

export interface StoreOptions {
  /** This node's name: written into its siblings as the tie-break. */
  readonly name: string;
  readonly digestKey: DigestKey;
  readonly random: Random;
  /** Deletions remembered by key, so that a short outage is repaired by naming them. */
  readonly recentDeletionsMax: number;
}

/** Some 2 MB. An outage with more deletions than this is repaired by a sketch or a full push instead of a delta. */
export const RECENT_DELETIONS_MAX = 16_384;

/** Concurrent values of one key that clients may pile up by writing with an old token, before they must look at them. */
export const SIBLINGS_WRITE_MAX = 100;

/** Bytes of values that one key's siblings may hold together by local writes, so that a key always fits a frame. */
export const ENTRY_BYTES_MAX = 8 * 1024 * 1024;

/**
 * How long after its expiry a sibling is swept by a node that did not write it. The writer's clock set the time, so the writer sweeps
 * at once; a node whose clock is up to an hour ahead must not remove others' values early.
 */
export const SWEEP_FOREIGN_AFTER_MS = 3_600_000;

export interface LocalWrite {
  readonly contentType: string;
  readonly value: Uint8Array;
  /** 0 when it never expires. */
  readonly expiresAtMs: number;
  /** What the writer had seen (from its token); without, what this replica holds now. */
  readonly observed?: readonly Dot[] | undefined;
}

/** What a change did: what peers must hear, and what watchers may see. */
export interface Change {
  readonly key: EntryKey;
  readonly before: Siblings;
  readonly after: Siblings;
  /** The dot of the write or deletion. */
  readonly dot: Dot;
  readonly entry: WireEntry;
}

export interface MergeOutcome {
  readonly key: EntryKey;
  readonly before: Siblings;
  readonly after: Siblings;
  /** Siblings whose stamp is too far ahead to be followed. */
  readonly farAhead: number;
}

/** Hears of every sibling that becomes live or stops being so, in the step in which it does. */
export type DotListener = (dot: Dot, live: boolean, key: EntryKey, sibling: Sibling) => void;

export class Store {
  readonly options: StoreOptions;
  readonly #overlay: Overlay;
  readonly #context: Context;
  readonly #root: Digest;
  readonly #dotRoot: Digest;
  #count: number;
  #keyCount: number;
  #stamp: Stamp;
  #incarnation: Incarnation | undefined;
  #counter = 0;
  #changed = false;
  readonly #changedIncarnations = new Set<Incarnation>();
  #contextHash: string | undefined;
  readonly #recentDeletions = new Map<DotKey, EntryKey>();
  readonly #listeners = new Set<DotListener>();

  /** Made by openStore (store-open.ts), which sees to it that the parts agree. */
  constructor(storage: StorageReader, options: StoreOptions, meta: Meta | undefined, context: Context) {
    this.options = options;
    this.#overlay = new Overlay(storage);
    this.#context = context;
    this.#root = meta === undefined ? new Digest() : Digest.fromHash(meta.root);
    this.#dotRoot = meta === undefined ? new Digest() : Digest.fromHash(meta.dotRoot);
    this.#count = meta?.count ?? 0;
    this.#keyCount = meta?.keyCount ?? 0;
    this.#stamp = meta?.stamp ?? STAMP_ZERO;
  }

  /** A view: only the store changes it. */
  get context(): Context {
    return this.#context;
  }

  get root(): Digest {
    return this.#root;
  }

  get dotRoot(): Digest {
    return this.#dotRoot;
  }

  /** Live siblings. */
  get count(): number {
    return this.#count;
  }

  /** Keys that hold at least one sibling, expired ones included until they are swept. */
  get keyCount(): number {
    return this.#keyCount;
  }

  /** The incarnation whose dots this replica issues; undefined until its first write. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  /** Dots that this replica issued in its incarnation. */
  get counter(): number {
    return this.#counter;
  }

  /** The reader through which this turn's own changes are visible. */
  get reader(): StorageReader {
    return this.#overlay;
  }

  /** Deletions not older than the cache reaches, oldest first. */
  get recentDeletions(): ReadonlyMap<DotKey, EntryKey> {
    return this.#recentDeletions;
  }

  summary(): Summary {
    return { root: this.#root.toHash(), dotRoot: this.#dotRoot.toHash(), count: this.#count, context: this.contextHash() };
  }

  contextHash(): string {
    this.#contextHash ??= hashOfContext(this.options.digestKey, this.#context);
    return this.#contextHash;
  }

  read(key: EntryKey): Siblings {
    const record = this.#overlay.get(entryAt(key));
    return record === undefined ? NO_SIBLINGS : decodeSiblings(record);
  }

  /** The key's live siblings as they travel. */
  wireEntry(key: EntryKey, gone: readonly Dot[]): WireEntry {
    return { key, record: this.#overlay.get(entryAt(key)) ?? NO_RECORD, gone };
  }

  /** Throws `too-large` when the key cannot take this write. */
  checkPut(key: EntryKey, input: LocalWrite): void {
    if (input.observed === undefined) return;
    checkRoom(remove(this.read(key), input.observed), input.value);
  }

  put(key: EntryKey, input: LocalWrite, nowMs: number): Change {
    const before = this.read(key);
    const observed = input.observed ?? dotsOf(before);
    const digest = contentHash(this.options.digestKey, key, input.contentType, input.value);
    const { contentType, value, expiresAtMs } = input;
    const dot = this.#issueDot(observed, nowMs);
    const sibling: Sibling = { dot, stamp: this.#stamp, expiresAtMs, writer: this.options.name, contentType, value, digest };
    const siblings = write(before, observed, sibling);
    const record = this.#apply(key, before, siblings);
    return { key, before, after: siblings, dot, entry: { key, record, gone: observed } };
  }

  /** Returns undefined when there is nothing to remove, and then nothing changed. */
  remove(key: EntryKey, observedByCaller: readonly Dot[] | undefined, nowMs: number): Change | undefined {
    const before = this.read(key);
    const observed = observedByCaller ?? dotsOf(before);
    const unseen = observed.some((dot) => !this.#context.has(dot));
    const siblings = remove(before, observed);
    if (siblings.length === before.length && !unseen) return undefined;
    const dot = this.#issueDot(observed, nowMs);
    const record = this.#apply(key, before, siblings);
    this.#rememberDeletion(dot, key);
    return { key, before, after: siblings, dot, entry: { key, record, gone: [...observed, dot] } };
  }

  /**
   * Merges one key of a peer. Adds only the entry's own dots to the context (rule 4). Throws `malformed` when the entry contradicts
   * itself and `overloaded` when the context has no room for more exceptions; then nothing changed.
   */
  merge(entry: WireEntry, theirContext: Context, nowMs: number): MergeOutcome {
    const before = this.read(entry.key);
    const theirs = entry.record.length === 0 ? NO_SIBLINGS : decodeSiblings(entry.record);
    const merged = remove(merge(before, this.#context, theirs, theirContext), entry.gone);
    this.#check(entry, before, merged);
    let farAhead = 0;
    for (const sibling of merged) {
      if (isFarAhead(sibling.stamp, nowMs) && !before.includes(sibling)) farAhead++;
      else this.#stamp = followStamp(this.#stamp, sibling.stamp, nowMs);
    }
    let newDeletions = false;
    for (const sibling of theirs) this.#see(sibling.dot);
    for (const dot of entry.gone) {
      if (!this.#see(dot)) continue;
      newDeletions = true;
      if (merged.length === 0) this.#rememberDeletion(dot, entry.key);
    }
    if (newDeletions || !sameSiblings(before, merged)) this.#apply(entry.key, before, merged);
    return { key: entry.key, before, after: merged, farAhead };
  }

  /** Only after a complete, verified exchange of the snapshot that this context belongs to (rule 4). */
  joinContext(theirs: Context): void {
    const news = theirs.minus(this.#context);
    if (news.isEmpty) return;
    this.#context.join(news);
    for (const incarnation of news.incarnations()) this.#changedIncarnations.add(incarnation);
    this.#touch();
  }

  /** Removes a sibling that a verified exchange has shown to be superseded elsewhere. Its dot is seen already. */
  drop(dot: Dot): MergeOutcome | undefined {
    const keyBytes = this.#overlay.get(indexAt(dot.incarnation, dot.counter));
    if (keyBytes === undefined) return undefined;
    const key = latin1(keyBytes);
    const before = this.read(key);
    const siblings = remove(before, [dot]);
    this.#apply(key, before, siblings);
    this.#rememberDeletion(dot, key);
    return { key, before, after: siblings, farAhead: 0 };
  }

  /** Expired siblings, up to `limit`, become deletions with dots of their own, so that peers hear of them like of any other. */
  sweep(expiredBeforeMs: number, limit: number, nowMs: number): Change[] {
    const { rows } = this.#overlay.range(EXPIRY, expiryAfter(expiredBeforeMs), limit);
    const due = rows.map((row) => ({ key: latin1(row.value), dot: dotOfKey(dotAtEnd(row.key)) }));
    // The row goes even when its sibling is no longer there, or a stale row would be found for ever.
    for (const row of rows) this.#overlay.set(row.key, undefined);
    if (rows.length > 0) this.#touch();
    return due.flatMap(({ key, dot }) => this.remove(key, [dot], nowMs) ?? []);
  }

  /** A peer has seen dots of our incarnation that we did not issue: another life of this data goes on somewhere. Take a new one. */
  renounceIncarnation(): void {
    this.#incarnation = undefined;
  }

  listen(listener: DotListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The batch that makes this turn's changes durable; empty when nothing changed. */
  takeChanges(): StorageChange[] {
    if (!this.#changed) return [];
    for (const incarnation of this.#changedIncarnations) {
      const writer = new ByteWriter();
      writeRanges(writer, this.#context.rangesOf(incarnation));
      this.#overlay.set(contextAt(incarnation), writer.view());
    }
    this.#overlay.set(META, encodeMeta(this.#meta()));
    this.#changedIncarnations.clear();
    this.#changed = false;
    return this.#overlay.take();
  }

  /** The batch is durable: the storage shows it now. */
  settle(): void {
    this.#overlay.settle();
  }

  #meta(): Meta {
    return {
      root: this.#root.toHash(),
      dotRoot: this.#dotRoot.toHash(),
      count: this.#count,
      keyCount: this.#keyCount,
      stamp: this.#stamp,
      keyFingerprint: shortHash(this.options.digestKey, NO_RECORD),
    };
  }

  /** A new dot, seen together with what its write had seen (rule 2). */
  #issueDot(observed: readonly Dot[], nowMs: number): Dot {
    if (this.#incarnation === undefined || this.#counter === COUNTER_MAX) {
      this.#incarnation = this.#freshIncarnation();
      this.#counter = 0;
    }
    this.#counter++;
    this.#stamp = nextStamp(this.#stamp, nowMs);
    const dot = { incarnation: this.#incarnation, counter: this.#counter };
    this.#see(dot);
    for (const seen of observed) this.#see(seen);
    return dot;
  }

  /** Sketches name dots by the low half of the incarnation, so halves must differ among those we know. */
  #freshIncarnation(): Incarnation {
    const taken = new Set<number>();
    for (const known of this.#context.incarnations()) taken.add(incarnationLow32(known));
    let incarnation = newIncarnation(this.options.random);
    while (taken.has(incarnationLow32(incarnation))) incarnation = newIncarnation(this.options.random);
    return incarnation;
  }

  #see(dot: Dot): boolean {
    if (!this.#context.add(dot)) return false;
    this.#changedIncarnations.add(dot.incarnation);
    this.#touch();
    return true;
  }

  #touch(): void {
    this.#changed = true;
    this.#contextHash = undefined;
  }

  /** Everything that depends on the live siblings changes here and nowhere else. Returns the record. */
  #apply(key: EntryKey, before: Siblings, siblings: Siblings): Uint8Array {
    for (const sibling of before) if (!isIn(siblings, sibling)) this.#setLive(key, sibling, false);
    for (const sibling of siblings) if (!isIn(before, sibling)) this.#setLive(key, sibling, true);
    const record = siblings.length === 0 ? NO_RECORD : encodeSiblings(siblings);
    this.#overlay.set(entryAt(key), siblings.length === 0 ? undefined : record);
    this.#keyCount += Math.sign(siblings.length) - Math.sign(before.length);
    this.#touch();
    return record;
  }

  #setLive(key: EntryKey, sibling: Sibling, live: boolean): void {
    const { incarnation, counter } = sibling.dot;
    const dot = dotHash(this.options.digestKey, incarnation, counter);
    if (live) {
      this.#root.add(sibling.digest);
      this.#dotRoot.add(dot);
    } else {
      this.#root.subtract(sibling.digest);
      this.#dotRoot.subtract(dot);
    }
    this.#count += live ? 1 : -1;
    const keyBytes = live ? Buffer.from(key, "latin1") : undefined;
    this.#overlay.set(indexAt(incarnation, counter), keyBytes);
    if (sibling.expiresAtMs !== 0) this.#overlay.set(sweepAt(sibling, this.options.name), keyBytes);
    for (const listener of this.#listeners) listener(sibling.dot, live, key, sibling);
  }

  #check(entry: WireEntry, before: Siblings, merged: Siblings): void {
    if (merged.length > SIBLINGS_MAX) throw new ConcordError("overloaded", `the key holds over ${SIBLINGS_MAX} siblings`);
    for (const sibling of merged) {
      if (before.includes(sibling)) continue;
      if (contentHash(this.options.digestKey, entry.key, sibling.contentType, sibling.value) !== sibling.digest) {
        throw malformed("an entry whose content does not match its hash");
      }
    }
    const room = RANGES_MAX - this.#context.incarnationCount - this.#context.exceptionCount;
    if (room < merged.length + entry.gone.length) {
      throw new ConcordError("overloaded", "too many dots were seen out of order; repair must fill the gaps first");
    }
  }

  #rememberDeletion(dot: Dot, key: EntryKey): void {
    this.#recentDeletions.set(dotKey(dot.incarnation, dot.counter), key);
    if (this.#recentDeletions.size <= this.options.recentDeletionsMax) return;
    for (const oldest of this.#recentDeletions.keys()) {
      this.#recentDeletions.delete(oldest);
      return;
    }
  }
}

/** Where the sweep finds this sibling. */
export function sweepAt(sibling: Sibling, ownName: string): StorageKey {
  const delayMs = sibling.writer === ownName ? 0 : SWEEP_FOREIGN_AFTER_MS;
  return expiryAt(sibling.expiresAtMs + delayMs, dotKey(sibling.dot.incarnation, sibling.dot.counter));
}

function checkRoom(kept: Siblings, value: Uint8Array): void {
  if (kept.length >= SIBLINGS_WRITE_MAX) {
    throw new ConcordError("too-large", `the key holds ${kept.length} concurrent values; read it and write with the token of that answer`);
  }
  const bytes = kept.reduce((sum, sibling) => sum + sibling.value.length, value.length);
  if (bytes > ENTRY_BYTES_MAX) {
    throw new ConcordError("too-large", `the key's values would take ${bytes} bytes; ${ENTRY_BYTES_MAX} are the most`);
  }
}

const NO_RECORD = new Uint8Array(0);

function isIn(siblings: Siblings, sibling: Sibling): boolean {
  for (const other of siblings) {
    if (other === sibling) return true;
    if (other.dot.counter === sibling.dot.counter && other.dot.incarnation === sibling.dot.incarnation) return other.digest === sibling.digest;
  }
  return false;
}

function sameSiblings(a: Siblings, b: Siblings): boolean {
  return a.length === b.length && a.every((sibling) => isIn(b, sibling));
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
