/**
 * Keys whose policy merges, and what clients were promised of them: nothing that was added is lost, and nothing counts twice.
 *
 *   a counter   what was acknowledged ≤ what it shows ≤ what was attempted
 *   a set       each element that was acknowledged is there: nobody here takes one out that they had read
 *
 * How shares add up is written here once more, on purpose. When a disk was lost only the first and the last of these promises hold of what
 * remains, and neither is judged.
 */
import type { Dot } from "../core/dot.ts";
import type { Sibling } from "../core/entry.ts";
import { Policies } from "../core/policy/names.ts";
import type { Coverage } from "./coverage.ts";
import type { PlannedPart } from "./plan.ts";

export const SIM_POLICIES = new Policies([
  { prefix: "count/", policy: "counter" },
  { prefix: "set/", policy: "union" },
]);

export const MERGING_KEYS = ["count/a", "count/a", "count/b", "set/a", "set/a", "set/b", "count/expiring", "set/expiring"] as const;

export function isMerging(key: string): boolean {
  return key.startsWith("count/") || key.startsWith("set/");
}

/** What a reading of a key is good for. */
interface Reading {
  readonly token: string;
  readonly dots: readonly Dot[];
}

/** Who is told what was found. */
interface Judge {
  readonly coverage: Coverage;
  readonly lastLossMs: number;
  fail(check: string, detail: string): void;
}

/** What a client puts into a set, and the token that it gives. */
export interface Addition {
  readonly value: Uint8Array;
  readonly reading: Reading | undefined;
}

export interface Seen {
  readonly elements: readonly number[];
  readonly reading: Reading;
}

export class Merging {
  readonly #attempted = new Map<string, number>();
  readonly #acknowledged = new Map<string, number>();
  readonly #elements = new Map<string, number[]>();
  /** What some client last read of a set. */
  readonly #seen = new Map<string, Seen>();

  /** How much the operation adds: told by its number, so that what is missing shows whose it is. */
  attempt(key: string, id: number): number {
    const by = 1 + (id % 7);
    this.#attempted.set(key, (this.#attempted.get(key) ?? 0) + by);
    return by;
  }

  /** The element beside all that the client has read, now or some time ago; so it removes nothing. */
  addTo({ key, token }: PlannedPart, id: number, read: () => Seen | undefined): Addition {
    const old = this.#seen.get(key);
    const seen = token === "old" && old !== undefined ? old : read();
    if (seen !== undefined) this.#seen.set(key, seen);
    return { value: Buffer.from(JSON.stringify([...(seen?.elements ?? []), id])), reading: seen?.reading };
  }

  acknowledge({ key, kind }: PlannedPart, id: number): void {
    if (kind === "increment") this.#acknowledged.set(key, (this.#acknowledged.get(key) ?? 0) + 1 + (id % 7));
    if (kind === "add") this.#elements.set(key, [...(this.#elements.get(key) ?? []), id]);
  }

  /** What one node shows of siblings that have not expired. */
  checkShown(world: Judge, node: string, key: string, alive: readonly Sibling[], shown: Uint8Array | undefined): void {
    const text = shown === undefined ? undefined : Buffer.from(shown).toString("utf8");
    const isRight = key.startsWith("count/") ? text === countOf(alive) : (text === undefined) === (alive.length === 0);
    if (!isRight) world.fail("wrong-value-shown", `${node} shows ${text} for ${key}, not ${countOf(alive)}`);
  }

  /** All nodes are equal. */
  checkEnd(world: Judge, textsOf: (key: string) => readonly (string | undefined)[]): void {
    for (const key of new Set(MERGING_KEYS)) {
      if (key.endsWith("expiring")) continue;
      const texts = textsOf(key);
      if (texts.some((text) => text !== texts[0])) world.fail("shown-differently", `${key} is ${texts.join(" and ")}`);
      if (world.lastLossMs !== -Infinity) continue;
      if (key.startsWith("count/")) this.#checkCount(world, key, Number(texts[0] ?? 0));
      else this.#checkSet(world, key, JSON.parse(texts[0] ?? "[]") as number[]);
    }
  }

  #checkCount(world: Judge, key: string, total: number): void {
    const [least, most] = [this.#acknowledged.get(key) ?? 0, this.#attempted.get(key) ?? 0];
    if (total < least || total > most) world.fail("miscounted", `${key} shows ${total}; ${least} were acknowledged, ${most} attempted`);
    if (total > 0) world.coverage.count("counters-added-up");
  }

  #checkSet(world: Judge, key: string, elements: readonly number[]): void {
    const wanted = this.#elements.get(key) ?? [];
    const missing = wanted.filter((id) => !elements.includes(id));
    if (missing.length > 0) world.fail("element-lost", `${key} lacks ${missing.map((id) => `#${id}`).join(" ")}, which nobody took out`);
    if (wanted.length > 1) world.coverage.count("sets-complete");
  }
}

/** Of each incarnation's shares the one with the highest number; all of them added up. */
function countOf(alive: readonly Sibling[]): string | undefined {
  const latest = new Map<string, readonly [number, number]>();
  for (const { value } of alive) {
    const { shares = {} } = JSON.parse(Buffer.from(value).toString("utf8")) as { shares?: Record<string, [number, number]> };
    for (const [name, share] of Object.entries(shares)) if (share[0] > (latest.get(name)?.[0] ?? 0)) latest.set(name, share);
  }
  return alive.length === 0 ? undefined : String([...latest.values()].reduce((sum, [, part]) => sum + part, 0));
}
