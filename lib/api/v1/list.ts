/**
 * GET /v1/kv: keys in the order of their bytes, page by page.
 *
 * A page ends after so many keys or so many bytes, whichever comes first, so that no answer is large whatever the values are. The cursor
 * is opaque and holds the prefix as well: with another prefix it would silently begin somewhere else.
 */
import { createHash } from "node:crypto";
import * as v from "valibot";
import type { KvValue } from "../../core/kv.ts";
import { valueField } from "../answer.ts";
import { etagOf } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { Problem } from "./problem.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { expiresIn } from "./value.ts";

/** Of keys and values in one page, less its last entry: some ten milliseconds of work, and half a second on a slow line. */
export const PAGE_BYTES = 1024 * 1024;

export const cursor = v.pipe(
  v.string(),
  v.regex(/^[\w-]{1,2048}$/, "a cursor as an earlier page gave it"),
  v.description("The cursor of the page before."),
);

const page = v.object({
  entries: v.array(
    v.object({
      key: v.string(),
      bytes: v.pipe(v.number(), v.description("The value's size.")),
      siblings: v.optional(v.pipe(v.number(), v.description("How many values the key holds, when there are several."))),
      expiresIn: v.optional(v.pipe(v.number(), v.description("Seconds until the value is gone."))),
      ...schemas.valueMembers,
      etag: v.optional(v.string()),
      token: v.optional(v.string()),
    }),
  ),
  cursor: v.optional(v.pipe(v.string(), v.description("Asks for the next page; absent on the last one."))),
});

export function createListRoute({ kv, unread }: ModernDeps): Route {
  return createRoute({
    method: "GET",
    path: "/v1/kv",
    summary: "Lists keys",
    description:
      "In the order of their bytes. A page may have fewer keys than asked for, or none, and still not be the last: follow the cursor.",
    query: {
      prefix: v.optional(schemas.prefix, ""),
      limit: v.optional(schemas.limit, String(schemas.LIMIT_DEFAULT)),
      cursor: v.optional(cursor),
      values: v.optional(schemas.values, "false"),
    },
    headers: {},
    answers: { 200: { description: "A page.", content: { "application/json": page } } },
    problems: [400],
    example: "curl 'localhost:8001/v1/kv?prefix=user/&values=true'",
    handle({ query: { prefix, limit, cursor: given, values }, outgoing }) {
      const after = given === undefined ? {} : { after: decodeCursor(given, prefix) };
      const listing = kv.list({ prefix, limit, bytesMax: PAGE_BYTES, ...after });
      const bytes = listing.entries.reduce((sum, { value }) => sum + value.value.length, 0);
      if (values) unread.add(bytes, outgoing);
      const nowMs = Date.now();
      const entries = listing.entries.map(({ key, value }) => entryText(key, value, values, nowMs));
      const next = listing.cursor === undefined ? "" : `,"cursor":"${encodeCursor(listing.cursor, prefix)}"`;
      return new Response(`{"entries":[${entries.join(",\n")}]${next}}`, { headers: { "content-type": "application/json" } });
    },
  });
}

function entryText(key: string, value: KvValue, withValue: boolean, nowMs: number): string {
  const siblings = value.siblings > 1 ? value.siblings : undefined;
  const about = { key, bytes: value.value.length, siblings, expiresIn: expiresIn(value, nowMs) };
  if (!withValue) return JSON.stringify({ ...about, contentType: value.contentType === "" ? undefined : value.contentType });
  const names = JSON.stringify({ etag: etagOf(value.tag), token: value.token });
  return `${JSON.stringify(about).slice(0, -1)},${valueField(value)},${names.slice(1)}`;
}

/** What tells cursors of different prefixes apart: four bytes, against mistakes and not against anybody. */
function markOf(prefix: string): Buffer {
  return createHash("sha256").update(`cursor ${prefix}`).digest().subarray(0, 4);
}

export function encodeCursor(key: string, prefix: string): string {
  return Buffer.concat([markOf(prefix), Buffer.from(key, "utf8")]).toString("base64url");
}

/** Throws Problem. */
export function decodeCursor(text: string, prefix: string): string {
  const bytes = Buffer.from(text, "base64url");
  const key = bytes.toString("utf8", 4);
  if (key !== "" && encodeCursor(key, prefix) === text) return key;
  throw new Problem("invalid", "the cursor is not one of a page with this prefix", {
    field: "cursor",
    hint: "Send the cursor of the page before, and the same prefix; without a cursor the list begins anew.",
  });
}
