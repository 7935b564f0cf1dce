/**
 * What an audit's evidence means, and how to put it right.
 *
 * A record of an index can be computed from the entries, and is. An entry that cannot be read is lost, and then everything depends on
 * knowing WHICH dots were lost, because they have to leave the context (quarantine.ts): one that stays reads as deleted, and would be
 * deleted at every peer. The index names them: those of its dots that no readable entry holds. Whether these are all, and nothing
 * else is wrong, the digest tells: the recorded sum of the dots' hashes, less those of the lost dots, must be the sum of what is left.
 * 128 keyed bits do not agree by accident. When they do not agree nothing is certain, and the store is rebuilt from its entries (rule 5).
 *
 * A damaged row of the index names its dot if its own key is sound, and a dot that never was if that was hit. So such dots are lost
 * or are not, as the digest says.
 *
 * All this takes every record for what it was when the walk passed it. A record that was sound then and is damaged when it is met once more, from its
 * row or its entry, contradicts what was counted. Such a finding is doubtful: another walk, which meets the damage from the start, tells.
 */
import type { Amendment } from "./change.ts";
import { dotHash, type Digest } from "./digest.ts";
import { dotOfKey, includesDot, type Dot, type DotKey } from "./dot.ts";
import { bytesOfChars } from "./bytes.ts";
import { decodeSiblings } from "./codec.ts";
import { dotAtEnd, entryAt, EXPIRY, indexAt, severalAt, type EntryKey } from "./layout.ts";
import { joinMarks, UNKNOWN, type Mark } from "./mark.ts";
import type { StorageKey, StorageReader } from "./ports.ts";
import type { Store } from "./store.ts";
import type { Tally } from "./tally.ts";
import { valueAt } from "./walk.ts";

export interface Placed {
  readonly dot: Dot;
  readonly key: EntryKey;
}

/** Found while walking. */
export interface Evidence {
  readonly store: Store;
  /** Of the entries that can be read. */
  readonly tally: Tally;
  /** Of the index rows that can be read. */
  readonly indexRoot: Digest;
  indexCount: number;
  /** Records that cannot be read, or are not what their hash says. */
  damaged: number;
  readonly damagedEntries: Set<EntryKey>;
  /** Live siblings whose row in the index, or among the expiries, is missing or damaged. */
  readonly unindexed: Map<DotKey, Placed>;
  readonly unswept: Map<DotKey, { readonly at: StorageKey; readonly key: EntryKey }>;
  /** The dots of damaged rows of the index that are not known to be live. */
  readonly damagedIndex: Map<DotKey, Dot>;
  /** Rows of the index whose sibling is not there. */
  readonly orphans: Map<DotKey, Placed>;
  readonly damagedMarks: Set<EntryKey>;
  /** Keys whose row in the list of keys with several siblings is to be set, or removed, by what they hold. */
  readonly several: Set<EntryKey>;
  /** Other rows to be written anew or removed. */
  readonly rows: Map<StorageKey, Uint8Array | undefined>;
  /** What nothing but a rebuild puts right. */
  problem: string | undefined;
}

export type Finding =
  | { readonly kind: "sound" }
  /** `problem`: for people. */
  | {
      readonly kind: "damaged";
      readonly problem: string;
      readonly damaged: number;
      readonly amendment: Amendment;
      readonly isDoubtful: boolean;
    }
  /** The store is to be rebuilt from its entries. */
  | { readonly kind: "broken"; readonly problem: string; readonly isDoubtful: boolean };

/** Dots of damaged rows of the index of which every choice is tried; each one more doubles the work. */
const CHOICES_MAX = 10;

/** Of a dot at the end of a row's key. */
const DOT_CHARS = 12;

/** Values and rows that are put right while the store serves; with more, it is rebuilt. Some 20 MB. */
const AMENDED_MAX = 100_000;

export function judge(evidence: Evidence): Finding {
  const { store, tally, damagedEntries, unindexed, unswept, rows, orphans } = evidence;
  if (evidence.problem !== undefined) return broken(evidence.problem);
  if (orphans.size + unindexed.size + unswept.size + evidence.several.size + rows.size > AMENDED_MAX) {
    return broken(`over ${AMENDED_MAX} records are damaged or missing`);
  }
  const lost = lostDots(evidence);
  if (lost === undefined) {
    const problem = tally.difference(store.tally) ?? "the index does not agree with the entries";
    return broken(problem, evidence.damaged + orphans.size > 0);
  }
  if (lost.length === 0 && !tally.root.equals(store.root)) {
    return broken("the values do not sum up to the recorded digest");
  }
  const amendment = { rows: amendedRows(evidence, lost), lost, marks: marksOf(evidence, lost), tally };
  const isSound = evidence.damaged === 0 && amendment.rows.length === 0 && lost.length === 0 && tally.keyCount === store.keyCount;
  if (isSound) return { kind: "sound" };
  const problem = problemOf(evidence, lost.length, damagedEntries.size);
  return { kind: "damaged", problem, damaged: evidence.damaged, amendment, isDoubtful: mayBeLive(evidence, lost) };
}

function broken(problem: string, isDoubtful = false): Finding {
  return { kind: "broken", problem, isDoubtful };
}

