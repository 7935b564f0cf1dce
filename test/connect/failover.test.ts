/** Several nodes: reads go on to the next one; writes only when the first surely did not take them. Timeouts and signals. */
import type { RequestListener } from "node:http";
import test from "ava";
import { ClientError, connect } from "../../lib/connect.ts";
import { pause, startTestNode } from "../support/nodes.ts";
import { NOBODY, NOBODY_EITHER, problem, startStub } from "./support.ts";

/** Answers everything so, and counts. */
const answering = (counts: { asked: number }, listener: RequestListener): RequestListener => {
  return (incoming, outgoing) => {
    incoming.resume().on("end", () => {
      counts.asked++;
      listener(incoming, outgoing);
    });
  };
};

const fine: RequestListener = (incoming, outgoing) => {
  outgoing.writeHead(200, { "content-type": "application/json", "concord-token": "abc" });
  outgoing.end(incoming.method === "GET" ? "1" : '{"key":"k","copies":1,"token":"abc","etag":"x","results":[]}');
};

test("a node that is not there: reads and writes go to the next one, and stay there", async (t) => {
  const second = await startTestNode(t);
  const store = connect({ nodes: [NOBODY, second.url] });
  await store.put("k", 1);
  t.is(await store.get("k"), 1);
  t.true(await store.delete("k"));
  const alone = connect(NOBODY);
  const error = await t.throwsAsync(alone.put("k", 1), { instanceOf: ClientError, code: "unreachable" });
  t.like(error, { node: NOBODY, mayBeStored: false });
  const none = connect({ nodes: [NOBODY, NOBODY_EITHER] });
  const all = await t.throwsAsync(none.put("k", 1), { instanceOf: ClientError, code: "unreachable" });
  t.regex(all.message, /^none of 2 nodes could answer; the last one: no node answers at/);
  t.is((all.cause as AggregateError).errors.length, 2);
});

const failures: [name: string, listener: RequestListener, isWriteRepeated: boolean][] = [
  ["breaks", (incoming) => incoming.socket.destroy(), false],
  ["breaks in its answer", (incoming, outgoing) => void outgoing.writeHead(200).write("1", () => incoming.socket.destroy()), false],
  ["says nothing", () => undefined, false],
  ["is overloaded", (_, outgoing) => void outgoing.writeHead(503).end(problem("overloaded", 503)), true],
  ["is stopping", (_, outgoing) => void outgoing.writeHead(503).end(problem("stopping", 503)), true],
  ["has a full disk", (_, outgoing) => void outgoing.writeHead(507).end(problem("disk-full", 507)), false],
  ["has a failed storage", (_, outgoing) => void outgoing.writeHead(503).end(problem("storage-failed", 503)), false],
  ["finds too few others", (_, outgoing) => void outgoing.writeHead(503).end(problem("too-few-copies", 503)), false],
  ["is no node", (_, outgoing) => void outgoing.writeHead(200).end("<html>"), false],
];

for (const [name, listener, isWriteRepeated] of failures) {
  test(`a node that ${name}: a read is answered by the next, a write ${isWriteRepeated ? "too" : "is not sent again"}`, async (t) => {
    const [first, second] = [{ asked: 0 }, { asked: 0 }];
    const nodes = [await startStub(t, answering(first, listener)), await startStub(t, answering(second, fine))];
    const connected = () => connect({ nodes, timeoutMs: name === "says nothing" ? 2_000 : 20_000 });
    if (name !== "is no node") t.is(await connected().get("k"), 1);
    const asked = { ...second };
    if (isWriteRepeated) {
      await connected().put("k", 1);
      await connected().batch([{ op: "put", key: "k", value: 1 }]);
      t.is(second.asked, asked.asked + 2);
    } else {
      const store = connected();
      const error = await t.throwsAsync(store.batch([{ op: "put", key: "k", value: 1 }]), { instanceOf: ClientError });
      if (name !== "is no node") t.true(error.mayBeStored);
      t.is(second.asked, asked.asked, "the second node was not asked");
    }
    const waiting = await t.throwsAsync(connected().put("k", 1, { copies: 2 }), { instanceOf: ClientError }).catch(() => undefined);
    if (isWriteRepeated) t.true(waiting?.mayBeStored, "a write that waits for copies may be stored all the same");
  });
}

