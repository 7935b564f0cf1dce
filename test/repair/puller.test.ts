/** When repairs begin, and what becomes of one whose peer is slow, silent, gone, behind or broken: transcripts of one puller. */
import test from "ava";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { summaryOf, type RepairAnswer, type RepairRequest } from "../../lib/core/message.ts";
import type { Output, RepairReceipt } from "../../lib/core/output.ts";
import type { Store } from "../../lib/core/store.ts";
import { Puller, type PullerStep } from "../../lib/repair/puller.ts";
import { at, createRandom, START_MS } from "../support/chance.ts";
import { json, openTestStore, stateOf } from "../support/stores.ts";
import { exchanged, pullToEnd } from "../support/world.ts";

const NOW = START_MS;
const { answerTimeoutMs } = REPLICA_DEFAULTS;

interface Bench {
  readonly mine: Store;
  readonly theirs: Store;
  readonly puller: Puller;
}

async function createBench(options: Partial<typeof REPLICA_DEFAULTS> = {}): Promise<Bench> {
  const [mine, theirs] = [
    (await openTestStore("a", { recentDeletionsMax: 0 })).store,
    (await openTestStore("b", { recentDeletionsMax: 0 })).store,
  ];
  let exchange = 0;
  const puller = new Puller(mine, { ...REPLICA_DEFAULTS, jitterMs: 0, ...options }, createRandom(1), () => ++exchange);
  return { mine, theirs, puller };
}

function shown(outputs: readonly Output[]): string[] {
  return outputs.map((output) => {
    if (output.type === "send") return `${output.message.kind} ${output.message.exchange} to ${output.to}`;
    if (output.type !== "event") return output.type;
    const { event } = output;
    return event.kind === "repair-ended" ? `ended ${event.receipt.result}` : event.kind;
  });
}

const requestIn = (outputs: readonly Output[]): RepairRequest =>
  outputs.flatMap((one) => (one.type === "send" ? [one.message as RepairRequest] : [])).at(-1)!;
const receiptIn = (outputs: readonly Output[]): RepairReceipt | undefined =>
  outputs.flatMap((one) => (one.type === "event" && one.event.kind === "repair-ended" ? [one.event.receipt] : [])).at(-1);

/** One session from the first request to its receipt. */
function runSession(
  { puller, theirs }: Bench,
  elapsedMs: number,
  change = (answer: RepairAnswer): RepairAnswer => answer,
): RepairReceipt | undefined {
  let outputs = puller.onTick(at(elapsedMs));
  while (receiptIn(outputs) === undefined && outputs.length > 0) {
    const busy = outputs.some((one) => one.type === "continue");
    const step: PullerStep = busy
      ? puller.onContinue(at(elapsedMs))
      : puller.onAnswer(change(exchanged(requestIn(outputs), theirs)), at(elapsedMs));
    outputs = step.outputs;
  }
  return receiptIn(outputs);
}

test("a repair from end to end: asked, merged, verified in a turn of its own, joined, and a receipt", async (t) => {
  const bench = await createBench();
  const { mine, theirs, puller } = bench;
  mine.put("a", json("1"), NOW);
  theirs.put("k", json("1"), NOW);
  puller.want("b", true, at(0));
  t.is(puller.wantedCount, 1);
  const started = puller.onTick(at(0));
  t.deepEqual(shown(started), ["repair-started", "repair-request 1 to b"]);
  t.deepEqual([puller.activePeer, puller.wantedCount], ["b", 0]);
  const answered = puller.onAnswer(exchanged(requestIn(started), theirs), at(10));
  t.deepEqual(shown(answered.outputs), ["continue"]);
  t.deepEqual(answered.merged.map(({ key }) => key), ["k"]); // prettier-ignore
  t.deepEqual(shown(puller.onContinue(at(20)).outputs), ["continue"]);
  const ended = puller.onContinue(at(30)).outputs;
  t.deepEqual(shown(ended), ["ended joined"]);
  t.deepEqual(receiptIn(ended), {
    number: 1,
    peer: "b",
    kind: "delta",
    why: "the contexts tell what is missing",
    result: "joined",
    requests: 1,
    differences: 2,
    entriesIn: 1,
    peerLacks: 1,
    dropped: 0,
    bytesIn: 111,
    bytesOut: 28,
    entryBytesIn: 45,
    tookMs: 30,
    endedMs: START_MS + 30,
  });
  t.is(puller.activePeer, undefined);
  t.deepEqual(puller.onTick(at(1000)), []);
});

