/**
 * Frames: messages as bytes. Magic, version, kind, exchange, body, and a checksum over all of it.
 *
 * TCP's own checksum lets about one damaged segment in 65,536 through, and proxies and disks in between have none; a frame with any
 * flipped bit is refused here, before anything in it is believed. decodeFrame is a border: it returns a problem, it never throws.
 */
import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter, KEY_BYTES_MAX, malformed, NAME_BYTES_MAX, readContext, readDot, writeContext, writeDot } from "./codec.ts";
import type { Dot } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import type { EntryKey } from "./layout.ts";
import { PROTOCOL_VERSION, type Message, type Ping, type SketchAsk, type SketchFound, type Summary, type WireEntry } from "./message.ts";

/** A frame of this many bytes or more is refused: one repair answer, its context and one largest value fit with room. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Entries of one frame: several times what a page or a batch of the smallest holds. Decoded, each takes some 300 bytes whatever it took on the wire. */
const ENTRIES_MAX = 1 << 15;

/** Gone dots of one entry: a deletion names what it removed. */
const GONE_MAX = 1 << 16;

/** The same of all entries of a frame. */
const GONE_TOGETHER_MAX = 1 << 17;

/** Exceptions in the context of a push, which is a lower bound and needs few (repair/push.ts). */
const PUSH_EXCEPTIONS_MAX = 4_096;

/** The same in what a page covers: many times what fits into one (repair/answer.ts). */
const COVERED_EXCEPTIONS_MAX = 1 << 16;

/** Cells of a sketch, and so the differences that one can show. */
const CELLS_MAX = 65_536;

const ADDRESS_BYTES_MAX = 1024;
const MAGIC = 0xc0;
const KINDS = ["ping", "pong", "push", "push-ack", "repair-request", "repair-answer", "read-request", "read-answer"] as const;

export type Decoded = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly problem: string };

export function encodeFrame(message: Message): Buffer {
  const writer = new ByteWriter(512);
  writer.uint8(MAGIC);
  writer.uint8(PROTOCOL_VERSION);
  writer.uint8(KINDS.indexOf(message.kind));
  writer.uint32(message.exchange);
  writeBody(writer, message);
  writer.uint32(crc32(writer.view()));
  return writer.view();
}

/** What a frame says that it is, before anything in it is checked. */
export function claimedKind(frame: Uint8Array): Message["kind"] | undefined {
  return KINDS[frame[2] ?? KINDS.length];
}

/** Entries of the message are views of `frame`. */
export function decodeFrame(frame: Uint8Array): Decoded {
  try {
    return { ok: true, message: readFrame(frame) };
  } catch (error) {
    if (error instanceof ConcordError) return { ok: false, problem: error.message };
    throw error;
  }
}

function readFrame(frame: Uint8Array): Message {
  if (frame.length > FRAME_BYTES_MAX) throw malformed(`a frame of ${frame.length} bytes where ${FRAME_BYTES_MAX} are the most`);
  if (frame.length < 11) throw malformed(`a frame of ${frame.length} bytes`);
  const body = frame.subarray(0, frame.length - 4);
  if (new ByteReader(frame.subarray(frame.length - 4)).uint32() !== crc32(body)) throw malformed("a frame whose checksum does not match");
  const reader = new ByteReader(body);
  if (reader.uint8() !== MAGIC) throw malformed("a frame that does not begin as one");
  const version = reader.uint8();
  if (version !== PROTOCOL_VERSION) throw malformed(`protocol version ${version}; this node speaks ${PROTOCOL_VERSION}`);
  const kind = KINDS[reader.uint8()];
  if (kind === undefined) throw malformed("a message of an unknown kind");
  const message = readBody(reader, kind, reader.uint32());
  reader.end();
  return message;
}

function writeBody(writer: ByteWriter, message: Message): void {
  switch (message.kind) {
    case "ping":
    case "pong":
      writer.text(message.name);
      writer.text(message.address);
      writer.fixedChars(message.instance);
      return writeSummary(writer, message.summary);
    case "push":
      writeContext(writer, message.context);
      return writeEntries(writer, message.entries);
    case "push-ack":
      return writer.uint8(message.accepted ? 1 : 0);
    case "repair-request":
      writer.varint(message.bytesMax);
      writeSketchAsk(writer, message.sketch);
      return writeContext(writer, message.seen);
    case "repair-answer":
      writer.uint8(message.more ? 1 : 0);
      writeSketchFound(writer, message.sketched);
      writeSummary(writer, message.summary);
      writeContext(writer, message.context);
      writeContext(writer, message.covered);
      return writeEntries(writer, message.entries);
    case "read-request":
      writer.varint(message.key.length);
      writer.fixedChars(message.key);
      return writeDots(writer, message.held);
    case "read-answer":
      return writeEntry(writer, message.entry);
  }
}

