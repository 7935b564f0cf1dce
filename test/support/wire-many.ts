/** Several real nodes, each behind a counting proxy, of which some come back at once: how often is each entry sent? */
import { join } from "node:path";
import { allUp, freePorts, putAll, sameHash, temporaryFolder, TestNode, type Teardown } from "../cluster/support.ts";
import { openReadingProxy, sumOf, type ReadingProxy } from "./reading-proxy.ts";

export interface ManyOptions {
  readonly nodes: number;
  /** How many of them go, and come back at once. */
  readonly away: number;
  readonly keys: number;
  /** Keys that are written meanwhile, spread over the nodes that stay. */
  readonly changed: number;
}

export interface Streamed {
  /** Entries that crossed the wire, and those that had to: every change once to each node that was away. */
  readonly entries: number;
  readonly needed: number;
  readonly allBytes: number;
}

export async function healTogether(t: Teardown, { nodes: count, away, keys, changed }: ManyOptions): Promise<Streamed> {
  const ports = await freePorts(count);
  const proxies: ReadingProxy[] = [];
  for (const port of ports) proxies.push(await openReadingProxy(port));
  for (const proxy of proxies) t.teardown(() => proxy.close());
  const home = await temporaryFolder(t);
  const nodes = ports.map((port, i) => {
    const peers = proxies.filter((_, other) => other !== i).map(({ url }) => url);
    return new TestNode(t, port, {
      name: `n${i + 1}`,
      folder: join(home, `n${i + 1}`),
      peers,
      address: proxies[i]!.url,
      pingfreq: 2,
      timeout: 4,
    });
  });
  await Promise.all(nodes.map((node) => node.start()));
  await allUp(nodes);
  await putAll(nodes[0]!, pairs(keys, 0));
  await sameHash(nodes);

  const [gone, kept] = [nodes.slice(0, away), nodes.slice(away)];
  await Promise.all(gone.map((node) => node.end("SIGTERM")));
  const share = Math.ceil(changed / kept.length);
  for (const [i, node] of kept.entries()) await putAll(node, pairs(Math.min(share, changed - i * share), i * share, "changed"));
  await sameHash(kept);
  for (const proxy of proxies) proxy.reset();
  await Promise.all(gone.map((node) => node.launch()));
  await sameHash(nodes);
  const crossings = proxies.flatMap((proxy) => proxy.crossings);
  const { entries } = sumOf(crossings, ["repair-answer", "push"]);
  return { entries, needed: away * changed, allBytes: proxies.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function pairs(count: number, from: number, value = "first"): { key: string; value: string }[] {
  return Array.from({ length: Math.max(0, count) }, (_, i) => ({ key: `key-${from + i}`, value: `${value} ${from + i}` }));
}
