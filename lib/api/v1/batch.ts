/**
 * POST /v1/batch: several operations that become durable together on this node, or not at all.
 *
 * All conditions are judged against what the node holds before the batch, in the same step that carries it out. The other nodes hear of the
 * operations as of any writes, and may show some before the others.
 */
import * as v from "valibot";
import { elementsOf, membersOf } from "../../core/json-parts.ts";
import { validateJson } from "../../core/json.ts";
import type { KvOperation } from "../../core/kv.ts";
import { checkKey } from "../request.ts";
import { conditionOf, etagOf } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { Problem, problemOf } from "./problem.ts";
import { createRoute, parse, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { contentTypeOf } from "./value.ts";

/** Some ten milliseconds of the node's one thread. */
const OPERATIONS_MAX = 1_000;

const demands = {
  ifMatch: v.optional(schemas.ifMatch),
  ifNoneMatch: v.optional(schemas.ifNoneMatch),
};
const seconds = v.pipe(v.number(), v.gtValue(0, "more than 0 seconds"), v.maxValue(1e10, "fewer than 10,000,000,000 seconds"));

const putOperation = v.strictObject({
  op: v.literal("put"),
  key: v.string(),
  value: v.pipe(v.unknown(), v.description("Any JSON; with encoding, bytes as base64.")),
  contentType: v.optional(v.pipe(v.string(), v.description("With encoding: the media type of the bytes."))),
  encoding: v.optional(v.literal("base64")),
  ttl: v.optional(v.pipe(seconds, v.description("Seconds until the value is gone."))),
  token: v.optional(schemas.token),
  ...demands,
});
const deleteOperation = v.strictObject({ op: v.literal("delete"), key: v.string(), token: v.optional(schemas.token), ...demands });
const touchOperation = v.strictObject({
  op: v.literal("touch"),
  key: v.string(),
  ttl: v.optional(v.pipe(seconds, v.description("Seconds from now until the value is gone; absent for never."))),
  ...demands,
});
const incrementOperation = v.strictObject({
  op: v.literal("increment"),
  key: v.string(),
  by: v.optional(schemas.by, 1),
  ttl: v.optional(v.pipe(seconds, v.description("Seconds until the counter is gone; absent for never."))),
  ...demands,
});
const operation = v.variant(
  "op",
  [putOperation, deleteOperation, touchOperation, incrementOperation],
  'the operation is "put", "delete", "touch" or "increment"',
);

const batch = v.object({
  operations: v.pipe(v.array(operation), v.minLength(1), v.maxLength(OPERATIONS_MAX)),
});

const batchReceipt = v.object({
  copies: v.number(),
  results: v.array(
    v.object({
      key: v.string(),
      changed: v.pipe(v.boolean(), v.description("False for a deletion or a touch that found nothing.")),
      token: v.string(),
      etag: v.optional(v.string()),
    }),
  ),
});

export function createBatchRoute({ kv, bodies }: ModernDeps): Route {
  return createRoute({
    method: "POST",
    path: "/v1/batch",
    summary: "Several writes at once",
    description:
      "All of them are durable on this node or none is, and no read on this node sees a part. Conditions are judged against what the node " +
      `holds before the batch; when one is not met, nothing is written. At most ${OPERATIONS_MAX} operations and 10 MiB.`,
    query: { w: v.optional(schemas.w, "1") },
    headers: {},
    body: { "application/json": batch },
    answers: { 200: { description: "All of it is written.", content: { "application/json": batchReceipt } } },
    problems: [400, 412, 413, 503, 507],
    example: `curl localhost:8001/v1/batch -d '{"operations":[{"op":"put","key":"a","value":1},{"op":"delete","key":"b"}]}'`,
    async handle({ query, incoming }) {
      const operations = operationsIn(await bodies.text(incoming));
      const receipt = await kv.write(operations, { copies: query.w }).catch((error: unknown) => {
        throw problemOf(error, (at) => `operations[${at}]`) ?? error;
      });
      const { tags, tokens } = receipt;
      const results = operations.map(({ key, value, touch, increment }, i) => ({
        key,
        changed: receipt.changed[i],
        token: tokens[i],
        etag:
          receipt.changed[i] === true && (value !== undefined || touch === true || increment !== undefined) ? etagOf(tags[i]!) : undefined,
      }));
      return new Response(JSON.stringify({ copies: receipt.copies, results }), { headers: { "content-type": "application/json" } });
    },
  });
}

/** Throws Problem. */
function operationsIn(text: string): KvOperation[] {
  const checked = validateJson(text);
  if (!checked.ok)
    throw new Problem("invalid", `the body is not JSON: ${checked.problem} (at character ${checked.at + 1})`, { field: "body" });
  const members = membersOf(checked.text);
  const list = elementsOf(members?.get("operations") ?? "");
  if (list === undefined || members?.size !== 1) {
    const hint = 'Such as {"operations":[{"op":"put","key":"a","value":1}]}.';
    throw new Problem("invalid", "the body is to be an object with operations, and nothing else", { field: "operations", hint });
  }
  if (list.length === 0 || list.length > OPERATIONS_MAX) {
    throw new Problem(list.length === 0 ? "invalid" : "too-large", `${list.length} operations where 1 to ${OPERATIONS_MAX} are taken`, {
      field: "operations",
    });
  }
  return list.map((element, i) => operationOf(element, `operations[${i}]`));
}

function operationOf(text: string, at: string): KvOperation {
  const parsed = parse(operation, JSON.parse(text), (path) => ({ field: path === "" ? at : `${at}.${path}` }));
  const { key } = parsed;
  try {
    checkKey(key);
  } catch (error) {
    throw new Problem("invalid", (error as Error).message, { field: `${at}.key` });
  }
  const condition = conditionOf(parsed.ifMatch, parsed.ifNoneMatch);
  const ttlMs = "ttl" in parsed && parsed.ttl !== undefined ? parsed.ttl * 1000 : undefined;
  if (parsed.op === "increment") return { key, value: undefined, increment: parsed.by, ttlMs, condition };
  if (parsed.op === "touch") return { key, value: undefined, touch: true, ttlMs, condition };
  if (parsed.op === "delete") return { key, value: undefined, token: parsed.token, condition };
  const { contentType, encoding, token } = parsed;
  const valueText = membersOf(text)?.get("value");
  if (valueText === undefined) throw new Problem("invalid", "the value is missing", { field: `${at}.value` });
  if (encoding === undefined) {
    if (contentType === undefined) return { key, value: Buffer.from(valueText, "utf8"), token, ttlMs, condition };
    throw new Problem("invalid", "a content type without an encoding", { field: `${at}.contentType`, hint: 'Add "encoding":"base64".' });
  }
  const value = bytesOf(parsed.value, `${at}.value`);
  return { key, value, contentType: contentTypeOf(contentType, `${at}.contentType`), token, ttlMs, condition };
}

/** Buffer.from skips what is not base64: what does not come out again as it went in was something else. */
function bytesOf(value: unknown, field: string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "base64") : undefined;
  if (bytes?.toString("base64") === value && bytes !== undefined) return bytes;
  throw new Problem("invalid", "the value is not base64", { field, hint: "Base64 with padding, in one line." });
}
