/**
 * What clients have written and read, and what therefore may be seen: the checker of the suites over real processes.
 *
 * Every value is written once, so that a value names its write. A write says which values it has seen (the token of a read names them exactly) or it
 * was blind: then it replaced what its node held, which is all that this node had acknowledged or shown before, and perhaps more. From that:
 *
 * - a value that nobody wrote is never shown;
 * - at the node that acknowledged a write it is shown from then on, until a write that saw it, or may have;
 * - a value that an acknowledged write saw is not shown any more at that node, and in the end at none;
 * - in the end, each acknowledged value is shown by all nodes unless a write saw it, or may have.
 *
 * Time is a count of events: the clients live in one process, so their order is known. A write without an answer may be there or not, for ever.
 */
export type Outcome = "under way" | "acknowledged" | "unknown" | "refused";

export interface Write {
  readonly node: number;
  readonly key: string;
  /** Undefined for a deletion. */
  readonly value: string | undefined;
  /** What it certainly replaces, if it takes place. */
  readonly saw: ReadonlySet<string>;
  readonly isBlind: boolean;
  readonly begun: number;
  ended: number;
  outcome: Outcome;
}

interface KeyHistory {
  readonly writes: Write[];
  readonly byValue: Map<string, Write>;
  /** For each node the values that it has acknowledged or shown: it holds them, or knows that they are gone. */
  readonly knownAt: Map<number, Set<string>>;
  readonly acknowledgedAt: Map<number, Write[]>;
}

export interface LedgerCounts {
  readonly writes: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly reads: number;
}

export class Ledger {
  readonly broken: string[] = [];
  readonly #keys = new Map<string, KeyHistory>();
  #now = 0;
  #reads = 0;

  /** The time now, for a read that begins. */
  now(): number {
    return ++this.#now;
  }

  begin(node: number, key: string, value: string | undefined, saw: readonly string[] | "what is there"): Write {
    const history = this.#history(key);
    const isBlind = saw === "what is there";
    const seen = new Set(isBlind ? history.knownAt.get(node) : saw);
    const write: Write = { node, key, value, saw: seen, isBlind, begun: ++this.#now, ended: Infinity, outcome: "under way" };
    history.writes.push(write);
    if (value !== undefined) history.byValue.set(value, write);
    return write;
  }

  end(write: Write, outcome: Exclude<Outcome, "under way">): void {
    write.outcome = outcome;
    write.ended = ++this.#now;
    if (outcome !== "acknowledged") return;
    if (write.value === undefined) return;
    const { knownAt, acknowledgedAt } = this.#history(write.key);
    setAt(knownAt, write.node).add(write.value);
    acknowledgedAt.set(write.node, [...(acknowledgedAt.get(write.node) ?? []), write]);
  }

  /** What one node showed of a key, in answer to a read that began at that time. */
  read(node: number, key: string, shown: readonly string[], begun: number): void {
    this.#reads++;
    const history = this.#history(key);
    this.#checkWritten(`node ${node} shows`, key, shown);
    for (const value of shown) {
      const killer = history.writes.find(
        (write) => write.outcome === "acknowledged" && write.node === node && write.ended < begun && write.saw.has(value),
      );
      if (killer !== undefined)
        this.broken.push(`${key}: node ${node} shows ${value} again, after it had acknowledged ${describe(killer)}`);
    }
    for (const write of history.acknowledgedAt.get(node) ?? []) {
      if (write.ended < begun && !shown.includes(write.value!) && !this.#mayBeGone(write))
        this.broken.push(`${key}: node ${node} does not show ${describe(write)}, which it has acknowledged`);
    }
    for (const value of shown) setAt(history.knownAt, node).add(value);
  }

  /** What all nodes show when they have come to agree and no client writes. */
  settle(contents: ReadonlyMap<string, readonly string[]>): void {
    for (const [key, history] of this.#keys) {
      const shown = contents.get(key) ?? [];
      this.#checkWritten("all nodes show", key, shown);
      for (const write of history.writes) {
        if (write.outcome !== "acknowledged") continue;
        const back = shown.find((value) => write.saw.has(value));
        if (back !== undefined) this.broken.push(`${key}: ${back} came back after ${describe(write)}`);
        const { value } = write;
        if (value !== undefined && !shown.includes(value) && !this.#mayBeGone(write))
          this.broken.push(`${key}: ${describe(write)} is lost`);
      }
    }
  }

  /** Every key that was ever written to. */
  keys(): string[] {
    return [...this.#keys.keys()];
  }

  counts(): LedgerCounts {
    const writes = [...this.#keys.values()].flatMap((history) => history.writes);
    const of = (outcome: Outcome): number => writes.filter((write) => write.outcome === outcome).length;
    return { writes: writes.length, acknowledged: of("acknowledged"), unknown: of("unknown"), reads: this.#reads };
  }

  #checkWritten(who: string, key: string, shown: readonly string[]): void {
    for (const value of shown) {
      const write = this.#history(key).byValue.get(value);
      if (write === undefined) this.broken.push(`${key}: ${who} ${value}, which nobody wrote there`);
      else if (write.outcome === "refused") this.broken.push(`${key}: ${who} ${value}, which was refused`);
    }
  }

  /** Whether some other write saw this one, or may have: it need not be shown then. */
  #mayBeGone(gone: Write): boolean {
    return this.#history(gone.key).writes.some(
      (write) =>
        write !== gone && write.outcome !== "refused" && (write.saw.has(gone.value!) || (write.isBlind && write.ended > gone.begun)),
    );
  }

  #history(key: string): KeyHistory {
    let history = this.#keys.get(key);
    if (history === undefined) {
      history = { writes: [], byValue: new Map(), knownAt: new Map(), acknowledgedAt: new Map() };
      this.#keys.set(key, history);
    }
    return history;
  }
}

function describe({ node, value, saw, isBlind }: Write): string {
  const seen = saw.size === 0 ? "" : ` over ${[...saw].slice(-3).join(", ")}`;
  return `${isBlind ? "the blind " : "the "}${value === undefined ? "deletion" : `write of ${value}`} at node ${node}${seen}`;
}

function setAt(map: Map<number, Set<string>>, node: number): Set<string> {
  let set = map.get(node);
  if (set === undefined) map.set(node, (set = new Set()));
  return set;
}
