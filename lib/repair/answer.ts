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
import type { RepairAnswer, RepairRequest, WireEntry } from "../core/message.ts";
import type { StoragePage } from "../core/ports.ts";
import type { RecentDeletion } from "../core/recent-deletions.ts";
import { boundRelativeTo, relativeTo } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { dotsShownBy, sketchPays, type LadderOptions } from "./ladder.ts";
import type { Sketches } from "./sketches.ts";

/** Bytes of entries in one answer: a few milliseconds of work on either side, and little lost when an answer is. */
export const ANSWER_BYTES = 256 * 1024;

/** Index rows and ranges looked at for one answer, so that long stretches without a live dot end a turn as well. */
const ANSWER_WORK_MAX = 4096;

const PAGE_ROWS = 256;

/** Exceptions of the context in a page that is not the last; there it is only a lower bound. */
const BOUND_EXCEPTIONS = 64;

/** Exceptions of what the asker has seen, beyond which it is not looked at how many of its dots are news: that takes a copy. */
const SEEN_EXCEPTIONS_MAX = 65_536;

/** Without `sketches` and `options` no sketch goes with it. */
export function answerRequest(store: Store, request: RepairRequest, sketches?: Sketches, options?: LadderOptions): RepairAnswer {
  const page = new Page(store, Math.min(request.bytesMax, ANSWER_BYTES));
  const missing = store.context.minus(request.seen);
  const due = request.wanted ?? (request.bytesMax === 0 ? NOTHING : missing);
  for (const incarnation of [...due.incarnations()].sort()) {
    const ranges = due.rangesOf(incarnation);
    for (let i = 0; i < ranges.length && !page.isFull; i += 2) {
      page.cover(incarnation, ranges[i]!, ranges[i + 1]!);
    }
    if (page.isFull) break;
  }
  // Who wants certain dots asks for the rest afterwards.
  const more = request.wanted !== undefined || !page.covered.covers(due);
  const namesDeletions = store.recentDeletions.namesAll(missing);
  const { seen } = request;
  return {
    kind: "repair-answer",
    exchange: request.exchange,
    entries: page.entries,
    covered: more ? page.covered : NOTHING,
    more,
    namesDeletions,
    context: more ? boundRelativeTo(seen, store.context, BOUND_EXCEPTIONS) : relativeTo(seen, store.context),
    summary: store.summary(),
    ...(!more && sketchFor(store, request, namesDeletions, sketches, options)),
  };
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

class Page {
  readonly entries: WireEntry[] = [];
  readonly covered = new Context();
  readonly #store: Store;
  readonly #keys = new Map<EntryKey, number>();
  #bytesLeft: number;
  #workLeft = ANSWER_WORK_MAX;

  constructor(store: Store, bytesMax: number) {
    this.#store = store;
    this.#bytesLeft = bytesMax;
  }

  get isFull(): boolean {
    return this.#bytesLeft <= 0 || this.#workLeft <= 0;
  }

  /** Sends what is live, or was lately deleted, in from..to; covers as much of it as fits. */
  cover(incarnation: Incarnation, from: number, to: number): void {
    let next = from;
    while (next <= to && !this.isFull) {
      const { rows, more } = this.#store.reader.range(indexAt(incarnation, next), indexAt(incarnation, to) + "\0", PAGE_ROWS);
      this.#workLeft--;
      const last = more ? counterAtEnd(rows[rows.length - 1]!.key) : to;
      const reached = this.#sendRows(incarnation, rows, this.#store.recentDeletions.within(incarnation, next, last), last);
      if (reached >= next) this.covered.addRange(incarnation, next, reached);
      next = reached + 1;
    }
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
        if (this.isFull) return dot.counter - 1;
        // A cached dot that is live again under the index is no deletion; the index sends it.
        if (dot.counter < counter) this.#send(key, dot);
      }
      if (this.isFull) return counter - 1;
      this.#send(keyOfRow(row.value), undefined);
    }
    for (const { dot, key } of deletions.slice(deleted)) {
      if (this.isFull) return dot.counter - 1;
      this.#send(key, dot);
    }
    return last;
  }

  #send(key: EntryKey, gone: Dot | undefined): void {
    this.#workLeft--;
    const at = this.#keys.get(key);
    if (at !== undefined) {
      const entry = this.entries[at]!;
      if (gone !== undefined) this.entries[at] = { ...entry, gone: [...entry.gone, gone] };
      return;
    }
    const entry = this.#store.wireEntry(key, gone === undefined ? [] : [gone]);
    this.#keys.set(key, this.entries.length);
    this.entries.push(entry);
    this.#bytesLeft -= key.length + entry.record.length + 16 * entry.gone.length;
  }
}
