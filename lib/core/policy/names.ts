/** The merge policies by name, and which keys have which: `--merge 'cart:=union'` gives it to all keys that begin with `cart:`. */
import { keyToBytes, type EntryKey } from "../layout.ts";

export const POLICY_NAMES = ["latest", "siblings", "fields", "union", "max", "min", "counter"] as const;

export type PolicyName = (typeof POLICY_NAMES)[number];

/** Of the media types under which policies store what they need beside the value; clients cannot write under them. */
export const CONTENT_TYPE_PREFIX = "application/vnd.concord.";

export interface PolicyRule {
  /** Of the user's key; "" is every key. */
  readonly prefix: string;
  readonly policy: PolicyName;
}

/** Rules that one node takes: each is compared with every key that is written. */
export const POLICY_RULES_MAX = 64;

/** `cart:=union`; what stands before the last `=` is the prefix. Returns a sentence when it is no rule. */
export function parsePolicyRule(text: string): PolicyRule | string {
  const at = text.lastIndexOf("=");
  if (at === -1) return `"${text}" is not of the form PREFIX=POLICY, as in cart:=union`;
  const policy = POLICY_NAMES.find((name) => name === text.slice(at + 1));
  return policy === undefined
    ? `"${text.slice(at + 1)}" is no merge policy; there are ${POLICY_NAMES.join(", ")}`
    : { prefix: text.slice(0, at), policy };
}

/** Which policy a key has: that of the longest prefix. */
export class Policies {
  readonly rules: readonly PolicyRule[];
  readonly #byLength: readonly { readonly prefix: EntryKey; readonly policy: PolicyName }[];

  constructor(rules: readonly PolicyRule[] = []) {
    this.rules = rules;
    this.#byLength = rules
      .map(({ prefix, policy }) => ({ prefix: keyToBytes(prefix), policy }))
      .sort((a, b) => b.prefix.length - a.prefix.length);
  }

  of(key: EntryKey): PolicyName {
    for (const { prefix, policy } of this.#byLength) if (key.startsWith(prefix)) return policy;
    return "latest";
  }
}
