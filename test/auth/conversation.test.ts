/** Signed requests and answers between a sender and a receiver, with everything between them in the test's hands: tampering, replay, clocks. */
import { createSecretKey } from "node:crypto";
import test from "ava";
import type { ClusterKeys } from "../../lib/auth/cluster-key.ts";
import { Conversation, type Carry, type SealedAnswer } from "../../lib/auth/conversation.ts";
import type { RequestLine } from "../../lib/auth/signature.ts";
import { Verifier } from "../../lib/auth/verifier.ts";
import { ConcordError } from "../../lib/core/errors.ts";

const keyOf = (text: string): ClusterKeys[number] => createSecretKey(Buffer.from(text));
const [old, young, foreign] = [keyOf("the old key"), keyOf("the new key"), keyOf("somebody else's")] as const;
const LINE: RequestLine = { method: "POST", path: "/peer", from: "http://n1:1" };
const HOUR_MS = 3_600_000;

interface Sent {
  readonly line: RequestLine;
  readonly body: string;
  readonly authorization: string;
}

interface World {
  readonly conversation: Conversation;
  /** What went over the wire, in order. */
  readonly sent: Sent[];
  /** Bodies that the receiver took. */
  readonly taken: string[];
  deliver: (sent: Sent) => SealedAnswer;
  /** Changed on the way. */
  change: { request?: (sent: Sent) => Sent; answer?: (answer: SealedAnswer) => SealedAnswer };
  /** The two clocks. */
  now: { sender: number; receiver: number };
  keys: { sender: ClusterKeys; receiver: ClusterKeys };
  verifier: Verifier;
  say(body: string): Promise<SealedAnswer>;
}

function createWorld(): World {
  const taken: string[] = [];
  const sent: Sent[] = [];
  const world: World = {
    sent,
    taken,
    change: {},
    now: { sender: 5_000, receiver: 9_000_000 },
    keys: { sender: [old], receiver: [old] },
    verifier: new Verifier(
      () => world.keys.receiver,
      () => world.now.receiver,
    ),
    conversation: new Conversation(
      () => world.keys.sender,
      () => world.now.sender,
    ),
    deliver({ line, body, authorization }) {
      const verdict = world.verifier.check(authorization, line);
      if (verdict.kind === "stranger") return { status: 401, body: Buffer.from('{"error":"no"}'), seal: "" };
      const text = verdict.kind === "peer" ? `heard ${body}` : verdict.kind === "again" ? verdict.challenge : "full";
      const status = verdict.kind === "peer" ? 200 : verdict.kind === "again" ? 401 : 503;
      if (verdict.kind === "peer") taken.push(body);
      return { status, body: Buffer.from(text), seal: verdict.seal(status, text) };
    },
    say: (body) => world.conversation.exchange(LINE, body, carry),
  };
  const carry: Carry = async (line, body, authorization) => {
    const asSent = { line, body: String(body ?? ""), authorization };
    sent.push(asSent);
    const answer = world.deliver(world.change.request?.(asSent) ?? asSent);
    return world.change.answer?.(answer) ?? answer;
  };
  return world;
}

const refused = (why: RegExp) => ({ instanceOf: ConcordError, code: "peer-failed", message: why });

test("a first request asks for the other clock; after that each is one exchange", async (t) => {
  const world = createWorld();
  t.is(Buffer.from((await world.say("one")).body).toString(), "heard one");
  t.deepEqual(
    world.sent.map(({ line, body }) => [line.path, body]),
    [
      ["/peer", ""],
      ["/peer", "one"],
    ],
    "the body goes over the wire once",
  );
  t.is((await world.say("two")).status, 200);
  t.is(world.sent.length, 3);
  t.deepEqual(world.taken, ["one", "two"]);
});

test("clocks that are hours apart, or that jump, do not keep two nodes from talking", async (t) => {
  const world = createWorld();
  await world.say("one");
  for (const [side, byMs] of [
    ["sender", HOUR_MS],
    ["sender", -HOUR_MS],
    ["receiver", HOUR_MS],
    ["receiver", 24 * HOUR_MS],
  ] as const) {
    world.now[side] += byMs;
    t.is((await world.say(`${side} ${byMs}`)).status, 200);
  }
});

