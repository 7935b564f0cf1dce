/**
 * The end of a node: on request with everything put away and exit code 0, and at once, with a clear last line, when its disk has failed.
 */
import { request } from "node:http";
import test from "ava";
import { contentOf, freePorts, putAll, pairs, sleep, startedCluster, temporaryFolder, TestNode, waitFor } from "./support.ts";

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test.serial(`${signal}: what was acknowledged is there afterwards, new writes are refused, exit code 0`, async (t) => {
    t.timeout(180_000);
    const [port = 0] = await freePorts(1);
    const node = await new TestNode(t, port, { folder: await temporaryFolder(t) }).start();
    const acknowledged = new Set<string>();
    const refusals: unknown[] = [];
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let i = 0; refusals.length < 4; i++) {
        const key = `${writer}-${i}`;
        try {
          await node.client.put(key, i);
          acknowledged.add(key);
        } catch (error) {
          refusals.push(error);
          return;
        }
      }
    });
    await waitFor("some writes", () => acknowledged.size > 50, { nodes: [node] });
    const exit = await node.end(signal);
    await Promise.all(writers);
    t.deepEqual(exit, { code: 0, signal: null }, node.lines.join("\n"));
    await node.start();
    const content = await contentOf(node);
    t.deepEqual(
      [...acknowledged].filter((key) => !(key in content)),
      [],
    );
  });
}

test.serial("what is under way is finished before the node stops; what comes to its end later is refused with 503", async (t) => {
  t.timeout(180_000);
  const { nodes } = await startedCluster(t, { count: 2, memory: true, pingfreq: 10, timeout: 10 });
  const [node, peer] = nodes as [TestNode, TestNode];
  // A peer that is halted for a while: the write waits for its copy.
  process.kill(peer.pid, "SIGSTOP");
  const waiting = fetch(`${node.url}/store?w=2`, { method: "POST", body: '{"key":"waits","value":1}' });
  const late = request(`${node.url}/store`, { method: "POST", headers: { "Content-Length": 24 } });
  const lateAnswer = new Promise<number | undefined>((resolve, reject) => {
    late.on("error", reject).on("response", (response) => {
      response.resume();
      resolve(response.statusCode);
    });
  });
  late.write('{"key":"late",');
  await sleep(300);
  const ending = node.end("SIGTERM");
  await sleep(300);
  late.end('"value":1}');
  process.kill(peer.pid, "SIGCONT");
  const answer = await waiting;
  t.is(answer.status, 200);
  t.is(((await answer.json()) as { copies: number }).copies, 2);
  t.is(await lateAnswer, 503);
  t.deepEqual(await ending, { code: 0, signal: null }, node.lines.join("\n"));
  t.is(await peer.client.get("waits"), 1);
  t.is(await peer.client.get("late"), undefined);
});

test.serial("whoever asks a second time, a while after the first, does not wait", async (t) => {
  t.timeout(180_000);
  const { nodes } = await startedCluster(t, { count: 2, memory: true, pingfreq: 10, timeout: 10 });
  const [node, peer] = nodes as [TestNode, TestNode];
  process.kill(peer.pid, "SIGSTOP");
  const waiting = fetch(`${node.url}/store?w=2`, { method: "POST", body: '{"key":"waits","value":1}' }).catch(() => undefined);
  await sleep(300);
  const startMs = performance.now();
  const ending = node.end("SIGINT");
  process.kill(node.pid, "SIGINT");
  await sleep(1_000);
  process.kill(node.pid, "SIGINT");
  t.deepEqual(await ending, { code: 130, signal: null });
  t.true(performance.now() - startMs > 900, "two signals at once are one");
  t.is(node.lines.at(-1), "concord serve: stopped at once; what was acknowledged is safe");
  await waiting;
});

test.serial("a client that has stopped reading, or never ends its request, does not hold up the end", async (t) => {
  t.timeout(180_000);
  const [port = 0] = await freePorts(1);
  const node = await new TestNode(t, port, {}).start();
  await putAll(
    node,
    pairs("k", 500, () => "x".repeat(5_000)),
  );
  const listing = request(`${node.url}/store`, (response) => response.pause());
  const half = request(`${node.url}/store`, { method: "POST", headers: { "Content-Length": 1_000 } });
  for (const client of [listing, half]) client.on("error", () => undefined);
  listing.end();
  half.write('{"key":');
  await sleep(200);
  const startMs = performance.now();
  t.deepEqual(await node.end("SIGTERM"), { code: 0, signal: null });
  t.true(performance.now() - startMs < 9_000, `took ${performance.now() - startMs} ms`);
});

test.serial(
  "a disk that takes no more: writes are refused, what was acknowledged stays, the last line says why, exit code 4",
  async (t) => {
    t.timeout(180_000);
    const [port = 0] = await freePorts(1);
    const node = new TestNode(t, port, { folder: await temporaryFolder(t) });
    // A limit on the size of files stands for a full disk: 4 MiB.
    await node.start({ wrap: ["sh", "-c", 'ulimit -f 8192 && exec "$@"', "sh"] });
    const acknowledged: string[] = [];
    for (let i = 0; i < 1_000; i++) {
      try {
        await node.client.put(`k${i}`, "x".repeat(300_000));
        acknowledged.push(`k${i}`);
      } catch {
        break;
      }
    }
    t.true(acknowledged.length < 1_000);
    t.deepEqual(await node.exited, { code: 4, signal: null }, node.lines.join("\n"));
    // A system that writes less than it was asked to gives no reason, so both are right.
    t.regex(
      node.lines.at(-1) ?? "",
      /^concord serve: the node has stopped: the (disk that holds .* has no room|storage in .* failed) \(.*\): .* start this node again/,
    );
    await node.start();
    const content = await contentOf(node);
    t.deepEqual(
      acknowledged.filter((key) => !(key in content)),
      [],
    );
  },
);

test.serial("a folder that is in use, or somebody else's, is refused in one line with exit code 4, a port in use with 2", async (t) => {
  t.timeout(180_000);
  const [port = 0, other = 0] = await freePorts(2);
  const folder = await temporaryFolder(t);
  await new TestNode(t, port, { folder }).start();
  const sameFolder = new TestNode(t, other, { folder });
  await sameFolder.launch();
  t.deepEqual(await sameFolder.exited, { code: 4, signal: null });
  t.deepEqual(sameFolder.lines.length, 1, sameFolder.lines.join("\n"));
  t.regex(sameFolder.lines[0] ?? "", /^concord serve: .* is already open in process \d+/);

  const samePort = new TestNode(t, port, {});
  await samePort.launch();
  t.deepEqual(await samePort.exited, { code: 2, signal: null });
  t.deepEqual(samePort.lines, [
    `concord serve: port ${port} is taken already: stop the program that listens there, or choose another port`,
  ]);
});
