/**
 * The asking side of a repair, as a state machine over messages: ask, merge the answer, ask on, verify, and only then join.
 *
 *   asking ──last answer──► verifying ──digests agree──► dropping ──► done (their context joined)
 *     ▲                         │
 *     └──── with a sketch, ◄────┘ digests differ
 *           then as a full push
 *
 * A delta asks for what we have not seen. When the digests then agree nothing is missing. Otherwise the peer may have dropped something
 * long ago, or merely hold what we superseded and it has not heard of: while it is behind us we let it repair first, though not for
 * ever, because each may be behind the other. A sketch tells which dots differ, whatever either side remembers, as long as they are few
 * for the size of the stores. A full push asks as if we had seen nothing: whatever they then do not name although they
 * have seen it, they dropped, and we drop it too, after the digests agree. Both are the same exchange with another `seen`.
 *
 * Nothing here is durable and nothing has to be: a session that is interrupted leaves merged entries and an unjoined context.
 */
import { Context } from "../core/context.ts";
import type { MergeOutcome } from "../core/change.ts";
import type { Dot } from "../core/dot.ts";
import { ConcordError } from "../core/errors.ts";
import { faultOf, PeerFault, type FaultReason } from "../core/fault.ts";
import type { RepairAnswer, RepairRequest, SketchFound, WireEntry } from "../core/message.ts";
import { checkJoinRoom } from "../core/room.ts";
import type { Store } from "../core/store.ts";
import { Named } from "./named.ts";
import { CELL_BYTES } from "./sketch.ts";
import { FIRST_CELLS } from "./sketch-answer.ts";
import type { Sketches } from "./sketches.ts";
import { Verification } from "./verification.ts";

export type RepairKind = "delta" | "sketch" | "full";

export interface PullOptions {
  /** Bytes of entries that one answer is asked for. */
  readonly answerBytesMax: number;
  /** Entries that one step merges. */
  readonly stepEntriesMax: number;
  /** What a full push is reckoned to cost for each entry of ours; a sketch that costs more is not tried. */
  readonly entryBytes: number;
}

export interface PullCounts {
  kind: RepairKind;
  requests: number;
  entriesIn: number;
  bytesIn: number;
  dropped: number;
}

/** `behind`: their entries are merged, but they must first repair from us before we can tell that nothing is missing. */
export type PullResult = "joined" | "behind" | "differs" | "too-many-drops";

/** Sketches of one repair; each is sixteen times the one before. */
const SKETCHES_MAX = 3;

/** Bytes of entries in one step: some hundred microseconds of hashing. */
const STEP_BYTES_MAX = 128 * 1024;

/** Pages that may lie here unmerged while the next is asked for: one that is being merged, one to go on with. */
const PAGES_AHEAD = 2;

/** Dots that a peer may lack and be verified all the same, while there is patience: some hundred milliseconds of walking. */
const WALK_PATIENTLY_MAX = 65_536;

/** Pages in a row that bring nothing: one may come twice. */
const IDLE_PAGES_MAX = 3;

/** Faults of one entry that leave the others as they are. */
const GOES_ON: ReadonlySet<FaultReason> = new Set(["no-room", "dot"]);

/** Drops of one step. */
const DROPS_PER_STEP = 512;

/** A page that has come, and how many of its entries are merged. */
interface Page {
  readonly answer: RepairAnswer;
  readonly nowMs: number;
  merged: number;
}

export class Pull {
  readonly counts: PullCounts;
  /** Why an entry of theirs was not taken though those after it were; undefined while all were. */
  refused: ConcordError | undefined;
  readonly #store: Store;
  readonly #options: PullOptions;
  readonly #patient: boolean;
  readonly #sketches: Sketches | undefined;
  /** In the order in which they came. */
  #pages: Page[] = [];
  /** The cells of the sketch to ask with; 0 when the next request is an ordinary one. */
  #cells = 0;
  #idlePages = 0;
  #sketchesAsked = 0;
  /** What a sketch showed that they have superseded. */
  #toDrop: readonly Dot[] = [];
  /** What we tell them that we have seen: at first our context, then also what their answers covered. */
  #seen: Context;
  #named: Named;
  #theirs: Context | undefined;
  #verification: Verification | undefined;
  #drops: Dot[] | undefined;

