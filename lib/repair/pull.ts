/**
 * The asking side of a repair, as a state machine over messages: ask, merge the answer, ask on, verify, and only then join.
 *
 *   asking ──last answer──► verifying ──digests agree──► dropping ──► done (their context joined)
 *     ▲                      ▲     │
 *     │             decoding ┘     │ digests differ
 *     └──── for a sketch, ◄────────┘
 *           then for everything
 *
 * A delta asks for what we have not seen. When the digests then agree nothing is missing. Otherwise the peer may have dropped something
 * long ago, or merely hold what we superseded and it has not heard of: while it is behind us we let it repair first, though not for
 * ever, because each may be behind the other. A sketch tells which dots differ, whatever either side remembers, as long as they are few
 * for the size of the stores: theirs comes with the last page and is decoded here, or ours goes with the request when our context is
 * not worth sending. A full push asks as if we had seen nothing: whatever they then do not name although they
 * have seen it, they dropped, and we drop it too, after the digests agree. All are the same exchange with another `seen`; which of
 * them is taken is ladder.ts.
 *
 * Nothing here is durable and nothing has to be: a session that is interrupted leaves merged entries and an unjoined context.
 */
import type { Context } from "../core/context.ts";
import type { MergeOutcome } from "../core/change.ts";
import type { Dot } from "../core/dot.ts";
import { ConcordError } from "../core/errors.ts";
import { faultOf, type FaultReason } from "../core/fault.ts";
import { summaryOf, type RepairAnswer, type RepairRequest, type SketchFound, type WireEntry } from "../core/message.ts";
import type { Store } from "../core/store.ts";
import { Asking } from "./asking.ts";
import { Decoding } from "./decoding.ts";
import { differencesAtMost, type LadderOptions, type PeerHint, type RepairKind } from "./ladder.ts";
import { Named } from "./named.ts";
import { PullCounts, type PullFigures } from "./pull-counts.ts";
import { Settling } from "./settling.ts";
import type { Sketches } from "./sketches.ts";
import { Verification, type Shown } from "./verification.ts";

export interface PullOptions extends LadderOptions {
  /** Bytes of entries that one answer is asked for. */
  readonly answerBytesMax: number;
  /** Entries that one step merges. */
  readonly stepEntriesMax: number;
  /** Those of the first step of a session; each step merges as many more, up to the most. */
  readonly firstStepEntries: number;
  /** Ranges of a context that one step joins. */
  readonly stepRangesMax: number;
}

/** `behind`: their entries are merged, but they must first repair from us before we can tell that nothing is missing. */
export type PullResult = "joined" | "behind" | "differs" | "too-many-drops";

/** Bytes of entries in one step: some hundred microseconds of hashing. */
const STEP_BYTES_MAX = 128 * 1024;

/** The dots of an entry may fill a gap of our context, and all gaps behind it are moved: so many of one step take some five milliseconds. */
const GAPS_MOVED = 4_000_000;

/** Pages that may lie here unmerged while the next is asked for: one that is being merged, one to go on with. */
const PAGES_AHEAD = 2;

/** Dots that a peer may lack and be verified all the same, while there is patience: some hundred milliseconds of walking. */
const WALK_PATIENTLY_MAX = 65_536;

/** Faults of one entry that leave the others as they are. */
const GOES_ON: ReadonlySet<FaultReason> = new Set(["no-room", "dot"]);

/** A page that has come, and how many of its entries are merged. */
interface Page {
  readonly answer: RepairAnswer;
  /** All that they had seen. */
  readonly theirs: Context;
  readonly nowMs: number;
  merged: number;
}

export class Pull {
  /** Why an entry of theirs was not taken though those after it were; undefined while all were. */
  refused: ConcordError | undefined;
  readonly #store: Store;
  readonly #options: PullOptions;
  readonly #patient: boolean;
  readonly #sketches: Sketches | undefined;
  readonly #asking: Asking;
  readonly #counts = new PullCounts();
  /** In the order in which they came. */
  #pages: Page[] = [];
  #named: Named;
  /** Their last page, when all of it is merged. */
  #last: Page | undefined;
  /** Its cells, when they are to be decoded. */
  #cells: Uint8Array | undefined;
  #decoding: Decoding | undefined;
  /** What a sketch showed. */
  #shown: Shown | undefined;
  #verification: Verification | undefined;
  #settling: Settling | undefined;
  /** Entries of the next step. */
  #stepEntries = 0;

