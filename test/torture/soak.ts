/**
 * A long run: three nodes, clients that overwrite and delete, a fault every half minute, and after each round all its keys deleted, so that the store
 * is empty again. What one node takes meanwhile (the one that is never killed) is to stay level: memory, descriptors, the data file.
 */
import { sleep } from "../cluster/support.ts";
import { ask, startClients } from "./clients.ts";
import { agreedContents, startTortureCluster, withTeardown, type TortureCluster } from "./cluster.ts";
import { faultOf } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { lastOf, sampleOf, slopeOf, type Sample } from "./slopes.ts";

export interface SoakOptions {
  readonly from: number;
  readonly rounds: number;
  readonly faultsOfRound: number;
  readonly faultEveryMs: number;
  readonly say: (line: string) => void;
}

export interface SoakFigures {
  kept: boolean;
  rounds: number;
  faults: number;
  acknowledged: number;
  readonly samples: Sample[];
  readonly broken: string[];
}

const SAMPLE_EVERY_MS = 1_000;
const MIB = 1024 * 1024;
/** Connections come and go; so many more at the end than there ever were is a leak. */
const DESCRIPTORS_MAX = 200;
/** A round's data is some hundred kilobytes, and an emptied store reuses its pages. */
const FILE_BYTES_MAX = 64 * MIB;
/** What Node.js takes for a small server under load, several times. */
const MEMORY_BYTES_MAX = 512 * MIB;

/** `count` is minutes. */
export function run(from: number, count: number, say: (line: string) => void): Promise<SoakFigures> {
  return runSoak({ from, rounds: count, faultsOfRound: 2, faultEveryMs: 30_000, say });
}

export async function runSoak(options: SoakOptions): Promise<SoakFigures> {
  const { from, rounds, say } = options;
  const figures: SoakFigures = { kept: true, rounds: 0, faults: 0, acknowledged: 0, samples: [], broken: [] };
  await withTeardown(async (t) => {
    const cluster = await startTortureCluster(t);
    const [watched] = cluster.nodes;
    const sampling = setInterval(() => {
      void sampleOf(watched!.pid, watched!.options.folder!).then((sample) => sample !== undefined && figures.samples.push(sample));
    }, SAMPLE_EVERY_MS);
    t.teardown(() => clearInterval(sampling));
    for (let round = from; round < from + rounds && figures.broken.length === 0; round++) {
      await playRound(cluster, options, round, figures);
      for (const line of figures.broken) say(line);
    }
  });
  const { samples, faults, acknowledged, broken } = figures;
  const limits = { descriptors: DESCRIPTORS_MAX, fileBytes: FILE_BYTES_MAX, memoryBytes: MEMORY_BYTES_MAX } as const;
  for (const [measure, most] of Object.entries(limits) as [keyof typeof limits, number][]) {
    if (lastOf(samples, measure) > most) broken.push(`${measure} reached ${lastOf(samples, measure)}, ${most} at most`);
  }
  figures.kept = broken.length === 0;
  const mebibytes = (bytes: number): string => (bytes / MIB).toFixed(1);
  say(
    `${figures.rounds} rounds from seed ${from}, ${faults} faults, ${acknowledged} acknowledged writes, ${samples.length} samples of one node: memory ` +
      `${mebibytes(lastOf(samples, "memoryBytes"))} MiB (${mebibytes(slopeOf(samples, "memoryBytes"))} MiB an hour), ` +
      `file ${mebibytes(lastOf(samples, "fileBytes"))} MiB (${mebibytes(slopeOf(samples, "fileBytes"))} MiB an hour), ` +
      `descriptors ${lastOf(samples, "descriptors")} (${slopeOf(samples, "descriptors").toFixed(1)} an hour); ${broken.length} broken promises`,
  );
  return figures;
}

async function playRound(
  cluster: TortureCluster,
  { faultsOfRound, faultEveryMs }: SoakOptions,
  round: number,
  figures: SoakFigures,
): Promise<void> {
  const ledger = new Ledger();
  const clients = startClients({ urls: cluster.urls, ledger, seed: `soak ${round}`, prefix: `soak${round}/`, deletes: 0.4 });
  try {
    for (let i = 0; i < faultsOfRound; i++) {
      const fault = faultOf("soak", round * faultsOfRound + i, ["kill", "network", "pause"], [1, 2]);
      await Promise.all([fault.carryOut(cluster), sleep(faultEveryMs)]);
      figures.faults++;
    }
  } finally {
    await clients.stop();
  }
  const keys = ledger.keys();
  ledger.settle(await agreedContents(cluster, keys));
  await deleteAll(cluster, keys);
  const emptied = await agreedContents(cluster, keys);
  const left = [...emptied].filter(([, values]) => values.length > 0).map(([key]) => key);
  if (left.length > 0) figures.broken.push(`round ${round}: ${left.length} keys are there after they were deleted, such as ${left[0]}`);
  figures.broken.push(...new Set(ledger.broken));
  figures.acknowledged += ledger.counts().acknowledged;
  figures.rounds++;
}

async function deleteAll({ urls }: TortureCluster, keys: readonly string[]): Promise<void> {
  for (const [i, key] of keys.entries()) {
    const url = `${urls[i % urls.length]}/v1/kv/${encodeURIComponent(key)}`;
    for (let tries = 0; ; tries++) {
      const answer = await ask(url, "DELETE", {});
      if (answer?.status === 200 || answer?.status === 404) break;
      if (tries > 10) throw new Error(`${key} cannot be deleted: ${answer?.text ?? "no answer"}`);
    }
  }
}
