/**
 * Pulls, step by step: what is asked, what is merged, when the context is joined (rule 4: after a complete, verified exchange, and not one
 * step before), and what becomes of exchanges that break off, are forged, or would remove too much.
 */
import test from "ava";
import type { MergeOutcome } from "../../lib/core/change.ts";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { contentHash, DEFAULT_DIGEST_KEY } from "../../lib/core/digest.ts";
import { summaryOf, type RepairAnswer } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { Pull, type PullResult } from "../../lib/repair/pull.ts";
import { START_MS } from "../support/chance.ts";
import { json, openTestStore, stateOf, textsOf, type TestStoreOptions } from "../support/stores.ts";
import { exchanged, PULL_OPTIONS, pullToEnd, SMALL_PAGES } from "../support/world.ts";

const NOW = START_MS;
const FORGETFUL = { recentDeletionsMax: 0 };

async function createPair(options: TestStoreOptions = {}): Promise<[a: Store, b: Store]> {
  return [(await openTestStore("a", options)).store, (await openTestStore("b", options)).store];
}

function fill(store: Store, prefix: string, keys: number): void {
  for (let n = 0; n < keys; n++) store.put(`${prefix}${n}`, json(`${n}`), NOW);
}

/** Runs a pull to its end; `change` may forge what the peer answers. */
function run(pull: Pull, from: Store, change = (answer: RepairAnswer): RepairAnswer => answer): PullResult {
  for (;;) {
    const result = pull.isBusy ? pull.advance([]) : pull.onAnswer(change(exchanged(pull.request(1), from)), NOW, []);
    if (result !== undefined) return result;
  }
}

test("a delta asks for what was not seen, and ends with the peer's context", async (t) => {
  const [a, b] = await createPair();
  fill(b, "k", 3);
  pullToEnd(a, b);
  b.put("k1", json("newer"), NOW);
  b.remove("k2", undefined, NOW);
  const pull = new Pull(a, "delta", PULL_OPTIONS, true);
  t.true(pull.request(9).seen.equals(a.context));
  t.is(pull.request(9).exchange, 9);
  t.is(run(pull, b), "joined");
  t.deepEqual(stateOf(a), stateOf(b));
  const { kind, entriesIn, dropped } = pull.counts;
  t.deepEqual({ kind, entriesIn, dropped }, { kind: "delta", entriesIn: 2, dropped: 0 });
});

test("rule 4: until the last page has come and is verified, the context holds the dots of merged entries and no others", async (t) => {
  const [a, b] = await createPair();
  fill(b, "k", 20);
  b.put("k0", json("newer"), NOW);
  b.remove("k1", undefined, NOW);
  const pull = new Pull(a, "delta", SMALL_PAGES, true);
  const merged = new Context();
  let result: PullResult | undefined;
  for (let steps = 0; result === undefined; steps++) {
    if (pull.isBusy) result = pull.advance([]);
    else {
      const answer = exchanged(pull.request(1), b);
      pull.onAnswer(answer, NOW, []);
      for (const { key, gone } of answer.entries) for (const dot of [...gone, ...b.read(key).map((one) => one.dot)]) merged.add(dot);
    }
    if (result === undefined) t.true(a.context.equals(merged), `after step ${steps}`);
  }
  t.is(result, "joined");
  t.true(pull.counts.requests > 5);
  t.true(a.context.equals(b.context) && !merged.equals(b.context));
});

test("rule 4: a pull that breaks off joins nothing, and loses nothing that the peer still holds", async (t) => {
  for (let steps = 1; steps < 12; steps++) {
    const [a, b] = await createPair();
    fill(b, "k", 10);
    for (let n = 0; n < 10; n += 2) b.put(`k${n}`, json("newer"), NOW);
    const pull = new Pull(a, "delta", SMALL_PAGES, true);
    for (let step = 0; step < steps && !pull.isBusy; step++) pull.onAnswer(exchanged(pull.request(1), b), NOW, []);
    pull.stop();
    t.false(a.context.covers(b.context));
    t.is(pullToEnd(b, a), "joined");
    t.is(b.count, 10);
    t.is(pullToEnd(a, b), "joined");
    t.deepEqual(stateOf(a), stateOf(b));
  }
});

test("a pull that broke off goes on where it was, also with another peer that has the same", async (t) => {
  const [a, b] = await createPair();
  const c = (await openTestStore("c")).store;
  fill(b, "k", 20);
  pullToEnd(c, b);
  const first = new Pull(a, "delta", SMALL_PAGES, true);
  for (let page = 0; page < 5; page++) first.onAnswer(exchanged(first.request(1), b), NOW, []);
  first.stop();
  const second = new Pull(a, "delta", SMALL_PAGES, true);
  t.is(run(second, c), "joined");
  t.is(first.counts.entriesIn + second.counts.entriesIn, 20, "nothing is sent twice");
  t.deepEqual(stateOf(a), stateOf(b));
});

