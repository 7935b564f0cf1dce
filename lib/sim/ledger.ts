/**
 * What really happened, as nobody inside the cluster knows it: every write and deletion that any node ever issued, what it had seen, and
 * whether it must be visible once all nodes have met.
 *
 * While no disk loses anything the rule is simple: a durable write is live until one that had seen it is durable. A lost disk is the
 * hard part. What only that disk knew is gone, be it a write or a deletion; so what must be visible is computed anew from
 * what all remaining disks hold together, by the rule of merging. Frames that are still on their way may bring back what was lost, or not:
 * what a loss has changed is uncertain, and both outcomes are right. Nothing else is forgiven.
 */
import { dotKey, type Dot, type DotKey, type Incarnation } from "../core/dot.ts";
import type { Sibling } from "../core/entry.ts";
import type { EntryKey } from "../core/layout.ts";

export interface WriteRecord {
  readonly id: DotKey;
  readonly dot: Dot;
  readonly key: EntryKey;
  readonly node: string;
  /** The life of the node that issued it. */
  readonly life: object;
  /** Undefined for a deletion. */
  readonly sibling: Sibling | undefined;
  readonly observed: readonly Dot[];
  /** Void: the batch was lost in a crash, and nobody may ever hear of it. */
  state: "volatile" | "durable" | "void";
  /** What a cluster whose nodes have all met must say of it. */
  fate: "unknown" | "live" | "gone";
  /** A lost disk changed its fate, and frames on their way may change it back. */
  uncertain: boolean;
  acknowledged: boolean;
}

/** What one disk holds. */
export interface Holding {
  knows(dot: Dot): boolean;
  isLive(dot: Dot): boolean;
}

export class Ledger {
  readonly records: WriteRecord[] = [];
  readonly #byId = new Map<DotKey, WriteRecord>();
  readonly #superseders = new Map<DotKey, WriteRecord[]>();
  readonly #labels = new Map<Incarnation, string>();
  readonly #labelsOfNode = new Map<string, number>();

  find(dot: Dot): WriteRecord | undefined {
    return this.#byId.get(dotKey(dot.incarnation, dot.counter));
  }

  /** A node issued a dot. Returns undefined when that dot was issued before. */
  issue(input: Pick<WriteRecord, "dot" | "key" | "node" | "life" | "sibling" | "observed">): WriteRecord | undefined {
    const id = dotKey(input.dot.incarnation, input.dot.counter);
    if (this.#byId.has(id)) return undefined;
    const record: WriteRecord = { ...input, id, state: "volatile", fate: "unknown", uncertain: false, acknowledged: false };
    this.records.push(record);
    this.#byId.set(id, record);
    for (const dot of input.observed) {
      const seen = dotKey(dot.incarnation, dot.counter);
      const superseders = this.#superseders.get(seen);
      if (superseders === undefined) this.#superseders.set(seen, [record]);
      else superseders.push(record);
    }
    return record;
  }

  /** Somebody wrote or deleted having seen it, and that is durable, or happens in this very life. */
  isSuperseded(dot: Dot, life: object | undefined): boolean {
    const superseders = this.#superseders.get(dotKey(dot.incarnation, dot.counter));
    return superseders?.some(({ state, life: other }) => state === "durable" || (state === "volatile" && other === life)) === true;
  }

  settle(record: WriteRecord, durable: boolean): void {
    record.state = durable ? "durable" : "void";
    if (!durable) return;
    record.fate = record.sibling === undefined ? "gone" : "live";
    for (const dot of record.observed) {
      const seen = this.find(dot);
      if (seen === undefined) continue;
      seen.fate = "gone";
      seen.uncertain = false;
    }
  }

  /** A disk lost something: what must be visible is now what all disks together say. Returns the acknowledged records that changed. */
  recompute(holdings: readonly Holding[]): { lost: WriteRecord[]; returned: WriteRecord[] } {
    const lost: WriteRecord[] = [];
    const returned: WriteRecord[] = [];
    for (const record of this.records) {
      if (record.state !== "durable") continue;
      const fate = fateOf(record, holdings);
      if (fate === record.fate) continue;
      if (fate === "unknown" && record.acknowledged) lost.push(record);
      if (fate === "live" && record.fate === "gone") returned.push(record);
      record.fate = fate;
      record.uncertain = true;
    }
    return { lost, returned };
  }

  /** `n2.3:17`: the seventeenth write of the third incarnation of n2. */
  label(dot: Dot): string {
    return `${this.#labels.get(dot.incarnation) ?? "?"}:${dot.counter}`;
  }

  /** Returns true when the incarnation is a new one. */
  name(incarnation: Incarnation, node: string): boolean {
    if (this.#labels.has(incarnation)) return false;
    const number = (this.#labelsOfNode.get(node) ?? 0) + 1;
    this.#labelsOfNode.set(node, number);
    this.#labels.set(incarnation, `${node}.${number}`);
    return true;
  }
}

function fateOf({ dot, sibling }: WriteRecord, holdings: readonly Holding[]): WriteRecord["fate"] {
  let known = false;
  let live = false;
  for (const holding of holdings) {
    if (!holding.knows(dot)) continue;
    known = true;
    if (!holding.isLive(dot)) return "gone";
    live = true;
  }
  if (!known) return "unknown";
  return live && sibling !== undefined ? "live" : "gone";
}
