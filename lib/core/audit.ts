/**
 * An audit recomputes, from the entries alone, what the store believes of itself, a page at a time and while writes go on.
 *
 * It walks the keys in order. A change to a key that it has passed is applied to its own sums as it happens (the store tells); a
 * change to a key ahead is found when it gets there. So the sums are those of one instant at the end, without a snapshot.
 */
import { decodeSiblings } from "./codec.ts";
import { contentHash, Digest, dotHash } from "./digest.ts";
import type { Dot } from "./dot.ts";
import { formatDot } from "./dot.ts";
import type { Sibling } from "./entry.ts";
import { after, ENTRY, entryAt, indexAt, keyFromBytes, type EntryKey } from "./layout.ts";
import type { Store } from "./store.ts";

/** Keys of one step: a few milliseconds. */
const PAGE_ROWS = 512;

export type AuditStep = { readonly done: false } | { readonly done: true; readonly problem: string | undefined };

export class Audit {
  readonly #store: Store;
  readonly #root = new Digest();
  readonly #dotRoot = new Digest();
  #count = 0;
  /** All keys before this one have been counted. */
  #next = ENTRY;
  #problem: string | undefined;
  readonly #stopListening: () => void;

  constructor(store: Store) {
    this.#store = store;
    this.#stopListening = store.listen((dot, live, key, sibling) => {
      if (entryAt(key) < this.#next) this.#add(sibling, dot, live ? 1 : -1);
    });
  }

  /** Undefined when the store agrees with its entries, else what does not. */
  runToEnd(): string | undefined {
    for (;;) {
      const step = this.step();
      if (step.done) return step.problem;
    }
  }

  stop(): void {
    this.#stopListening();
  }

  step(): AuditStep {
    const page = this.#store.reader.range(this.#next, after(ENTRY), PAGE_ROWS);
    for (const row of page.rows) {
      const key = row.key.slice(ENTRY.length);
      for (const sibling of decodeSiblings(row.value)) this.#visit(key, sibling);
      this.#next = row.key + "\0";
    }
    if (page.more && this.#problem === undefined) return { done: false };
    this.stop();
    return { done: true, problem: this.#problem ?? this.#compare() };
  }

  #visit(key: EntryKey, sibling: Sibling): void {
    const { incarnation, counter } = sibling.dot;
    const digest = contentHash(this.#store.options.digestKey, key, sibling.contentType, sibling.value);
    if (digest !== sibling.digest) this.#problem ??= `the value of "${keyFromBytes(key)}" does not match its hash`;
    if (!this.#store.context.has(sibling.dot)) this.#problem ??= `the context does not know the live dot ${formatDot(sibling.dot)}`;
    if (this.#store.reader.get(indexAt(incarnation, counter)) === undefined) {
      this.#problem ??= `the index does not know the live dot ${formatDot(sibling.dot)}`;
    }
    this.#add(sibling, sibling.dot, 1);
  }

  #add(sibling: Sibling, dot: Dot, sign: 1 | -1): void {
    const hash = dotHash(this.#store.options.digestKey, dot.incarnation, dot.counter);
    if (sign === 1) {
      this.#root.add(sibling.digest);
      this.#dotRoot.add(hash);
    } else {
      this.#root.subtract(sibling.digest);
      this.#dotRoot.subtract(hash);
    }
    this.#count += sign;
  }

  #compare(): string | undefined {
    const store = this.#store;
    if (this.#count !== store.count) return `${this.#count} values are there where ${store.count} should be`;
    if (!this.#dotRoot.equals(store.dotRoot)) return "the dots do not sum up to the recorded digest";
    if (!this.#root.equals(store.root)) return "the values do not sum up to the recorded digest";
    return undefined;
  }
}
