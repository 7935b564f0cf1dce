/**
 * Whole states (entries and context), made as replicas make them: by writes that have seen something, and by merges of whole states. The
 * laws of merging hold for these. They do not hold for entries and contexts that were thrown together: a context that knows a dot and an
 * entry that should hold it and does not is a deletion.
 */
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import { formatDot, type Dot } from "../../lib/core/dot.ts";
import { dotsOf, merge, NO_SIBLINGS, remove, write, type Sibling, type Siblings } from "../../lib/core/entry.ts";

export interface State {
  readonly entries: ReadonlyMap<string, Siblings>;
  readonly context: Context;
}

export const EMPTY: State = { entries: new Map(), context: new Context() };

export function mergeStates(a: State, b: State): State {
  const entries = new Map<string, Siblings>();
  for (const key of new Set([...a.entries.keys(), ...b.entries.keys()])) {
    const merged = merge(a.entries.get(key) ?? NO_SIBLINGS, a.context, b.entries.get(key) ?? NO_SIBLINGS, b.context);
    if (merged.length > 0) entries.set(key, merged);
  }
  const context = a.context.clone();
  context.join(b.context);
  return { entries, context };
}

/** In a form in which equal states are equal. */
export function shownState({ entries, context }: State): unknown {
  return {
    entries: [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, siblings]) => [key, siblings.map(({ dot }) => formatDot(dot))]),
    context: [...context.incarnations()].sort().map((incarnation) => [incarnation, ...context.rangesOf(incarnation)]),
  };
}

export function createSibling(dot: Dot, more: Partial<Sibling> = {}): Sibling {
  const digest = formatDot(dot).padEnd(16).slice(0, 16);
  return { dot, stamp: { ms: 1, tick: 0 }, expiresAtMs: 0, writer: "a", contentType: "", value: Buffer.from("1"), digest, ...more };
}

const REPLICAS = ["aaaaaaaa", "bbbbbbbb", "cccccccc"] as const;
const replica = fc.nat({ max: REPLICAS.length - 1 });
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom("write", "write blindly", "delete"), by: replica, key: fc.constantFrom("k", "l") }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("merge"), by: replica, with: replica }) },
);
type Step = { readonly do: string; readonly by: number; readonly key?: "k" | "l"; readonly with?: number };

/** Every state that one of three replicas went through during a random history, in order. */
export const anyHistory: fc.Arbitrary<readonly State[]> = fc.array(step, { maxLength: 30, size: "max" }).map((steps: readonly Step[]) => {
  const states: State[] = REPLICAS.map(() => EMPTY);
  const past: State[] = [EMPTY];
  for (const one of steps) {
    const before = states[one.by]!;
    const after = one.key === undefined ? mergeStates(before, states[one.with!]!) : changed(before, REPLICAS[one.by]!, one.key, one.do);
    states[one.by] = after;
    past.push(after);
  }
  return past;
});

function changed({ entries, context }: State, incarnation: string, key: string, what: string): State {
  const siblings = entries.get(key) ?? NO_SIBLINGS;
  const dot = { incarnation, counter: context.highest(incarnation) + 1 };
  // A blind write has seen none of the siblings: so siblings come about within one replica too.
  const observed = what === "write blindly" ? [] : dotsOf(siblings);
  const after = what === "delete" ? remove(siblings, observed) : write(siblings, observed, createSibling(dot));
  const seen = context.clone();
  for (const one of [dot, ...observed]) seen.add(one);
  const next = new Map(entries).set(key, after);
  if (after.length === 0) next.delete(key);
  return { entries: next, context: seen };
}
