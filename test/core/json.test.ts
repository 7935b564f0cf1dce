/**
 * JSON as text: what is accepted, what is refused and in which words, and that no byte of a value is lost on the way.
 * JSON.parse is the oracle: the scanner must refuse whatever it refuses, and accept the rest but for its own four rules.
 */
import test from "ava";
import fc from "fast-check";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { canonicalJson, jsonDepthMax, parsePair, parsePairs, validateJson } from "../../lib/core/json.ts";

function minify(text: string): string {
  const read = validateJson(text);
  return read.ok ? read.text : `refused: ${read.problem}`;
}

function problemOf(outcome: { readonly ok: boolean; readonly problem?: string; readonly at?: number }): string {
  return outcome.ok ? "accepted" : `${outcome.problem} @${outcome.at}`;
}

const accepted = [
  ['"world"', '"world"'],
  [" \t\r\n1 \t\r\n", "1"],
  ['{ "a" : [ 1 , 2 , { } , [ ] ] , "b c" : " x  y " }', '{"a":[1,2,{},[]],"b c":" x  y "}'],
  ["9007199254740993", "9007199254740993"],
  ["[-0, 0.0, -1.50, 1e5, 1E+5, 1e-07, 1e999]", "[-0,0.0,-1.50,1e5,1E+5,1e-07,1e999]"],
  ["[true,false,null]", "[true,false,null]"],
  ['"\\u0041\\/\\b\\f\\n\\r\\t\\"\\\\"', '"\\u0041\\/\\b\\f\\n\\r\\t\\"\\\\"'],
  ['"\\uD83D\\uDe00 😀"', '"\\uD83D\\uDe00 😀"'],
  ['"\u007f\u2028\u2029\ufeff\uffff"', '"\u007f\u2028\u2029\ufeff\uffff"'],
  ['{"__proto__":1,"constructor":{"prototype":2},"":3}', '{"__proto__":1,"constructor":{"prototype":2},"":3}'],
  ['{"a":{"a":{"a":1}},"A":1}', '{"a":{"a":{"a":1}},"A":1}'],
  ['{"1":1,"01":1,"1.0":1}', '{"1":1,"01":1,"1.0":1}'],
] as const;

for (const [text, expected] of accepted) test(`accepts ${text}`, (t) => t.is(minify(text), expected));

const refused = [
  ["", "the text is empty @0"],
  ["  ", "unexpected end of the text @2"],
  ["\ufeff1", 'unexpected "\ufeff" @0'],
  ["[1,]", "a comma without another element after it @2"],
  ['{"a":1 , }', "a comma without another element after it @7"],
  ["[,1]", 'unexpected "," @1'],
  ["[1,,2]", 'unexpected "," @3'],
  ["[1 2]", 'expected "," or "]", found "2" @3'],
  ['{"a":1 "b":2}', 'expected "," or "}", found "\\"" @7'],
  ["[1", 'expected "," or "]", found end of the text @2'],
  ["[", "unexpected end of the text @1"],
  ["{a:1}", 'expected a property name in double quotes, found "a" @1'],
  ['{"a" 1}', 'expected ":" after "a", found "1" @5'],
  ['{"a":}', 'unexpected "}" @5'],
  ["1 2", 'unexpected "2" after the value @2'],
  ["1 /* no */", 'unexpected "/" after the value @2'],
  ["truee", 'unexpected "e" after the value @4'],
  ['"a', "the text ends inside a string @2"],
  [`"${"a".repeat(100)}`, "the text ends inside a string @101"],
  ['"\\"', "the text ends inside a string @3"],
  ['"a\nb"', 'a string must hold "\\n" escaped @2'],
  [`"${"a".repeat(50)}\u001f"`, 'a string must hold "\\u001f" escaped @51'],
  ['"\\x41"', 'bad escape, or half of a surrogate pair: "\\\\x41\\"" @1'],
  ['"\\u12g4"', 'bad escape, or half of a surrogate pair: "\\\\u12g4" @1'],
  ['"\\ud800"', 'bad escape, or half of a surrogate pair: "\\\\ud800" @1'],
  ['"\\ud800\\u0041"', 'bad escape, or half of a surrogate pair: "\\\\ud800" @1'],
  ['"\\ud800\udc00"', 'bad escape, or half of a surrogate pair: "\\\\ud800" @1'],
  ['"\ud800\\udc00"', "half of a surrogate pair @1"],
  ['"a\udc00"', "half of a surrogate pair @2"],
  [`"${"a".repeat(40)}\ud800"`, "half of a surrogate pair @41"],
  ['{"a":1,"b":2,"a":3}', 'duplicate property "a" @13'],
  ['{"a":1,"\\u0061":2}', 'duplicate property "a" @7'],
  ['[{"x":{"k":1,"k":1}}]', 'duplicate property "k" @13'],
] as const;

