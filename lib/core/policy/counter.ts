/**
 * A counter as the policy `counter` stores it: what each incarnation has added, so that increments of all sides add up.
 *
 * An incarnation's share only it changes, and each of its writes carries a higher counter than the last; of two shares the one with
 * the higher counter has therefore seen the other, and to merge is to take it (a PN-counter; Shapiro and others, 2011). A number
 * that was there before the key was counted is a share of its own, named by its dot, so that two nodes which begin to count from it
 * at once count it once.
 */
import { formatDot, formatIncarnation, type Dot } from "../dot.ts";
import { validateJson } from "../json.ts";
import { elementsOf, propertiesOf } from "./slices.ts";

interface Share {
  /** Of the dot of the write that changed it last. */
  readonly counter: number;
  /** Of any size: shares may be far apart and their total small. */
  readonly sum: bigint;
}

/** By incarnation in hexadecimal, or by dot for a number that was found. */
export type Shares = ReadonlyMap<string, Share>;

export function joinShares(counters: readonly Shares[]): Shares {
  const joined = new Map<string, Share>();
  for (const shares of counters) {
    for (const [name, share] of shares) if (share.counter > (joined.get(name)?.counter ?? 0)) joined.set(name, share);
  }
  return joined;
}

/** A safe integer, or undefined when the shares add up to more than one holds. */
export function totalOf(shares: Shares): number | undefined {
  let total = 0n;
  for (const { sum } of shares.values()) total += sum;
  const number = Number(total);
  return Number.isSafeInteger(number) ? number : undefined;
}

export function addShare(shares: Shares, dot: Dot, by: number): Shares {
  const name = formatIncarnation(dot.incarnation);
  return new Map(shares).set(name, { counter: dot.counter, sum: (shares.get(name)?.sum ?? 0n) + BigInt(by) });
}

/** A plain number that a write put there. */
export function foundNumber(dot: Dot, number: number): Shares {
  return new Map([[formatDot(dot), { counter: dot.counter, sum: BigInt(number) }]]);
}

/** `{"shares":{"<incarnation>":[<counter>,<sum>],…}}`. */
export function encodeShares(shares: Shares): string {
  const texts = [...shares].map(([name, { counter, sum }]) => `${JSON.stringify(name)}:[${counter},${sum}]`).sort();
  return `{"shares":{${texts.join(",")}}}`;
}

/** Undefined for what no encodeShares made. */
export function decodeShares(text: string): Shares | undefined {
  const checked = validateJson(text);
  const [only, ...others] = checked.ok ? (propertiesOf(checked.text) ?? []) : [];
  if (only?.name !== '"shares"' || others.length > 0) return undefined;
  const shares = new Map<string, Share>();
  for (const { name, value } of propertiesOf(only.value) ?? []) {
    const [counter = "", sum = "", ...more] = elementsOf(value) ?? [];
    if (!NAME.test(name) || !COUNTER.test(counter) || !SUM.test(sum) || more.length > 0) return undefined;
    shares.set(name.slice(1, -1), { counter: Number(counter), sum: BigInt(sum) });
  }
  return shares;
}

const NAME = /^"[0-9a-f]{16}(:[1-9][0-9]{0,9})?"$/;
const COUNTER = /^[1-9][0-9]{0,9}$/;
const SUM = /^(0|-?[1-9][0-9]{0,39})$/;

/** The safe integer that a JSON text is; undefined when it is another number or none. */
export function integerOf(json: string): number | undefined {
  const number = /^-?[0-9]/.test(json) ? Number(json) : NaN;
  return Number.isSafeInteger(number) ? number : undefined;
}
