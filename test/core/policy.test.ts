/**
 * Merge policies: what each shows, and their laws: the same on every replica that holds the same siblings; what was added is there and
 * what was removed is gone, unless someone put it there again without knowing. Replicas here are entries and contexts that
 * merge by entry.ts, under random histories; a model that keeps every write says what must be shown.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { Context } from "../../lib/core/context.ts";
import type { Dot } from "../../lib/core/dot.ts";
import { dotsOf, merge, NO_SIBLINGS, write as writeSibling, type Siblings } from "../../lib/core/entry.ts";
import { increment, incrementProblem, policyProblem, show, stored, takesUpAll, type Stored } from "../../lib/core/policy.ts";
import { parsePolicyRule, Policies, POLICY_NAMES, type PolicyName } from "../../lib/core/policy/names.ts";
import { holds } from "../support/property.ts";
import { createSibling } from "../support/states.ts";

const json = (value: unknown): Stored => ({ contentType: "", value: Buffer.from(JSON.stringify(value)) });

/** One key on one replica. */
class Held {
  siblings: Siblings = NO_SIBLINGS;
  readonly context = new Context();
  readonly #incarnation: string;
  readonly #policy: PolicyName;
  #ms = 0;

  constructor(name: string, policy: PolicyName) {
    this.#incarnation = name.repeat(8);
    this.#policy = policy;
  }