function readBody(reader: ByteReader, kind: Message["kind"], exchange: number): Message {
  switch (kind) {
    case "ping":
    case "pong":
      return readPing(reader, kind, exchange);
    case "push":
      return { kind, exchange, context: readContext(reader, PUSH_EXCEPTIONS_MAX), entries: readEntries(reader) };
    case "push-ack":
      return { kind, exchange, accepted: readFlag(reader) };
    case "repair-request":
      return { kind, exchange, bytesMax: reader.varint(FRAME_BYTES_MAX), ...readSketchAsk(reader), seen: readContext(reader) };
    case "repair-answer":
      return {
        kind,
        exchange,
        more: readFlag(reader),
        ...readSketchFound(reader),
        summary: readSummary(reader),
        context: readContext(reader),
        covered: readContext(reader, COVERED_EXCEPTIONS_MAX),
        entries: readEntries(reader),
      };
    case "read-request":
      return { kind, exchange, key: readKey(reader), held: readDots(reader, GONE_MAX) };
    case "read-answer":
      return { kind, exchange, entry: readEntry(reader) };
  }
}

function readPing(reader: ByteReader, kind: Ping["kind"], exchange: number): Ping {
  const name = reader.text(NAME_BYTES_MAX);
  const address = reader.text(ADDRESS_BYTES_MAX);
  return { kind, exchange, name, address, instance: reader.fixedChars(8), summary: readSummary(reader) };
}

function writeSketchAsk(writer: ByteWriter, ask: SketchAsk | undefined): void {
  writer.uint8(ask === undefined ? 0 : 1);
  if (ask === undefined) return;
  writer.varint(ask.count);
  writer.bytes(ask.cells);
}

function readSketchAsk(reader: ByteReader): { readonly sketch?: SketchAsk } {
  if (!readFlag(reader)) return {};
  return { sketch: { count: reader.varint(Number.MAX_SAFE_INTEGER), cells: reader.bytes(reader.left) } };
}

function writeSketchFound(writer: ByteWriter, found: SketchFound | undefined): void {
  writer.uint8(found === undefined ? 0 : 1);
  if (found === undefined) return;
  writer.uint8(found.decoded ? 1 : 0);
  writer.varint(found.cellsWanted);
  writeDots(writer, found.missing);
  writeDots(writer, found.drops);
}

function readSketchFound(reader: ByteReader): { readonly sketched?: SketchFound } {
  if (!readFlag(reader)) return {};
  const decoded = readFlag(reader);
  const cellsWanted = reader.varint(CELLS_MAX);
  return { sketched: { decoded, cellsWanted, missing: readDots(reader, CELLS_MAX), drops: readDots(reader, CELLS_MAX) } };
}

function writeDots(writer: ByteWriter, dots: readonly Dot[]): void {
  writer.varint(dots.length);
  for (const dot of dots) writeDot(writer, dot);
}

function readDots(reader: ByteReader, max: number): Dot[] {
  const count = reader.varint(Math.min(max, reader.left));
  const dots: Dot[] = [];
  for (let i = 0; i < count; i++) dots.push(readDot(reader));
  return dots;
}

function writeSummary(writer: ByteWriter, summary: Summary): void {
  writer.fixedChars(summary.root);
  writer.fixedChars(summary.dotRoot);
  writer.fixedChars(summary.context);
  writer.varint(summary.count);
}

function readSummary(reader: ByteReader): Summary {
  return {
    root: reader.fixedChars(16),
    dotRoot: reader.fixedChars(16),
    context: reader.fixedChars(8),
    count: reader.varint(Number.MAX_SAFE_INTEGER),
  };
}

function writeEntries(writer: ByteWriter, entries: readonly WireEntry[]): void {
  writer.varint(entries.length);
  for (const entry of entries) writeEntry(writer, entry);
}

/** Most entries name nothing that is gone: one bit beside the key's length says so, for a million entries a megabyte less. */
function writeEntry(writer: ByteWriter, { key, gone, record }: WireEntry): void {
  const hasGone = gone.length > 0;
  writer.varint(2 * key.length + (hasGone ? 1 : 0));
  writer.fixedChars(key);
  if (hasGone) writeDots(writer, gone);
  writer.bytes(record);
}

function readEntries(reader: ByteReader): WireEntry[] {
  const count = reader.varint(Math.min(ENTRIES_MAX, reader.left));
  const entries: WireEntry[] = [];
  let goneLeft = GONE_TOGETHER_MAX;
  for (let i = 0; i < count; i++) {
    const entry = readEntry(reader, Math.min(GONE_MAX, goneLeft));
    goneLeft -= entry.gone.length;
    entries.push(entry);
  }
  return entries;
}

function readEntry(reader: ByteReader, goneMax = GONE_MAX): WireEntry {
  const head = reader.varint(2 * KEY_BYTES_MAX + 1);
  const key = reader.fixedChars(head >>> 1);
  if (key === "") throw malformed("an empty key");
  const gone = (head & 1) === 0 ? NO_DOTS : readDots(reader, goneMax);
  if ((head & 1) === 1 && gone.length === 0) throw malformed("an entry that says that dots are gone, and names none");
  return { key, gone, record: reader.bytes(reader.left) };
}

function readKey(reader: ByteReader): EntryKey {
  const key = reader.fixedChars(reader.varint(KEY_BYTES_MAX));
  if (key === "") throw malformed("an empty key");
  return key;
}

const NO_DOTS: readonly Dot[] = [];

function readFlag(reader: ByteReader): boolean {
  const flag = reader.uint8();
  if (flag > 1) throw malformed("a flag that is neither 0 nor 1");
  return flag === 1;
}
