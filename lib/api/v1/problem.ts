/**
 * Refusals of the API under /v1, as problems of RFC 9457: what kind, what exactly, which field, and what to do about it.
 *
 * The kinds are one closed table. Each has its place on the docs page, to which `type` leads.
 */
import { ConcordError, type ErrorCode } from "../../core/errors.ts";
import { Refusal, refusal, RETRY } from "../answer.ts";

export interface ProblemKind {
  readonly status: number;
  /** The same for every problem of this kind. */
  readonly title: string;
  /** What to do, where the one who refuses knows nothing better. */
  readonly hint: string;
}

export const PROBLEM_KINDS = {
  invalid: { status: 400, title: "The request cannot be understood", hint: "GET /openapi.json and /docs say what is taken here." },
  "no-token": { status: 401, title: "The node does not know who asks", hint: "Send Authorization: Bearer and a token of this node." },
  "not-allowed": {
    status: 403,
    title: "Who asks may not do this",
    hint: "It takes a token that may write, asking on the node's own machine, or a page whose origin the node allows.",
  },
  "no-such-route": { status: 404, title: "There is nothing at this path", hint: "/docs lists the paths that there are." },
  "key-not-found": { status: 404, title: "The key is not there", hint: "It was never written here, was deleted, or has expired." },
  "wrong-method": { status: 405, title: "The path does not take this method", hint: "The Allow header says which it takes." },
  timeout: { status: 408, title: "The request came too slowly", hint: "Send it again in one go." },
  "condition-failed": {
    status: 412,
    title: "The key is not as the request demands",
    hint: "Read the key again, decide anew, and send the ETag of that answer.",
  },
  "too-large": {
    status: 413,
    title: "Too large",
    hint: "Split it: a key has 1,024 bytes, a value 1 MiB unless the node was started with another --max-value.",
  },
  "url-too-long": { status: 414, title: "The URL is too long", hint: "A key has 1,024 bytes at most." },
  encoded: {
    status: 415,
    title: "The body is in a form that is not read here",
    hint: "Send it plain, without Content-Encoding, and text as UTF-8.",
  },
  internal: { status: 500, title: "A fault of the node", hint: "The node's log says more." },
  "peer-failed": { status: 502, title: "Another node did not answer as it should", hint: "Try again." },
  damaged: { status: 503, title: "What is stored is damaged", hint: "Ask another node, or try again when a peer has sent it." },
  overloaded: { status: 503, title: "Too much at once", hint: "Try again a little later." },
  stopping: { status: 503, title: "The node is stopping", hint: "Ask another node." },
  "storage-failed": { status: 503, title: "The node's storage failed", hint: "Ask another node, and look at this one's log." },
  "too-few-copies": {
    status: 503,
    title: "Too few nodes answered",
    hint: "Ask for fewer with w or r, or try again when the others are back. What was written stays where it is.",
  },
  behind: {
    status: 503,
    title: "This node has not seen yet what the token names",
    hint: "Try again, ask the node that gave the token, or leave the token away.",
  },
  "disk-full": { status: 507, title: "The node's disk is full", hint: "Make room on its disk, or ask another node." },
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemName = keyof typeof PROBLEM_KINDS;

export interface ProblemDetails {
  /** The query parameter, header, or place in the body that is at fault. */
  readonly field?: string | undefined;
  readonly hint?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown, from however deep, and answered in one place. */
export class Problem extends Error {
  readonly kind: ProblemName;
  readonly details: ProblemDetails;

  constructor(kind: ProblemName, detail: string, details: ProblemDetails = {}) {
    super(detail);
    this.name = "Problem";
    this.kind = kind;
    this.details = details;
  }
}

export function problemAnswer(problem: Problem): Response {
  const { kind, details } = problem;
  const headers = { ...(RETRYABLE.has(kind) ? RETRY : {}), ...details.headers, "content-type": PROBLEM_TYPE };
  return new Response(problemText(problem), { status: PROBLEM_KINDS[kind].status, headers });
}

export const PROBLEM_TYPE = "application/problem+json";

export function problemText({ kind, message, details }: Problem): string {
  const { status, title, hint } = PROBLEM_KINDS[kind];
  return JSON.stringify({ type: `/docs#${kind}`, title, status, detail: message, hint: details.hint ?? hint, field: details.field });
}

/** Undefined for an error that is not meant for the client. */
export function problemOf(error: unknown, fieldOf: (operation: number) => string | undefined = () => undefined): Problem | undefined {
  if (error instanceof Problem) return error;
  if (error instanceof Refusal) return new Problem(KIND_OF_STATUS[error.status] ?? "invalid", error.message, { headers: error.headers });
  if (!(error instanceof ConcordError)) return undefined;
  const field = error.operation === undefined ? undefined : fieldOf(error.operation);
  return new Problem(KIND_OF_CODE[error.code], error.message, { field });
}

/** What is refused before a route is found, in the form that its path has for refusals. */
export function refusalAt(path: string, status: number, text: string, headers: Readonly<Record<string, string>>): Response {
  if (!path.startsWith("/v1/")) return refusal(status, text, headers);
  return problemAnswer(new Problem(KIND_OF_STATUS[status] ?? "invalid", text, { headers }));
}

const RETRYABLE: ReadonlySet<ProblemName> = new Set(["overloaded", "stopping", "behind", "damaged"]);

const KIND_OF_STATUS: Readonly<Record<number, ProblemName>> = {
  401: "no-token",
  403: "not-allowed",
  404: "no-such-route",
  405: "wrong-method",
  408: "timeout",
  413: "too-large",
  414: "url-too-long",
  415: "encoded",
  503: "overloaded",
};

const KIND_OF_CODE: Readonly<Record<ErrorCode, ProblemName>> = {
  invalid: "invalid",
  malformed: "invalid",
  "too-large": "too-large",
  damaged: "damaged",
  "disk-full": "disk-full",
  "storage-failed": "storage-failed",
  locked: "internal",
  foreign: "internal",
  "newer-format": "internal",
  stopping: "stopping",
  overloaded: "overloaded",
  "too-few-copies": "too-few-copies",
  "condition-failed": "condition-failed",
  behind: "behind",
  "peer-failed": "peer-failed",
  "not-allowed": "not-allowed",
};
