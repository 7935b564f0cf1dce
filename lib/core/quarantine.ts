/**
 * What was lost from the disk and has not come back: for each such key a mark that outlives the process, with the dots that were lost.
 *
 * A damaged record is taken out of the store so that nobody reads it, and its dots are taken out of the context, because absence plus
 * context reads as "deleted": peers would give up their own copies. Without its dots in the context the key simply has not
 * been seen, so the next repair brings it. And the node takes a new incarnation: no lost dot is issued again, and of a counter
 * (policy/counter.ts) that it may have lost, what it adds from now on is a share of its own and takes no earlier one's place.
 *
 * Until then the key must not look as if nobody had ever written it. The mark says so: whoever reads the key is refused.
 * A mark goes when the key holds something again, be it from a peer or by a new write, or when all its lost dots have been seen,
 * which is how the peers say that they were replaced or deleted meanwhile.
 *
 * A new write stands beside what was lost, for its writer cannot have seen it. A deletion names the lost dots: it is meant for them.
 */
import type { Amendment } from "./change.ts";
import type { Context } from "./context.ts";
import type { Dot, Incarnation } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import { after, entryAt, MARK, markAt, keyFromBytes, type EntryKey } from "./layout.ts";
import { decodeMark, encodeMark, joinMarks, readMark, type Mark } from "./mark.ts";
import type { Overlay } from "./overlay.ts";
import type { StorageKey, StorageReader } from "./ports.ts";
import { readStretch, valueAt } from "./walk.ts";

/** Marks looked at in one go: less than a millisecond. */
const SOME = 128;

/** Keys that a status names. */
const NAMED_MAX = 20;

const PAGE_ROWS = 1024;

export class Quarantine {
  readonly #overlay: Overlay;
  readonly #context: Context;
  readonly #onSettled: () => void;
  /** Keys that wait. */
  #size: number;
  /** Marks that went since this store was opened. */
  #healed = 0;
  /** There are marks, or were since the store was opened: in the storage they may still be. */
  #isUsed: boolean;
  /** Keys that are not waited for because what they had lost is deleted. */
  #deleted: EntryKey[] = [];
  /** Where the next look over the marks goes on. */
  #next: StorageKey = MARK;

  /** `onSettled`: hears that marks went which nobody's write has taken away, and that this is to be made durable. */
  constructor(overlay: Overlay, context: Context, onSettled: () => void) {
    this.#overlay = overlay;
    this.#context = context;
    this.#onSettled = onSettled;
    this.#size = countMarks(overlay);
    this.#isUsed = this.#size > 0;
  }

  get size(): number {
    return this.#size;
  }

  get healed(): number {
    return this.#healed;
  }

  get isUsed(): boolean {
    return this.#isUsed;
  }

  /** The dots that the key lost; none when it lost nothing, or nobody can tell which. */
  lostDots(key: EntryKey): readonly Dot[] {
    const mark = this.#size === 0 ? undefined : readMark(this.#overlay, markAt(key));
    return mark?.isCertain === true ? mark.dots : [];
  }

  /** The key holds nothing, and has lost what it held. */
  isWaiting(key: EntryKey): boolean {
    return this.#size > 0 && valueAt(this.#overlay, markAt(key)) !== undefined && this.#overlay.get(entryAt(key)) === undefined;
  }

  /** Throws `damaged` for what depends on the value that the key has lost. */
  checkKnown(key: EntryKey): void {
    if (!this.isWaiting(key)) return;
    throw new ConcordError("damaged", `${waiting(key)}; ask another node, or write it anew without a condition`);
  }

  /** Throws `damaged` for a deletion of what nobody can name. */
  checkRemove(key: EntryKey): void {
    if (!this.isWaiting(key) || this.lostDots(key).length > 0) return;
    throw new ConcordError("damaged", `${waiting(key)}; nobody can tell which value to delete: write it anew, then delete it`);
  }

  /** What an audit found is set right. Returns the incarnations whose dots have left the context. */
  amend({ rows, lost, marks }: Amendment): ReadonlySet<Incarnation> {
    for (const { key, value } of rows) this.#overlay.set(key, value);
    const changed = new Set<Incarnation>();
    for (const { dot } of lost) if (this.#context.remove(dot)) changed.add(dot.incarnation);
    for (const [key, mark] of marks) this.#add(key, mark);
    return changed;
  }

  #add(key: EntryKey, mark: Mark): void {
    const known = readMark(this.#overlay, markAt(key));
    this.#overlay.set(markAt(key), encodeMark(joinMarks(known, mark)));
    if (known === undefined) this.#size++;
    this.#isUsed = true;
  }

  /** The key was written, merged or deleted. */
  onChange(key: EntryKey, holdsSomething: boolean): void {
    if (this.#size === 0) return;
    const mark = readMark(this.#overlay, markAt(key));
    if (mark !== undefined && (holdsSomething || this.#areSeen(mark))) this.#remove(key, holdsSomething);
  }

  /** Looks over some of the marks: a key that holds something, or whose dots a joined context has seen, is not waited for any more. */
  settleSome(): void {
    if (this.#size === 0) return;
    const before = this.#size;
    const { rows, next } = readStretch(this.#overlay, this.#next, after(MARK), SOME);
    for (const { key, value } of rows) {
      const of = key.slice(MARK.length);
      const holdsSomething = valueAt(this.#overlay, entryAt(of)) !== undefined;
      if (holdsSomething || this.#areSeen(decodeMark(value))) this.#remove(of, holdsSomething);
    }
    this.#next = next ?? MARK;
    if (this.#size < before) this.#onSettled();
  }

  /** Keys that turned out to be deleted since the last call, and still hold nothing. */
  takeDeleted(): EntryKey[] {
    const deleted = this.#deleted;
    this.#deleted = [];
    return deleted.filter((key) => valueAt(this.#overlay, entryAt(key)) === undefined);
  }

  /** Some keys that wait, for people. */
  someKeys(): string[] {
    if (this.#size === 0) return [];
    const { rows } = readStretch(this.#overlay, MARK, after(MARK), NAMED_MAX);
    return rows.map(({ key }) => keyFromBytes(key.slice(MARK.length)));
  }

  #areSeen({ dots }: Mark): boolean {
    return dots.length > 0 && dots.every((dot) => this.#context.has(dot));
  }

  #remove(key: EntryKey, holdsSomething: boolean): void {
    this.#overlay.set(markAt(key), undefined);
    if (!holdsSomething) this.#deleted.push(key);
    this.#size--;
    this.#healed++;
  }
}

/** Why a key that waits is not shown. Asks what is durable, since that is what readers are shown. */
export function refuseIfWaiting(storage: StorageReader, key: EntryKey): void {
  if (valueAt(storage, markAt(key)) !== undefined) {
    throw new ConcordError("damaged", `${waiting(key)}; ask another node, or write it anew`);
  }
}

function waiting(key: EntryKey): string {
  return `the value of ${JSON.stringify(keyFromBytes(key))} was damaged on this node's disk and waits for a peer that has it`;
}

function countMarks(reader: StorageReader): number {
  let count = 0;
  for (let from: StorageKey | undefined = MARK; from !== undefined;) {
    const { rows, damaged, next } = readStretch(reader, from, after(MARK), PAGE_ROWS);
    count += rows.length + (damaged === undefined ? 0 : 1);
    from = next;
  }
  return count;
}
