import fc from "fast-check";
import test from "ava";
import { ReplayWindow } from "../../lib/auth/replay-window.ts";
import { holds } from "../support/property.ts";

const WINDOW = 1_024;

test("every number is taken once at most, and at once unless it is older than the window", (t) => {
  const steps = fc.array(fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 5_000 })), { maxLength: 300 });
  holds(
    t,
    fc.property(steps, fc.array(fc.integer({ min: 0, max: 1_200 }), { maxLength: 300 }), (ups, backs) => {
      const window = new ReplayWindow();
      const seen = new Set<number>();
      let highest = -1;
      for (const [i, up] of ups.entries()) {
        const count = Math.max(0, highest + up - (backs[i] ?? 0));
        const isOld = count <= highest - WINDOW;
        const expected = !isOld && !seen.has(count);
        if (window.take(count) !== expected) return false;
        seen.add(count);
        highest = Math.max(highest, count);
      }
      return true;
    }),
  );
});

test("numbers beyond 32 bits are told apart", (t) => {
  const window = new ReplayWindow();
  const base = 2 ** 45;
  t.true(window.take(base));
  t.true(window.take(base - 1));
  t.false(window.take(base));
  t.false(window.take(base - WINDOW));
});
