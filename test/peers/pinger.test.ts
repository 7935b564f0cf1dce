/** Pings, as transcripts: who is asked when, who is said to be up or down, and when a difference is worth a repair. */
import test from "ava";
import type { Ping, Summary } from "../../lib/core/message.ts";
import type { Output } from "../../lib/core/output.ts";
import { createStaticMembership, FORGET_AFTER_MS, type Membership } from "../../lib/peers/membership.ts";
import { Pinger } from "../../lib/peers/pinger.ts";
import { at } from "../support/chance.ts";

const PING_MS = 1000;
const TIMEOUT_MS = 1500;
const summary = (letter: string): Summary => ({ root: letter.repeat(16), dotRoot: letter.repeat(16), count: 1, context: letter.repeat(8) });
const MINE = summary("m");

interface Bench {
  readonly membership: Membership;
  readonly pinger: Pinger;
  tick(elapsedMs: number): string[];
  /** The peer answers its last ping. */
  pong(from: string, elapsedMs: number, theirs?: Summary): string[];
  ping(from: string, elapsedMs: number, theirs?: Summary): string[];
}

const instanceOf = (address: string): string => address.padEnd(8, "-").slice(-8);

function createBench(...peers: string[]): Bench {
  let exchange = 0;
  const membership = createStaticMembership({ self: "a", instance: instanceOf("a"), peers, timeoutMs: TIMEOUT_MS }, 0);
  const pinger = new Pinger(
    { name: "node-a", address: "a", instance: instanceOf("a"), pingEveryMs: PING_MS },
    membership,
    () => ++exchange,
  );
  const from = (kind: Ping["kind"], address: string, theirs: Summary): Ping => {
    const number = kind === "ping" ? 77 : (membership.find(address)?.ping?.exchange ?? 999);
    return { kind, exchange: number, name: `node-${address}`, address, instance: instanceOf(address), summary: theirs };
  };
  const heard = ({ outputs, pullFrom }: ReturnType<Pinger["onPong"]>): string[] => {
    return [...shown(outputs), ...(pullFrom === undefined ? [] : [`pull from ${pullFrom.address}`])];
  };
  return {
    membership,
    pinger,
    tick: (elapsedMs) => shown(pinger.onTick(() => MINE, at(elapsedMs))),
    pong: (address, elapsedMs, theirs = MINE) => heard(pinger.onPong(address, from("pong", address, theirs), MINE, at(elapsedMs))),
    ping: (address, elapsedMs, theirs = MINE) => heard(pinger.onPing(from("ping", address, theirs), MINE, at(elapsedMs))),
  };
}

function shown(outputs: readonly Output[]): string[] {
  return outputs.map((output) => {
    if (output.type === "send") return `${output.message.kind} ${output.to}`;
    if (output.type === "reply") return output.message.kind;
    if (output.type !== "event") return output.type;
    return "peer" in output.event ? `${output.event.kind} ${output.event.peer}` : output.event.kind;
  });
}

test("each peer is pinged every so often, and never again before it has answered", (t) => {
  const bench = createBench("b", "c");
  t.deepEqual(bench.tick(0), ["ping b", "ping c"]);
  t.deepEqual(bench.tick(PING_MS), []);
  bench.pong("b", PING_MS);
  t.deepEqual(bench.tick(PING_MS), ["ping b"], "c has not answered");
  bench.pong("b", PING_MS + 1);
  t.deepEqual(bench.tick(2 * PING_MS - 1), ["peer-down c", "ping c"]);
  t.deepEqual(bench.tick(2 * PING_MS), ["ping b"]);
});

test("a ping says who we are and what we hold; a ping is answered by the same", (t) => {
  const { pinger } = createBench("b");
  const [sent] = pinger.onTick(() => MINE, at(0));
  t.deepEqual(sent, {
    type: "send",
    to: "b",
    message: { kind: "ping", exchange: 1, name: "node-a", address: "a", instance: instanceOf("a"), summary: MINE },
  });
  const theirs: Ping = { kind: "ping", exchange: 42, name: "node-b", address: "b", instance: instanceOf("b"), summary: MINE };
  t.deepEqual(pinger.onPing(theirs, MINE, at(0)).outputs, [
    { type: "reply", message: { kind: "pong", exchange: 42, name: "node-a", address: "a", instance: instanceOf("a"), summary: MINE } },
  ]);
});

test("the first answer makes a peer up; the last of them makes all up", (t) => {
  const bench = createBench("b", "c");
  bench.tick(0);
  t.deepEqual(bench.pong("b", 7), ["peer-up b", "in-sync b"]);
  t.deepEqual(bench.pong("c", 9), ["peer-up c", "all-peers-up", "in-sync c"]);
  const { name, roundTripMs, sinceMs, status } = bench.membership.find("c")!;
  t.deepEqual({ name, roundTripMs, sinceMs, status }, { name: "node-c", roundTripMs: 9, sinceMs: at(9).wallMs, status: "alive" });
});