const atOnce = ["//1", ".5", "+1", "-", "NaN", "-Infinity", "undefined", "nul", "True", "１", "'a'", "\u00a01"];
const afterOne = ["01", "1.", "1e", "1e+", "0x10", "1_0", "1n", "1/**/"];

for (const [index, [text, problem]] of refused.entries()) {
  test(`refuses text ${index}: ${JSON.stringify(text).slice(0, 40)}`, (t) => t.is(problemOf(validateJson(text)), problem));
}

test("refuses what JavaScript takes for a value and JSON does not", (t) => {
  for (const text of atOnce) t.is(problemOf(validateJson(text)), `unexpected "${text.charAt(0)}" @0`);
  for (const text of afterOne) t.is(problemOf(validateJson(text)), `unexpected "${text.charAt(1)}" after the value @1`);
});

test("a duplicate is found among many properties, and its name is cut short in the message", (t) => {
  const names = Array.from({ length: 1_000 }, (_, index) => `"${index}":0`);
  t.true(validateJson(`{${names.join(",")}}`).ok);
  for (const again of ['"\\u0031"', '"999"']) {
    t.regex(problemOf(validateJson(`{${names.join(",")},${again}:0}`)), /^duplicate property "(1|999)" @/);
  }
  const long = JSON.stringify("x".repeat(10_000));
  t.true(problemOf(validateJson(`{${long}:0,${long}:0}`)).length < 120);
});

test("the depth is capped, and the cap can be chosen", (t) => {
  const nested = (depth: number): string => "[".repeat(depth - 1) + "{}" + "]".repeat(depth - 1);
  t.true(validateJson(nested(jsonDepthMax)).ok);
  t.is(problemOf(validateJson(nested(jsonDepthMax + 1))), "nested deeper than 64 @64");
  t.is(problemOf(validateJson("[".repeat(1_000_000))), "nested deeper than 64 @64");
  t.true(validateJson("7", { depthMax: 0 }).ok);
  t.is(problemOf(validateJson("[7]", { depthMax: 0 })), "nested deeper than 0 @0");
});

/** JSON of all shapes, with names that bite. */
const anyValue = fc.jsonValue({ maxDepth: 5, depthSize: "large" });
const biting = fc.dictionary(fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "", "1", "\n"), anyValue);
const value = fc.oneof(anyValue, biting).filter((one) => !/\\ud[89a-f]/i.test(JSON.stringify(one)));

