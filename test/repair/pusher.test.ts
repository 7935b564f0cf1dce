/** Pushes to all peers, and clients that wait for copies: answered when enough peers hold all of a write, or when their time is up. */
import test from "ava";
import type { Message, PushAck } from "../../lib/core/message.ts";
import type { Output } from "../../lib/core/output.ts";
import type { Store } from "../../lib/core/store.ts";
import { REPLICA_DEFAULTS } from "../../lib/config.ts";
import { Pusher } from "../../lib/repair/pusher.ts";
import { at } from "../support/chance.ts";
import { json, openTestStore } from "../support/stores.ts";

const { copiesTimeoutMs, pushTimeoutMs } = REPLICA_DEFAULTS;

interface Bench {
  readonly store: Store;
  readonly pusher: Pusher;
  readonly peers: { address: string; isUp: boolean }[];
  /** Writes these keys as one client's write; gives what it is answered at once. */
  readonly write: (ticket: number, keys: readonly string[], copies: number, elapsedMs?: number) => Output[];
}

async function createBench(options: Partial<typeof REPLICA_DEFAULTS> = {}): Promise<Bench> {
  const { store } = await openTestStore("a");
  const peers = ["b", "c"].map((address) => ({ address, isUp: true }));
  let exchange = 0;
  const given = { ...REPLICA_DEFAULTS, pushEveryMs: 0, ...options };
  const pusher = new Pusher(store, { members: () => peers }, given, () => ++exchange);
  return {
    store,
    pusher,
    peers,
    write(ticket, keys, copies, elapsedMs = 0) {
      const changes = keys.map((key) => store.put(key, json(`${ticket}`), at(elapsedMs).wallMs));
      const outputs = changes.flatMap(({ key, entry }) => pusher.add(key, entry.gone, copies > 1 ? ticket : undefined));
      const settled = pusher.expect(ticket, changes.map(({ dot }) => dot), copies, at(elapsedMs)); // prettier-ignore
      return settled === undefined ? outputs : [...outputs, settled];
    },
  };
}

const ack = (exchange: number, accepted = true): PushAck => ({ kind: "push-ack", exchange, accepted });
const sent = (outputs: readonly Output[]): [string, Message][] =>
  outputs.flatMap((one) => (one.type === "send" ? [[one.to, one.message]] : []));
/** Of each answer: its ticket, whether it is good, and the copies it counts. */
const settled = (outputs: readonly Output[]): string[] =>
  outputs.flatMap(({ ...one }) =>
    one.type === "settle" ? [`${one.ticket} ${one.result.ok ? "ok" : one.result.error.code} ${one.result.copies}`] : [],
  );

test("a write goes to every peer that is up, in one batch for each", async (t) => {
  const { pusher, peers, write } = await createBench();
  peers.push({ address: "d", isUp: false });
  write(1, ["k"], 1);
  write(2, ["l"], 1);
  const batches = sent(pusher.flush(at(0)));
  t.deepEqual(
    batches.map(([to, message]) => [to, message.kind === "push" && message.entries.map(({ key }) => key)]),
    [
      ["b", ["k", "l"]],
      ["c", ["k", "l"]],
    ],
  );
  t.is(pusher.queuedKeys, 0);
  t.deepEqual(pusher.flush(at(0)), []);
});

test("one copy: the client is answered at once, as is one whose deletion found nothing", async (t) => {
  const { pusher, write } = await createBench();
  t.deepEqual(settled(write(1, ["k"], 1)), ["1 ok 1"]);
  t.deepEqual(settled([pusher.expect(2, [undefined], 2, at(0))!]), ["2 ok 1"]);
  t.is(pusher.waitingWrites, 0);
});

test("two copies: the client is answered by the first peer that holds the write", async (t) => {
  const { pusher, write } = await createBench();
  t.deepEqual(settled(write(1, ["k"], 2)), []);
  pusher.flush(at(0));
  t.deepEqual(settled(pusher.onAck("c", ack(2), at(1))), ["1 ok 2"]);
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(2))), [], "and not again by the second");
  t.is(pusher.waitingWrites, 0);
});

test("three copies: it takes both peers, and each counts once", async (t) => {
  const { pusher, write } = await createBench();
  write(1, ["k"], 3);
  pusher.flush(at(0));
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(1))), []);
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(1))), [], "the same answer twice");
  t.deepEqual(settled(pusher.onAck("c", ack(2), at(1))), ["1 ok 3"]);
});

test("a write of several keys counts when a peer holds all of them", async (t) => {
  const { store, pusher, write } = await createBench();
  for (const key of ["big1", "big2"]) store.put(key, { contentType: "text/plain", value: Buffer.alloc(300_000), expiresAtMs: 0 }, 0);
  const changes = ["big1", "big2"].map((key) =>
    store.put(key, { contentType: "text/plain", value: Buffer.alloc(300_000), expiresAtMs: 0 }, 0),
  );
  for (const { key, entry } of changes) pusher.add(key, entry.gone, 1);
  t.is(pusher.expect(1, changes.map(({ dot }) => dot), 2, at(0)), undefined); // prettier-ignore
  t.is(sent(pusher.flush(at(0))).length, 2, "the first batch holds one of them");
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(1))), []);
  t.is(sent(pusher.flush(at(1))).length, 1);
  t.deepEqual(settled(pusher.onAck("b", ack(3), at(2))), ["1 ok 2"]);
  t.deepEqual(settled(write(2, ["k", "k"], 2)), [], "a key twice in one write");
  pusher.flush(at(2));
  t.deepEqual(settled(pusher.onAck("b", ack(4), at(3))), ["2 ok 2"]);
});

