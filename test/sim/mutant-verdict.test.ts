/** What counts as the catch of a planted bug: each way in which one only seems to be caught. */
import test from "ava";
import { CRASHED, problemOf, whyNotCaught, type MutantResult } from "./mutant-verdict.ts";

const BROKEN: MutantResult = { seeds: 5, seed: 5, check: "write-lost", detail: "at n1: k" };

const verdictOf = (result: Partial<MutantResult>, unchanged?: string): Promise<string | undefined> =>
  whyNotCaught({ ...BROKEN, ...result }, () => Promise.resolve(unchanged));

test("a promise that is broken with the bug and kept without it is a catch", async (t) => {
  t.is(await verdictOf({}), undefined);
  t.is(await verdictOf({ check: "node-failed", detail: "n1 stopped: Error: the count of its entries is -1" }), undefined);
});

test("a bug that nothing shows, a crash and a seed that fails anyway are none", async (t) => {
  t.is(await verdictOf({ seeds: 2_000, seed: undefined, check: undefined }), "survived 2000 seeds");
  const crash = "ReferenceError: x is not defined\n    at y";
  const why = "it crashes with seed 5, and breaks no promise: ";
  t.is(await verdictOf({ check: CRASHED, detail: crash }), `${why}ReferenceError: x is not defined`);
  t.is(await verdictOf({ check: "node-failed", detail: `n1 stopped: ${crash}` }), `${why}n1 stopped: ReferenceError: x is not defined`);
  t.is(await verdictOf({}, "digest-wrong"), "seed 5 fails without the bug as well: digest-wrong");
});

test("faults are called by their names", (t) => {
  t.is(problemOf({ faults: ["loss", "flip-bits"] }), undefined);
  t.regex(problemOf({ faults: ["los" as "loss"] }) ?? "", /^no fault is called "los": one of loss, duplicate, /);
});
