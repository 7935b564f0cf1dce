/**
 * What a key shows, chosen in ONE place, and one value as the faces of a node see it. A class, because it is made for every read: the token takes a hash to seal, most readers
 * never look at it, and a getter costs nothing on a prototype but microseconds in an object literal.
 */
import { tagOf } from "../core/condition.ts";
import type { DigestKey } from "../core/digest.ts";
import { formatDot } from "../core/dot.ts";
import { byPick, dotsOf, isExpired, pick, type Sibling, type Siblings } from "../core/entry.ts";
import type { KvValue } from "../core/kv.ts";
import type { EntryKey } from "../core/layout.ts";
import { show as shownBy, type Shown } from "../core/policy.ts";
import type { Policies, PolicyName } from "../core/policy/names.ts";
import { encodeToken } from "../core/token.ts";

/** What a reader needs to know of the store beside the siblings. */
export interface Showing {
  readonly digestKey: DigestKey;
  readonly policies: Policies;
  readonly nowMs: number;
}

/**
 * The one value that a key shows; undefined when it shows none. Reads, listings and watchers all come through here, so the merge policy
 * of a key is asked here and nowhere else.
 */
export function show(showing: Showing, key: EntryKey, siblings: Siblings): KvView | undefined {
  const shown = shownBy(showing.policies.of(key), siblings, showing.nowMs);
  return shown === undefined ? undefined : new KvView(showing, key, siblings, shown);
}

/** Each value of the key alone, as its policy shows it, equal ones once; the one with the latest time first. */
export function showEach(showing: Showing, key: EntryKey, siblings: Siblings): KvView[] {
  const policy = showing.policies.of(key);
  return distinct(siblings, showing.nowMs).map((sibling) => {
    const shown = shownBy(policy, [sibling], showing.nowMs)!;
    return new KvView(showing, key, siblings, shown);
  });
}

/** Those that have not expired, of equal ones the latest; the latest of all first, the others in the order of their dots. */
export function distinct(siblings: Siblings, nowMs: number): Sibling[] {
  const byDigest = new Map<string, Sibling>();
  for (const sibling of siblings) {
    if (isExpired(sibling, nowMs)) continue;
    const other = byDigest.get(sibling.digest);
    if (other === undefined || byPick(sibling, other) > 0) byDigest.set(sibling.digest, sibling);
  }
  const latest = pick(siblings, nowMs);
  const others = [...byDigest.values()].filter((sibling) => sibling !== latest);
  return latest === undefined ? [] : [latest, ...others];
}

export class KvView implements KvValue {
  readonly contentType: string;
  readonly value: Uint8Array;
  readonly siblings: number;
  readonly rule: PolicyName;
  readonly expiresAtMs: number;
  readonly writer: string;
  readonly writtenMs: number;
  readonly #showing: Showing;
  readonly #key: EntryKey;
  readonly #held: Siblings;
  readonly #latest: Sibling;

  constructor(showing: Showing, key: EntryKey, held: Siblings, { contentType, value, rule, latest }: Shown) {
    this.contentType = contentType;
    this.value = value;
    this.siblings = held.length === 1 ? 1 : distinct(held, showing.nowMs).length;
    this.rule = rule;
    this.expiresAtMs = latest.expiresAtMs;
    this.writer = latest.writer;
    this.writtenMs = latest.stamp.ms;
    this.#showing = showing;
    this.#key = key;
    this.#held = held;
    this.#latest = latest;
  }

  get token(): string {
    return encodeToken(this.#showing.digestKey, this.#key, dotsOf(this.#held));
  }

  get tag(): string {
    const unexpired = this.#held.filter((sibling) => !isExpired(sibling, this.#showing.nowMs));
    return tagOf(this.#showing.digestKey, this.#key, dotsOf(unexpired));
  }

  get dot(): string {
    return formatDot(this.#latest.dot);
  }
}
