/**
 * `npm run bench -- join`, and a part of `http`: a million keys loaded by a client in bulk, an empty node that joins them on its own disk,
 * and an empty third that joins the second, disk to disk, while the source answers reads. Beside the time: what the processes took of
 * the processors, and their longest turns (turns.ts).
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { line } from "./measure.ts";
import { build, killAll, pause, post, startNode, stop, text, type Server } from "./servers.ts";
import type { TurnFigures } from "./turns.ts";

const BULK_KEYS = 1_000_000;
const BULK_PAIRS = 5_000;
const VALUE = "x".repeat(80);
const PATIENCE_MS = 120_000;

/** Read between two looks at whether the joiner has all; a read each five milliseconds. */
const READS_PER_LOOK = 20;
const READ_EVERY_MS = 5;

const MEASURED = { path: "/ping", imports: ["./test/bench/turns.ts"] };

export async function run(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  build();
  try {
    await joins(folder);
  } finally {
    killAll();
    await rm(folder, { recursive: true, force: true });
  }
}

export async function joins(folder: string): Promise<void> {
  const first = await startNode([], ["--memory"], MEASURED);
  await load(first);
  const second = await joinOnDisk("an empty node on disk joins one in memory", first, join(folder, "second"));
  await stop(first);
  const third = await joinOnDisk("an empty node on disk joins one on disk", second, join(folder, "third"));
  await stop(second, third);
}

async function load(node: Server): Promise<void> {
  const startedMs = performance.now();
  let next = 0;
  const client = async () => {
    while (next < BULK_KEYS) {
      const from = next;
      next += BULK_PAIRS;
      const pairs = Array.from({ length: BULK_PAIRS }, (_, i) => `{"key":"key${from + i}","value":"${VALUE}"}`);
      await post(`${node.url}/store`, `[${pairs.join(",")}]`);
    }
  };
  await Promise.all([client(), client()]);
  const rate = (BULK_KEYS / (performance.now() - startedMs)) * 1000;
  line(
    `load of ${BULK_KEYS.toLocaleString("en")} keys in bulk, in memory`,
    `${Math.round(rate).toLocaleString("en")} keys/s`,
    "aim: 50,000",
  );
}

async function joinOnDisk(what: string, source: Server, folder: string): Promise<Server> {
  const hash = await text(`${source.url}/store/hash`);
  const startedMs = performance.now();
  source.child.send("begin");
  const joiner = await startNode([Number(new URL(source.url).port)], [`--data=${folder}`], MEASURED);
  joiner.child.send("begin");
  const latencies: number[] = [];
  while ((await text(`${joiner.url}/store/hash`)) !== hash) {
    for (let i = 0; i < READS_PER_LOOK; i++) {
      const askedMs = performance.now();
      await text(`${source.url}/store/key?key=key${(i * 7919) % BULK_KEYS}`);
      latencies.push(performance.now() - askedMs);
      await pause(READ_EVERY_MS);
    }
    if (performance.now() - startedMs > PATIENCE_MS) throw new Error("the empty node has not caught up in two minutes");
  }
  const seconds = (performance.now() - startedMs) / 1000;
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  line(what, `${seconds.toFixed(1)} s`, `aim: under 12; p99 of GET at the source ${p99.toFixed(0)} ms, aim: under 50`);
  for (const [side, { child }] of [
    ["the source", source],
    ["the joiner", joiner],
  ] as const) {
    report(side, await figuresOf(child));
  }
  return joiner;
}

/** The program says things of its own to its parent as well: where it listens. */
async function figuresOf(child: ChildProcess): Promise<TurnFigures> {
  child.send("end");
  for (;;) {
    const [said] = (await once(child, "message")) as [object];
    if ("ownMaxMs" in said) return said as TurnFigures;
  }
}

function report(side: string, { ownP99Ms, ownMaxMs, over20, gcMaxMs, cpuMs }: TurnFigures): void {
  const cpu = `${((cpuMs * 1000) / BULK_KEYS).toFixed(1)} µs of processor an entry`;
  const turns = `turns: p99 ${ownP99Ms.toFixed(0)} ms, longest ${ownMaxMs.toFixed(0)} ms, over 20: ${over20}, the collector's longest ${gcMaxMs.toFixed(0)} ms`;
  line(`  ${side}`, "", `${cpu}; ${turns}`);
}
