/**
 * The answer to a peer's sketch: the entries that it lacks and the dots that it should drop, or that more cells are needed to tell.
 *
 * Both contexts decide alone what a difference means. A dot that only we hold is sent: the peer merges it, or knows better. A dot that
 * only the peer holds was superseded here when our context has it, and the peer drops it; otherwise it is news, and we shall ask.
 */
import { Context } from "../core/context.ts";
import type { Dot } from "../core/dot.ts";
import { indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import type { RepairAnswer, RepairRequest, SketchFound, WireEntry } from "../core/message.ts";
import { relativeTo } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { STEP_BYTES } from "./answer.ts";
import { dotsOfPairs, namesOf } from "./decoding.ts";
import { ASKED_CELLS_MAX } from "./ladder.ts";
import { readSketch } from "./sketch.ts";
import type { Sketches } from "./sketches.ts";

/** Entries looked up for one answer: some ten milliseconds. */
const ENTRIES_MAX = 1024;

const NOTHING: Pick<SketchFound, "missing" | "drops"> = { missing: new Context(), drops: new Context() };

/** Throws `malformed` for cells that are none. */
export function answerSketch(store: Store, sketches: Sketches, request: RepairRequest, frame: Uint8Array): RepairAnswer {
  const theirs = readSketch(frame, { key: sketches.key, cellsMax: ASKED_CELLS_MAX });
  if (!sketches.isReady) return reply(store, request, [], { ...NOTHING, result: "not-ready" });
  const peeled = sketches.take(theirs.cells).subtract(theirs).decode({ dotsMax: theirs.cells });
  if (!peeled.ok) return reply(store, request, [], { ...NOTHING, result: "undecodable" });
  const names = namesOf(store.context);
  const drops = Context.of(dotsOfPairs(peeled.theirs, names).filter((dot) => store.context.has(dot)));
  const { entries, missing } = entriesOf(store, dotsOfPairs(peeled.mine, names), Math.min(request.bytesMax, STEP_BYTES));
  return reply(store, request, entries, { result: "decoded", missing, drops });
}

function reply(store: Store, request: RepairRequest, entries: readonly WireEntry[], found: SketchFound): RepairAnswer {
  return {
    kind: "repair-answer",
    exchange: request.exchange,
    entries,
    covered: new Context(),
    more: found.result !== "decoded" || !found.missing.isEmpty,
    namesDeletions: false,
    context: relativeTo(request.seen, store.context),
    summary: store.summary(),
    found,
  };
}

/** As many as fit; the others are named. */
function entriesOf(
  store: Store,
  dots: readonly Dot[],
  bytesMax: number,
): { readonly entries: readonly WireEntry[]; readonly missing: Context } {
  const entries = new Map<EntryKey, WireEntry>();
  let bytes = 0;
  let sent = 0;
  for (; sent < dots.length && bytes < bytesMax && entries.size < ENTRIES_MAX; sent++) {
    const { incarnation, counter } = dots[sent]!;
    const row = store.reader.get(indexAt(incarnation, counter));
    if (row === undefined || entries.has(keyOfRow(row))) continue;
    const entry = store.wireEntry(keyOfRow(row), []);
    entries.set(entry.key, entry);
    bytes += entry.key.length + entry.record.length;
  }
  return { entries: [...entries.values()], missing: Context.of(dots.slice(sent)) };
}
