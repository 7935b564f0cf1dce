/**
 * Answers: what the asker has not seen, page by page, without a session. Whatever the size of the pages, together they name every live
 * dot that is new to the asker with its key's whole live set, and cover all that the answerer has seen.
 */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { decodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { formatDot, type Dot } from "../../lib/core/dot.ts";
import { dotsOf } from "../../lib/core/entry.ts";
import { decodeFrame, encodeFrame } from "../../lib/core/frame.ts";
import type { RepairAnswer, WireEntry } from "../../lib/core/message.ts";
import { absoluteOf } from "../../lib/core/relative-context.ts";
import type { Store } from "../../lib/core/store.ts";
import { ANSWER_BYTES, answerRequest } from "../../lib/repair/answer.ts";
import { START_MS } from "../support/chance.ts";
import { histories } from "../support/histories.ts";
import { holdsAsync } from "../support/property.ts";
import { dots, json, liveDots, openTestStore } from "../support/stores.ts";
import { World } from "../support/world.ts";

const NOW = START_MS;

const ask = (store: Store, seen: Context, bytesMax = ANSWER_BYTES): RepairAnswer =>
  answerRequest(store, { kind: "repair-request", exchange: 7, seen, bytesMax, count: 0, cells: 0 });

interface PageOf extends RepairAnswer {
  /** Its context, as the asker reads it. */
  readonly theirs: Context;
}

/** Every page of a repair, as an asker asks for them. */
function pagesOf(store: Store, seen: Context, bytesMax: number): PageOf[] {
  const pages: PageOf[] = [];
  const known = seen.clone();
  for (let more = true; more;) {
    const page = ask(store, known, bytesMax);
    assert.ok(!page.more || !known.covers(page.covered), "a page that is not the last covers something");
    pages.push({ ...page, theirs: absoluteOf(page.context, known) });
    known.join(page.covered);
    more = page.more;
  }
  return pages;
}

const bytesOf = ({ key, record, gone }: WireEntry): number => key.length + record.length + 16 * gone.length;
const named = (entries: readonly WireEntry[]): Dot[] =>
  entries.flatMap(({ record }) => (record.length === 0 ? [] : dotsOf(decodeSiblings(record))));

test("to one who has seen everything: nothing, and the summary and context of this instant", async (t) => {
  const { store } = await openTestStore("a");
  store.put("k", json("1"), NOW);
  const answer = ask(store, store.context);
  t.deepEqual([answer.exchange, answer.entries.length, answer.more, answer.covered.isEmpty], [7, 0, false, true]);
  t.deepEqual(answer.summary, store.summary());
  t.true(absoluteOf(answer.context, store.context).equals(store.context));
  const whole = ask(store, new Context());
  store.put("k", json("2"), NOW);
  t.false(absoluteOf(whole.context, new Context()).equals(store.context), "a copy: later writes do not creep into it");
});

test("to one who has seen nothing: each live key once, with its whole live set, and nothing that was superseded", async (t) => {
  const { store } = await openTestStore("a");
  store.put("k", json("1"), NOW);
  store.put("k", json("2"), NOW);
  for (const text of ["3", "4"]) store.put("l", json(text, { observed: [] }), NOW);
  const { entries, more } = ask(store, new Context());
  t.deepEqual(
    entries.map(({ key, gone }) => [key, gone.length]),
    [
      ["k", 0],
      ["l", 0],
    ],
  );
  t.deepEqual(named(entries), dots(store.incarnation!, 2, 3, 4));
  t.false(more);
});

test("a key of which one sibling is new is sent whole", async (t) => {
  const { store } = await openTestStore("a");
  store.put("k", json("1"), NOW);
  const seen = store.context.clone();
  store.put("k", json("2", { observed: [] }), NOW);
  store.put("other", json("3"), NOW);
  t.deepEqual(named(ask(store, seen).entries), dots(store.incarnation!, 1, 2, 3));
});

test("deletions that are remembered are named, each under its key", async (t) => {
  const { store } = await openTestStore("a");
  for (const key of ["k", "l", "m"]) store.put(key, json("1"), NOW);
  const seen = store.context.clone();
  store.remove("k", undefined, NOW);
  store.remove("l", undefined, NOW);
  store.put("l", json("again"), NOW);
  const answer = ask(store, seen);
  t.deepEqual(
    answer.entries.map(({ key, record, gone }) => [key, record.length > 0, gone.map(({ counter }) => counter)]),
    [
      ["k", false, [4]],
      ["l", true, [5]],
    ],
  );
});

test("pages of any size name and cover the same, each is bounded, and only the last is of one instant", async (t) => {
  const anyPages = fc.constantFrom(1, 60, 200, 1000, ANSWER_BYTES);
  await holdsAsync(
    t,
    fc.asyncProperty(histories({ sides: 2, steps: 40, repairs: true }), anyPages, async (steps, bytesMax) => {
      const world = await World.create(2, 3);
      for (const step of steps) await step(world);
      const [mine, theirs] = [world.store(0), world.store(1)];
      const pages = pagesOf(mine, theirs.context, bytesMax);
      const last = pages.at(-1)!;
      const covered = theirs.context.clone();
      for (const { entries, covered: part, theirs: context } of pages) {
        covered.join(part);
        assert.ok(mine.context.covers(part));
        assert.ok(mine.context.covers(context));
        assert.ok(entries.slice(0, -1).reduce((sum, entry) => sum + bytesOf(entry), 0) < bytesMax + 16 * 40);
        assert.equal(new Set(entries.map(({ key }) => key)).size, entries.length, "no key twice in one page");
      }
      assert.ok(last.theirs.equals(mine.context));
      assert.deepEqual(last.summary, mine.summary());
      const sent = new Set(pages.flatMap(({ entries }) => named(entries)).map(formatDot));
      const unseen = new Set(fresh(mine, theirs.context));
      assert.deepEqual(
        [...unseen].filter((dot) => !sent.has(dot)),
        [],
      );
    }),
    { numRuns: 100 },
  );
});

function fresh(store: Store, seen: Context): string[] {
  const known = new Set([...seen.incarnations()].flatMap((incarnation) => expand(incarnation, seen.rangesOf(incarnation))));
  return liveDots(store).filter((dot) => !known.has(dot));
}

function expand(incarnation: string, ranges: readonly number[]): string[] {
  const all: string[] = [];
  for (let i = 0; i < ranges.length; i += 2)
    for (let n = ranges[i]!; n <= ranges[i + 1]!; n++) all.push(formatDot({ incarnation, counter: n }));
  return all;
}

test("a page fits into a frame, also when many deleted keys were written again with large values", async (t) => {
  const { store } = await openTestStore("a");
  const keys = Array.from({ length: 200 }, (_, n) => `k${n}`);
  for (const key of keys) store.put(key, json("1"), NOW);
  for (const key of keys) store.remove(key, undefined, NOW);
  for (const key of keys) store.put(key, { contentType: "text/plain", value: Buffer.alloc(100_000, 97), expiresAtMs: 0 }, NOW);
  const pages = pagesOf(store, new Context(), ANSWER_BYTES);
  const sizes = pages.map((page) => encodeFrame(page).length);
  t.true(Math.max(...sizes) < ANSWER_BYTES + 120_000, `${Math.max(...sizes)} bytes`);
  t.true(pages.every((page) => decodeFrame(encodeFrame(page)).ok));
  t.is(new Set(pages.flatMap(({ entries }) => entries.map(({ key }) => key))).size, keys.length);
});

test("a page ends after so much work, also where nothing is live", async (t) => {
  const { store } = await openTestStore("a");
  const gaps = new Context();
  for (let n = 1; n <= 20_000; n++) gaps.addRange("bbbbbbbb", 2 * n, 2 * n);
  store.joinContext(gaps);
  const pages = pagesOf(store, new Context(), ANSWER_BYTES);
  t.true(pages.length > 3 && pages.length < 8, `${pages.length} pages`);
  t.true(pages.every(({ entries }) => entries.length === 0));
  t.true(
    pages.slice(0, -1).every(({ context }) => context.gained.exceptionCount <= 64),
    "and its context is a small lower bound",
  );
  t.true(pages.at(-1)!.theirs.equals(store.context));
});
