/** GET /v1/kv/<key>: the value's bytes as they were written, or all of its siblings, from this node or from several. */
import type { Kv, KvValue } from "../../core/kv.ts";
import { valueField } from "../answer.ts";
import { etagOf, isHeld } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { Problem } from "./problem.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { expiresIn, mediaTypeOf } from "./value.ts";
import * as v from "valibot";

/**
 * What was stored may be a page with a script, and it is served from the node's own origin: a browser gives it an origin of its own, runs
 * nothing in it, and does not guess another type.
 */
const HARMLESS = { "content-security-policy": "sandbox; default-src 'none'", "x-content-type-options": "nosniff" } as const;

const { etag, token, siblings, expiresIn: expiry } = schemas.answerHeaders;
const valueHeaders = { etag, "concord-token": token, "concord-siblings": siblings, "concord-expires-in": expiry };

const siblingList = v.object({
  key: v.string(),
  token: v.pipe(v.string(), v.description("Names all of them: a write with it replaces them.")),
  siblings: v.array(
    v.object({
      ...schemas.valueMembers,
      dot: v.pipe(v.string(), v.description("The write that it came by.")),
      node: v.pipe(v.string(), v.description("The node that took the write.")),
      time: v.pipe(v.string(), v.isoTimestamp(), v.description("When, by that node's clock.")),
      expiresIn: v.optional(v.number()),
    }),
  ),
});

export function createReadRoute({ kv, unread }: ModernDeps): Route {
  return createRoute({
    method: "GET",
    path: "/v1/kv/{key}",
    summary: "Reads a value",
    description:
      "The bytes as they were written, with their media type. Of several concurrent values the merge policy of the key shows one, or all of them as one; under the policy siblings the answer is 300. With a " +
      "Concord-Token of another node's answer, the value is one that has seen what that answer showed, or the answer is 503.",
    query: { siblings: v.optional(schemas.siblings, "false"), r: v.optional(schemas.r, "1"), token: v.optional(schemas.token) },
    headers: { "if-none-match": v.optional(schemas.ifNoneMatchRead), "concord-token": v.optional(schemas.token) },
    answers: {
      200: { description: "The value.", headers: valueHeaders, content: { "*/*": undefined } },
      300: {
        description: "All values, the one first that is shown otherwise.",
        headers: valueHeaders,
        content: { "application/json": siblingList },
      },
      304: { description: "The client holds it already.", headers: valueHeaders },
    },
    problems: [404, 503],
    example: "curl -i localhost:8001/v1/kv/hello",
    async handle({ key, query, headers, outgoing }) {
      const seen = query.token ?? headers["concord-token"];
      if (query.r > 1 || seen !== undefined) await kv.refresh(key, { copies: query.r, token: seen });
      const value = kv.get(key);
      if (value === undefined) throw new Problem("key-not-found", `${JSON.stringify(key)} is not there`);
      const about = headersOf(value);
      if (isHeld(headers["if-none-match"], value.tag)) return new Response(null, { status: 304, headers: about });
      if ((query.siblings || value.rule === "siblings") && value.siblings > 1) {
        const values = kv.siblings(key);
        unread.add(
          values.reduce((sum, each) => sum + each.value.length, 0),
          outgoing,
        );
        return siblingsAnswer(key, values, about);
      }
      unread.add(value.value.length, outgoing);
      const type = { "content-type": mediaTypeOf(value), "content-length": String(value.value.length) };
      return new Response(value.value as Uint8Array<ArrayBuffer>, { headers: { ...about, ...HARMLESS, ...type } });
    },
  });
}

function headersOf(value: KvValue): Record<string, string> {
  const headers: Record<string, string> = { etag: etagOf(value.tag), "concord-token": value.token, "cache-control": "no-cache" };
  if (value.siblings > 1) headers["concord-siblings"] = String(value.siblings);
  const seconds = expiresIn(value, Date.now());
  if (seconds !== undefined) headers["concord-expires-in"] = String(seconds);
  return headers;
}

function siblingsAnswer(key: string, values: ReturnType<Kv["siblings"]>, headers: Record<string, string>): Response {
  const nowMs = Date.now();
  const list = values.map((value) => {
    const { dot, writer: node, writtenMs } = value;
    const about = { dot, node, time: new Date(writtenMs).toISOString(), expiresIn: expiresIn(value, nowMs) };
    return `{${valueField(value)},${JSON.stringify(about).slice(1)}`;
  });
  const body = `{"key":${JSON.stringify(key)},"token":"${headers["concord-token"]}","siblings":[${list.join(",\n")}]}`;
  return new Response(body, { status: 300, headers: { ...headers, "content-type": "application/json" } });
}
