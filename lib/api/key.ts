/**
 * The routes /key and /health, as programs know them that were written for a store with agreement: POST makes a key that must not
 * exist yet, GET reads it, DELETE removes it.
 *
 * Without agreement, for now: that a key is new is judged by the node that is asked, in the step that writes it. Two nodes that are asked at
 * the same moment may both accept.
 */
import { ConcordError } from "../core/errors.ts";
import { membersOf } from "../core/json-parts.ts";
import { validateJson } from "../core/json.ts";
import type { Kv } from "../core/kv.ts";
import { json, Refusal, refusalOf, valueField, type Unread } from "./answer.ts";
import { checkKey, queryOf, type Bodies, type Handler } from "./request.ts";
import { parseTarget } from "./url.ts";

export interface KeyRoutes {
  readonly create: Handler;
  readonly read: Handler;
  readonly remove: Handler;
  readonly health: Handler;
}

export function createKeyRoutes(kv: Kv, bodies: Bodies, unread: Unread): KeyRoutes {
  return {
    create: ({ env: { incoming } }) =>
      answered(async () => {
        queryOf(incoming);
        const pair = pairIn(await bodies.text(incoming));
        if (pair === undefined) return message(400, 'the body must be an object with exactly one key, such as {"key1":"value1"}');
        const [key, valueText] = pair;
        checkKey(key);
        try {
          await kv.write([{ key, value: Buffer.from(valueText, "utf8"), condition: { kind: "absent" } }]);
        } catch (error) {
          if (error instanceof ConcordError && error.code === "condition-failed") return message(409, `key ${key} already exists`);
          throw error;
        }
        return json(`{${JSON.stringify(key)}:${valueText}}`);
      }),

    read: ({ env: { incoming, outgoing } }) =>
      answered(() => {
        const key = keyIn(incoming.url);
        const value = kv.get(key);
        if (value === undefined) return missing(key);
        unread.add(value.value.length, outgoing);
        return json(`{${JSON.stringify(key)}${valueField(value).slice('"value"'.length)}}`);
      }),

    remove: ({ env: { incoming } }) =>
      answered(async () => {
        const key = keyIn(incoming.url);
        const { changed } = await kv.write([{ key, value: undefined }]);
        return changed[0] === true ? message(200, "key deleted successfully") : missing(key);
      }),

    health: () => {
      const { stopped } = kv.status();
      return stopped === undefined ? json('{"status":"ok"}') : json(`{"status":"stopped","message":${JSON.stringify(stopped)}}`, 503);
    },
  };
}

/** What is refused elsewhere as `{"error":…}` is `{"message":…}` here, with the same status. */
async function answered(handle: () => Response | Promise<Response>): Promise<Response> {
  try {
    return await handle();
  } catch (error) {
    const known = refusalOf(error);
    if (known === undefined) throw error;
    const headers = new Headers(known.headers);
    return new Response(`{"message":${JSON.stringify((error as Error).message)}}`, { status: known.status, headers });
  }
}

function message(status: number, text: string): Response {
  return json(`{"message":${JSON.stringify(text)}}`, status);
}

function missing(key: string): Response {
  return message(404, `key '${key}' not found`);
}

/** Undefined when it is not exactly one. Throws `invalid` for what is no JSON. */
function pairIn(text: string): readonly [key: string, valueText: string] | undefined {
  const checked = validateJson(text);
  if (!checked.ok) throw new ConcordError("invalid", `the body is not JSON: ${checked.problem} (at character ${checked.at + 1})`);
  const pairs = [...(membersOf(checked.text) ?? [])];
  return pairs.length === 1 ? pairs[0] : undefined;
}

/** Throws Refusal. A key may hold slashes, escaped or not. */
function keyIn(url = "/"): string {
  const target = parseTarget(url);
  if (!target.ok) throw new Refusal(target.status, target.problem);
  // The first segment is "key".
  const key = target.segments.slice(1).join("/");
  checkKey(key, 414);
  return key;
}
