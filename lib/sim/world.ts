/** What all parts of a simulation share: the time, the dice, the ledger, what was covered, what failed first, and the transcript. */
import { Coverage } from "./coverage.ts";
import type { Disk } from "./disk.ts";
import { Events } from "./events.ts";
import { Ledger } from "./ledger.ts";
import { Merging } from "./merging.ts";
import type { Plan } from "./plan.ts";
import { Prng } from "./prng.ts";

/** A broken promise. `check` names the promise: while shrinking, failures are the same when their checks are. */
export interface Failure {
  readonly check: string;
  readonly detail: string;
  readonly atMs: number;
}

export class World {
  readonly plan: Plan;
  readonly prng: Prng;
  readonly events = new Events();
  readonly coverage = new Coverage();
  readonly ledger = new Ledger();
  readonly merging = new Merging();
  readonly disks = new Map<string, Disk>();
  /** Undefined when nobody will read it: composing the lines takes longer than what they tell of. */
  readonly transcript: string[] | undefined;
  /** When a write or a deletion last became durable, or a disk lost something. */
  lastChangeMs = 0;
  /** When a disk last lost something. */
  lastLossMs = -Infinity;
  failure: Failure | undefined;
  /** A promise was settled: what awaits it must run before the next event. */
  isUnsettled = false;

  constructor(plan: Plan, withTranscript: boolean) {
    this.plan = plan;
    this.prng = new Prng(`run ${plan.seed}`);
    this.transcript = withTranscript ? [] : undefined;
  }

  say(line: () => string): void {
    this.transcript?.push(`${(this.events.nowMs / 1000).toFixed(3).padStart(8)} ${line()}`);
  }

  /** The first failure counts: whatever comes after it may be its consequence. Never throws, because the product would catch it. */
  fail(check: string, detail: string): void {
    if (this.failure !== undefined) return;
    this.failure = { check, detail, atMs: this.events.nowMs };
    this.say(() => `FAILED ${check}: ${detail}`);
  }

  /** A disk lost records, and its folder has been opened again. */
  recomputeFates(): void {
    const holdings = [...this.disks.values()].filter((disk) => !disk.damaged);
    const { lost, returned } = this.ledger.recompute(holdings);
    if (lost.length > 0) this.coverage.count("lost-for-good", lost.length);
    if (returned.length > 0) this.coverage.count("deletion-forgotten", returned.length);
    this.lastLossMs = this.events.nowMs;
    this.lastChangeMs = this.events.nowMs;
    this.say(() => {
      const names = (records: typeof lost) => records.map(({ dot }) => this.ledger.label(dot)).join(" ") || "nothing";
      return `the disks together have lost ${names(lost)}, and no longer know as gone ${names(returned)}`;
    });
  }
}
