/** Queues of pushes: keys, not entries; one batch under way; bounded; and what a batch says is of the one instant at which it is made. */
import test from "ava";
import { dotsOf } from "../../lib/core/entry.ts";
import { decodeSiblings } from "../../lib/core/codec.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { Push } from "../../lib/core/message.ts";
import type { Store } from "../../lib/core/store.ts";
import { PUSH_BYTES, PushQueue } from "../../lib/repair/push.ts";
import { START_MS } from "../support/chance.ts";
import { dots, json, openTestStore, textsOf } from "../support/stores.ts";

const NOW = START_MS;

function createExchanges(): () => number {
  let last = 0;
  return () => ++last;
}

function put(store: Store, queue: PushQueue, key: string, text: string, observed?: readonly Dot[]): void {
  const change = store.put(key, json(text, observed === undefined ? {} : { observed }), NOW);
  queue.add(key, change.entry.gone, undefined);
}

const merge = (into: Store, push: Push): void => push.entries.forEach((entry) => into.merge(entry, push.context, NOW));

test("what a key holds is read when the batch is made: a hot key is sent once, with all that its writes removed", async (t) => {
  const { store } = await openTestStore("a");
  const queue = new PushQueue(100);
  for (let n = 1; n <= 5; n++) put(store, queue, "k", `${n}`);
  put(store, queue, "l", "1");
  t.is(queue.size, 2);
  const push = queue.next(store, createExchanges(), 0)!;
  t.deepEqual(
    push.entries.map(({ key, record, gone }) => [key, dotsOf(decodeSiblings(record)).length, gone.map(({ counter }) => counter)]),
    [
      ["k", 1, [1, 2, 3, 4]],
      ["l", 1, []],
    ],
  );
  t.is(queue.size, 0);
});

test("a receiver that missed what came before drops what a batch supersedes", async (t) => {
  const [a, b] = [(await openTestStore("a")).store, (await openTestStore("b")).store];
  const [queue, exchanges] = [new PushQueue(100), createExchanges()];
  put(a, queue, "k", "1");
  merge(b, queue.next(a, exchanges, 0)!);
  queue.finish(1);
  put(a, queue, "k", "2");
  put(a, queue, "k", "3");
  a.remove("k", undefined, NOW);
  queue.add("k", [], undefined);
  merge(b, queue.next(a, exchanges, 0)!);
  t.deepEqual(textsOf(b, "k"), []);
});

test("the context of a batch does not grow with later writes, and is a lower bound", async (t) => {
  const { store } = await openTestStore("a");
  const queue = new PushQueue(100);
  for (let n = 1; n <= 100; n++) store.merge({ key: "x", record: new Uint8Array(), gone: dots("bbbbbbbb", 2 * n) }, store.context, NOW);
  put(store, queue, "k", "1");
  const push = queue.next(store, createExchanges(), 0)!;
  t.is(push.context.exceptionCount, 16);
  t.true(store.context.covers(push.context));
  const plain = (await openTestStore("b")).store;
  put(plain, queue, "l", "1");
  queue.finish(1);
  const next = queue.next(plain, createExchanges(), 0)!;
  for (const one of [store, plain]) one.put("k", json("2"), NOW);
  t.deepEqual([push.context.highest(store.incarnation!), next.context.highest(plain.incarnation!)], [1, 1]);
});

test("one batch is under way at a time; the next goes when it was answered or given up", async (t) => {
  const { store } = await openTestStore("a");
  const [queue, exchanges] = [new PushQueue(100), createExchanges()];
  put(store, queue, "k", "1");
  t.is(queue.next(store, exchanges, 5)?.exchange, 1);
  put(store, queue, "l", "1");
  t.is(queue.next(store, exchanges, 6), undefined);
  t.deepEqual(queue.inFlight, { exchange: 1, sentMs: 5, tickets: [] });
  t.is(queue.finish(9), undefined, "a late answer to something else");
  t.is(queue.next(store, exchanges, 6), undefined);
  t.is(queue.finish(1)?.exchange, 1);
  t.is(queue.next(store, exchanges, 7)?.exchange, 2);
  queue.finish(2);
  t.is(queue.next(store, exchanges, 8), undefined, "nothing waits");
});

test("a batch holds so many bytes and one entry more", async (t) => {
  const { store } = await openTestStore("a");
  const [queue, exchanges] = [new PushQueue(1000), createExchanges()];
  for (let n = 0; n < 100; n++) {
    store.put(`k${n}`, { contentType: "text/plain", value: Buffer.alloc(10_000), expiresAtMs: 0 }, NOW);
    queue.add(`k${n}`, [], n);
  }
  const tickets: number[] = [];
  for (let batches = 1; ; batches++) {
    const push = queue.next(store, exchanges, 0);
    if (push === undefined) break;
    const bytes = push.entries.reduce((sum, { key, record }) => sum + key.length + record.length, 0);
    t.true(bytes < PUSH_BYTES + 11_000 && (bytes > PUSH_BYTES || queue.size === 0), `${bytes}`);
    tickets.push(...queue.finish(batches)!.tickets);
  }
  t.deepEqual(
    tickets,
    Array.from({ length: 100 }, (_, n) => n),
  );
});

test("a full queue is emptied, says how much it gave up, and goes on with what is new", async (t) => {
  const { store } = await openTestStore("a");
  const queue = new PushQueue(3);
  t.deepEqual(
    ["k", "l", "m", "k", "n", "o"].map((key) => queue.add(key, [], undefined)),
    [0, 0, 0, 0, 3, 0],
  );
  t.deepEqual(
    queue.next(store, createExchanges(), 0)!.entries.map(({ key }) => key),
    ["n", "o"],
  );
});

test("the gone dots of a key are named once each, and so many at most", async (t) => {
  const { store } = await openTestStore("a");
  const queue = new PushQueue(3);
  for (let n = 1; n <= 2000; n++) for (let twice = 0; twice < 2; twice++) queue.add("k", dots("aaaaaaaa", n), undefined);
  const [entry] = queue.next(store, createExchanges(), 0)!.entries;
  t.deepEqual(entry!.gone, dots("aaaaaaaa", ...Array.from({ length: 1024 }, (_, n) => n + 1)));
});
