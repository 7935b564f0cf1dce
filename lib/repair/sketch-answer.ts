/**
 * The answer to a peer's sketch: which dots it lacks, which it should drop, or how many more cells it would take to tell.
 *
 * Both contexts decide alone what a difference means. A dot that only we hold is sent: the peer merges it, or knows better. A dot that
 * only the peer holds was superseded here when our context has it, and the peer drops it; otherwise it is news, and we shall ask.
 */
import { indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import type { RepairAnswer, RepairRequest, SketchAsk, SketchFound, WireEntry } from "../core/message.ts";
import { Context } from "../core/context.ts";
import type { Dot } from "../core/dot.ts";
import type { Store } from "../core/store.ts";
import { ANSWER_BYTES } from "./answer.ts";
import { CELL_BYTES, cellsFor, readSketch, SKETCH_CELLS_MAX } from "./sketch.ts";
import { resolveDots, type Sketches } from "./sketches.ts";

/** The first sketch of a repair: decodes some 50 differences, for about a kilobyte. */
export const FIRST_CELLS = 96;

/** How much larger the next sketch is when nothing better is known. */
const GROWTH = 16;

/** A larger sketch pays while it is smaller than this for each of our entries: a record takes some fifty bytes beside its value. */
const BYTES_PER_ENTRY = 64;

const NOTHING: Pick<SketchFound, "missing" | "drops"> = { missing: [], drops: [] };

/** Throws `malformed` for cells that are none. */
export function answerSketch(store: Store, sketches: Sketches, request: RepairRequest, ask: SketchAsk): RepairAnswer {
  const theirs = readSketch(ask.cells, { key: sketches.key, cellsMax: SKETCH_CELLS_MAX });
  if (!sketches.isReady) return reply(store, request, [], { ...NOTHING, cellsWanted: 0, decoded: false });
  const peeled = sketches.take(theirs.cells).subtract(theirs).decode({ dotsMax: theirs.cells });
  if (!peeled.ok) return reply(store, request, [], { ...NOTHING, cellsWanted: nextCells(store, theirs.cells, ask.count), decoded: false });
  const missing = resolveDots(peeled.mine, store.context);
  const drops = resolveDots(peeled.theirs, store.context).filter((dot) => store.context.has(dot));
  const entries = entriesOf(store, missing, Math.min(request.bytesMax, ANSWER_BYTES));
  return reply(store, request, entries ?? [], { missing: entries === undefined ? missing : [], drops, cellsWanted: 0, decoded: true });
}

function reply(store: Store, request: RepairRequest, entries: readonly WireEntry[], sketched: SketchFound): RepairAnswer {
  return {
    kind: "repair-answer",
    exchange: request.exchange,
    entries,
    covered: new Context(),
    more: !sketched.decoded || sketched.missing.length > 0,
    context: store.context.clone(),
    summary: store.summary(),
    sketched,
  };
}

/** 0 when a sketch that might do costs more than a full push. */
function nextCells(store: Store, cells: number, theirCount: number): number {
  const next = Math.min(SKETCH_CELLS_MAX, Math.max(GROWTH * cells, cellsFor(2 * Math.abs(store.count - theirCount))));
  return cells === SKETCH_CELLS_MAX || next * CELL_BYTES > BYTES_PER_ENTRY * store.count ? 0 : next;
}

/** Undefined when they do not fit into one answer: the peer then asks for their dots, page by page. */
function entriesOf(store: Store, missing: readonly Dot[], bytesMax: number): WireEntry[] | undefined {
  const entries = new Map<EntryKey, WireEntry>();
  let bytes = 0;
  for (const { incarnation, counter } of missing) {
    const row = store.reader.get(indexAt(incarnation, counter));
    if (row === undefined || entries.has(keyOfRow(row))) continue;
    const entry = store.wireEntry(keyOfRow(row), []);
    entries.set(entry.key, entry);
    bytes += entry.key.length + entry.record.length;
    if (bytes > bytesMax) return undefined;
  }
  return [...entries.values()];
}