test("an answer that comes twice, or is asked for twice, does no harm", async (t) => {
  const [a, b] = await createPair();
  fill(b, "k", 10);
  const pull = new Pull(a, "delta", SMALL_PAGES, true);
  const first = exchanged(pull.request(1), b);
  const again = exchanged(pull.request(2), b);
  pull.onAnswer(first, NOW, []);
  const merged: MergeOutcome[] = [];
  pull.onAnswer(again, NOW, merged);
  t.true(merged.every(({ before, after }) => before === after));
  t.is(run(pull, b), "joined");
  t.deepEqual(stateOf(a), stateOf(b));
});

test("writes on either side between pages: the pull ends, and what is new is simply the next difference", async (t) => {
  const [a, b] = await createPair();
  fill(b, "k", 20);
  fill(a, "k", 5);
  const pull = new Pull(a, "delta", SMALL_PAGES, true);
  let writes = 0;
  const result = run(pull, b, (answer) => {
    if (writes < 30) {
      b.put(`k${writes % 20}`, json(`b${writes}`), NOW);
      a.put(`k${(writes + 7) % 20}`, json(`a${writes}`), NOW);
      b.remove(`k${(writes + 3) % 20}`, undefined, NOW);
      writes++;
    }
    return answer;
  });
  t.not(result, "differs");
  for (let round = 0; round < 3; round++) t.not(pullToEnd(b, a), "differs", `${pullToEnd(a, b)}`);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("deletions that the peer has forgotten are found by a full push, and dropped", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(b, "k", 10);
  pullToEnd(a, b);
  for (const key of ["k3", "k4"]) b.remove(key, undefined, NOW);
  const pull = new Pull(a, "delta", SMALL_PAGES, true);
  const merged: MergeOutcome[] = [];
  while (!pull.isBusy) pull.onAnswer(exchanged(pull.request(1), b), NOW, merged);
  t.is(run(pull, b), "joined");
  t.deepEqual([pull.counts.kind, pull.counts.dropped], ["full", 2]);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("when both have forgotten their deletions, neither waits for the other for ever", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(a, "k", 4);
  pullToEnd(b, a);
  a.remove("k1", undefined, NOW);
  b.remove("k2", undefined, NOW);
  t.is(pullToEnd(a, b), "behind");
  t.is(pullToEnd(b, a), "behind");
  t.is(pullToEnd(a, b, "delta", PULL_OPTIONS, false), "joined");
  t.is(pullToEnd(b, a), "joined");
  t.deepEqual([textsOf(a, "k1"), textsOf(a, "k2"), a.count], [[], [], 2]);
  t.deepEqual(stateOf(a), stateOf(b));
});

test("what we supersede or delete while the pages of a full push come is still theirs in the sum", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(b, "k", 10);
  const pull = new Pull(a, "full", { ...PULL_OPTIONS, answerBytesMax: 1 }, true);
  let page = 0;
  const result = run(pull, b, (answer) => {
    page++;
    if (page === 5) a.put("k1", json("newer"), NOW);
    if (page === 6) a.remove("k2", undefined, NOW);
    return answer;
  });
  t.is(result, "joined");
  t.deepEqual([textsOf(a, "k1"), textsOf(a, "k2"), a.count], [["newer"], [], 9]);
});

test("what we have and the peer has never seen is not dropped by a full push", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(b, "k", 4);
  pullToEnd(a, b);
  a.put("mine", json("1"), NOW);
  a.put("k2", json("both", { observed: [] }), NOW);
  a.put("k3", json("both", { observed: [] }), NOW);
  for (const key of ["k1", "k3"]) b.remove(key, undefined, NOW);
  t.is(pullToEnd(a, b, "full"), "joined");
  t.deepEqual([textsOf(a, "mine"), textsOf(a, "k1"), textsOf(a, "k2").sort(), textsOf(a, "k3")], [["1"], [], ["2", "both"], ["both"]]);
});

test("rule 4: a page that lost an entry, or whose sum is forged, is noticed: the context is not joined and nothing is dropped", async (t) => {
  const forgeries: Record<string, (answer: RepairAnswer) => RepairAnswer> = {
    "an entry is missing": (answer) => ({ ...answer, entries: answer.entries.filter(({ key }) => key !== "k3") }),
    "the count is another": (answer) => ({ ...answer, summary: { ...summaryOf(answer), count: summaryOf(answer).count + 1 } }),
    "the sum is another": (answer) => ({ ...answer, summary: { ...summaryOf(answer), dotRoot: "x".repeat(16) } }),
  };
  for (const [what, forge] of Object.entries(forgeries)) {
    const [a, b] = await createPair(FORGETFUL);
    fill(b, "k", 3);
    pullToEnd(a, b);
    b.put("k3", json("new"), NOW);
    b.remove("k1", undefined, NOW);
    const before = a.context.clone();
    t.is(run(new Pull(a, "delta", PULL_OPTIONS, true), b, forge), "differs", what);
    t.deepEqual(textsOf(a, "k1"), ["1"], what);
    t.false(a.context.covers(b.context), what);
    t.true(a.context.covers(before));
    t.is(pullToEnd(a, b), "joined", "and the next honest exchange makes it good");
    t.deepEqual(stateOf(a), stateOf(b));
  }
});

