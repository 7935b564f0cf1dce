/**
 * Messages between nodes as HTTP: a frame POSTed to `<peer>/peer`, the reply's frame in the answer.
 *
 * HTTP, because every network lets it through, and because a person can watch it with the tools at hand. undici's `request` rather than
 * fetch: it unpacks nothing (292 KB of br became 300 MB through fetch), follows no redirects, and limits connections and answers.
 *
 * `unreachable` is said of a peer whose machine or program refuses: nobody need wait for a timeout then. A peer that takes the
 * request and stays silent is left to the failure detector; here its request is only given up, so that nothing is held for ever.
 *
 * A peer that does not know `/peer` is a node of the base protocol: its messages go to whoever speaks that (base-peer.ts). With a cluster
 * key each request is signed, and an answer that is not signed is none (auth/conversation.ts): a node of the base protocol is then a stranger.
 */
import { Pool } from "undici";
import type { ClusterKeys } from "../auth/cluster-key.ts";
import { Conversation, type SealedAnswer } from "../auth/conversation.ts";
import { TLS_VERSION_MIN, type TlsTexts } from "../auth/tls-files.ts";
import { ConcordError } from "../core/errors.ts";
import { decodeSteps, encodeFrame, FRAME_BYTES_MAX, inTurns } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import type { Transport } from "../core/transport.ts";
import { reasonOf, wasStale } from "./http-reason.ts";

export interface HttpTransportOptions {
  /** The base URL under which the peers know this node. */
  readonly address: string;
  /** After this a request without a complete answer is given up. */
  readonly timeoutMs: number;
  /** What requests are signed with, as of now; undefined signs nothing. */
  readonly keys?: (() => ClusterKeys) | undefined;
  /** What this node shows to peers, and whom it believes, as of now. Undefined believes of https what the system does, and takes http as well. */
  readonly tls?: (() => TlsTexts) | undefined;
}

/** What the transport delivers to: a node. */
export interface TransportListeners {
  receive(from: string, message: Message): void;
  unreachable(to: string, why: string): void;
  /** A message for a peer that knows only the base protocol. */
  speakBase(to: string, message: Message): void;
}

/** One request that is not a message, to a peer's base URL. */
export interface PeerRequest {
  readonly method: "GET" | "POST";
  /** Begins with a slash. */
  readonly path: string;
  readonly json?: string | undefined;
}

export interface PeerAnswer {
  readonly status: number;
  /** It asks to be asked again later, which says nothing about where it is. */
  readonly isBusy?: boolean;
  readonly body: Uint8Array;
}

export interface HttpTransport extends Transport {
  /** Pushes that wait for their answer. */
  readonly pushesUnderWay: number;
  /** To be called before the first message is sent. */
  attach(listeners: TransportListeners): void;
  /** Rejects with `peer-failed`. */
  request(to: string, request: PeerRequest): Promise<PeerAnswer>;
  /** What is on its way is given up. */
  close(): Promise<void>;
}

/** A ping, a push, a page of a repair and its like, side by side, and no more: a peer with many is not helped by more. */
const CONNECTIONS_MAX = 4;

/** Requests that wait for one peer, or are on their way to it. Beyond it messages are lost, which repair makes good. */
const IN_FLIGHT_MAX = 64;

/** Addresses that are remembered at once: more than a cluster with a static list has, few enough for memory. */
const PEERS_MAX = 256;

/** A machine in the next room or on the next continent answers a connection within this. */
export const CONNECT_TIMEOUT_MS = 1_000;

/** Longer than the usual pause between pings, shorter than the server keeps an idle connection (api/http.ts). */
const KEEP_ALIVE_MS = 11_500;

/** What each request is answered with. Anything else is not taken for an answer. */
const REPLIES: Readonly<Partial<Record<Message["kind"], Message["kind"]>>> = {
  ping: "pong",
  push: "push-ack",
  "repair-request": "repair-answer",
  "read-request": "read-answer",
};

/** Answers of a peer that does not know `/peer`: not found, wrong method, not implemented. */
const BASE_STATUSES: ReadonlySet<number> = new Set([404, 405, 501]);

interface Peer {
  readonly pool: Pool;
  /** The path of its base URL, without the last slash. */
  readonly path: string;
  /** With a cluster key. */
  readonly conversation: Conversation | undefined;
  /** What its connections were opened with. */
  readonly tls: TlsTexts | undefined;
  inFlight: number;
  /** Its last answer was that of a node of the base protocol. */
  isBase: boolean;
}

