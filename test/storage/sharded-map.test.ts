/** The shards of the map in memory: which keys they get, and that they do not grow all at once. */
import test from "ava";
import { dotKey } from "../../lib/core/dot.ts";
import { shardOf, ShardedMap } from "../../lib/storage/sharded-map.ts";

const KEYS = 200_000;
/** Of the whole: a batch of a join has some six thousand rows, and a million keys some two million. */
const STEP = 0.01;
/** Were they alike, nearly all would. */
const AT_ONCE_MAX = 0.12;

const kinds: Readonly<Record<string, (i: number) => string>> = {
  "numbers at the end": (i) => `ekey${i}`,
  "numbers of one length, in no order": (i) => `ekey${String((i * 7919) % 1_000_003).padStart(7, "0")}`,
  dots: (i) => `i${dotKey("12345678", i + 1)}`,
  words: (i) => `euser/${(i * 2_654_435_761).toString(36)}/name-${(i % 977).toString(36)}`,
};

for (const [kind, keyOf] of Object.entries(kinds)) {
  test(`shards double one after the other: ${kind}`, (t) => {
    const sizes = new Array<number>(256).fill(0);
    for (let i = 0; i < KEYS; i++) sizes[shardOf(keyOf(i))]!++;
    const logs = sizes.filter((size) => size > 0).map((size) => Math.log2(size));
    t.true(logs.length > 200, `${logs.length} shards have keys`);
    // Where each stands between two doublings; the fullest window of one step, around the ring.
    const places = logs.map((log) => log % 1).sort((a, b) => a - b);
    const window = Math.log2(1 + STEP);
    const within = places.map((from) => places.filter((place) => (place - from + 1) % 1 <= window).length);
    t.true(Math.max(...within) <= AT_ONCE_MAX * places.length, `${Math.max(...within)} of ${places.length} double within a step`);
  });
}

test("keys of any length have a place", (t) => {
  const map = new ShardedMap<number>();
  for (const [i, key] of ["a", "ab", "abc", "\xff\xff\xff\xff", "\x00"].entries()) t.true(map.set(key, i));
  t.false(map.set("ab", 7));
  t.deepEqual([map.get("ab"), map.get("a"), map.get("b"), map.size], [7, 0, undefined, 5]);
  t.true(map.delete("a"));
  t.false(map.delete("a"));
  t.is(map.size, 4);
});