test("a replica that has seen nothing asks for everything", async (t) => {
  const bench = await createBench();
  bench.theirs.put("k", json("1"), NOW);
  bench.puller.want("b", true, at(0));
  t.like(runSession(bench, 0), { kind: "full", result: "joined" });
  t.deepEqual(stateOf(bench.mine), stateOf(bench.theirs));
});

test("the start is put off by chance, but for a first meeting", async (t) => {
  const { puller } = await createBench({ jitterMs: 1000 });
  puller.want("b", false, at(0));
  const startedAt = Array.from({ length: 1001 }, (_, ms) => ms).find((ms) => puller.onTick(at(ms)).length > 0)!;
  t.true(startedAt > 0 && startedAt <= 1000, `${startedAt}`);
  const other = (await createBench({ jitterMs: 1000 })).puller;
  other.want("b", true, at(0));
  t.is(other.onTick(at(0)).length, 2);
});

test("one repair at a time; who is wanted twice is wanted once, and who is not any more is not asked", async (t) => {
  const { puller } = await createBench();
  for (const peer of ["b", "c", "d", "c"]) puller.want(peer, true, at(0));
  t.is(puller.wantedCount, 3);
  puller.onTick(at(0));
  puller.want("b", true, at(1));
  t.is(puller.wantedCount, 2, "from b it is being done");
  t.deepEqual(puller.onTick(at(1)), []);
  puller.unwant("c");
  t.deepEqual(shown(puller.onPeerDown("b", at(2))), ["ended interrupted"]);
  t.deepEqual(shown(puller.onTick(at(3))), ["repair-started", "repair-request 2 to d"]);
});

test("what an operator asked for ends with a receipt: when both turn out to hold the same, and when the peer goes down", async (t) => {
  const { mine, theirs, puller } = await createBench();
  const bench = { mine, theirs, puller };
  puller.want("c", true, at(0));
  puller.onTick(at(0));
  puller.wantNow("b", at(0));
  puller.want("b", true, at(0), mine.summary());
  puller.unwant("b");
  t.deepEqual([puller.activePeer, puller.wantedCount, puller.endedCount], ["c", 1, 0], "it waits for its turn");
  puller.onPeerDown("c", at(1));
  t.like(runSession(bench, 1), { number: 2, peer: "b", result: "joined", differences: 0 });
  puller.want("d", true, at(2));
  puller.onTick(at(2));
  puller.wantNow("b", at(2));
  t.like(receiptIn(puller.onPeerDown("b", at(3))), { number: 3, peer: "b", result: "interrupted", requests: 0 });
  t.deepEqual([puller.activePeer, puller.wantedCount, puller.endedCount], ["d", 0, 3]);
});

test("an answer that does not come is asked for again, and after three times no more", async (t) => {
  const { puller } = await createBench();
  puller.want("b", true, at(0));
  puller.onTick(at(0));
  t.deepEqual(puller.onTick(at(answerTimeoutMs - 1)), []);
  t.deepEqual(shown(puller.onTick(at(answerTimeoutMs))), ["repair-request 2 to b"]);
  t.deepEqual(shown(puller.onTick(at(2 * answerTimeoutMs))), ["repair-request 3 to b"]);
  t.deepEqual(shown(puller.onTick(at(3 * answerTimeoutMs))), ["ended interrupted"]);
});

