/**
 * Answers, made of validated text: a value travels as the JSON that was stored, byte for byte, and is never parsed on its way out.
 *
 * Refusals are thrown, from however deep, and become `{"error":"…"}` in one place. What is thrown and is neither a refusal nor a
 * ConcordError is a fault of ours: it is logged, and the client learns no more than that.
 */
import type { ServerResponse } from "node:http";
import { ConcordError, type ErrorCode } from "../core/errors.ts";
import type { KvValue } from "../core/kv.ts";

/** A request that is not carried out. */
export class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, problem: string, headers: Readonly<Record<string, string>> = {}) {
    super(problem);
    this.name = "Refusal";
    this.status = status;
    this.headers = headers;
  }
}

/** What follows on this connection may be the rest of a body. */
export const CLOSE = { connection: "close" } as const;

/** A second: whoever waits for less finds the same, and the client's user for more is gone. */
export const RETRY = { "retry-after": "1" } as const;

const JSON_HEADERS = { "content-type": "application/json" };

/** A value of this many bytes or more is put into its answer without becoming a string on the way. */
export const TEXT_MAX = 16 * 1024;

const VALUE_BEGIN = Buffer.from('{"value":');
const VALUE_END = Buffer.from("}");

export function json(text: string | Uint8Array<ArrayBuffer>, status = 200): Response {
  return new Response(text, { status, headers: JSON_HEADERS });
}

export function refusal(status: number, problem: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(`{"error":${JSON.stringify(problem)}}`, { status, headers: { ...JSON_HEADERS, ...headers } });
}

/** Bytes of large answers that wait for their clients to read them. One is always given. */
const UNREAD_BYTES_MAX = 128 * 1024 * 1024;

/** Large answers under way: clients that ask and do not read would otherwise fill the memory, a megabyte a connection. */
export class Unread {
  #bytes = 0;

  /** Throws Refusal when too much is under way. */
  add(bytes: number, outgoing: ServerResponse): void {
    // Whoever has gone meanwhile reads nothing, and their end is not told again.
    if (bytes < TEXT_MAX || outgoing.closed) return;
    if (this.#bytes > 0 && this.#bytes + bytes > UNREAD_BYTES_MAX) {
      throw new Refusal(503, "too many large answers are being read; try again", RETRY);
    }
    this.#bytes += bytes;
    outgoing.once("close", () => (this.#bytes -= bytes));
  }
}

/** `{"value":…}`. */
export function valueAnswer(value: KvValue): Response {
  if (value.contentType === "" && value.value.length >= TEXT_MAX) return json(Buffer.concat([VALUE_BEGIN, value.value, VALUE_END]));
  return json(`{${valueField(value)}}`);
}

/** JSON as it is; anything else as base64 beside its media type, so that it cannot be mistaken for text. */
export function valueField({ contentType, value }: KvValue): string {
  if (contentType === "") return `"value":${textOf(value, "utf8")}`;
  return `"value":"${textOf(value, "base64")}","contentType":${JSON.stringify(contentType)},"encoding":"base64"`;
}

function textOf({ buffer, byteOffset, byteLength }: Uint8Array, encoding: "utf8" | "base64"): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString(encoding);
}

const STATUSES: Readonly<Record<ErrorCode, number>> = {
  invalid: 400,
  malformed: 400,
  "too-large": 413,
  overloaded: 503,
  stopping: 503,
  "disk-full": 507,
  "storage-failed": 503,
  "too-few-copies": 503,
  "not-allowed": 403,
  "condition-failed": 412,
  behind: 503,
  "peer-failed": 502,
  damaged: 503,
  locked: 500,
  foreign: 500,
  "newer-format": 500,
};

const RETRYABLE: ReadonlySet<ErrorCode> = new Set(["overloaded", "stopping", "damaged"]);

/** Undefined for an error that is not meant for the client. */
export function refusalOf(error: unknown): Response | undefined {
  if (error instanceof Refusal) return refusal(error.status, error.message, error.headers);
  if (!(error instanceof ConcordError)) return undefined;
  return refusal(STATUSES[error.code], error.message, RETRYABLE.has(error.code) ? RETRY : {});
}
