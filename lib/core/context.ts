/**
 * A context is the set of all dots that a replica has ever seen: a version vector plus exceptions.
 *
 * It is the whole memory of a deletion. A dot that is in the context and not live was superseded or deleted, so nothing has to be
 * kept for a deleted key: no tombstone, nothing to collect.
 *
 * Each incarnation's counters are kept as sorted, disjoint, non-adjacent ranges [from, to]. In ordinary life that is one
 * range [1, n], which is the version vector; a write that arrives before its predecessors adds a range, which is an exception;
 * when the gap fills the ranges merge and the exception is gone. Dots arrive in order nearly always, so `add` looks
 * at the last range first.
 *
 * Laws (held by test/core/context.test.ts): join is commutative, associative and idempotent, and never loses a dot.
 */
import type { Dot, Incarnation } from "./dot.ts";
import { firstRangeEndingAtOrAfter, includes, joined, without, type Ranges } from "./ranges.ts";

export class Context {
  readonly #ranges = new Map<Incarnation, Ranges>();
  #rangeCount = 0;

  /** Builds a context from dots; for tests and small sets. */
  static of(dots: Iterable<Dot>): Context {
    const context = new Context();
    for (const dot of dots) context.add(dot);
    return context;
  }

  get incarnationCount(): number {
    return this.#ranges.size;
  }

  /** Ranges beyond one for each incarnation: what the context costs over a plain version vector. */
  get exceptionCount(): number {
    return this.#rangeCount - this.#ranges.size;
  }

  get isEmpty(): boolean {
    return this.#ranges.size === 0;
  }

  incarnations(): IterableIterator<Incarnation> {
    return this.#ranges.keys();
  }

  /** The ranges of one incarnation as flat pairs. A view: not to be modified, valid until the next change. */
  rangesOf(incarnation: Incarnation): readonly number[] {
    return this.#ranges.get(incarnation) ?? [];
  }

  has(dot: Dot): boolean {
    return this.hasCounter(dot.incarnation, dot.counter);
  }

  hasCounter(incarnation: Incarnation, counter: number): boolean {
    const ranges = this.#ranges.get(incarnation);
    if (ranges === undefined) return false;
    const at = firstRangeEndingAtOrAfter(ranges, counter);
    return at < ranges.length && ranges[at]! <= counter;
  }

  /** The highest counter seen of an incarnation, 0 when there is none. */
  highest(incarnation: Incarnation): number {
    const ranges = this.#ranges.get(incarnation);
    return ranges === undefined ? 0 : ranges[ranges.length - 1]!;
  }

  /** Returns false when the dot was already there. */
  add(dot: Dot): boolean {
    const ranges = this.#ranges.get(dot.incarnation);
    if (ranges !== undefined && ranges[ranges.length - 1] === dot.counter - 1) {
      ranges[ranges.length - 1] = dot.counter;
      return true;
    }
    return this.addRange(dot.incarnation, dot.counter, dot.counter);
  }

  /** Adds the counters from..to, both included. Returns false when all were already there. */
  addRange(incarnation: Incarnation, from: number, to: number): boolean {
    let ranges = this.#ranges.get(incarnation);
    if (ranges === undefined) {
      ranges = [];
      this.#ranges.set(incarnation, ranges);
    }
    const first = firstRangeEndingAtOrAfter(ranges, from - 1);
    if (first < ranges.length && ranges[first]! <= from && ranges[first + 1]! >= to) return false;
    let last = first;
    let low = from;
    let high = to;
    while (last < ranges.length && ranges[last]! <= to + 1) {
      low = Math.min(low, ranges[last]!);
      high = Math.max(high, ranges[last + 1]!);
      last += 2;
    }
    this.#rangeCount += 1 - (last - first) / 2;
    if (first === ranges.length) ranges.push(low, high);
    else ranges.splice(first, last - first, low, high);
    return true;
  }

  /** Takes over the ranges of an incarnation that is not here yet: flat pairs, sorted, disjoint and not adjacent. */
  adopt(incarnation: Incarnation, ranges: Ranges): void {
    this.#replace(incarnation, ranges);
  }

  /** As if the dot had never been seen: what is lost must come again. Returns false when it was not there. */
  remove({ incarnation, counter }: Dot): boolean {
    const ranges = this.#ranges.get(incarnation);
    if (ranges === undefined || !this.hasCounter(incarnation, counter)) return false;
    const left = without(ranges, [counter, counter]);
    this.#replace(incarnation, left);
    if (left.length === 0) this.#ranges.delete(incarnation);
    return true;
  }

