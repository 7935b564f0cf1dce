/**
 * What a client sees when it reads, held against the disk: only what is durable, and among concurrent values the one that the stated
 * rule picks. The rule is written here once more, on purpose: a check that calls the code under test agrees with it whatever it does.
 */
import { decodeSiblings } from "../core/codec.ts";
import { dotsOf, type Sibling } from "../core/entry.ts";
import { ConcordError } from "../core/errors.ts";
import type { Kv, KvValue } from "../core/kv.ts";
import { entryAt, keyToBytes, markAt } from "../core/layout.ts";
import type { Dot } from "../core/dot.ts";
import { isMerging } from "./merging.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

export interface Reading {
  readonly token: string;
  readonly dots: readonly Dot[];
  /** What a condition names, and the dots that it stands for; undefined for what was learned from a receipt. */
  readonly shown?: { readonly tag: string; readonly dots: readonly Dot[] };
}

/** Undefined when no node runs there, or the key holds nothing to show. */
export function read(world: World, machine: Machine, key: string): Reading | undefined {
  if (machine.life === undefined) return undefined;
  const answer = ask(world, machine, machine.life.kv, key);
  if (answer === "refused") return undefined;
  const { shown } = answer;
  const record = machine.disk.get(entryAt(keyToBytes(key)));
  const siblings = record === undefined ? [] : decodeSiblings(record);
  const nowMs = machine.clock.now().wallMs;
  const alive = siblings.filter((sibling) => sibling.expiresAtMs === 0 || sibling.expiresAtMs > nowMs);
  if (alive.length < siblings.length) world.coverage.count("read-expired");
  if (alive.length > 1) world.coverage.count("siblings-merged");
  const expected = alive.reduce<Sibling | undefined>(
    (best, other) => (best === undefined || isShownBefore(other, best) ? other : best),
    undefined,
  );
  if (isMerging(keyToBytes(key))) {
    world.merging.checkShown(world, machine.name, key, alive, shown?.value);
    return shown === undefined ? undefined : { token: shown.token, dots: dotsOf(siblings) };
  }
  const differs =
    shown === undefined || expected === undefined
      ? shown !== expected
      : shown.writer !== expected.writer || shown.writtenMs !== expected.stamp.ms || !Buffer.from(shown.value).equals(expected.value);
  if (differs) world.fail("wrong-value-shown", `${machine.name} shows ${shown?.writer} ${shown?.writtenMs} for ${key}`);
  return shown === undefined ? undefined : { token: shown.token, dots: dotsOf(siblings), shown: { tag: shown.tag, dots: dotsOf(alive) } };
}

/** What the disk has lost is refused, neither shown nor said to be missing, until it is known again. Nothing else is refused. */
function ask(world: World, { name, disk }: Machine, kv: Pick<Kv, "get">, key: string): { readonly shown: KvValue | undefined } | "refused" {
  const bytes = keyToBytes(key);
  const isLost = disk.damage.lostOf(bytes).some((dot) => !disk.knows(dot));
  try {
    const shown = kv.get(key);
    if (shown === undefined && isLost)
      world.fail("lost-said-to-be-missing", `${name} says that ${key} is not there, and its disk has lost it`);
    return { shown };
  } catch (error) {
    if (!(error instanceof ConcordError) || error.code !== "damaged") throw error;
    world.coverage.count("read-refused");
    if (disk.damage.size === 0 && disk.get(markAt(bytes)) === undefined) world.fail("needless-refusal", `${name} does not show ${key}`);
    return "refused";
  }
}

/** The later stamp, then the greater name of the writer, then the greater dot. */
function isShownBefore(a: Sibling, b: Sibling): boolean {
  if (a.stamp.ms !== b.stamp.ms) return a.stamp.ms > b.stamp.ms;
  if (a.stamp.tick !== b.stamp.tick) return a.stamp.tick > b.stamp.tick;
  if (a.writer !== b.writer) return a.writer > b.writer;
  return a.dot.incarnation === b.dot.incarnation ? a.dot.counter > b.dot.counter : a.dot.incarnation > b.dot.incarnation;
}
