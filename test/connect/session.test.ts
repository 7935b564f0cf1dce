/** Sessions: what one has seen and written it goes on seeing, whichever node answers. */
import test, { type ExecutionContext } from "ava";
import { ClientError, connect, type Session } from "../../lib/connect.ts";
import { startTestNode, until, type TestNode } from "../support/nodes.ts";
import { bodyOf, problem, startStub } from "./support.ts";

/** Nodes of which each knows that the other one is up, and what it last said that it holds. */
async function startPair(t: ExecutionContext): Promise<[TestNode, TestNode]> {
  const first = await startTestNode(t, { tuning: { pingEveryMs: 1, jitterMs: 0 } });
  const second = await startTestNode(t, { peers: [first.url], tuning: { pingEveryMs: 1, jitterMs: 0 } });
  const hasHeard = ({ kv }: TestNode): boolean => {
    const peer = kv.status().peers[0];
    return peer?.status === "alive" && peer.inSync !== undefined;
  };
  await until(t, "each has heard of the other", () => hasHeard(first) && hasHeard(second), [first, second]);
  return [first, second];
}

/** A client of one node, and one of the other, that share a session. */
function moving<S extends Session>(session: S, url: string): Session {
  return connect(url).session(session.save());
}

test("a session that moves to a node that has not heard of its write reads its write", async (t) => {
  const [first, second] = await startPair(t);
  // Stored at the first node and pushed to nobody.
  await first.kv.write([{ key: "k", value: Buffer.from("1") }], { local: true });
  const here = connect(first.url).session();
  t.is(await here.get("k"), 1);
  t.is(await connect(second.url).get("k"), undefined, "without a session the second node shows what it has");
  const there = moving(here, second.url);
  t.is(await there.get("k"), 1);
  await there.put("k", 2);
  t.is(await moving(there, first.url).get("k"), 2);
});

test("a session's deletion stays deleted at a node that still holds the value", async (t) => {
  const [first, second] = await startPair(t);
  await first.kv.write([{ key: "k", value: Buffer.from("1") }]);
  await until(t, "both hold it", () => second.kv.get("k") !== undefined, [first, second]);
  const { token } = first.kv.get("k")!;
  await first.kv.write([{ key: "k", value: undefined, token }], { local: true });
  const receipt = await first.kv.write([{ key: "k2", value: Buffer.from("1") }], { local: true });
  t.truthy(receipt);
  const here = connect(second.url).session();
  t.is(await here.get("k"), 1);
  const there = moving(here, first.url);
  t.is(await there.get("k"), undefined);
  const state = there.save();
  t.like(state, { k: { gone: true } });
  // The second node is alone with its old value from now on, and says nothing of the kind.
  await first.stop();
  const back = connect(second.url).session(state);
  const found = await back.get("k").catch((error: ClientError) => error.code);
  t.true(found === "behind" || found === undefined, String(found));
});

test("a node that cannot catch up refuses as behind, and another one is asked", async (t) => {
  const [first, second] = [await startTestNode(t), await startTestNode(t)];
  const here = connect(first.url).session();
  await here.put("k", 1);
  await t.throwsAsync(moving(here, second.url).get("k"), { instanceOf: ClientError, code: "behind" });
  const both = connect({ nodes: [second.url, first.url] }).session(here.save());
  t.is(await both.get("k"), 1);
});

test("what cannot carry a token is done at a node that has seen what the session has", async (t) => {
  const [first, second] = [await startTestNode(t), await startTestNode(t)];
  const here = connect(first.url).session();
  const { etag } = await here.put("k", 1);
  const there = moving(here, second.url);
  for (const write of [
    () => there.touch("k", 1_000),
    () => there.put("k", 2, { ifAbsent: true }),
    () => there.delete("k", { ifMatch: etag! }),
    () => there.increment("k"),
  ]) {
    const error = await t.throwsAsync(write(), { instanceOf: ClientError, code: "behind" });
    t.false(error.mayBeStored);
  }
  t.is(second.kv.get("k"), undefined);
  const both = connect({ nodes: [second.url, first.url] }).session(here.save());
  await both.put("k", 2, { ifMatch: etag! });
  t.true(await both.touch("k", 60_000));
  t.is(await both.get("k"), 2);
});

test("writes of a session replace what it has seen, and leave beside it what it has not", async (t) => {
  const node = await startTestNode(t);
  const session = connect(node.url).session();
  await session.put("k", 1);
  await connect(node.url).put("k", "of somebody else");
  await session.put("k", 2);
  t.like(await session.read("k"), { value: 2, siblings: 2 });
  await session.put("k", 3);
  t.like(await session.read("k"), { value: 3, siblings: 1 });
  await connect(node.url).put("k", "of somebody else");
  await session.batch([{ op: "put", key: "k", value: 4 }]);
  t.like(await session.read("k"), { value: 4, siblings: 2 });
});

test("calls of a session for one key wait for each other, those of different keys do not", async (t) => {
  const asked: string[] = [];
  const held: (() => void)[] = [];
  const url = await startStub(t, (incoming, outgoing) => {
    void bodyOf(incoming).then(() => {
      asked.push(`${incoming.method} ${incoming.url} ${String(incoming.headers["concord-token"])}`);
      const answer = () =>
        outgoing.writeHead(200, { "content-type": "application/json", "concord-token": `t${asked.length}` }).end(`{"key":"k","copies":1}`);
      if (incoming.url === "/v1/kv/slow") held.push(answer);
      else answer();
    });
  });
  const session = connect(url).session();
  const slow = [session.put("slow", 1), session.get("slow")];
  await session.put("quick", 1);
  await session.get("quick");
  t.deepEqual(
    asked.filter((line) => line.includes("slow")),
    ["PUT /v1/kv/slow undefined"],
  );
  held[0]!();
  await until(t, "the second call follows", () => held.length === 2);
  t.regex(asked.at(-1)!, /^GET \/v1\/kv\/slow t\d$/);
  held[1]!();
  await Promise.all(slow);
});

test("an answer with the very token after which the key was gone is from before", async (t) => {
  let isGone = false;
  const old = await startStub(t, (_, outgoing) => {
    if (isGone) outgoing.writeHead(404).end(problem("key-not-found", 404));
    else outgoing.writeHead(200, { "content-type": "application/json", "concord-token": "abc" }).end("1");
  });
  const session = connect(old).session();
  t.is(await session.get("k"), 1);
  isGone = true;
  t.is(await session.get("k"), undefined);
  isGone = false;
  await t.throwsAsync(session.get("k"), { instanceOf: ClientError, code: "behind" });
  t.is(await connect(old).get("k"), 1);
});

test("a failed call does not hold up those that wait behind it", async (t) => {
  const session = connect({ nodes: [await startStub(t, (incoming) => incoming.socket.destroy())] }).session();
  const results = await Promise.allSettled([session.put("k", 1), session.put("k", 2), session.get("k")]);
  t.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "rejected", "rejected"],
  );
});
