/**
 * What kills nodes and what silences them: kill -9 in the middle of writes, a peer that takes connections and never answers, a peer that
 * dies in the middle of a full push.
 */
import test from "ava";
import {
  allUp,
  contentOf,
  createCluster,
  freePorts,
  pairs,
  putAll,
  sameData,
  startedCluster,
  temporaryFolder,
  TestNode,
  waitFor,
} from "./support.ts";

test.serial("a node that is killed with kill -9 in the middle of writes has every acknowledged write when it is back", async (t) => {
  t.timeout(180_000);
  const [port = 0] = await freePorts(1);
  const node = await new TestNode(t, port, { folder: await temporaryFolder(t) }).start();
  const acknowledged = new Map<string, number>();
  for (let life = 0; life < 3; life++) {
    let writes = 0;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; ; i++) {
        const key = `${writer}-${i % 40}`;
        const value = life * 1_000_000 + i;
        // A write that was not answered may be there or not: nothing is expected of its key.
        acknowledged.delete(key);
        try {
          await node.client.put(key, value);
        } catch {
          return;
        }
        acknowledged.set(key, value);
        writes++;
      }
    });
    await waitFor("some hundred writes", () => writes > 200, { nodes: [node] });
    await node.end("SIGKILL");
    await Promise.all(writers);
    await node.start();
    const content = await contentOf(node);
    t.true(acknowledged.size > 50);
    const lost = [...acknowledged].filter(([key, value]) => content[key] !== value);
    t.deepEqual(lost, [], `life ${life}`);
  }
});

test.serial("a peer that accepts connections and never answers is down after the timeout, and hinders nobody", async (t) => {
  t.timeout(180_000);
  const { nodes, gates } = await startedCluster(t, { count: 2, memory: true, timeout: 2 });
  const [node, silent] = nodes as [TestNode, TestNode];
  gates[1]!.hang();
  const startMs = performance.now();
  let slowestMs = 0;
  const peer = await waitFor("the silent peer to be down", async () => {
    const beforeMs = performance.now();
    await node.client.put("written", beforeMs);
    slowestMs = Math.max(slowestMs, performance.now() - beforeMs);
    return (await node.client.status()).peers.find(({ status }) => status === "dead");
  });
  t.is(peer.name, "node2");
  t.true(performance.now() - startMs < 6_000, "within the ping interval, the timeout and some slack");
  t.true(slowestMs < 1_000, `the slowest write took ${slowestMs} ms`);
  t.true(
    node.lines.some((line) => line.includes(`Peer ${gates[1]!.url} is down: `)),
    node.lines.join("\n"),
  );

  gates[1]!.pass();
  await allUp(nodes);
  await sameData(nodes, 1);
  t.is(await silent.client.get("written"), await node.client.get("written"));

  // It stops in time although a peer is silent again.
  gates[1]!.hang();
  await node.client.put("last", 1);
  const stopMs = performance.now();
  t.deepEqual(await node.end("SIGTERM"), { code: 0, signal: null });
  t.true(performance.now() - stopMs < 8_000, `stopped within ${performance.now() - stopMs} ms`);
});

test.serial("a peer that dies in the middle of a full push: nothing is lost on either side, and the rest comes later", async (t) => {
  t.timeout(180_000);
  const { nodes, gates } = await createCluster(t, { count: 2 });
  const [full, empty] = nodes as [TestNode, TestNode];
  await full.start();
  const entries = pairs("k", 3_000, (i) => `${i} ${"x".repeat(1_000)}`);
  for (let i = 0; i < entries.length; i += 1_000) await putAll(full, entries.slice(i, i + 1_000));

  // The first page comes, and a part of the second, then silence.
  gates[0]!.hangAfter(1_600_000);
  await empty.start();
  await waitFor("the middle of the push", () => gates[0]!.isHanging, { nodes });
  await full.end("SIGKILL");
  const held = await waitFor("the first pages", async () => (await empty.status())?.keys || undefined, { nodes });
  t.true(held < 3_000, `${held} keys have come`);

  // The one that fills dies as well, in the middle of what it has.
  await empty.end("SIGKILL");
  gates[0]!.pass();
  await Promise.all([full.start(), empty.start()]);
  const content = await sameData(nodes, 3_000);
  t.deepEqual(
    entries.filter(({ key, value }) => content[key] !== value),
    [],
  );
  t.is((await full.client.status()).keys, 3_000, "half a store on one side deletes nothing on the other");
});
