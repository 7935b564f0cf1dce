/** What unstorage's own tests ask of a driver, with unstorage itself on a real node; its cases are not published as a package. */
import test, { type ExecutionContext } from "ava";
import { createStorage, restoreSnapshot, type Driver } from "unstorage";
import { concordDriver } from "../../lib/adapters/unstorage.ts";
import { connect } from "../../lib/connect.ts";
import { startTestNode, until } from "../support/nodes.ts";

async function start(t: ExecutionContext) {
  const node = await startTestNode(t);
  const driver: Driver = concordDriver({ nodes: [node.url] });
  const storage = createStorage({ driver });
  t.teardown(() => storage.dispose());
  return { node, storage };
}

test("empty at first, and again after clear", async (t) => {
  const { node, storage } = await start(t);
  await node.kv.write([{ key: "of others", value: Buffer.from("1") }]);
  t.false(await storage.hasItem("s1:a"));
  t.is(await storage.getItem("s2:a"), null);
  t.deepEqual(await storage.getKeys(), []);
  await restoreSnapshot(storage, { initial: "works" });
  t.is(await storage.getItem("initial"), "works");
  await storage.clear();
  await storage.clear();
  t.deepEqual(await storage.getKeys(), []);
  t.is(node.kv.status().keys, 1);
});

test("items, with a query in the key or without", async (t) => {
  const { storage } = await start(t);
  await storage.setItem("s1:a", "test_data");
  await storage.setItem("s3:a?q=1", "other");
  t.true(await storage.hasItem("s1:a"));
  t.is(await storage.getItem("s1:a"), "test_data");
  t.is(await storage.getItem("s3:a?q=2"), "other");
  await storage.removeItem("s1:a", false);
  t.false(await storage.hasItem("s1:a"));
  t.is(await storage.getItem("s1:a"), null);
  await storage.setItem("zero", 0);
  await storage.setItem("no", false);
  t.is(await storage.getItem("zero"), 0);
  t.is(await storage.getItem("no"), false);
});

test("keys, below a base and down to a depth", async (t) => {
  const { storage } = await start(t);
  const keys = ["depth0_0", "depth0:depth1:depth2_0", "depth0:depth1:depth2_1", "depth0:depth1_0", "s1:a", "s2:a"];
  for (const key of keys) await storage.setItem(key, "x");
  t.deepEqual((await storage.getKeys()).sort(), [...keys].sort());
  t.deepEqual(await storage.getKeys("s1"), ["s1:a"]);
  t.deepEqual(await storage.getKeys(undefined, { maxDepth: 0 }), ["depth0_0"]);
  t.deepEqual((await storage.getKeys(undefined, { maxDepth: 1 })).sort(), ["depth0:depth1_0", "depth0_0", "s1:a", "s2:a"]);
});

test("what unstorage makes texts of comes back as it was", async (t) => {
  const { storage } = await start(t);
  const cases: [value: object | boolean, back: unknown][] = [
    [{ json: "works" }, { json: "works" }],
    [true, true],
    [{ toJSON: () => "SERIALIZED" }, "SERIALIZED"],
    [{ toJSON: () => ({ inner: "works" }) }, { inner: "works" }],
  ];
  for (const [value, back] of cases) {
    await storage.setItem("/data/test.json", value);
    t.deepEqual(await storage.getItem("/data/test.json"), back);
  }
  class Unknown {}
  await t.throwsAsync(storage.setItem("/data/bad.json", new Unknown()), { message: /Cannot stringify value/ });
});

test("raw bytes, and several items at once", async (t) => {
  const { storage } = await start(t);
  await storage.setItemRaw("/data/raw.bin", Uint8Array.of(1, 2, 3));
  t.deepEqual(await storage.getItemRaw<Uint8Array>("/data/raw.bin"), Uint8Array.of(1, 2, 3));
  await storage.setItems([
    { key: "t:1", value: "one" },
    { key: "t:2", value: "two" },
  ]);
  t.deepEqual(await storage.getItems([{ key: "t:1" }, "t:2", "t:3"]), [
    { key: "t:1", value: "one" },
    { key: "t:2", value: "two" },
    { key: "t:3", value: null },
  ]);
});

test("JSON of other clients, expiry, and watching", async (t) => {
  const { node, storage } = await start(t);
  const seen: string[] = [];
  const unwatch = await storage.watch((event, key) => seen.push(`${event} ${key}`));
  await connect(node.url).put("unstorage/from:outside", { x: [1] });
  t.deepEqual(await storage.getItem("from:outside"), { x: [1] });
  await storage.setItem("short", "x", { ttl: 60 });
  const { ttl = 0 } = await storage.getMeta("short");
  t.true(Number(ttl) > 0 && Number(ttl) <= 60);
  await storage.removeItem("short");
  await until(t, "all is told", () => seen.some((line) => line === "remove short"));
  t.true(seen.includes("update from:outside"));
  await unwatch();
});
