/** How often a node gives up its identity because of what peers claim, and what happens when there is no identity left to write under. */
import test from "ava";
import { INCARNATIONS_MAX, NO_RECORD } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { Message, ReadRequest } from "../../lib/core/message.ts";
import { RENOUNCE_EVERY_MS, RENOUNCE_MAX, RenounceGuard } from "../../lib/core/renounce-guard.ts";
import type { Replica } from "../../lib/replica.ts";
import { at, START_MS } from "../support/chance.ts";
import { createTestReplica, shownOutputs } from "../support/driven-nodes.ts";
import { json } from "../support/stores.ts";

const HOUR = RENOUNCE_EVERY_MS;

const hear = (replica: Replica, message: Message, elapsedMs: number): string[] =>
  shownOutputs(replica.step({ type: "message", from: "b", message }, at(elapsedMs)));

const write = (replica: Replica, elapsedMs: number, expiresAtMs = 0): string[] =>
  shownOutputs(
    replica.step({ type: "write", ticket: 1, operations: [{ key: "k", write: json("1", { expiresAtMs }) }], copies: 1 }, at(elapsedMs)),
  );

/** After this, `b` is up. */
function meet(replica: Replica): void {
  replica.step({ type: "tick" }, at(0));
  const { exchange } = replica.membership.find("b")!.ping!;
  const summary = replica.store.summary();
  hear(replica, { kind: "pong", exchange, name: "b", address: "b", instance: "bbbbbbbb", summary }, 0);
}

test("sixteen at once, and then one each hour", (t) => {
  const guard = new RenounceGuard();
  const taken = (count: number): number => Array.from({ length: count }, () => guard.take()).filter(Boolean).length;
  guard.at(5);
  t.is(taken(RENOUNCE_MAX + 1), RENOUNCE_MAX);
  guard.at(5 + HOUR - 1);
  t.is(taken(1), 0);
  guard.at(5 + HOUR);
  t.is(taken(2), 1);
  guard.at(5 + 1_000 * HOUR);
  t.is(taken(2 * RENOUNCE_MAX), RENOUNCE_MAX, "no more than at first, however long nobody claimed anything");
});

const claims: Record<string, (replica: Replica, dot: Dot, elapsedMs: number) => string[]> = {
  "an entry that is pushed": (replica, dot, elapsedMs) =>
    hear(replica, { kind: "push", exchange: 1, entries: [entryWith(dot)], context: new Context() }, elapsedMs),
  "an entry in the answer to a read": (replica, dot, elapsedMs) => {
    const asked = replica.step({ type: "read", ticket: 2, key: "k", seen: [], copies: 2 }, at(elapsedMs));
    const sent = asked.find((output) => output.type === "send")!.message as ReadRequest;
    return hear(replica, { kind: "read-answer", exchange: sent.exchange, entry: entryWith(dot) }, elapsedMs);
  },
  "the context of a push": (replica, dot, elapsedMs) =>
    hear(replica, { kind: "push", exchange: 1, entries: [], context: Context.of([dot]) }, elapsedMs),
};

const entryWith = (dot: Dot) => ({ key: "k", record: NO_RECORD, gone: [dot] });

for (const [what, claim] of Object.entries(claims)) {
  test(`a peer that claims one write too many after each write does not get a new identity each time: ${what}`, async (t) => {
    const replica = await createTestReplica("a", { peers: ["b"] });
    meet(replica);
    let told = 0;
    const claimed = (elapsedMs: number): string[] => {
      write(replica, elapsedMs);
      const { incarnation, counter } = replica.store;
      return claim(replica, { incarnation: incarnation!, counter: counter + 3 }, elapsedMs);
    };
    for (let round = 0; round < 50; round++) told += claimed(1).filter((output) => output === "incarnation-renounced b").length;
    t.is(told, RENOUNCE_MAX);
    t.is(replica.store.context.incarnationCount, RENOUNCE_MAX + 1);
    t.true(claimed(1).includes("refused b"));
    t.true(claimed(HOUR + 1).includes("incarnation-renounced b"));
    t.false(claimed(HOUR + 1).includes("incarnation-renounced b"));
  });
}

test("an honest peer that remembers what a liar claimed is refused for an hour at the most", async (t) => {
  const replica = await createTestReplica("a", { peers: ["b"] });
  const ask = (seen: Context, elapsedMs: number): string[] =>
    hear(replica, { kind: "repair-request", exchange: 1, seen, bytesMax: 1000, count: 0, cells: 0 }, elapsedMs);
  const claimed = (): Context => Context.of([{ incarnation: replica.store.incarnation!, counter: 99 }]);
  write(replica, 0);
  for (let round = 0; round < RENOUNCE_MAX; round++) {
    t.deepEqual(ask(claimed(), 0), ["incarnation-renounced b"]);
    write(replica, 0);
  }
  const honest = claimed();
  t.deepEqual(ask(honest, 0), ["refused b"]);
  t.deepEqual(ask(honest, HOUR - 1), ["refused b"]);
  t.deepEqual(ask(honest, HOUR), ["incarnation-renounced b"]);
  write(replica, HOUR);
  t.deepEqual(ask(honest, HOUR), ["reply repair-answer", "repair-answered b"]);
});

/** As many identities as a context can name, less `less`. */
function identities(less: number): Context {
  const context = new Context();
  for (let n = 0; n < INCARNATIONS_MAX - less; n++) context.addRange(`other${String.fromCharCode(n >>> 8, n & 255, 7)}`, 1, 1);
  return context;
}

test("a node that has no identity left to write under refuses writes and leaves expired values; one that has its own goes on", async (t) => {
  const replica = await createTestReplica("a");
  replica.store.joinContext(identities(1));
  t.is(write(replica, 0, START_MS + 10).at(-1), "settle 1 ok", "the last one");
  t.is(replica.store.context.incarnationCount, INCARNATIONS_MAX);
  t.is(write(replica, 0, START_MS + 10).at(-1), "settle 1 ok", "goes on under it");
  const { incarnation } = replica.store;
  replica.store.renounceIncarnation();
  t.deepEqual(write(replica, 0), ["settle 1 overloaded"]);
  t.deepEqual(shownOutputs(replica.step({ type: "tick" }, at(1_000_000))), []);
  t.deepEqual([replica.store.count, replica.store.context.incarnationCount], [1, INCARNATIONS_MAX]);
  t.is(replica.store.read("k")[0]!.dot.incarnation, incarnation!);
});
