/** A replica, step by step: what happened goes in as a value, what to do comes out as values, and nothing in between. */
import test from "ava";
import { REPLICA_DEFAULTS } from "../lib/config.ts";
import { Context } from "../lib/core/context.ts";
import type { Message, Ping, Push, RepairRequest, Summary } from "../lib/core/message.ts";
import { wholeContext } from "../lib/core/relative-context.ts";
import type { Output } from "../lib/core/output.ts";
import { SIBLINGS_WRITE_MAX } from "../lib/core/room.ts";
import { SWEEP_FOREIGN_AFTER_MS } from "../lib/core/expiry.ts";
import { STAMP_AHEAD_MAX_MS } from "../lib/core/time.ts";
import type { Operation, Replica } from "../lib/replica.ts";
import { at, START_MS } from "./support/chance.ts";
import { createTestReplica, shownOutputs } from "./support/driven-nodes.ts";
import { dots, json, openTestStore, stateOf, textsOf } from "./support/stores.ts";

const put = (key: string, text = "1", more = {}): Operation => ({ key, write: json(text, more) });

function write(
  replica: Replica,
  operations: readonly Operation[],
  { ticket = 1, copies = 1, local = false, elapsedMs = 0 } = {},
): Output[] {
  return replica.step({ type: "write", ticket, operations, copies, local }, at(elapsedMs));
}

const hear = (replica: Replica, from: string, message: Message, elapsedMs = 0): Output[] =>
  replica.step({ type: "message", from, message }, at(elapsedMs));

const messageIn = <T extends Message>(outputs: readonly Output[], kind: T["kind"]): T =>
  outputs.flatMap((one) => ((one.type === "send" || one.type === "reply") && one.message.kind === kind ? [one.message as T] : [])).at(-1)!;

const pingFrom = (name: string, replica: Replica, kind: Ping["kind"] = "ping", exchange = 1): Ping => ({ kind, exchange, name, address: name, instance: name.padEnd(8, "-"), summary: replica.store.summary() }); // prettier-ignore

/** After this, `peer` is up and holds the same. */
function meet(replica: Replica, peer: string, elapsedMs = 0, summary = replica.store.summary()): Output[] {
  replica.step({ type: "tick" }, at(elapsedMs));
  const { exchange } = replica.membership.find(peer)!.ping!;
  return hear(replica, peer, { kind: "pong", exchange, name: peer, address: peer, instance: peer.padEnd(8, "-"), summary }, elapsedMs);
}

/** What comes of a request, in as many turns as that takes. */
function heard(replica: Replica, from: string, message: Message, elapsedMs: number): Output[] {
  for (;;) {
    const outputs = hear(replica, from, message, elapsedMs);
    if (!outputs.some(({ type }) => type === "again")) return outputs;
  }
}

/** Replicas that talk until nobody has anything to say: every message arrives at once, every `continue` is followed. */
function talk(replicas: Record<string, Replica>, from: string, outputs: readonly Output[], elapsedMs = 0): void {
  const waiting = outputs.map((output) => ({ from, output }));
  const push = (name: string, more: readonly Output[]): unknown => waiting.push(...more.map((output) => ({ from: name, output })));
  for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) {
    const { from: name, output } = one;
    if (output.type === "continue") push(name, replicas[name]!.step({ type: "continue" }, at(elapsedMs)));
    if (output.type !== "send") continue;
    const peer = replicas[output.to]!;
    for (const reply of hear(peer, name, output.message, elapsedMs)) {
      if (reply.type === "reply") push(name, hear(replicas[name]!, output.to, reply.message, elapsedMs));
      else waiting.push({ from: output.to, output: reply });
    }
    push(output.to, peer.endTurn(at(elapsedMs)));
  }
}

test("a write: changed, answered, and pushed at the end of the turn to every peer that is up", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b", "c"] });
  meet(replica, "b");
  t.deepEqual(shownOutputs(write(replica, [put("k"), put("l")])), ["changed k", "changed l", "settle 1 ok"]);
  const outputs = replica.endTurn(at(0));
  t.deepEqual(shownOutputs(outputs), ["send push b"]);
  t.deepEqual(messageIn<Push>(outputs, "push").entries.map(({ key }) => key), ["k", "l"]); // prettier-ignore
  t.deepEqual(replica.endTurn(at(0)), []);
});

