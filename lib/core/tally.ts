/** What is known of all live siblings together: two digests and two counts, kept up to date sibling by sibling. */
import { Digest, dotHash, type DigestKey } from "./digest.ts";
import type { Sibling } from "./entry.ts";
import type { Meta } from "./meta.ts";

export class Tally {
  /** The sum of the contents' hashes. */
  readonly root: Digest;
  /** The sum of the dots' hashes. */
  readonly dotRoot: Digest;
  /** Live siblings. */
  count: number;
  /** Keys that hold at least one. */
  keyCount: number;
  readonly #digestKey: DigestKey;

  constructor(digestKey: DigestKey, meta?: Meta) {
    this.#digestKey = digestKey;
    this.root = meta === undefined ? new Digest() : Digest.fromHash(meta.root);
    this.dotRoot = meta === undefined ? new Digest() : Digest.fromHash(meta.dotRoot);
    this.count = meta?.count ?? 0;
    this.keyCount = meta?.keyCount ?? 0;
  }

  add(sibling: Sibling): void {
    this.root.add(sibling.digest);
    this.dotRoot.add(dotHash(this.#digestKey, sibling.dot.incarnation, sibling.dot.counter));
    this.count++;
  }

  subtract(sibling: Sibling): void {
    this.root.subtract(sibling.digest);
    this.dotRoot.subtract(dotHash(this.#digestKey, sibling.dot.incarnation, sibling.dot.counter));
    this.count--;
  }

  /** What differs of the siblings, for a person; undefined when nothing does. */
  difference(recorded: Tally): string | undefined {
    if (this.count !== recorded.count) return `${this.count} values are there where ${recorded.count} should be`;
    if (!this.dotRoot.equals(recorded.dotRoot)) return "the dots do not sum up to the recorded digest";
    if (!this.root.equals(recorded.root)) return "the values do not sum up to the recorded digest";
    return undefined;
  }
}
