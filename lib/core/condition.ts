/**
 * What a client may demand of a key before its operation is carried out, and the tag by which it names what it has read.
 *
 * The demand is judged inside the step that carries the operation out, so nothing can come between the look and the write. It is a
 * promise of ONE node: two nodes may both find what is demanded, and the key then has siblings, not a refusal.
 */
import { ByteWriter, writeDot } from "./codec.ts";
import { shortHash, type DigestKey } from "./digest.ts";
import type { Dot } from "./dot.ts";
import { dotsOf, isExpired, type Siblings } from "./entry.ts";
import type { EntryKey } from "./layout.ts";

export type Condition =
  /** Nothing is there, or it has expired. */
  | { readonly kind: "absent" }
  /** Something is there that has not expired. */
  | { readonly kind: "present" }
  /** What is there has one of these tags, or for `unmatched` none of them. */
  | { readonly kind: "matching" | "unmatched"; readonly tags: readonly string[] };

const writer = new ByteWriter();

/**
 * Names the values of a key by the dots of those that have not expired: the same on every node that holds the same ones, another after each write. Of dots, not
 * of content: who demands that nothing has changed also means a value that was replaced and put back.
 */
export function tagOf(digestKey: DigestKey, key: EntryKey, dots: readonly Dot[]): string {
  writer.reset();
  // Said first, so that no tag is ever the seal of a token (token.ts), which begins with a digit.
  writer.fixedChars(`tag ${key.length} ${key}`);
  for (const dot of dots) writeDot(writer, dot);
  return Buffer.from(shortHash(digestKey, writer.view()), "latin1").toString("base64url");
}

export function isMet(condition: Condition, digestKey: DigestKey, key: EntryKey, siblings: Siblings, nowMs: number): boolean {
  const dots = dotsOf(siblings.filter((sibling) => !isExpired(sibling, nowMs)));
  const isThere = dots.length > 0;
  switch (condition.kind) {
    case "absent":
      return !isThere;
    case "present":
      return isThere;
    case "matching":
      return isThere && condition.tags.includes(tagOf(digestKey, key, dots));
    case "unmatched":
      return !isThere || !condition.tags.includes(tagOf(digestKey, key, dots));
  }
}

/** The sentence of a refusal. */
export function unmetText(condition: Condition): string {
  switch (condition.kind) {
    case "absent":
      return "the key holds a value already";
    case "present":
      return "the key holds no value";
    case "matching":
      return "the key does not hold what the operation was made for: something else was written, or it was deleted, or it has expired";
    case "unmatched":
      return "the key holds just what the operation was not to replace";
  }
}