test("answers to anything but the last question find nobody", async (t) => {
  const { puller, theirs } = await createBench();
  theirs.put("k", json("1"), NOW);
  puller.want("b", true, at(0));
  const first = exchanged(requestIn(puller.onTick(at(0))), theirs);
  const second = exchanged(requestIn(puller.onTick(at(answerTimeoutMs))), theirs);
  t.deepEqual(puller.onAnswer(first, at(answerTimeoutMs)), { outputs: [], merged: [] }, "the late one");
  t.is(puller.onAnswer(second, at(answerTimeoutMs)).merged.length, 1);
  t.deepEqual(puller.onAnswer(second, at(answerTimeoutMs)), { outputs: [], merged: [] }, "the doubled one");
  puller.onContinue(at(answerTimeoutMs));
  puller.onContinue(at(answerTimeoutMs));
  t.is(puller.activePeer, undefined);
  t.deepEqual(puller.onAnswer(second, at(answerTimeoutMs)), { outputs: [], merged: [] }, "the one of a session that is over");
  t.deepEqual(puller.onContinue(at(answerTimeoutMs)), { outputs: [], merged: [] });
});

test("each page has its own three attempts", async (t) => {
  const { puller, theirs } = await createBench({ answerBytesMax: 1 });
  for (let n = 0; n < 5; n++) theirs.put(`k${n}`, json("1"), NOW);
  puller.want("b", true, at(0));
  let outputs = puller.onTick(at(0));
  for (let page = 1; page <= 5; page++) {
    const elapsedMs = page * 2 * answerTimeoutMs;
    outputs = puller.onTick(at(elapsedMs));
    outputs = puller.onAnswer(exchanged(requestIn(outputs), theirs), at(elapsedMs)).outputs;
  }
  t.deepEqual(shown(outputs), ["continue"]);
});

test("a peer that goes down while its answers are being verified is not needed any more", async (t) => {
  const { puller, mine, theirs } = await createBench();
  theirs.put("k", json("1"), NOW);
  puller.want("b", true, at(0));
  puller.onAnswer(exchanged(requestIn(puller.onTick(at(0))), theirs), at(1));
  t.deepEqual(puller.onPeerDown("b", at(2)), []);
  puller.onContinue(at(3));
  t.deepEqual(shown(puller.onContinue(at(3)).outputs), ["ended joined"]);
  t.deepEqual(stateOf(mine), stateOf(theirs));
});

test("what the store refuses ends the session with a word, and what was merged before it is told", async (t) => {
  const bench = await createBench();
  for (const key of ["k", "l"]) bench.theirs.put(key, json("1"), NOW);
  bench.puller.want("b", true, at(0));
  const answer = exchanged(requestIn(bench.puller.onTick(at(0))), bench.theirs);
  const broken = { ...answer, entries: [answer.entries[0]!, { ...answer.entries[1]!, record: Buffer.from([1]) }] };
  const step = bench.puller.onAnswer(broken, at(1));
  t.deepEqual(shown(step.outputs), ["refused", "ended interrupted"]);
  t.deepEqual(step.merged.map(({ key }) => key), ["k"]); // prettier-ignore
});

