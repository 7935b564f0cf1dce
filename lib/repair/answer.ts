/**
 * The answering side of a repair: one bounded page of what the asker has not seen.
 *
 * It keeps no session. The asker says what it has seen, which includes what earlier answers covered, so a crash, a lost answer or
 * another peer can interrupt the exchange at any page and nothing has to be cleaned up. Entries go out in dot order, each key with
 * its WHOLE live set as it is at this moment; a key that changes after its page was sent has a new dot, so a later page
 * sends it again. When nothing is left, the last page, its context and its summary are of one instant: the asker can verify.
 */
import { Context } from "../core/context.ts";
import { dotOfKey, type Dot, type Incarnation } from "../core/dot.ts";
import { dotAtEnd, indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import type { RepairAnswer, RepairRequest, WireEntry } from "../core/message.ts";
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
  const deletions = deletionsWithin(store, missing);
  for (const incarnation of [...missing.incarnations()].sort()) {
    const ranges = missing.rangesOf(incarnation);
    for (let i = 0; i < ranges.length && !page.isFull; i += 2) {
      page.cover(incarnation, ranges[i]!, ranges[i + 1]!, deletions.get(incarnation) ?? []);
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

/** What is to be sent for one dot. */
interface Due {
  readonly counter: number;
  readonly key: EntryKey;
  readonly gone: boolean;
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

  /** Sends what is live, or was lately deleted, in from..to; covers as much of it as fits. `deletions` are in order. */
  cover(incarnation: Incarnation, from: number, to: number, deletions: readonly Due[]): void {
    let next = from;
    while (next <= to && !this.isFull) {
      const { rows, more } = this.#store.reader.range(indexAt(incarnation, next), indexAt(incarnation, to) + "\0", PAGE_ROWS);
      this.#workLeft--;
      const live = rows.map((row) => ({ counter: dotOfKey(dotAtEnd(row.key)).counter, key: keyOfRow(row.value), gone: false }));
      let reached = more ? live[live.length - 1]!.counter : to;
      const deleted = deletions.slice(firstFrom(deletions, next), firstFrom(deletions, reached + 1));
      // In one order, so that a full page ends between two dots: a deleted key may have been written again, with a large value.
      for (const { counter, key, gone } of [...live, ...deleted].sort((a, b) => a.counter - b.counter)) {
        if (this.isFull) {
          reached = counter - 1;
          break;
        }
        this.#send(key, gone ? { incarnation, counter } : undefined);
      }
      if (reached >= next) this.covered.addRange(incarnation, next, reached);
      next = reached + 1;
    }
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

function deletionsWithin(store: Store, missing: Context): Map<Incarnation, Due[]> {
  const found = new Map<Incarnation, Due[]>();
  if (missing.isEmpty) return found;
  for (const { dot, key } of store.recentDeletions) {
    const { incarnation, counter } = dot;
    if (!missing.hasCounter(incarnation, counter)) continue;
    // A cached dot that is live again under the index is no deletion; the index sends it.
    if (store.reader.get(indexAt(incarnation, counter)) !== undefined) continue;
    const list = found.get(incarnation);
    if (list === undefined) found.set(incarnation, [{ counter, key, gone: true }]);
    else list.push({ counter, key, gone: true });
  }
  for (const list of found.values()) list.sort((a, b) => a.counter - b.counter);
  return found;
}

/** The first of these, which are in order, whose counter is not below. */
function firstFrom(dues: readonly Due[], counter: number): number {
  let low = 0;
  let high = dues.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (dues[middle]!.counter < counter) low = middle + 1;
    else high = middle;
  }
  return low;
}
