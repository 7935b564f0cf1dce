/**
 * Recovery, proven with real processes: nodes are stopped, killed, emptied and cut off from each other, and what was acknowledged is
 * there afterwards, on every node, while what was deleted is not.
 */
import { rm } from "node:fs/promises";
import test from "ava";
import { allDown, allUp, contentOf, createCluster, pairs, putAll, sameData, startedCluster, waitFor, type TestNode } from "./support.ts";

test.serial("a restart faster than the ping interval loses nothing on any node, even of a node that comes back empty", async (t) => {
  t.timeout(180_000);
  const { nodes } = await startedCluster(t, { count: 2, memory: true, pingfreq: 30, timeout: 30 });
  const [kept, restarted] = nodes as [TestNode, TestNode];
  await putAll(kept, pairs("a", 50));
  await putAll(restarted, pairs("b", 50));
  await sameData(nodes, 100);

  const before = kept.lines.length;
  await restarted.end("SIGKILL");
  await restarted.start();
  t.is(Object.keys(await contentOf(restarted)).length, 100, "clients are answered only when it has caught up");
  t.is(Object.keys(await contentOf(kept)).length, 100);
  t.deepEqual(
    kept.lines.slice(before).filter((line) => line.includes("is down")),
    [],
    "the other has not even noticed",
  );
  await sameData(nodes, 100);
});

test.serial("a node whose data folder was deleted refills from the others, and keeps what is written to it meanwhile", async (t) => {
  t.timeout(180_000);
  const { nodes } = await startedCluster(t, { count: 2 });
  const [other, emptied] = nodes as [TestNode, TestNode];
  await putAll(other, pairs("k", 300));
  await sameData(nodes, 300);
  t.true(await emptied.client.delete("k7"));
  await sameData(nodes, 299);

  t.deepEqual(await emptied.end("SIGTERM"), { code: 0, signal: null });
  await rm(emptied.options.folder ?? "", { recursive: true });
  await emptied.start();
  await emptied.client.put("new", { after: "the loss" });
  await sameData(nodes, 300);
  t.is(await emptied.client.get("k7"), undefined);
});

test.serial("apart: both sides keep their writes, what one side deleted stays deleted, and one value of a key wins on both", async (t) => {
  t.timeout(180_000);
  const cluster = await startedCluster(t, { count: 2 });
  const { nodes } = cluster;
  const [one, two] = nodes as [TestNode, TestNode];
  await putAll(one, pairs("shared", 20));
  await sameData(nodes, 20);

  cluster.cut();
  await allDown(nodes);
  await putAll(one, pairs("one", 20));
  await putAll(two, pairs("two", 20));
  t.true(await one.client.delete("shared3"));
  t.true(await two.client.delete("shared4"));
  await one.client.put("both", "of one");
  await two.client.put("both", "of two");
  // The side that was deleted on is restarted while it is apart: the deletion is on its disk.
  t.is((await one.end("SIGKILL")).signal, "SIGKILL");
  await one.start();
  t.is(await one.client.get("shared3"), undefined);
  t.is(await two.client.get("shared3"), 3);

  cluster.heal();
  const content = await sameData(nodes, 20 - 2 + 40 + 1);
  t.is(content["shared3"], undefined);
  t.is(content["shared4"], undefined);
  t.true(content["both"] === "of one" || content["both"] === "of two");
  for (const { key, value } of [...pairs("one", 20), ...pairs("two", 20)]) t.is(content[key], value);
});

test.serial("three nodes, each alone, hold the sum of all when they meet again", async (t) => {
  t.timeout(180_000);
  const cluster = await startedCluster(t, { count: 3 });
  const { nodes } = cluster;
  await putAll(nodes[0]!, pairs("shared", 9));
  await sameData(nodes, 9);

  cluster.cut();
  await allDown(nodes);
  for (const [i, node] of nodes.entries()) {
    await putAll(node, pairs(`of${i}-`, 10));
    t.true(await node.client.delete(`shared${i}`));
    await node.client.put(`shared${i + 3}`, `changed by ${i}`);
  }
  cluster.heal();
  const content = await sameData(nodes, 9 - 3 + 30);
  for (const i of nodes.keys()) {
    t.is(content[`shared${i}`], undefined);
    t.is(content[`shared${i + 3}`], `changed by ${i}`);
    t.is(content[`of${i}-9`], 9);
  }
});

test.serial("nodes may be started in any order, and written to before the others exist", async (t) => {
  t.timeout(180_000);
  const { nodes } = await createCluster(t, { count: 3, memory: true });
  const [first, second, third] = nodes as [TestNode, TestNode, TestNode];
  await third.start();
  await putAll(third, pairs("of the third", 5));
  await first.start();
  await putAll(first, pairs("of the first", 5));
  await sameData([first, third], 10);
  await second.start();
  t.is(Object.keys(await contentOf(second)).length, 10);
  await allUp(nodes);
  await sameData(nodes, 10);
  await waitFor(
    "the lines of the base protocol",
    () => nodes.every(({ lines }) => lines.some((line) => line.endsWith("All peers are up"))),
    { nodes },
  );
});
