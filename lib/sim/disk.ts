/**
 * One machine's disk: the Storage port over an ordered map, where durable and not yet durable are different things.
 *
 * A batch is on its way for some virtual milliseconds. A crash in between leaves all of it or none, as the plan's dice say. A disk that
 * fails or is full rejects the batch and refuses everything until the folder is opened again. The disk also knows which dots
 * its durable records know and show as live: that is what the checks believe, not what the node says of itself.
 */
import { Damage } from "./damage.ts";
import { ByteReader, readRanges } from "../core/codec.ts";
import { Context } from "../core/context.ts";
import { dotKey, type Dot } from "../core/dot.ts";
import { ConcordError } from "../core/errors.ts";
import { CONTEXT, ENTRY, INDEX, META } from "../core/layout.ts";
import type { Storage, StorageChange, StorageKey, StoragePage } from "../core/ports.ts";

export interface DiskDeps {
  nowMs(): number;
  /** How long the next batch takes. */
  delayMs(): number;
  /** Virtual time that stands still while the machine is paused. */
  after(delayMs: number, happen: () => void): void;
  /** The node has given up entries that could not be read. */
  onGivenUp?(): void;
}

/** Hears of the batches of one life of the node: handed over, and then durable or lost. */
export interface BatchListener {
  handedOver(): BatchFate | undefined;
}

export interface BatchFate {
  durable(): void;
  lost(): void;
}

interface Pending {
  readonly batch: readonly StorageChange[];
  readonly fate: BatchFate | undefined;
}

export type DiskState = "well" | "failed" | "full";

export class Disk {
  readonly #deps: DiskDeps;
  #rows = new Map<StorageKey, Uint8Array>();
  #keys: StorageKey[] = [];
  #contexts = new Map<string, Context>();
  #pending: Pending | undefined;
  /** What the last batch took out of the context, and when: it had been durable until then. */
  #left = new Context();
  #leftMs = -Infinity;
  /** Rises with every open and every crash: handles of earlier lives are dead. */
  #life = 0;
  #copy: ReadonlyMap<StorageKey, Uint8Array> | undefined;
  state: DiskState = "well";
  /** For a disk that fails: whether the failing batch is there afterwards. */
  appliesFailing = false;
  readonly damage = new Damage();
  /** True from the loss of records until the folder was opened again: what it says of itself is not to be believed. */
  damaged = false;

  constructor(deps: DiskDeps) {
    this.#deps = deps;
  }

  get isIdle(): boolean {
    return this.#pending === undefined;
  }

  get hasCopy(): boolean {
    return this.#copy !== undefined;
  }

  rows(): ReadonlyMap<StorageKey, Uint8Array> {
    return this.#rows;
  }

  get(key: StorageKey): Uint8Array | undefined {
    return this.#rows.get(key);
  }

  /** The dot is in the durable context. */
  knows({ incarnation, counter }: Dot): boolean {
    return this.#contexts.get(incarnation)?.hasCounter(incarnation, counter) === true;
  }

  /**
   * The dot is in the durable context, or has left it this very moment. When a scrub finds damage, the batch of its turn takes the lost dots out. The
   * same turn may have answered a peer before, with the value as the disk still showed it; and all that a turn says leaves when its
   * batch is durable. What it said was durable when it was said, and the peer that takes it is who can give it back. What is said in a later
   * turn is not excused: the node knows then what it has lost.
   */
  knewUntilNow({ incarnation, counter }: Dot): boolean {
    return this.knows({ incarnation, counter }) || this.#leavesNow.hasCounter(incarnation, counter);
  }

  /** The same of all of them. */
  knewAllUntilNow(said: Context): boolean {
    const left = this.#leavesNow;
    const context = left.isEmpty ? said : said.minus(left);
    for (const incarnation of context.incarnations()) {
      const durable = this.#contexts.get(incarnation);
      if (durable === undefined) return false;
      const ranges = context.rangesOf(incarnation);
      for (let i = 0; i < ranges.length; i += 2) {
        const [from, to] = durable.rangesWithin(incarnation, ranges[i]!, ranges[i + 1]!);
        if (from !== ranges[i] || to !== ranges[i + 1]) return false;
      }
    }
    return true;
  }

  isLive({ incarnation, counter }: Dot): boolean {
    return this.#rows.has(INDEX + dotKey(incarnation, counter));
  }

