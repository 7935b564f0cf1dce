/** Real processes, real files: bits that flip in the values of a stopped node's data file, and what its clients are told. */
import { execFile } from "node:child_process";
import { open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { MAIN, ROOT } from "../support/launch.ts";
import { createCluster, plainEnvironment, waitFor, type TestCluster, type TestNode } from "./support.ts";

const KEYS = 60;
/** In seconds, for the peers: longer than clients wait for the first round with them, which is then the only bound. */
const PATIENCE = 10;
const HIT = [3, 17, 42];
const run = promisify(execFile);

const nameOf = (i: number): string => `key${i}`;
const valueOf = (i: number): string => `value number ${String(i).padStart(4, "0")} of this test`;

/**
 * What a client is told of a key that is waited for, whatever that is. The node asks its peer before it answers the first client, and
 * on a machine that is too busy for that it refuses.
 */
async function toldOf(node: TestNode, key: string): Promise<unknown> {
  const answered = await waitFor(
    `an answer for ${key}`,
    () =>
      node.client.get(key).then(
        (value) => ({ value }),
        (error: unknown) => {
          if (/was damaged on this node's disk and waits for a peer/.test(String(error))) return undefined;
          throw error;
        },
      ),
    { nodes: [node] },
  );
  return answered.value;
}

/** By all scrubs together: one that was half way through when the node was halted finds only those that were still before it. */
function setApartIn(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Number(/ (\d+) keys? set apart until a peer sends them/.exec(line)?.[1] ?? 0), 0);
}

/** Two nodes that hold the same; the first is stopped then, and a bit flips in some of its values. */
async function createDamaged(t: ExecutionContext): Promise<TestCluster> {
  const cluster = await createCluster(t, { count: 2, timeout: PATIENCE });
  const [node, peer] = cluster.nodes as [TestNode, TestNode];
  await Promise.all(cluster.nodes.map((each) => each.start()));
  for (let i = 0; i < KEYS; i++) await node.client.put(nameOf(i), valueOf(i));
  await waitFor("equal hashes", async () => (await node.client.hash()) === (await peer.client.hash()), { nodes: cluster.nodes });
  await node.end("SIGTERM");
  const path = join(node.options.folder ?? "", "data.mdb");
  const file = await readFile(path);
  for (const i of HIT) {
    // Old copies of a page hold it as well: all of them are hit.
    for (let at = file.indexOf(valueOf(i)); at >= 0; at = file.indexOf(valueOf(i), at + 1)) file[at + 13]! ^= 4;
  }
  await writeFile(path, file);
  return cluster;
}

test("flipped bits in stored values are found, never served, and refilled from the peer", async (t) => {
  const { nodes } = await createDamaged(t);
  const [node, peer] = nodes as [TestNode, TestNode];
  await node.start();
  for (let i = 0; i < KEYS; i++) {
    t.is(await toldOf(node, nameOf(i)), valueOf(i));
    t.is(await peer.client.get(nameOf(i)), valueOf(i));
  }
  await waitFor("equal hashes", async () => (await node.client.hash()) === (await peer.client.hash()), { nodes });
  t.regex(node.lines.join("\n"), /the disk has damaged what is stored, and it was put right: 3 records are damaged, 3 values are lost/);
  const { stdout } = await run(process.execPath, [...MAIN, "scrub", "--json", `--node=${node.url}`], {
    cwd: ROOT,
    env: plainEnvironment(),
  });
  const report = JSON.parse(stdout) as { waiting: number; last: { damaged: number; records: number } };
  t.like(report, { waiting: 0 });
  t.is(report.last.damaged, 0);
  t.true(report.last.records > 2 * KEYS);
});

test("bits that flip under a running node are found by the scheduled scrub, without a reader, and refilled", async (t) => {
  const { nodes } = await createCluster(t, { count: 2, timeout: PATIENCE });
  const [node, peer] = nodes as [TestNode, TestNode];
  await Promise.all([node.start(), peer.start()]);
  for (let i = 0; i < KEYS; i++) await node.client.put(nameOf(i), valueOf(i));
  // What was written last lies in the journal until the node ends, and is read from memory.
  await node.end("SIGTERM");
  await node.start({ extra: ["--scrub=* * * * * *"] });
  await waitFor("equal hashes", async () => (await node.client.hash()) === (await peer.client.hash()), { nodes });
  const hash = await peer.client.hash();
  const path = join(node.options.folder ?? "", "data.mdb");
  // Halted meanwhile: a page that it writes over in between would be hit as something else, and a scrub would find a part of them.
  process.kill(node.pid, "SIGSTOP");
  const content = await readFile(path);
  const file = await open(path, "r+");
  for (const i of HIT) {
    for (let at = content.indexOf(valueOf(i)); at >= 0; at = content.indexOf(valueOf(i), at + 1)) {
      await file.write(Buffer.from([content[at + 13]! ^ 4]), 0, 1, at + 13);
    }
  }
  await file.close();
  process.kill(node.pid, "SIGCONT");
  await waitFor("the scrubs to find them", () => setApartIn(node.lines) === HIT.length, { nodes });
  await waitFor("the values to be here again", async () => (await node.client.status()).scrub.waiting === 0, { nodes });
  // The status is that of what the node has decided; a read shows it when it is on the disk, some milliseconds later.
  const isHere = (i: number): Promise<boolean> => node.client.get(nameOf(i)).then((value) => value === valueOf(i), () => false); // prettier-ignore
  await waitFor("reads to show them", async () => (await Promise.all(HIT.map(isHere))).every((here) => here), { nodes });
  for (let i = 0; i < KEYS; i++) t.is(await node.client.get(nameOf(i)), valueOf(i));
  t.deepEqual([await node.client.hash(), await peer.client.hash()], [hash, hash]);
  t.false(
    node.lines.some((line) => line.includes("is damaged; everything that is stored is looked over now")),
    "nobody had to read them",
  );
  const { scrub } = await node.client.status();
  t.is(scrub.last?.reason, "scheduled");
});

test("with no peer that has them, lost keys are refused, through restarts, until they are written anew or deleted", async (t) => {
  const { nodes } = await createDamaged(t);
  const [node, peer] = nodes as [TestNode, TestNode];
  await peer.end("SIGTERM");
  await node.start();
  await node.end("SIGKILL");
  await node.start();
  const [first, second, third] = HIT.map(nameOf) as [string, string, string];
  for (let i = 0; i < KEYS; i++) {
    if (!HIT.includes(i)) t.is(await node.client.get(nameOf(i)), valueOf(i));
  }
  const answer = await fetch(`${node.url}/store/key?key=${first}`);
  t.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
  t.regex(
    await answer.text(),
    /"error":"the value of \\"key3\\" was damaged on this node's disk and waits for a peer that has it; ask another node, or write it anew"/,
  );
  const modern = await fetch(`${node.url}/v1/kv/${first}`);
  t.deepEqual([modern.status, modern.headers.get("retry-after")], [503, "1"]);
  t.like(await modern.json(), { type: "/docs#damaged" });
  t.regex(await (await fetch(`${node.url}/metrics`)).text(), /^concord_lost_keys 3$/m);
  t.like((await node.client.status()).scrub, { waiting: 3, waitingKeys: [second, first, third].sort() });
  const scrub = await run(process.execPath, [...MAIN, "scrub", `--node=${node.url}`], { cwd: ROOT, env: plainEnvironment() }).catch(
    (error: unknown) => error as { code: number; stdout: string },
  );
  t.like(scrub, { code: 1 });
  t.regex(scrub.stdout, /lost by this node's disk, waiting for a peer or a new write: 3 keys \("key17", "key3", "key42"\)/);

  await node.client.put(first, "new");
  t.is(await node.client.get(first), "new");
  t.true(await node.client.delete(second));
  t.is(await node.client.get(second), undefined);
  await peer.start();
  await waitFor("the third to come back", async () => (await node.client.get(third).catch(() => undefined)) === valueOf(42), { nodes });
  await waitFor("equal hashes", async () => (await node.client.hash()) === (await peer.client.hash()), { nodes });
  t.deepEqual([await peer.client.get(first), await peer.client.get(second)], ["new", undefined]);
  await waitFor("nothing to wait", async () => (await node.client.status()).scrub.waiting === 0, { nodes });
});
