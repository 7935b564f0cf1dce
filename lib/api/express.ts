/**
 * The two requests that nearly all are: a read of one key by a plain name, and a write of one pair or an array to /store. They are answered
 * without the app: its router and its Request and Response objects take a tenth of what such a request costs.
 *
 * Only what both would answer alike is taken: no query to decode, nobody to ask who they are, nothing that goes wrong. Whatever is not as
 * simple as that is left to the app, which is then the only one that has to say what is the matter. What has been begun here, and fails,
 * is told with the app's own refusals.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { KEY_BYTES_MAX } from "../core/codec.ts";
import type { Kv, KvValue } from "../core/kv.ts";
import { TEXT_MAX, valueField } from "./answer.ts";
import type { MeteredResponse, RouteMeter } from "./meter.ts";

/** Answers as the app does, with an answer that is made already. */
export type AnswerWith = (incoming: IncomingMessage, outgoing: MeteredResponse, response: Response) => void;

/** Returns false when it leaves the request to the app, which finds it untouched. */
export type Express = (incoming: IncomingMessage, outgoing: MeteredResponse, answerWith: AnswerWith) => boolean;

export interface ExpressDeps {
  readonly kv: Pick<Kv, "get">;
  readonly gate: { readonly isOpen: boolean };
  /** What GET /store/key and POST /store are counted as. */
  readonly reads: RouteMeter;
  readonly writes: RouteMeter;
  /** Carries out POST /store without a query, and resolves with what is answered. */
  readonly write: (incoming: IncomingMessage) => Promise<string>;
  /** What is said of an error. */
  readonly refuse: (error: unknown) => Response;
}

/** Nothing in it has to be decoded, and each letter takes one byte. */
const PLAIN_KEY = new RegExp(`^/store/key\\?key=([\\w.~-]{1,${KEY_BYTES_MAX}})$`);

export function createExpress({ kv, gate, reads, writes, write, refuse }: ExpressDeps): Express {
  const found = (key: string): KvValue | undefined => {
    try {
      return kv.get(key);
    } catch {
      return undefined;
    }
  };

  return (incoming, outgoing, answerWith) => {
    if (!gate.isOpen) return false;
    const { method, url = "" } = incoming;
    if (method === "GET") {
      const key = PLAIN_KEY.exec(url)?.[1];
      const value = key === undefined ? undefined : found(key);
      if (value === undefined || value.value.length >= TEXT_MAX) return false;
      outgoing.route = reads;
      send(outgoing, `{${valueField(value)}}`);
      return true;
    }
    if (method !== "POST" || url !== "/store") return false;
    outgoing.route = writes;
    write(incoming).then(
      (text) => send(outgoing, text),
      (error: unknown) => answerWith(incoming, outgoing, refuse(error)),
    );
    return true;
  };
}

function send(outgoing: ServerResponse, text: string): void {
  outgoing.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
}