/** A damaged row is to be removed whose dot has been seen and is not lost: of a sibling that is live, or of none. */
function mayBeLive({ store, damagedIndex, rows, unswept }: Evidence, lost: readonly Placed[]): boolean {
  const known = new Set<StorageKey>([...unswept.values()].map(({ at }) => at));
  const expiries = [...rows.keys()].filter((at) => at.startsWith(EXPIRY) && at.length > DOT_CHARS && !known.has(at));
  const dots = [...damagedIndex.values(), ...expiries.map((at) => dotOfKey(dotAtEnd(at)))];
  const gone = lost.map(({ dot }) => dot);
  return dots.some((dot) => store.context.has(dot) && !includesDot(gone, dot));
}

/** Exactly the dots that are missing from the recorded sums; undefined when that cannot be told. */
function lostDots({ store, tally, orphans, damagedIndex, damagedEntries }: Evidence): Placed[] | undefined {
  const { digestKey } = store.options;
  const hashOf = ({ incarnation, counter }: Dot) => dotHash(digestKey, incarnation, counter);
  const certain = [...orphans.values()];
  const rest = store.dotRoot.clone();
  for (const { dot } of certain) rest.subtract(hashOf(dot));
  rest.subtract(tally.dotRoot.toHash());
  const missing = store.count - tally.count - certain.length;
  const unsure = [...damagedIndex.values()];
  // Their keys cannot be read: it is one of those whose entry cannot be read either.
  const placed = (dot: Dot): Placed => ({ dot, key: [...damagedEntries][0] ?? "" });
  for (const choice of choices(unsure.length, missing)) {
    const sum = rest.clone();
    const chosen = unsure.filter((_, i) => choice(i));
    for (const dot of chosen) sum.subtract(hashOf(dot));
    if (sum.isZero) return [...certain, ...chosen.map(placed)];
  }
  return undefined;
}

/** All of them, none, and every choice of that size when they are few. */
function* choices(count: number, size: number): Generator<(i: number) => boolean> {
  if (size === 0) yield () => false;
  else if (size === count) yield () => true;
  else if (count <= CHOICES_MAX && size > 0 && size < count) {
    for (let bits = 0; bits < 1 << count; bits++) {
      const taken = Array.from({ length: count }, (_, i) => (bits >> i) & 1).filter((bit) => bit === 1).length;
      if (taken === size) yield (i) => ((bits >> i) & 1) === 1;
    }
  }
}

function amendedRows(
  { store, rows, damagedEntries, unindexed, unswept, several, orphans }: Evidence,
  lost: readonly Placed[],
): Amendment["rows"] {
  const amended = new Map(rows);
  for (const key of damagedEntries) amended.set(entryAt(key), undefined);
  for (const { dot } of [...lost, ...orphans.values()]) amended.set(indexAt(dot.incarnation, dot.counter), undefined);
  for (const { dot, key } of unindexed.values()) amended.set(indexAt(dot.incarnation, dot.counter), bytesOfChars(key));
  for (const { at, key } of unswept.values()) amended.set(at, bytesOfChars(key));
  for (const key of several) {
    const isKept = !damagedEntries.has(key) && holdsSeveral(store.reader, key);
    amended.set(severalAt(key), isKept ? bytesOfChars(key) : undefined);
  }
  return [...amended].map(([key, value]) => ({ key, value }));
}

export function holdsSeveral(reader: StorageReader, key: EntryKey): boolean {
  const record = valueAt(reader, entryAt(key));
  return record !== undefined && record !== "damaged" && decodeSiblings(record).length > 1;
}

/** The keys that hold nothing now. A lost dot of which no row tells the key may be of any of them. */
function marksOf(evidence: Evidence, lost: readonly Placed[]): Map<EntryKey, Mark> {
  const { store, orphans, damagedEntries, damagedMarks } = evidence;
  const marks = new Map<EntryKey, Mark>();
  const add = (key: EntryKey, mark: Mark): void => void marks.set(key, joinMarks(marks.get(key), mark));
  for (const { dot, key } of orphans.values()) {
    const record = damagedEntries.has(key) ? undefined : valueAt(store.reader, entryAt(key));
    if (record === undefined || record === "damaged") add(key, { dots: [dot], isCertain: true });
  }
  const unplaced = lost.slice(orphans.size).map(({ dot }) => dot);
  if (unplaced.length > 0) {
    for (const key of new Set([...damagedEntries, ...marks.keys()])) add(key, { dots: unplaced, isCertain: false });
  }
  for (const key of damagedMarks) if (!marks.has(key)) marks.set(key, UNKNOWN);
  return marks;
}

function problemOf({ damaged, unindexed, unswept, several }: Evidence, lost: number, damagedEntries: number): string {
  const parts = [
    damaged > 0 ? `${damaged} records are damaged` : undefined,
    lost > 0 ? `${lost} values are lost` : undefined,
    damagedEntries > 0 && lost === 0 ? "records lie under keys that nobody wrote" : undefined,
    unindexed.size + unswept.size > 0 ? `${unindexed.size + unswept.size} rows of the index are missing` : undefined,
    several.size > 0 && lost === 0 ? "the list of keys with several siblings is not that of the entries" : undefined,
  ];
  return parts.filter((part) => part !== undefined).join(", ") || "the keys were miscounted";
}
