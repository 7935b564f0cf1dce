/** What Keyv's own test suite asks of a store, with Keyv itself on a real node; the suite runs only under another runner. */
import test, { type ExecutionContext } from "ava";
import { Keyv, type KeyvStoreAdapter } from "keyv";
import { KeyvConcord } from "../../lib/adapters/keyv.ts";
import { connect } from "../../lib/connect.ts";
import { pause, startTestNode } from "../support/nodes.ts";

async function start(t: ExecutionContext) {
  const node = await startTestNode(t);
  const make = (namespace?: string, ttl?: number): Keyv => {
    const store: KeyvStoreAdapter = new KeyvConcord(node.url);
    const keyv = new Keyv({ store, ...(namespace === undefined ? {} : { namespace }), ...(ttl === undefined ? {} : { ttl }) });
    keyv.on("error", (error) => t.fail(String(error)));
    return keyv;
  };
  return { node, make };
}

test("set, get, has, delete", async (t) => {
  const { make } = await start(t);
  const keyv = make();
  t.is(await keyv.get("foo"), undefined);
  t.true(await keyv.set("foo", "bar"));
  t.is(await keyv.get("foo"), "bar");
  t.true(await keyv.has("foo"));
  t.false(await keyv.has("fizz"));
  t.true(await keyv.delete("foo"));
  t.false(await keyv.delete("foo"));
  t.is(await keyv.get("foo"), undefined);
});

test("values of every kind", async (t) => {
  const { make } = await start(t);
  const keyv = make();
  const values = [false, null, 0, { fizz: "buzz" }, Buffer.from("bar"), { buff: Buffer.from("buzz") }, '"', "'", "''", "bar", [1, "2"]];
  for (const value of values) {
    await keyv.set("foo", value);
    t.deepEqual(await keyv.get("foo"), value);
  }
  await keyv.set("foo", undefined);
  t.is(await keyv.get("foo"), undefined);
  await keyv.set("'", "'");
  t.is(await keyv.get("'"), "'");
});

test("many at once", async (t) => {
  const { make } = await start(t);
  const keyv = make();
  t.deepEqual(await keyv.get(["a", "b"]), [undefined, undefined]);
  await keyv.setMany([
    { key: "a", value: 1 },
    { key: "c", value: 3, ttl: 60_000 },
  ]);
  t.deepEqual(await keyv.get(["a", "b", "c"]), [1, undefined, 3]);
  t.true(await keyv.delete(["a", "b", "c"]));
  t.false(await keyv.delete(["a", "b", "c"]));
  t.deepEqual(await keyv.get(["a", "b", "c"]), [undefined, undefined, undefined]);
});

test("expiry is the node's: the value is gone for everybody", async (t) => {
  const { node, make } = await start(t);
  const keyv = make(undefined, 60_000);
  await keyv.set("long", 1);
  await keyv.set("short", 1, 300);
  const [long, short] = [node.kv.get("keyv/keyv:long")!, node.kv.get("keyv/keyv:short")];
  t.true(long.expiresAtMs > Date.now());
  if (short !== undefined) t.true(short.expiresAtMs < long.expiresAtMs);
  await pause(310);
  t.is(await keyv.get("short"), undefined);
  t.is(node.kv.get("keyv/keyv:short"), undefined);
  t.is(await keyv.get("long"), 1);
});

test("namespaces do not meet, and clear empties its own alone", async (t) => {
  const { node, make } = await start(t);
  const [first, second] = [make("keyv1"), make("keyv2")];
  await node.kv.write([{ key: "of others", value: Buffer.from("1") }]);
  for (const [keyv, value] of [
    [first, 1],
    [second, 2],
  ] as const) {
    await keyv.set("foo", value);
    await keyv.set("bar", value);
  }
  t.deepEqual([await first.get("foo"), await second.get("foo")], [1, 2]);
  t.true(await first.delete("foo"));
  t.is(await second.get("foo"), 2);
  t.is(await first.clear(), undefined);
  t.deepEqual([await first.get("bar"), await second.get("bar")], [undefined, 2]);
  const all = new KeyvConcord(connect(node.url));
  const keys: string[] = [];
  for await (const [key] of all.iterator("keyv2")) keys.push(key);
  t.deepEqual(keys, ["keyv2:bar", "keyv2:foo"]);
  await all.clear();
  t.is(node.kv.status().keys, 1);
});

test("clear empties more than one batch takes", async (t) => {
  const { node, make } = await start(t);
  await node.kv.write(Array.from({ length: 2_300 }, (_, i) => ({ key: `keyv/keyv:${i}`, value: Buffer.from("1") })));
  await make().clear();
  t.is(node.kv.status().keys, 0);
});
