/** GET /v1/why/<key>: where what a key shows comes from. */
import * as v from "valibot";
import type { KvValue, KvWhyWrite } from "../../core/kv.ts";
import { valueField } from "../answer.ts";
import { etagOf } from "./conditions.ts";
import type { ModernDeps } from "./deps.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";
import { expiresIn } from "./value.ts";

/** Values over this are named by their size: an explanation is for a person. */
const VALUE_BYTES_MAX = 64 * 1024;

const dots = (description: string) => v.pipe(v.array(v.string()), v.description(description));

const answer = v.object({
  key: v.string(),
  rule: v.optional(v.pipe(v.string(), v.description("The merge policy that made or chose what is shown; absent when nothing is shown."))),
  because: v.pipe(v.string(), v.description("The same in a sentence.")),
  bytes: v.optional(v.number()),
  ...schemas.valueMembers,
  token: v.optional(v.string()),
  etag: v.optional(v.string()),
  writes: v.array(
    v.object({
      dot: v.pipe(v.string(), v.description("The write: the incarnation of the node that took it, and its number there.")),
      node: v.string(),
      time: v.pipe(v.string(), v.isoTimestamp(), v.description("When, by that node's clock.")),
      expired: v.optional(v.boolean()),
      expiresIn: v.optional(v.number()),
      replaced: dots("What it is known to have replaced."),
      seen: v.optional(dots("For a value that merges by its parts: up to which write of each incarnation it holds what was written.")),
      bytes: v.number(),
      ...schemas.valueMembers,
    }),
  ),
  gone: v.pipe(
    v.array(v.object({ dot: v.string(), node: v.optional(v.string()), time: v.optional(v.string()), by: v.array(v.string()) })),
    v.description("What this node lately saw replaced or deleted. What is older, or from before its start, is not known any more."),
  ),
  holders: v.array(
    v.object({
      name: v.string(),
      address: v.string(),
      holds: v.pipe(
        v.picklist(["here", "same", "other", "nothing", "unknown", "away"]),
        v.description("As the node answered just now: the same writes, other ones, or nothing; unknown when it did not answer within 2 s."),
      ),
      writes: v.optional(dots("Which writes it holds.")),
    }),
  ),
});

export function createWhyRoute({ kv }: ModernDeps): Route {
  return createRoute({
    method: "GET",
    path: "/v1/why/{key}",
    summary: "Says why a key shows what it shows",
    description:
      "Which writes the key holds, what they are known to have replaced, which rule made the answer of them, and which of them each node holds now: " +
      "the peers are asked. Also for a key that is not there, or no longer.",
    query: {},
    headers: {},
    answers: { 200: { description: "What this node knows.", content: { "application/json": answer } } },
    problems: [400, 503],
    example: "curl localhost:8001/v1/why/hello",
    async handle({ key }) {
      const holders = await kv.holders(key);
      const { shown, because, writes, gone } = kv.why(key);
      const nowMs = Date.now();
      const names = shown === undefined ? {} : { token: shown.token, etag: etagOf(shown.tag) };
      const head = JSON.stringify({ key, rule: shown?.rule, because, ...names }).slice(0, -1);
      const value = shown === undefined ? "" : `,${valueText(shown)}`;
      const list = writes.map((write) => writeText(write, nowMs)).join(",\n");
      const lost = gone.map(({ dot, writer, writtenMs, by }) => {
        return { dot, node: writer, time: writtenMs === undefined ? undefined : new Date(writtenMs).toISOString(), by };
      });
      const body = `${head}${value},"writes":[${list}],"gone":${JSON.stringify(lost)},"holders":${JSON.stringify(holders)}}`;
      return new Response(body, { headers: { "content-type": "application/json" } });
    },
  });
}

function writeText({ value, isExpired, replaced, seen }: KvWhyWrite, nowMs: number): string {
  const { dot, writer: node, writtenMs } = value;
  const expired = isExpired ? true : undefined;
  const about = { dot, node, time: new Date(writtenMs).toISOString(), expired, expiresIn: expiresIn(value, nowMs), replaced, seen };
  return `${JSON.stringify(about).slice(0, -1)},${valueText(value)}}`;
}

function valueText(value: KvValue): string {
  const bytes = `"bytes":${value.value.length}`;
  return value.value.length > VALUE_BYTES_MAX ? bytes : `${bytes},${valueField(value)}`;
}
