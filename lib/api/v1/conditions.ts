/** Entity tags: the headers If-Match and If-None-Match as conditions of a write, and for a read whether its client has it already. */
import type { Condition } from "../../core/condition.ts";
import { Problem } from "./problem.ts";

/** A tag is opaque and quoted; ours are never weak: each names exact bytes. */
export function etagOf(tag: string): string {
  return `"${tag}"`;
}

/** Throws Problem. */
export function conditionOf(ifMatch: string | undefined, ifNoneMatch: string | undefined): Condition | undefined {
  if (ifMatch !== undefined && ifNoneMatch !== undefined) {
    throw new Problem("invalid", "If-Match and If-None-Match together", { field: "if-none-match", hint: "Send one of the two." });
  }
  if (ifMatch !== undefined) {
    if (ifMatch.trim() === "*") return { kind: "present" };
    // A weak tag never matches here (RFC 9110, 13.1.1).
    return { kind: "matching", tags: tagsIn(ifMatch).flatMap(({ tag, isWeak }) => (isWeak ? [] : [tag])) };
  }
  if (ifNoneMatch === undefined) return undefined;
  if (ifNoneMatch.trim() === "*") return { kind: "absent" };
  return { kind: "unmatched", tags: tagsIn(ifNoneMatch).map(({ tag }) => tag) };
}

/** The client of a read holds it already. */
export function isHeld(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.trim() === "*" || tagsIn(ifNoneMatch).some((held) => held.tag === tag);
}

/** Of a list that its schema has checked. */
function tagsIn(header: string): { readonly tag: string; readonly isWeak: boolean }[] {
  return Array.from(header.matchAll(/(W\/)?"([^"]*)"/g), ([, weak, tag = ""]) => ({ tag, isWeak: weak !== undefined }));
}