test("a receiver that has restarted is met again", async (t) => {
  const world = createWorld();
  await world.say("one");
  world.verifier = new Verifier(
    () => world.keys.receiver,
    () => (world.now.receiver = 10),
  );
  t.is((await world.say("two")).status, 200);
  t.deepEqual(world.taken, ["one", "two"]);
});

test("whatever is changed in a request makes it a stranger's", async (t) => {
  const changes: readonly (readonly [what: string, change: (sent: Sent) => Sent])[] = [
    ["method", (sent) => ({ ...sent, line: { ...sent.line, method: "GET" } })],
    ["path", (sent) => ({ ...sent, line: { ...sent.line, path: "/replicate" } })],
    ["query", (sent) => ({ ...sent, line: { ...sent.line, path: "/peer?w=2" } })],
    ["sender", (sent) => ({ ...sent, line: { ...sent.line, from: "http://n2:1" } })],
    ["nothing signed", (sent) => ({ ...sent, authorization: "" })],
    ["another scheme", (sent) => ({ ...sent, authorization: sent.authorization.replace("Concord", "Bearer_") })],
    ...[0, 1, 2, 3, 4, 5].map(
      (field) => [`field ${field}`, (sent: Sent) => ({ ...sent, authorization: bumped(sent.authorization, field) })] as const,
    ),
  ];
  for (const [what, change] of changes) {
    const world = createWorld();
    await world.say("one");
    world.change = { request: change };
    await t.throwsAsync(world.say("two"), refused(/^it does not know this node's cluster key$/), what);
    t.deepEqual(world.taken, ["one"], what);
  }
});

/** One character of one field is another one. */
function bumped(authorization: string, field: number): string {
  const fields = authorization.slice("Concord ".length).split(".");
  const text = fields[field] ?? "";
  fields[field] = (text.startsWith("1") ? "2" : "1") + text.slice(1);
  return `Concord ${fields.join(".")}`;
}

test("an answer that was changed, made up, or is that to another request, is none", async (t) => {
  const answers: readonly (readonly [what: string, change: (answer: SealedAnswer, before: SealedAnswer) => SealedAnswer, why: RegExp])[] = [
    ["body", (answer) => ({ ...answer, body: Buffer.from("lies") }), /signed with another cluster key/],
    ["status", (answer) => ({ ...answer, status: 204 }), /signed with another cluster key/],
    ["seal", (answer) => ({ ...answer, seal: bumped(`Concord ${answer.seal}`, 0).slice(8) }), /signed with another cluster key/],
    ["no seal", (answer) => ({ ...answer, seal: "" }), /it answered 200, not signed/],
    ["an older answer", (_answer, before) => before, /signed with another cluster key/],
    ["not found", () => ({ status: 404, body: Buffer.from(""), seal: "" }), /it answered 404, not signed/],
  ];
  for (const [what, change, why] of answers) {
    const world = createWorld();
    const before = await world.say("one");
    world.change = { answer: (answer) => change(answer, before) };
    await t.throwsAsync(world.say("two"), refused(why), what);
  }
});

test("nobody can set a sender's idea of the other clock but whoever has the key", async (t) => {
  const world = createWorld();
  const challenge = Buffer.from(JSON.stringify({ base: "a".repeat(16), timeMs: 1 }));
  world.change = { answer: () => ({ status: 401, body: challenge, seal: "" }) };
  await t.throwsAsync(world.say("one"), refused(/does not know this node's cluster key/));
  world.change = {};
  await world.say("two");
  world.change = { answer: (answer) => ({ ...answer, status: 401, body: challenge }) };
  await t.throwsAsync(world.say("three"), refused(/signed with another cluster key/));
  world.change = {};
  t.is((await world.say("four")).status, 200);
});

test("a request that is sent again is refused, at once, later, and after the receiver's restart", async (t) => {
  const world = createWorld();
  await world.say("one");
  const captured = world.sent.at(-1)!;
  t.is(world.deliver(captured).status, 401);
  for (let i = 0; i < 2_000; i++) await world.say(`${i}`);
  t.is(world.deliver(captured).status, 401, "when many others have come since");
  world.now.receiver += 29_000;
  t.is(world.deliver(captured).status, 401, "within the window");
  world.now.receiver += HOUR_MS;
  t.is(world.deliver(captured).status, 401, "after it");
  t.deepEqual([world.taken[0], world.taken.length], ["one", 2_001]);
  world.verifier = new Verifier(
    () => world.keys.receiver,
    () => world.now.receiver,
  );
  t.is(world.deliver(captured).status, 401, "at another start");
});

test("a request that was held back is refused after half a minute", async (t) => {
  const world = createWorld();
  await world.say("one");
  let held: Sent | undefined;
  world.change = {
    request: (sent) => {
      held = sent;
      throw new Error("nothing came through");
    },
  };
  await t.throwsAsync(world.say("two"));
  world.now.receiver += 31_000;
  t.is(world.deliver(held!).status, 401);
  t.deepEqual(world.taken, ["one"]);
});

test("a request for one node is of no use at another", async (t) => {
  const world = createWorld();
  await world.say("one");
  const other = new Verifier(
    () => [old],
    () => world.now.receiver,
  );
  const { authorization, line } = world.sent.at(-1)!;
  t.is(other.check(authorization, line).kind, "again");
});

test("a key is changed in three steps, and at none of them a node is shut out", async (t) => {
  const world = createWorld();
  const steps: readonly ClusterKeys[] = [[old], [old, young], [young, old], [young]];
  for (let step = 1; step < steps.length; step++) {
    for (const [sender, receiver] of [
      [step, step - 1],
      [step - 1, step],
      [step, step],
    ] as const) {
      world.keys = { sender: steps[sender]!, receiver: steps[receiver]! };
      t.is((await world.say(`${sender} to ${receiver}`)).status, 200);
    }
  }
  world.keys = { sender: [old], receiver: [young] };
  await t.throwsAsync(world.say("too late"), refused(/does not know this node's cluster key/));
});

test("another cluster's key opens nothing", async (t) => {
  const world = createWorld();
  world.keys = { sender: [foreign], receiver: [old, young] };
  await t.throwsAsync(world.say("one"), refused(/does not know this node's cluster key/));
  t.deepEqual(world.taken, []);
});

test("what is remembered of senders is bounded, and what is still good is never forgotten to make room", async (t) => {
  const world = createWorld();
  await world.say("first");
  const captured = world.sent.at(-1)!;
  const others = Array.from(
    { length: 1_100 },
    () =>
      new Conversation(
        () => [old],
        () => world.now.sender,
      ),
  );
  const statuses: number[] = [];
  for (const [i, other] of others.entries()) {
    const carry: Carry = async (line, body, authorization) => world.deliver({ line, body: String(body ?? ""), authorization });
    statuses.push((await other.exchange(LINE, `${i}`, carry)).status);
  }
  t.is(statuses.filter((status) => status === 200).length, 1_023);
  t.is(statuses.filter((status) => status === 503).length, 77);
  t.is(world.deliver(captured).status, 401);
  t.is((await world.say("a known sender")).status, 200);
  world.now.receiver += 61_000;
  world.now.sender += 61_000;
  t.is((await world.say("still")).status, 200);
  const late = new Conversation(
    () => [old],
    () => world.now.sender,
  );
  const carry: Carry = async (line, body, authorization) => world.deliver({ line, body: String(body ?? ""), authorization });
  t.is((await late.exchange(LINE, "there is room again", carry)).status, 200);
});

test("a peer that signs a challenge which is none is told apart from one that signs nothing", async (t) => {
  const world = createWorld();
  world.deliver = ({ authorization, line }) => {
    const verdict = world.verifier.check(authorization, line);
    if (verdict.kind === "stranger") throw new Error("it is signed");
    return { status: 401, body: Buffer.from("?"), seal: verdict.seal(401, "?") };
  };
  await t.throwsAsync(
    world.conversation.exchange(LINE, "one", async (line, body, authorization) =>
      world.deliver({ line, body: String(body ?? ""), authorization }),
    ),
    refused(/did not say what to sign/),
  );
});
