/**
 * Decides when to repair from whom, and drives the one session that may run: the recovering side pulls.
 *
 * One repair at a time per node, so that a node which comes back is not sent the same entries by every peer at once; a moment of
 * jitter, so that nodes which see the same difference do not all begin together. A session that fails backs off.
 */
import type { MergeOutcome } from "../core/change.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import { ConcordError } from "../core/errors.ts";
import { faultOf } from "../core/fault.ts";
import { sameEntries, sameSummary, type RepairAnswer, type Summary } from "../core/message.ts";
import type { Output, RepairReceipt } from "../core/output.ts";
import type { Now, Random } from "../core/ports.ts";
import type { Store } from "../core/store.ts";
import type { PeerHint } from "./ladder.ts";
import { Pull, type PullOptions, type PullResult } from "./pull.ts";
import { NO_FIGURES } from "./pull-counts.ts";
import type { Sketches } from "./sketches.ts";

export interface PullerOptions extends PullOptions {
  /** How long an answer may take before the page is asked for again. */
  readonly answerTimeoutMs: number;
  /** The most that the start of a repair is put off by chance. */
  readonly jitterMs: number;
}

/** How often a page is asked for before the session is given up. */
const ATTEMPTS_MAX = 3;

/**
 * How often in a row a peer that is behind us is given time to repair first. When both have forgotten which deletions the other lacks, each
 * would wait for the other for ever; a full push settles it.
 */
const BEHIND_MAX = 2;

/** Longer than a peer takes to merge a page and to say so; shorter than the usual time between its repairs, when each finds the same. */
const SPARED_MS = 5_000;

/** The longest pause after failures in a row. */
const BACKOFF_MAX_MS = 60_000;

export interface PullerStep {
  readonly outputs: Output[];
  readonly merged: readonly MergeOutcome[];
}

interface Wanted {
  readonly notBeforeMs: number;
  /** What the peer last said that it holds. */
  readonly summary: Summary | undefined;
  /** By an operator, who waits for a receipt: it is made whatever becomes known meanwhile. */
  readonly isAsked: boolean;
}

interface Session {
  readonly peer: string;
  readonly pull: Pull;
  readonly startedMs: number;
  exchange: number;
  /** The answer to the last request has not come. */
  isAwaited: boolean;
  askedMs: number;
  attempts: number;
}

export class Puller {
  readonly #store: Store;
  readonly #sketches: Sketches | undefined;
  readonly #options: PullerOptions;
  readonly #random: Random;
  readonly #nextExchange: () => number;
  /** Peers to pull from. */
  readonly #wanted = new Map<string, Wanted>();
  readonly #failures = new Map<string, number>();
  /** For each peer the sessions in a row that ended as `behind`. */
  readonly #behind = new Map<string, number>();
  /** Peers that were not asked because they asked themselves, and since when; until this node repairs from them or holds the same. */
  readonly #spared = new Map<string, number>();
  /** Peers that are being sent pages by this node, and until when the next one may be asked for. */
  readonly #served = new Map<string, number>();
  #session: Session | undefined;
  #endedCount = 0;
  /** A `continue` is on its way. */
  #continues = false;

  constructor(store: Store, options: PullerOptions, random: Random, nextExchange: () => number, sketches?: Sketches) {
    this.#store = store;
    this.#sketches = sketches;
    this.#options = options;
    this.#random = random;
    this.#nextExchange = nextExchange;
  }

  get activePeer(): string | undefined {
    return this.#session?.peer;
  }

  /** The number of the last receipt. */
  get endedCount(): number {
    return this.#endedCount;
  }

  /** The number of peers that wait to be pulled from. */
  get wantedCount(): number {
    return this.#wanted.size;
  }

  /** As far as one can tell: it does already, or nothing has gone wrong with this peer so far. */
  willRepairFrom(peer: string): boolean {
    return this.activePeer === peer || !this.#failures.has(peer);
  }

