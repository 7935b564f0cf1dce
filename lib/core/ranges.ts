/**
 * The counters of one incarnation as sorted, disjoint and not adjacent ranges, and their arithmetic: what a context is made of.
 *
 * A context that was rebuilt from entries may have a hundred thousand of them, while what is put in or taken out mostly lies in one place.
 * So what lies elsewhere is copied as it is, which costs a hundredth of looking at it.
 */

/** Flat pairs: from, to, from, to, … */
export type Ranges = number[];

/** Index of the first range whose end is at or after the counter; the length when there is none. */
export function firstRangeEndingAtOrAfter(ranges: readonly number[], counter: number): number {
  let low = 0;
  let high = ranges.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[2 * middle + 1]! < counter) low = middle + 1;
    else high = middle;
  }
  return 2 * low;
}

/** Whether each range of `b` lies in one of `a`. */
export function includes(a: readonly number[], b: readonly number[]): boolean {
  let i = 0;
  for (let j = 0; j < b.length; j += 2) {
    while (i < a.length && a[i + 1]! < b[j + 1]!) i += 2;
    if (i >= a.length || a[i]! > b[j]!) return false;
  }
  return true;
}

/** Of a large context only the part is gone through in which a small one lies. `b` is not empty. */
export function joined(a: readonly number[], b: readonly number[]): Ranges {
  const from = firstRangeEndingAtOrAfter(a, b[0]! - 1);
  const to = endOfRangesBeginningBefore(a, b[b.length - 1]! + 2);
  return from >= to ? a.slice(0, from).concat(b, a.slice(from)) : a.slice(0, from).concat(union(a.slice(from, to), b), a.slice(to));
}

/** The same for the ranges of `a` that are not in `b`, which may be empty. */
export function without(a: readonly number[], b: readonly number[]): Ranges {
  if (b.length === 0) return a.slice();
  const from = firstRangeEndingAtOrAfter(a, b[0]!);
  const to = endOfRangesBeginningBefore(a, b[b.length - 1]! + 1);
  return from >= to ? a.slice() : a.slice(0, from).concat(subtract(a.slice(from, to), b), a.slice(to));
}

function endOfRangesBeginningBefore(ranges: readonly number[], counter: number): number {
  const at = firstRangeEndingAtOrAfter(ranges, counter);
  return at < ranges.length && ranges[at]! < counter ? at + 2 : at;
}

function union(a: readonly number[], b: readonly number[]): Ranges {
  const out: Ranges = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const takeA = j >= b.length || (i < a.length && a[i]! <= b[j]!);
    const from = takeA ? a[i]! : b[j]!;
    const to = takeA ? a[i + 1]! : b[j + 1]!;
    if (takeA) i += 2;
    else j += 2;
    if (out.length > 0 && from <= out[out.length - 1]! + 1) out[out.length - 1] = Math.max(out[out.length - 1]!, to);
    else out.push(from, to);
  }
  return out;
}

function subtract(a: readonly number[], b: readonly number[]): Ranges {
  const out: Ranges = [];
  let j = a.length === 0 ? 0 : firstRangeEndingAtOrAfter(b, a[0]!);
  for (let i = 0; i < a.length; i += 2) {
    let from = a[i]!;
    const to = a[i + 1]!;
    while (j < b.length && b[j + 1]! < from) j += 2;
    for (let k = j; k < b.length && b[k]! <= to; k += 2) {
      if (b[k]! > from) out.push(from, b[k]! - 1);
      from = b[k + 1]! + 1;
    }
    if (from <= to) out.push(from, to);
  }
  return out;
}
