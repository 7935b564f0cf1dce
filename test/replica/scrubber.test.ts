/** Scrubs of nodes that run: what a record damaged under them means for those who read it, write it, repair from it, and look for it. */
import test, { type ExecutionContext } from "ava";
import { createClient } from "../../lib/client.ts";
import type { ConcordError } from "../../lib/core/errors.ts";
import { entryAt, indexAt } from "../../lib/core/layout.ts";
import { createMemoryStorage, type MemoryStorage } from "../../lib/storage/memory.ts";
import { startTestNode, until, type TestNode } from "../support/nodes.ts";
import { damage } from "../support/stores.ts";

interface Side {
  readonly node: TestNode;
  readonly storage: MemoryStorage;
}

async function start(t: ExecutionContext, peers: readonly string[] = []): Promise<Side> {
  const storage = createMemoryStorage();
  return { node: await startTestNode(t, { storage, peers }), storage };
}

const value = (text: string): Uint8Array => Buffer.from(JSON.stringify(text));

function shown({ node }: Side, key: string): string | undefined {
  try {
    return Buffer.from(node.kv.get(key)?.value ?? "null").toString();
  } catch (error) {
    return (error as ConcordError).code;
  }
}

async function scrubbed(t: ExecutionContext, side: Side): Promise<void> {
  const number = side.node.kv.scrub();
  await until(t, "the scrub to end", () => (side.node.kv.status().scrub.last?.number ?? 0) >= number, [side.node]);
}

test("a reader who meets damage is refused, everything is looked over, and the peer sends the value again", async (t) => {
  const peer = await start(t);
  const side = await start(t, [peer.node.address]);
  await side.node.kv.write(["a", "b", "c"].map((key) => ({ key, value: value(key) })));
  await until(t, "equal hashes", () => side.node.kv.hash() === peer.node.kv.hash(), [side.node, peer.node]);
  damage(side.storage, entryAt("b"), 99);
  t.is(shown(side, "b"), "damaged");
  // Not by reading: who meets the damage once more, before what was decided of it is on the disk, has everything looked over a second time.
  await until(t, "the end", () => side.node.kv.status().scrub.last?.refilled === 1, [side.node, peer.node]);
  t.like(side.node.kv.status().scrub, { waiting: 0, last: { reason: "damage", damaged: 1, lost: 1 } });
  await until(t, "the value to be shown", () => shown(side, "b") === '"b"', [side.node, peer.node]);
  t.deepEqual([shown(side, "a"), shown(side, "c"), shown(peer, "b")], ['"a"', '"c"', '"b"']);
  t.is(side.node.kv.hash(), peer.node.kv.hash());
  await until(t, "a line about it", () => side.node.lines.some((line) => line.includes("all that the disk had lost is here again")), [
    side.node,
  ]);
});

test("alone, a lost key is refused and no other; a new write ends that", async (t) => {
  const side = await start(t);
  await side.node.kv.write(["a", "b"].map((key) => ({ key, value: value(key) })));
  damage(side.storage, entryAt("b"), 50);
  const error = await t.throwsAsync(
    side.node.kv.write([
      { key: "a", value: value("2") },
      { key: "b", value: undefined },
    ]),
    { code: "damaged" },
  );
  t.regex(
    error?.message ?? "",
    /^the stored value of "b" is damaged .* try again in a moment \(what came before it in the request is stored\)$/,
  );
  await until(t, "the scrub to end", () => side.node.kv.status().scrub.last !== undefined, [side.node]);
  t.deepEqual(side.node.kv.status().scrub.waitingKeys, ["b"]);
  t.deepEqual([shown(side, "a"), shown(side, "b"), shown(side, "never")], ['"2"', "damaged", "null"]);
  const page = side.node.kv.list({ limit: 10 });
  t.deepEqual([page.entries.map(({ key }) => key), page.waiting], [["a"], ["b"]]);
  t.deepEqual(side.node.kv.list({ limit: 10, prefix: "a" }).waiting, undefined);
  t.deepEqual(side.node.kv.list({ limit: 10, after: "b" }).waiting, undefined);
  t.regex(await (await fetch(`${side.node.url}/v1/kv`)).text(), /,"waiting":\["b"\]\}$/);
  await side.node.kv.write([{ key: "b", value: value("3") }]);
  t.is(shown(side, "b"), '"3"');
  t.is(side.node.kv.status().scrub.waiting, 0);
  t.is(side.node.kv.status().stopped, undefined);
});

test("a damaged entry is not sent as one that holds nothing: the asking peer keeps what it has", async (t) => {
  const storage = createMemoryStorage();
  const first = await startTestNode(t, { storage, name: "first" });
  const other = await start(t, [first.address]);
  await first.kv.write([{ key: "k", value: value("one") }]);
  await until(t, "equal hashes", () => first.kv.hash() === other.node.kv.hash(), [first, other.node]);
  // A second sibling that the other has not seen; the record that holds both is damaged before it is sent.
  await first.kv.write([{ key: "k", value: value("two"), beside: true }], { local: true });
  damage(storage, entryAt("k"), 80);
  for (let i = 0; i < 20; i++) {
    other.node.tick();
    await new Promise((resolve) => setTimeout(resolve, 10));
    t.is(shown(other, "k"), '"one"');
  }
  await until(t, "equal hashes", () => first.kv.hash() === other.node.kv.hash(), [first, other.node]);
  t.is(shown(other, "k"), '"one"');
  t.is(Buffer.from(first.kv.get("k")?.value ?? "").toString(), '"one"', "what only the damaged disk held is lost, and nothing else");
});

test("on demand: what can be computed is made anew, in slices between which writes are taken", async (t) => {
  const side = await start(t);
  const { kv } = side.node;
  for (let i = 0; i < 3; i++) {
    await kv.write(Array.from({ length: 1_000 }, (_, j) => ({ key: `key${1_000 * i + j}`, value: value("x".repeat(20)) })));
  }
  damage(side.storage, indexAt(incarnationOf(side.storage), 1_500));
  const client = createClient({ node: side.node.url });
  t.teardown(() => client.close());
  const number = await client.scrub();
  let written = 0;
  while (kv.status().scrub.last?.number !== number) {
    await kv.write([{ key: `during${written++}`, value: value("y") }]);
    side.node.tick();
  }
  t.true(written > 2, `${written} writes were taken meanwhile`);
  t.like(kv.status().scrub.last, { number, reason: "asked", damaged: 1, remade: 1, lost: 0, tablesWrong: false });
  await scrubbed(t, side);
  t.like(kv.status().scrub.last, { number: number + 1, damaged: 0, remade: 0 });
  t.true(kv.status().scrub.last!.records > 6_000);
});

/** The only one that has written: it names the row of the context. */
function incarnationOf(storage: MemoryStorage): string {
  return storage.range("c", "d", 1).rows[0]!.key.slice(1);
}