  /** A peer holds something that we may lack. `atOnce` for a first meeting. */
  want(peer: string, atOnce: boolean, now: Now, summary?: Summary): void {
    if (this.#session?.peer === peer) return;
    const wanted = this.#wanted.get(peer);
    if (wanted !== undefined) return void this.#wanted.set(peer, { ...wanted, summary });
    const failures = this.#failures.get(peer) ?? 0;
    const backoffMs = failures === 0 ? 0 : Math.min(1000 * 2 ** failures, BACKOFF_MAX_MS);
    const jitterMs = atOnce ? 0 : this.#random.uint32() % (this.#options.jitterMs + 1);
    this.#wanted.set(peer, { notBeforeMs: now.monotonicMs + backoffMs + jitterMs, summary, isAsked: false });
  }

  /** An operator wants it, whatever is known. A receipt of this peer follows in any case: of the session that runs with it, or of its own. */
  wantNow(peer: string, now: Now): void {
    if (this.#session?.peer !== peer) this.#wanted.set(peer, { notBeforeMs: now.monotonicMs, summary: undefined, isAsked: true });
  }

  /** The peer holds the same now. */
  unwant(peer: string): void {
    this.#spared.delete(peer);
    if (this.#wanted.get(peer)?.isAsked !== true) this.#wanted.delete(peer);
  }

  /**
   * The peer was told all that it had not seen, and is about to hold the same: so it need not be asked, for a while. If it still differs after that,
   * then by something that only we lack, though we have seen it: a removal, for instance, of which we have heard without what it removed.
   */
  spare(peer: string, { monotonicMs }: Now): void {
    const wanted = this.#wanted.get(peer);
    if (wanted === undefined || wanted.isAsked) return;
    const sinceMs = this.#spared.get(peer) ?? monotonicMs;
    this.#spared.set(peer, sinceMs);
    if (monotonicMs - sinceMs < SPARED_MS) this.#wanted.delete(peer);
  }

  /**
   * This node answered a peer's request. While a peer asks for page after page it merely holds less than it soon will, and every ping says so:
   * to pull from it then is to walk the whole difference for nothing. What it has seen and we have not it says in its next ping.
   */
  onAnswered(peer: string, more: boolean, now: Now): void {
    if (more) this.#served.set(peer, now.monotonicMs + this.#options.answerTimeoutMs);
    else this.#served.delete(peer);
  }

  /** Starts a session when one is due; asks again for a page that does not come. */
  onTick(now: Now): Output[] {
    const session = this.#session;
    if (session === undefined) return this.#startDue(now);
    if (!session.isAwaited || session.pull.isBusy || now.monotonicMs - session.askedMs < this.#options.answerTimeoutMs) return [];
    if (session.attempts >= ATTEMPTS_MAX) return this.#end("interrupted", now);
    return [this.#ask(session, now)];
  }

  onPeerDown(peer: string, now: Now): Output[] {
    const isAsked = this.#wanted.get(peer)?.isAsked === true;
    this.#wanted.delete(peer);
    this.#spared.delete(peer);
    this.#served.delete(peer);
    if (isAsked) return [this.#ended({ peer, ...NEVER_BEGUN, result: "interrupted", tookMs: 0, endedMs: now.wallMs })];
    return this.#session?.peer === peer && !this.#session.pull.hasAll ? this.#end("interrupted", now) : [];
  }

  /** What the session took for granted, the dots that we have seen, does not hold any more. That is no failure of the peer. */
  abandon(now: Now): Output[] {
    const peer = this.#session?.peer;
    if (peer === undefined) return [];
    const outputs = this.#end("interrupted", now);
    this.#failures.delete(peer);
    return outputs;
  }

  onAnswer(answer: RepairAnswer, now: Now): PullerStep {
    const session = this.#session;
    if (session?.exchange !== answer.exchange || !session.isAwaited) return NOTHING;
    session.isAwaited = false;
    session.attempts = 0;
    return this.#run(session, (merged) => session.pull.onAnswer(answer, now.wallMs, merged), now);
  }

  /** The next slice of work that needs no message. */
  onContinue(now: Now): PullerStep {
    this.#continues = false;
    const session = this.#session;
    if (session === undefined) return NOTHING;
    // Whatever it waited for may have been done by somebody else.
    if (!session.pull.isBusy) return { outputs: this.#goOn(session, now), merged: [] };
    return this.#run(session, (merged) => session.pull.advance(merged), now);
  }

  #run(session: Session, work: (merged: MergeOutcome[]) => PullResult | undefined, now: Now): PullerStep {
    const merged: MergeOutcome[] = [];
    let result: PullResult | undefined;
    try {
      result = work(merged);
    } catch (error) {
      if (!(error instanceof ConcordError)) throw error;
      return { outputs: [refusedOf(session.peer, error), ...this.#end("interrupted", now)], merged };
    }
    if (result !== undefined) return { outputs: this.#end(result, now), merged };
    return { outputs: this.#goOn(session, now), merged };
  }

  #startDue(now: Now): Output[] {
    for (const [peer, { notBeforeMs, summary, isAsked }] of this.#wanted) {
      if (notBeforeMs > now.monotonicMs || (this.#served.get(peer) ?? 0) > now.monotonicMs) continue;
      this.#wanted.delete(peer);
      this.#spared.delete(peer);
      // What another peer had was the same.
      if (!isAsked && summary !== undefined && sameSummary(summary, this.#store.summary())) continue;
      const patient = (this.#behind.get(peer) ?? 0) < BEHIND_MAX;
      const pull = new Pull(this.#store, "delta", this.#options, patient, this.#sketches, this.#hintOf(peer, summary));
      this.#session = { peer, pull, startedMs: now.monotonicMs, exchange: 0, isAwaited: false, askedMs: 0, attempts: 0 };
      return [{ type: "event", event: { kind: "repair-started", peer } }, ...this.#goOn(this.#session, now)];
    }
    return [];
  }

  #hintOf(peer: string, summary: Summary | undefined): PeerHint {
    const doubted = this.#behind.has(peer) || this.#failures.has(peer);
    if (summary === undefined) return { doubted };
    const mine = this.#store.summary();
    return { doubted, count: summary.count, sameContext: summary.context === mine.context && !sameEntries(summary, mine) };
  }

  #goOn(session: Session, now: Now): Output[] {
    const outputs: Output[] = [];
    if (!session.isAwaited && session.pull.isAsking) outputs.push(this.#ask(session, now));
    if (session.pull.isBusy && !this.#continues) {
      this.#continues = true;
      outputs.push({ type: "continue" });
    }
    return outputs;
  }

  #ask(session: Session, now: Now): Output {
    session.exchange = this.#nextExchange();
    session.isAwaited = true;
    session.askedMs = now.monotonicMs;
    session.attempts++;
    return { type: "send", to: session.peer, message: session.pull.request(session.exchange) };
  }

  #end(result: RepairReceipt["result"], now: Now): Output[] {
    const { peer, pull, startedMs } = this.#session!;
    pull.stop();
    const refused: Output[] = pull.refused === undefined ? [] : [refusedOf(peer, pull.refused)];
    this.#session = undefined;
    if (result === "behind") this.#behind.set(peer, (this.#behind.get(peer) ?? 0) + 1);
    else this.#behind.delete(peer);
    if (result === "joined" || result === "behind") this.#failures.delete(peer);
    else this.#failures.set(peer, (this.#failures.get(peer) ?? 0) + 1);
    const tookMs = now.monotonicMs - startedMs;
    return [...refused, this.#ended({ peer, ...pull.counts, result, tookMs, endedMs: now.wallMs })];
  }

  #ended(receipt: Omit<RepairReceipt, "number">): Output {
    return { type: "event", event: { kind: "repair-ended", receipt: { number: ++this.#endedCount, ...receipt } } };
  }
}

/** What a peer sent was not taken: our own record is damaged, or theirs is no good. */
export function refusedOf(peer: string, error: ConcordError): Output {
  if (error instanceof DamagedRecordError) return damageFound(error);
  return { type: "event", event: { kind: "refused", peer, reason: faultOf(error), why: error.message } };
}

export function damageFound({ key }: DamagedRecordError): Output {
  return { type: "event", event: { kind: "damage-found", key } };
}

const NEVER_BEGUN = { kind: "delta", why: "the peer went down before anything was asked", ...NO_FIGURES } as const;

const NOTHING: PullerStep = { outputs: [], merged: [] };
