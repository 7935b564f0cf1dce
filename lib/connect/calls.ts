/**
 * The calls for one key, and the batch, as requests; with a memory they are those of a session (session.ts).
 *
 * In a session a write without conditions carries the token, and so replaces exactly what the session has seen. What cannot carry one (a
 * condition, a touch, an increment) is preceded by a look at the same node with the token: it then has seen what the session has.
 */
import { createBatch } from "./batch.ts";
import { ClientError } from "./error.ts";
import type { Ask, Reply } from "./exchange.ts";
import { jsonIn } from "./json-answer.ts";
import { createList } from "./list.ts";
import type { Attempt, Nodes } from "./nodes.ts";
import type { Memory } from "./session.ts";
import type { CallOptions, Calls, Found, Incremented, ReadOptions, Receipt, WriteOptions } from "./types.ts";
import { decodeValue, encodeKey, encodeValue, jsonOf } from "./value.ts";
import { createWatch } from "./watch.ts";

type Headers = Record<string, string>;

export function createCalls(nodes: Nodes, memory: Memory | undefined): Calls<Record<string, unknown>> {
  const inOrder = <T>(key: string, work: () => Promise<T>): Promise<T> => (memory === undefined ? work() : memory.inOrder([key], work));

  const read = (key: string, options: ReadOptions = {}): Promise<Found<unknown> | undefined> =>
    inOrder(key, async () => {
      const { copies, signal } = options;
      const seen = memory?.seenOf(key);
      const headers = tokenHeader(options.token ?? seen?.token);
      const path = pathOf(key, "", { r: copies });
      const judge = (reply: Reply): ClientError | undefined => (seen?.gone === true ? staleAs(reply, seen.token) : undefined);
      const reply = await nodes.ask({ kind: "read", ask: { method: "GET", path, headers, signal, fine: [200, 404] }, judge });
      if (isMissing(reply)) {
        memory?.sawNothing(key);
        return undefined;
      }
      const found = foundIn(reply);
      memory?.saw(key, found.token);
      return found;
    });

  /** Sends a write of one key, and remembers what it wrote; undefined when the key is not there. */
  const write = (
    key: string,
    options: WriteOptions,
    make: (headers: Headers) => Omit<Attempt, "kind" | "before">,
  ): Promise<Reply | undefined> =>
    inOrder(key, async () => {
      const token = options.token ?? memory?.seenOf(key)?.token;
      const carriesToken = options.token !== undefined || !isConditional(options);
      const headers = { ...conditionHeaders(options), ...(carriesToken ? tokenHeader(token) : {}) };
      const attempt = make(headers);
      const repeatable = attempt.ask.method === "DELETE" && "concord-token" in headers && !isConditional(options);
      const before =
        "concord-token" in (attempt.ask.headers ?? {}) || token === undefined ? undefined : lookWith(key, token, options.signal);
      const reply = await nodes.ask({ ...attempt, kind: repeatable ? "repeatable write" : "write", before });
      if (isMissing(reply)) {
        memory?.sawNothing(key);
        return undefined;
      }
      const left = reply.headers.get("concord-token");
      if (left !== null) memory?.saw(key, left);
      return reply;
    });

  const calls: Omit<Calls<Record<string, unknown>>, "get" | "read"> = {
    async put(key, value, options = {}) {
      const { contentType, body } = encodeValue(value, options.contentType);
      const path = pathOf(key, "", { w: options.copies, ttl: secondsOf(options.ttlMs) });
      const ask = (headers: Headers): Ask => ({
        method: "PUT",
        path,
        headers: { ...headers, "content-type": contentType },
        body,
        signal: options.signal,
        fine: [200],
      });
      const reply = await write(key, options, (headers) => ({ ask: ask(headers), waitsForCopies: waits(options) }));
      return jsonIn(reply!) as Receipt;
    },
    async delete(key, options = {}) {
      const path = pathOf(key, "", { w: options.copies });
      const ask = (headers: Headers): Ask => ({ method: "DELETE", path, headers, signal: options.signal, fine: [200, 404] });
      return (await write(key, options, (headers) => ({ ask: ask(headers), waitsForCopies: waits(options) }))) !== undefined;
    },
    async touch(key, ttlMs, { signal } = {}) {
      const path = pathOf(key, "/touch", { ttl: secondsOf(ttlMs) ?? "none" });
      return (await write(key, { signal }, () => ({ ask: { method: "POST", path, signal, fine: [200, 404] } }))) !== undefined;
    },
    async increment(key, by = 1, { signal }: CallOptions = {}): Promise<Incremented> {
      if (!Number.isFinite(by)) throw new ClientError("invalid", `cannot increment by ${by}; give a finite number`);
      const path = pathOf(key, "/increment", {});
      const headers = { "content-type": "application/json" };
      const reply = await write(key, { signal }, () => ({
        ask: { method: "POST", path, headers, body: jsonOf({ by }), signal, fine: [200] },
      }));
      const { value } = jsonIn(reply!) as { readonly value?: number };
      return { value, token: reply!.headers.get("concord-token") ?? undefined };
    },
    batch: createBatch(nodes, memory),
    list: createList(nodes) as Calls<Record<string, unknown>>["list"],
    watch: createWatch(nodes) as Calls<Record<string, unknown>>["watch"],
  };
  const get = async (key: string, options?: ReadOptions): Promise<unknown> => (await read(key, options))?.value;
  return { ...calls, get, read } as Calls<Record<string, unknown>>;
}

