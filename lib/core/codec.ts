/**
 * Binary forms: how contexts and entries look on disk and on the wire, which is the same, so that a repair copies records
 * instead of translating them.
 *
 * Integers are LEB128 varints unless fixed; byte strings carry their length. A reader checks every length against what is really
 * there before it allocates, and against a limit before it believes a count: a hostile frame can waste no more memory than its
 * own size. Readers throw ConcordError `malformed`; decodeFrame (frame.ts) and the store are the borders that turn it into a value.
 */
import { ByteReader, ByteWriter, malformed } from "./bytes.ts";
import { Context } from "./context.ts";
import { compareDots, type Dot } from "./dot.ts";
import { NO_SIBLINGS, type Sibling, type Siblings } from "./entry.ts";

export { ByteReader, ByteWriter, malformed };

/** Bytes of a key in UTF-8. lmdb takes 1,978; 1,024 leaves room for prefixes and is over any key that a person types. */
export const KEY_BYTES_MAX = 1024;

/** Concurrent siblings of one key that a record may hold: far over what conflicts produce, far under what fills memory. */
export const SIBLINGS_MAX = 4096;

/** Incarnations in a context: one restart a minute for a month and a half. */
export const INCARNATIONS_MAX = 65_536;

/** Ranges in a context, all incarnations together; 2^20 of them are some 3 MB encoded and 16 MB in memory. */
export const RANGES_MAX = 1 << 20;

/** Bytes of a node's name and of a media type. */
export const NAME_BYTES_MAX = 255;

export function writeContext(writer: ByteWriter, context: Context): void {
  writer.varint(context.incarnationCount);
  for (const incarnation of context.incarnations()) {
    writer.fixedChars(incarnation);
    writeRanges(writer, context.rangesOf(incarnation));
  }
}

/** `exceptionsMax`: where nobody sends more. */
export function readContext(reader: ByteReader, exceptionsMax = RANGES_MAX): Context {
  const context = new Context();
  const incarnations = reader.varint(INCARNATIONS_MAX);
  for (let i = 0; i < incarnations; i++) readRanges(reader, reader.fixedChars(8), context, exceptionsMax);
  return context;
}

/** The ranges of one incarnation: gaps and lengths, each less what it must at least be. */
export function writeRanges(writer: ByteWriter, ranges: readonly number[]): void {
  writer.varint(ranges.length / 2);
  let last = -1;
  for (let i = 0; i < ranges.length; i += 2) {
    writer.varint(ranges[i]! - last - 2);
    writer.varint(ranges[i + 1]! - ranges[i]!);
    last = ranges[i + 1]!;
  }
}

export function readRanges(reader: ByteReader, incarnation: string, into: Context, exceptionsMax = RANGES_MAX): void {
  const count = reader.varint(RANGES_MAX);
  if (count === 0 || into.highest(incarnation) > 0) throw malformed("an incarnation without dots, or named twice");
  if (into.incarnationCount + into.exceptionCount + count > RANGES_MAX) throw malformed(`a context of over ${RANGES_MAX} ranges`);
  if (into.exceptionCount + count - 1 > exceptionsMax) throw malformed(`a context of over ${exceptionsMax} exceptions`);
  // Two bytes for each at least; of its final size at once, because an array that grows takes three times as much on the way.
  if (2 * count > reader.left) throw malformed(`${count} ranges in ${reader.left} bytes`);
  const ranges = new Array<number>(2 * count);
  let last = -1;
  for (let i = 0; i < count; i++) {
    const from = last + 2 + reader.varint(0xffff_ffff);
    const to = from + reader.varint(0xffff_ffff);
    if (to > 0xffff_ffff) throw malformed("a counter of over 32 bits");
    ranges[2 * i] = from;
    ranges[2 * i + 1] = to;
    last = to;
  }
  into.adopt(incarnation, ranges);
}

export function writeDot(writer: ByteWriter, dot: Dot): void {
  writer.fixedChars(dot.incarnation);
  writer.uint32(dot.counter);
}

export function readDot(reader: ByteReader): Dot {
  const incarnation = reader.knownChars(8);
  const counter = reader.uint32();
  if (counter === 0) throw malformed("a dot whose counter is 0");
  return { incarnation, counter };
}

/** What travels for a key that holds nothing. */
export const NO_RECORD = new Uint8Array(0);

/** A record: what one key holds. At least one sibling. */
export function encodeSiblings(siblings: Siblings): Buffer {
  recordWriter.reset();
  recordWriter.varint(siblings.length);
  for (const sibling of siblings) {
    writeDot(recordWriter, sibling.dot);
    recordWriter.uint48(sibling.stamp.ms);
    recordWriter.varint(sibling.stamp.tick);
    recordWriter.varint(sibling.expiresAtMs);
    recordWriter.text(sibling.writer);
    recordWriter.text(sibling.contentType);
    recordWriter.fixedChars(sibling.digest);
    recordWriter.bytes(sibling.value);
  }
  return recordWriter.copy();
}

/** The siblings' values are views of `record`. Throws `malformed`. */
export function decodeSiblings(record: Uint8Array): Siblings {
  const reader = new ByteReader(record);
  const count = reader.varint(SIBLINGS_MAX);
  const siblings: Sibling[] = [];
  for (let i = 0; i < count; i++) {
    const sibling = readSibling(reader);
    if (i > 0 && compareDots(siblings[i - 1]!.dot, sibling.dot) >= 0) throw malformed("siblings out of order");
    siblings.push(sibling);
  }
  reader.end();
  return siblings;
}

/** The same of what may be no record at all. */
export function siblingsIn(record: Uint8Array | undefined): Siblings {
  return record === undefined || record.length === 0 ? NO_SIBLINGS : decodeSiblings(record);
}

function readSibling(reader: ByteReader): Sibling {
  return {
    dot: readDot(reader),
    stamp: { ms: reader.uint48(), tick: reader.varint(0xffff) },
    expiresAtMs: reader.varint(Number.MAX_SAFE_INTEGER),
    writer: reader.text(NAME_BYTES_MAX),
    contentType: reader.text(NAME_BYTES_MAX),
    digest: reader.fixedChars(16),
    value: reader.bytes(reader.left),
  };
}

const recordWriter = new ByteWriter();
