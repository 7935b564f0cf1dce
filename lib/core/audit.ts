/**
 * An audit recomputes, from the entries alone, what the store believes of itself, a page at a time and while writes go on.
 *
 * It walks the keys in order. A change to a key that it has passed is applied to its own sums as it happens (the store tells); a
 * change to a key ahead is found when it gets there. So the sums are those of one instant at the end, without a snapshot.
 */
import { decodeSiblings } from "./codec.ts";
import { contentHash } from "./digest.ts";
import { formatDot } from "./dot.ts";
import type { Sibling } from "./entry.ts";
import { after, ENTRY, entryAt, indexAt, keyFromBytes, SEVERAL, severalAt, type EntryKey } from "./layout.ts";
import type { Store } from "./store.ts";
import { Tally } from "./tally.ts";

/** Keys of one step: a few milliseconds. At a step a second a store of a million keys takes half an hour. */
const PAGE_ROWS = 512;

export type AuditStep = { readonly done: false } | { readonly done: true; readonly problem: string | undefined };

export class Audit {
  readonly #store: Store;
  readonly #tally: Tally;
  /** All keys before this one have been counted. */
  #next = ENTRY;
  #keyCount = 0;
  #problem: string | undefined;
  /** Said when nothing worse is found. */
  #severalProblem: string | undefined;
  readonly #stopListening: () => void;

  constructor(store: Store) {
    this.#store = store;
    this.#tally = new Tally(store.options.digestKey);
    this.#stopListening = store.listen((_dot, live, key, sibling) => {
      if (entryAt(key) >= this.#next) return;
      if (live) this.#tally.add(sibling);
      else this.#tally.subtract(sibling);
    });
  }

  /** At once, while nobody writes. Undefined when the store agrees with its entries, else what does not. */
  runToEnd(): string | undefined {
    let step = this.step();
    while (!step.done) step = this.step();
    const { keyCount } = this.#store;
    // Only here: a change tells which sibling came or went, not whether its key did.
    return step.problem ?? (this.#keyCount === keyCount ? undefined : `${this.#keyCount} keys are there where ${keyCount} should be`);
  }

  stop(): void {
    this.#stopListening();
  }

  step(): AuditStep {
    const from = this.#next;
    const page = this.#store.reader.range(from, after(ENTRY), PAGE_ROWS);
    const several: EntryKey[] = [];
    for (const row of page.rows) {
      const key = row.key.slice(ENTRY.length);
      const siblings = decodeSiblings(row.value);
      for (const sibling of siblings) this.#visit(key, sibling);
      if (siblings.length > 1) several.push(key);
      this.#next = row.key + "\0";
    }
    this.#keyCount += page.rows.length;
    this.#checkSeveral(several, from.slice(ENTRY.length), page.more ? this.#next.slice(ENTRY.length) : undefined);
    if (page.more && this.#problem === undefined) return { done: false };
    this.stop();
    return { done: true, problem: this.#problem ?? this.#tally.difference(this.#store.tally) ?? this.#severalProblem };
  }

  /** The rows of keys with several siblings, from one key to before another one or to the end, are those of these keys. */
  #checkSeveral(keys: readonly EntryKey[], from: EntryKey, to: EntryKey | undefined): void {
    const rows = this.#store.reader.range(severalAt(from), to === undefined ? after(SEVERAL) : severalAt(to), keys.length + 1).rows;
    if (rows.length === keys.length && rows.every((row, i) => row.key === severalAt(keys[i]!))) return;
    this.#severalProblem ??= "the list of keys with several siblings is not that of the entries";
  }

  #visit(key: EntryKey, sibling: Sibling): void {
    const { incarnation, counter } = sibling.dot;
    const digest = contentHash(this.#store.options.digestKey, key, sibling.contentType, sibling.value);
    if (digest !== sibling.digest) this.#problem ??= `the value of "${keyFromBytes(key)}" does not match its hash`;
    if (!this.#store.context.has(sibling.dot)) this.#problem ??= `the context does not know the live dot ${formatDot(sibling.dot)}`;
    if (this.#store.reader.get(indexAt(incarnation, counter)) === undefined) {
      this.#problem ??= `the index does not know the live dot ${formatDot(sibling.dot)}`;
    }
    this.#tally.add(sibling);
  }
}
