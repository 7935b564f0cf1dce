/**
 * A client of one node over HTTP, for the command line and for programs that do not want to write the requests themselves.
 *
 * Values are any JSON. Each operation on values comes twice: with values as JavaScript has them, and with their text, which
 * keeps what JavaScript would change (2^53 + 1, 1.0). Reads are tried again once when a kept connection turns out to be closed;
 * writes never: whoever writes should know that the answer is missing.
 */
import { Agent, request, type IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as requestTls } from "node:https";
import { readElements } from "./client/elements.ts";
import { BrokenRequest, isKeyMissing, refusalOf, strange, unreachable, type Answer } from "./client/failures.ts";
import { watchEvents, type WatchEvent } from "./client/watch.ts";
import type { Comparison } from "./core/comparison.ts";
import { ConcordError } from "./core/errors.ts";
import { parsePair } from "./core/json.ts";
import type { NodeStatus, RepairUnderWay } from "./core/kv.ts";
import type { RepairReceipt } from "./core/output.ts";

export type { WatchEvent } from "./client/watch.ts";
export type { Comparison, SideGain } from "./core/comparison.ts";
export type { RepairReceipt } from "./core/output.ts";
export type { NodeStatus, RepairUnderWay } from "./core/kv.ts";
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** What GET /status answers. */
export interface NodeReport extends NodeStatus {
  readonly version: string;
  /** Since this process began to serve. */
  readonly uptimeMs: number;
  /** Clients may be sent there. */
  readonly ready: boolean;
  readonly refused: {
    /** By reason. */
    readonly requests: Readonly<Record<string, number>>;
    /** What peers sent, by reason. */
    readonly peers: Readonly<Record<string, number>>;
    /** Values that a peer would have removed without an explanation, and that stayed. */
    readonly valuesKept: number;
    /** Values whose time was too far ahead to be followed. */
    readonly valuesFarAhead: number;
  };
}

export interface ClientEntry {
  readonly key: string;
  /** JSON text. */
  readonly text: string;
}

export interface ClientOptions {
  /** The base URL of a node, such as http://127.0.0.1:8001. */
  readonly node: string;
  /** Shown with each request. */
  readonly token?: string | undefined;
  /** The certificates, in PEM, of the CA that is believed when the node is at https; those that Node.js knows by default. */
  readonly ca?: string | undefined;
  /** Silence after which a request is given up: at the start, and between any two parts of an answer. */
  readonly timeoutMs?: number | undefined;
}