test("a deletion that finds nothing changes nothing and says so", async (t) => {
  const replica = await createTestReplica("a");
  const [settled, ...rest] = write(replica, [{ key: "k", write: undefined }]);
  t.deepEqual(rest, []);
  t.deepEqual(settled, { type: "settle", ticket: 1, result: { ok: true, dots: [undefined], copies: 1 } });
});

test("whatever can be refused is, before the first operation of a write changes anything", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  const tooLarge = put("l", "x".repeat(9_000_000));
  t.deepEqual(shownOutputs(write(replica, [put("k"), tooLarge])), ["settle 1 too-large"]);
  t.deepEqual(shownOutputs(write(replica, [put("k")], { copies: 3 })), ["settle 1 invalid"]);
  const blind = (count: number): Operation[] => Array.from({ length: count }, (_, n) => put("k", `${n}`, { observed: [] }));
  t.deepEqual(shownOutputs(write(replica, blind(SIBLINGS_WRITE_MAX + 1))), ["settle 1 too-large"], "all into one key");
  t.deepEqual(stateOf(replica.store), { entries: {}, context: {} });
  t.is(shownOutputs(write(replica, blind(SIBLINGS_WRITE_MAX))).at(-1), "settle 1 ok");
});

test("a local write is pushed to nobody", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  meet(replica, "b");
  t.deepEqual(shownOutputs(write(replica, [put("k")], { local: true })), ["changed k", "settle 1 ok"]);
  t.deepEqual(replica.endTurn(at(0)), []);
});

test("a push: merged, published and acknowledged; the same again is acknowledged and no more", async (t) => {
  const [a, b] = [await createTestReplica("a", { peers: ["b"] }), await createTestReplica("b")];
  meet(a, "b");
  write(a, [put("k")]);
  const push = messageIn<Push>(a.endTurn(at(0)), "push");
  t.deepEqual(shownOutputs(hear(b, "a", push)), ["changed k", "reply push-ack"]);
  t.deepEqual(textsOf(b.store, "k"), ["1"]);
  t.deepEqual(shownOutputs(hear(b, "a", push)), ["reply push-ack"]);
});

test("a push that is refused in its midst: what came before stays, it is said, and it is not acknowledged", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, await createTestReplica("b")];
  for (const key of ["k", "l", "m"]) a.put(key, json("1"), START_MS);
  const broken = { ...a.wireEntry("l", []), record: Buffer.from([1]) };
  const push: Push = { kind: "push", exchange: 4, entries: [a.wireEntry("k", []), broken, a.wireEntry("m", [])], context: a.context };
  const outputs = hear(b, "a", push);
  t.deepEqual(shownOutputs(outputs), ["refused a", "changed k", "reply push-ack"]);
  t.deepEqual(messageIn(outputs, "push-ack"), { kind: "push-ack", exchange: 4, accepted: false });
});

test("a sibling that comes about is told; a clock that is far ahead is counted, and told once for each peer", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, await createTestReplica("b")];
  write(b, [put("k")]);
  const far = START_MS + STAMP_AHEAD_MAX_MS + 1;
  for (const key of ["k", "l"]) a.put(key, json("1"), far);
  const push: Push = { kind: "push", exchange: 4, entries: [a.wireEntry("k", []), a.wireEntry("l", [])], context: a.context };
  const first = hear(b, "a", push);
  t.deepEqual(shownOutputs(first), ["changed k", "sibling-created", "changed l", "clock-far-ahead a", "reply push-ack"]);
  t.like(first[3], { event: { siblings: 2, isFirst: true } });
  a.put("m", json("1"), far);
  const second = hear(b, "a", { ...push, entries: [a.wireEntry("m", [])] });
  t.deepEqual(shownOutputs(second), ["changed m", "clock-far-ahead a", "reply push-ack"]);
  t.like(second[1], { event: { siblings: 1, isFirst: false } });
  write(b, [put("n")]);
  t.is(b.store.read("n")[0]!.stamp.ms, START_MS, "and b's own clock stays where it was");
});

const tellings: Record<string, (seen: Context, summary: Summary) => Message> = {
  "a push": (context) => ({ kind: "push", exchange: 1, entries: [], context }),
  "a repair request": (seen) => ({ kind: "repair-request", exchange: 1, seen, bytesMax: 1000, count: 0, cells: 0 }),
  "a repair answer": (context, summary) => ({ kind: "repair-answer", exchange: 1, entries: [], covered: new Context(), more: true, namesDeletions: true, context: wholeContext(context), summary }), // prettier-ignore
};