/** Without the value; not with HEAD, whose refusals say nothing. */
function lookWith(key: string, token: string, signal: AbortSignal | undefined): Ask {
  return { method: "GET", path: pathOf(key, "", {}), headers: { ...tokenHeader(token), "if-none-match": "*" }, signal, fine: [304, 404] };
}

/** Throws `invalid`. */
function pathOf(key: string, behind: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]));
  return `/v1/kv/${encodeKey(key)}${behind}${given.length === 0 ? "" : `?${given.join("&")}`}`;
}

function secondsOf(ttlMs: number | undefined): string | undefined {
  if (ttlMs === undefined) return undefined;
  if (!(ttlMs > 0 && ttlMs < 1e13))
    throw new ClientError("invalid", `a time to live of ${ttlMs} ms; it is over 0 and below 10,000,000,000 s`);
  return (ttlMs / 1000).toFixed(6);
}

function tokenHeader(token: string | undefined): Headers {
  return token === undefined ? {} : { "concord-token": token };
}

function conditionHeaders({ ifMatch, ifAbsent }: WriteOptions): Headers {
  if (ifMatch !== undefined && ifAbsent === true)
    throw new ClientError("invalid", "ifMatch and ifAbsent together: a key holds something or nothing");
  return ifMatch !== undefined ? { "if-match": ifMatch } : ifAbsent === true ? { "if-none-match": "*" } : {};
}

function isConditional({ ifMatch, ifAbsent }: WriteOptions): boolean {
  return ifMatch !== undefined || ifAbsent === true;
}

function waits({ copies = 1 }: WriteOptions): boolean {
  return copies > 1;
}

/** Not any 404: a server that is no node has never heard of the path. Throws `not-a-node`. */
function isMissing({ status, node, bytes }: Reply): boolean {
  if (status !== 404) return false;
  const text = new TextDecoder().decode(bytes);
  if (text.includes('"/docs#key-not-found"')) return true;
  throw new ClientError("not-a-node", `what answers at ${node} is not a Concord node, or an older one`, { status, node });
}

/** Deleted or expired since, as this session knows, and yet shown as it was. */
function staleAs({ status, headers, node }: Reply, goneToken: string): ClientError | undefined {
  if (status !== 200 || headers.get("concord-token") !== goneToken) return undefined;
  return new ClientError("behind", `${node} still shows what this session knows to be gone`, {
    status,
    node,
    hint: "Try again a little later.",
  });
}

function foundIn({ node, headers, bytes }: Reply): Found<unknown> {
  const contentType = headers.get("content-type") ?? "application/octet-stream";
  const seconds = headers.get("concord-expires-in");
  return {
    value: decodeValue(bytes, contentType),
    contentType,
    etag: headers.get("etag") ?? "",
    token: headers.get("concord-token") ?? "",
    siblings: Number(headers.get("concord-siblings") ?? 1),
    expiresInMs: seconds === null ? undefined : Number(seconds) * 1000,
    node,
  };
}
