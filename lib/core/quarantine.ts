/**
 * What was lost from the disk and has not come back: for each such key a mark that outlives the process, with the dots that were lost.
 *
 * A damaged record is taken out of the store so that nobody reads it, and its dots are taken out of the context, because absence plus
 * context reads as "deleted": peers would give up their own copies. Without its dots in the context the key simply has not
 * been seen, so the next repair brings it. The dots are never issued again: a counter only rises, and each life of a node takes
 * an incarnation of its own.
 *
 * Until then the key must not look as if nobody had ever written it. The mark says so: whoever reads the key is refused.
 * A mark goes when the key holds something again, be it from a peer or by a new write, or when all its lost dots have been seen,
 * which is how the peers say that they were replaced or deleted meanwhile.
 *
 * A new write stands beside what was lost, for its writer cannot have seen it. A deletion names the lost dots: it is meant for them.
 */
import type { Amendment } from "./change.ts";
import { ByteReader, ByteWriter, readDot, writeDot } from "./codec.ts";
import type { Context } from "./context.ts";
import { includesDot, type Dot, type Incarnation } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import { after, entryAt, MARK, markAt, keyFromBytes, type EntryKey } from "./layout.ts";
import type { Overlay } from "./overlay.ts";
import type { StorageKey, StorageReader } from "./ports.ts";
import { readStretch, valueAt } from "./walk.ts";

/** Marks looked at in one go: less than a millisecond. */
const SOME = 128;

/** Keys that a status names. */
const NAMED_MAX = 20;

const PAGE_ROWS = 1024;

/** Lost dots that one mark names, so that it fits a row; more siblings than a key may pile up by itself. */
const MARK_DOTS_MAX = 4096;

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

  /** The dots that the key lost; none when it lost nothing, or nobody can tell. */
  lostDots(key: EntryKey): readonly Dot[] {
    return this.#size === 0 ? [] : (this.#mark(key) ?? []);
  }

  /** The key holds nothing, and has lost what it held. */
  isWaiting(key: EntryKey): boolean {
    return this.#size > 0 && this.#mark(key) !== undefined && this.#overlay.get(entryAt(key)) === undefined;
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
    for (const [key, dots] of marks) this.#add(key, dots);
    return changed;
  }

  /** The key lost these dots; none means that nobody can tell which. */
  #add(key: EntryKey, dots: readonly Dot[]): void {
    const known = this.#mark(key);
    this.#overlay.set(markAt(key), encodeMark(known ?? [], dots));
    if (known === undefined) this.#size++;
    this.#isUsed = true;
  }

  /** The key was written, merged or deleted. */
  onChange(key: EntryKey, holdsSomething: boolean): void {
    if (this.#size === 0) return;
    const dots = this.#mark(key);
    if (dots !== undefined && (holdsSomething || this.#areSeen(dots))) this.#remove(markAt(key));
  }

  /** Looks over some of the marks: a key that holds something, or whose dots a joined context has seen, is not waited for any more. */
  settleSome(): void {
    if (this.#size === 0) return;
    const before = this.#size;
    const { rows, next } = readStretch(this.#overlay, this.#next, after(MARK), SOME);
    for (const { key, value } of rows) {
      const holdsSomething = valueAt(this.#overlay, entryAt(key.slice(MARK.length))) !== undefined;
      if (holdsSomething || this.#areSeen(decodeMark(value))) this.#remove(key);
    }
    this.#next = next ?? MARK;
    if (this.#size < before) this.#onSettled();
  }

  /** Some keys that wait, for people. */
  someKeys(): string[] {
    if (this.#size === 0) return [];
    const { rows } = readStretch(this.#overlay, MARK, after(MARK), NAMED_MAX);
    return rows.map(({ key }) => keyFromBytes(key.slice(MARK.length)));
  }

  #mark(key: EntryKey): Dot[] | undefined {
    const value = valueAt(this.#overlay, markAt(key));
    return value === "damaged" ? [] : value && decodeMark(value);
  }

  #areSeen(dots: readonly Dot[]): boolean {
    return dots.length > 0 && dots.every((dot) => this.#context.has(dot));
  }

  #remove(at: StorageKey): void {
    this.#overlay.set(at, undefined);
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

/** The dots of both, each once. */
export function encodeMark(known: readonly Dot[], dots: readonly Dot[]): Uint8Array {
  const all = [...known];
  for (const dot of dots) if (all.length < MARK_DOTS_MAX && !includesDot(all, dot)) all.push(dot);
  const writer = new ByteWriter();
  writer.varint(all.length);
  for (const dot of all) writeDot(writer, dot);
  return writer.copy();
}

/** Throws `malformed`. */
export function decodeMark(value: Uint8Array): Dot[] {
  const reader = new ByteReader(value);
  const dots = Array.from({ length: reader.varint(MARK_DOTS_MAX) }, () => readDot(reader));
  reader.end();
  return dots;
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