  put(value: unknown, options: { readonly read?: readonly Dot[]; readonly ms?: number } = {}): Dot {
    const { dot, stamp } = this.#next(options.ms);
    const what = stored(this.#policy, { ...json(value), held: this.siblings, read: options.read, dot, stamp });
    return this.#write(dot, stamp.ms, what, takesUpAll(this.#policy) ? undefined : options.read);
  }

  increment(by: number): Dot {
    const { dot, stamp } = this.#next();
    return this.#write(dot, stamp.ms, increment(this.siblings, dot, by), undefined);
  }

  delete(): void {
    const { dot } = this.#next();
    this.context.add(dot);
    this.siblings = NO_SIBLINGS;
  }

  hear(other: Held): void {
    this.siblings = merge(this.siblings, this.context, other.siblings, other.context);
    this.context.join(other.context);
    this.#ms = Math.max(this.#ms, other.#ms);
  }

  shown(policy = this.#policy): unknown {
    const found = show(policy, this.siblings, 0);
    return found === undefined ? undefined : JSON.parse(Buffer.from(found.value).toString());
  }

  #next(ms = this.#ms + 1): { readonly dot: Dot; readonly stamp: { readonly ms: number; readonly tick: number } } {
    this.#ms = Math.max(ms, this.#ms);
    return { dot: { incarnation: this.#incarnation, counter: this.context.highest(this.#incarnation) + 1 }, stamp: { ms, tick: 0 } };
  }

  #write(dot: Dot, ms: number, what: Stored, read: readonly Dot[] | undefined): Dot {
    const sibling = createSibling(dot, { ...what, stamp: { ms, tick: 0 }, writer: this.#incarnation[0]! });
    this.siblings = writeSibling(this.siblings, read ?? dotsOf(this.siblings), sibling);
    this.context.add(dot);
    return dot;
  }
}

function pair(policy: PolicyName): [Held, Held] {
  return [new Held("a", policy), new Held("b", policy)];
}

function meet(a: Held, b: Held): void {
  b.hear(a);
  a.hear(b);
}

test("latest: of concurrent values the one with the latest stamp is shown, then that of the greater node name", (t) => {
  const [a, b] = pair("latest");
  a.put("first", { ms: 5 });
  b.put("second", { ms: 4 });
  meet(a, b);
  t.is(a.shown(), "first");
  const [c, d] = pair("latest");
  c.put("of a", { ms: 5 });
  d.put("of b", { ms: 5 });
  meet(c, d);
  t.is(c.shown(), "of b");
});

test("max and min: the extreme among concurrent numbers, and a write that has seen them all replaces them", (t) => {
  for (const [policy, expected] of [["max", 10] as const, ["min", 9] as const]) {
    const [a, b] = pair(policy);
    a.put(9);
    b.put(10);
    meet(a, b);
    t.is(a.shown(), expected);
    a.put(9.5);
    meet(a, b);
    t.is(b.shown(), 9.5);
  }
});

test("max: a value that is no number, written before the policy was given, leaves the choice to the latest", (t) => {
  const [a, b] = pair("max");
  a.put("many", { ms: 9 });
  b.put(10, { ms: 5 });
  meet(a, b);
  t.is(a.shown(), "many");
});

test("fields: properties that were changed apart are both there, of one property the later, and a removed one stays removed", (t) => {
  const [a, b] = pair("fields");
  a.put({ name: "hub", port: 1, old: true });
  meet(a, b);
  a.put({ name: "hub", port: 2 }, { ms: 10 });
  b.put({ name: "hub2", port: 3, old: true }, { ms: 11 });
  meet(a, b);
  t.deepEqual(a.shown(), { name: "hub2", port: 3 });
  t.deepEqual(b.shown(), a.shown());
});

test("fields: a value keeps its form to the letter, and odd names are names", (t) => {
  const [a, b] = pair("fields");
  const { dot, stamp } = { dot: { incarnation: "aaaaaaaa", counter: 1 }, stamp: { ms: 1, tick: 0 } };
  const text = '{"__proto__":1.0,"a,\\"b":[1,{"c":"}"}],"big":12345678901234567890}';
  const what = stored("fields", { contentType: "", value: Buffer.from(text), held: [], read: undefined, dot, stamp });
  a.siblings = [createSibling(dot, what)];
  t.is(Buffer.from(show("fields", a.siblings, 0)!.value).toString(), text);
  b.put({ other: 1 });
  meet(a, b);
  t.is(Object.keys(b.shown() as object).length, 4);
});

test("union: what was read and is held no more was read all the same, and goes when it is left out", (t) => {
  const a = new Held("a", "union");
  a.put(["milk"]);
  const read = dotsOf(a.siblings);
  a.put(["milk", "bread"], { read });
  a.put(["tea"], { read });
  t.deepEqual(a.shown(), ["bread", "tea"], "milk was read, bread was not");
  a.put(["milk", "tea"], { read: dotsOf(a.siblings) });
  t.deepEqual(new Set(a.shown() as string[]), new Set(["tea", "milk"]), "put in anew");
});

test("union: who leaves out an element that two have put in, and has read of one, takes out that one alone", (t) => {
  const [a, b] = pair("union");
  a.put(["milk"]);
  b.put(["milk"]);
  const read = dotsOf(a.siblings);
  meet(a, b);
  a.put([], { read });
  t.deepEqual(a.shown(), ["milk"]);
  a.put([], { read: dotsOf(a.siblings) });
  t.deepEqual(a.shown(), []);
});

test("fields: a writer who read an old state leaves alone what it had not read", (t) => {
  const [a, b] = pair("fields");
  a.put({ x: 1 });
  const read = dotsOf(a.siblings);
  b.put({ y: 1 });
  meet(a, b);
  a.put({ x: 2 }, { read });
  t.deepEqual(a.shown(), { y: 1, x: 2 });
});

test("union: what was added apart is there, what was removed by one who had seen it is gone, an equal element is one", (t) => {
  const [a, b] = pair("union");
  a.put(["milk", "bread"]);
  meet(a, b);
  a.put(["bread", "eggs"]);
  b.put(["milk", "bread", "tea", "eggs"]);
  meet(a, b);
  t.deepEqual(a.shown(), ["bread", "eggs", "tea"]);
  t.deepEqual(b.shown(), a.shown());
});

test("counter: increments of all sides add up, also those that begin from one plain number", (t) => {
  const [a, b] = pair("counter");
  const plain = new Held("c", "latest");
  plain.put(100);
  meet(plain, a);
  meet(plain, b);
  a.increment(5);
  b.increment(-2);
  b.increment(1);
  meet(a, b);
  t.is(a.shown(), 104);
  t.is(b.shown("latest"), 104, "a counter says itself what it is");
});

test("counter: to write a number is to add the difference", (t) => {
  const [a, b] = pair("counter");
  a.put(10);
  meet(a, b);
  a.put(3);
  b.increment(1);
  meet(a, b);
  t.is(a.shown(), 4);
});

test("counter: what is no whole number, or too large, cannot be incremented", (t) => {
  const [a] = pair("latest");
  a.put("text");
  t.regex(incrementProblem(a.siblings, 1)!, /something else/);
  a.put(Number.MAX_SAFE_INTEGER);
  t.regex(incrementProblem(a.siblings, 1)!, /2\^53/);
  t.is(incrementProblem(a.siblings, -1), undefined);
  t.is(incrementProblem(NO_SIBLINGS, 1), undefined);
});

test("values that a policy cannot merge are refused, and so are the store's own media types", (t) => {
  t.is(policyProblem("latest", json("x")), undefined);
  t.is(policyProblem("fields", json({ a: 1 })), undefined);
  t.regex(policyProblem("fields", json([1]))!, /fields.*must be a JSON object/);
  t.regex(policyProblem("union", json({}))!, /must be a JSON array/);
  t.regex(policyProblem("counter", json(1.5))!, /must be a whole number/);
  t.regex(policyProblem("max", json("1"))!, /must be a number/);
  t.regex(policyProblem("union", { contentType: "text/plain", value: Buffer.from("[]") })!, /must be a JSON array/);
  t.regex(policyProblem("latest", { contentType: "application/vnd.concord.counter", value: Buffer.from("{}") })!, /own/);
});

test("bytes that claim to be a stored form and are not are shown as they are", (t) => {
  for (const name of ["fields", "union", "counter"])
    for (const text of ["", "{", '"', '{"seen":{},"by":[["x",1,1,1,{}]]}', '{"shares":{"a":[1]}}', '{"by":[],"seen":{}}', "[[[["]) {
      const sibling = createSibling(
        { incarnation: "aaaaaaaa", counter: 1 },
        { contentType: `application/vnd.concord.${name}`, value: Buffer.from(text) },
      );
      t.is(Buffer.from(show("latest", [sibling], 0)!.value).toString(), text);
    }
});

test("a rule is PREFIX=POLICY, and the longest prefix decides", (t) => {
  t.deepEqual(parsePolicyRule("cart:=union"), { prefix: "cart:", policy: "union" });
  t.deepEqual(parsePolicyRule("a=b=max"), { prefix: "a=b", policy: "max" });
  t.regex(parsePolicyRule("cart") as string, /PREFIX=POLICY/);
  t.regex(parsePolicyRule("cart:=merge") as string, /"merge" is no merge policy; there are latest/);
  const policies = new Policies([
    { prefix: "", policy: "siblings" },
    { prefix: "cart:", policy: "union" },
    { prefix: "cart:x", policy: "latest" },
  ]);
  t.deepEqual(
    ["c", "cart:1", "cart:xy"].map((key) => policies.of(key)),
    ["siblings", "union", "latest"],
  );
});

// Random histories of three replicas, beside a model.

type Step =
  | { readonly do: "put"; readonly by: number; readonly value: readonly number[]; readonly ms: number }
  | { readonly do: "add"; readonly by: number; readonly amount: number }
  | { readonly do: "delete"; readonly by: number }
  | { readonly do: "hear"; readonly by: number; readonly from: number };

const replica = fc.nat({ max: 2 });
const anyPut: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("put" as const),
  by: replica,
  value: fc.uniqueArray(fc.nat({ max: 4 }), { maxLength: 4 }),
  ms: fc.integer({ min: 1, max: 5 }),
});
const anyAdd: fc.Arbitrary<Step> = fc.record({ do: fc.constant("add" as const), by: replica, amount: fc.integer({ min: -9, max: 9 }) });
const anyDelete: fc.Arbitrary<Step> = fc.record({ do: fc.constant("delete" as const), by: replica });
const anyHear: fc.Arbitrary<Step> = fc.record({ do: fc.constant("hear" as const), by: replica, from: replica });

function run(policy: PolicyName, steps: readonly Step[], valueOf: (value: readonly number[]) => unknown): Held[] {
  const replicas = ["a", "b", "c"].map((name) => new Held(name, policy));
  for (const step of steps) {
    const one = replicas[step.by]!;
    if (step.do === "put") one.put(valueOf(step.value), { ms: step.ms });
    else if (step.do === "add") one.increment(step.amount);
    else if (step.do === "delete") one.delete();
    else one.hear(replicas[step.from]!);
  }
  return replicas;
}

function meetAll(replicas: readonly Held[], order: readonly number[]): void {
  for (let round = 0; round < 3; round++) for (const i of order) for (const j of order) if (i !== j) replicas[i]!.hear(replicas[j]!);
}

const VALUES: { readonly [name in PolicyName]: (value: readonly number[]) => unknown } = {
  latest: (value) => value,
  siblings: (value) => value,
  max: (value) => value.length,
  min: (value) => value.length,
  counter: (value) => value.length,
  union: (value) => value,
  fields: (value) => Object.fromEntries(value.map((name) => [`p${name}`, value.length])),
};

test("under every policy, replicas that have met show the same, in whatever order they met", (t) => {
  for (const policy of POLICY_NAMES)
    holds(
      t,
      fc.property(fc.array(fc.oneof(anyPut, anyPut, anyHear, anyDelete), { maxLength: 25 }), (steps) => {
        const one = run(policy, steps, VALUES[policy]);
        const other = run(policy, steps, VALUES[policy]);
        meetAll(one, [0, 1, 2]);
        meetAll(other, [2, 1, 0]);
        for (const held of [...one, ...other]) assert.deepEqual(held.shown(), one[0]!.shown());
      }),
      { numRuns: 300 },
    );
});

test("counter: the total is the sum of all increments, however replicas met", (t) => {
  holds(
    t,
    fc.property(fc.array(fc.oneof(anyAdd, anyAdd, anyHear), { minLength: 1, maxLength: 40 }), (steps) => {
      const replicas = run("counter", steps, () => 0);
      meetAll(replicas, [0, 1, 2]);
      const adds = steps.flatMap((step) => (step.do === "add" ? [step.amount] : []));
      assert.equal(replicas[0]!.shown(), adds.length === 0 ? undefined : adds.reduce((sum, amount) => sum + amount, 0));
    }),
    { numRuns: 500 },
  );
});

test("union: after all met, an element is there exactly when some adding of it was seen by no removal", (t) => {
  holds(
    t,
    fc.property(fc.array(fc.oneof(anyPut, anyPut, anyHear), { maxLength: 25 }), (steps) => {
      const replicas = run("union", steps, (value) => value);
      meetAll(replicas, [0, 1, 2]);
      assert.deepEqual(sorted(replicas[0]!.shown()), sorted(modelUnion(steps)));
    }),
    { numRuns: 500 },
  );
});

/** Every adding by name; a replica knows some of them as added and some as removed. */
function modelUnion(steps: readonly Step[]): number[] | undefined {
  const replicas = [0, 1, 2].map(() => ({ added: new Map<string, number>(), removed: new Set<string>(), written: false }));
  const hear = (one: (typeof replicas)[number], other: (typeof replicas)[number]) => {
    for (const [name, element] of other.added) one.added.set(name, element);
    for (const name of other.removed) one.removed.add(name);
    one.written ||= other.written;
  };
  steps.forEach((step, i) => {
    const one = replicas[step.by]!;
    if (step.do === "hear") hear(one, replicas[step.from]!);
    if (step.do !== "put") return;
    const present = new Set<number>();
    for (const [name, element] of one.added) {
      if (one.removed.has(name)) continue;
      if (step.value.includes(element)) present.add(element);
      else one.removed.add(name);
    }
    one.written = true;
    for (const element of step.value) if (!present.has(element)) one.added.set(`${i} ${element}`, element);
  });
  const all = replicas[0]!;
  for (const other of replicas) hear(all, other);
  if (!all.written) return undefined;
  return [...new Set([...all.added].filter(([name]) => !all.removed.has(name)).map(([, element]) => element))];
}

function sorted(value: unknown): unknown {
  return Array.isArray(value) ? [...(value as number[])].sort() : value;
}