test("failures in a row put the next repair off, longer each time up to a minute; a success ends that", async (t) => {
  const bench = await createBench();
  const forged = (answer: RepairAnswer): RepairAnswer => ({ ...answer, summary: { ...summaryOf(answer), count: 99 } });
  const pauses: number[] = [];
  let elapsedMs = 0;
  const pauseBefore = (change?: typeof forged): number => {
    bench.puller.want("b", true, at(elapsedMs));
    const wantedMs = elapsedMs;
    while (runSession(bench, elapsedMs, change) === undefined) elapsedMs += 1000;
    return elapsedMs - wantedMs;
  };
  for (let failure = 0; failure < 8; failure++) pauses.push(pauseBefore(forged));
  t.deepEqual(pauses, [0, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  t.is(pauseBefore(), 60_000);
  t.is(pauseBefore(), 0);
});

test("a peer that is behind is given time twice, then asked for everything", async (t) => {
  const bench = await createBench();
  const { mine, theirs } = bench;
  for (const key of ["k", "l"]) theirs.put(key, json("1"), NOW);
  pullToEnd(mine, theirs);
  mine.remove("k", undefined, NOW);
  theirs.remove("l", undefined, NOW);
  const results = [1, 2, 3].map((round) => {
    bench.puller.want("b", true, at(round));
    return runSession(bench, round);
  });
  t.deepEqual(
    results.map((receipt) => [receipt?.kind, receipt?.result]),
    [
      ["delta", "behind"],
      ["delta", "behind"],
      ["full", "joined"],
    ],
  );
  t.is(mine.count, 0);
});

test("a large page: the next is asked for while it is merged, one request on its way at a time, and one continue", async (t) => {
  const { puller, theirs } = await createBench({ answerBytesMax: 27_000, firstStepEntries: 256 });
  for (let n = 0; n < 1500; n++) theirs.put(`k${n}`, json("1"), NOW);
  puller.want("b", true, at(0));
  const first = exchanged(requestIn(puller.onTick(at(0))), theirs);
  const step = puller.onAnswer(first, at(1));
  t.deepEqual(shown(step.outputs), ["repair-request 2 to b", "continue"]);
  const second = exchanged(requestIn(step.outputs), theirs);
  t.deepEqual(shown(puller.onAnswer(second, at(2)).outputs), [], "there is a continue already, and pages enough");
  t.deepEqual(shown(puller.onContinue(at(3)).outputs), ["repair-request 3 to b", "continue"]);
  t.deepEqual(shown(puller.onContinue(at(3)).outputs), ["continue"]);
  t.deepEqual(puller.onTick(at(answerTimeoutMs + 3)), [], "while pages are merged, an answer may be late");
  t.deepEqual(shown(puller.onPeerDown("b", at(4))), ["ended interrupted"], "the last page is not here");
});

test("a peer that is being sent pages is asked when it has the last one, or has asked for no more in a while", async (t) => {
  for (const end of ["last page", "silence"]) {
    const { puller } = await createBench();
    puller.onAnswered("b", true, at(0));
    puller.want("b", false, at(1));
    t.deepEqual(puller.onTick(at(answerTimeoutMs - 1)), []);
    if (end === "last page") puller.onAnswered("b", false, at(answerTimeoutMs - 1));
    const next = end === "last page" ? answerTimeoutMs - 1 : answerTimeoutMs;
    t.deepEqual(shown(puller.onTick(at(next))), ["repair-started", "repair-request 1 to b"], end);
  }
});

test("a peer that asks is not asked in return for a while; if it still differs then it is, however often it asks", async (t) => {
  const { puller } = await createBench();
  const isAsked = (ms: number): boolean => shown(puller.onTick(at(ms))).includes("repair-started");
  for (const ms of [0, 100, 4_900]) {
    puller.want("b", false, at(ms));
    puller.spare("b", at(ms));
    t.false(isAsked(ms + 1), "it was told all that it had not seen");
  }
  puller.want("b", false, at(5_000));
  puller.spare("b", at(5_000));
  t.true(isAsked(5_001), "and differs all the same");

  for (const reset of [() => puller.unwant("c"), () => puller.onPeerDown("c", at(0))]) {
    for (const ms of [0, 6_000, 12_000]) {
      puller.want("c", false, at(ms));
      puller.spare("c", at(ms));
      t.is(puller.wantedCount, 0, "what has agreed meanwhile, or was gone, is spared anew");
      reset();
    }
  }
  puller.spare("d", at(0));
  puller.want("d", false, at(9_000));
  puller.spare("d", at(9_000));
  t.is(puller.wantedCount, 0, "nobody is spared who was not wanted");
  puller.wantNow("e", at(0));
  puller.spare("e", at(0));
  t.is(puller.wantedCount, 1, "what an operator wants is done");
});
