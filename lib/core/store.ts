/**
 * The store of one replica, and the ONLY thing that changes it: entries, context, digests and indexes change together, in one
 * synchronous step, and leave together, in one storage batch. Nothing else holds a reference through which it could change one
 * of them alone, because every disagreement between them is data loss waiting for a repair to spread it.
 *
 * In memory: the context, the digests and a bounded cache of recent deletions. Entries stay in the storage and are read on demand,
 * so that a store may be larger than memory.
 */
import { bytesOfChars } from "./bytes.ts";
import { encodeSiblings, NO_RECORD, siblingsIn } from "./codec.ts";
import type { Amendment, Change, DotListener, LocalWrite, MergeOutcome } from "./change.ts";
import type { Context } from "./context.ts";
import { checkEntry } from "./claims.ts";
import { contextRecord, hashOfContext } from "./context-record.ts";
import { contentOf, replacedBy, type Landing } from "./local-write.ts";
import { Policies } from "./policy/names.ts";
import { Quarantine } from "./quarantine.ts";
import { RemovalGuard } from "./removal-guard.ts";
import { RenounceGuard } from "./renounce-guard.ts";
import { checkJoinRoom } from "./room.ts";
import { sweepAt, takeDue } from "./expiry.ts";
import { contentHash, type Digest } from "./digest.ts";
import type { Dot, Incarnation } from "./dot.ts";
import { DotSource } from "./dot-source.ts";
import { dotsOf, holds, merge, NO_SIBLINGS, remove, sameSiblings, write, type Sibling, type Siblings } from "./entry.ts";
import { contextAt, entryAt, indexAt, keyOfRow, META, severalAt, type EntryKey } from "./layout.ts";
import type { Summary, WireEntry } from "./message.ts";
import { encodeMeta, metaOf, type Meta } from "./meta.ts";
import { Overlay } from "./overlay.ts";
import { RecentDeletions } from "./recent-deletions.ts";
import { RECENT_REMOVALS_MAX, RecentRemovals } from "./recent-removals.ts";
import type { StorageChange, StorageReader } from "./ports.ts";
import type { StoreOptions } from "./store-options.ts";
import { Stamps } from "./stamps.ts";
import { Tally, type Totals } from "./tally.ts";

export class Store {
  readonly options: StoreOptions;
  readonly policies: Policies;
  // Views for everybody else: only the store changes these three.
  readonly context: Context;
  /** Digests and counts of the live siblings; expired ones count until they are swept. */
  readonly tally: Tally;
  /** The same as the storage shows it: without this turn's changes. */
  durable: Totals;
  /** The same as the batch on its way will leave it. */
  #written: Totals;
  /** Keys that a damaged disk has lost. */
  readonly quarantine: Quarantine;
  readonly recentDeletions: RecentDeletions;
  readonly recentRemovals = new RecentRemovals(RECENT_REMOVALS_MAX);
  readonly removals = new RemovalGuard();
  readonly renouncing = new RenounceGuard();
  readonly #overlay: Overlay;
  readonly #stamps: Stamps;
  readonly #dots: DotSource;
  #changed = false;
  #invalid = false;
  readonly #changedIncarnations = new Set<Incarnation>();
  #contextHash: string | undefined;
  readonly #listeners = new Set<DotListener>();

