/**
 * The one reader of request bodies, for every method, GET included.
 *
 * A body is the first thing that a stranger can make large, slow or endless. So the bytes are counted as they come (what
 * Content-Length declares is only ever used to refuse sooner), one deadline covers the whole body, however regularly it
 * trickles, and chunks are copied into one growing buffer, because a body of one-byte chunks costs a hundred times its size
 * when the chunks are kept. Compressed bodies are refused: no limit on what arrives bounds what they unpack to.
 *
 * A refusal waits a little, throwing away what still comes: a client that meets a closed connection while it is sending
 * reports the broken connection and never reads why.
 */
import type { IncomingMessage } from "node:http";
import { assert } from "../core/errors.ts";
import { isExpectedBody } from "./signed-body.ts";

export interface BodyLimits {
  readonly bytesMax: number;
  /** From the call to the last byte. */
  readonly timeMs: number;
}
export interface BodyBytes {
  readonly ok: true;
  readonly bytes: Uint8Array;
}
export interface BodyText {
  readonly ok: true;
  readonly text: string;
}
export interface BodyRefusal {
  readonly ok: false;
  readonly status: 400 | 408 | 413 | 415;
  /** A sentence for a person. */
  readonly problem: string;
  /** The answer must carry `Connection: close`: what follows on this connection may be the rest of the body. */
  readonly close: boolean;
}

/** Enough for a client that meant to send somewhat more than is taken; who sends more may lose the answer. */
const discardBytesMax = 4 * 1024 * 1024;
/** Several round trips on a bad line; short, since whoever stalls here holds a socket. */
const discardTimeMs = 500;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The body as text: strict UTF-8 without a byte order mark. No body is the empty text. */
export async function readBody(incoming: IncomingMessage, limits: BodyLimits): Promise<BodyText | BodyRefusal> {
  const unwanted = begin(incoming, limits) ?? refuseCharset(incoming);
  await Promise.resolve();
  const read = readAtOnce(incoming, limits, unwanted) ?? (await gather(incoming, limits, unwanted));
  if (!read.ok) return read;
  let text: string;
  try {
    text = decoder.decode(read.bytes);
  } catch {
    return { ok: false, status: 400, problem: "the body is not valid UTF-8", close: false };
  }
  if (text.startsWith("\ufeff")) return { ok: false, status: 400, problem: "the body starts with a byte order mark", close: false };
  return { ok: true, text };
}

/** The body as it is. No body is no bytes. */
export async function readBodyBytes(incoming: IncomingMessage, limits: BodyLimits): Promise<BodyBytes | BodyRefusal> {
  const unwanted = begin(incoming, limits);
  await Promise.resolve();
  return readAtOnce(incoming, limits, unwanted) ?? gather(incoming, limits, unwanted);
}

/** Returns why the body is refused whatever it holds. What came with the headers can be read when this turn's promises go on. */
function begin(incoming: IncomingMessage, { bytesMax }: BodyLimits): BodyRefusal | undefined {
  assert(!incoming.readableDidRead || incoming.destroyed, "a body is read once, and by nobody else");
  return refuseEarly(incoming, bytesMax);
}

/** Undefined when there is something to wait for. */
function readAtOnce(incoming: IncomingMessage, { bytesMax }: BodyLimits, unwanted?: BodyRefusal): BodyBytes | BodyRefusal | undefined {
  if (incoming.destroyed) return broken;
  const whole = unwanted === undefined ? wholeBody(incoming, bytesMax) : undefined;
  return whole === undefined ? undefined : signed(incoming, whole);
}

