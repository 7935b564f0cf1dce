/**
 * Runs the scrubs of a replica, one at a time and a slice at a time: an audit of all that the storage holds, what follows from it, and a
 * comparison of the sketch tables. A large store is looked over once after its start as well, because its start could not.
 *
 * What it takes out of the context no repair that is under way may take for granted any more: it is for the replica to begin anew.
 */
import { Audit } from "../core/audit.ts";
import type { Finding } from "../core/audit-verdict.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import type { ScrubCounts, ScrubReason, ScrubReport, ScrubView } from "../core/scrub.ts";
import { AUDIT_AT_OPEN_MAX } from "../core/store-open.ts";
import type { Store } from "../core/store.ts";
import type { SketchCheck, Sketches } from "../repair/sketches.ts";

/** Damage that a scrub did not find is not looked for again at once: whatever it is, nobody is to be kept busy with it. */
const DAMAGE_EVERY_MS = 10_000;

interface Running {
  readonly number: number;
  readonly reason: ScrubReason;
  readonly began: Now;
  audit: Audit;
  /** The first audit came to a finding that may be due to damage behind its back. */
  looksAgain: boolean;
  readonly healedBefore: number;
  /** Set when the audit is over. */
  counts: ScrubCounts | undefined;
  check: SketchCheck | undefined;
}

export class Scrubber {
  /** Slices done so far: whoever sets the pace sees by it that one was. */
  slices = 0;
  readonly #store: Store;
  readonly #sketches: Sketches;
  #number = 0;
  #running: Running | undefined;
  #last: ScrubReport | undefined;
  #lastEndedMs = -Infinity;
  #healedBefore = 0;
  #healedTold = 0;

  constructor(store: Store, sketches: Sketches, now: Now) {
    this.#store = store;
    this.#sketches = sketches;
    if (store.count > AUDIT_AT_OPEN_MAX) this.#begin("open", now);
  }

  /** The number that a scrub which is wanted now has. */
  get nextNumber(): number {
    return this.#running === undefined || this.#running.reason === "open" ? this.#number + 1 : this.#running.number;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  view(): ScrubView {
    const { quarantine } = this.#store;
    const last = this.#last && { ...this.#last, refilled: quarantine.healed - this.#healedBefore };
    return { running: this.#running?.number, last, waiting: quarantine.size, waitingKeys: quarantine.someKeys() };
  }

  /** Begins one, unless one is under way. What goes on slowly after a start makes room. */
  want(reason: ScrubReason, now: Now): Output[] {
    const isFresh = now.monotonicMs - this.#lastEndedMs < DAMAGE_EVERY_MS;
    if (reason === "damage" && isFresh && this.#last?.damaged === 0) return [];
    if (this.#running !== undefined && this.#running.reason !== "open") return [];
    this.#end();
    return [{ type: "event", event: { kind: "scrub-started", number: this.#begin(reason, now), reason } }];
  }

  /** One slice. `onAmended`: dots have left the context. */
  step(now: Now, onAmended: () => Output[]): Output[] {
    const running = this.#running;
    if (running === undefined) return [];
    this.slices++;
    if (running.counts !== undefined) return this.#checkTables(running, running.counts, now);
    const step = running.audit.step();
    if (!step.done) return [];
    // Once: a disk that goes on losing records while it is read is to be given up.
    if (step.finding.kind !== "sound" && step.finding.isDoubtful && !running.looksAgain) {
      running.looksAgain = true;
      running.audit = new Audit(this.#store);
      return [];
    }
    if (step.finding.kind === "broken") {
      this.#running = undefined;
      this.#store.invalidate();
      return [{ type: "event", event: { kind: "audit-failed", problem: step.finding.problem } }];
    }
    running.counts = countsOf(running.audit, step.finding);
    if (this.#sketches.isReady) running.check = this.#sketches.check();
    if (step.finding.kind === "sound") return [];
    const { amendment } = step.finding;
    this.#store.amend(amendment);
    this.#store.recentRemovals.forget(amendment.lost.map(({ dot }) => dot));
    return amendment.lost.length > 0 ? onAmended() : [];
  }

  /** To be called about once a second. */
  onTick(): Output[] {
    const { quarantine } = this.#store;
    quarantine.settleSome();
    const outputs = quarantine.takeDeleted().map((key): Output => ({ type: "event", event: { kind: "lost-deleted", key } }));
    const { size, healed } = quarantine;
    if (size > 0 || healed === this.#healedTold) return outputs;
    this.#healedTold = healed;
    return [...outputs, { type: "event", event: { kind: "all-refilled" } }];
  }

  #begin(reason: ScrubReason, now: Now): number {
    this.#number++;
    const audit = new Audit(this.#store);
    const healedBefore = this.#store.quarantine.healed;
    const running = { number: this.#number, reason, began: now, audit, looksAgain: false, healedBefore };
    this.#running = { ...running, counts: undefined, check: undefined };
    return this.#number;
  }

  #end(): void {
    this.#running?.audit.stop();
    this.#running?.check?.stop();
    this.#running = undefined;
  }

  #checkTables(running: Running, counts: ScrubCounts, now: Now): Output[] {
    const agree = running.check === undefined ? true : stepOf(running.check);
    if (agree === undefined) return [];
    this.#end();
    const { number, reason, began, healedBefore } = running;
    const tookMs = now.monotonicMs - began.monotonicMs;
    this.#last = { number, reason, startedMs: began.wallMs, tookMs, ...counts, tablesWrong: !agree };
    this.#lastEndedMs = now.monotonicMs;
    this.#healedBefore = healedBefore;
    return [{ type: "event", event: { kind: "scrub-ended", report: this.#last } }];
  }
}

function countsOf({ records, bytes }: Audit, finding: Finding): ScrubCounts {
  if (finding.kind !== "damaged") return { records, bytes, damaged: 0, remade: 0, lost: 0 };
  const { rows, marks } = finding.amendment;
  const remade = rows.filter(({ value }) => value !== undefined).length;
  return { records, bytes, damaged: finding.damaged, remade, lost: marks.size };
}

/** A row that was damaged since the audit has seen it: the next scrub finds it, and the tables are compared then. */
function stepOf(check: SketchCheck): boolean | undefined {
  try {
    return check.step();
  } catch (error) {
    if (error instanceof DamagedRecordError) return true;
    throw error;
  }
}
