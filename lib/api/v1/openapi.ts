/**
 * GET /openapi.json: the OpenAPI 3.1 document, made of the same schemas that requests are checked against. Made when it is first asked for.
 *
 * By hand and not by hono-openapi, whose validators are middleware over Hono's own decoding of queries, which repairs what it is given
 * (route.ts says why that will not do); what is left of its work is this file.
 */
import { toJsonSchema, type JsonSchema } from "@valibot/to-json-schema";
import type { GenericSchema } from "valibot";
import * as v from "valibot";
import { PROBLEM_KINDS } from "./problem.ts";
import type { AnswerAbout, Fields, Route } from "./route.ts";

export interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required: boolean;
  readonly description?: string | undefined;
  readonly schema: JsonSchema;
}

export interface DocumentedAnswer {
  readonly description: string;
  readonly headers?: Readonly<Record<string, { readonly description?: string | undefined; readonly schema: JsonSchema }>>;
  readonly content?: Readonly<Record<string, { readonly schema: JsonSchema | { readonly $ref: string } }>>;
}

export interface DocumentedRoute {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string | undefined;
  readonly parameters: readonly Parameter[];
  readonly requestBody: { readonly required: boolean; readonly content: DocumentedAnswer["content"] } | undefined;
  readonly responses: Readonly<Record<string, DocumentedAnswer>>;
  readonly "x-example": string;
}

export interface OpenApi {
  readonly openapi: "3.1.0";
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly summary: string;
    readonly description: string;
    readonly license: object;
  };
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentedRoute>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

const DESCRIPTION = [
  "A replicated key-value store: any node takes reads and writes, and nodes repair what differs. Every refusal is a problem of RFC 9457.",
  "Writes are durable on the node that answers. ETags and conditions are judged by that node alone; two nodes that do not know of each other's writes may both",
  "accept, and the key then has siblings. A key stands in the path as it is, its slashes too; what a path cannot hold is escaped once, as UTF-8.",
].join(" ");

const problem = v.object({
  type: v.pipe(v.string(), v.description("Where this kind of problem is explained.")),
  title: v.pipe(v.string(), v.description("The kind, in words.")),
  status: v.number(),
  detail: v.pipe(v.string(), v.description("What exactly.")),
  hint: v.pipe(v.string(), v.description("What to do about it.")),
  field: v.optional(v.pipe(v.string(), v.description("The query parameter, header or place in the body that is at fault."))),
});

export function describeApi(routes: readonly Route[], version: string): OpenApi {
  const paths: Record<string, Record<string, DocumentedRoute>> = {};
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = describeRoute(route);
  return {
    openapi: "3.1.0",
    info: {
      title: "Concord",
      version,
      summary: "Keys and values on several nodes that agree when they meet",
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths,
    components: { schemas: { Problem: schemaOf(problem) } },
  };
}

function describeRoute(route: Route): DocumentedRoute {
  const key: Parameter[] = route.path.includes("{key}")
    ? [
        {
          name: "key",
          in: "path",
          required: true,
          description: "1 to 1,024 bytes of UTF-8; slashes may stand as they are.",
          schema: { type: "string" },
        },
      ]
    : [];
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/^\/v1|[{}]/g, "").replace(/[/.](\w)/g, (_, letter: string) => letter.toUpperCase())}`,
    summary: route.summary,
    description: route.description,
    parameters: [...key, ...parametersOf(route.query, "query"), ...parametersOf(route.headers, "header")],
    requestBody: route.body === undefined ? undefined : { required: true, content: contentOf(route.body) },
    responses: {
      ...Object.fromEntries(Object.entries(route.answers).map(([status, about]) => [status, answerOf(about)])),
      ...problemsOf(route),
    },
    "x-example": route.example,
  };
}

function parametersOf(fields: Fields, place: "query" | "header"): Parameter[] {
  return Object.entries(fields)
    .filter(([name]) => name !== "content-type")
    .map(([name, field]) => {
      const { description, ...schema } = schemaOf(field);
      return { name, in: place, required: field.type !== "optional", description, schema };
    });
}

function answerOf({ description, headers, content }: AnswerAbout): DocumentedAnswer {
  const described = Object.entries(headers ?? {}).map(([name, field]) => {
    const { description: what, ...schema } = schemaOf(field);
    return [name, { description: what, schema }] as const;
  });
  return {
    description,
    ...(described.length === 0 ? {} : { headers: Object.fromEntries(described) }),
    ...(content === undefined ? {} : { content: contentOf(content) ?? {} }),
  };
}

function contentOf(content: NonNullable<AnswerAbout["content"]>): DocumentedAnswer["content"] {
  return Object.fromEntries(
    Object.entries(content).map(([type, schema]) => [type, { schema: schema === undefined ? {} : schemaOf(schema) }]),
  );
}

function problemsOf(route: Route): Record<string, DocumentedAnswer> {
  const content = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };
  const own = route.problems.map((status) => [String(status), { description: titlesOf(status), content }]);
  return { ...(Object.fromEntries(own) as Record<string, DocumentedAnswer>), default: { description: "Any other problem.", content } };
}

function titlesOf(status: number): string {
  const titles = Object.values(PROBLEM_KINDS).filter(
    (kind) => kind.status === status && kind.title !== PROBLEM_KINDS["no-such-route"].title,
  );
  return `${titles.map(({ title }) => title).join("; or: ")}.`;
}

/** What goes in, not what a transformation makes of it. */
function schemaOf(schema: GenericSchema<unknown, unknown>): JsonSchema {
  const { $schema: _, ...rest } = toJsonSchema(schema, {
    typeMode: "input",
    errorMode: "ignore",
    target: "draft-2020-12",
  });
  return rest;
}
