/**
 * One route: what it takes, as schemas, and what it does. The schemas are what a request is checked against and what the
 * OpenAPI document is made of (openapi.ts), so that the two cannot say different things.
 *
 * Paths are matched here and not by Hono, and a query is checked as url.ts has decoded it: Hono's own decoding repairs what it is given, and
 * a key that is repaired is another key. What a route does not know in a query is refused: a mistyped `ttl` would otherwise be a
 * value that stays for ever.
 */
import * as v from "valibot";
import type { Bindings } from "../request.ts";
import { Problem } from "./problem.ts";

export type Method = "GET" | "PUT" | "POST" | "DELETE";
export type Fields = Readonly<Record<string, v.GenericSchema<unknown, unknown>>>;
type Output<T extends Fields> = { readonly [K in keyof T]: v.InferOutput<T[K]> };

export interface Request<Q extends Fields, H extends Fields> extends Bindings {
  /** What `{key}` stands for; "" where the path has none. */
  readonly key: string;
  readonly query: Output<Q>;
  readonly headers: Output<H>;
}

/** One answer, for the document: what it is, which headers it has, and its body. */
export interface AnswerAbout {
  readonly description: string;
  readonly headers?: Fields;
  /** Media type → schema; undefined for bytes of any kind. */
  readonly content?: Readonly<Record<string, v.GenericSchema | undefined>>;
}

export interface RouteOptions<Q extends Fields, H extends Fields> {
  readonly method: Method;
  /** `{key}` takes one or more segments: a key may hold slashes, escaped or not. */
  readonly path: string;
  readonly summary: string;
  readonly description?: string;
  readonly query: Q;
  /** Names in lower case, as Node gives them. */
  readonly headers: H;
  readonly body?: AnswerAbout["content"];
  readonly answers: Readonly<Record<number, AnswerAbout>>;
  /** The problems that are its own; those that every route may answer with need no mention. */
  readonly problems: readonly number[];
  /** What to type. */
  readonly example: string;
  handle(request: Request<Q, H>): Response | Promise<Response>;
}

export interface Route extends Omit<RouteOptions<Fields, Fields>, "handle"> {
  /** Throws Problem. */
  handle(key: string, query: ReadonlyMap<string, string>, bindings: Bindings): Response | Promise<Response>;
}

export function createRoute<const Q extends Fields, const H extends Fields>(options: RouteOptions<Q, H>): Route {
  const querySchema = v.strictObject(options.query);
  const headersSchema = v.object(options.headers);
  return {
    ...options,
    handle(key, query, { incoming, outgoing }) {
      const parsedQuery = parse(querySchema, Object.fromEntries(query), (name) => queryField(name, options.query));
      const parsedHeaders = parse(headersSchema, incoming.headers, (name) => ({ field: name }));
      return options.handle({ key, query: parsedQuery, headers: parsedHeaders, incoming, outgoing });
    },
  };
}

/** The place of a fault in the words of the client, and a better hint than the usual one where there is one. */
interface Place {
  readonly field: string;
  readonly hint?: string;
}

function queryField(name: string, known: Fields): Place {
  if (Object.hasOwn(known, name)) return { field: name };
  const names = Object.keys(known);
  return { field: name, hint: names.length === 0 ? "This route takes no query parameters." : `This route takes ${names.join(", ")}.` };
}

/** Throws Problem. */
export function parse<T extends v.GenericSchema<unknown, unknown>>(
  schema: T,
  input: unknown,
  placeOf: (path: string) => Place,
): v.InferOutput<T> {
  const result = v.safeParse(schema, input, { abortEarly: true });
  if (result.success) return result.output;
  const [issue] = result.issues;
  const path = v.getDotPath(issue) ?? "";
  const place = placeOf(path);
  const name = JSON.stringify(place.field);
  throw new Problem("invalid", detailOf(name, issue), place);
}

function detailOf(name: string, { type, expected, message }: v.BaseIssue<unknown>): string {
  if (type !== "strict_object") return `${name}: ${message}`;
  return expected === "never" ? `${name} is not known here` : `${name} is missing`;
}