export function createHttpTransport(options: HttpTransportOptions): HttpTransport {
  const peers = new Map<string, Peer>();
  let listeners: TransportListeners | undefined;
  let pushesUnderWay = 0;
  let closed = false;

  const peerAt = (address: string): Peer => {
    let peer = peers.get(address);
    if (peer !== undefined && peer.tls === options.tls?.()) return peer;
    // Renewed certificates are for new connections; what is under way ends on the old ones.
    void peer?.pool.close();
    peer = openPeer(address, options);
    peers.set(address, peer);
    if (peers.size > PEERS_MAX) dropIdle(peers);
    return peer;
  };

  const exchange = async (peer: Peer, sent: Exchange): Promise<PeerAnswer> => {
    if (closed) throw new ConcordError("peer-failed", "this node is stopping");
    if (peer.inFlight >= IN_FLIGHT_MAX) throw new ConcordError("overloaded", `${IN_FLIGHT_MAX} requests to the peer wait already`);
    peer.inFlight++;
    try {
      // The signal covers the answer's body too: a peer that trickles would otherwise never be late.
      const signal = AbortSignal.timeout(options.timeoutMs);
      if (peer.conversation === undefined) return await carryOnce(peer, sent, signal);
      const line = { method: sent.method, path: sent.path, from: sent.headers["from"] ?? "" };
      return await peer.conversation.exchange(line, sent.body, ({ method, path }, body, authorization) =>
        carryOnce(peer, { method, path, body, headers: { ...sent.headers, authorization } }, signal),
      );
    } finally {
      peer.inFlight--;
    }
  };

  const carry = async (to: string, message: Message): Promise<void> => {
    const peer = peerAt(to);
    if (peer.isBase) return listeners?.speakBase(to, message);
    const answer = await retryStale(() => exchange(peer, frameOf(message, options.address)));
    peer.isBase = BASE_STATUSES.has(answer.status);
    if (peer.isBase) return listeners?.speakBase(to, message);
    if (answer.status === 204 || (answer.status === 503 && answer.isBusy === true)) return;
    if (answer.status !== 200) return listeners?.unreachable(to, `it answered ${answer.status}${saidIn(answer.body)}`);
    const decoded = await inTurns(decodeSteps(answer.body), setImmediate);
    if (!decoded.ok) return listeners?.unreachable(to, `its answer cannot be read: ${decoded.problem}`);
    if (decoded.message.kind === REPLIES[message.kind]) return listeners?.receive(to, decoded.message);
    listeners?.unreachable(to, `it answered a ${message.kind} with a ${decoded.message.kind}`);
  };

  const carryOrTell = async (to: string, message: Message): Promise<void> => {
    const pushes = message.kind === "push" ? 1 : 0;
    pushesUnderWay += pushes;
    try {
      await carry(to, message);
    } catch (error) {
      const why = reasonOf(error);
      if (why !== undefined && !closed) listeners?.unreachable(to, why);
    } finally {
      pushesUnderWay -= pushes;
    }
  };

  return {
    get pushesUnderWay() {
      return pushesUnderWay;
    },
    attach(given) {
      listeners = given;
    },
    send(to, message) {
      if (!closed) void carryOrTell(to, message);
    },
    async request(to, { method, path, json }) {
      const peer = peerAt(to);
      const headers = json === undefined ? {} : JSON_HEADERS;
      try {
        return await retryStale(() => exchange(peer, { method, path, headers, body: json }));
      } catch (error) {
        // Only of a peer that went away is it worth asking again whether it has become one of ours.
        peer.isBase = false;
        throw new ConcordError("peer-failed", reasonOf(error) ?? "no answer in time", { cause: error });
      }
    },
    async close() {
      closed = true;
      await Promise.all([...peers.values()].map(({ pool }) => pool.destroy()));
    },
  };
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

const JSON_HEADERS = { "content-type": "application/json" };
const FRAME_HEADERS = { "content-type": "application/octet-stream" };

/** Throws `invalid`: an address that was learned from a stranger's ping may be anything. */
function openPeer(address: string, { timeoutMs, keys, tls: tlsNow }: HttpTransportOptions): Peer {
  if (!/^https?:/i.test(address) || !URL.canParse(address)) throw new ConcordError("invalid", "its address is not a URL of HTTP");
  const url = new URL(address);
  const tls = tlsNow?.();
  if (tls !== undefined && url.protocol !== "https:")
    throw new ConcordError("invalid", "its address is one of http, and this node speaks TLS");
  const pool = new Pool(url.origin, {
    connections: CONNECTIONS_MAX,
    connect: { timeout: CONNECT_TIMEOUT_MS, ...(tls && { cert: tls.cert, key: tls.key, ca: tls.ca, minVersion: TLS_VERSION_MIN }) },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    keepAliveTimeout: KEEP_ALIVE_MS,
    keepAliveMaxTimeout: KEEP_ALIVE_MS,
    maxResponseSize: FRAME_BYTES_MAX,
  });
  const conversation = keys === undefined ? undefined : new Conversation(keys);
  return { pool, path: url.pathname.replace(/\/$/, ""), conversation, tls, inFlight: 0, isBase: false };
}

async function carryOnce(
  { pool, path: base }: Peer,
  { method, path, headers, body }: Exchange,
  signal: AbortSignal,
): Promise<SealedAnswer> {
  const answer = await pool.request({ method, path: base + path, headers, body: body ?? null, signal });
  const isBusy = answer.headers["retry-after"] !== undefined;
  const seal = String(answer.headers["authentication-info"] ?? "");
  return { status: answer.statusCode, isBusy, body: await answer.body.bytes(), seal };
}

/** The longest known address that nothing is under way to. */
function dropIdle(peers: Map<string, Peer>): void {
  for (const [address, { pool, inFlight }] of peers) {
    if (inFlight > 0) continue;
    peers.delete(address);
    void pool.destroy();
    return;
  }
}

/** A ping says itself where it comes from; of the others the receiver wants to know only some. */
function frameOf(message: Message, address: string): Exchange {
  const headers = message.kind === "ping" ? FRAME_HEADERS : { ...FRAME_HEADERS, from: address };
  return { method: "POST", path: "/peer", headers, body: encodeFrame(message) };
}

/**
 * A connection that the peer closed while it was idle breaks the request that is sent on it. Messages are idempotent, so once more on a
 * new connection; if that breaks as well the peer is gone.
 */
async function retryStale(attempt: () => Promise<PeerAnswer>): Promise<PeerAnswer> {
  try {
    return await attempt();
  } catch (error) {
    if (!wasStale(error)) throw error;
    return attempt();
  }
}

/** The reason that our own nodes give, in short. */
function saidIn(body: Uint8Array): string {
  const said = /"error":"([^"\\]{1,200})/.exec(Buffer.from(body).toString("latin1", 0, 300))?.[1];
  return said === undefined ? "" : `: ${said}`;
}
