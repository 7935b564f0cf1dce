/** Dots that leave the context, because their records were lost, while a repair is under way that took them for seen. */
import test, { type ExecutionContext } from "ava";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { entryAt } from "../../lib/core/layout.ts";
import type { Message } from "../../lib/core/message.ts";
import type { Output } from "../../lib/core/output.ts";
import { Replica } from "../../lib/replica.ts";
import { at, createRandom, START_MS } from "../support/chance.ts";
import { damage, json, openTestStore, textsOf, type TestStore } from "../support/stores.ts";
import { pullToEnd } from "../support/world.ts";

interface Side extends TestStore {
  readonly replica: Replica;
}

/** Pages of a few entries, made and merged in steps of one. */
const SMALL = { answerBytesMax: 400, stepEntriesMax: 1, answerStepMax: 1, stepRangesMax: 1 };

async function createSide(name: string, peer: string): Promise<Side> {
  const opened = await openTestStore(name, { recentDeletionsMax: 0 });
  const options = { ...REPLICA_DEFAULTS, ...SMALL, jitterMs: 0, peers: [peer], name, address: name };
  return { ...opened, replica: new Replica(opened.store, options, createRandom(1), at(0)) };
}

const messageIn = (outputs: readonly Output[]): Message | undefined =>
  outputs.flatMap((one) => (one.type === "send" || one.type === "reply" ? [one.message] : [])).at(-1);

const has = (outputs: readonly Output[], type: Output["type"]): boolean => outputs.some((one) => one.type === type);

/** Loses a record of this side and has all of it looked over. */
async function loseX(t: ExecutionContext, { replica, storage, store, persist }: Side): Promise<void> {
  damage(storage, entryAt("x"), 99);
  replica.step({ type: "scrub", reason: "asked" }, at(1));
  for (let slice = 0; slice < 1_000 && replica.scrubber.isRunning; slice++) replica.step({ type: "scrub-slice" }, at(1));
  await persist();
  t.true(!replica.scrubber.isRunning && store.quarantine.size === 1, "x is set apart");
}

/** Two that hold x; the second has written more since. */
async function createPair(): Promise<readonly [Side, Side]> {
  const [a, b] = [await createSide("a", "b"), await createSide("b", "a")];
  b.store.put("x", json('"x"'), START_MS);
  pullToEnd(a.store, b.store);
  for (let n = 0; n < 20; n++) b.store.put(`k${n}`, json('"more"'), START_MS);
  await Promise.all([a.persist(), b.persist()]);
  return [a, b];
}

test("the asking node does not go on: it would take what it has lost for deleted", async (t) => {
  const [a, b] = await createPair();
  a.replica.step({ type: "tick" }, at(0));
  let asked = a.replica.step({ type: "repair", peer: "b" }, at(0));
  let request = messageIn(asked);
  t.is(request?.kind, "repair-request");
  let lost = false;
  for (let pages = 0; pages < 100 && request !== undefined; pages++) {
    let outputs: Output[];
    do outputs = b.replica.step({ type: "message", from: "a", message: request }, at(1));
    while (has(outputs, "again"));
    if (!lost) await loseX(t, a);
    lost = true;
    const answer = messageIn(outputs);
    asked = answer === undefined ? [] : a.replica.step({ type: "message", from: "b", message: answer }, at(1));
    while (messageIn(asked) === undefined && has(asked, "continue")) asked = a.replica.step({ type: "continue" }, at(1));
    request = messageIn(asked);
    await a.persist();
  }
  t.deepEqual(textsOf(a.store, "x"), [], "this session brought nothing of x");
  for (const dot of b.store.read("x").map((sibling) => sibling.dot)) t.false(a.store.context.has(dot), "so it is not taken for seen");
});

test("the answering node does not go on with a page that claims to have seen it", async (t) => {
  const [a, b] = await createPair();
  pullToEnd(a.store, b.store);
  await a.persist();
  const lostDots = a.store.read("x").map(({ dot }) => dot);
  const c = await createSide("c", "a");
  c.replica.step({ type: "tick" }, at(0));
  const request = messageIn(c.replica.step({ type: "repair", peer: "a" }, at(0)))!;
  let outputs = a.replica.step({ type: "message", from: "c", message: request }, at(1));
  t.true(has(outputs, "again"), "the page takes several turns");
  await loseX(t, a);
  while (has(outputs, "again")) outputs = a.replica.step({ type: "message", from: "c", message: request }, at(2));
  const answer = messageIn(outputs);
  t.is(answer?.kind, "repair-answer");
  if (answer?.kind !== "repair-answer") return;
  for (const dot of lostDots) t.false(answer.context.gained.has(dot));
});

test("lost between two pieces of a context that is joined: it does not come back with a later one", async (t) => {
  const [a, b] = [await createSide("a", "b"), await createSide("b", "a")];
  // b has seen writes and deletions of three others; x is one of the last, and only the context tells of the deletions.
  const others = await Promise.all(["c", "d", "e"].map((name) => createSide(name, "a")));
  for (const { store } of others) {
    store.put("gone", json("1"), START_MS);
    store.remove("gone", undefined, START_MS);
  }
  const [first, , last] = others;
  last!.store.put("x", json('"x"'), START_MS);
  a.store.merge(last!.store.wireEntry("x", []), last!.store.context.minus(last!.store.context), START_MS);
  for (const { store } of others) pullToEnd(b.store, store);
  await Promise.all([a.persist(), b.persist()]);
  const lostDots = a.store.read("x").map(({ dot }) => dot);
  t.is([...b.store.context.incarnations()].at(-1), last!.store.incarnation);

  const deletion = { incarnation: first!.store.incarnation!, counter: 2 };
  a.replica.step({ type: "tick" }, at(0));
  const request = messageIn(a.replica.step({ type: "repair", peer: "b" }, at(0)))!;
  let outputs: Output[];
  do outputs = b.replica.step({ type: "message", from: "a", message: request }, at(1));
  while (has(outputs, "again"));
  outputs = a.replica.step({ type: "message", from: "b", message: messageIn(outputs)! }, at(1));
  while (has(outputs, "continue") && !a.store.context.has(deletion)) outputs = a.replica.step({ type: "continue" }, at(1));
  t.deepEqual([a.store.context.has(deletion), a.store.context.covers(b.store.context)], [true, false], "a piece is joined");
  await loseX(t, a);
  for (let steps = 0; steps < 10; steps++) a.replica.step({ type: "continue" }, at(2));
  for (const dot of lostDots) t.false(a.store.context.has(dot));
  t.is(a.replica.repairingWith, undefined, "the session is over");
});
