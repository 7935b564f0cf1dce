/**
 * Merge policies: what a key shows when it holds several siblings, that is, writes that did not know of each other.
 *
 *   latest    the one with the latest stamp, then of the greater node name
 *   siblings  the same, but a reader is told of all of them
 *   max, min  the greatest or the least number
 *   fields    objects, property by property: of each the latest
 *   union     arrays as sets: what anyone added, less what anyone removed who had seen it
 *   counter   a number to which the increments of all sides add up
 *
 * A policy decides among CONCURRENT values only: a write that has seen others replaces them under every policy. It is a function of
 * the siblings and of nothing else, so nodes that hold the same siblings show the same, in whatever order they came
 * (test/core/policy.test.ts holds the laws). The last three need more than the values, and store it beside them (policy/stored.ts).
 */
import { isExpired, pick, type Sibling, type Siblings } from "./entry.ts";
import { validateJson } from "./json.ts";
import { CONTENT_TYPE_PREFIX, type PolicyName } from "./policy/names.ts";
import { FORMS, isStored, policyOf } from "./policy/held.ts";
import { textOf, type PolicyWrite, type Stored } from "./policy/stored.ts";

export { increment, incrementProblem } from "./policy/stored.ts";
export type { PolicyWrite, Stored } from "./policy/stored.ts";

/** What a reader of a key is given. */
export interface Shown extends Stored {
  /** The latest of the siblings: its writer, time and expiry are shown. */
  readonly latest: Sibling;
  /** What decided; `latest` also where there was nothing to decide. */
  readonly rule: PolicyName;
}

/** Undefined when the key holds nothing that has not expired. */
export function show(policy: PolicyName, siblings: Siblings, nowMs: number): Shown | undefined {
  const latest = pick(siblings, nowMs);
  if (latest === undefined) return undefined;
  const live = siblings.length === 1 ? siblings : siblings.filter((sibling) => !isExpired(sibling, nowMs));
  // What lies there says itself how it merges, or else the policy does.
  const rule = live.map(policyOf).find((found) => found !== undefined) ?? policy;
  const merged = live.length > 1 || isStored(latest) ? FORMS[rule]?.show(live) : undefined;
  if (merged !== undefined) return { latest, contentType: "", value: Buffer.from(merged, "utf8"), rule };
  // Values of two kinds do not merge: the latest is shown, and never as it lies there.
  const alone = isStored(latest) ? FORMS[policyOf(latest)!]?.show([latest]) : undefined;
  if (alone !== undefined) return { latest, contentType: "", value: Buffer.from(alone, "utf8"), rule: "latest" };
  const extreme = rule === "max" || rule === "min" ? extremeOf(rule, live) : undefined;
  const { contentType, value } = extreme ?? latest;
  return { latest, contentType, value, rule: extreme === undefined && rule !== "siblings" ? "latest" : rule };
}

/** True when a write under this policy takes up all that the replica holds, whatever its writer had read. */
export function takesUpAll(policy: PolicyName): boolean {
  return FORMS[policy] !== undefined;
}

/** True when this value is one of the policy's, or can become one. */
export function canMerge(policy: PolicyName, sibling: Sibling): boolean {
  return policyOf(sibling) === policy || FORMS[policy]?.show([sibling]) !== undefined;
}

/** What is stored for a value that a client writes and that has passed `policyProblem`. */
export function stored(policy: PolicyName, write: PolicyWrite): Stored {
  return FORMS[policy]?.write(write) ?? write;
}

/** The same value in the policy's own form: its parts and shares keep the dot that they came by, whichever dot it is written under. */
export function asMergeable(policy: PolicyName, sibling: Sibling): Stored {
  return policyOf(sibling) === undefined ? (FORMS[policy]?.convert(sibling) ?? sibling) : sibling;
}

/** Why a client may not write this value under this policy; undefined when it may. */
export function policyProblem(policy: PolicyName, { contentType, value }: Stored): string | undefined {
  if (contentType.startsWith(CONTENT_TYPE_PREFIX)) return `the media types ${CONTENT_TYPE_PREFIX}* are the store's own`;
  const needs = policy === "max" || policy === "min" ? "a number" : FORMS[policy]?.needs;
  if (needs === undefined) return undefined;
  const checked = contentType === "" ? validateJson(textOf({ value })) : undefined;
  const isRight = checked?.ok === true && (FORMS[policy]?.takes(checked.text) ?? isNumber(checked.text));
  return isRight ? undefined : `the merge policy of this key is ${policy}, so its value must be ${needs}`;
}

/** Among equals, and when one of them is no number, the latest is shown. */
function extremeOf(policy: "max" | "min", siblings: Siblings): Sibling | undefined {
  let best: Sibling[] = [];
  for (const sibling of siblings) {
    if (sibling.contentType !== "" || !isNumber(textOf(sibling).trim())) return undefined;
    const number = Number(textOf(sibling));
    const bestNumber = best.length === 0 ? number : Number(textOf(best[0]!));
    if (number === bestNumber) best.push(sibling);
    else if (number > bestNumber === (policy === "max")) best = [sibling];
  }
  return pick(best, 0);
}

function isNumber(json: string): boolean {
  return /^-?[0-9]/.test(json);
}