  /** `patient`: may end as `behind`. Without `sketches` a delta that differs becomes a full push at once. */
  constructor(store: Store, kind: "delta" | "full", options: PullOptions, patient: boolean, sketches?: Sketches) {
    this.#store = store;
    this.#sketches = sketches;
    this.#options = options;
    this.#patient = patient;
    this.#seen = store.context.clone();
    this.#named = new Named(store);
    this.counts = { kind, requests: 0, entriesIn: 0, bytesIn: 0, dropped: 0 };
    if (kind === "full") this.#becomeFull();
  }

  /** True while there is something to do here without a message: call `advance`. */
  get isBusy(): boolean {
    return this.#pages.length > 0 || this.#verification !== undefined || this.#drops !== undefined;
  }

  /**
   * True when the next `request` can be made. The peer then makes the next page while this side merges the last ones: what a page
   * covers is known when it comes, and pages are merged in the order in which they came.
   */
  get isAsking(): boolean {
    if (this.#verification !== undefined || this.#drops !== undefined || this.#pages.length >= PAGES_AHEAD) return false;
    return this.#pages.every(({ answer }) => answer.more && answer.sketched === undefined);
  }

  /** The last page is here: the rest is done without the peer. */
  get hasAll(): boolean {
    return this.#verification !== undefined || this.#drops !== undefined || this.#pages.some(({ answer }) => !answer.more);
  }

  request(exchange: number): RepairRequest {
    this.counts.requests++;
    if (this.#cells > 0) return this.#sketchRequest(exchange, this.#cells);
    return { kind: "repair-request", exchange, seen: this.#seen, bytesMax: this.#options.answerBytesMax };
  }

  /**
   * Takes a page and merges the first slice of what waits; what changed is added to `merged`, also when it throws `malformed`. Afterwards the
   * session is over, or it `isBusy`, or `isAsking`, or both.
   */
  onAnswer(answer: RepairAnswer, nowMs: number, merged: MergeOutcome[]): PullResult | undefined {
    this.#pages.push({ answer, nowMs, merged: 0 });
    if (answer.more && answer.sketched === undefined) this.#progress(answer.covered);
    return this.#mergeSlice(this.#pages[0]!, merged);
  }

  #mergeSlice(page: Page, merged: MergeOutcome[]): PullResult | undefined {
    const { entries, context } = page.answer;
    const end = Math.min(entries.length, page.merged + this.#options.stepEntriesMax);
    const bytesBefore = this.counts.bytesIn;
    while (page.merged < end && this.counts.bytesIn - bytesBefore < STEP_BYTES_MAX) {
      const entry = entries[page.merged++]!;
      this.counts.entriesIn++;
      this.counts.bytesIn += entry.key.length + entry.record.length;
      this.#merge(entry, context, page.nowMs, merged);
    }
    if (page.merged < entries.length) return undefined;
    this.#pages.shift();
    return this.#endPage(page.answer);
  }

  /** All of a page is merged. */
  #endPage({ more, sketched, context, summary }: RepairAnswer): PullResult | undefined {
    if (sketched !== undefined && !this.#takeSketch(sketched, context)) return undefined;
    if (more) return undefined;
    // Without the refused entries nothing can be verified, but those after them are here.
    if (this.refused !== undefined) return "differs";
    const isFull = this.counts.kind === "full";
    this.#theirs = context;
    this.#verification = new Verification(this.#store, context, summary, this.#named, isFull, this.#toDrop);
    this.#named.stop();
    if (this.counts.kind !== "delta" || !this.#patient || this.#verification.dotsToWalk <= WALK_PATIENTLY_MAX) return undefined;
    // They lack so much that they are repairing themselves, or soon will: when they are done there is little to walk.
    this.#verification.stop();
    this.#verification = undefined;
    return "behind";
  }

  /** One slice of merging, of the verification or of the drops. Returns a result when the session is over. */
  advance(merged: MergeOutcome[]): PullResult | undefined {
    if (this.#pages.length > 0) return this.#mergeSlice(this.#pages[0]!, merged);
    if (this.#drops !== undefined) return this.#drop(this.#drops, merged);
    const verdict = this.#verification?.step();
    if (verdict === undefined) return undefined;
    this.#verification = undefined;
    if (verdict.verified) {
      if (!this.#store.removals.take(verdict.drops.length, this.#store.count)) return "too-many-drops";
      this.#drops = [...verdict.drops];
      return undefined;
    }
    if (this.counts.kind === "full") return "differs";
    if (this.counts.kind === "delta" && verdict.peerBehind && this.#patient) return "behind";
    if (
      this.counts.kind === "delta" &&
      this.#sketches?.isReady === true &&
      FIRST_CELLS * CELL_BYTES <= this.#options.entryBytes * this.#store.count
    )
      this.#becomeSketch();
    else this.#becomeFull();
    return undefined;
  }

  /** The session ends early. */
  stop(): void {
    this.#named.stop();
    this.#verification?.stop();
  }

  /** Every page brings something, or a peer could keep this node asking for ever. */
  #progress(covered: Context): void {
    this.#idlePages = this.#seen.covers(covered) ? this.#idlePages + 1 : 0;
    if (this.#idlePages > IDLE_PAGES_MAX) {
      throw new PeerFault("no-progress", "a page of its repair brings nothing and says that there is more");
    }
    checkJoinRoom(this.#seen, covered.minus(this.#seen));
    this.#seen.join(covered);
  }

  /** One entry that is not taken must not keep the others out. A peer that sends what is malformed is not listened to further. */
  #merge(entry: WireEntry, theirs: Context, nowMs: number, merged: MergeOutcome[]): void {
    try {
      merged.push(this.#named.merge(entry, theirs, nowMs));
    } catch (error) {
      if (!(error instanceof ConcordError) || !GOES_ON.has(faultOf(error))) throw error;
      this.refused ??= error;
    }
  }

  #becomeSketch(): void {
    this.#become("sketch");
    this.#cells = FIRST_CELLS;
  }

  #becomeFull(): void {
    this.#become("full");
    this.#seen = new Context();
    this.#cells = 0;
    this.#toDrop = [];
  }

  #become(kind: RepairKind): void {
    this.counts.kind = kind;
    this.#named.stop();
    this.#named = new Named(this.#store);
  }

  #sketchRequest(exchange: number, cells: number): RepairRequest {
    const sketch = { cells: this.#sketches!.take(cells).encode(), count: this.#store.count };
    return { kind: "repair-request", exchange, seen: new Context(), bytesMax: this.#options.answerBytesMax, sketch };
  }

  /** True when the answer that it came with is the last. */
  #takeSketch(found: SketchFound, theirs: Context): boolean {
    if (this.#cells === 0) return true;
    if (!found.decoded) {
      if (found.cellsWanted > this.#cells && ++this.#sketchesAsked < SKETCHES_MAX) this.#cells = found.cellsWanted;
      else this.#becomeFull();
      return false;
    }
    this.#cells = 0;
    this.#toDrop = found.drops;
    if (found.missing.length === 0) return true;
    // As if we had seen all of theirs but these: the ordinary exchange then brings them, page by page.
    this.#seen = theirs.minus(Context.of(found.missing));
    return false;
  }

  #drop(drops: Dot[], merged: MergeOutcome[]): PullResult | undefined {
    for (const dot of drops.splice(0, DROPS_PER_STEP)) {
      const outcome = this.#store.drop(dot);
      if (outcome === undefined) continue;
      this.counts.dropped++;
      merged.push(outcome);
    }
    if (drops.length > 0) return undefined;
    this.#store.joinContext(this.#theirs!);
    return "joined";
  }
}
