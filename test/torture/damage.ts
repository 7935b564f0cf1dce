/**
 * Damaged data files: each seed spoils a copy of the same folder in its own way and starts a node on it, first alone and then beside a
 * peer that holds the same. The node may refuse to start and say what to do, or it starts: then no key ever shows a wrong value or
 * seems not to be there, and the peer makes the node whole and keeps all that it has. A broken tree may kill the process; started again
 * a few times, the node must come to one of these ends: no crash loop.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startNode, type RunningNode } from "../../lib/serve.ts";
import { LineChild } from "./child.ts";
import type { DamageReport, DamageTask } from "./damage-child.ts";
import { contentsOf, fill } from "./damage-data.ts";
import { damageFile } from "./damage-plan.ts";
import { progressOf } from "./progress.ts";

type DamageChild = LineChild<DamageTask, DamageReport>;

const CHILD = fileURLToPath(new URL("./damage-child.ts", import.meta.url));
const LOG = { write: () => undefined };
/** Starts after crashes, as a supervisor makes them. */
const STARTS_MAX = 5;

export interface DamageFigures {
  kept: boolean;
  /** Nothing that matters was hit. */
  whole: number;
  /** Values were set apart and came back. */
  healed: number;
  refused: number;
  /** The process was killed by what it read, and a later start refused or healed it. */
  crashes: number;
  readonly broken: string[];
}

export async function run(from: number, count: number, say: (line: string) => void): Promise<DamageFigures> {
  const home = await mkdtemp(join(tmpdir(), "concord-damage-"));
  const figures: DamageFigures = { kept: true, whole: 0, healed: 0, refused: 0, crashes: 0, broken: [] };
  let peer: RunningNode | undefined;
  // What lmdb says of a broken list of free pages is nobody's business here.
  const child: DamageChild = new LineChild(CHILD, "ignore");
  try {
    peer = await startPeer(join(home, "original"));
    const expected = [...contentsOf(peer.kv)];
    const hash = peer.kv.hash();
    const original = await readFile(join(home, "original", "data.mdb"));
    const progress = progressOf(count, say);
    for (let seed = from; seed < from + count; seed++) {
      const folder = join(home, `seed-${seed}`);
      const { kind, file } = damageFile(seed, original);
      await cp(join(home, "original"), folder, { recursive: true });
      await writeFile(join(folder, "data.mdb"), file);
      const problem = await judge(child, { folder, peer: peer.address, expected }, figures);
      const changed = peer.kv.hash() === hash ? undefined : "the peer holds something else now";
      if ((problem ?? changed) !== undefined) figures.broken.push(`seed ${seed}, ${kind}: ${problem ?? changed}`);
      if ((problem ?? changed) !== undefined) say(figures.broken.at(-1)!);
      await rm(folder, { recursive: true, force: true });
      progress(seed - from + 1);
      if (changed !== undefined) break;
    }
  } finally {
    child.end();
    await peer?.stop();
    await rm(home, { recursive: true, force: true });
  }
  figures.kept = figures.broken.length === 0;
  const { whole, healed, refused, crashes, broken } = figures;
  say(
    `${count} damaged files from seed ${from}: ${whole} whole, ${healed} healed from the peer, ${refused} refused with the way out; ` +
      `${crashes} crashes, none of them twice in a row for ever; ${broken.length} broken promises`,
  );
  return figures;
}

/** Two nodes hold the same; one is stopped, and its folder is what is damaged. */
async function startPeer(folder: string): Promise<RunningNode> {
  const common = { port: 0, log: LOG, pingEveryMs: 50, timeoutMs: 2_000, tuning: { jitterMs: 0 } };
  const peer = await startNode({ ...common, name: "b", peers: [] });
  const node = await startNode({ ...common, name: "a", folder, peers: [peer.address] });
  await fill(node.kv);
  for (let looks = 0; peer.kv.hash() !== node.kv.hash(); looks++) {
    if (looks > 500) throw new Error("the two nodes do not come to hold the same");
    node.tick();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await node.stop();
  return peer;
}

/** Returns the broken promise. */
async function judge(child: DamageChild, task: DamageTask, figures: DamageFigures): Promise<string | undefined> {
  for (let start = 1; start <= STARTS_MAX; start++) {
    const report = await child.ask(task);
    if (report === undefined) {
      figures.crashes++;
      continue;
    }
    const { refused, apart, wrong, stopped } = report;
    if (wrong.length > 0) return `${wrong.length} wrong answers, such as ${wrong[0]}`;
    if (stopped !== undefined) return `the node stopped: ${stopped}`;
    if (refused !== undefined && !/^damaged: [^]*move it away and start again/.test(refused))
      return `refused without a way out: ${refused}`;
    if (refused !== undefined) figures.refused++;
    else if (apart > 0) figures.healed++;
    else figures.whole++;
    return undefined;
  }
  return `it crashed at ${STARTS_MAX} starts in a row`;
}
