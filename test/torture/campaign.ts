/**
 * Faults, one after the other, against three real nodes under load; after each kill the node that came back is asked for all that it has
 * acknowledged, and every few faults everything is left to heal and held against the ledger. Kinds of suites differ in their faults.
 */
import { agreedContents, contentsAt, startTortureCluster, withTeardown, type TortureCluster } from "./cluster.ts";
import { startClients, type ClientsOptions } from "./clients.ts";
import { faultOf, type FaultKind } from "./faults.ts";
import { Ledger } from "./ledger.ts";
import { progressOf } from "./progress.ts";

export interface CampaignOptions {
  /** Names the streams of chance, with the seed. */
  readonly name: string;
  readonly faults: readonly FaultKind[];
  readonly from: number;
  readonly count: number;
  readonly say: (line: string) => void;
  readonly clients?: Pick<ClientsOptions, "clients" | "deletes">;
}

export interface CampaignFigures {
  kept: boolean;
  faults: number;
  writes: number;
  acknowledged: number;
  unknown: number;
  reads: number;
  readonly broken: string[];
}

/** Short enough that a round's keys have short histories, long enough that faults meet what earlier ones have left. */
const FAULTS_OF_ROUND = 10;

export async function runCampaign(options: CampaignOptions): Promise<CampaignFigures> {
  const { name, from, count, say } = options;
  const figures: CampaignFigures = { kept: true, faults: 0, writes: 0, acknowledged: 0, unknown: 0, reads: 0, broken: [] };
  await withTeardown(async (t) => {
    const cluster = await startTortureCluster(t);
    const progress = progressOf(count, say);
    for (let first = from; first < from + count && figures.kept; first += FAULTS_OF_ROUND) {
      const end = Math.min(first + FAULTS_OF_ROUND, from + count);
      await playRound(cluster, options, figures, { first, end });
      progress(figures.faults);
    }
  });
  const { faults, writes, acknowledged, unknown, reads, broken } = figures;
  say(
    `${faults} faults (${name}, from seed ${from}) on three nodes: ${writes} writes, ${acknowledged} of them acknowledged and ` +
      `${unknown} without an answer, ${reads} reads; ${broken.length} broken promises`,
  );
  return figures;
}

/** One round: clients, faults, quiet, and the sum. */
async function playRound(
  cluster: TortureCluster,
  { name, faults, say, clients: how }: CampaignOptions,
  figures: CampaignFigures,
  { first, end }: { readonly first: number; readonly end: number },
): Promise<void> {
  const ledger = new Ledger();
  const clients = startClients({ urls: cluster.urls, ledger, seed: `${name} ${first}`, prefix: `${name}${first}/`, ...how });
  const played: string[] = [];
  try {
    for (let seed = first; seed < end && ledger.broken.length === 0; seed++) {
      const fault = faultOf(name, seed, faults);
      played.push(`seed ${seed}: ${fault.what}`);
      const killed = await fault.carryOut(cluster);
      if (killed !== undefined) await readAll(cluster, ledger, killed);
      figures.faults++;
    }
  } finally {
    await clients.stop();
  }
  if (ledger.broken.length === 0) {
    for (const proxy of cluster.proxies) proxy.end();
    ledger.settle(await agreedContents(cluster, ledger.keys()));
  }
  const { writes, acknowledged, unknown, reads } = ledger.counts();
  figures.writes += writes;
  figures.acknowledged += acknowledged;
  figures.unknown += unknown;
  figures.reads += reads;
  if (ledger.broken.length === 0) return;
  figures.kept = false;
  const unique = [...new Set(ledger.broken)];
  figures.broken.push(...unique);
  for (const line of [...played, ...unique.slice(0, 20), `again: npm run torture -- ${name} ${end - first} ${first}`]) say(line);
}

/** A node that is back shows all that it has acknowledged in its earlier lives. */
async function readAll({ urls }: TortureCluster, ledger: Ledger, node: number): Promise<void> {
  const begun = ledger.now();
  const keys = ledger.keys();
  const contents = await contentsAt(urls[node]!, keys);
  if (contents === undefined) throw new Error(`node ${node} does not answer after its restart`);
  for (const [key, values] of contents) ledger.read(node, key, values, begun);
}
