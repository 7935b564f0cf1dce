/**
 * Watches the store of one life of one node from inside, and holds every change against the ledger in the turn in which it happens.
 *
 *   issued      a dot is used once, ever; a write removes exactly what its client had seen; a sweep waits until the time has come
 *   ended       what stops being live was superseded by somebody who had seen it
 *   begun       what becomes live is what its writer wrote, has been durable there, and was not seen here before
 *   seen        a dot that counts as seen and is not live was superseded: absence plus context reads as a deletion
 */
import { STAMP_AHEAD_MAX_MS } from "../core/time.ts";
import type { Change } from "../core/change.ts";
import type { Context } from "../core/context.ts";
import { dotKey, sameDot, type Dot, type DotKey, type Incarnation } from "../core/dot.ts";
import { dotsOf, type Sibling, type Siblings } from "../core/entry.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import { after, dotAtEnd, INDEX, type EntryKey } from "../core/layout.ts";
import { SWEEP_FOREIGN_AFTER_MS } from "../core/expiry.ts";
import type { Store } from "../core/store.ts";
import type { MachineClock } from "./clock.ts";
import type { BatchFate } from "./disk.ts";
import type { Replica } from "../replica.ts";
import type { WriteRecord } from "./ledger.ts";
import { isMerging } from "./merging.ts";
import type { World } from "./world.ts";

/** One operation of a client, in the order in which the node takes them. */
export interface Submitted {
  readonly key: EntryKey;
  /** The dots of the token; undefined without one. */
  readonly observed: readonly Dot[] | undefined;
  /** An incarnation that the node has been told to give up before. */
  shunned?: Incarnation | undefined;
  /** What the client demands: that nothing is there, or exactly these values; undefined when nothing. */
  readonly demand?: "free" | readonly Dot[] | undefined;
  /** Values are written again with another time, each as the successor of itself. */
  readonly isTouch?: boolean;
  /** What became of it; none also for a deletion or a touch that found nothing. */
  readonly records: WriteRecord[];
}

export class View {
  readonly #world: World;
  readonly #node: string;
  readonly #clock: MachineClock;
  readonly #store: Store;
  readonly #submitted: Submitted[] = [];
  readonly #live = new Set<DotKey>();
  #seen: Context;
  #issued: WriteRecord[] = [];
  #ended: { readonly dot: Dot; readonly key: EntryKey }[] = [];
  #begun: { readonly dot: Dot; readonly key: EntryKey; readonly sibling: Sibling }[] = [];
  #sweeping = false;
  #shunned: Incarnation | undefined;