/** Every method rejects with ConcordError: `peer-failed` when the node cannot be reached, else why it refused. */
export interface Client {
  readonly node: string;
  /** Undefined when the key is not there. */
  get(key: string): Promise<JsonValue | undefined>;
  getText(key: string): Promise<string | undefined>;
  /** Resolves with the node's receipt when the value is stored. */
  put(key: string, value: JsonValue): Promise<JsonValue>;
  putText(key: string, text: string): Promise<JsonValue>;
  /** False when the key was not there. */
  delete(key: string): Promise<boolean>;
  /** All entries in the order of their keys, as they come. */
  entries(): AsyncIterable<ClientEntry>;
  /**
   * What changes from now on. A connection that breaks is opened again, and goes on where it was; only what keeps the first one from
   * being opened is thrown, and what the node refuses for good.
   */
  watch(options: { readonly prefix?: string; readonly onBreak?: (why: ConcordError) => void }): AsyncIterable<WatchEvent>;
  /** A request of the API under /v1, and its answer's text, whatever its status is up to 399, or 404. */
  request(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer>;
  status(): Promise<NodeReport>;
  /** Repairs the node from this peer of its now. When it takes long, the status tells of its end. */
  repair(peer: string): Promise<RepairReceipt | RepairUnderWay>;
  /** What that would do on both sides. */
  compare(peer: string): Promise<Comparison>;
  /** The node begins to look over all that it has stored, or is at it. Resolves with the number by which its status speaks of that. */
  scrub(): Promise<number>;
  /** Equal on all nodes that hold the same data. */
  hash(): Promise<string>;
  /** Lets go of kept connections. */
  close(): void;
}

/** What a person waits for before they think that it hangs; a node answers in milliseconds or not at all. */
const TIMEOUT_MS = 10_000;
/** Everything but listings: a value of 8 MiB with room for escapes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Requests side by side; more wait for a connection. */
const SOCKETS_MAX = 32;

export function createClient({ node, token, ca, timeoutMs = TIMEOUT_MS }: ClientOptions): Client {
  const base = parseBase(node);
  const kept = { keepAlive: true, maxSockets: SOCKETS_MAX };
  const agent = base.protocol === "https:" ? new TlsAgent({ ...kept, ...(ca !== undefined && { ca }) }) : new Agent(kept);
  const send = (method: string, path: string, body?: string, headers?: Record<string, string>): Promise<IncomingMessage> =>
    open({ base, agent, token, timeoutMs, method, path, body, headers });

  const ask = async (method: string, path: string, body?: string, headers?: Record<string, string>): Promise<Answer> => {
    const response = await send(method, path, body, headers);
    return { status: response.statusCode ?? 0, text: await readText(response, base) };
  };
  const askFine = async (method: string, path: string, body?: string, fine = 200): Promise<string> => {
    const answer = await ask(method, path, body);
    if (answer.status !== fine) throw refusalOf(base, answer);
    return answer.text;
  };

  const getText = async (key: string): Promise<string | undefined> => {
    const answer = await ask("GET", `/store/key?key=${encodeKey(key)}`);
    if (answer.status === 404 && isKeyMissing(answer)) return undefined;
    if (answer.status !== 200) throw refusalOf(base, answer);
    return valueTextOf(base, answer.text);
  };
  const putText = async (key: string, text: string): Promise<JsonValue> =>
    parseJson(base, await askFine("POST", "/store", `{"key":${JSON.stringify(key)},"value":${text}}`));

  return {
    node: base.href.replace(/\/$/, ""),
    getText,
    putText,
    async get(key) {
      const text = await getText(key);
      return text === undefined ? undefined : parseJson(base, text);
    },
    put: (key, value) => putText(key, JSON.stringify(value)),
    async delete(key) {
      const answer = await ask("DELETE", `/store/key?key=${encodeKey(key)}`);
      if (answer.status === 404 && isKeyMissing(answer)) return false;
      if (answer.status !== 200) throw refusalOf(base, answer);
      return true;
    },
    async *entries() {
      const response = await send("GET", "/store");
      if (response.statusCode !== 200) throw refusalOf(base, { status: response.statusCode ?? 0, text: await readText(response, base) });
      try {
        for await (const element of readElements(response)) yield entryOf(base, element);
      } catch (error) {
        throw error instanceof ConcordError ? error : unreachable(base, error);
      }
    },
    watch: ({ prefix = "", onBreak }) =>
      watchEvents({
        onBreak,
        async open(lastEventId) {
          const headers = lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId };
          const response = await send("GET", `/v1/watch?prefix=${encodeKey(prefix)}`, undefined, headers);
          if (response.statusCode === 200) return response;
          throw refusalOf(base, { status: response.statusCode ?? 0, text: await readText(response, base) });
        },
      }),
    async request(method, path, body, headers) {
      const answer = await ask(method, path, body, headers);
      if (answer.status >= 400 && answer.status !== 404) throw refusalOf(base, answer);
      return answer;
    },
    status: async () => parseJson(base, await askFine("GET", "/status")) as unknown as NodeReport,
    async repair(peer) {
      const answer = await ask("POST", `/repair?peer=${encodeKey(peer)}`);
      if (answer.status !== 200 && answer.status !== 202) throw refusalOf(base, answer);
      const told = parseJson(base, answer.text) as unknown as RepairReceipt | RepairUnderWay;
      if (answer.status === 202 && !("after" in told)) throw strange(base);
      return told;
    },
    compare: async (peer) => parseJson(base, await askFine("POST", `/repair?peer=${encodeKey(peer)}&dryRun=true`)) as unknown as Comparison,
    async scrub() {
      const { scrub } = parseJson(base, await askFine("POST", "/scrub", undefined, 202)) as { readonly scrub?: unknown };
      if (typeof scrub !== "number") throw strange(base);
      return scrub;
    },
    async hash() {
      const { hash } = parseJson(base, await askFine("GET", "/store/hash")) as { readonly hash?: unknown };
      if (typeof hash !== "string") throw strange(base);
      return hash;
    },
    close: () => agent.destroy(),
  };
}

