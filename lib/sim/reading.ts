/**
 * What a client sees when it reads, held against the disk: only what is durable, and among concurrent values the one that the stated
 * rule picks. The rule is written here once more, on purpose: a check that calls the code under test agrees with it whatever it does.
 */
import { decodeSiblings } from "../core/codec.ts";
import { dotsOf, type Sibling } from "../core/entry.ts";
import { entryAt, keyToBytes } from "../core/layout.ts";
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
  const shown = machine.life.kv.get(key);
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

/** The later stamp, then the greater name of the writer, then the greater dot. */
function isShownBefore(a: Sibling, b: Sibling): boolean {
  if (a.stamp.ms !== b.stamp.ms) return a.stamp.ms > b.stamp.ms;
  if (a.stamp.tick !== b.stamp.tick) return a.stamp.tick > b.stamp.tick;
  if (a.writer !== b.writer) return a.writer > b.writer;
  return a.dot.incarnation === b.dot.incarnation ? a.dot.counter > b.dot.counter : a.dot.incarnation > b.dot.incarnation;
}
