/** GET /v1/kv, page after page. A cursor says where a page ended and not at which node, so the next page may come from another one. */
import { jsonIn } from "./json-answer.ts";
import type { Nodes } from "./nodes.ts";
import type { Entry, ListOptions } from "./types.ts";
import { encodeText, typeOf, valueOf, type Carried } from "./value.ts";

/** With values a page ends after a mebibyte in any case; without, a thousand keys are some fifty kilobytes. */
const PAGE_KEYS = 1_000;

interface ListedEntry extends Carried {
  readonly key: string;
  readonly bytes: number;
  readonly siblings?: number;
  readonly expiresIn?: number;
  readonly etag?: string;
  readonly token?: string;
}

interface Page {
  readonly entries: readonly ListedEntry[];
  readonly cursor?: string;
}

export function createList(nodes: Nodes): (options?: ListOptions) => AsyncGenerator<Entry<unknown>> {
  return async function* list({ prefix = "", values = true, signal } = {}) {
    const base = `/v1/kv?prefix=${encodeText(prefix)}&limit=${PAGE_KEYS}${values ? "&values=true" : ""}`;
    let cursor: string | undefined;
    do {
      const path = cursor === undefined ? base : `${base}&cursor=${encodeText(cursor)}`;
      const page = jsonIn(await nodes.ask({ kind: "read", ask: { method: "GET", path, signal, fine: [200] } })) as Page;
      for (const entry of page.entries) yield entryOf(entry, values);
      cursor = page.cursor;
    } while (cursor !== undefined);
  };
}

function entryOf(listed: ListedEntry, withValue: boolean): Entry<unknown> {
  const { key, bytes, siblings = 1, expiresIn, etag, token } = listed;
  const expiresInMs = expiresIn === undefined ? undefined : expiresIn * 1000;
  return { key, value: withValue ? valueOf(listed) : undefined, contentType: typeOf(listed), bytes, siblings, expiresInMs, etag, token };
}