test("an entry that is refused ends the session by an error: what came before it stays, the context is not joined", async (t) => {
  const [a, b] = await createPair();
  fill(b, "k", 3);
  const pull = new Pull(a, "delta", PULL_OPTIONS, true);
  const answer = exchanged(pull.request(1), b);
  const broken = {
    ...answer,
    entries: answer.entries.map((entry) => (entry.key === "k1" ? { ...entry, record: Buffer.from([9]) } : entry)),
  };
  const merged: MergeOutcome[] = [];
  t.throws(() => pull.onAnswer(broken, NOW, merged), { code: "malformed" });
  pull.stop();
  t.deepEqual(
    merged.map(({ key }) => key),
    ["k0"],
  );
  t.is(a.context.exceptionCount, 0);
  t.false(a.context.covers(b.context));
});

test("a round that would drop more than its share stops and says so, before it drops anything", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(b, "k", 10);
  pullToEnd(a, b);
  for (let n = 0; n < 6; n++) b.remove(`k${n}`, undefined, NOW);
  a.removals.limit({ dropShareMax: 0.5, dropsAllowed: 5 });
  const before = stateOf(a);
  t.is(pullToEnd(a, b), "too-many-drops");
  t.deepEqual(stateOf(a), before);
  a.removals.limit({ dropShareMax: 0.5, dropsAllowed: 6 });
  t.is(pullToEnd(a, b), "joined");
  t.is(a.count, 4);
});

test("many drops go in slices, while writes go on", async (t) => {
  const [a, b] = await createPair(FORGETFUL);
  fill(b, "k", 1200);
  pullToEnd(a, b);
  for (let n = 0; n < 1100; n++) b.remove(`k${n}`, undefined, NOW);
  const pull = new Pull(a, "full", PULL_OPTIONS, true);
  while (!pull.isBusy) pull.onAnswer(exchanged(pull.request(1), b), NOW, []);
  const sizes: number[] = [];
  for (let result: PullResult | undefined; result === undefined;) {
    const merged: MergeOutcome[] = [];
    result = pull.advance(merged);
    sizes.push(merged.length);
    a.put("k1050", json("meanwhile"), NOW);
  }
  t.true(Math.max(...sizes) <= 512 && sizes.length > 3, sizes.join());
  t.is(a.count, 101);
  t.deepEqual(textsOf(a, "k1050"), ["meanwhile"]);
  t.is(pullToEnd(b, a), "joined");
  t.deepEqual(stateOf(a), stateOf(b));
});

test("an entry that cannot be taken keeps only itself out: what comes after it arrives, and the session says that it differs", async (t) => {
  const [a, b] = await createPair();
  const large = { contentType: "text/plain", value: Buffer.alloc(7 * 1024 * 1024), expiresAtMs: 0 };
  for (const store of [a, b]) store.put("big", large, NOW);
  b.put("later", json("1"), NOW);
  const pull = new Pull(a, "delta", PULL_OPTIONS, true);
  t.is(run(pull, b), "differs");
  t.regex(pull.refused?.message ?? "", /14680064 bytes/);
  t.deepEqual(textsOf(a, "later"), ["1"]);
  t.false(a.context.covers(b.context));
});

test("the same write with other contents: each side keeps its own and says so, and the next write to the key makes them equal", async (t) => {
  const [a, b] = await createPair();
  a.put("k", json("1"), NOW);
  t.is(pullToEnd(b, a), "joined");
  const [sibling] = a.read("k");
  const digest = contentHash(DEFAULT_DIGEST_KEY, "k", "", Buffer.from("2"));
  const broken = (await openTestStore("broken")).store;
  broken.merge({ key: "k", record: encodeSiblings([{ ...sibling!, value: Buffer.from("2"), digest }]), gone: [] }, a.context, NOW);
  t.true(broken.dotRoot.equals(b.dotRoot) && !broken.root.equals(b.root));
  broken.put("l", json("3"), NOW);
  const before = textsOf(b, "k");
  const pull = new Pull(b, "full", PULL_OPTIONS, true);
  t.is(run(pull, broken), "differs");
  t.regex(pull.refused?.message ?? "", /another content/);
  t.deepEqual([textsOf(b, "k"), textsOf(b, "l")], [before, ["3"]], "the others are taken");
  b.put("k", json("4"), NOW);
  t.is(pullToEnd(broken, b), "joined");
  t.deepEqual(stateOf(broken), stateOf(b));
});
