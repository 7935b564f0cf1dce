/**
 * The answering side of a repair: one bounded page of what the asker has not seen.
 *
 * It keeps no session. The asker says what it has seen, which includes what earlier answers covered, so a crash, a lost answer or
 * another peer can interrupt the exchange at any page and nothing has to be cleaned up. Entries go out in dot order, each key with
 * its WHOLE live set as it is at this moment; a key that changes after its page was sent has a new dot, so a later page
 * sends it again. When nothing is left, the last page, its context and its summary are of one instant: the asker can verify.
 */
import { Context } from "../core/context.ts";
import { counterAtEnd, type Dot, type Incarnation } from "../core/dot.ts";
import { indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import type { RepairAnswer, RepairRequest, WireEntry } from "../core/message.ts";
import type { StoragePage } from "../core/ports.ts";
import type { RecentDeletion } from "../core/recent-deletions.ts";
import type { Store } from "../core/store.ts";

/** Bytes of entries in one answer: a few milliseconds of work on either side, and little lost when an answer is. */
export const ANSWER_BYTES = 256 * 1024;

/** Index rows and ranges looked at for one answer, so that long stretches without a live dot end a turn as well. */
const ANSWER_WORK_MAX = 4096;

const PAGE_ROWS = 256;

/** Exceptions of the context in a page that is not the last; there it is only a lower bound. */
const BOUND_EXCEPTIONS = 64;

export function answerRequest(store: Store, request: RepairRequest): RepairAnswer {
  const page = new Page(store, Math.min(request.bytesMax, ANSWER_BYTES));
  const missing = store.context.minus(request.seen);
  for (const incarnation of [...missing.incarnations()].sort()) {
    const ranges = missing.rangesOf(incarnation);
    for (let i = 0; i < ranges.length && !page.isFull; i += 2) {
      page.cover(incarnation, ranges[i]!, ranges[i + 1]!);
    }
    if (page.isFull) break;
  }
  const more = !page.covered.covers(missing);
  return {
    kind: "repair-answer",
    exchange: request.exchange,
    entries: page.entries,
    covered: more ? page.covered : new Context(),
    more,
    // A copy: the outputs of a step leave after later steps of the same turn.
    context: (more ? store.context.lowerBound(BOUND_EXCEPTIONS) : store.context).clone(),
    summary: store.summary(),
  };
}

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
