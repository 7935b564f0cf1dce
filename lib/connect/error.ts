/**
 * What a client rejects with: one class, whose `code` says what kind of failure it is, whoever noticed it. A node's own refusals come as
 * problems of RFC 9457; their kind, detail, hint and field are taken over as they are.
 */

export type ClientErrorCode =
  /** No node could be reached, or the connection broke. */
  | "unreachable"
  /** No answer in time. */
  | "timeout"
  /** Something answers that is no node. */
  | "not-a-node"
  /** Refused for a reason that this client has no name for; the message has the node's words. */
  | "refused"
  /** The kinds of problems that a node has. */
  | "invalid"
  | "no-token"
  | "not-allowed"
  | "no-such-route"
  | "key-not-found"
  | "wrong-method"
  | "condition-failed"
  | "too-large"
  | "url-too-long"
  | "encoded"
  | "internal"
  | "damaged"
  | "peer-failed"
  | "overloaded"
  | "stopping"
  | "storage-failed"
  | "too-few-copies"
  | "behind"
  | "disk-full";

export interface ClientErrorDetails {
  /** Of HTTP; undefined when there was no answer. */
  readonly status?: number | undefined;
  /** What to do about it. */
  readonly hint?: string | undefined;
  /** The parameter, header, or place in the body that is at fault. */
  readonly field?: string | undefined;
  /** The node that was asked last. */
  readonly node?: string | undefined;
  /** Of a write: it may be stored all the same. */
  readonly mayBeStored?: boolean | undefined;
  readonly cause?: unknown;
}

export class ClientError extends Error {
  readonly code: ClientErrorCode;
  readonly status: number | undefined;
  readonly hint: string | undefined;
  readonly field: string | undefined;
  readonly node: string | undefined;
  readonly mayBeStored: boolean;

  constructor(code: ClientErrorCode, message: string, details: ClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "ClientError";
    this.code = code;
    this.status = details.status;
    this.hint = details.hint;
    this.field = details.field;
    this.node = details.node;
    this.mayBeStored = details.mayBeStored === true;
  }
}

const PROBLEM_KINDS: ReadonlySet<string> = new Set<ClientErrorCode>([
  ...([
    "invalid",
    "no-token",
    "not-allowed",
    "no-such-route",
    "key-not-found",
    "wrong-method",
    "timeout",
    "condition-failed",
    "too-large",
    "url-too-long",
  ] as const),
  ...(["encoded", "internal", "damaged", "peer-failed", "overloaded", "stopping", "storage-failed"] as const),
  ...(["too-few-copies", "behind", "disk-full"] as const),
]);

const OF_STATUS: Readonly<Record<number, ClientErrorCode>> = { 401: "no-token", 403: "not-allowed" };

/** What a refusal says: a problem, or the `{"error":"…"}` of the doors that stand before the API. */
export function refusalIn(node: string, status: number, text: string): ClientError {
  const said = parse(text);
  const { type, detail, error, hint, field } = said;
  const kind = typeof type === "string" ? type.replace(/^.*#/, "") : "";
  const words = typeof detail === "string" ? detail : typeof error === "string" ? error : undefined;
  if (words === undefined) return new ClientError("not-a-node", `what answers at ${node} is not a Concord node`, { status, node });
  const code = PROBLEM_KINDS.has(kind) ? (kind as ClientErrorCode) : (OF_STATUS[status] ?? "refused");
  return new ClientError(code, `${node} refused: ${words}`, { status, node, hint: textOr(hint), field: textOr(field) });
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOr(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