test("what JSON.stringify writes is accepted, and minified back to itself", (t) => {
  fc.assert(
    fc.property(value, fc.constantFrom("", " ", "\t", "\n  "), (one, indent) => {
      const read = validateJson(JSON.stringify(one, null, indent));
      t.true(read.ok && read.text === JSON.stringify(one), read.ok ? read.text : read.problem);
    }),
    { numRuns: 500 },
  );
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const ownRules = /^(duplicate property|nested deeper|half of|bad escape, or half of a surrogate pair: "\\\\u[dD])/;

/** Valid texts with a few characters replaced, removed or added, and soups of JSON's own pieces. */
const broken = fc
  .tuple(value, fc.array(fc.tuple(fc.nat(), fc.nat(2), fc.constantFrom(...'{}[]",:\\u0dD8eE+-. \n\u0001\ud83d\ude00tn')), { maxLength: 4 }))
  .map(([one, edits]) => {
    let text = JSON.stringify(one);
    for (const [place, removed, added] of edits) {
      const at = place % (text.length + 1);
      text = text.slice(0, at) + added + text.slice(at + removed);
    }
    return text;
  });
const pieces = [
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  '"',
  '"a"',
  "1",
  "-0",
  "0",
  ".",
  "e",
  "true",
  "null",
  " ",
  "\\",
  "\\u",
  "d83d",
  "\\ude00",
  "😀",
];
const soup = fc.array(fc.constantFrom(...pieces), { maxLength: 9 }).map((parts) => parts.join(""));

test("accepts and refuses as JSON.parse does, but for the four stricter rules", (t) => {
  const counts = { refuse: 0, accept: 0 };
  fc.assert(
    fc.property(fc.oneof(broken, soup, fc.string()), (text) => {
      const read = validateJson(text);
      counts[parses(text) ? "accept" : "refuse"] += 1;
      if (!parses(text)) return !read.ok && read.at >= 0 && read.at <= text.length && read.problem !== "";
      if (read.ok) return JSON.stringify(JSON.parse(read.text)) === JSON.stringify(JSON.parse(text));
      return ownRules.test(read.problem);
    }),
    { numRuns: 5_000 },
  );
  t.true(counts.refuse > 200 && counts.accept > 200, JSON.stringify(counts));
});

/** The same value with its properties in another order and its strings escaped at random. */
function disguise(one: unknown, coin: () => boolean): string {
  if (typeof one === "string") {
    const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
    return `"${Array.from(one, (char) => (coin() ? [...char.split("")].map(escape).join("") : JSON.stringify(char).slice(1, -1))).join("")}"`;
  }
  if (Array.isArray(one)) return `[${one.map((item) => disguise(item, coin)).join(",")}]`;
  if (typeof one !== "object" || one === null) return JSON.stringify(one);
  const members = Object.entries(one).map(([name, member]) => `${disguise(name, coin)}:${disguise(member, coin)}`);
  return `{${(coin() ? members.reverse() : members).join(",")}}`;
}

test("the canonical form ignores the order of properties and escaping, and is its own canonical form", (t) => {
  fc.assert(
    fc.property(value, fc.infiniteStream(fc.boolean()), (one, coins) => {
      const coin = (): boolean => coins.next().value as boolean;
      const plain = canonicalJson(JSON.stringify(one));
      const read = validateJson(disguise(one, coin));
      t.true(read.ok && canonicalJson(read.text) === plain);
      t.is(canonicalJson(plain), plain);
      t.is(minify(plain), plain);
      t.deepEqual(JSON.parse(plain), JSON.parse(JSON.stringify(one)));
    }),
    { numRuns: 300 },
  );
});

test("the canonical form by hand", (t) => {
  t.is(canonicalJson('{"b":1,"a":{"d":[{"z":1,"y":2}],"c":"\\u0041\\/"}}'), '{"a":{"c":"A/","d":[{"y":2,"z":1}]},"b":1}');
  t.is(
    canonicalJson('{"a!":1,"a":2,"\\u0000":3,"😀":4,"\uffff":5,"10":6,"9":7}'),
    '{"\\u0000":3,"10":6,"9":7,"a":2,"a!":1,"😀":4,"\uffff":5}',
  );
  t.is(canonicalJson('{"__proto__":{"b":1,"a":2}}'), '{"__proto__":{"a":2,"b":1}}');
  t.is(canonicalJson('["\\u00e9","é"]'), '["é","é"]');
  t.is(canonicalJson('"\\ud83d\\ude00\\""'), '"😀\\""');
  t.is(canonicalJson('["{}",{},[],-0,1.0]'), '["{}",{},[],-0,1.0]');
  t.not(canonicalJson("[1.0]"), canonicalJson("[1]"), "numbers stay as they are written");
  t.not(canonicalJson("[1,2]"), canonicalJson("[2,1]"), "the order of elements counts");
  const deep = '{"a":'.repeat(300) + "1" + "}".repeat(300);
  t.is(canonicalJson(deep), deep, "also deeper than the default depth");
});

test("a pair: the key as a string, the value as it was written", (t) => {
  const is = (text: string, key: string, valueText: string): unknown => t.deepEqual(parsePair(text), { ok: true, key, valueText });
  is('{"key":"hello","value":"world"}', "hello", '"world"');
  is(' { "value" : [ 9007199254740993 , 1.0 ] , "x" : { } , "\\u006bey" : "a\\u0000\\"é" } ', 'a\u0000"é', "[9007199254740993,1.0]");
  is('{"key":"","value":null}', "", "null");
  is('{"key":"__proto__","value":{"__proto__":{"key":1}}}', "__proto__", '{"__proto__":{"key":1}}');
  const deepest = "[".repeat(64) + "]".repeat(64);
  is(`{"key":"k","value":${deepest}}`, "k", deepest);
  t.deepEqual(parsePair('{"key":"hello"}', { valueNeeded: false }), { ok: true, key: "hello", valueText: "" });
});

const badPairs = [
  ["{}", '"key" is missing @0'],
  ['{"key":"a"}', '"value" is missing @0'],
  ['{"key":"a","vlaue":1,"other":2}', '"value" is missing, and "vlaue" is ignored @0'],
  ['{"key":1,"value":1}', '"key" must be a string @7'],
  ['{"key":"a","key":"b","value":1}', 'duplicate property "key" @11'],
  ['{"key":"\\ud800","value":1}', 'bad escape, or half of a surrogate pair: "\\\\ud800" @8'],
  ['{"key":"a","value":{"b":1,"b":2}}', 'duplicate property "b" @26'],
  ['{"key":"a","value":1', 'expected "," or "}", found end of the text @20'],
  ['{"key":"a","value":1}x', 'unexpected "x" after the value @21'],
  ['"key"', 'expected an object such as {"key":"hello"} @0'],
  ["nope", 'unexpected "n" @0'],
  ["", "the text is empty @0"],
] as const;

for (const [text, problem] of badPairs) {
  test(`refuses the pair ${text}`, (t) => {
    t.is(problemOf(parsePair(text)), problem);
    t.is(problemOf(parsePairs(text)), problem);
    t.true(problemOf(parsePairs(` [{"key":"a","value":1} , ${text}]`)).startsWith("pair 1: ") || text === "" || text.endsWith("x"));
  });
}

test("an array of pairs", (t) => {
  t.deepEqual(parsePairs("[]"), { ok: true, pairs: [] });
  t.deepEqual(parsePairs(" [ ] "), { ok: true, pairs: [] });
  t.deepEqual(parsePairs('{"key":"a","value":1}'), { ok: true, pairs: [{ key: "a", valueText: "1" }] });
  const two = parsePairs('[{"key":"a","value": {"b": 1} },{"value":"\\u0041","key":"a"}]');
  t.is(
    JSON.stringify(two.ok && two.pairs.map((pair) => Object.values(pair))),
    JSON.stringify([
      ["a", '{"b":1}'],
      ["a", '"\\u0041"'],
    ]),
  );
  t.is(problemOf(parsePair("[]")), 'expected an object such as {"key":"hello"} @0');
  t.is(problemOf(parsePairs("[1]")), 'pair 0: expected an object such as {"key":"hello"} @1');
  t.is(problemOf(parsePairs('[{"key":"a","value":1},]')), "a comma without another element after it @22");
  t.is(problemOf(parsePairs('[{"key":"a","value":1}')), 'expected "," or "]", found end of the text @22');
  t.is(problemOf(parsePairs("[]1")), 'unexpected "1" after the value @2');
  t.is(problemOf(parsePairs('[{"key":"a","value":1},{"key":"b","value":1}]', { pairsMax: 1 })), "more than 1 pairs @23");
});

test("pairs survive: any keys and values, with any indent", (t) => {
  const key = fc.string({ unit: "binary" });
  fc.assert(
    fc.property(fc.array(fc.record({ key, value })), fc.constantFrom("", "  "), (pairs, indent) => {
      const read = parsePairs(JSON.stringify(pairs, null, indent));
      t.deepEqual(read, { ok: true, pairs: pairs.map((pair) => ({ key: pair.key, valueText: JSON.stringify(pair.value) })) });
    }),
  );
});

test("a key or a short value does not keep the request it came in alive", (t) => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const used = (): number => (collectGarbage(), process.memoryUsage().heapUsed);
  const before = used();
  const kept = Array.from({ length: 40 }, (_, index) => {
    const filler = `${index}`.padEnd(1_000_000, "x");
    const read = parsePairs(JSON.stringify([{ key: `a key of some length ${index}`, value: `a value of some length ${index}`, filler }]));
    return read.ok ? read.pairs[0] : undefined;
  });
  const grown = used() - before;
  t.true(grown < 10_000_000, `${kept.length} pairs keep ${grown} bytes`);
});
