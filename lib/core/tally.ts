/** What is known of all live siblings together: two digests and two counts, kept up to date sibling by sibling. */
import { Digest, DotHasher, type DigestKey, type Hash128 } from "./digest.ts";
import type { Sibling } from "./entry.ts";

/** What people are told of a store. */
export interface Totals {
  readonly root: Digest;
  readonly count: number;
  readonly keyCount: number;
}

interface Recorded {
  readonly root: Hash128;
  readonly dotRoot: Hash128;
  readonly count: number;
  readonly keyCount: number;
}

export class Tally {
  /** The sum of the contents' hashes. */
  readonly root: Digest;
  /** The sum of the dots' hashes. */
  readonly dotRoot: Digest;
  /** Live siblings. */
  count: number;
  /** Keys that hold at least one. */
  keyCount: number;
  readonly #hasher: DotHasher;

  constructor(digestKey: DigestKey, recorded?: Recorded) {
    this.#hasher = new DotHasher(digestKey);
    this.root = recorded === undefined ? new Digest() : Digest.fromHash(recorded.root);
    this.dotRoot = recorded === undefined ? new Digest() : Digest.fromHash(recorded.dotRoot);
    this.count = recorded?.count ?? 0;
    this.keyCount = recorded?.keyCount ?? 0;
  }

  add(sibling: Sibling): void {
    this.root.add(sibling.digest);
    this.#hasher.hash(sibling.dot.incarnation, sibling.dot.counter);
    this.dotRoot.addDot(this.#hasher);
    this.count++;
  }

  subtract(sibling: Sibling): void {
    this.root.subtract(sibling.digest);
    this.#hasher.hash(sibling.dot.incarnation, sibling.dot.counter);
    this.dotRoot.subtractDot(this.#hasher);
    this.count--;
  }

  /** Takes over what another one has counted. */
  adopt(other: Tally): void {
    for (const [mine, theirs] of [
      [this.root, other.root],
      [this.dotRoot, other.dotRoot],
    ] as const) {
      mine.subtract(mine.toHash());
      mine.add(theirs.toHash());
    }
    this.count = other.count;
    this.keyCount = other.keyCount;
  }

  /** A copy. */
  totals(): Totals {
    return { root: this.root.clone(), count: this.count, keyCount: this.keyCount };
  }

  /** What differs of the siblings, for a person; undefined when nothing does. */
  difference(recorded: Tally): string | undefined {
    if (this.count !== recorded.count) return `${this.count} values are there where ${recorded.count} should be`;
    if (!this.dotRoot.equals(recorded.dotRoot)) return "the dots do not sum up to the recorded digest";
    if (!this.root.equals(recorded.root)) return "the values do not sum up to the recorded digest";
    return undefined;
  }
}