  /** `patient`: may end as `behind`. Without `sketches` a delta that differs becomes a full push at once. */
  constructor(store: Store, kind: "delta" | "full", options: PullOptions, patient: boolean, sketches?: Sketches, hint: PeerHint = {}) {
    this.#store = store;
    this.#options = options;
    this.#patient = patient;
    this.#sketches = sketches;
    this.#asking = new Asking(store, options, sketches, hint);
    if (kind === "full" && this.#asking.kind !== "full") this.#asking.toFull("everything was asked for");
    this.#named = new Named(store);
  }

  get counts(): PullFigures & { readonly kind: RepairKind; readonly why: string } {
    return { ...this.#counts, kind: this.#asking.kind, why: this.#asking.why };
  }

  /** True while there is something to do here without a message: call `advance`. */
  get isBusy(): boolean {
    return this.hasAll || this.#pages.length > 0 || this.#asking.waitsForTable;
  }

  /**
   * True when the next `request` can be made. The peer then makes the next page while this side merges the last ones: what a page
   * covers is known when it comes, and pages are merged in the order in which they came.
   */
  get isAsking(): boolean {
    if (this.hasAll || this.#asking.waitsForTable || this.#pages.length >= PAGES_AHEAD) return false;
    return this.#pages.every(({ answer }) => answer.found === undefined);
  }

  /** The last page is here: the rest is done without the peer. */
  get hasAll(): boolean {
    return this.#last !== undefined || this.#pages.some(({ answer }) => !answer.more);
  }

  request(exchange: number): RepairRequest {
    const request = this.#asking.request(exchange);
    this.#counts.onRequest(request);
    return request;
  }

  /**
   * Takes a page and merges the first slice of what waits; what changed is added to `merged`, also when it throws `malformed`. Afterwards the
   * session is over, or it `isBusy`, or `isAsking`, or both.
   */
  onAnswer(answer: RepairAnswer, nowMs: number, merged: MergeOutcome[]): PullResult | undefined {
    this.#counts.onAnswer(answer);
    this.#pages.push({ answer, theirs: this.#asking.contextOf(answer), nowMs, merged: 0 });
    if (answer.more && answer.found === undefined) this.#asking.cover(answer);
    return this.#mergeSlice(this.#pages[0]!, merged);
  }

  #mergeSlice(page: Page, merged: MergeOutcome[]): PullResult | undefined {
    const { entries } = page.answer;
    const { stepEntriesMax, firstStepEntries } = this.#options;
    this.#stepEntries = Math.min(stepEntriesMax, this.#stepEntries + firstStepEntries);
    const stepEntries = Math.min(this.#stepEntries, Math.ceil(GAPS_MOVED / (1 + this.#store.context.exceptionCount)));
    const end = Math.min(entries.length, page.merged + stepEntries);
    for (let bytes = 0; page.merged < end && bytes < STEP_BYTES_MAX;) {
      const entry = entries[page.merged++]!;
      bytes += entry.key.length + entry.record.length;
      this.#merge(entry, page.theirs, page.nowMs, merged);
    }
    if (page.merged < entries.length) return undefined;
    this.#pages.shift();
    return this.#endPage(page);
  }

  /** All of a page is merged. */
  #endPage(page: Page): PullResult | undefined {
    const { answer, theirs } = page;
    if (answer.found !== undefined && !this.#takeFound(answer.found, theirs, summaryOf(answer).count))
      return this.#notReady(answer.found.result);
    if (answer.more) return undefined;
    // Without the refused entries nothing can be verified, but those after them are here.
    if (this.refused !== undefined) return "differs";
    this.#asking.end(answer);
    this.#last = page;
    // When a sketch was asked for, it says more than what they named.
    if (this.#asking.kind === "sketch" && answer.sketch !== undefined) {
      this.#named.stop();
      this.#cells = answer.sketch;
      return undefined;
    }
    // With many gaps to compare the verification begins with a step of its own.
    const gaps = this.#store.context.exceptionCount + theirs.exceptionCount;
    return gaps > this.#options.stepRangesMax ? undefined : this.#verify(page);
  }

  #verify({ answer, theirs }: Page): PullResult | undefined {
    const { kind } = this.#asking;
    this.#named.stop();
    this.#verification = new Verification(this.#store, theirs, summaryOf(answer), this.#named, kind === "full", this.#shown);
    if (kind !== "delta" || !this.#patient || this.#verification.dotsToWalk <= WALK_PATIENTLY_MAX) return undefined;
    // They lack so much that they are repairing themselves, or soon will: when they are done there is little to walk.
    return "behind";
  }

  /** One slice of merging, decoding, verifying or dropping. Returns a result when the session is over. */
  advance(merged: MergeOutcome[]): PullResult | undefined {
    if (this.#pages.length > 0) return this.#mergeSlice(this.#pages[0]!, merged);
    if (this.#settling !== undefined) return this.#settling.step(this.#counts, merged) ? "joined" : undefined;
    if (this.#cells !== undefined || this.#asking.waitsForTable) return this.#decode();
    if (this.#verification === undefined) return this.#last && this.#verify(this.#last);
    const verdict = this.#verification.step();
    if (verdict === undefined) return undefined;
    this.#verification = undefined;
    if (!verdict.verified) return this.#onDiffers(verdict.peerBehind, verdict.differences);
    if (!this.#store.removals.take(verdict.drops.length, this.#store.count)) return "too-many-drops";
    this.#counts.onVerified(verdict);
    this.#settle(verdict.drops);
    return undefined;
  }

  #settle(drops: readonly Dot[]): void {
    const verified = { drops, theirs: this.#last!.theirs, namesDeletions: this.#asking.namesDeletions };
    this.#settling = new Settling(this.#store, verified, this.#options.stepRangesMax);
  }

  /** The session ends early. */
  stop(): void {
    this.#named.stop();
    this.#decoding?.stop();
    this.#verification?.stop();
  }

  /** One entry that is not taken must not keep the others out. A peer that sends what is malformed is not listened to further. */
  #merge(entry: WireEntry, theirs: Context, nowMs: number, merged: MergeOutcome[]): void {
    this.#counts.entriesIn++;
    try {
      const outcome = this.#named.merge(entry, theirs, nowMs);
      this.#counts.onMerged(outcome);
      merged.push(outcome);
    } catch (error) {
      if (!(error instanceof ConcordError) || !GOES_ON.has(faultOf(error))) throw error;
      this.refused ??= error;
    }
  }

  /** True when what our sketch showed is here, and the next page, if any, goes on from there. */
  #takeFound({ result, missing, drops }: SketchFound, theirs: Context, theirCount: number): boolean {
    if (result === "decoded") {
      this.#shown = { drops };
      this.#asking.fetch(missing, theirs);
      return true;
    }
    if (result === "undecodable") this.#asking.onUndecoded(theirs, theirCount);
    else if (!this.#patient) this.#asking.toFull("the peer is still building its sketch");
    this.#beginAgain();
    return false;
  }

  #notReady(result: SketchFound["result"]): PullResult | undefined {
    return result === "not-ready" && this.#patient ? "behind" : undefined;
  }

  /** One step of decoding their sketch, once our table is built. */
  #decode(): PullResult | undefined {
    const sketches = this.#sketches!;
    if (!sketches.isReady) return void sketches.step();
    const page = this.#last!;
    this.#decoding ??= new Decoding(this.#store, sketches, this.#cells!, page.theirs);
    const decoded = this.#decoding.step();
    if (decoded === undefined) return undefined;
    this.#decoding = undefined;
    this.#cells = undefined;
    if (decoded === "undecodable")
      return this.#askOn(differencesAtMost(this.#store, { context: page.theirs, count: summaryOf(page.answer).count }));
    // What they hold and we have not heard of is asked for, and then compared again.
    if (!decoded.missing.isEmpty) return this.#askOn(decoded.missing.dotCount(), decoded.missing);
    this.#shown = { drops: decoded.drops, onlyTheirs: decoded.superseded };
    return this.#verify(page);
  }

  #onDiffers(peerBehind: boolean, differences: number): PullResult | undefined {
    const { kind } = this.#asking;
    if (kind === "full") return "differs";
    const cells = this.#last?.answer.sketch;
    if (kind === "delta" && cells !== undefined && this.#sketches !== undefined) {
      this.#asking.toSketch();
      this.#cells = cells;
      return undefined;
    }
    // Either they have to repair from here first, or their sketch is still being built.
    if (this.#patient && (kind === "delta" ? peerBehind : cells === undefined)) return "behind";
    return this.#askOn(differences);
  }

  #askOn(differences: number, missing?: Context): undefined {
    const { answer, theirs } = this.#last!;
    this.#asking.onDiffers(differences, theirs, summaryOf(answer).count, missing);
    this.#beginAgain();
  }

  #beginAgain(): void {
    this.#last = undefined;
    this.#shown = undefined;
    this.#named.stop();
    this.#named = new Named(this.#store);
  }
}
