/**
 * Writing and reading bytes, piece by piece.
 *
 * Every put and every read of a key comes through here several times, so that what is short is copied in JavaScript (a native call
 * costs as much as some forty bytes) and what all records have in common is made into a string once.
 */
import { ConcordError } from "./errors.ts";

export class ByteWriter {
  #bytes: Buffer;
  #end = 0;

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint);
  }

  get length(): number {
    return this.#end;
  }

  /** Begins anew in the same memory, and lets go of it when it has grown large. */
  reset(): void {
    this.#end = 0;
    if (this.#bytes.length > KEPT_BYTES) this.#bytes = Buffer.allocUnsafe(256);
  }

  copy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#end);
    this.#bytes.copy(copy, 0, 0, this.#end);
    return copy;
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
    this.#end = putChars(this.#bytes, chars, this.#end);
  }

  text(text: string): void {
    this.#reserve(1 + text.length);
    let seen = 0;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      seen |= code;
      this.#bytes[this.#end + 1 + i] = code;
    }
    if (seen > 0x7f || text.length > 0x7f) return this.bytes(Buffer.from(text, "utf8"));
    this.#bytes[this.#end] = text.length;
    this.#end += 1 + text.length;
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
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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

  /** For byte strings that come again and again, as incarnations do. */
  knownChars(length: number): string {
    this.#need(length);
    this.#at += length;
    return known(this.#bytes, this.#at - length, length) ?? remember(this.#bytes.toString("latin1", this.#at - length, this.#at));
  }

  text(bytesMax: number): string {
    const length = this.varint(bytesMax);
    if (length === 0) return "";
    this.#need(length);
    const before = known(this.#bytes, this.#at, length);
    if (before !== undefined && isAscii(before)) {
      this.#at += length;
      return before;
    }
    try {
      const text = strictUtf8.decode(this.raw(length));
      return text.length === length ? remember(text) : text;
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

export function malformed(what: string): ConcordError {
  return new ConcordError("malformed", `malformed bytes: ${what}`);
}

/** What a writer keeps when it begins anew. */
const KEPT_BYTES = 65_536;

/** Short byte strings are copied here, because a native call costs as much as some forty bytes. */
const NATIVE_FROM_CHARS = 40;

/** Writes a byte string and returns where it ends. */
export function putChars(bytes: Buffer, chars: string, at: number): number {
  if (chars.length >= NATIVE_FROM_CHARS) return at + bytes.write(chars, at, "latin1");
  for (let i = 0; i < chars.length; i++) bytes[at + i] = chars.charCodeAt(i);
  return at + chars.length;
}

export function bytesOfChars(chars: string): Buffer {
  const bytes = Buffer.allocUnsafe(chars.length);
  putChars(bytes, chars, 0);
  return bytes;
}

/** The few byte strings that nearly every record holds (incarnations, nodes' names, media types): one string for all of them. */
const KNOWN_SLOTS = 256;
const knownStrings = new Array<string>(KNOWN_SLOTS).fill("");

function known(bytes: Buffer, at: number, length: number): string | undefined {
  const string = knownStrings[(bytes[at]! * 7 + bytes[at + length - 1]! * 3 + length) % KNOWN_SLOTS]!;
  if (string.length !== length) return undefined;
  for (let i = 0; i < length; i++) if (string.charCodeAt(i) !== bytes[at + i]) return undefined;
  return string;
}

function remember(chars: string): string {
  knownStrings[(chars.charCodeAt(0) * 7 + chars.charCodeAt(chars.length - 1) * 3 + chars.length) % KNOWN_SLOTS] = chars;
  return chars;
}

function isAscii(chars: string): boolean {
  for (let i = 0; i < chars.length; i++) if (chars.charCodeAt(i) > 0x7f) return false;
  return true;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
