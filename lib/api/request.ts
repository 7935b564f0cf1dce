/**
 * What the routes read of a request: the raw target and the raw body, past the framework, which repairs the one and hides the other.
 *
 * A body's reader bounds one body (body.ts). Here all of them together are bounded: a thousand connections with eight megabytes
 * each would be more than most machines have.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "hono";
import { KEY_BYTES_MAX } from "../core/codec.ts";
import { CLOSE, Refusal } from "./answer.ts";
import { readBody, readBodyBytes, type BodyRefusal } from "./body.ts";
import { parseTarget } from "./url.ts";

/** What the server hands to the app beside the request. */
export interface Bindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}
export interface Env {
  Bindings: Bindings;
}
export type Call = Context<Env>;
export type Handler = (call: Call) => Response | Promise<Response>;

export interface Bodies {
  /** Throws Refusal. */
  text(incoming: IncomingMessage): Promise<string>;
  /** Throws Refusal. */
  bytes(incoming: IncomingMessage, bytesMax: number): Promise<Uint8Array>;
}

/** The largest value (8 MiB) escaped a little, or some ten thousand usual pairs. */
export const BODY_BYTES_MAX = 10 * 1024 * 1024;

/** As long as the server gives a whole request. */
const BODY_TIME_MS = 10_000;

/** Bodies that are being read, all together. */
const BUDGET_BYTES = 256 * 1024 * 1024;

/** Smaller bodies are bounded well enough by the number of connections. */
const SMALL_BYTES = 64 * 1024;

export function createBodies(): Bodies {
  let reserved = 0;

  /** Bytes to set aside; 0 for a small body. */
  const reserve = ({ headers }: IncomingMessage, bytesMax: number): number => {
    const declared = headers["content-length"];
    const bytes =
      declared === undefined && headers["transfer-encoding"] !== undefined ? bytesMax : Math.min(Number(declared ?? 0), bytesMax);
    if (bytes <= SMALL_BYTES) return 0;
    if (reserved + bytes > BUDGET_BYTES)
      throw new Refusal(503, "too many large requests at once; try again", { ...CLOSE, "retry-after": "1" });
    reserved += bytes;
    return bytes;
  };

  return {
    async text(incoming) {
      const bytes = reserve(incoming, BODY_BYTES_MAX);
      try {
        const read = await readBody(incoming, { bytesMax: BODY_BYTES_MAX, timeMs: BODY_TIME_MS });
        if (!read.ok) throw refusalOfBody(read);
        return read.text;
      } finally {
        reserved -= bytes;
      }
    },
    async bytes(incoming, bytesMax) {
      const bytes = reserve(incoming, bytesMax);
      try {
        const read = await readBodyBytes(incoming, { bytesMax, timeMs: BODY_TIME_MS });
        if (!read.ok) throw refusalOfBody(read);
        return read.bytes;
      } finally {
        reserved -= bytes;
      }
    },
  };
}

function refusalOfBody({ status, problem, close }: BodyRefusal): Refusal {
  return new Refusal(status, problem, close ? CLOSE : {});
}

/** The path as it stood on the wire. Nothing is decoded or normalised: `/store/../ping` is no path of ours. */
export function pathOf({ url = "/" }: IncomingMessage): string {
  const query = url.indexOf("?");
  return query < 0 ? url : url.slice(0, query);
}

const NO_QUERY: ReadonlyMap<string, string> = new Map();

/** Throws Refusal. */
export function queryOf({ url = "/" }: IncomingMessage): ReadonlyMap<string, string> {
  if (!url.includes("?")) return NO_QUERY;
  const target = parseTarget(url);
  if (!target.ok) throw new Refusal(target.status, target.problem);
  return target.query;
}

/** Throws Refusal: `status` is 414 for a key that came in the URL. */
export function checkKey(key: string, tooLong: 413 | 414 = 413): void {
  if (key === "") throw new Refusal(400, `"key" is empty; a key has 1 to ${KEY_BYTES_MAX} bytes`);
  // No character takes more than three bytes of UTF-8 for each of its code units.
  if (key.length * 3 <= KEY_BYTES_MAX) return;
  const bytes = Buffer.byteLength(key);
  if (bytes > KEY_BYTES_MAX) throw new Refusal(tooLong, `"key" has ${bytes} bytes; ${KEY_BYTES_MAX} are the most`);
}
