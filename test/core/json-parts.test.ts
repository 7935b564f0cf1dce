/** Parts of JSON: put together again they are the text that they were cut from. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { elementsOf, membersOf } from "../../lib/core/json-parts.ts";
import { holds } from "../support/property.ts";

test("members and elements are the text that stood there", (t) => {
  const object = fc.dictionary(fc.string(), fc.jsonValue(), { noNullPrototype: true });
  holds(
    t,
    fc.property(object, fc.array(fc.jsonValue()), (members, elements) => {
      const text = JSON.stringify(members);
      const parts = Array.from(membersOf(text)!, ([name, part]) => `${JSON.stringify(name)}:${part}`);
      assert.equal(`{${parts.join(",")}}`, text);
      const list = JSON.stringify(elements);
      assert.equal(`[${elementsOf(list)!.join(",")}]`, list);
    }),
  );
  t.deepEqual(elementsOf('[1.0,"a,]\\"b",{"x":[1,2]}]'), ["1.0", '"a,]\\"b"', '{"x":[1,2]}']);
  t.deepEqual([...membersOf('{"n":12345678901234567890,"__proto__":1.0}')!], [["n", "12345678901234567890"], ["__proto__", "1.0"]]); // prettier-ignore
  t.deepEqual([membersOf("[]"), elementsOf("{}"), elementsOf("")], [undefined, undefined, undefined]);
  t.deepEqual([membersOf("{}")!.size, elementsOf("[]")], [0, []]);
});
