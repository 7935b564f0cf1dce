/**
 * The bodies of repair requests and answers. What a repair says beside the entries is counted in bytes, so each part that is usually
 * absent costs one bit of the first byte.
 */
import type { ByteReader, ByteWriter } from "./codec.ts";
import { malformed, readContext, writeContext } from "./codec.ts";
import { readScattered, readSummary, writeScattered, writeSummary } from "./frame-parts.ts";
import { summaryOf, type RepairAnswer, type RepairRequest, type SketchFound, type WireEntry } from "./message.ts";
import { Context } from "./context.ts";
import { RELATIVE_EXCEPTIONS_MAX, type RelativeContext } from "./relative-context.ts";

/** Cells of a sketch, and so the differences that one can show. */
export const CELLS_MAX = 65_536;

/** Dots whose entries one request wants: several times what anybody asks for at once (repair/asking.ts). */
const WANTED_DOTS_MAX = 4_096;

/** Exceptions in what a page covers: many times what fits into one (repair/answer.ts). */
const COVERED_EXCEPTIONS_MAX = 1 << 16;

/** Far over what anybody grants: the answerer has its own limit. */
const ASKED_BYTES_MAX = 16 * 1024 * 1024;

const WANTS_CELLS = 1;
const WANTS_DOTS = 2;
const HAS_SKETCH = 4;

export function writeRepairRequest(writer: ByteWriter, { seen, bytesMax, count, cells, wanted, sketch }: RepairRequest): void {
  writer.uint8((cells > 0 ? WANTS_CELLS : 0) | (wanted === undefined ? 0 : WANTS_DOTS) | (sketch === undefined ? 0 : HAS_SKETCH));
  writer.varint(bytesMax);
  writer.varint(count);
  if (cells > 0) writer.varint(cells);
  if (wanted !== undefined) writeScattered(writer, wanted);
  if (sketch !== undefined) writer.bytes(sketch);
  writeContext(writer, seen);
}

export function readRepairRequest(reader: ByteReader, exchange: number): RepairRequest {
  const flags = readFlags(reader, WANTS_CELLS | WANTS_DOTS | HAS_SKETCH);
  const bytesMax = reader.varint(ASKED_BYTES_MAX);
  const count = reader.varint(Number.MAX_SAFE_INTEGER);
  const cells = (flags & WANTS_CELLS) === 0 ? 0 : reader.varint(CELLS_MAX);
  if ((flags & WANTS_CELLS) !== 0 && cells === 0) throw malformed("a wish for no cells");
  const wanted = (flags & WANTS_DOTS) === 0 ? undefined : readScattered(reader, WANTED_DOTS_MAX);
  const sketch = (flags & HAS_SKETCH) === 0 ? undefined : reader.bytes(reader.left);
  const asked = { kind: "repair-request" as const, exchange, bytesMax, count, cells, seen: readContext(reader) };
  return { ...asked, ...(wanted && { wanted }), ...(sketch && { sketch }) };
}

const IS_MORE = 1;
const NAMES_DELETIONS = 2;
const FROM_NOTHING = 4;
const WITH_SKETCH = 8;
const WITH_FOUND = 16;

export function writeRepairAnswer(writer: ByteWriter, answer: RepairAnswer): void {
  const { more, namesDeletions, context, sketch, found } = answer;
  let flags = (more ? IS_MORE : 0) | (namesDeletions ? NAMES_DELETIONS : 0) | (context.from === "nothing" ? FROM_NOTHING : 0);
  flags |= (sketch === undefined ? 0 : WITH_SKETCH) | (found === undefined ? 0 : WITH_FOUND);
  writer.uint8(flags);
  if (!more || found !== undefined) writeSummary(writer, summaryOf(answer));
  writeContext(writer, context.gained);
  if (context.from === "seen") writeContext(writer, context.lacked);
  if (more) writeContext(writer, answer.covered);
  if (found !== undefined) writeFound(writer, found);
  if (sketch !== undefined) writer.bytes(sketch);
}

export function readRepairAnswer(reader: ByteReader, exchange: number, entries: readonly WireEntry[]): RepairAnswer {
  const flags = readFlags(reader, IS_MORE | NAMES_DELETIONS | FROM_NOTHING | WITH_SKETCH | WITH_FOUND);
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const summary = has(IS_MORE) && !has(WITH_FOUND) ? undefined : readSummary(reader);
  const context = readRelative(reader, has(FROM_NOTHING));
  const covered = has(IS_MORE) ? readContext(reader, COVERED_EXCEPTIONS_MAX) : new Context();
  const found = has(WITH_FOUND) ? readFound(reader) : undefined;
  const sketch = has(WITH_SKETCH) ? reader.bytes(reader.left) : undefined;
  const said = { kind: "repair-answer" as const, exchange, more: has(IS_MORE), namesDeletions: has(NAMES_DELETIONS) };
  return {
    ...said,
    ...(summary && { summary }),
    context,
    covered,
    ...(found && { found }),
    ...(sketch && { sketch }),
    entries,
  };
}

function readRelative(reader: ByteReader, fromNothing: boolean): RelativeContext {
  if (fromNothing) return { from: "nothing", gained: readContext(reader), lacked: new Context() };
  return { from: "seen", gained: readContext(reader, RELATIVE_EXCEPTIONS_MAX), lacked: readContext(reader, RELATIVE_EXCEPTIONS_MAX) };
}

const RESULTS = ["undecodable", "decoded", "not-ready"] as const;

function writeFound(writer: ByteWriter, { result, missing, drops }: SketchFound): void {
  writer.uint8(RESULTS.indexOf(result));
  writeScattered(writer, missing);
  writeScattered(writer, drops);
}

function readFound(reader: ByteReader): SketchFound {
  const result = RESULTS[reader.uint8()];
  if (result === undefined) throw malformed("a sketch of which nobody knows what became");
  return { result, missing: readScattered(reader, CELLS_MAX), drops: readScattered(reader, CELLS_MAX) };
}

function readFlags(reader: ByteReader, known: number): number {
  const flags = reader.uint8();
  if ((flags & ~known) !== 0) throw malformed("flags that nobody knows");
  return flags;
}
