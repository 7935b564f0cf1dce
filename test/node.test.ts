/**
 * The order of effects: step, persist, and only then send, acknowledge and publish. The storage is durable when the test says so, so
 * whatever leaves too early is seen to.
 */
import test from "ava";
import { ConcordError } from "../lib/core/errors.ts";
import { entryAt, META } from "../lib/core/layout.ts";
import type { Message } from "../lib/core/message.ts";
import { INBOX_MAX, type Node } from "../lib/node.ts";
import { TURN_INPUTS_MAX } from "../lib/node/turn.ts";
import type { Operation } from "../lib/replica.ts";
import {
  createHeldStorage,
  createTestNode,
  entriesOf,
  meet,
  quiet,
  watched,
  type HeldStorage,
  type TestNode,
} from "./support/driven-nodes.ts";
import { json, openTestStore } from "./support/stores.ts";
import { START_MS } from "./support/chance.ts";

const put = (key: string, text = "1"): Operation => ({ key, write: json(text) });

async function createHeld(peers: readonly string[] = []): Promise<TestNode & { readonly storage: HeldStorage }> {
  const storage = createHeldStorage();
  return { ...(await createTestNode("a", { storage, peers })), storage };
}

/** A push of one key from a peer. */
async function pushFrom(name: string, key: string): Promise<Message> {
  const { store } = await openTestStore(name);
  store.put(key, json("theirs"), START_MS);
  return { kind: "push", exchange: 7, entries: [store.wireEntry(key, [])], context: store.context };
}

test("rule 1: nothing is sent, acknowledged or published before the batch that holds it is durable, and no dot leaves", async (t) => {
  const held = await createHeld(["b"]);
  meet(held, "b");
  held.sent.length = 0;
  const written = watched(held.node.write([put("k")], 1));
  await quiet();
  t.is(held.storage.waiting, 1);
  t.deepEqual(entriesOf(held.storage.batches[0]!), [entryAt("k")]);
  t.true(
    held.storage.batches[0]!.some(({ key }) => key === META),
    "the counter is in the same batch",
  );
  t.deepEqual([written.value, held.sent, held.changed, held.kv.get("k")], [undefined, [], [], undefined]);
  await held.storage.release();
  t.true(written.value?.ok);
  t.deepEqual(held.changed, ["k"]);
  t.deepEqual(held.sent.map(({ to, message }) => [to, message.kind]), [["b", "push"]]); // prettier-ignore
  t.is(held.kv.get("k")?.writer, "a");
});

test("a push is acknowledged when it is durable here", async (t) => {
  const held = await createHeld();
  const push = await pushFrom("b", "k");
  const replies: (Message | undefined)[] = [];
  held.node.receive("b", push, (reply) => replies.push(reply));
  await quiet();
  t.deepEqual([replies, held.changed], [[], []]);
  await held.storage.release();
  t.deepEqual([replies, held.changed], [[{ kind: "push-ack", exchange: 7, accepted: true }], ["k"]]);
  held.node.receive("b", push, (reply) => replies.push(reply));
  t.is(replies.length, 2, "what changes nothing waits for nothing");
  t.deepEqual([held.storage.batches.length, held.changed], [1, ["k"]]);
});

test("one inbox, one batch: what comes while a batch is on its way shares the next one, in its order", async (t) => {
  const held = await createHeld();
  const results = ["a", "b", "c", "d"].map((key) => watched(held.node.write([put(key)], 1)));
  held.node.receive("x", await pushFrom("x", "e"));
  await quiet();
  t.deepEqual(held.storage.batches.map(entriesOf), [["ea"]]);
  await held.storage.release();
  t.deepEqual(held.storage.batches.map(entriesOf), [["ea"], ["eb", "ec", "ed", "ee"]]);
  t.deepEqual(results.map(({ value }) => value?.ok), [true, undefined, undefined, undefined]); // prettier-ignore
  await held.storage.release();
  t.deepEqual(results.map(({ value }) => value?.ok), [true, true, true, true]); // prettier-ignore
  t.deepEqual(held.changed, ["a", "b", "c", "d", "e"]);
  t.is(held.storage.waiting, 0);
});

test("an answer that depends on what is not durable yet waits with it: a pong that tells of a write", async (t) => {
  const held = await createHeld();
  void held.node.write([put("k")], 1);
  void held.node.write([put("l")], 1);
  const replies: (Message | undefined)[] = [];
  const ping: Message = {
    kind: "ping",
    exchange: 3,
    name: "b",
    address: "b",
    instance: "bbbbbbbb",
    summary: held.node.replica.store.summary(),
  };
  held.node.receive("b", ping, (reply) => replies.push(reply));
  await quiet();
  await held.storage.release();
  t.deepEqual([replies, held.storage.waiting], [[], 1]);
  await held.storage.release();
  t.is(replies.length, 1);
});

test("a turn takes so many inputs; the rest waits for the next", async (t) => {
  const held = await createHeld();
  void held.node.write([put("first")], 1);
  const results = Array.from({ length: TURN_INPUTS_MAX + 5 }, (_, n) => watched(held.node.write([put(`k${n}`)], 1)));
  t.like(held.node.backlog, { inbox: 5, writes: TURN_INPUTS_MAX + 6 });
  await held.storage.release();
  t.is(entriesOf(held.storage.batches[1]!).length, TURN_INPUTS_MAX);
  await held.storage.release();
  t.is(entriesOf(held.storage.batches[2]!).length, 5);
  await held.storage.release();
  t.true(results.every(({ value }) => value?.ok));
  t.like(held.node.backlog, { inbox: 0, writes: 0 });
});

