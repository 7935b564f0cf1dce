/**
 * What the routes read of a request: the raw target and the raw body, past the framework, which repairs the one and hides the other.
 *
 * A body's reader bounds one body (body.ts). Here all of them together are bounded: a thousand connections with eight megabytes
 * each would be more than most machines have.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import { KEY_BYTES_MAX } from "../core/codec.ts";
import { CLOSE, Refusal, RETRY } from "./answer.ts";
import { readBody, readBodyBytes, type BodyLimits, type BodyRefusal } from "./body.ts";
import type { Routed } from "./meter.ts";
import { parseTarget, withoutHost } from "./url.ts";

/** What the server hands to the app beside the request. */
export interface Bindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse & Routed;
}
export interface Env {
  Bindings: Bindings;
}
export type Call = Context<Env>;
export type Handler = (call: Call) => Response | Promise<Response>;

export interface Bodies {
  /** Bytes that a value may have which is written here. */
  readonly valueBytesMax: number;
  /** Throws Refusal. */
  text(incoming: IncomingMessage): Promise<string>;
  /** Throws Refusal. */
  bytes(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array>;
  /** Throws Refusal. */
  frame(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array>;
}

/** The largest value (8 MiB) escaped a little, or some ten thousand usual pairs. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024;

/** As long as the server gives a whole request. */
const BODY_TIME_MS = 10_000;

const TEXT_LIMITS: BodyLimits = { bytesMax: BODY_BYTES_MAX, timeMs: BODY_TIME_MS };

/** Bodies that are being read, all together. */
const BUDGET_BYTES = 256 * 1024 * 1024;

/** Frames that are being read, all together: one of the largest, and many of the usual size. */
const FRAMES_BUDGET_BYTES = 24 * 1024 * 1024;

/** Smaller bodies are bounded well enough by the number of connections. */
const SMALL_BYTES = 64 * 1024;

export function createBodies(valueBytesMax: number): Bodies {
  const texts = new Budget(BUDGET_BYTES);
  const frames = new Budget(FRAMES_BUDGET_BYTES);
  const bytesOf = async (incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array> =>
    okOf(await readBodyBytes(incoming, { bytesMax, timeMs: BODY_TIME_MS })).bytes;
  return {
    valueBytesMax,
    text: (incoming) => {
      const bytes = largeBytesOf(incoming, BODY_BYTES_MAX);
      return bytes === 0 ? textOf(incoming, TEXT_LIMITS) : texts.spend(bytes, () => textOf(incoming, TEXT_LIMITS));
    },
    bytes: (incoming, bytesMax) => texts.spend(largeBytesOf(incoming, bytesMax), () => bytesOf(incoming, bytesMax)),
    frame: (incoming, bytesMax) => frames.spend(largeBytesOf(incoming, bytesMax), () => bytesOf(incoming, bytesMax)),
  };
}

/** Bytes of large bodies that are being read side by side. */
class Budget {
  readonly #bytesMax: number;
  #reserved = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Throws Refusal. */
  async spend<T>(bytes: number, read: () => Promise<T>): Promise<T> {
    if (bytes > 0 && this.#reserved + bytes > this.#bytesMax) {
      throw new Refusal(503, "too many large requests at once; try again", { ...CLOSE, ...RETRY });
    }
    this.#reserved += bytes;
    try {
      return await read();
    } finally {
      this.#reserved -= bytes;
    }
  }
}

/** Bytes to set aside; 0 for a small body. */
function largeBytesOf({ headers }: IncomingMessage, bytesMax: number): number {
  const declared = headers["content-length"];
  const isOpen = declared === undefined && headers["transfer-encoding"] !== undefined;
  const bytes = isOpen ? bytesMax : Math.min(Number(declared ?? 0), bytesMax);
  return bytes <= SMALL_BYTES ? 0 : bytes;
}

async function textOf(incoming: IncomingMessage, limits: BodyLimits): Promise<string> {
  return okOf(await readBody(incoming, limits)).text;
}

function okOf<T extends { readonly ok: true }>(read: T | BodyRefusal): T {
  if (read.ok) return read;
  throw new Refusal(read.status, read.problem, read.close ? CLOSE : {});
}

/**
 * The path as it stood on the wire. Nothing is decoded or normalised: `/store/../ping` is no path of ours. Of the absolute form, which a
 * client of a proxy sends, the part after the host.
 */
export function pathOf({ url = "/" }: IncomingMessage): string {
  const target = withoutHost(url);
  const query = target.indexOf("?");
  return query < 0 ? target : target.slice(0, query);
}

/** A route that reads no query: what comes is ignored, but what is no URL is refused there as everywhere. */
export function withoutQuery(handler: Handler): Handler {
  return (call) => {
    queryOf(call.env.incoming);
    return handler(call);
  };
}

export const NO_QUERY: ReadonlyMap<string, string> = new Map();

/** Throws Refusal. */
export function queryOf({ url = "/" }: IncomingMessage): ReadonlyMap<string, string> {
  if (!url.includes("?")) return NO_QUERY;
  const target = parseTarget(url);
  if (!target.ok) throw new Refusal(target.status, target.problem);
  return target.query;
}

/** Throws Refusal. The text of a value, as it will be stored. */
export function checkValue(text: string, bytesMax: number): void {
  if (text.length * 3 <= bytesMax) return;
  const bytes = Buffer.byteLength(text);
  if (bytes > bytesMax) throw new Refusal(413, `"value" has ${bytes} bytes; ${bytesMax} are the most here`);
}

/** Throws Refusal: `status` is 414 for a key that came in the URL. */
export function checkKey(key: string, tooLong: 413 | 414 = 413): void {
  if (key === "") throw new Refusal(400, `"key" is empty; a key has 1 to ${KEY_BYTES_MAX} bytes`);
  // No character takes more than three bytes of UTF-8 for each of its code units.
  if (key.length * 3 <= KEY_BYTES_MAX) return;
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) throw new Refusal(tooLong, `"key" has ${bytes} bytes; ${KEY_BYTES_MAX} are the most`);
}
