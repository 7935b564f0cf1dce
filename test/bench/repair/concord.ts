/**
 * Two nodes of Concord, as `concord serve` starts them but in this process and in memory, each reached through a counting proxy.
 *
 * The network between them is cut, each finds that the other is dead, takes its changes, and the network heals. Counted is everything
 * from then on: the pings in which they find each other and see that their hashes differ, both repairs (each side pulls what it
 * lacks), and what is said until nothing more is. Two settings differ from a node's own, so that the time is that of the work and not of
 * waiting: the clock ticks every 10 ms, not every second, and a repair starts without a random delay. A node of everyday finds
 * the difference only with its next ping, within ten seconds by default.
 */
import { subscribe } from "node:diagnostics_channel";
import { startNode, type RunningNode } from "../../../lib/serve.ts";
import { startCountingProxy, type CountingProxy } from "../../support/counting-proxy.ts";
import { freePorts } from "../../support/nodes.ts";
import { parts, startWatch, until, untilQuiet, type Measured, type System } from "./system.ts";
import type { Change, Side } from "./workload.ts";

/** Longer than any of these repairs, so that only one ping each way is counted, and short to wait for. */
const PING_EVERY_MS = 2_000;

const TICK_EVERY_MS = 10;
const WRITES = 1_000;
const LIST_LIMIT = 1_000;
const silent = { write: () => undefined };

export async function createConcord(): Promise<System> {
  let requests = 0;
  subscribe("http.server.request.start", () => requests++);
  const [portA = 0, portB = 0] = await freePorts(2);
  let links = await openLinks(portA, portB);
  const [linkA, linkB] = [links[0].port, links[1].port];
  const start = (name: string, port: number, link: number, peer: number): Promise<RunningNode> =>
    startNode({
      name,
      port,
      address: `http://localhost:${link}`,
      peers: [`http://localhost:${peer}`],
      pingEveryMs: PING_EVERY_MS,
      tuning: { jitterMs: 0 },
      log: silent,
      createTicker: tickOften,
    });
  const a = await start("a", portA, linkA, linkB);
  let b: RunningNode;
  const bytes = (): number => links.reduce((sum, link) => sum + link.bytes().up + link.bytes().down, 0);
  const isEqual = (): boolean => a.kv.hash() === b.kv.hash();
  const isDone = (): boolean => isEqual() && [a, b].every((node) => node.kv.status().repairingWith === undefined);

  return {
    async load(before) {
      for (const some of parts([...before], WRITES))
        await write(
          a,
          some.map(([key, value]) => ({ key, value })),
        );
      b = await start("b", portB, linkB, linkA);
      await until(() => isDone() && [a, b].every((node) => node.kv.status().peers[0]?.inSync === true));
      await Promise.all(links.map((link) => link.close()));
      await until(() => [a, b].every((node) => node.kv.status().peers[0]?.status === "dead"));
    },
    async change(side, changes) {
      await write(side === "a" ? a : b, changes);
    },
    async reconcile(): Promise<Measured> {
      requests = 0;
      links = await openLinks(portA, portB, linkA, linkB);
      await until(() => bytes() > 0);
      const watch = startWatch();
      await until(isEqual);
      const times = watch();
      await until(isDone);
      await untilQuiet(bytes);
      return { bytes: bytes(), messages: 2 * requests, ...times };
    },
    contents: async (side: Side) => contentsOf(side === "a" ? a : b),
    async close() {
      await Promise.all(links.map((link) => link.close()));
      await Promise.all([a.stop(), b.stop()]);
    },
  };
}

/** The first leads to node a, the second to node b. */
async function openLinks(portA: number, portB: number, linkA = 0, linkB = 0): Promise<readonly [CountingProxy, CountingProxy]> {
  return [await startCountingProxy(`http://127.0.0.1:${portA}`, linkA), await startCountingProxy(`http://127.0.0.1:${portB}`, linkB)];
}

async function write(node: RunningNode, changes: readonly Change[]): Promise<void> {
  await node.kv.write(
    changes.map(({ key, value }) => ({ key, value: value === undefined ? undefined : Buffer.from(JSON.stringify(value)) })),
  );
}

function contentsOf(node: RunningNode): Map<string, string> {
  const found = new Map<string, string>();
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const { entries, cursor } = node.kv.list({ ...(after === undefined ? {} : { after }), limit: LIST_LIMIT });
    for (const { key, value } of entries) found.set(key, JSON.parse(Buffer.from(value.value).toString()) as string);
    after = cursor;
  }
  return found;
}

function tickOften(tick: () => void): { stop(): void } {
  const timer = setInterval(tick, TICK_EVERY_MS);
  return { stop: () => clearInterval(timer) };
}