for (const [what, tell] of Object.entries(tellings)) {
  test(`rule 1: a peer that has seen dots of ours which we never issued ends our incarnation: ${what}`, async (t) => {
    const replica = await createTestReplica("a");
    write(replica, [put("k")]);
    const { incarnation } = replica.store;
    const told = (highest: number): string[] => {
      const seen = Context.of(dots(incarnation!, 1, highest));
      return shownOutputs(hear(replica, "b", tell(seen, replica.store.summary())));
    };
    t.false(told(1).includes("incarnation-renounced b"));
    t.is(replica.store.incarnation, incarnation);
    t.true(told(2).includes("incarnation-renounced b"));
    t.false(told(2).includes("incarnation-renounced b"), "once");
    write(replica, [put("l")]);
    t.not(replica.store.incarnation, incarnation);
    t.is(replica.store.read("l")[0]!.dot.counter, 1);
  });
}

test("a repair request is answered; who has seen more than we have is the next to be asked", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  write(replica, [put("k")]);
  meet(replica, "b");
  const request: RepairRequest = { kind: "repair-request", exchange: 3, seen: new Context(), bytesMax: 1000, count: 0, cells: 0 };
  t.deepEqual(shownOutputs(hear(replica, "b", request)), ["reply repair-answer", "repair-answered b"]);
  t.is(replica.load.wantedPulls, 0);
  hear(replica, "b", { ...request, seen: Context.of(dots("zzzzzzzz", 1)) });
  t.is(replica.load.wantedPulls, 1);
  hear(replica, "stranger", { ...request, seen: Context.of(dots("yyyyyyyy", 1)) });
  t.is(replica.load.wantedPulls, 1);
});

test("a first meeting that differs: repaired at once, in both directions, to the same bytes", async (t) => {
  const replicas = { a: await createTestReplica("a", { peers: ["b"] }), b: await createTestReplica("b", { peers: ["a"] }) };
  const { a, b } = replicas;
  for (let n = 0; n < 50; n++) write(a, [put(`k${n}`, "a")]);
  for (let n = 40; n < 90; n++) write(b, [put(`k${n}`, "b")]);
  for (const elapsedMs of [0, 20_000, 40_000, 60_000]) {
    for (const [name, replica] of Object.entries(replicas)) {
      talk(replicas, name, [...replica.step({ type: "tick" }, at(elapsedMs)), ...replica.endTurn(at(elapsedMs))], elapsedMs);
    }
  }
  t.deepEqual(stateOf(a.store), stateOf(b.store));
  t.deepEqual([a.store.keyCount, a.store.count], [90, 100]);
  t.deepEqual(textsOf(a.store, "k45").sort(), ["a", "b"]);
  t.is(a.repairingWith, undefined);
  t.true(a.membership.find("b")!.differed === 0 && b.membership.find("a")!.differed === 0);
});

test("a peer that is the same again is not wanted any more; one that goes down loses its queue and its session", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  const other = { ...replica.store.summary(), count: 5, dotRoot: "x".repeat(16) };
  t.deepEqual(shownOutputs(meet(replica, "b", 0, other)), [
    "peer-up b",
    "all-peers-up",
    "differs b",
    "repair-started b",
    "send repair-request b",
  ]);
  t.is(replica.repairingWith, "b");
  write(replica, [put("k")]);
  t.is(replica.load.pushKeys, 1);
  const down = replica.step({ type: "unreachable", to: "b", why: "connection refused" }, at(5));
  t.deepEqual(shownOutputs(down), ["peer-down b", "repair-ended"]);
  t.deepEqual([replica.repairingWith, replica.load.pushKeys], [undefined, 0]);
});

test("expired values are swept on a tick, every so often, as deletions that are published and pushed", async (t) => {
  const { sweepEveryMs } = REPLICA_DEFAULTS;
  const replica = await createTestReplica("a", { peers: ["b"] });
  meet(replica, "b");
  write(replica, [put("k", "1", { expiresAtMs: at(10).wallMs }), put("stays")]);
  replica.endTurn(at(0));
  const tick = (elapsedMs: number): string[] =>
    shownOutputs(replica.step({ type: "tick" }, at(elapsedMs))).filter((one) => !one.startsWith("send ping"));
  t.deepEqual(tick(sweepEveryMs - 1), [], "the last sweep was at 0");
  t.deepEqual(tick(sweepEveryMs), ["changed k", "swept"]);
  t.deepEqual([replica.store.keyCount, replica.store.counter], [1, 3]);
  t.deepEqual(tick(sweepEveryMs + 1), []);
});