  constructor(world: World, node: string, clock: MachineClock, store: Store) {
    this.#world = world;
    this.#node = node;
    this.#clock = clock;
    this.#store = store;
    this.#seen = store.context.clone();
    for (const row of store.reader.range(INDEX, after(INDEX), Infinity).rows) this.#live.add(dotAtEnd(row.key));
    store.listen((dot, live, key, sibling) => this.#onDot(dot, live, key, sibling));
    this.#intercept(store);
  }

  /** Holds what the replica makes of clients' demands against what its store held right before. */
  watch(replica: Replica): void {
    const step = replica.step.bind(replica);
    replica.step = (input, now) => {
      if (input.type !== "write") return step(input, now);
      const submitted = this.#submitted.slice(0, input.operations.length);
      const isMet = this.#areMet(submitted);
      const outputs = step(input, now);
      const refusal = outputs.find((output) => output.type === "settle" && output.ticket === input.ticket && !output.result.ok);
      const code = refusal?.type === "settle" && !refusal.result.ok && refusal.result.copies === 0 ? refusal.result.error.code : undefined;
      if (code === "condition-failed" && isMet === true)
        this.#fail("demand-refused", "an operation was refused although what it demands is so");
      if (code === undefined && isMet === false)
        this.#fail("demand-ignored", "an operation was carried out although what it demands is not so");
      // Of a touch, and of what was refused, nothing was taken away while it was carried out.
      for (const operation of submitted) if (this.#submitted[0] === operation) this.#submitted.shift();
      return outputs;
    };
  }

  /** The client's operations are about to reach the node. */
  submit(submitted: readonly Submitted[]): void {
    for (const operation of submitted) operation.shunned = this.#shunned;
    this.#submitted.push(...submitted);
  }

  /** The node is about to hear that another life of its data goes on: what clients ask from now on gets dots of a new incarnation. */
  shun(incarnation: Incarnation): void {
    this.#shunned = incarnation;
  }

  /** The turn is over and its batch is on its way to the disk. */
  endTurn(): BatchFate {
    for (const { dot, key } of this.#ended) {
      if (this.#world.ledger.isSuperseded(dot, this)) continue;
      this.#fail("value-lost", `${this.#name(dot)} of ${key} is gone, and nobody who had seen it wrote or deleted`);
    }
    for (const begun of this.#begun) this.#checkBegun(begun.dot, begun.key, begun.sibling);
    const issued = this.#issued;
    this.#issued = [];
    this.#ended = [];
    this.#begun = [];
    this.#seen = this.#store.context.clone();
    return { durable: () => this.#settle(issued, true), lost: () => this.#settle(issued, false) };
  }

  /** Every write that this store counts as seen is live here, or was superseded. */
  checkSeen(): void {
    const { ledger } = this.#world;
    for (const record of ledger.records) {
      if (record.sibling === undefined || this.#live.has(record.id) || !this.#store.context.has(record.dot)) continue;
      if (ledger.isSuperseded(record.dot, this)) continue;
      this.#fail("seen-but-missing", `${this.#name(record.dot)} of ${record.key} counts as seen and is not there`);
    }
  }

  #onDot(dot: Dot, live: boolean, key: EntryKey, sibling: Sibling | undefined): void {
    const id = dotKey(dot.incarnation, dot.counter);
    if (live) this.#live.add(id);
    else this.#live.delete(id);
    if (live) this.#world.disks.get(this.#node)?.damage.replaced(key);
    // Lost to damage: nobody is to have seen it, which checkSeen asks for. A peer may give it back in the same turn.
    if (sibling === undefined) return void this.#seen.remove(dot);
    if (live) this.#begun.push({ dot, key, sibling });
    else this.#ended.push({ dot, key });
  }

  #checkBegun(dot: Dot, key: EntryKey, sibling: Sibling): void {
    const record = this.#world.ledger.find(dot);
    const name = `${this.#name(dot)} of ${key}`;
    if (this.#seen.has(dot)) return this.#fail("value-returned", `${name} was seen before and is live again`);
    if (record === undefined) return this.#fail("value-from-nowhere", `${name} was never written`);
    if (record.key !== key || record.sibling?.digest !== sibling.digest)
      return this.#fail("value-changed", `${name} is not what was written`);
    const itsOwn = record.state === "volatile" && record.life === this;
    if (record.state !== "durable" && !itsOwn) this.#fail("left-before-durable", `${name} arrived before it was durable at ${record.node}`);
  }

  #settle(issued: readonly WriteRecord[], durable: boolean): void {
    const { ledger, events } = this.#world;
    for (const record of issued) ledger.settle(record, durable);
    if (durable && issued.length > 0) this.#world.lastChangeMs = events.nowMs;
  }

  #intercept(store: Store): void {
    const put = store.put.bind(store);
    const remove = store.remove.bind(store);
    const sweep = store.sweep.bind(store);
    store.put = (key, input, nowMs) => {
      const change = put(key, input, nowMs);
      const submitted = this.#take(key);
      // A write that merges takes up all that its node holds.
      const seen = isMerging(key) ? [...(submitted.observed ?? []), ...dotsOf(change.before)] : submitted.observed;
      this.#issue(change, submitted, submitted.isTouch === true ? input.observed : seen);
      return change;
    };
    store.remove = (key, observed, nowMs) => {
      const submitted = this.#sweeping ? { key, observed, records: [] } : this.#take(key);
      const lost = observed === undefined ? store.quarantine.lostDots(key) : [];
      const change = remove(key, observed, nowMs);
      if (change !== undefined) this.#issue(change, submitted, submitted.observed, lost);
      return change;
    };
    store.sweep = (expiredBeforeMs, limit, nowMs) => {
      this.#sweeping = true;
      try {
        return sweep(expiredBeforeMs, limit, nowMs);
      } finally {
        this.#sweeping = false;
      }
    };
  }

  #take(key: EntryKey): Submitted {
    const submitted = this.#submitted[0]?.isTouch === true ? this.#submitted[0] : this.#submitted.shift();
    if (submitted?.key === key) return submitted;
    this.#fail("order-of-operations", `an operation on ${key} that no client asked for at this point`);
    return { key, observed: undefined, records: [] };
  }

  /** Undefined when a damaged record keeps it from being told. */
  #areMet(submitted: readonly Submitted[]): boolean | undefined {
    try {
      return submitted.every((operation) => this.#isMet(operation));
    } catch (error) {
      if (error instanceof DamagedRecordError) return undefined;
      throw error;
    }
  }

  /** Written here once more, on purpose. */
  #isMet({ key, demand }: Submitted): boolean {
    if (demand === undefined) return true;
    const nowMs = this.#clock.now().wallMs;
    const there = this.#store.read(key).filter(({ expiresAtMs }) => expiresAtMs === 0 || expiresAtMs > nowMs);
    if (demand === "free") return there.length === 0;
    return there.length > 0 && there.length === demand.length && there.every(({ dot }) => demand.some((seen) => sameDot(seen, dot)));
  }

  #checkTouch(before: Siblings, observed: readonly Dot[], sibling: Sibling | undefined): void {
    const touched = before.filter(({ dot }) => observed.some((seen) => sameDot(seen, dot)));
    const [only] = touched;
    if (touched.length === 1 && only?.digest === sibling?.digest) return;
    this.#fail("touch-changed", `a touch replaced ${touched.length} values by one, or changed one`);
  }

