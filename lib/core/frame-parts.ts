/** The pieces that frames of several kinds are made of: flags, dots, summaries, entries. */
import type { ByteReader, ByteWriter } from "./codec.ts";
import { INCARNATIONS_MAX, KEY_BYTES_MAX, malformed, readDot, writeDot } from "./codec.ts";
import { Context } from "./context.ts";
import type { Dot } from "./dot.ts";
import type { EntryKey } from "./layout.ts";
import type { Summary, WireEntry } from "./message.ts";

/** Entries of one frame: several times what a page or a batch of the smallest holds. Decoded, each takes some 300 bytes whatever it took on the wire. */
const ENTRIES_MAX = 1 << 15;

/** Gone dots of one entry: a deletion names what it removed. */
const GONE_MAX = 1 << 16;

/** The same of all entries of a frame. */
const GONE_TOGETHER_MAX = 1 << 17;

export function writeSummary(writer: ByteWriter, summary: Summary): void {
  writer.fixedChars(summary.root);
  writer.fixedChars(summary.dotRoot);
  writer.fixedChars(summary.context);
  writer.varint(summary.count);
}

export function readSummary(reader: ByteReader): Summary {
  return {
    root: reader.fixedChars(16),
    dotRoot: reader.fixedChars(16),
    context: reader.fixedChars(8),
    count: reader.varint(Number.MAX_SAFE_INTEGER),
  };
}

/** Most entries name nothing that is gone: one bit beside the key's length says so, for a million entries a megabyte less. */
export function writeEntry(writer: ByteWriter, { key, gone, record }: WireEntry): void {
  const hasGone = gone.length > 0;
  writer.varint(2 * key.length + (hasGone ? 1 : 0));
  writer.fixedChars(key);
  if (hasGone) writeDots(writer, gone);
  writer.bytes(record);
}

/** What a frame takes for them, less the byte that it takes for none. */
export function entriesBytes(entries: readonly WireEntry[]): number {
  let bytes = varintBytes(entries.length) - 1;
  for (const { key, gone, record } of entries) {
    bytes += varintBytes(2 * key.length + 1) + key.length + varintBytes(record.length) + record.length;
    if (gone.length > 0) bytes += varintBytes(gone.length) + DOT_BYTES * gone.length;
  }
  return bytes;
}

const DOT_BYTES = 12;

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : Math.ceil((32 - Math.clz32(value)) / 7);
}

/** Adds the entries one by one, and tells after each how many there are so far. */
export function* readEntries(reader: ByteReader, into: WireEntry[]): Generator<number, void, undefined> {
  const count = reader.varint(Math.min(ENTRIES_MAX, reader.left));
  let goneLeft = GONE_TOGETHER_MAX;
  while (into.length < count) {
    const entry = readEntry(reader, Math.min(GONE_MAX, goneLeft));
    goneLeft -= entry.gone.length;
    yield into.push(entry);
  }
}

export function readEntry(reader: ByteReader, goneMax = GONE_MAX): WireEntry {
  const head = reader.varint(2 * KEY_BYTES_MAX + 1);
  const key = reader.fixedChars(head >>> 1);
  if (key === "") throw malformed("an empty key");
  const gone = (head & 1) === 0 ? NO_DOTS : readDots(reader, goneMax);
  if ((head & 1) === 1 && gone.length === 0) throw malformed("an entry that says that dots are gone, and names none");
  return { key, gone, record: reader.bytes(reader.left) };
}

export function readKey(reader: ByteReader): EntryKey {
  const key = reader.fixedChars(reader.varint(KEY_BYTES_MAX));
  if (key === "") throw malformed("an empty key");
  return key;
}

/**
 * Dots that are scattered among others, as those are in which two stores differ: mostly single, so that the gap before each and whether
 * a run begins there share one number. A dot in a hundred takes a byte or two, where writeContext takes three.
 */
export function writeScattered(writer: ByteWriter, dots: Context): void {
  writer.varint(dots.incarnationCount);
  for (const incarnation of dots.incarnations()) {
    const ranges = dots.rangesOf(incarnation);
    writer.fixedChars(incarnation);
    writer.varint(ranges.length / 2);
    let last = -1;
    for (let i = 0; i < ranges.length; i += 2) {
      const more = ranges[i + 1]! - ranges[i]!;
      writer.varint(2 * (ranges[i]! - last - 2) + Math.sign(more));
      if (more > 0) writer.varint(more);
      last = ranges[i + 1]!;
    }
  }
}

/** Each run may stand for four thousand million dots, so it is the dots that are bounded: by `dotsMax`, all together. */
export function readScattered(reader: ByteReader, dotsMax: number): Context {
  const dots = new Context();
  let left = dotsMax;
  const incarnations = reader.varint(Math.min(INCARNATIONS_MAX, reader.left));
  for (let i = 0; i < incarnations; i++) {
    const incarnation = reader.fixedChars(8);
    const count = reader.varint(Math.min(left, reader.left));
    if (count === 0 || dots.highest(incarnation) > 0) throw malformed("an incarnation without dots, or named twice");
    for (let last = -1, range = 0; range < count; range++) {
      const gap = reader.varint(2 * 0xffff_ffff);
      const from = last + 2 + Math.floor(gap / 2);
      const more = gap % 2 === 0 ? 0 : reader.varint(0xffff_ffff);
      if (from + more > 0xffff_ffff || (gap % 2 === 1 && more === 0)) throw malformed("a run of dots that is none");
      left -= more + 1;
      if (left < 0) throw malformed(`over ${dotsMax} dots where so many are the most`);
      dots.addRange(incarnation, from, from + more);
      last = from + more;
    }
  }
  return dots;
}

export function readFlag(reader: ByteReader): boolean {
  const flag = reader.uint8();
  if (flag > 1) throw malformed("a flag that is neither 0 nor 1");
  return flag === 1;
}

const NO_DOTS: readonly Dot[] = [];

export function writeDots(writer: ByteWriter, dots: readonly Dot[]): void {
  writer.varint(dots.length);
  for (const dot of dots) writeDot(writer, dot);
}

export function readDots(reader: ByteReader, dotsMax = GONE_MAX): Dot[] {
  const count = reader.varint(Math.min(dotsMax, reader.left));
  const dots: Dot[] = [];
  for (let i = 0; i < count; i++) dots.push(readDot(reader));
  return dots;
}