test("a value of another node is swept an hour later: its writer's clock set the time", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, await createTestReplica("b")];
  a.put("k", json("1", { expiresAtMs: START_MS + 10 }), START_MS);
  hear(b, "a", { kind: "push", exchange: 1, entries: [a.wireEntry("k", [])], context: a.context });
  const swept = (elapsedMs: number): boolean => shownOutputs(b.step({ type: "tick" }, at(elapsedMs))).includes("swept");
  t.false(swept(9 + SWEEP_FOREIGN_AFTER_MS));
  t.true(swept(20_000 + SWEEP_FOREIGN_AFTER_MS));
});

test("what nobody waits for is dropped: replies to nothing, and a turn of work when there is none", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  const { store } = replica;
  const answer: Message = { kind: "repair-answer", exchange: 1, entries: [], covered: new Context(), more: false, namesDeletions: true, context: wholeContext(new Context()), summary: store.summary() }; // prettier-ignore
  const messages: Message[] = [answer, pingFrom("b", replica, "pong", 9), { kind: "push-ack", exchange: 5, accepted: true }];
  for (const message of messages) t.deepEqual(hear(replica, "b", message), [], message.kind);
  t.deepEqual(replica.step({ type: "continue" }, at(0)), []);
  t.deepEqual(replica.step({ type: "unreachable", to: "stranger", why: "" }, at(0)), []);
});

/** Seen with gaps, and by somebody else without. */
function seenWithGaps(): { readonly gaps: Context; readonly seen: Context } {
  const gaps = new Context();
  for (let counter = 1; counter < 60_000; counter += 2) gaps.addRange("aaaaaaaa", counter, counter);
  const seen = new Context();
  seen.addRange("aaaaaaaa", 1, 60_000);
  return { gaps, seen };
}

test("a context full of gaps is told to nobody who has seen all of it, but to whoever has such a context too, or nothing yet", async (t) => {
  const { gaps, seen } = seenWithGaps();
  const request: RepairRequest = { kind: "repair-request", exchange: 1, seen, bytesMax: 1000, count: 0, cells: 0 };
  for (const { context, asked, answered } of [
    { context: gaps, asked: request, answered: false },
    { context: gaps, asked: { ...request, sketch: new Uint8Array(96 * 12) }, answered: true },
    { context: gaps, asked: { ...request, seen: new Context() }, answered: true },
    { context: gaps, asked: { ...request, seen: gaps }, answered: true },
    { context: gaps, asked: { ...request, bytesMax: 0 }, answered: true },
    { context: Context.of(dots("aaaaaaaa", 1)), asked: request, answered: true },
  ]) {
    const replica = await createTestReplica("a", { peers: ["b"] });
    replica.store.joinContext(context);
    meet(replica, "b");
    t.is(messageIn(heard(replica, "b", asked, 1), "repair-answer") !== undefined, answered);
  }
});

test("who has seen all of a context full of gaps is answered too when this node does not reach it, or does not get to it in time", async (t) => {
  const { gaps, seen } = seenWithGaps();
  const request: RepairRequest = { kind: "repair-request", exchange: 1, seen, bytesMax: 1000, count: 0, cells: 0 };
  const replica = await createTestReplica("a", { peers: ["b", "c"] });
  replica.store.joinContext(gaps);
  meet(replica, "b");
  const isAnswered = (from: string, elapsedMs: number): boolean =>
    messageIn(heard(replica, from, request, elapsedMs), "repair-answer") !== undefined;
  t.true(isAnswered("c", 1), "not up");
  t.true(isAnswered("stranger", 1));
  t.deepEqual([1, 5_000, 10_000, 15_001, 17_000].map((elapsedMs) => isAnswered("b", elapsedMs)), [false, false, false, true, true]); // prettier-ignore
  replica.store.joinContext(seen);
  t.true(isAnswered("b", 18_000), "repaired by somebody else");
});