test("a peer that refused the batch holds nothing of it", async (t) => {
  const { pusher, write } = await createBench();
  write(1, ["k"], 2);
  pusher.flush(at(0));
  t.deepEqual(settled(pusher.onAck("b", ack(1, false), at(1))), []);
  t.deepEqual(settled(pusher.onAck("c", ack(2), at(1))), ["1 ok 2"]);
});

test("when the copies do not come in time, the answer says how many there are for certain", async (t) => {
  const { pusher, write } = await createBench();
  write(1, ["k"], 3);
  pusher.flush(at(0));
  pusher.onAck("b", ack(1), at(1));
  t.deepEqual(settled(pusher.onTick(at(copiesTimeoutMs - 1))), []);
  t.deepEqual(settled(pusher.onTick(at(copiesTimeoutMs))), ["1 too-few-copies 2"]);
  t.deepEqual(settled(pusher.onAck("c", ack(2), at(copiesTimeoutMs + 1))), [], "what comes later is too late");
});

test("a batch that nobody answers is given up, and the next one goes", async (t) => {
  const { pusher, write } = await createBench();
  write(1, ["k"], 1);
  pusher.flush(at(0));
  write(2, ["l"], 1);
  t.deepEqual(pusher.flush(at(1)), []);
  pusher.onTick(at(pushTimeoutMs - 1));
  t.deepEqual(pusher.flush(at(pushTimeoutMs - 1)), []);
  pusher.onTick(at(pushTimeoutMs));
  t.deepEqual(
    sent(pusher.flush(at(pushTimeoutMs))).map(([to, message]) => [to, message.kind === "push" && message.entries.map(({ key }) => key)]),
    [
      ["b", ["l"]],
      ["c", ["l"]],
    ],
  );
});

const wakes = (outputs: readonly Output[]): number[] => outputs.flatMap((one) => (one.type === "wake" ? [one.afterMs] : []));

test("under load batches follow each other at a distance, the first goes at once, and somebody is asked to wake the replica", async (t) => {
  const { pusher, peers, write } = await createBench({ pushEveryMs: 10 });
  peers.pop();
  write(1, ["k"], 1);
  t.deepEqual(sent(pusher.flush(at(100))).map(([to]) => to), ["b"]); // prettier-ignore
  pusher.onAck("b", ack(1), at(102));
  write(2, ["l"], 1);
  t.deepEqual(pusher.flush(at(102)), [{ type: "wake", afterMs: 8 }]);
  write(3, ["m"], 1);
  t.deepEqual(pusher.flush(at(104)), [], "nobody is asked twice");
  const [, batch] = sent(pusher.flush(at(110)))[0]!;
  t.deepEqual(batch.kind === "push" && batch.entries.map(({ key }) => key), ["l", "m"]);
  pusher.onAck("b", ack(2), at(111));
  write(4, ["n"], 1);
  t.deepEqual(wakes(pusher.flush(at(112))), [8]);
  t.is(sent(pusher.flush(at(120))).length, 1);
  pusher.onAck("b", ack(3), at(121));
  write(5, ["o"], 1);
  t.is(sent(pusher.flush(at(150))).length, 1, "after a pause at once");
});

test("a client that waits for copies does not wait for the distance, nor does a batch that is large already", async (t) => {
  const { pusher, peers, write } = await createBench({ pushEveryMs: 10 });
  peers.pop();
  write(1, ["k"], 1);
  pusher.flush(at(0));
  pusher.onAck("b", ack(1), at(1));
  write(2, ["l"], 1);
  t.deepEqual(sent(pusher.flush(at(1))), []);
  write(3, ["m"], 2);
  t.is(sent(pusher.flush(at(1))).length, 1);
  t.deepEqual(settled(pusher.onAck("b", ack(2), at(2))), ["3 ok 2"]);
  write(4, ["n"], 1);
  t.deepEqual(sent(pusher.flush(at(2))), [], "and the next ones keep the distance again");
  for (let n = 0; n < 512; n++) write(5, [`n${n}`], 1);
  t.is(sent(pusher.flush(at(2))).length, 1);
});

test("a full queue is given up with a word, its clients wait until their time is up", async (t) => {
  const { pusher, peers, write } = await createBench({ pushKeysMax: 2 });
  peers.pop();
  write(1, ["k", "l"], 2);
  const outputs = write(2, ["m"], 2);
  t.deepEqual(outputs, [{ type: "event", event: { kind: "push-dropped", peer: "b", keys: 2 } }]);
  pusher.flush(at(0));
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(1))), ["2 ok 2"]);
  t.deepEqual(settled(pusher.onTick(at(copiesTimeoutMs))), ["1 too-few-copies 1"]);
});

test("a peer that goes down takes its queue with it; late answers find nobody", async (t) => {
  const { pusher, peers, write } = await createBench();
  write(1, ["k"], 2);
  pusher.flush(at(0));
  peers[0]!.isUp = false;
  pusher.onPeerDown("b");
  t.deepEqual(settled(pusher.onAck("b", ack(1), at(1))), []);
  peers[0]!.isUp = true;
  t.deepEqual(pusher.flush(at(1)), [], "what it missed is for repair");
  t.deepEqual(settled(pusher.onAck("z", ack(1), at(1))), [], "nor does a stranger's");
});

test("so many clients may wait; the next is told that its write is stored here", async (t) => {
  const { pusher, write } = await createBench({ waitingWritesMax: 2 });
  t.deepEqual([...settled(write(1, ["k"], 2)), ...settled(write(2, ["k"], 2))], []);
  t.deepEqual(settled(write(3, ["k"], 2)), ["3 overloaded 1"]);
  t.is(pusher.waitingWrites, 2);
});
