/** GET /v1/conflicts: the keys that hold several values, page by page. */
import * as v from "valibot";
import type { ModernDeps } from "./deps.ts";
import { cursor, decodeCursor, encodeCursor, PAGE_BYTES } from "./list.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";

const page = v.object({
  conflicts: v.array(
    v.object({
      key: v.string(),
      siblings: v.pipe(v.number(), v.description("How many different values it holds.")),
      rule: v.pipe(v.string(), v.description("The merge policy that made or chose what the key shows.")),
      token: v.pipe(v.string(), v.description("Names all of them: a write with it replaces them.")),
    }),
  ),
  cursor: v.optional(v.pipe(v.string(), v.description("Asks for the next page; absent on the last one."))),
});

export function createConflictsRoute({ kv }: ModernDeps): Route {
  return createRoute({
    method: "GET",
    path: "/v1/conflicts",
    summary: "Lists the keys that hold several values",
    description:
      "Values that were written without knowledge of each other, until a write that has seen them. It costs what it lists, however many keys there " +
      "are. GET /v1/kv/<key>?siblings shows the values. A page may be shorter than asked for and not be the last: follow the cursor.",
    query: {
      prefix: v.optional(schemas.prefix, ""),
      limit: v.optional(schemas.limit, String(schemas.LIMIT_DEFAULT)),
      cursor: v.optional(cursor),
    },
    headers: {},
    answers: { 200: { description: "A page.", content: { "application/json": page } } },
    problems: [400],
    example: "curl localhost:8001/v1/conflicts",
    handle({ query: { prefix, limit, cursor: given } }) {
      const after = given === undefined ? {} : { after: decodeCursor(given, prefix) };
      const listing = kv.conflicts({ prefix, limit, bytesMax: PAGE_BYTES, ...after });
      const conflicts = listing.entries.map(({ key, value: { siblings, rule, token } }) => ({ key, siblings, rule, token }));
      const next = listing.cursor === undefined ? undefined : encodeCursor(listing.cursor, prefix);
      return new Response(JSON.stringify({ conflicts, cursor: next }), { headers: { "content-type": "application/json" } });
    },
  });
}