  /** Makes this the union of both. */
  join(other: Context): void {
    for (const [incarnation, theirs] of other.#ranges) {
      const mine = this.#ranges.get(incarnation);
      if (mine === undefined) this.#replace(incarnation, theirs.slice());
      else if (theirs[0]! > mine[mine.length - 1]! + 1) this.#append(mine, theirs);
      else if (theirs.length <= 8) for (let i = 0; i < theirs.length; i += 2) this.addRange(incarnation, theirs[i]!, theirs[i + 1]!);
      else this.#replace(incarnation, joined(mine, theirs));
    }
  }

  /** In its place: a large context that is joined piece by piece would be copied once for each. */
  #append(mine: Ranges, later: readonly number[]): void {
    for (const bound of later) mine.push(bound);
    this.#rangeCount += later.length / 2;
  }

  clone(): Context {
    const copy = new Context();
    for (const [incarnation, ranges] of this.#ranges) copy.#replace(incarnation, ranges.slice());
    return copy;
  }

  /** The dots of this that are not in the other. */
  minus(other: Context): Context {
    const rest = new Context();
    for (const [incarnation, mine] of this.#ranges) {
      const left = without(mine, other.#ranges.get(incarnation) ?? []);
      if (left.length > 0) rest.#replace(incarnation, left);
    }
    return rest;
  }

  /** The dots of this that lie in [from, to] of one incarnation, as flat pairs. */
  rangesWithin(incarnation: Incarnation, from: number, to: number): number[] {
    const ranges = this.#ranges.get(incarnation) ?? [];
    const cut: number[] = [];
    for (let i = firstRangeEndingAtOrAfter(ranges, from); i < ranges.length && ranges[i]! <= to; i += 2) {
      cut.push(Math.max(ranges[i]!, from), Math.min(ranges[i + 1]!, to));
    }
    return cut;
  }

  covers(other: Context): boolean {
    for (const [incarnation, theirs] of other.#ranges) {
      const mine = this.#ranges.get(incarnation);
      if (mine === undefined || !includes(mine, theirs)) return false;
    }
    return true;
  }

  overlaps(other: Context): boolean {
    for (const [incarnation, mine] of this.#ranges) {
      const theirs = other.#ranges.get(incarnation);
      if (theirs === undefined) continue;
      for (let i = 0; i < mine.length; i += 2) {
        const at = firstRangeEndingAtOrAfter(theirs, mine[i]!);
        if (at < theirs.length && theirs[at]! <= mine[i + 1]!) return true;
      }
    }
    return false;
  }

  /** How many dots are in it. */
  dotCount(): number {
    let dots = 0;
    for (const ranges of this.#ranges.values()) for (let i = 0; i < ranges.length; i += 2) dots += 1 + ranges[i + 1]! - ranges[i]!;
    return dots;
  }

  equals(other: Context): boolean {
    if (this.#rangeCount !== other.#rangeCount || this.#ranges.size !== other.#ranges.size) return false;
    for (const [incarnation, mine] of this.#ranges) {
      const theirs = other.#ranges.get(incarnation);
      if (theirs?.length !== mine.length) return false;
      for (let i = 0; i < mine.length; i++) if (mine[i] !== theirs[i]) return false;
    }
    return true;
  }

  /**
   * A part of this with at most `exceptionsMax` exceptions, for messages that only need a lower bound: to know fewer dots as seen
   * is always safe, it merely sends or keeps more than necessary.
   */
  lowerBound(exceptionsMax: number): Context {
    if (this.exceptionCount <= exceptionsMax) return this;
    const bound = new Context();
    let left = exceptionsMax;
    for (const [incarnation, ranges] of this.#ranges) {
      const kept = ranges.slice(0, 2 + 2 * Math.min(left, ranges.length / 2 - 1));
      left -= kept.length / 2 - 1;
      bound.#replace(incarnation, kept);
    }
    return bound;
  }

  *dots(): Generator<Dot> {
    for (const [incarnation, ranges] of this.#ranges) {
      for (let i = 0; i < ranges.length; i += 2) {
        for (let counter = ranges[i]!; counter <= ranges[i + 1]!; counter++) yield { incarnation, counter };
      }
    }
  }

  /** So many of its dots, or all when it has fewer. */
  firstDots(dotsMax: number): Context {
    const first = new Context();
    let left = dotsMax;
    for (const [incarnation, ranges] of this.#ranges) {
      for (let i = 0; i < ranges.length && left > 0; i += 2) {
        const to = Math.min(ranges[i + 1]!, ranges[i]! + left - 1);
        first.addRange(incarnation, ranges[i]!, to);
        left -= to - ranges[i]! + 1;
      }
    }
    return first;
  }

  #replace(incarnation: Incarnation, ranges: Ranges): void {
    this.#rangeCount += (ranges.length - (this.#ranges.get(incarnation)?.length ?? 0)) / 2;
    this.#ranges.set(incarnation, ranges);
  }
}