test("a deletion by token is repeated, since done twice it deletes the same", async (t) => {
  const [first, second] = [{ asked: 0 }, { asked: 0 }];
  const nodes = [
    await startStub(
      t,
      answering(first, (incoming) => incoming.socket.destroy()),
    ),
    await startStub(t, answering(second, fine)),
  ];
  t.true(await connect({ nodes }).delete("k", { token: "abc" }));
  t.deepEqual([first.asked, second.asked], [1, 1]);
  await t.throwsAsync(connect({ nodes }).delete("k"), { code: "unreachable" });
  await t.throwsAsync(connect({ nodes }).delete("k", { token: "abc", ifMatch: '"x"' }), { code: "unreachable" });
  t.is(second.asked, 1);
});

test("refusals that every node would give are not taken to the next", async (t) => {
  const [first, second] = [{ asked: 0 }, { asked: 0 }];
  const refuse: RequestListener = (_, outgoing) => void outgoing.writeHead(412).end(problem("condition-failed", 412));
  const nodes = [await startStub(t, answering(first, refuse)), await startStub(t, answering(second, fine))];
  await t.throwsAsync(connect({ nodes }).get("k"), { code: "condition-failed" });
  t.deepEqual([first.asked, second.asked], [1, 0]);
});

test("after a failed write the next call begins at another node", async (t) => {
  const [first, second] = [{ asked: 0 }, { asked: 0 }];
  const nodes = [
    await startStub(
      t,
      answering(first, (incoming) => incoming.socket.destroy()),
    ),
    await startStub(t, answering(second, fine)),
  ];
  const store = connect({ nodes });
  await t.throwsAsync(store.put("k", 1), { code: "unreachable" });
  await store.put("k", 1);
  t.deepEqual([first.asked, second.asked], [1, 1]);
});

test("a kept connection that the node has closed: with one node a read is sent again, a write is not", async (t) => {
  const counts = { asked: 0 };
  const used = new WeakSet<object>();
  const listener: RequestListener = (incoming, outgoing) => {
    // The second request of a connection meets its end.
    if (used.has(incoming.socket)) incoming.socket.destroy();
    else fine(incoming, outgoing);
    used.add(incoming.socket);
  };
  const store = connect(await startStub(t, answering(counts, listener)));
  t.is(await store.get("k"), 1);
  await pause(100);
  t.is(await store.get("k"), 1);
  t.is(counts.asked, 3);
  await pause(100);
  const error = await t.throwsAsync(store.put("k", 2), { instanceOf: ClientError, code: "unreachable" });
  t.true(error.mayBeStored);
});

test("a signal ends a call, with its own reason, whatever node is being asked", async (t) => {
  const silent = await startStub(t, () => undefined);
  const store = connect({ nodes: [silent, silent] });
  const controller = new AbortController();
  const reason = new Error("no longer wanted");
  const get = t.throwsAsync(store.get("k", { signal: controller.signal }));
  const put = t.throwsAsync(store.put("k", 1, { signal: controller.signal }));
  await pause(50);
  controller.abort(reason);
  t.is(await get, reason);
  t.is(await put, reason);
  t.is(await t.throwsAsync(store.get("k", { signal: controller.signal })), reason);
  const list = store.list({ signal: controller.signal })[Symbol.asyncIterator]();
  t.is(await t.throwsAsync(async () => list.next()), reason);
  t.is(await store.get("k", { signal: AbortSignal.timeout(20) }).catch(({ name }: Error) => name), "TimeoutError");
});
