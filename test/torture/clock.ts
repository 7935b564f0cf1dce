/**
 * Wrong clocks: three nodes, hours apart from each other, whose clocks step while they run and pass changes of summer time in zones of their own.
 * Pinging goes on, what was written is accounted for, and all nodes agree.
 */
import { join } from "node:path";
import { Prng } from "../../lib/sim/prng.ts";
import { sleep, temporaryFolder, waitFor } from "../cluster/support.ts";
import { startClients } from "./clients.ts";
import { createSetClock, type SetClock } from "./clock-wrap.ts";
import { agreedContents, startTortureCluster, withTeardown, type TortureCluster } from "./cluster.ts";
import { Ledger } from "./ledger.ts";
import { progressOf } from "./progress.ts";

export interface ClockFigures {
  kept: boolean;
  cases: number;
  acknowledged: number;
  pings: number;
  readonly broken: string[];
}

const HOUR_S = 3_600;
const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"] as const;
/** Changes of summer time in these zones, both ways. */
const CHANGES = [
  ["Europe/Berlin, forward", "2026-03-29T01:00:00Z"],
  ["Europe/Berlin, back", "2026-10-25T01:00:00Z"],
  ["America/New_York, forward", "2026-03-08T07:00:00Z"],
  ["America/New_York, back", "2026-11-01T06:00:00Z"],
  ["Australia/Lord_Howe, half an hour back", "2026-04-04T15:00:00Z"],
] as const;
const PINGS_SEEN = 3;

interface Scenario {
  readonly what: string;
  carryOut(clocks: readonly SetClock[]): Promise<void>;
}

export async function run(from: number, count: number, say: (line: string) => void): Promise<ClockFigures> {
  const figures: ClockFigures = { kept: true, cases: 0, acknowledged: 0, pings: 0, broken: [] };
  await withTeardown(async (t) => {
    const home = await temporaryFolder(t);
    const clocks = await Promise.all(ZONES.map((zone, i) => createSetClock(join(home, `clock${i}`), zone)));
    const cluster = await startTortureCluster(t, (node) => clocks[node]!.wrap);
    const progress = progressOf(count, say);
    for (let seed = from; seed < from + count && figures.broken.length === 0; seed++) {
      const scenario = scenarioOf(seed);
      const problems = await play(cluster, clocks, scenario, { seed, figures });
      progress(figures.cases);
      for (const problem of problems) {
        figures.broken.push(`seed ${seed}, ${scenario.what}: ${problem}`);
        say(figures.broken.at(-1)!);
      }
    }
  });
  figures.kept = figures.broken.length === 0;
  const { cases, acknowledged, pings, broken } = figures;
  say(
    `${cases} wrong clocks from seed ${from}: ${acknowledged} acknowledged writes, ${pings} pings seen after; ${broken.length} broken promises`,
  );
  return figures;
}

async function play(
  cluster: TortureCluster,
  clocks: readonly SetClock[],
  scenario: Scenario,
  { seed, figures }: { readonly seed: number; readonly figures: ClockFigures },
): Promise<string[]> {
  const ledger = new Ledger();
  const clients = startClients({ urls: cluster.urls, ledger, seed: `clock ${seed}`, prefix: `clock${seed}/` });
  await scenario.carryOut(clocks);
  // Apart for a while, so that only pings can find what differs.
  for (const proxy of cluster.proxies) proxy.begin({ kind: "reset" });
  await sleep(500);
  await clients.stop();
  for (const proxy of cluster.proxies) proxy.end();
  try {
    ledger.settle(await agreedContents(cluster, ledger.keys()));
    await seePings(cluster);
    figures.pings += PINGS_SEEN * cluster.proxies.length;
  } catch (error) {
    ledger.broken.push((error as Error).message);
  }
  figures.cases++;
  figures.acknowledged += ledger.counts().acknowledged;
  return [...new Set(ledger.broken)];
}

/** Nobody writes: what still arrives at a node is pings. */
async function seePings({ proxies, nodes }: TortureCluster): Promise<void> {
  for (let ping = 0; ping < PINGS_SEEN; ping++) {
    const before = proxies.map(({ bytesIn }) => bytesIn);
    await waitFor("each node to be pinged", () => proxies.every(({ bytesIn }, i) => bytesIn > before[i]!), { nodes });
  }
}

function scenarioOf(seed: number): Scenario {
  const prng = new Prng(`clock ${seed}`);
  const kind = seed % 3;
  if (kind === 1) return steppingClocks(prng);
  const change = CHANGES[kind === 2 ? 0 : prng.between(1, CHANGES.length - 1)]!;
  return passedChange(change);
}

/** An hour apart, then each set to something else. */
function steppingClocks(prng: Prng): Scenario {
  const first = [HOUR_S, 0, -HOUR_S];
  const then = first.map(() => prng.between(-HOUR_S, HOUR_S));
  return {
    what: `clocks off by ${first.join(", ")} s, then by ${then.join(", ")} s`,
    async carryOut(clocks) {
      await Promise.all(clocks.map((clock, i) => clock.set(first[i]!)));
      await sleep(3_000);
      await Promise.all(clocks.map((clock, i) => clock.set(then[i]!)));
      await sleep(3_000);
    },
  };
}

function passedChange([name, instant]: (typeof CHANGES)[number]): Scenario {
  return {
    what: `a change of summer time: ${name}`,
    async carryOut(clocks) {
      // Two seconds before it, and each node half a second later than the one before.
      const beforeMs = Date.parse(instant) - 2_000;
      await Promise.all(clocks.map((clock, i) => clock.set((beforeMs - Date.now() - i * 500) / 1000)));
      await sleep(6_000);
    },
  };
}
