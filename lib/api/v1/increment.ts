/** POST /v1/kv/<key>/increment: adds to a number, so that what all nodes add at once adds up. */
import * as v from "valibot";
import { validateJson } from "../../core/json.ts";
import { conditionOf, etagOf } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { Problem, problemOf } from "./problem.ts";
import { createRoute, parse, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";

const body = v.strictObject({ by: v.optional(schemas.by, 1) });

const answer = v.object({
  key: v.string(),
  value: v.optional(v.pipe(v.number(), v.description("The number as this node shows it now; absent when it is gone already."))),
  copies: v.pipe(v.number(), v.description("Nodes that are known to hold the increment on their disks.")),
  token: v.string(),
  etag: v.optional(v.string()),
});

/** A body says one number. */
const BODY_BYTES_MAX = 1024;

export function createIncrementRoute({ kv, bodies }: ModernDeps): Route {
  return createRoute({
    method: "POST",
    path: "/v1/kv/{key}/increment",
    summary: "Adds to a number",
    description:
      "Increments of all nodes add up, whether they knew of each other or not. The key is empty, or holds a whole number. Sent again after a lost " +
      "answer, it may count twice. With ttl the counter expires then; without, never.",
    query: { ttl: v.optional(schemas.ttl), w: v.optional(schemas.w, "1") },
    headers: { "if-match": v.optional(schemas.ifMatch), "if-none-match": v.optional(schemas.ifNoneMatch) },
    body: { "application/json": body },
    answers: { 200: { description: "Added.", content: { "application/json": answer } } },
    problems: [400, 412, 413, 503, 507],
    example: `curl localhost:8001/v1/kv/visits/increment -d '{"by":1}'`,
    async handle({ key, query, headers, incoming }) {
      const by = byIn(Buffer.from(await bodies.bytes(incoming, BODY_BYTES_MAX)).toString("utf8"));
      const condition = conditionOf(headers["if-match"], headers["if-none-match"]);
      const operation = { key, value: undefined, increment: by, ttlMs: query.ttl, condition };
      const receipt = await kv.write([operation], { copies: query.w }).catch((error: unknown) => {
        throw withHint(problemOf(error)) ?? error;
      });
      const value = kv.get(key);
      const number = value === undefined ? undefined : (JSON.parse(Buffer.from(value.value).toString("utf8")) as unknown);
      const token = value?.token ?? receipt.tokens[0]!;
      const etag = value === undefined ? undefined : etagOf(value.tag);
      const text = JSON.stringify({ key, value: number, copies: receipt.copies, token, etag });
      return new Response(text, { headers: { "content-type": "application/json", "concord-token": token } });
    },
  });
}

/** Throws Problem. */
function byIn(text: string): number {
  if (text.trim() === "") return 1;
  const checked = validateJson(text);
  const field = "body";
  if (!checked.ok) throw new Problem("invalid", `the body is not JSON: ${checked.problem}`, { field, hint: 'Such as {"by":1}.' });
  return parse(body, JSON.parse(checked.text), (path) => ({ field: path === "" ? field : path, hint: 'Such as {"by":1}, or no body.' })).by;
}

function withHint(problem: Problem | undefined): Problem | undefined {
  if (problem?.kind !== "invalid" || problem.details.hint !== undefined) return problem;
  const hint = "Only whole numbers are incremented: read the key, and write a number to it first if it is to be one.";
  return new Problem("invalid", problem.message, { ...problem.details, hint });
}
