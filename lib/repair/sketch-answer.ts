/**
 * The answer to a peer's sketch: the entries that it lacks and the dots that it should drop, or that more cells are needed to tell.
 *
 * Both contexts decide alone what a difference means. A dot that only we hold is sent: the peer merges it, or knows better. A dot that
 * only the peer holds was superseded here when our context has it, and the peer drops it; otherwise it is news, and we shall ask.
 *
 * A large sketch is answered in several turns, so that clients are served between them. What the answer says that has been seen and is held
 * is what was when it began, of which the sketch speaks. An entry that is read later may be newer, never older, so that what was seen does
 * not claim too much; and when anything has changed meanwhile there is more to come.
 */
import { Context } from "../core/context.ts";
import type { Dot } from "../core/dot.ts";
import { indexAt, keyOfRow, type EntryKey } from "../core/layout.ts";
import { sameSummary, type RepairAnswer, type RepairRequest, type SketchFound, type WireEntry } from "../core/message.ts";
import { relativeTo } from "../core/relative-context.ts";
import type { Steps } from "../core/frame.ts";
import type { Store } from "../core/store.ts";
import { STEP_BYTES } from "./answer.ts";
import { dotsOfPairs, namesOf } from "./decoding.ts";
import { ASKED_CELLS_MAX } from "./ladder.ts";
import { readSketch } from "./sketch.ts";
import type { Sketches } from "./sketches.ts";

/** Entries looked up for one answer: some ten milliseconds, all turns together. */
const ENTRIES_MAX = 1024;

/** Of the steps that a turn may take (AnswerOptions): cells that are looked at cost less than the reading of a row, entries more. */
const CELLS_SHARE = 4;
const ENTRIES_SHARE = 0.5;

const NOTHING: Pick<SketchFound, "missing" | "drops"> = { missing: new Context(), drops: new Context() };

/** `stepMax`: as in AnswerOptions. Throws `malformed` for cells that are none. */
export function* sketchAnswerSteps(
  store: Store,
  sketches: Sketches,
  request: RepairRequest,
  frame: Uint8Array,
  stepMax: number,
): Steps<RepairAnswer> {
  const theirs = readSketch(frame, { key: sketches.key, cellsMax: ASKED_CELLS_MAX });
  if (!sketches.isReady) return { ...beginningOf(store, request), ...found({ ...NOTHING, result: "not-ready" }) };
  const beginning = beginningOf(store, request);
  const seen = store.context.clone();
  const peeling = sketches.take(theirs.cells).subtract(theirs).decoding({ dotsMax: theirs.cells });
  let peeled = peeling.step(CELLS_SHARE * stepMax);
  for (; peeled === undefined; peeled = peeling.step(CELLS_SHARE * stepMax)) yield;
  if (!peeled.ok) return { ...beginning, ...found({ ...NOTHING, result: "undecodable" }) };
  const isLong = peeled.mine.length + peeled.theirs.length > 2 * stepMax;
  if (isLong) yield;
  const names = namesOf(seen);
  const drops = Context.of(dotsOfPairs(peeled.theirs, names).filter((dot) => seen.has(dot)));
  if (isLong) yield;
  const dots = dotsOfPairs(peeled.mine, names);
  const entries: WireEntry[] = [];
  const missing = yield* readEntries(store, dots, Math.min(request.bytesMax, STEP_BYTES), Math.max(1, ENTRIES_SHARE * stepMax), entries);
  const hasChanged = !sameSummary(beginning.summary, store.summary());
  return { ...beginning, ...found({ result: "decoded", missing, drops }, hasChanged), entries };
}

function beginningOf(store: Store, request: RepairRequest) {
  return {
    kind: "repair-answer" as const,
    exchange: request.exchange,
    entries: [],
    covered: new Context(),
    namesDeletions: false,
    context: relativeTo(request.seen, store.context),
    summary: store.summary(),
  };
}

function found(sketch: SketchFound, hasChanged = false): { readonly more: boolean; readonly found: SketchFound } {
  return { more: sketch.result !== "decoded" || !sketch.missing.isEmpty || hasChanged, found: sketch };
}

/** As many as fit; the others are named. */
function* readEntries(store: Store, dots: readonly Dot[], bytesMax: number, stepMax: number, into: WireEntry[]): Steps<Context> {
  const keys = new Set<EntryKey>();
  let bytes = 0;
  let sent = 0;
  for (; sent < dots.length && bytes < bytesMax && keys.size < ENTRIES_MAX; sent++) {
    if (sent > 0 && sent % stepMax === 0) yield;
    const { incarnation, counter } = dots[sent]!;
    const row = store.reader.get(indexAt(incarnation, counter));
    if (row === undefined || keys.has(keyOfRow(row))) continue;
    const entry = store.wireEntry(keyOfRow(row), []);
    keys.add(entry.key);
    into.push(entry);
    bytes += entry.key.length + entry.record.length;
  }
  return Context.of(dots.slice(sent));
}