interface Call {
  readonly base: URL;
  readonly agent: Agent;
  readonly token: string | undefined;
  readonly timeoutMs: number;
  readonly method: string;
  readonly path: string;
  readonly body: string | undefined;
  readonly headers?: Record<string, string> | undefined;
}

function parseBase(node: string): URL {
  const base = URL.canParse(node) ? new URL(node) : undefined;
  if (
    !/^https?:$/.test(base?.protocol ?? "") ||
    base === undefined ||
    base.pathname !== "/" ||
    base.search !== "" ||
    base.username !== ""
  ) {
    throw new ConcordError(
      "invalid",
      `${JSON.stringify(node.replace(/\/\/.*@/s, "//…@"))} is not the URL of a node, such as http://127.0.0.1:8001`,
    );
  }
  return base;
}

/** Resolves when the head of the answer is there. */
async function open(call: Call): Promise<IncomingMessage> {
  try {
    return await openOnce(call);
  } catch (error) {
    const stale = error instanceof BrokenRequest && error.reused && (call.method === "GET" || call.method === "HEAD");
    if (!stale) throw unreachable(call.base, error);
    return await openOnce(call).catch((again: unknown) => Promise.reject(unreachable(call.base, again)));
  }
}

function openOnce({ base, agent, token, timeoutMs, method, path, body, headers }: Call): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const shown = token === undefined ? {} : { Authorization: `Bearer ${token}` };
    const typed = body === undefined ? {} : { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body) };
    const [ask, port] = base.protocol === "https:" ? [requestTls, 443] : [request, 80];
    // The path goes out as it is: through a URL, the key ".." would be taken for a step up.
    const sent = ask({ host: hostOf(base), port: base.port || port, agent, method, path, headers: { ...shown, ...typed, ...headers } });
    let response: IncomingMessage | undefined;
    sent.setTimeout(timeoutMs, () => (response ?? sent).destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    sent.on("error", (error) => reject(new BrokenRequest(error, sent)));
    sent.on("response", (incoming) => resolve((response = incoming)));
    sent.end(body);
  });
}

/** Without the brackets that an IPv6 address has in a URL. */
function hostOf(base: URL): string {
  return base.hostname.replace(/^\[|\]$/g, "");
}

async function readText(response: IncomingMessage, base: URL): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX) throw new Error(`its answer is larger than ${ANSWER_BYTES_MAX} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw unreachable(base, error);
  }
  return Buffer.concat(chunks).toString();
}

export function encodeKey(key: string): string {
  if (/\p{Surrogate}/u.test(key)) throw new ConcordError("invalid", "the key holds half of a surrogate pair");
  return encodeURIComponent(key);
}

function parseJson(base: URL, text: string): JsonValue {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    throw strange(base);
  }
}

/** The text of "value" in an answer, as it stands there: the answer is made a pair, of which the reader of pairs takes the value out. */
function valueTextOf(base: URL, text: string): string {
  const outcome = parsePair(`{"key":"",${text.trimStart().slice(1)}`);
  if (!outcome.ok) throw strange(base);
  return outcome.valueText;
}

function entryOf(base: URL, element: string): ClientEntry {
  const outcome = parsePair(element);
  if (!outcome.ok) throw strange(base);
  return { key: outcome.key, text: outcome.valueText };
}
