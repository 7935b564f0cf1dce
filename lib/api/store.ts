/**
 * The routes of the base protocol for clients: /store, /store/key, /store/hash.
 *
 * A key in the query is answered without a wait, since reads are synchronous; a GET with a body has to be read first. Arrays are written
 * in pieces, so that a hundred thousand pairs do not hold up everybody else for the second that they take.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ConcordError } from "../core/errors.ts";
import { parsePair, parsePairs, type JsonRefusal, type Pair } from "../core/json.ts";
import type { Kv, KvListing, KvOperation, KvReceipt, KvWriteOptions } from "../core/kv.ts";
import { json, Refusal, valueAnswer, valueField, type Unread } from "./answer.ts";
import { checkKey, checkValue, queryOf, type Bodies, type Handler } from "./request.ts";

export interface StoreRoutes {
  readonly readKey: Handler;
  readonly write: Handler;
  /** Carries out POST /store, and resolves with what is answered. */
  readonly writeBody: (incoming: IncomingMessage, query: ReadonlyMap<string, string>) => Promise<string>;
  readonly removeKey: Handler;
  readonly readAll: Handler;
  readonly hash: Handler;
}

/** Pairs that become durable together: some ten milliseconds of this thread. */
const TOGETHER_MAX = 1_000;

/** Rows of one look at the store: even with values of the largest size they fit into memory. */
const PAGE_ROWS = 100;

/** Text that is made before the socket is given some. */
const CHUNK_CHARS = 64 * 1024;

const NOT_FOUND = '{"error":"Key not found"}';

export function createStoreRoutes(kv: Kv, bodies: Bodies, unread: Unread): StoreRoutes {
  const answerKey = (key: string, outgoing: ServerResponse): Response => {
    const value = kv.get(key);
    if (value === undefined) return json(NOT_FOUND, 404);
    unread.add(value.value.length, outgoing);
    return valueAnswer(value);
  };

  const writeBody: StoreRoutes["writeBody"] = async (incoming, query) => {
    const options = writeOptions(query);
    const { pairs, isArray } = pairsIn(await bodies.text(incoming), bodies.valueBytesMax);
    if (isArray) return `{"stored":${pairs.length},"copies":${await writePairs(kv, pairs, options)}}`;
    const [pair] = pairs as [Pair];
    const { copies, tokens } = await kv.write([operationOf(pair, query.get("token"))], options);
    return `{"key":${JSON.stringify(pair.key)},"stored":true,"copies":${copies},"token":"${tokens[0]}"}`;
  };

  const remove = async (key: string, query: ReadonlyMap<string, string>): Promise<Response> => {
    const operation = { key, value: undefined, token: query.get("token") };
    const { changed, copies, tokens } = await kv.write([operation], writeOptions(query));
    if (changed[0] !== true) return json(NOT_FOUND, 404);
    return json(`{"key":${JSON.stringify(key)},"deleted":true,"copies":${copies},"token":"${tokens[0]}"}`);
  };

  return {
    readKey({ env: { incoming, outgoing } }) {
      const inQuery = queryOf(incoming).get("key");
      if (inQuery === undefined) return keyInBody(bodies, incoming).then((key) => answerKey(key, outgoing));
      checkKey(inQuery, 414);
      return answerKey(inQuery, outgoing);
    },

    write: async ({ env: { incoming } }) => json(await writeBody(incoming, queryOf(incoming))),
    writeBody,

    async removeKey({ env: { incoming } }) {
      const query = queryOf(incoming);
      const inQuery = query.get("key");
      if (inQuery !== undefined) checkKey(inQuery, 414);
      return remove(inQuery ?? (await keyInBody(bodies, incoming)), query);
    },

    readAll: () => new Response(streamAll(kv), { headers: { "content-type": "application/json" } }),

    hash: () => json(`{"hash":"${kv.hash()}"}`),
  };
}

/** One pair, or an array of them, of which each is checked before the first is written. Throws Refusal. */
export function pairsIn(text: string, valueBytesMax: number): { readonly pairs: readonly Pair[]; readonly isArray: boolean } {
  const parsed = parsePairs(text);
  if (!parsed.ok) throw badJson(parsed);
  for (const { key, valueText } of parsed.pairs) {
    checkKey(key);
    checkValue(valueText, valueBytesMax);
  }
  return { pairs: parsed.pairs, isArray: text.trimStart().startsWith("[") };
}

/** Returns how many nodes hold all of them. */
async function writePairs(kv: Kv, pairs: readonly Pair[], options: KvWriteOptions): Promise<number> {
  let copies = Infinity;
  for (let from = 0; from < pairs.length; from += TOGETHER_MAX) {
    const receipt = await writeSome(kv, pairs.slice(from, from + TOGETHER_MAX), options, from);
    copies = Math.min(copies, receipt.copies);
  }
  return copies === Infinity ? 1 : copies;
}

/** An array is not written as a whole: when it stops on the way, the client has to know how far it came. */
async function writeSome(kv: Kv, pairs: readonly Pair[], options: KvWriteOptions, before: number): Promise<KvReceipt> {
  try {
    return await kv.write(
      pairs.map((pair) => operationOf(pair)),
      options,
    );
  } catch (error) {
    if (before === 0 || !(error instanceof ConcordError)) throw error;
    throw new ConcordError(error.code, `${error.message} (the first ${before} pairs are stored)`, { cause: error });
  }
}

function operationOf({ key, valueText }: Pair, token?: string): KvOperation {
  return { key, value: Buffer.from(valueText, "utf8"), validated: true, token };
}

async function keyInBody(bodies: Bodies, incoming: IncomingMessage): Promise<string> {
  const text = await bodies.text(incoming);
  if (text === "") throw new Refusal(400, '"key" is missing: send {"key":"hello"} as the body, or ?key=hello');
  const parsed = parsePair(text, { valueNeeded: false });
  if (!parsed.ok) throw badJson(parsed);
  checkKey(parsed.key);
  return parsed.key;
}

function badJson({ problem, at }: JsonRefusal): Refusal {
  return new Refusal(400, `the body is not what is expected here: ${problem} (at character ${at + 1})`);
}

function writeOptions(query: ReadonlyMap<string, string>): KvWriteOptions {
  const w = query.get("w");
  if (w === undefined) return {};
  if (!/^[1-9][0-9]{0,3}$/.test(w))
    throw new Refusal(400, `"w" is ${JSON.stringify(w)}; it says how many nodes must hold the write: 1 or more`);
  return { copies: Number(w) };
}

/** The store as one array. Each pull reads some pages and waits for the socket: memory stays the same whatever the store's size. */
function streamAll(kv: Kv): ReadableStream<Uint8Array> {
  let cursor: string | undefined;
  let separator = "[";
  const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
    let text = "";
    do {
      const page: KvListing = kv.list({ limit: PAGE_ROWS, ...(cursor === undefined ? {} : { after: cursor }) });
      for (const { key, value } of page.entries) {
        text += `${separator}{"key":${JSON.stringify(key)},${valueField(value)}}`;
        separator = ",\n";
      }
      cursor = page.cursor;
    } while (cursor !== undefined && text.length < CHUNK_CHARS);
    if (cursor === undefined) text += separator === "[" ? "[]\n" : "]\n";
    controller.enqueue(Buffer.from(text, "utf8"));
    if (cursor === undefined) controller.close();
  };
  return new ReadableStream<Uint8Array>({ pull }, { highWaterMark: 1 });
}
