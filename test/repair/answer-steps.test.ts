/**
 * Answers that are made in several turns: between them anything may be written, and what the page says must hold all the same. With random
 * histories test/repair/pull.laws.test.ts does the same; what is here shows each rule alone.
 */
import test from "ava";
import { decodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { encodeFrame } from "../../lib/core/frame.ts";
import type { RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import { absoluteOf } from "../../lib/core/relative-context.ts";
import { Answering, answerRequest, type AnswerOptions } from "../../lib/repair/answer.ts";
import { Pull } from "../../lib/repair/pull.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore, stateOf } from "../support/stores.ts";
import { PULL_OPTIONS, pullToEnd, read } from "../support/world.ts";

const NOW = START_MS;
const KEYS = 100;

/** A page of all hundred keys takes ten turns or so. */
const OPTIONS: AnswerOptions = { ...PULL_OPTIONS, answerStepMax: 10 };

const request = (seen = new Context(), bytesMax = 1_000_000): RepairRequest => ({
  kind: "repair-request",
  exchange: 1,
  seen,
  bytesMax,
  count: 0,
  cells: 0,
});

async function createFilled() {
  const { store } = await openTestStore("b");
  for (let n = 0; n < KEYS; n++) store.put(`k${n}`, json(`${n}`), NOW);
  return store;
}

/** `meanwhile` happens after so many turns. */
function answered(answering: Answering, meanwhile: (turns: number) => void = () => undefined): { answer: RepairAnswer; turns: number } {
  for (let turns = 1; ; turns++) {
    const answer = answering.step();
    if (answer !== undefined) return { answer, turns };
    meanwhile(turns);
  }
}

test("when nothing is written meanwhile, the page is the one that a single turn makes", async (t) => {
  const store = await createFilled();
  const { answer, turns } = answered(new Answering(store, request(), undefined, OPTIONS));
  t.true(turns >= 10 && turns <= 12, `${turns} turns`);
  t.deepEqual(encodeFrame(answer), encodeFrame(answerRequest(store, request())));
  t.false(answer.more);
});

test("what is written meanwhile is not claimed to be seen, and the page is not the last", async (t) => {
  const store = await createFilled();
  const before = store.context.clone();
  const { answer } = answered(new Answering(store, request(), undefined, OPTIONS), (turns) => {
    if (turns === 3) store.put("k0", json("newer"), NOW);
  });
  t.true(answer.more);
  t.is(answer.summary, undefined);
  t.true(absoluteOf(answer.context, new Context()).equals(before));
  t.is(answer.entries.length, KEYS);
  const rest = answerRequest(store, request(answer.covered));
  t.deepEqual([rest.more, rest.entries.map(({ key }) => key)], [false, ["k0"]]);
});

test("the asker keeps what it was pushed of a key that the page shows as it was before", async (t) => {
  const [mine, theirs] = [(await openTestStore("a")).store, await createFilled()];
  const pull = new Pull(mine, "delta", PULL_OPTIONS, true);
  const answering = new Answering(theirs, read<RepairRequest>(encodeFrame(pull.request(1))), undefined, OPTIONS);
  const { answer } = answered(answering, (turns) => {
    if (turns !== 3) return;
    const { entry } = theirs.put("k0", json("newer"), NOW);
    mine.merge(theirs.wireEntry("k0", entry.gone), theirs.context, NOW);
  });
  const newer = mine.read("k0");
  pull.onAnswer(answer, NOW, []);
  while (pull.isBusy) pull.advance([]);
  t.deepEqual(mine.read("k0"), newer);
  pull.stop();
  t.is(pullToEnd(mine, theirs), "joined");
  t.deepEqual(stateOf(mine), stateOf(theirs));
});

test("a value that was read in an earlier turn, and then removed by a repair, does not look alive and gone", async (t) => {
  const store = await createFilled();
  const [seen, first] = [store.context.clone(), { observed: [] }];
  store.put("twice", json("1", first), NOW);
  for (let n = 0; n < 30; n++) store.put(`l${n}`, json("1"), NOW);
  const { dot } = store.put("twice", json("2", first), NOW);
  const { answer } = answered(new Answering(store, request(seen), undefined, OPTIONS), (turns) => {
    if (turns === 1) store.drop(dot);
  });
  const { record, gone } = answer.entries.find(({ key }) => key === "twice")!;
  t.deepEqual(gone, [dot]);
  t.deepEqual(
    decodeSiblings(record).map(({ value }) => Buffer.from(value).toString()),
    ["1"],
  );
});

test("an answer that has to do with one turn is as small, and the rest is asked for", async (t) => {
  const store = await createFilled();
  const { answer, turns } = answered(new Answering(store, request(), undefined, OPTIONS, false));
  t.deepEqual([turns, answer.more], [1, true]);
  t.true(answer.entries.length >= 8 && answer.entries.length <= 10, `${answer.entries.length} entries`);
});