test("a full inbox refuses what comes, and takes again when it has emptied", async (t) => {
  const held = await createHeld();
  void held.node.write([put("first")], 1);
  // While a batch is on its way the open turn takes its share, and the inbox the rest.
  for (let n = 0; n < TURN_INPUTS_MAX + INBOX_MAX; n++) void held.node.write([put(`k${n % 100}`)], 1);
  const refused = await held.node.write([put("late")], 1);
  t.true(!refused.ok && refused.error.code === "overloaded" && refused.copies === 0);
  const replies: (Message | undefined)[] = [];
  held.node.receive("b", await pushFrom("b", "k"), (reply) => replies.push(reply));
  t.deepEqual(replies, [undefined]);
  t.is(held.node.backlog.inbox, INBOX_MAX);
  await held.storage.letGo();
  t.true((await held.node.write([put("late")], 1)).ok);
  t.is(held.kv.get("late")?.siblings, 1);
});

function refusals(node: Node): Promise<(string | undefined)[]> {
  return Promise.all([node.write([put("late")], 1), node.write([put("later")], 2)]).then((results) =>
    results.map((result) => (result.ok ? undefined : result.error.code)),
  );
}

test("when the storage fails, all that waits is refused, it is said once, and nothing is taken any more", async (t) => {
  const held = await createHeld(["b"]);
  meet(held, "b");
  held.sent.length = 0;
  const waiting = [held.node.write([put("k")], 1), held.node.write([put("l")], 1)];
  const replies: (Message | undefined)[] = [];
  held.node.receive("b", await pushFrom("b", "m"), (reply) => replies.push(reply));
  await quiet();
  await held.storage.fail(new ConcordError("disk-full", "no room"));
  t.deepEqual((await Promise.all(waiting)).map((result) => (result.ok ? "ok" : result.error.code)), ["disk-full", "disk-full"]); // prettier-ignore
  t.deepEqual(replies, [undefined], "and a peer hears nothing, which it takes for a loss");
  t.deepEqual(held.failures.map(({ message }) => message), ["no room"]); // prettier-ignore
  t.deepEqual([held.sent, held.changed], [[], []]);
  t.is(held.node.stopped?.message, "no room");
  t.deepEqual(await refusals(held.node), ["disk-full", "disk-full"]);
  held.node.tick();
  held.node.unreachable("b", "gone");
  held.node.receive("b", await pushFrom("b", "n"), (reply) => replies.push(reply));
  await held.node.stop();
  t.deepEqual([held.storage.batches.length, held.failures.length, held.sent.length, replies.length], [1, 1, 0, 2]);
});

test("an error that is no ConcordError is a failed storage", async (t) => {
  const held = await createHeld();
  const waiting = held.node.write([put("k")], 1);
  await quiet();
  await held.storage.fail(new TypeError("a bug"));
  const result = await waiting;
  t.true(!result.ok && result.error.code === "storage-failed" && result.error.message === "a bug");
  t.deepEqual(await refusals(held.node), ["storage-failed", "storage-failed"]);
});

test("a step that breaks ends the node in the same way", async (t) => {
  const held = await createHeld();
  await held.storage.letGo();
  await held.node.write([put("k")], 1);
  const broken = { ...put("k"), get write(): never { throw new Error("broken invariant: as planned"); } }; // prettier-ignore
  const results = await Promise.all([held.node.write([broken], 1), held.node.write([put("l")], 1)]);
  t.true(results.every((result) => !result.ok));
  t.deepEqual(held.failures.map(({ message }) => message), ["broken invariant: as planned"]); // prettier-ignore
  t.is(held.kv.get("l"), undefined);
});

test("stop: what was taken is done, what comes later is refused, and the promise resolves when all is durable", async (t) => {
  const held = await createHeld();
  const taken = [watched(held.node.write([put("k")], 1)), watched(held.node.write([put("l")], 1))];
  let stopped = false;
  const stopping = Promise.all([held.node.stop(), held.node.stop()]).then(() => (stopped = true));
  t.deepEqual(await refusals(held.node), ["stopping", "stopping"]);
  await held.storage.release();
  t.deepEqual([stopped, taken.map(({ value }) => value?.ok)], [false, [true, undefined]]);
  await held.storage.release();
  await stopping;
  t.deepEqual(taken.map(({ value }) => value?.ok), [true, true]); // prettier-ignore
  t.is(held.storage.waiting, 0);
  await held.node.stop();
});

test("stop: a write that waits for copies is answered with what is certain", async (t) => {
  const held = await createHeld(["b"]);
  meet(held, "b");
  const waiting = watched(held.node.write([put("k")], 2));
  await held.storage.release();
  t.is(waiting.value, undefined);
  await held.node.stop();
  t.true(waiting.value?.ok === false && waiting.value.error.code === "stopping" && waiting.value.copies === 1);
});

test("a refused write, and a message without an answer, are answered without a batch", async (t) => {
  const held = await createHeld();
  const result = await held.node.write([put("k"), { key: "l", write: json("x".repeat(9_000_000)) }], 1);
  t.true(!result.ok && result.error.code === "too-large");
  const tooMany = await held.node.write([put("k")], 3);
  t.true(!tooMany.ok && tooMany.error.code === "invalid");
  const replies: (Message | undefined)[] = [];
  held.node.receive("b", { kind: "push-ack", exchange: 1, accepted: true }, (reply) => replies.push(reply));
  t.deepEqual(replies, [undefined]);
  t.deepEqual([held.storage.batches.length, held.changed], [0, []]);
});
