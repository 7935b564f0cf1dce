/** Answers of several turns: each request has its own, and only so many are made at once. */
import test from "ava";
import { Context } from "../../lib/core/context.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import type { RepairAnswer, RepairRequest } from "../../lib/core/message.ts";
import { Sketches } from "../../lib/repair/sketches.ts";
import { Answers } from "../../lib/replica/answer-of.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore } from "../support/stores.ts";
import { PULL_OPTIONS } from "../support/world.ts";

const KEYS = 30;

const requestOf = (exchange: number): RepairRequest => ({
  kind: "repair-request",
  exchange,
  seen: new Context(),
  bytesMax: 1_000_000,
  count: 0,
  cells: 0,
});

async function createAnswers(): Promise<Answers> {
  const { store } = await openTestStore("a");
  for (let n = 0; n < KEYS; n++) store.put(`k${n}`, json("1"), START_MS);
  return new Answers(store, new Sketches(store), { ...PULL_OPTIONS, answerStepMax: 10 });
}

function finished(answers: Answers, request: RepairRequest): RepairAnswer {
  for (;;) {
    const answer = answers.step(request);
    if (answer instanceof ConcordError) throw answer;
    if (answer !== undefined) return answer;
  }
}

test("requests that come between the turns of another have answers of their own", async (t) => {
  const answers = await createAnswers();
  const [one, other] = [requestOf(1), requestOf(2)];
  t.is(answers.step(one), undefined);
  t.deepEqual([answers.hasBegun(one), answers.hasBegun(other)], [true, false]);
  t.is(answers.step(other), undefined);
  for (const request of [one, other]) {
    const { exchange, entries, more } = finished(answers, request);
    t.deepEqual([exchange, entries.length, more], [request.exchange, KEYS, false]);
    t.false(answers.hasBegun(request));
  }
});

test("the fifth at once is given what one turn makes", async (t) => {
  const answers = await createAnswers();
  const first = [1, 2, 3, 4].map(requestOf);
  for (const request of first) t.is(answers.step(request), undefined);
  const fifth = answers.step(requestOf(5)) as RepairAnswer;
  t.true(fifth.more && fifth.entries.length > 0 && fifth.entries.length <= 10);
  for (const request of first) t.is(finished(answers, request).entries.length, KEYS);
  t.is(answers.step(requestOf(6)), undefined, "there is room again");
});
