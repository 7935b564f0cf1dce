/** PUT, DELETE and touch of one key. What the headers demand is judged where the write is decided, so that nothing comes between. */
import type { IncomingMessage } from "node:http";
import * as v from "valibot";
import type { Kv, KvOperation } from "../../core/kv.ts";
import { conditionOf, etagOf } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { Problem, problemOf } from "./problem.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { checkUtf8, contentTypeOf } from "./value.ts";

const conditions = { "if-match": v.optional(schemas.ifMatch), "if-none-match": v.optional(schemas.ifNoneMatch) };
const taken = { ...conditions, "concord-token": v.optional(schemas.token) };
const stored = {
  description: "Done, and on the disks of as many nodes as asked for.",
  headers: { etag: schemas.answerHeaders.etag, "concord-token": schemas.answerHeaders.token },
  content: { "application/json": schemas.receipt },
};
const deleted = { ...stored, headers: { "concord-token": schemas.answerHeaders.token } };

export function createWriteRoutes({ kv, bodies }: ModernDeps): Route[] {
  const put = createRoute({
    method: "PUT",
    path: "/v1/kv/{key}",
    summary: "Writes a value",
    description:
      "Any bytes with any media type. application/json is checked, and is what the base protocol calls a value. With a Concord-Token exactly " +
      "what that answer showed is replaced, and what has come since stays beside it; without, what the node holds is replaced.",
    query: { ttl: v.optional(schemas.ttl), w: v.optional(schemas.w, "1"), token: v.optional(schemas.token) },
    headers: { ...taken, "content-type": v.optional(v.pipe(v.string(), v.description("The value's media type; bytes without one."))) },
    body: { "*/*": undefined },
    answers: { 200: stored },
    problems: [400, 412, 413, 503, 507],
    example: `curl -X PUT localhost:8001/v1/kv/hello -H 'Content-Type: application/json' -d '"world"'`,
    async handle({ key, query, headers, incoming }) {
      const contentType = contentTypeOf(headers["content-type"]);
      const condition = conditionOf(headers["if-match"], headers["if-none-match"]);
      const value = await bodies.bytes(incoming, bodies.valueBytesMax);
      checkUtf8(contentType, value);
      const token = query.token ?? headers["concord-token"];
      return write(kv, { key, value, contentType, token, ttlMs: query.ttl, condition }, query.w);
    },
  });

  const remove = createRoute({
    method: "DELETE",
    path: "/v1/kv/{key}",
    summary: "Deletes a key",
    query: { w: v.optional(schemas.w, "1"), token: v.optional(schemas.token) },
    headers: taken,
    answers: { 200: deleted },
    problems: [404, 412, 503, 507],
    example: "curl -X DELETE localhost:8001/v1/kv/hello",
    handle({ key, query, headers, incoming }) {
      refuseBody(incoming);
      const condition = conditionOf(headers["if-match"], headers["if-none-match"]);
      return write(kv, { key, value: undefined, token: query.token ?? headers["concord-token"], condition }, query.w);
    },
  });

  const touch = createRoute({
    method: "POST",
    path: "/v1/kv/{key}/touch",
    summary: "Sets when a key expires",
    description: "What the key holds stays as it is, siblings included, and expires ttl seconds from now; with ttl=none never.",
    query: { ttl: schemas.touchTtl, w: v.optional(schemas.w, "1") },
    headers: conditions,
    answers: { 200: stored },
    problems: [404, 412, 503, 507],
    example: "curl -X POST 'localhost:8001/v1/kv/hello/touch?ttl=30'",
    handle({ key, query, headers, incoming }) {
      refuseBody(incoming);
      const condition = conditionOf(headers["if-match"], headers["if-none-match"]);
      return write(kv, { key, value: undefined, touch: true, ttlMs: query.ttl, condition }, query.w);
    },
  });
  return [put, remove, touch];
}

async function write(kv: Kv, operation: KvOperation, copies: number): Promise<Response> {
  const { key, condition } = operation;
  const receipt = await kv.write([operation], { copies }).catch((error: unknown) => {
    const field = condition?.kind === "matching" || condition?.kind === "present" ? "if-match" : "if-none-match";
    throw problemOf(error, () => field) ?? error;
  });
  if (receipt.changed[0] !== true) throw new Problem("key-not-found", `${JSON.stringify(key)} is not there`);
  const token = receipt.tokens[0]!;
  const isDeletion = operation.value === undefined && operation.touch !== true;
  const etag = isDeletion ? undefined : etagOf(receipt.tags[0]!);
  const headers = { "content-type": "application/json", "concord-token": token, ...(etag === undefined ? {} : { etag }) };
  return new Response(JSON.stringify({ key, copies: receipt.copies, token, etag }), { headers });
}

/** A body where none belongs is a request that means something else than it says. Throws Problem. */
function refuseBody({ headers }: IncomingMessage): void {
  if (headers["transfer-encoding"] === undefined && Number(headers["content-length"] ?? 0) === 0) return;
  const hint = "The key is in the path and the rest in the query.";
  throw new Problem("invalid", "a body does not belong here", { field: "body", hint, headers: { connection: "close" } });
}
