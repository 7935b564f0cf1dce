/**
 * One request to one node, by `fetch`: sent, answered and read to its end within one deadline, or given up.
 *
 * A failure says whether the node can have taken the request. It cannot when no connection came about; a connection that broke later,
 * and in browsers every failure, leaves that open.
 */
import { ClientError, refusalIn } from "./error.ts";

export type Fetch = (input: string, init: RequestInit) => Promise<Response>;

export interface Ask {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
  /** Statuses that are answers; the others are refusals. */
  readonly fine: readonly number[];
}

export interface Reply {
  readonly node: string;
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Wire {
  readonly fetch: Fetch;
  readonly token: string | undefined;
  readonly timeoutMs: number;
}

/** A value of 8 MiB as base64 within a page, and room: what is larger comes from no node. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** Rejects with ClientError, and with the signal's reason. */
export async function exchange(wire: Wire, node: string, ask: Ask): Promise<Reply> {
  const reply = await within(ask.signal, wire.timeoutMs, node, async (signal) => {
    const response = await send(wire, node, ask, signal);
    return { node, status: response.status, headers: response.headers, bytes: await readAll(response, node) };
  });
  if (ask.fine.includes(reply.status)) return reply;
  throw refusalIn(node, reply.status, new TextDecoder().decode(reply.bytes));
}

export interface Stream {
  readonly node: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  close(): void;
}

/** An answer without an end: the deadline holds for its head, and after that for each silence. */
export async function openStream(wire: Wire, node: string, ask: Ask, silenceMsMax: number): Promise<Stream> {
  const controller = new AbortController();
  const response = await within(ask.signal, wire.timeoutMs, node, async (signal) => {
    const abort = (): void => controller.abort(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      const answer = await send(wire, node, ask, controller.signal);
      if (ask.fine.includes(answer.status)) return answer;
      throw refusalIn(node, answer.status, new TextDecoder().decode(await readAll(answer, node)));
    } finally {
      signal.removeEventListener("abort", abort);
    }
  });
  return { node, chunks: chunksOf(response, silenceMsMax, controller), close: () => controller.abort() };
}

function send({ fetch, token }: Wire, node: string, { method, path, headers, body }: Ask, signal: AbortSignal): Promise<Response> {
  const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(`${node}${path}`, {
    method,
    headers: { ...headers, ...bearer },
    body: body ?? null,
    signal,
    // A node never redirects, and what else might must not be given the token.
    redirect: "error",
    ...FROM_BROWSERS,
  });
}

/** Nothing kept from before, and no cookies of the page. */
const FROM_BROWSERS = { cache: "no-store", credentials: "omit" } as const;

async function within<T>(
  outer: AbortSignal | undefined,
  timeoutMs: number,
  node: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  outer?.throwIfAborted();
  const controller = new AbortController();
  const stop = (): void => controller.abort(outer?.reason);
  outer?.addEventListener("abort", stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    controller.abort();
  }, timeoutMs);
  try {
    return await work(controller.signal);
  } catch (error) {
    outer?.throwIfAborted();
    if (error instanceof ClientError) throw error;
    if (late) throw new ClientError("timeout", `no answer from ${node} within ${timeoutMs / 1000} s`, { node, mayBeStored: true });
    throw unreachable(node, error);
  } finally {
    clearTimeout(timer);
    outer?.removeEventListener("abort", stop);
  }
}

async function readAll(response: Response, node: string): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of partsOf(response)) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new ClientError("not-a-node", `${node} answers with over ${ANSWER_BYTES_MAX} bytes`, { node });
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

async function* chunksOf(response: Response, silenceMsMax: number, controller: AbortController): AsyncGenerator<Uint8Array> {
  const silent = (): void => controller.abort(new Error(`nothing came for ${silenceMsMax / 1000} s`));
  let timer = setTimeout(silent, silenceMsMax);
  try {
    for await (const chunk of partsOf(response, controller.signal)) {
      clearTimeout(timer);
      yield chunk;
      timer = setTimeout(silent, silenceMsMax);
    }
  } finally {
    clearTimeout(timer);
  }
}

/**
 * With a reader: not every browser iterates over streams. When the signal is aborted its reason is thrown, whatever becomes of the body: Node's
 * fetch hands the reason on only while the Response is there, which it holds weakly, and says "terminated" otherwise.
 */
async function* partsOf({ body }: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  if (body === null) return;
  const reader = (body as ReadableStream<Uint8Array>).getReader();
  const cancel = (): Promise<void> => reader.cancel().catch(() => undefined);
  const stop = (): void => void cancel();
  signal?.addEventListener("abort", stop);
  let ended = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      ended = done;
      if (done) break;
      yield value;
    }
    signal?.throwIfAborted();
  } catch (error) {
    signal?.throwIfAborted();
    ended = true;
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
    if (!ended) await cancel();
  }
}

function unreachable(node: string, error: unknown): ClientError {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  const why = cause instanceof Error ? (cause.message === "" ? String((cause as { code?: unknown }).code) : cause.message) : String(cause);
  const mayBeStored = !neverConnected(cause);
  return new ClientError("unreachable", `no node answers at ${node} (${why})`, { node, mayBeStored, cause: error });
}

/** As Node says it, of each address that the name stands for. */
function neverConnected(cause: unknown): boolean {
  const { errors, syscall, code } = cause as { errors?: readonly unknown[]; syscall?: unknown; code?: unknown };
  if (errors !== undefined && errors.length > 0) return errors.every(neverConnected);
  return syscall === "connect" || syscall === "getaddrinfo" || code === "UND_ERR_CONNECT_TIMEOUT";
}
