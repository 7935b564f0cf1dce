/** Which of the stored forms a value has, as its media type says. */
import type { Sibling, Siblings } from "../entry.ts";
import type { PolicyName } from "./names.ts";
import { COUNTER, FIELDS, UNION, type StoredForm } from "./stored.ts";

export const FORMS: { readonly [name in PolicyName]?: StoredForm } = { fields: FIELDS, union: UNION, counter: COUNTER };

const STORED_NAMES = ["fields", "union", "counter"] as const satisfies readonly PolicyName[];

export function isStored(sibling: Sibling): boolean {
  return policyOf(sibling) !== undefined;
}

export function policyOf({ contentType }: Sibling): PolicyName | undefined {
  return contentType === "" ? undefined : STORED_NAMES.find((name) => FORMS[name]!.contentType === contentType);
}

/** That of the first value that has one. */
export function policyHeld(siblings: Siblings): PolicyName | undefined {
  for (const sibling of siblings) {
    const policy = policyOf(sibling);
    if (policy !== undefined) return policy;
  }
  return undefined;
}
