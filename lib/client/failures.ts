/** What a client's request ends with when it is not answered as it should: every such end as one kind of error. */
import type { ClientRequest } from "node:http";
import { TLS_REASONS } from "../auth/tls-reason.ts";
import { ConcordError, type ErrorCode } from "../core/errors.ts";

export interface Answer {
  readonly status: number;
  readonly text: string;
}

export class BrokenRequest extends Error {
  readonly reused: boolean;

  constructor(cause: Error, sent: ClientRequest) {
    super(cause.message, { cause });
    this.reused = sent.reusedSocket;
  }
}

/** Not any 404: a server that is no node has never heard of the path. */
export function isKeyMissing({ text }: Answer): boolean {
  return errorIn(text) === "Key not found";
}

/** What a refusal says, in the form of the base protocol or as a problem. */
function errorIn(text: string): string | undefined {
  try {
    const { error, detail } = JSON.parse(text) as { readonly error?: unknown; readonly detail?: unknown };
    return typeof error === "string" ? error : typeof detail === "string" ? detail : undefined;
  } catch {
    return undefined;
  }
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "not-allowed",
  403: "not-allowed",
  413: "too-large",
  414: "too-large",
  429: "overloaded",
  503: "stopping",
  507: "disk-full",
};

export function refusalOf(base: URL, { status, text }: Answer): ConcordError {
  const problem = errorIn(text);
  if (problem === undefined) return strange(base);
  return new ConcordError(CODES[status] ?? "peer-failed", `${base.origin} refused: ${problem}`);
}

export function strange(base: URL): ConcordError {
  return new ConcordError("peer-failed", `what answers at ${base.origin} is not a Concord node`);
}

export function unreachable(base: URL, error: unknown): ConcordError {
  if (error instanceof ConcordError) return error;
  const cause = error instanceof BrokenRequest ? error.cause : error;
  return new ConcordError("peer-failed", `no node answers at ${base.origin} (${reasonOf(cause)})`, { cause });
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  const tlsReason = TLS_REASONS[String(code)];
  if (tlsReason !== undefined) return tlsReason;
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ECONNRESET") return "the connection broke";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "no machine of this name";
  return typeof message === "string" && message !== "" ? message : String(code ?? error);
}
