/** What a stored form itself says of the writes that it holds, for people who ask why. */
import type { Sibling } from "../entry.ts";
import { membersOf } from "../json-parts.ts";
import { validateJson } from "../json.ts";
import { policyOf } from "./held.ts";
import { textOf } from "./stored.ts";

/** `<incarnation>:<counter>` for each incarnation up to whose write it holds what was written; undefined for a plain value. */
export function seenOf(sibling: Sibling): string[] | undefined {
  if (policyOf(sibling) === undefined) return undefined;
  const checked = validateJson(textOf(sibling));
  const members = checked.ok ? membersOf(checked.text) : undefined;
  const counters = membersOf(members?.get("seen") ?? members?.get("shares") ?? "{}") ?? [];
  // A share that is named by a dot says by its name what it is of.
  return [...counters].map(([name, counter]) => (name.includes(":") ? name : `${name}:${/\d+/.exec(counter)?.[0] ?? "?"}`)).sort();
}
