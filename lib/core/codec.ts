/**
 * Binary forms: how contexts and entries look on disk and on the wire, which is the same, so that a repair copies records
 * instead of translating them.
 *
 * Integers are LEB128 varints unless fixed; byte strings carry their length. A reader checks every length against what is really
 * there before it allocates, and against a limit before it believes a count: a hostile frame can waste no more memory than its
 * own size. Readers throw ConcordError `malformed`; decodeFrame (frame.ts) and the store are the borders that turn it into a value.
 */
import { Context } from "./context.ts";
import { compareDots, type Dot } from "./dot.ts";
import type { Sibling, Siblings } from "./entry.ts";
import { ConcordError } from "./errors.ts";

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

export class ByteWriter {
  #bytes: Buffer;
  #end = 0;

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint);
  }

  get length(): number {
    return this.#end;
  }

  /** A view of what was written: valid until the next write. */
  view(): Buffer {
    return this.#bytes.subarray(0, this.#end);
  }

  uint8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#end++] = value;
  }

  uint32(value: number): void {
    this.#reserve(4);
    this.#end = this.#bytes.writeUInt32LE(value, this.#end);
  }

  uint48(value: number): void {
    this.#reserve(6);
    this.#end = this.#bytes.writeUIntLE(value, this.#end, 6);
  }

  /** Any integer from 0 to 2^53 − 1. */
  varint(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#end++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#end++] = rest;
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** A byte string of a known length: no length is written. */
  fixedChars(chars: string): void {
    this.#reserve(chars.length);
    this.#end += this.#bytes.write(chars, this.#end, "latin1");
  }

  /** A byte string. */
  chars(chars: string): void {
    this.varint(chars.length);
    this.fixedChars(chars);
  }

  text(text: string): void {
    if (text === "") this.uint8(0);
    else this.bytes(Buffer.from(text, "utf8"));
  }

  #reserve(more: number): void {
    if (this.#end + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#end + more));
    larger.set(this.#bytes.subarray(0, this.#end));
    this.#bytes = larger;
  }
}

export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    this.#need(1);
    return this.#bytes[this.#at++]!;
  }

  uint32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  uint48(): number {
    this.#need(6);
    this.#at += 6;
    return this.#bytes.readUIntLE(this.#at - 6, 6);
  }

  varint(max: number): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.uint8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > max) throw malformed(`a number of ${value} where ${max} is the most`);
        if (byte === 0 && scale > 1) throw malformed("a number with leading zeros");
        return value;
      }
    }
    throw malformed("a number that does not end");
  }

  raw(length: number): Buffer {
    this.#need(length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** A view of the reader's own bytes. */
  bytes(max: number): Buffer {
    return this.raw(this.varint(max));
  }

  fixedChars(length: number): string {
    this.#need(length);
    this.#at += length;
    return this.#bytes.toString("latin1", this.#at - length, this.#at);
  }

  chars(max: number): string {
    return this.fixedChars(this.varint(max));
  }

  text(bytesMax: number): string {
    const length = this.varint(bytesMax);
    if (length === 0) return "";
    try {
      return strictUtf8.decode(this.raw(length));
    } catch {
      throw malformed("text that is not UTF-8");
    }
  }

  end(): void {
    if (this.left > 0) throw malformed(`${this.left} bytes too many`);
  }

  #need(length: number): void {
    if (length > this.left) throw malformed(`${length} bytes wanted where ${this.left} are left`);
  }
}

export function writeContext(writer: ByteWriter, context: Context): void {
  writer.varint(context.incarnationCount);
  for (const incarnation of context.incarnations()) {
    writer.fixedChars(incarnation);
    writeRanges(writer, context.rangesOf(incarnation));
  }
}

export function readContext(reader: ByteReader): Context {
  const context = new Context();
  const incarnations = reader.varint(INCARNATIONS_MAX);
  for (let i = 0; i < incarnations; i++) readRanges(reader, reader.fixedChars(8), context);
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

export function readRanges(reader: ByteReader, incarnation: string, into: Context): void {
  const count = reader.varint(RANGES_MAX);
  if (count === 0 || into.highest(incarnation) > 0) throw malformed("an incarnation without dots, or named twice");
  if (into.incarnationCount + into.exceptionCount + count > RANGES_MAX) throw malformed(`a context of over ${RANGES_MAX} ranges`);
  let last = -1;
  for (let i = 0; i < count; i++) {
    const from = last + 2 + reader.varint(0xffff_ffff);
    const to = from + reader.varint(0xffff_ffff);
    if (to > 0xffff_ffff) throw malformed("a counter of over 32 bits");
    into.addRange(incarnation, from, to);
    last = to;
  }
}

export function writeDot(writer: ByteWriter, dot: Dot): void {
  writer.fixedChars(dot.incarnation);
  writer.uint32(dot.counter);
}

export function readDot(reader: ByteReader): Dot {
  const incarnation = reader.fixedChars(8);
  const counter = reader.uint32();
  if (counter === 0) throw malformed("a dot whose counter is 0");
  return { incarnation, counter };
}

/** A record: what one key holds. At least one sibling. */
export function encodeSiblings(siblings: Siblings): Buffer {
  const writer = new ByteWriter(siblings.length === 1 ? 64 + siblings[0]!.value.length : 512);
  writer.varint(siblings.length);
  for (const sibling of siblings) {
    writeDot(writer, sibling.dot);
    writer.uint48(sibling.stamp.ms);
    writer.varint(sibling.stamp.tick);
    writer.varint(sibling.expiresAtMs);
    writer.text(sibling.writer);
    writer.text(sibling.contentType);
    writer.fixedChars(sibling.digest);
    writer.bytes(sibling.value);
  }
  return writer.view();
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

export function malformed(what: string): ConcordError {
  return new ConcordError("malformed", `malformed bytes: ${what}`);
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
