/** What a repair asks for next, and when it stops to ask: a peer that answers without end, or what nobody asked, is at fault. */
import test from "ava";
import { Context } from "../../lib/core/context.ts";
import { PeerFault } from "../../lib/core/fault.ts";
import type { RepairAnswer } from "../../lib/core/message.ts";
import { wholeContext } from "../../lib/core/relative-context.ts";
import { Asking } from "../../lib/repair/asking.ts";
import { Sketches } from "../../lib/repair/sketches.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore } from "../support/stores.ts";
import { PULL_OPTIONS } from "../support/world.ts";

async function createAsking(): Promise<Asking> {
  const { store } = await openTestStore("a");
  for (let i = 0; i < 100; i++) store.put(`k${i}`, json("1"), START_MS);
  const asking = new Asking(store, PULL_OPTIONS, new Sketches(store), {});
  asking.request(1);
  return asking;
}

function pageOf(covered: Context, context = new Context()): RepairAnswer {
  const summary = { root: "r".repeat(16), dotRoot: "d".repeat(16), count: 0, context: "c".repeat(8) };
  return {
    kind: "repair-answer",
    exchange: 1,
    entries: [],
    covered,
    more: true,
    namesDeletions: true,
    context: wholeContext(context),
    summary,
  };
}

function run(incarnation: string, from: number, to: number): Context {
  const dots = new Context();
  dots.addRange(incarnation, from, to);
  return dots;
}

const isFault = (reason: string) => (error: unknown) => error instanceof PeerFault && error.reason === reason;

test("pages that bring nothing: three may come in a row, the next is a fault; one that brings something begins anew", async (t) => {
  const asking = await createAsking();
  const empty = pageOf(new Context());
  for (let i = 0; i < 3; i++) asking.cover(empty);
  asking.cover(pageOf(run("bbbbbbbb", 1, 1)));
  for (let i = 0; i < 2; i++) asking.cover(empty);
  asking.cover(pageOf(run("bbbbbbbb", 1, 1)));
  const error = t.throws(() => asking.cover(empty), { any: true });
  t.true(isFault("no-progress")(error));
});

test("of dots that a sketch has shown, a page brings something when it covers some of them, and else it does not", async (t) => {
  const asking = await createAsking();
  const theirs = run("bbbbbbbb", 1, 10_000);
  asking.fetch(theirs, theirs);
  for (let i = 1; i <= 10; i++) asking.cover(pageOf(run("bbbbbbbb", 100 * i, 100 * i + 50)));
  for (let i = 0; i < 3; i++) asking.cover(pageOf(run("bbbbbbbb", 100, 150)));
  const error = t.throws(() => asking.cover(pageOf(run("bbbbbbbb", 100, 150))), { any: true });
  t.true(isFault("no-progress")(error));
});

test("what became of a sketch is only heard when one was sent", async (t) => {
  const asking = await createAsking();
  const found = { result: "decoded", missing: new Context(), drops: new Context() } as const;
  const error = t.throws(() => asking.contextOf({ ...pageOf(new Context()), found }), { any: true });
  t.true(isFault("malformed")(error));
});

test("a context of more identities than can be remembered is a fault, also when it is told in two parts", async (t) => {
  const asking = await createAsking();
  const many = new Context();
  for (let i = 0; i < 65_536; i++) many.add({ incarnation: String(i).padStart(8, "i"), counter: 1 });
  const error = t.throws(
    () => asking.contextOf({ ...pageOf(new Context()), context: { from: "seen", gained: many, lacked: new Context() } }),
    { any: true },
  );
  t.true(isFault("context")(error));
  t.notThrows(() => asking.contextOf(pageOf(new Context(), many)));
});
