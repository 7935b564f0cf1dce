/**
 * A comparison with one peer that changes nothing: its sketch is asked for and decoded against ours, and both contexts tell what a repair
 * would do with each difference.
 *
 * It does not wait for a repair that runs, and a repair does not wait for it. One at a time, and at most a few requests: when even the
 * largest sketch that is decoded within one turn does not do, the counts and contexts still bound the difference.
 */
import type { Comparison } from "../core/comparison.ts";
import { dotHash } from "../core/digest.ts";
import type { Dot } from "../core/dot.ts";
import { ConcordError } from "../core/errors.ts";
import { encodeFrame } from "../core/frame.ts";
import type { RepairAnswer, RepairRequest, Summary } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Now } from "../core/ports.ts";
import { absoluteOf, weight } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { Decoding, type Decoded } from "./decoding.ts";
import { differencesAtMost } from "./ladder.ts";
import { refusedOf } from "./puller.ts";
import { CELL_BYTES, cellsFor } from "./sketch.ts";
import type { Sketches } from "./sketches.ts";

/** Decoded within one turn: fourteen thousand differences in some ten milliseconds. */
const CELLS_MAX = 16_384;

/** How much larger the next sketch is when nothing better is known. */
const GROWTH = 16;

export interface ComparerOptions {
  /** How long all answers together may take. */
  readonly answerTimeoutMs: number;
  /** Cells of the first sketch. */
  readonly firstCells: number;
}

interface Run {
  readonly peer: string;
  readonly ticket: number;
  readonly startedMs: number;
  cells: number;
  exchange: number;
  asked: RepairRequest["seen"];
  requests: number;
  bytesIn: number;
  bytesOut: number;
}

export class Comparer {
  readonly #store: Store;
  readonly #sketches: Sketches;
  readonly #options: ComparerOptions;
  readonly #nextExchange: () => number;
  #run: Run | undefined;

  constructor(store: Store, sketches: Sketches, options: ComparerOptions, nextExchange: () => number) {
    this.#store = store;
    this.#sketches = sketches;
    this.#options = options;
    this.#nextExchange = nextExchange;
  }

  start(peer: string, ticket: number, now: Now): Output[] {
    const asker = { peer, ticket };
    if (this.#run !== undefined) return [failed(asker, `a comparison with ${this.#run.peer} is under way; try again in a moment`)];
    if (!this.#sketches.isReady) return [failed(asker, "this node is still building its sketch; try again in some seconds")];
    const { context } = this.#store;
    const asked = weight(context) <= this.#options.firstCells * CELL_BYTES ? context.clone() : context.lowerBound(0).clone();
    const counts = { requests: 0, bytesIn: 0, bytesOut: 0 };
    this.#run = { ...asker, startedMs: now.monotonicMs, cells: this.#options.firstCells, exchange: 0, asked, ...counts };
    return [this.#ask(this.#run)];
  }

  onTick(now: Now): Output[] {
    if (this.#run === undefined || now.monotonicMs - this.#run.startedMs < this.#options.answerTimeoutMs) return [];
    return this.#end(failed(this.#run, "it did not answer in time"));
  }

  onPeerDown(peer: string): Output[] {
    return this.#run?.peer === peer ? this.#end(failed(this.#run, "it went down")) : [];
  }

  /** Undefined for an answer that belongs to somebody else. */
  onAnswer(answer: RepairAnswer, now: Now): Output[] | undefined {
    const run = this.#run;
    if (run?.exchange !== answer.exchange) return undefined;
    run.bytesIn += encodeFrame(answer).length;
    const { summary } = answer;
    if (answer.sketch === undefined || summary === undefined)
      return this.#end(failed(run, "it is still building its sketch; try again in some seconds"));
    const theirs = absoluteOf(answer.context, run.asked);
    const atMost = differencesAtMost(this.#store, { context: theirs, count: summary.count });
    try {
      const decoded = decodeAtOnce(new Decoding(this.#store, this.#sketches, answer.sketch, theirs, run.cells));
      if (decoded !== "undecodable") return this.#end(this.#found(run, decoded, summary, now));
    } catch (error) {
      if (!(error instanceof ConcordError)) throw error;
      return [refusedOf(run.peer, error), ...this.#end(failed(run, error.message))];
    }
    const next = cellsFor(atMost) > run.cells ? Math.min(cellsFor(atMost), GROWTH * run.cells) : GROWTH * run.cells;
    if (run.cells < CELLS_MAX) {
      run.cells = Math.min(CELLS_MAX, next);
      return [this.#ask(run)];
    }
    const atLeast = Math.abs(this.#store.count - summary.count);
    return this.#end(this.#compared(run, { atLeast, atMost: atMost > CELLS_MAX ? atMost : undefined, sides: undefined }, now));
  }

  #ask(run: Run): Output {
    run.exchange = this.#nextExchange();
    const seen = run.asked;
    const request: RepairRequest = {
      kind: "repair-request",
      exchange: run.exchange,
      seen,
      bytesMax: 0,
      count: this.#store.count,
      cells: run.cells,
    };
    run.requests++;
    run.bytesOut += encodeFrame(request).length;
    return { type: "send", to: run.peer, message: request };
  }

  #found(run: Run, { drops, news, superseded, missing }: Decoded, summary: Summary, now: Now): Output {
    const [onlyOurs, onlyTheirs] = [
      [...drops.dots(), ...news.dots()],
      [...superseded, ...missing.dots()],
    ];
    if (!this.#explains(onlyOurs, onlyTheirs, summary)) return failed(run, "its sketch does not fit what it says that it holds");
    const here = { receives: missing.dotCount(), removes: drops.dotCount() };
    const peer = { receives: news.dotCount(), removes: superseded.length };
    const differences = onlyOurs.length + onlyTheirs.length;
    return this.#compared(run, { atLeast: differences, atMost: differences, sides: { here, peer } }, now);
  }

  /** As after a repair: our digest, less what only we hold, with what only they hold, is theirs. */
  #explains(onlyOurs: readonly Dot[], onlyTheirs: readonly Dot[], summary: Summary): boolean {
    const rest = this.#store.dotRoot.clone();
    const { digestKey } = this.#store.options;
    for (const { incarnation, counter } of onlyOurs) rest.subtract(dotHash(digestKey, incarnation, counter));
    for (const { incarnation, counter } of onlyTheirs) rest.add(dotHash(digestKey, incarnation, counter));
    return rest.toHash() === summary.dotRoot && this.#store.count - onlyOurs.length + onlyTheirs.length === summary.count;
  }

  #compared(
    { peer, ticket, startedMs, requests, bytesIn, bytesOut }: Run,
    found: Pick<Comparison, "atLeast" | "atMost" | "sides">,
    now: Now,
  ): Output {
    const comparison: Comparison = { peer, ...found, requests, bytesIn, bytesOut, tookMs: now.monotonicMs - startedMs };
    return { type: "event", event: { kind: "compared", peer, ticket, comparison } };
  }

  #end(output: Output): Output[] {
    this.#run = undefined;
    return [output];
  }
}

function decodeAtOnce(decoding: Decoding): Decoded | "undecodable" {
  for (;;) {
    const decoded = decoding.step();
    if (decoded !== undefined) return decoded;
  }
}

function failed({ peer, ticket }: Pick<Run, "peer" | "ticket">, problem: string): Output {
  return { type: "event", event: { kind: "compared", peer, ticket, comparison: problem } };
}
