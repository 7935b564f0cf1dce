/**
 * The answering side of a repair: one bounded page of what the asker has not seen.
 *
 * It keeps no session. The asker says what it has seen, which includes what earlier answers covered, so a crash, a lost answer or
 * another peer can interrupt the exchange at any page and nothing has to be cleaned up. Entries go out in dot order, each key with
 * its WHOLE live set as it is at this moment; a key that changes after its page was sent has a new dot, so a later page
 * sends it again. When nothing is left, the last page, its context and its summary are of one instant: the asker can verify.
 *
 * Deletions have no entry, and are named as far as they are remembered. When the asker has not seen some that may be forgotten, a sketch
 * of a kilobyte goes with the last page, from which the asker finds what it must drop without another request.
 */
import { Context } from "../core/context.ts";
import { counterAtEnd, type Dot, type Incarnation } from "../core/dot.ts";
import { indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import { sameSummary, type RepairAnswer, type RepairRequest, type Summary, type WireEntry } from "../core/message.ts";
import type { StoragePage } from "../core/ports.ts";
import type { RecentDeletion } from "../core/recent-deletions.ts";
import { boundRelativeTo, relativeTo, type RelativeContext } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { dotsShownBy, sketchPays, type LadderOptions } from "./ladder.ts";
import type { Sketches } from "./sketches.ts";

/** Bytes of entries in one answer: what a page says beside them is a hundred bytes, and little is lost when an answer is. */
export const ANSWER_BYTES = 1024 * 1024;

/**
 * Index rows and ranges looked at for one answer, so that long stretches without a live dot end one as well. To decode so many entries takes
 * the asker some eight milliseconds, in one turn.
 */
const ANSWER_WORK_MAX = 6144;

/** Bytes of entries read in one turn: a millisecond or two of copying. */
export const STEP_BYTES = 256 * 1024;

const PAGE_ROWS = 256;

/** Exceptions of the context in a page that is not the last; there it is only a lower bound. */
const BOUND_EXCEPTIONS = 64;

/** Exceptions of what the asker has seen, beyond which it is not looked at how many of its dots are news: that takes a copy. */
const SEEN_EXCEPTIONS_MAX = 65_536;

export interface AnswerOptions extends LadderOptions {
  /** Index rows and ranges that one turn looks at for an answer. */
  readonly answerStepMax: number;
}

/** All of an answer in one turn. Without `sketches` and `options` no sketch goes with it. */
export function answerRequest(store: Store, request: RepairRequest, sketches?: Sketches, options?: AnswerOptions): RepairAnswer {
  const answering = new Answering(store, request, sketches, options);
  for (;;) {
    const answer = answering.step();
    if (answer !== undefined) return answer;
  }
}

/**
 * An answer that is made in several turns, so that clients are served between them. What it says that has been seen is what was when it
 * began: a client may write between two turns, and an entry that was read before must not look as if it took account of that. For the same
 * reason it is the last page only when nothing has changed since.
 */
export class Answering {
  readonly #store: Store;
  readonly #request: RepairRequest;
  readonly #sketches: Sketches | undefined;
  readonly #options: AnswerOptions | undefined;
  readonly #page: Page;
  readonly #missing: Context;
  readonly #due: Context;
  readonly #rest: Rest[];
  /** What was told and what was held at the beginning, when there has been a pause. */
  #began: { readonly context: RelativeContext; readonly summary: Summary } | undefined;

  /** Not `inSteps`: one turn has to do, and the page is as small. */
  constructor(store: Store, request: RepairRequest, sketches?: Sketches, options?: AnswerOptions, inSteps = true) {
    this.#store = store;
    this.#request = request;
    this.#sketches = sketches;
    this.#options = options;
    const step = { bytes: STEP_BYTES, work: options?.answerStepMax ?? ANSWER_WORK_MAX };
    const bytesMax = Math.min(request.bytesMax, inSteps ? ANSWER_BYTES : step.bytes);
    this.#page = new Page(store, { bytes: bytesMax, work: inSteps ? ANSWER_WORK_MAX : step.work }, step);
    this.#missing = store.context.minus(request.seen);
    this.#due = request.wanted ?? (request.bytesMax === 0 ? NOTHING : this.#missing);
    this.#rest = [...this.#due.incarnations()].sort().map((incarnation) => ({ incarnation, ranges: this.#due.rangesOf(incarnation) }));
    this.#rest.reverse();
  }

  /** The work of one turn, which looks at so many rows or at as many as the options say. Returns undefined when there is to be another. */
  step(workMax?: number): RepairAnswer | undefined {
    this.#page.beginStep(workMax);
    while (this.#rest.length > 0 && !this.#page.pauses) {
      const { incarnation, ranges } = this.#rest.pop()!;
      const left = this.#page.coverAll(incarnation, ranges);
      if (left.length > 0) this.#rest.push({ incarnation, ranges: left });
    }
    if (this.#rest.length === 0 || this.#page.isFull) return this.#answer();
    this.#began ??= { context: this.#bound(), summary: this.#store.summary() };
    return undefined;
  }

  #answer(): RepairAnswer {
    const { exchange, seen, wanted } = this.#request;
    const summary = this.#store.summary();
    // Who wants certain dots asks for the rest afterwards.
    const more = wanted !== undefined || this.#rest.length > 0 || (this.#began !== undefined && !sameSummary(this.#began.summary, summary));
    const namesDeletions = this.#store.recentDeletions.namesAll(this.#missing);
    const { entries, covered } = this.#page;
    const said = { kind: "repair-answer" as const, exchange, entries, more, namesDeletions };
    if (more) return { ...said, covered, context: this.#began?.context ?? this.#bound() };
    const cells = sketchFor(this.#store, this.#request, namesDeletions, this.#sketches, this.#options);
    return { ...said, covered: NOTHING, context: relativeTo(seen, this.#store.context), summary, ...cells };
  }

  #bound(): RelativeContext {
    return boundRelativeTo(this.#request.seen, this.#store.context, BOUND_EXCEPTIONS);
  }
}

/** What is still to be covered of one incarnation. */
interface Rest {
  readonly incarnation: Incarnation;
  readonly ranges: readonly number[];
}

/** The cells that go with a last page: as many as were asked for, or a few when deletions may be missing and they may show which. */
function sketchFor(
  store: Store,
  request: RepairRequest,
  namesDeletions: boolean,
  sketches: Sketches | undefined,
  options: LadderOptions | undefined,
): { readonly sketch?: Uint8Array } {
  if (sketches?.isReady !== true) return {};
  if (request.cells > 0) return { sketch: sketches.take(request.cells).encode() };
  if (
    namesDeletions ||
    request.seen.exceptionCount > SEEN_EXCEPTIONS_MAX ||
    options === undefined ||
    !sketchPays(options.firstCells, store.count, options)
  )
    return {};
  // What the asker wrote differs as well, and so does what it holds too much of.
  const unheard = request.seen.minus(store.context).dotCount();
  const shown = dotsShownBy(options.firstCells);
  if (unheard > shown || request.count - store.count - unheard > shown) return {};
  return { sketch: sketches.take(options.firstCells).encode() };
}

const NOTHING = new Context();

interface Limits {
  readonly bytes: number;
  readonly work: number;
}

class Page {
  readonly entries: WireEntry[] = [];
  readonly covered = new Context();
  readonly #store: Store;
  readonly #keys = new Map<EntryKey, number>();
  readonly #step: Limits;
  #bytesLeft: number;
  #workLeft: number;
  /** Where the turn ends. */
  #stepBytesEnd = 0;
  #stepWorkEnd = 0;

  constructor(store: Store, all: Limits, step: Limits) {
    this.#store = store;
    this.#step = step;
    this.#bytesLeft = all.bytes;
    this.#workLeft = all.work;
  }

  get isFull(): boolean {
    return this.#bytesLeft <= 0 || this.#workLeft <= 0;
  }

  /** Full, or the turn is over. */
  get pauses(): boolean {
    return this.isFull || this.#bytesLeft <= this.#stepBytesEnd || this.#workLeft <= this.#stepWorkEnd;
  }

  beginStep(workMax = this.#step.work): void {
    this.#stepBytesEnd = this.#bytesLeft - this.#step.bytes;
    this.#stepWorkEnd = this.#workLeft - workMax;
  }

  /** Covers as much of the ranges as fits. Returns the others. */
  coverAll(incarnation: Incarnation, ranges: readonly number[]): readonly number[] {
    for (let i = 0; i < ranges.length; i += 2) {
      const to = ranges[i + 1]!;
      const next = this.#cover(incarnation, ranges[i]!, to);
      if (next <= to) return [next, to, ...ranges.slice(i + 2)];
    }
    return [];
  }

  /** Sends what is live, or was lately deleted, in from..to; covers as much of it as fits. Returns where to go on. */
  #cover(incarnation: Incarnation, from: number, to: number): number {
    let next = from;
    while (next <= to && !this.pauses) {
      const { rows, more } = this.#store.reader.range(indexAt(incarnation, next), indexAt(incarnation, to) + "\0", PAGE_ROWS);
      this.#workLeft--;
      const last = more ? counterAtEnd(rows[rows.length - 1]!.key) : to;
      const reached = this.#sendRows(incarnation, rows, this.#store.recentDeletions.within(incarnation, next, last), last);
      if (reached >= next) this.covered.addRange(incarnation, next, reached);
      next = reached + 1;
    }
    return next;
  }

  /**
   * Live dots and deleted ones in one order, so that a full page ends between two dots: a deleted key may have been written again, with a
   * large value. Returns the counter up to which all are sent.
   */
  #sendRows(incarnation: Incarnation, rows: StoragePage["rows"], deletions: readonly RecentDeletion[], last: number): number {
    let deleted = 0;
    for (const row of rows) {
      const counter = counterAtEnd(row.key);
      for (; deleted < deletions.length && deletions[deleted]!.dot.counter <= counter; deleted++) {
        const { dot, key } = deletions[deleted]!;
        if (this.pauses) return dot.counter - 1;
        // A cached dot that is live again under the index is no deletion; the index sends it.
        if (dot.counter < counter) this.#send(key, dot);
      }
      if (this.pauses) return counter - 1;
      this.#send(keyOfRow(row.value), undefined);
    }
    for (const { dot, key } of deletions.slice(deleted)) {
      if (this.pauses) return dot.counter - 1;
      this.#send(key, dot);
    }
    return last;
  }

  #send(key: EntryKey, gone: Dot | undefined): void {
    this.#workLeft--;
    const at = this.#keys.get(key);
    if (at !== undefined) {
      // In an earlier turn it may have been live.
      if (gone !== undefined) this.entries[at] = this.#store.wireEntry(key, [...this.entries[at]!.gone, gone]);
      return;
    }
    const entry = this.#store.wireEntry(key, gone === undefined ? [] : [gone]);
    this.#keys.set(key, this.entries.length);
    this.entries.push(entry);
    this.#bytesLeft -= key.length + entry.record.length + 16 * entry.gone.length;
  }
}