  /** `lost`: what a deletion names because a damaged disk has lost it. */
  #issue(change: Change, submitted: Submitted, given: readonly Dot[] | undefined, lost: readonly Dot[] = []): void {
    const { key, before, after: siblings, dot } = change;
    const { ledger, coverage } = this.#world;
    const sibling = siblings.find((other) => sameDot(other.dot, dot));
    const observed = given ?? [...dotsOf(before), ...lost];
    if (submitted.isTouch === true) this.#checkTouch(before, observed, sibling);
    const record = ledger.issue({ dot, key, node: this.#node, life: this, sibling, observed });
    if (record === undefined) return this.#fail("dot-issued-twice", `${this.#name(dot)} was issued before`);
    if (ledger.name(dot.incarnation, this.#node)) coverage.count("new-incarnation");
    if (submitted.shunned === dot.incarnation) this.#fail("incarnation-kept", `${this.#name(dot)} is of a life that goes on elsewhere`);
    submitted.records.push(record);
    this.#issued.push(record);
    const expected = before.filter((other) => !observed.some((seen) => sameDot(seen, other.dot))).length + (sibling === undefined ? 0 : 1);
    if (siblings.length !== expected) {
      this.#fail("wrong-siblings", `${key} holds ${siblings.length} values after ${this.#name(dot)}, not ${expected}`);
    }
    if (sibling !== undefined) this.#checkStamp(sibling);
    if (this.#sweeping) this.#checkSweep(before, siblings);
    this.#world.say(() => {
      const what = sibling === undefined ? (this.#sweeping ? "sweeps" : "deletes") : "writes";
      return `${this.#node} ${what} ${key} as ${this.#name(dot)}, having seen ${observed.map((seen) => this.#name(seen)).join(" ") || "nothing"}`;
    });
  }

  /** Others' clocks, however wrong, do not drag this node's stamps along. */
  #checkStamp({ dot, stamp }: Sibling): void {
    const latestMs = this.#clock.latestMs + STAMP_AHEAD_MAX_MS + 1;
    if (stamp.ms > latestMs) this.#fail("clock-dragged-along", `${this.#name(dot)} is stamped ${stamp.ms - latestMs} ms too late`);
  }

  #checkSweep(before: Siblings, siblings: Siblings): void {
    for (const sibling of before) {
      if (siblings.includes(sibling)) continue;
      const own = sibling.writer === this.#node;
      this.#world.coverage.count(own ? "swept" : "swept-foreign");
      const dueMs = sibling.expiresAtMs + (own ? 0 : SWEEP_FOREIGN_AFTER_MS);
      const early = dueMs - this.#clock.now().wallMs;
      if (sibling.expiresAtMs === 0 || early > 0) this.#fail("swept-early", `${this.#name(sibling.dot)} was swept ${early} ms early`);
    }
  }

  #name(dot: Dot): string {
    return this.#world.ledger.label(dot);
  }

  #fail(check: string, detail: string): void {
    this.#world.fail(check, `at ${this.#node}: ${detail}`);
  }
}
