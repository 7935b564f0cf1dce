/** The ring keeps the last so many, in order, and hands back what had to go. */
import test from "ava";
import { Ring } from "../../lib/core/ring.ts";

test("the last so many are kept, oldest first, and what goes is handed back", (t) => {
  const ring = new Ring<number>(3);
  t.deepEqual([...ring], []);
  t.deepEqual(
    [1, 2, 3, 4, 5].map((item) => ring.add(item)),
    [undefined, undefined, undefined, 1, 2],
  );
  t.deepEqual([[...ring], ring.size], [[3, 4, 5], 3]);
});

test("a ring without room keeps nothing", (t) => {
  const ring = new Ring<string>(0);
  t.is(ring.add("a"), "a");
  t.deepEqual([...ring], []);
});