function gather(incoming: IncomingMessage, limits: BodyLimits, unwanted?: BodyRefusal): Promise<BodyBytes | BodyRefusal> {
  const declared = Number(incoming.headers["content-length"] ?? 0);
  return new Promise((resolve) => {
    let held: Uint8Array = new Uint8Array(0);
    let size = 0;
    let refusal: BodyRefusal | undefined;
    let timer = setTimeout(() => settle(late(limits.timeMs)), limits.timeMs);

    const settle = (outcome: BodyBytes | BodyRefusal): void => {
      clearTimeout(timer);
      incoming.off("data", onData).off("end", onEnd).off("close", onBroken).off("error", onBroken);
      resolve(outcome);
    };
    const refuse = (why: BodyRefusal): void => {
      refusal = why;
      held = new Uint8Array(0);
      size = 0;
      clearTimeout(timer);
      timer = setTimeout(() => settle(why), discardTimeMs);
    };
    const onData = (chunk: Uint8Array): void => {
      size += chunk.length;
      if (refusal !== undefined) {
        if (size > discardBytesMax) settle(refusal);
      } else if (size > limits.bytesMax) {
        refuse(tooLarge(limits.bytesMax));
      } else {
        held = append(held, size - chunk.length, chunk, declared, limits.bytesMax);
      }
    };
    const onEnd = (): void => {
      if (refusal !== undefined) return settle({ ...refusal, close: refusal.status === 413 });
      settle(signed(incoming, held.subarray(0, size)));
    };
    const onBroken = (): void => settle(refusal ?? broken);

    if (unwanted !== undefined) refuse(unwanted);
    incoming.on("data", onData).on("end", onEnd).on("close", onBroken).on("error", onBroken);
  });
}

/**
 * The body that came in one piece with its headers, as nearly all do: it is there when this turn's promises go on, and needs neither
 * listeners nor a timer. (That the message is complete the parser says only later.) Undefined for any other.
 */
function wholeBody(incoming: IncomingMessage, bytesMax: number): Uint8Array | undefined {
  const { headers, readableLength } = incoming;
  if (readableLength > bytesMax || headers["content-length"] !== String(readableLength)) return undefined;
  const bytes = incoming.read() as Uint8Array | null;
  // So that the end is read as well.
  incoming.resume();
  return bytes ?? new Uint8Array(0);
}

const broken: BodyRefusal = { ok: false, status: 400, problem: "the connection broke before the body was complete", close: true };

function signed(incoming: IncomingMessage, bytes: Uint8Array): BodyBytes | BodyRefusal {
  return isExpectedBody(incoming, bytes) ? { ok: true, bytes } : notSigned;
}

const notSigned: BodyRefusal = { ok: false, status: 400, problem: "the body is not the one that was signed", close: false };

function late(timeMs: number): BodyRefusal {
  return { ok: false, status: 408, problem: `the body took longer than ${timeMs} ms`, close: true };
}

function tooLarge(bytesMax: number): BodyRefusal {
  return { ok: false, status: 413, problem: `the body is larger than ${bytesMax} bytes`, close: true };
}

/** What the headers alone rule out. */
function refuseEarly({ headers }: IncomingMessage, bytesMax: number): BodyRefusal | undefined {
  if (Number(headers["content-length"] ?? 0) > bytesMax) return tooLarge(bytesMax);
  const framing = headers["transfer-encoding"]?.trim().toLowerCase() ?? "chunked";
  // Node takes an empty one for none, and so for no body; what follows is then read as the next request.
  if (framing !== "chunked")
    return {
      ok: false,
      status: 400,
      problem: `the body's Transfer-Encoding is ${JSON.stringify(framing)}; only chunked is known`,
      close: true,
    };
  const encoding = headers["content-encoding"]?.trim().toLowerCase() ?? "identity";
  if (encoding === "identity" || encoding === "") return undefined;
  return { ok: false, status: 415, problem: `the body is encoded as ${JSON.stringify(encoding)}; send it plain`, close: true };
}

/** Text is UTF-8 here; whoever says that theirs is not would have it stored as something else. */
function refuseCharset({ headers }: IncomingMessage): BodyRefusal | undefined {
  const charset = /;\s*charset\s*=\s*"?([^\s;"]+)/i.exec(headers["content-type"] ?? "")?.[1];
  if (charset === undefined || /^(utf-?8|us-ascii)$/i.test(charset)) return undefined;
  return { ok: false, status: 415, problem: `the body's charset is ${JSON.stringify(charset)}; send it as UTF-8`, close: true };
}

/**
 * The first chunk is taken as it is. Then there is room for what was declared (memory that nothing was written to yet costs nothing), or
 * room that doubles, up to `bytesMax`.
 */
function append(held: Uint8Array, size: number, chunk: Uint8Array, declared: number, bytesMax: number): Uint8Array {
  if (size === 0) return chunk;
  let room = held;
  if (size + chunk.length > held.length) {
    room = new Uint8Array(Math.min(bytesMax, Math.max(size + chunk.length, declared, held.length * 2)));
    room.set(held.subarray(0, size));
  }
  room.set(chunk, size);
  return room;
}
