/** Tags and conditions: a tag is the same wherever the same values are held, another after each write, and no token can be made of it. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { isMet, tagOf } from "../../lib/core/condition.ts";
import { DEFAULT_DIGEST_KEY as KEY } from "../../lib/core/digest.ts";
import { dotsOf, type Siblings } from "../../lib/core/entry.ts";
import { encodeToken } from "../../lib/core/token.ts";
import { anyDot, anySiblings } from "../support/messages.ts";
import { holds } from "../support/property.ts";

const dots = fc.array(anyDot, { maxLength: 4 });
const keyText = fc.string({ minLength: 1, maxLength: 9 });

test("tags: equal for the same key and dots, different for any others", (t) => {
  holds(
    t,
    fc.property(keyText, keyText, dots, dots, (key, other, some, more) => {
      assert.equal(tagOf(KEY, key, some), tagOf(KEY, key, [...some]));
      assert.equal(tagOf(KEY, key, some) === tagOf(KEY, other, some), key === other);
      const same = JSON.stringify(some) === JSON.stringify(more);
      assert.equal(tagOf(KEY, key, some) === tagOf(KEY, key, more), same);
    }),
  );
});

test("tags: none is the seal of a token, whatever the key", (t) => {
  holds(
    t,
    fc.property(keyText, dots, (key, some) => {
      const token = Buffer.from(encodeToken(KEY, key, some), "base64url");
      assert.notEqual(token.subarray(-8).toString("base64url"), tagOf(KEY, key, some));
    }),
  );
});

test("conditions: each is met by just what it says, and what has expired is not there", (t) => {
  const tagAt = (siblings: Siblings, nowMs: number): string =>
    tagOf(KEY, "k", dotsOf(siblings.filter(({ expiresAtMs }) => expiresAtMs === 0 || expiresAtMs > nowMs)));
  holds(
    t,
    fc.property(fc.oneof(anySiblings, fc.constant<Siblings>([])), fc.nat({ max: Number.MAX_SAFE_INTEGER }), (siblings, nowMs) => {
      const isThere = siblings.some(({ expiresAtMs }) => expiresAtMs === 0 || expiresAtMs > nowMs);
      const met = (condition: Parameters<typeof isMet>[0]): boolean => isMet(condition, KEY, "k", siblings, nowMs);
      assert.equal(met({ kind: "absent" }), !isThere);
      assert.equal(met({ kind: "present" }), isThere);
      const tags = ["x", tagAt(siblings, nowMs)];
      assert.equal(met({ kind: "matching", tags }), isThere);
      assert.equal(met({ kind: "unmatched", tags }), !isThere);
      assert.equal(met({ kind: "matching", tags: ["x"] }), false);
      assert.equal(met({ kind: "unmatched", tags: ["x"] }), true);
    }),
  );
});
