/**
 * Starts a node on one damaged folder after the other and says what it is like, a line of JSON each; a process of its own, because a
 * broken tree may kill whoever reads it. Each line of its input names a folder and a peer.
 */
import { createInterface } from "node:readline";
import { ConcordError } from "../../lib/core/errors.ts";
import { startNode, type RunningNode } from "../../lib/serve.ts";
import { contentsOf } from "./damage-data.ts";

export interface DamageTask {
  readonly folder: string;
  /** The URL of a node that holds the same, undamaged. */
  readonly peer: string;
  readonly expected: readonly (readonly [key: string, values: string])[];
}

export interface DamageReport {
  /** Why the node does not start; undefined when it does. */
  readonly refused: string | undefined;
  /** Keys that were refused while the node was alone. */
  readonly apart: number;
  /** What was answered wrongly. */
  readonly wrong: readonly string[];
  /** The node stopped by itself, and why. */
  readonly stopped: string | undefined;
}

const REPAIR_WITHIN_MS = 10_000;
const LOG = { write: () => undefined };

for await (const line of createInterface({ input: process.stdin })) {
  const report = await look(JSON.parse(line) as DamageTask);
  process.stdout.write(`${JSON.stringify(report)}\n`);
}
process.exit(0);

async function look({ folder, peer, expected }: DamageTask): Promise<DamageReport> {
  try {
    const alone = await start(folder, []);
    const wrong: string[] = [];
    const apart = lookAtKeys(alone, expected, wrong);
    await alone.stop();
    const node = await start(folder, [peer]);
    await lookAtRepaired(node, expected, wrong);
    const { stopped } = node.kv.status();
    await node.stop();
    return { refused: undefined, apart, wrong, stopped };
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return { refused: `${error.code}: ${error.message}`, apart: 0, wrong: [], stopped: undefined };
  }
}

function start(folder: string, peers: readonly string[]): Promise<RunningNode> {
  return startNode({ port: 0, name: "a", folder, peers, log: LOG, pingEveryMs: 50, timeoutMs: 2_000, tuning: { jitterMs: 0 } });
}

/** Each key shows what it held, or is refused. Returns how many are refused. */
function lookAtKeys({ kv }: RunningNode, expected: DamageTask["expected"], wrong: string[]): number {
  let apart = 0;
  for (const [key, values] of expected) {
    try {
      const shown = kv.siblings(key).map(({ value }) => Buffer.from(value).toString("utf8"));
      if (shown.sort().join(" | ") !== values)
        wrong.push(`alone: ${key} shows ${JSON.stringify(shown).slice(0, 80)}, not ${values.slice(0, 80)}`);
    } catch (error) {
      if (!(error instanceof ConcordError) || error.code !== "damaged") throw error;
      apart++;
    }
  }
  return apart;
}

async function lookAtRepaired(node: RunningNode, expected: DamageTask["expected"], wrong: string[]): Promise<void> {
  const wanted = new Map(expected);
  let differing: string | undefined = "not looked yet";
  for (const endMs = performance.now() + REPAIR_WITHIN_MS; performance.now() < endMs && differing !== undefined;) {
    node.tick();
    await new Promise((resolve) => setTimeout(resolve, 20));
    differing = difference(node.kv, wanted);
  }
  if (differing !== undefined) wrong.push(`with its peer: ${differing}`);
}

function difference(kv: RunningNode["kv"], wanted: ReadonlyMap<string, string>): string | undefined {
  const { stopped, scrub } = kv.status();
  if (stopped !== undefined) return `it stopped: ${stopped}`;
  if (scrub.waiting > 0) return `${scrub.waiting} keys wait`;
  try {
    for (const [key, values] of contentsOf(kv)) if (values !== wanted.get(key)) return `${key} shows ${values.slice(0, 80)}`;
  } catch (error) {
    return String(error);
  }
  return undefined;
}
