/**
 * Who may do what over HTTP, decided before anything else, and before a byte of the body is read.
 *
 * It goes by method and path alone, and what it does not know it takes for a write of a client: a route that is added is guarded without
 * being mentioned here. A node without key, token and TLS has no such guard at all, and listens on its own machine only.
 *
 * Peers sign each request with the cluster key, and get signed answers (auth/signature.ts). With TLS they show a certificate of the
 * cluster's CA as well. Clients show a token; where there are no tokens, they are on the same machine.
 */
import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { MiddlewareHandler } from "hono";
import { isLoopback } from "../auth/loopback.ts";
import { isSigned } from "../auth/signature.ts";
import type { Tokens } from "../auth/tokens.ts";
import type { Verifier } from "../auth/verifier.ts";
import { CLOSE, RETRY } from "./answer.ts";
import { readBodyBytes } from "./body.ts";
import { pathOf, type Call, type Env } from "./request.ts";
import { sealAnswer } from "./seal.ts";
import { expectBody } from "./signed-body.ts";
import { refusalAt } from "./v1/problem.ts";

/** Stands before all routes. */
export type Access = MiddlewareHandler<Env>;

export interface AccessOptions {
  /** Undefined without a cluster key. */
  readonly verifier: Verifier | undefined;
  /** As of now: the file may change. Undefined without tokens. */
  readonly tokens: () => Tokens | undefined;
  /** Which clients are answered: those with a token, those on the same machine, or any. */
  readonly clients: "token" | "this machine" | "anybody";
  /** Peers show a certificate. */
  readonly certificates: boolean;
  /** For the log and for GET /status. */
  readonly onRefused: (from: string, problem: string) => void;
}

type Need = "nothing" | "read" | "write" | "peer" | "peer or write";

/** Answered to anybody: they tell nothing but that there is a node. */
const OPEN: ReadonlySet<string> = new Set(["/ping", "/health", "/livez", "/readyz"]);

const FOR_BEARERS = { "www-authenticate": 'Bearer realm="concord"' } as const;
const FOR_PEERS = { "www-authenticate": 'Concord realm="concord"' } as const;

interface Problem {
  readonly status: 401 | 403 | 503;
  readonly problem: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bodies of refused requests are thrown away for this long, so that the refusal arrives. */
const DISCARD = { bytesMax: 0, timeMs: 500 } as const;

export function createAccess(options: AccessOptions): Access {
  const { verifier, certificates, onRefused } = options;

  const refuse = async (incoming: IncomingMessage, { status, problem, headers = {} }: Problem): Promise<Response> => {
    onRefused(incoming.socket.remoteAddress ?? "a closed connection", problem);
    return refusalAt(pathOf(incoming), status, problem, { ...headers, ...(await discardBody(incoming)) });
  };

  /** A signed request: what comes back is signed too, whatever it is. */
  const admitSigned = async ({ env: { incoming, outgoing } }: Call, checker: Verifier, next: () => Promise<void>) => {
    const { authorization = "", from = "" } = incoming.headers;
    const verdict = checker.check(authorization, { method: incoming.method ?? "", path: incoming.url ?? "", from });
    if (verdict.kind === "stranger") return refuse(incoming, notOurs(authorization));
    sealAnswer(outgoing, verdict.seal);
    if (verdict.kind === "again") {
      const headers = { "content-type": "application/json", ...FOR_PEERS, ...(await discardBody(incoming)) };
      return new Response(verdict.challenge, { status: 401, headers });
    }
    const problem = verdict.kind === "full" ? FULL : certificates ? certificateProblem(incoming) : undefined;
    if (problem !== undefined) return refuse(incoming, problem);
    if (verdict.kind === "peer") expectBody(incoming, verdict.digest);
    return next();
  };

  return async (call, next) => {
    const { incoming } = call.env;
    const need = needOf(incoming.method ?? "", pathOf(incoming));
    if (need === "nothing") return next();
    const signed = need === "peer" || (need === "peer or write" && isSigned(incoming.headers.authorization ?? ""));
    if (signed && verifier !== undefined) return admitSigned(call, verifier, next);
    const problem = need === "peer" ? (certificates ? certificateProblem(incoming) : undefined) : clientProblem(options, incoming, need);
    return problem === undefined ? next() : refuse(incoming, problem);
  };
}

function needOf(method: string, path: string): Need {
  const reads = method === "GET" || method === "HEAD";
  if (reads && OPEN.has(path)) return "nothing";
  if (path === "/peer") return "peer";
  if (path === "/replicate") return "peer or write";
  return reads ? "read" : "write";
}

const FULL: Problem = { status: 503, problem: "too many senders at once; try again", headers: RETRY };

function notOurs(authorization: string): Problem {
  const problem = isSigned(authorization)
    ? "it is not signed with a key of this cluster"
    : "peers sign with the cluster key here: start the peer with --cluster-key-file";
  return { status: 401, problem, headers: FOR_PEERS };
}

/** A resumed session does not show a certificate again, so it shows none. */
function certificateProblem({ socket }: IncomingMessage): Problem | undefined {
  const tls = socket as TLSSocket;
  if (tls.authorized && !tls.isSessionReused()) return undefined;
  const isShown = Object.keys(tls.getPeerCertificate()).length > 0;
  const why = isShown ? `the one shown is refused: ${String(tls.authorizationError)}` : "there was none";
  return { status: 403, problem: `peers show a certificate of the cluster's CA here, and ${why}` };
}

function clientProblem({ tokens, clients }: AccessOptions, incoming: IncomingMessage, need: Need): Problem | undefined {
  if (clients === "anybody") return undefined;
  if (clients === "this machine") return isLoopback((incoming.socket.remoteAddress ?? "").replace(/^::ffff:/, "")) ? undefined : ELSEWHERE;
  const shown = /^Bearer +([^ ]+) *$/i.exec(incoming.headers.authorization ?? "")?.[1];
  if (shown === undefined) return { status: 401, problem: "a token is needed here: Authorization: Bearer TOKEN", headers: FOR_BEARERS };
  const role = tokens()?.roleOf(shown);
  if (role === undefined) return { status: 401, problem: "the token is not one of this node's", headers: FOR_BEARERS };
  return role === "rw" || need === "read" ? undefined : { status: 403, problem: "this token may read and not write" };
}

const ELSEWHERE: Problem = {
  status: 403,
  problem: "without tokens this node answers clients on its own machine only: start it with --token-file",
};

/** Says with a header when what follows on the connection may be the rest of the body. */
async function discardBody(incoming: IncomingMessage): Promise<Readonly<Record<string, string>>> {
  const { headers } = incoming;
  if (headers["transfer-encoding"] === undefined && (headers["content-length"] ?? "0") === "0") return {};
  const read = await readBodyBytes(incoming, DISCARD);
  return read.ok || !read.close ? {} : CLOSE;
}
