/** Why a request to a peer failed, in words for the log: "Peer … is down: connection refused". */
import { TLS_REASONS } from "../auth/tls-reason.ts";

/** Codes of the operating system and of undici. What is not here is shown as it says itself. */
const REASONS: Readonly<Record<string, string>> = {
  ...TLS_REASONS,
  ECONNREFUSED: "connection refused",
  ECONNRESET: "the connection broke",
  EPIPE: "the connection broke",
  UND_ERR_SOCKET: "the connection broke",
  UND_ERR_CONNECT_TIMEOUT: "no connection within 1 s",
  ETIMEDOUT: "no connection within 1 s",
  ENOTFOUND: "no machine of this name",
  EAI_AGAIN: "the name server does not answer",
  EHOSTUNREACH: "no route to it",
  ENETUNREACH: "no route to its network",
  EADDRNOTAVAIL: "this machine has no free port or address towards it",
  EMFILE: "this process has too many open files",
  UND_ERR_RES_EXCEEDED_MAX_SIZE: "its answer is too large",
};

/** The peer took the request and did not answer in time, or we asked for too much: that says nothing about where it is. */
const SILENCE: ReadonlySet<string> = new Set([
  "UND_ERR_HEADERS_TIMEOUT",
  "UND_ERR_BODY_TIMEOUT",
  "UND_ERR_ABORTED",
  "TimeoutError",
  "AbortError",
  "overloaded",
]);

/** Undefined when the request was given up, which does not mean that the peer is unreachable. */
export function reasonOf(error: unknown): string | undefined {
  const codes = codesOf(error);
  if (codes.some((code) => SILENCE.has(code))) return undefined;
  const known = codes.find((code) => REASONS[code] !== undefined);
  if (known !== undefined) return REASONS[known];
  return error instanceof Error ? error.message : String(error);
}

/** The connection had been closed at the other end, perhaps long ago. */
export function wasStale(error: unknown): boolean {
  return codesOf(error).some((code) => code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code === "EPIPE");
}

/** An error's code and name, and those of its cause. */
function codesOf(error: unknown): string[] {
  const codes: string[] = [];
  for (let at = error, depth = 0; at instanceof Error && depth < 3; at = at.cause, depth++) {
    const { code } = at as { readonly code?: unknown };
    if (typeof code === "string") codes.push(code);
    codes.push(at.name);
  }
  return codes;
}
