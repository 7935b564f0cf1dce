/** Looks: every peer that is up is asked, who does not answer is not waited for, and what is no answer to a look is left to others. */
import test from "ava";
import { encodeSiblings } from "../../lib/core/codec.ts";
import type { Dot } from "../../lib/core/dot.ts";
import type { ReadAnswer } from "../../lib/core/message.ts";
import type { Output } from "../../lib/core/output.ts";
import { keyToBytes } from "../../lib/core/layout.ts";
import { Looks } from "../../lib/replica/looks.ts";
import { at, START_MS } from "../support/chance.ts";
import { json, openTestStore } from "../support/stores.ts";

const KEY = keyToBytes("k");

async function record(): Promise<{ record: Uint8Array; dot: Dot }> {
  const { store } = await openTestStore("b");
  const { dot } = store.put(KEY, json("1"), START_MS);
  return { record: encodeSiblings(store.read(KEY)), dot };
}

function createLooks(): { looks: Looks; begin: (...peers: string[]) => Output[] } {
  let exchange = 0;
  const looks = new Looks(() => ++exchange);
  return { looks, begin: (...peers) => looks.begin({ type: "look", ticket: 7, key: KEY }, [], peers, 2_000) };
}

function answer(exchange: number, bytes: Uint8Array = new Uint8Array(0), key = KEY): ReadAnswer {
  return { kind: "read-answer", exchange, entry: { key, record: bytes, gone: [] } };
}

test("each peer is asked once, and the look is over with the last answer", async (t) => {
  const { looks, begin } = createLooks();
  const { record: held, dot } = await record();
  t.deepEqual(
    begin("b", "c").map((output) => output.type === "send" && [output.to, output.message]),
    [
      ["b", { kind: "read-request", exchange: 1, key: KEY, held: [] }],
      ["c", { kind: "read-request", exchange: 2, key: KEY, held: [] }],
    ],
  );
  t.deepEqual(looks.onAnswer("b", answer(1, held)), []);
  const result = { ok: true, dots: [], copies: 3, held: [{ peer: "b", dots: [dot] }, { peer: "c", dots: [] }] } as const; // prettier-ignore
  t.deepEqual(looks.onAnswer("c", answer(2)), [{ type: "settle", ticket: 7, result }]);
  t.is(looks.waitingCount, 0);
});

test("who fails or is silent is left out, and answers that come later are nobody's", (t) => {
  const { looks, begin } = createLooks();
  begin("b", "c", "d");
  t.deepEqual(looks.onAnswer("d", answer(3)), []);
  t.deepEqual(looks.onPeerFailed("c"), []);
  t.deepEqual(looks.onTick(at(1_999)), []);
  const result = { ok: true, dots: [], copies: 2, held: [{ peer: "d", dots: [] }] } as const;
  t.deepEqual(looks.onTick(at(2_000)), [{ type: "settle", ticket: 7, result }]);
  t.is(looks.onAnswer("b", answer(1)), undefined);
});

test("a stranger, another exchange and another key are no answer; without peers it is over at once", (t) => {
  const { looks, begin } = createLooks();
  begin("b");
  t.is(looks.onAnswer("c", answer(1)), undefined);
  t.is(looks.onAnswer("b", answer(2)), undefined);
  t.is(looks.onAnswer("b", answer(1, undefined, keyToBytes("other"))), undefined);
  t.is(looks.waitingCount, 1);
  const alone = createLooks();
  t.deepEqual(alone.begin(), [{ type: "settle", ticket: 7, result: { ok: true, dots: [], copies: 1, held: [] } }]);
});
