/** What a seed does to a cluster: one fault, from its beginning to its end. */
import { Prng } from "../../lib/sim/prng.ts";
import { sleep } from "../cluster/support.ts";
import type { TortureCluster } from "./cluster.ts";
import type { NetworkFault } from "./faulty-proxy.ts";

export type FaultKind = "kill" | "pause" | "network";

export interface Fault {
  readonly what: string;
  /** Resolves when it is over, and a node that was killed answers again. Resolves with the node that was killed. */
  carryOut(cluster: TortureCluster): Promise<number | undefined>;
}

/** `killable`: the nodes that may be killed; all of them may be halted and cut off. */
export function faultOf(name: string, seed: number, kinds: readonly FaultKind[], killable: readonly number[] = [0, 1, 2]): Fault {
  const prng = new Prng(`${name} ${seed}`);
  const node = prng.below(3);
  switch (prng.pick(kinds)) {
    case "kill":
      return killing(prng.pick(killable), prng);
    case "pause":
      return pausing(node, prng);
    case "network":
      return cutting(node, prng);
  }
}

function killing(node: number, prng: Prng): Fault {
  const afterMs = prng.between(20, 500);
  const awayMs = prng.chance(0.5) ? 0 : prng.between(1, 1_500);
  return {
    what: `kill -9 of node ${node} after ${afterMs} ms, for ${awayMs} ms`,
    async carryOut({ nodes }) {
      await sleep(afterMs);
      await nodes[node]!.end("SIGKILL");
      await sleep(awayMs);
      await nodes[node]!.start();
      return node;
    },
  };
}

function pausing(node: number, prng: Prng): Fault {
  const forMs = prng.between(100, 4_000);
  return {
    what: `SIGSTOP of node ${node} for ${forMs} ms`,
    async carryOut({ nodes }) {
      process.kill(nodes[node]!.pid, "SIGSTOP");
      await sleep(forMs);
      process.kill(nodes[node]!.pid, "SIGCONT");
      await sleep(200);
      return undefined;
    },
  };
}

/** One node, or all links at once. */
function cutting(node: number, prng: Prng): Fault {
  const fault = networkFault(prng);
  const everywhere = prng.chance(0.3);
  const forMs = prng.between(100, 4_000);
  return {
    what: `${JSON.stringify(fault)} before ${everywhere ? "all nodes" : `node ${node}`} for ${forMs} ms`,
    async carryOut({ proxies }) {
      const hit = proxies.filter((_, i) => everywhere || i === node);
      for (const proxy of hit) proxy.begin(fault);
      await sleep(forMs);
      for (const proxy of hit) proxy.end();
      await sleep(200);
      return undefined;
    },
  };
}

function networkFault(prng: Prng): NetworkFault {
  switch (prng.below(7)) {
    case 0:
      return { kind: "silent" };
    case 1:
      return { kind: "deaf callers" };
    case 2:
      return { kind: "deaf node" };
    case 3:
      return { kind: "delay", delayMs: prng.between(5, 1_500) };
    case 4:
      return { kind: "trickle", bytesPerTurn: prng.between(1, 200) };
    case 5:
      return { kind: "reset midway", bytes: prng.between(50, 20_000) };
    default:
      return { kind: "reset" };
  }
}