  /** The machine stops at this moment. `kept`: the batch on its way had just reached the disk. Returns whether there was one. */
  crash(kept: boolean): boolean {
    this.#life++;
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined) return false;
    if (kept) this.#apply(pending.batch);
    if (kept) pending.fate?.durable();
    else pending.fate?.lost();
    return true;
  }

  takeCopy(): void {
    this.#copy = new Map(this.#rows);
  }

  restoreCopy(): void {
    this.#replace(this.#copy ?? new Map<StorageKey, Uint8Array>());
  }

  empty(): void {
    this.#replace(new Map());
  }

  /** Entries vanish, and everything that speaks of them stays. Returns how many. */
  loseEntries(isLost: () => boolean): number {
    const kept = [...this.#rows].filter(([key]) => !key.startsWith(ENTRY) || !isLost());
    const lost = this.#rows.size - kept.length;
    if (lost > 0) this.#replace(new Map(kept));
    return lost;
  }

  /** Bits flip in some records. Returns how many. */
  flipBits(records: number, chosen: (count: number) => number): number {
    const count = Math.min(records, this.#keys.length);
    for (let i = 0; i < count; i++) {
      const key = this.#keys[chosen(this.#keys.length)]!;
      this.damage.hit(key, this.#rows.get(key)!);
    }
    return count;
  }

  open(listener: BatchListener): Storage {
    const life = ++this.#life;
    let refusal: ConcordError | undefined;
    return {
      get: (key) => {
        this.damage.check(key);
        return this.#rows.get(key);
      },
      range: (from, to, limit) => this.#range(from, to, limit),
      write: (batch) =>
        new Promise((resolve, reject) => {
          if (life !== this.#life) return;
          if (refusal !== undefined) return reject(refusal);
          const pending = { batch, fate: listener.handedOver() };
          this.#pending = pending;
          this.#deps.after(this.#deps.delayMs(), () => {
            if (life !== this.#life || this.#pending !== pending) return;
            this.#pending = undefined;
            const applied = this.state === "well" || (this.state === "failed" && this.appliesFailing);
            if (applied) this.#apply(batch);
            if (applied) pending.fate?.durable();
            else pending.fate?.lost();
            refusal = refusalOf(this.state);
            if (refusal === undefined) resolve();
            else reject(refusal);
          });
        }),
      close: () => Promise.resolve(),
    };
  }

  get #leavesNow(): Context {
    return this.#leftMs === this.#deps.nowMs() ? this.#left : NOTHING;
  }

  #apply(batch: readonly StorageChange[]): void {
    let givenUp = false;
    this.#left = new Context();
    this.#leftMs = this.#deps.nowMs();
    for (const { key, value } of batch) {
      if (this.damage.onWrite(key)) givenUp = true;
      if (value === undefined) {
        if (this.#rows.delete(key)) this.#keys.splice(this.#find(key), 1);
      } else {
        if (!this.#rows.has(key)) this.#keys.splice(this.#find(key), 0, key);
        this.#rows.set(key, value);
      }
      if (key.startsWith(CONTEXT)) this.#readContext(key, value);
    }
    this.damage.settle((dot) => this.knows(dot));
    if (givenUp && !this.damaged) this.#deps.onGivenUp?.();
  }

  #replace(rows: ReadonlyMap<StorageKey, Uint8Array>): void {
    this.#rows = new Map(rows);
    this.#keys = [...rows.keys()].sort();
    this.#contexts = new Map();
    this.damage.clear();
    for (const [key, value] of rows) if (key.startsWith(CONTEXT)) this.#readContext(key, value);
    this.damaged = true;
  }

  #readContext(key: StorageKey, value: Uint8Array | undefined): void {
    const incarnation = key.slice(CONTEXT.length);
    const context = new Context();
    if (value !== undefined) readRanges(new ByteReader(value), incarnation, context);
    this.#left.join((this.#contexts.get(incarnation) ?? context).minus(context));
    this.#contexts.set(incarnation, context);
  }

  #range(from: StorageKey, to: StorageKey, limit: number): StoragePage {
    const rows: { key: StorageKey; value: Uint8Array }[] = [];
    for (let at = this.#find(from); at < this.#keys.length; at++) {
      const key = this.#keys[at]!;
      if (key >= to) return { rows, more: false };
      if (rows.length >= limit) return { rows, more: true };
      this.damage.check(key);
      rows.push({ key, value: this.#rows.get(key)! });
    }
    return { rows, more: false };
  }

  /** The first position whose key is not below this one. */
  #find(key: StorageKey): number {
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Every record that both nodes must hold byte for byte: entries and context. The store's own record also holds a clock. */
export function sharedRows(disk: Disk): Map<StorageKey, Uint8Array> {
  return new Map([...disk.rows()].filter(([key]) => key !== META && (key.startsWith(ENTRY) || key.startsWith(CONTEXT))));
}

const NOTHING = new Context();

function refusalOf(state: DiskState): ConcordError | undefined {
  if (state === "well") return undefined;
  if (state === "full") return new ConcordError("disk-full", "the simulated disk is full");
  return new ConcordError("storage-failed", "the simulated disk failed");
}
