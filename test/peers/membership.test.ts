/** The static list: who is on it stays; who pings without being on it is learned, within limits, and forgotten when silent. */
import test from "ava";
import { createStaticMembership, FORGET_AFTER_MS, LEARNED_MAX, type Membership } from "../../lib/peers/membership.ts";

const create = (...peers: string[]): Membership => createStaticMembership({ self: "a", instance: "aaaaaaaa", peers, timeoutMs: 1000 }, 5);
const addresses = (membership: Membership): string[] => membership.members().map(({ address }) => address);

test("the list, without this node itself and without doubles, in its order", (t) => {
  const membership = create("c", "a", "b", "c");
  t.deepEqual(addresses(membership), ["c", "b"]);
  t.deepEqual(
    membership.members().map(({ listed, status, name, sinceMs, isUp }) => ({ listed, status, name, sinceMs, isUp })),
    [1, 2].map(() => ({ listed: true, status: "unknown", name: "", sinceMs: 5, isUp: false })),
  );
  t.is(membership.find("b")?.address, "b");
  t.is(membership.find("a"), undefined);
});

test("a stranger is learned once; this node, members and nobody are not", (t) => {
  const membership = create("b");
  t.false(membership.learn("c", 9)?.listed);
  t.is(membership.find("c")?.sinceMs, 9);
  for (const address of ["c", "b", "a", ""]) t.is(membership.learn(address, 9), undefined, address);
  t.deepEqual(addresses(membership), ["b", "c"]);
});

test("so many strangers are learned and no more; one who is forgotten makes room", (t) => {
  const membership = create("b");
  for (let n = 0; n < LEARNED_MAX; n++) t.not(membership.learn(`s${n}`, 0), undefined);
  t.is(membership.learn("one-more", 0), undefined);
  for (const member of membership.members()) member.lastHeardMs = 0;
  membership.find("s3")!.lastHeardMs = -1;
  membership.forgetSilent(FORGET_AFTER_MS);
  t.is(membership.find("s3"), undefined);
  t.not(membership.learn("one-more", 0), undefined);
});

test("who is silent for long is forgotten, unless it is listed or up", (t) => {
  const membership = create("b");
  for (const address of ["heard", "up", "silent"]) membership.learn(address, 0);
  membership.find("heard")!.lastHeardMs = 1;
  membership.find("up")!.status = "suspect";
  membership.find("silent")!.lastHeardMs = 0;
  membership.forgetSilent(FORGET_AFTER_MS);
  t.deepEqual(addresses(membership), ["b", "heard", "up", "silent"]);
  membership.forgetSilent(FORGET_AFTER_MS + 1);
  t.deepEqual(addresses(membership), ["b", "heard", "up"]);
});

test("a node that answers at two addresses is one member, the listed one; one that is this node itself is none", (t) => {
  const membership = create("http://b", "http://127.0.0.1:b", "http://me");
  const learned = membership.learn("http://b.local", 0)!;
  membership.identify(learned, "bbbbbbbb");
  membership.identify(membership.find("http://b")!, "bbbbbbbb");
  t.deepEqual(addresses(membership), ["http://b", "http://127.0.0.1:b", "http://me"], "the learned one went");
  membership.identify(membership.find("http://127.0.0.1:b")!, "bbbbbbbb");
  t.deepEqual(addresses(membership), ["http://127.0.0.1:b", "http://me"]);
  membership.identify(membership.find("http://me")!, "aaaaaaaa");
  t.deepEqual(addresses(membership), ["http://127.0.0.1:b"]);
  membership.identify(membership.find("http://127.0.0.1:b")!, "b-again-");
  t.deepEqual(addresses(membership), ["http://127.0.0.1:b"], "a restart draws another number");
});
