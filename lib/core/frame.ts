/**
 * Frames: messages as bytes. Magic, version, kind, exchange, body, and a checksum over all of it.
 *
 * TCP's own checksum lets about one damaged segment in 65,536 through, and proxies and disks in between have none; a frame with any
 * flipped bit is refused here, before anything in it is believed. decodeFrame is a border: it returns a problem, it never throws.
 */
import { crc32 } from "node:zlib";
import { ByteReader, ByteWriter, malformed, NAME_BYTES_MAX, readContext, writeContext } from "./codec.ts";
import { ConcordError } from "./errors.ts";
import { readDots, readEntries, readEntry, readFlag, readKey, readSummary, writeDots, writeEntry, writeSummary } from "./frame-parts.ts";
import { readRepairAnswer, readRepairRequest, writeRepairAnswer, writeRepairRequest } from "./frame-repair.ts";
import { PROTOCOL_VERSION, type Message, type Ping, type WireEntry } from "./message.ts";

export { entriesBytes } from "./frame-parts.ts";

/** A frame of this many bytes or more is refused: one repair answer, its context and one largest value fit with room. */
export const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Exceptions in the context of a push, which is a lower bound and needs few (repair/push.ts). */
const PUSH_EXCEPTIONS_MAX = 4_096;

const ADDRESS_BYTES_MAX = 1024;
const MAGIC = 0xc0;
const KINDS = ["ping", "pong", "push", "push-ack", "repair-request", "repair-answer", "read-request", "read-answer"] as const;

export type Decoded = { readonly ok: true; readonly message: Message } | { readonly ok: false; readonly problem: string };

/** Entries of one step: a millisecond or two, in a process that has met few before and has not compiled the code for them. */
const STEP_ENTRIES = 512;

/** A work in steps, between which others may have their turn. */
export type Steps<T> = Generator<undefined, T, undefined>;

export function encodeFrame(message: Message): Buffer {
  return finished(encodeSteps(message));
}

export function* encodeSteps(message: Message): Steps<Buffer> {
  const writer = new ByteWriter(512);
  writer.uint8(MAGIC);
  writer.uint8(PROTOCOL_VERSION);
  writer.uint8(KINDS.indexOf(message.kind));
  writer.uint32(message.exchange);
  writeBody(writer, message);
  if ("entries" in message) {
    writer.varint(message.entries.length);
    for (const [i, entry] of message.entries.entries()) {
      if (i % STEP_ENTRIES === STEP_ENTRIES - 1) yield;
      writeEntry(writer, entry);
    }
  }
  writer.uint32(crc32(writer.view()));
  return writer.view();
}

/** What a frame says that it is, before anything in it is checked. */
export function claimedKind(frame: Uint8Array): Message["kind"] | undefined {
  return KINDS[frame[2] ?? KINDS.length];
}

/** Entries of the message are views of `frame`. */
export function decodeFrame(frame: Uint8Array): Decoded {
  return finished(decodeSteps(frame));
}

export function* decodeSteps(frame: Uint8Array): Steps<Decoded> {
  try {
    return { ok: true, message: yield* readFrame(frame) };
  } catch (error) {
    if (error instanceof ConcordError) return { ok: false, problem: error.message };
    throw error;
  }
}

/** Each step in a turn of its own, the first in this one. `defer`: setImmediate. */
export async function inTurns<T>(steps: Steps<T>, defer: (turn: () => void) => void): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await new Promise<void>((resolve) => defer(resolve));
  }
}

function finished<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function* readFrame(frame: Uint8Array): Steps<Message> {
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
  const entries: WireEntry[] = [];
  const message = readBody(reader, kind, reader.uint32(), entries);
  if ("entries" in message) for (const read of readEntries(reader, entries)) if (read % STEP_ENTRIES === 0) yield;
  reader.end();
  return message;
}

/** All but the entries, with which those frames end that have some. */
function writeBody(writer: ByteWriter, message: Message): void {
  switch (message.kind) {
    case "ping":
    case "pong":
      writer.text(message.name);
      writer.text(message.address);
      writer.fixedChars(message.instance);
      return writeSummary(writer, message.summary);
    case "push":
      return writeContext(writer, message.context);
    case "push-ack":
      return writer.uint8(message.accepted ? 1 : 0);
    case "repair-request":
      return writeRepairRequest(writer, message);
    case "repair-answer":
      return writeRepairAnswer(writer, message);
    case "read-request":
      writer.varint(message.key.length);
      writer.fixedChars(message.key);
      return writeDots(writer, message.held);
    case "read-answer":
      return writeEntry(writer, message.entry);
  }
}

/** `entries` are read afterwards. */
function readBody(reader: ByteReader, kind: Message["kind"], exchange: number, entries: readonly WireEntry[]): Message {
  switch (kind) {
    case "ping":
    case "pong":
      return readPing(reader, kind, exchange);
    case "push":
      return { kind, exchange, context: readContext(reader, PUSH_EXCEPTIONS_MAX), entries };
    case "push-ack":
      return { kind, exchange, accepted: readFlag(reader) };
    case "repair-request":
      return readRepairRequest(reader, exchange);
    case "repair-answer":
      return readRepairAnswer(reader, exchange, entries);
    case "read-request":
      return { kind, exchange, key: readKey(reader), held: readDots(reader) };
    case "read-answer":
      return { kind, exchange, entry: readEntry(reader) };
  }
}

function readPing(reader: ByteReader, kind: Ping["kind"], exchange: number): Ping {
  const name = reader.text(NAME_BYTES_MAX);
  const address = reader.text(ADDRESS_BYTES_MAX);
  return { kind, exchange, name, address, instance: reader.fixedChars(8), summary: readSummary(reader) };
}
