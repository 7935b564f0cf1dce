/** Conflicts as a client sees and settles them: the keys that hold several values, these values, and a write that replaces just them. */
import { ConcordError } from "../core/errors.ts";
import { elementsOf, membersOf } from "../core/json-parts.ts";
import { validateJson } from "../core/json.ts";
import { encodeKey, type Client } from "../client.ts";

export interface Conflict {
  readonly key: string;
  readonly siblings: number;
  readonly rule: string;
  readonly token: string;
}

export interface ClientSibling {
  readonly dot: string;
  readonly node: string;
  readonly time: string;
  /** JSON text, or base64 in quotes beside a media type. */
  readonly text: string;
  readonly contentType: string | undefined;
}

export interface Siblings {
  readonly token: string;
  /** The one with the latest time first. */
  readonly values: readonly ClientSibling[];
}

/** The keys that hold several values, in the order of their bytes, as they come. */
export async function* listConflicts(client: Client, prefix: string): AsyncGenerator<Conflict> {
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? "" : `&cursor=${cursor}`;
    const { text } = await client.request("GET", `/v1/conflicts?prefix=${encodeKey(prefix)}${more}`);
    const page = JSON.parse(text) as { readonly conflicts: readonly Conflict[]; readonly cursor?: string };
    yield* page.conflicts;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

/** Undefined when the key is not there, or holds one value. */
export async function readSiblings(client: Client, key: string): Promise<Siblings | undefined> {
  const { status, text } = await client.request("GET", `/v1/kv/${encodeKey(key)}?siblings`);
  if (status !== 300) return undefined;
  const checked = validateJson(text);
  const members = checked.ok ? membersOf(checked.text) : undefined;
  const values = elementsOf(members?.get("siblings") ?? "")?.map(siblingOf);
  if (values === undefined) throw new ConcordError("peer-failed", `what answers at ${client.node} is not a Concord node`);
  return { token: JSON.parse(members?.get("token") ?? '""') as string, values };
}

/** Writes a value in place of what the token names; what has come since stays beside it. */
export async function writeSeen(
  client: Client,
  key: string,
  { text, contentType }: Pick<ClientSibling, "text" | "contentType">,
  token: string,
): Promise<string> {
  const bytes = contentType === undefined ? "" : `,"contentType":${JSON.stringify(contentType)},"encoding":"base64"`;
  const operation = `{"op":"put","key":${JSON.stringify(key)},"value":${text}${bytes},"token":${JSON.stringify(token)}}`;
  return (await client.request("POST", "/v1/batch", `{"operations":[${operation}]}`)).text;
}

function siblingOf(element: string): ClientSibling {
  const members = membersOf(element);
  const stringOf = (name: string): string | undefined => {
    const text = members?.get(name);
    return text === undefined ? undefined : (JSON.parse(text) as string);
  };
  const [dot = "", node = "", time = ""] = ["dot", "node", "time"].map(stringOf);
  return { dot, node, time, text: members?.get("value") ?? "null", contentType: stringOf("contentType") };
}