  /** Made by openStore (store-open.ts), which sees to it that the parts agree. */
  constructor(storage: StorageReader, options: StoreOptions, meta: Meta | undefined, context: Context) {
    this.options = options;
    this.policies = options.policies ?? new Policies();
    this.#overlay = new Overlay(storage);
    this.context = context;
    this.quarantine = new Quarantine(this.#overlay, context, () => this.#touch());
    this.#dots = new DotSource(options.random);
    this.tally = new Tally(options.digestKey, meta);
    this.durable = this.#written = this.tally.totals();
    this.recentDeletions = new RecentDeletions(options.recentDeletionsMax, context);
    this.#stamps = new Stamps(meta?.stamp);
  }

  /** The incarnation whose dots this replica issues; undefined until its first write. */
  get incarnation(): Incarnation | undefined {
    return this.#dots.incarnation;
  }

  /** Dots that this replica issued in its incarnation. */
  get counter(): number {
    return this.#dots.counter;
  }

  /** The reader through which this turn's own changes are visible. */
  get reader(): StorageReader {
    return this.#overlay;
  }

  get root(): Digest {
    return this.tally.root;
  }

  get dotRoot(): Digest {
    return this.tally.dotRoot;
  }

  /** Rows that wait for the next batch; with whatever has changed the store's own goes. */
  get pendingRows(): number {
    return this.#overlay.pendingRows + (this.#changed ? 1 : 0);
  }

  /** Live siblings. */
  get count(): number {
    return this.tally.count;
  }

  /** Keys that hold at least one. */
  get keyCount(): number {
    return this.tally.keyCount;
  }

  summary(): Summary {
    const { root, dotRoot, count } = this.tally;
    this.#contextHash ??= hashOfContext(this.options.digestKey, this.context);
    return { root: root.toHash(), dotRoot: dotRoot.toHash(), count, context: this.#contextHash };
  }

  read(key: EntryKey): Siblings {
    return siblingsIn(this.#overlay.get(entryAt(key)));
  }

  /** The key's live siblings as they travel. */
  wireEntry(key: EntryKey, gone: readonly Dot[]): WireEntry {
    return { key, record: this.#overlay.get(entryAt(key)) ?? NO_RECORD, gone };
  }

  /** A write and what it meets, to be judged before it is carried out (local-write.ts). */
  landing(key: EntryKey, input: LocalWrite, nowMs: number): Landing {
    return { policies: this.policies, key, before: this.read(key), input, nowMs };
  }

  put(key: EntryKey, input: LocalWrite, nowMs: number): Change {
    const landing = this.landing(key, input, nowMs);
    const { before } = landing;
    const observed = replacedBy(landing);
    const dot = this.#issueDot(observed, nowMs);
    const stamp = this.#stamps.latest;
    const { contentType, value } = contentOf(landing, dot, stamp);
    const digest = contentHash(this.options.digestKey, key, contentType, value);
    const { expiresAtMs } = input;
    const sibling: Sibling = { dot, stamp, expiresAtMs, writer: this.options.name, contentType, value, digest };
    const siblings = write(before, observed, sibling);
    const record = this.#apply(key, before, siblings, [dot]);
    return { key, before, after: siblings, dot, entry: { key, record, gone: observed } };
  }

  /** Returns undefined when there is nothing to remove, and then nothing changed. */
  remove(key: EntryKey, observedByCaller: readonly Dot[] | undefined, nowMs: number): Change | undefined {
    const before = this.read(key);
    const observed = observedByCaller ?? [...dotsOf(before), ...this.quarantine.lostDots(key)];
    const unseen = observed.some((dot) => !this.context.has(dot));
    const siblings = remove(before, observed);
    if (siblings.length === before.length && !unseen) return undefined;
    const dot = this.#issueDot(observed, nowMs);
    const record = this.#apply(key, before, siblings, [dot]);
    this.recentDeletions.add(dot, key);
    return { key, before, after: siblings, dot, entry: { key, record, gone: [...observed, dot] } };
  }

  /**
   * Merges one key of a peer. Adds only the entry's own dots to the context (rule 4). Throws PeerFault when the entry contradicts itself
   * or what is known here, and `overloaded` when there is no room for it; then nothing changed. `asked`: we wanted to know of this one key.
   */
  merge(entry: WireEntry, theirContext: Context, nowMs: number, why: "told" | "asked" = "told"): MergeOutcome {
    const before = this.read(entry.key);
    const theirs = siblingsIn(entry.record);
    const merged = remove(merge(before, this.context, theirs, theirContext), entry.gone);
    const after = checkEntry(entry, before, theirs, merged, this, why);
    const farAhead = this.#stamps.hear(before, after, nowMs);
    for (const sibling of theirs) this.#see(sibling.dot);
    for (const dot of entry.gone) if (this.#see(dot)) this.recentDeletions.add(dot, entry.key);
    if (sameSiblings(before, after)) return { key: entry.key, before, after: before, theirs, farAhead };
    // Most that a repair brings is new, and lies in its frame as it is to lie here.
    const isNew = before.length === 0 && after.length === theirs.length;
    this.#apply(entry.key, before, after, isNew ? entry.gone : [...dotsOf(theirs), ...entry.gone], isNew ? entry.record : undefined);
    return { key: entry.key, before, after, theirs, farAhead };
  }

  /** Only after a verified exchange of all of that snapshot (rule 4). `deletionsNamed`: each that was news. Throws PeerFault for too many. */
  joinContext(theirs: Context, deletionsNamed = false): void {
    const news = theirs.minus(this.context);
    if (news.isEmpty) return;
    checkJoinRoom(this.context, news);
    if (!deletionsNamed) this.recentDeletions.forget(news);
    this.context.join(news);
    for (const incarnation of news.incarnations()) this.#changedIncarnations.add(incarnation);
    this.#touch();
  }

  /** Removes a sibling that a verified exchange has shown to be superseded elsewhere. Its dot is seen already. */
  drop(dot: Dot): MergeOutcome | undefined {
    const keyBytes = this.#overlay.get(indexAt(dot.incarnation, dot.counter));
    if (keyBytes === undefined) return undefined;
    const key = keyOfRow(keyBytes);
    const before = this.read(key);
    const siblings = remove(before, [dot]);
    this.#apply(key, before, siblings, []);
    this.recentDeletions.add(dot, key);
    return { key, before, after: siblings, theirs: NO_SIBLINGS, farAhead: 0 };
  }

  /** Expired siblings, up to `limit`, become deletions with dots of their own, so that peers hear of them like of any other. */
  sweep(expiredBeforeMs: number, limit: number, nowMs: number): Change[] {
    const due = takeDue(this.#overlay, expiredBeforeMs, limit);
    if (due.length > 0) this.#touch();
    return due.flatMap(({ key, dot }) => this.remove(key, [dot], nowMs) ?? []);
  }

  /** A peer has seen dots of our incarnation that we did not issue: another life of this data goes on somewhere. Take a new one. */
  renounceIncarnation(): void {
    this.#dots.renounce();
  }

  /** The store contradicts its entries: its own record goes, so that the next open rebuilds it from them. */
  invalidate(): void {
    this.#invalid = true;
    this.#touch();
  }

  /** Puts right what an audit found. Lost dots count as never seen, and this life of the data is over (quarantine.ts says why). */
  amend(amendment: Amendment): void {
    if (amendment.lost.length > 0) this.renounceIncarnation();
    for (const incarnation of this.quarantine.amend(amendment)) this.#changedIncarnations.add(incarnation);
    this.tally.adopt(amendment.tally);
    for (const { dot, key } of amendment.lost) for (const listener of this.#listeners) listener(dot, false, key, undefined);
    this.#touch();
  }

  listen(listener: DotListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The batch that makes this turn's changes durable; empty when nothing changed. */
  takeChanges(): StorageChange[] {
    if (!this.#changed) return [];
    for (const changed of this.#changedIncarnations) this.#overlay.set(contextAt(changed), contextRecord(this.context, changed));
    this.#overlay.set(META, this.#invalid ? undefined : encodeMeta(metaOf(this.tally, this.#stamps.latest, this.options.digestKey)));
    this.#changedIncarnations.clear();
    this.#changed = false;
    this.#written = this.tally.totals();
    return this.#overlay.take();
  }

  /** The batch is durable: the storage shows it now. */
  settle(): void {
    this.#overlay.settle();
    this.durable = this.#written;
  }

  /** A new dot, seen together with what its write had seen (rule 2). */
  #issueDot(observed: readonly Dot[], nowMs: number): Dot {
    const dot = this.#dots.next(this.context);
    this.#stamps.next(nowMs);
    this.#see(dot);
    for (const seen of observed) this.#see(seen);
    return dot;
  }

  #see(dot: Dot): boolean {
    if (!this.context.add(dot)) return false;
    this.#changedIncarnations.add(dot.incarnation);
    this.#touch();
    return true;
  }

  #touch(): void {
    this.#changed = true;
    this.#contextHash = undefined;
  }

  /** Everything that depends on the live siblings changes here and nowhere else, after a write with the dots `by`. Returns the record. */
  #apply(key: EntryKey, before: Siblings, siblings: Siblings, by: readonly Dot[], received?: Uint8Array): Uint8Array {
    for (const sibling of before) {
      if (holds(siblings, sibling)) continue;
      this.#setLive(key, sibling, false);
      if (by.length > 0) this.recentRemovals.add(sibling.dot, key, by, sibling);
    }
    for (const sibling of siblings) if (!holds(before, sibling)) this.#setLive(key, sibling, true);
    const record = siblings.length === 0 ? NO_RECORD : (received ?? encodeSiblings(siblings));
    this.#overlay.set(entryAt(key), siblings.length === 0 ? undefined : record);
    if (siblings.length > 1 !== before.length > 1) this.#overlay.set(severalAt(key), siblings.length > 1 ? bytesOfChars(key) : undefined);
    this.tally.keyCount += Math.sign(siblings.length) - Math.sign(before.length);
    this.quarantine.onChange(key, siblings.length > 0);
    this.#touch();
    return record;
  }

  #setLive(key: EntryKey, sibling: Sibling, live: boolean): void {
    if (live) this.tally.add(sibling);
    else this.tally.subtract(sibling);
    const keyBytes = live ? bytesOfChars(key) : undefined;
    this.#overlay.set(indexAt(sibling.dot.incarnation, sibling.dot.counter), keyBytes);
    if (sibling.expiresAtMs !== 0) this.#overlay.set(sweepAt(sibling, this.options.name), keyBytes);
    for (const listener of this.#listeners) listener(sibling.dot, live, key, sibling);
  }
}
