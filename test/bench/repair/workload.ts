/**
 * What the two sides hold before, and what each changes while it cannot see the other: the same for every system, from one seed.
 *
 *   random       keys picked at random, each overwritten once: half of them on one side, half on the other
 *   clustered    the same with keys that are neighbours in key order
 *   one-sided    new keys, on one side alone
 *   overwritten  keys picked at random, each overwritten ten times, on one side alone
 *   deleted      keys picked at random and deleted: half of them on one side, half on the other
 *
 * No key is changed on both sides: what becomes of true conflicts is a matter of taste, and the systems' tastes differ.
 */
import { createRandom } from "../../support/chance.ts";

export const SHAPES = ["random", "clustered", "one-sided", "overwritten", "deleted"] as const;

export type Shape = (typeof SHAPES)[number];

/** `undefined` deletes the key. */
export interface Change {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Workload {
  /** What both sides hold and have synced, in key order. */
  readonly before: ReadonlyMap<string, string>;
  /** What each side then does on its own, round after round; no round holds a key twice. */
  readonly rounds: Readonly<Record<Side, readonly (readonly Change[])[]>>;
  /** What both sides must hold in the end. */
  readonly after: ReadonlyMap<string, string>;
  /** Bytes of the keys and values that at least have to cross; of a deletion the key alone. */
  readonly payloadBytes: number;
}

export type Side = "a" | "b";

export interface WorkloadOptions {
  readonly shape: Shape;
  readonly keys: number;
  /** Keys that differ afterwards. */
  readonly changes: number;
  readonly seed: number;
}

/** A short record of JSON: the length of the other benches' values. */
const VALUE_CHARS = 80;

/** Enough to show what a system carries of a history that nobody asked for. */
const OVERWRITES = 10;

const ALPHABET = "abcdefghijklmnopqrstuvwxyz012345";

export function createWorkload({ shape, keys, changes, seed }: WorkloadOptions): Workload {
  const random = createRandom(seed);
  const uint32 = (): number => random.uint32();
  const value = (): string => Array.from({ length: VALUE_CHARS }, () => ALPHABET[uint32() % ALPHABET.length]).join("");
  const names = Array.from({ length: keys }, (_, i) => `key${String(i).padStart(8, "0")}`);
  const before = new Map(names.map((key) => [key, value()]));
  const put = (key: string): Change => ({ key, value: value() });
  const chosen = shape === "clustered" ? neighbours(names, changes, uint32) : picked(names, changes, uint32);
  const rounds = roundsOf(shape, chosen, put);

  const last = new Map([...rounds.a, ...rounds.b].flat().map((change) => [change.key, change.value]));
  const after = new Map(before);
  for (const [key, latest] of last) if (latest === undefined) after.delete(key);
  for (const [key, latest] of last) if (latest !== undefined) after.set(key, latest);
  const payloadBytes = [...last].reduce((sum, [key, latest = ""]) => sum + key.length + latest.length, 0);
  return { before, rounds, after, payloadBytes };
}

function roundsOf(shape: Shape, chosen: readonly string[], put: (key: string) => Change): Workload["rounds"] {
  const half = Math.ceil(chosen.length / 2);
  const [first, second] = [chosen.slice(0, half), chosen.slice(half)];
  switch (shape) {
    case "random":
    case "clustered":
      return { a: [first.map(put)], b: [second.map(put)] };
    case "one-sided":
      return { a: [chosen.map((key) => put(`${key}.new`))], b: [] };
    case "overwritten":
      return { a: Array.from({ length: OVERWRITES }, () => chosen.map(put)), b: [] };
    case "deleted":
      return { a: [first.map(removed)], b: [second.map(removed)] };
  }
}

function removed(key: string): Change {
  return { key, value: undefined };
}

function neighbours(names: readonly string[], count: number, uint32: () => number): string[] {
  const from = uint32() % (names.length - count + 1);
  return names.slice(from, from + count);
}

function picked(names: readonly string[], count: number, uint32: () => number): string[] {
  const found = new Set<string>();
  while (found.size < count) found.add(names[uint32() % names.length]!);
  return [...found];
}
