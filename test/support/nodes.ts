/** Nodes in this process, on free ports, with memory storage, a log that is kept, and time that is driven by hand. */
import { createServer, type AddressInfo } from "node:net";
import type { ExecutionContext } from "ava";
import type { Log } from "../../lib/core/ports.ts";
import { startNode, type RunningNode, type ServeOptions } from "../../lib/serve.ts";

export interface TestNode extends RunningNode {
  readonly lines: string[];
}

/** Pings at each tick, and repairs without waiting for chance. */
const TUNING = { pingEveryMs: 1, jitterMs: 0 };

export async function startTestNode(t: ExecutionContext, options: Partial<ServeOptions> = {}): Promise<TestNode> {
  const lines: string[] = [];
  const log: Log = { write: (level, line) => void (level === "debug" || lines.push(line)) };
  const createTicker = () => ({ stop: () => undefined });
  const node = await startNode({ port: 0, peers: [], log, createTicker, tuning: TUNING, timeoutMs: 2_000, ...options });
  t.teardown(() => node.stop());
  return { ...node, lines };
}

/** Only for what does not come about at all: on a machine that is busy otherwise everything takes many times as long. */
const WAIT_MS = 60_000;

/** Ticks the nodes until the condition holds. */
export async function until(
  t: ExecutionContext,
  what: string,
  condition: () => unknown,
  nodes: readonly RunningNode[] = [],
): Promise<void> {
  for (const endMs = performance.now() + WAIT_MS; !(await condition()); await pause(20)) {
    if (performance.now() > endMs) return t.fail(`in ${WAIT_MS / 1_000} s it did not come true: ${what}`);
    for (const node of nodes) node.tick();
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Ports that were free a moment ago. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** As many nodes, each with all the others for peers. */
export async function startCluster(t: ExecutionContext, count: number, options: Partial<ServeOptions> = {}): Promise<TestNode[]> {
  const ports = await freePorts(count);
  const peers = ports.map((port) => `http://localhost:${port}`);
  return Promise.all(ports.map((port) => startTestNode(t, { ...options, port, peers })));
}