test("answers that are late, doubled, of strangers or to nothing change nothing", (t) => {
  const bench = createBench("b");
  t.deepEqual(bench.pong("b", 0), []);
  bench.tick(0);
  t.deepEqual(bench.pong("z", 1), []);
  const { exchange } = bench.membership.find("b")!.ping!;
  const late: Ping = { kind: "pong", exchange: exchange - 1, name: "b", address: "b", instance: instanceOf("b"), summary: MINE };
  t.deepEqual(bench.pinger.onPong("b", late, MINE, at(2)).outputs, []);
  t.is(bench.membership.find("b")!.status, "unknown");
  bench.pong("b", 3);
  t.deepEqual(bench.pong("b", 4), []);
});

test("a silent peer is suspect without a word, then down; it is asked on, and comes up when it answers", (t) => {
  const bench = createBench("b");
  bench.tick(0);
  bench.pong("b", 1);
  t.deepEqual(bench.tick(1000), ["ping b"]);
  t.deepEqual(bench.tick(1800), []);
  t.is(bench.membership.find("b")!.status, "suspect");
  t.true(bench.membership.find("b")!.isUp);
  t.deepEqual(bench.tick(2500), ["peer-down b", "ping b"]);
  t.deepEqual([2600, 3499].flatMap((ms) => bench.tick(ms)), []); // prettier-ignore
  t.deepEqual(bench.tick(3500), ["ping b"]);
  t.deepEqual(bench.pong("b", 3600), ["peer-up b", "all-peers-up", "in-sync b"]);
});

test("a refused connection is down at once, and said once", (t) => {
  const bench = createBench("b");
  bench.tick(0);
  bench.pong("b", 1);
  bench.tick(1000);
  t.deepEqual(shown(bench.pinger.onUnreachable("b", "connection refused", at(1001))), ["peer-down b"]);
  t.deepEqual(bench.tick(2000), ["ping b"]);
  t.deepEqual(shown(bench.pinger.onUnreachable("b", "connection refused", at(2001))), []);
  t.deepEqual(bench.pinger.onUnreachable("z", "connection refused", at(2001)), []);
});

test("a first meeting that differs is worth a repair at once", (t) => {
  const bench = createBench("b");
  bench.tick(0);
  t.deepEqual(bench.pong("b", 1, summary("x")), ["peer-up b", "all-peers-up", "differs b", "pull from b"]);
});

test("later, one difference is a write on its way; the second in a row is worth a repair, and so is each after it", (t) => {
  const bench = createBench("b");
  const round = (n: number, theirs: Summary): string[] => {
    bench.tick(n * PING_MS);
    return bench.pong("b", n * PING_MS + 1, theirs);
  };
  bench.tick(0);
  bench.pong("b", 1);
  t.deepEqual(round(1, summary("x")), []);
  t.deepEqual(round(2, MINE), ["in-sync b"]);
  t.deepEqual(round(3, summary("x")), []);
  t.deepEqual(round(4, summary("y")), ["differs b", "pull from b"]);
  t.deepEqual(round(5, summary("x")), ["pull from b"]);
  t.deepEqual(round(6, MINE), ["in-sync b"]);
  t.deepEqual(round(7, MINE), []);
});

test("what a peer says in its own pings is compared too, once it is up", (t) => {
  const bench = createBench("b");
  t.deepEqual(bench.ping("b", 0, summary("x")), ["pong"], "that it reaches us does not mean that we reach it");
  bench.tick(0);
  bench.pong("b", 1);
  t.deepEqual(bench.ping("b", 2, summary("x")), ["pong"]);
  t.deepEqual(bench.ping("b", 3, summary("x")), ["pong", "differs b", "pull from b"]);
});

test("equal contents with other contexts differ: deletions that one has not heard of", (t) => {
  const bench = createBench("b");
  bench.tick(0);
  t.deepEqual(bench.pong("b", 1, { ...MINE, context: "other..." }), ["peer-up b", "all-peers-up", "differs b", "pull from b"]);
});

test("a dead peer that pings us is pinged back at once", (t) => {
  const bench = createBench("b");
  bench.tick(0);
  bench.pinger.onUnreachable("b", "connection refused", at(1));
  t.deepEqual(bench.ping("b", 2), ["pong", "ping b"]);
  t.deepEqual(bench.ping("b", 3), ["pong"], "once");
  t.deepEqual(bench.pong("b", 4), ["peer-up b", "all-peers-up", "in-sync b"]);
});

test("a node that pings us without being on our list is learned, pinged, and up when it answers", (t) => {
  const bench = createBench("b");
  t.deepEqual(bench.ping("c", 0, summary("x")), ["peer-learned c", "pong"]);
  t.deepEqual(bench.tick(1), ["ping b", "ping c"]);
  t.deepEqual(bench.pong("c", 2, summary("x")), ["peer-up c", "differs c", "pull from c"]);
  t.deepEqual(bench.ping("c", 3), ["pong", "in-sync c"], "and known from then on");
});

test("a learned node stays while it pings, though it cannot be reached, and is forgotten when it falls silent", (t) => {
  const bench = createBench();
  bench.ping("c", 0);
  bench.tick(0);
  bench.pinger.onUnreachable("c", "no route", at(1));
  bench.ping("c", FORGET_AFTER_MS);
  bench.tick(FORGET_AFTER_MS + 1);
  t.not(bench.membership.find("c"), undefined);
  bench.pinger.onUnreachable("c", "no route", at(FORGET_AFTER_MS + 2));
  bench.tick(2 * FORGET_AFTER_MS + 1);
  t.is(bench.membership.find("c"), undefined);
});
