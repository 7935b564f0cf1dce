/** Three real nodes for the suites, each behind a faulty proxy that is its address, and what may be done to them. */
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { freePorts, sleep, temporaryFolder, TestNode, waitFor, type Teardown } from "../cluster/support.ts";
import { readKey, type Shown } from "./clients.ts";
import { openFaultyProxy, type FaultyProxy } from "./faulty-proxy.ts";

export interface TortureCluster {
  readonly nodes: readonly TestNode[];
  readonly proxies: readonly FaultyProxy[];
  /** Where clients reach the nodes: not through the proxies, whose faults are between the nodes. */
  readonly urls: readonly string[];
}

/** A cluster that has been left alone agrees within a few pings; many at once on a busy machine take longer. */
const AGREE_WITHIN_MS = 60_000;

const READ_TRIES = 10;

export async function startTortureCluster(t: Teardown, wrap: (node: number) => readonly string[] = () => []): Promise<TortureCluster> {
  const ports = await freePorts(3);
  const home = await temporaryFolder(t);
  const proxies = await Promise.all(ports.map((port) => openFaultyProxy(t, port)));
  const nodes = ports.map((port, i) => {
    const peers = proxies.filter((_, other) => other !== i).map(({ url }) => url);
    return new TestNode(t, port, { name: `node${i}`, folder: join(home, `node${i}`), peers, address: proxies[i]!.url });
  });
  await Promise.all(nodes.map((node, i) => node.start({ wrap: wrap(i) })));
  return { nodes, proxies, urls: nodes.map(({ url }) => url.replace("localhost", "127.0.0.1")) };
}

/** Runs `body` with something to tear down, and tears it down whatever happens. */
export async function withTeardown<T>(body: (t: Teardown) => Promise<T>): Promise<T> {
  const ends: (() => unknown)[] = [];
  try {
    return await body({ teardown: (end: () => unknown) => void ends.push(end) });
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** Resolves when all nodes have one hash and show the same of each of these keys. */
export async function agreedContents({ nodes, urls }: TortureCluster, keys: readonly string[]): Promise<Map<string, readonly string[]>> {
  let last = "";
  const agreed = waitFor(
    "all nodes to agree",
    async () => {
      const hashes = await Promise.all(nodes.map((node) => node.client.hash().catch((error: unknown) => void (last = String(error)))));
      if (hashes.every((hash) => hash !== undefined)) last = `their hashes are ${hashes.join(", ")}`;
      if (hashes[0] === undefined || hashes.some((hash) => hash !== hashes[0])) return undefined;
      await sleep(100);
      const [first, ...others] = await Promise.all(urls.map((url) => contentsAt(url, keys)));
      if (first !== undefined && others.every((other) => isDeepStrictEqual(other, first))) return first;
      const differing = keys.find((key) => others.some((other) => !isDeepStrictEqual(other?.get(key), first?.get(key))));
      last = `their hashes are equal, but of ${differing} they show ${[first, ...others].map((contents) => contents?.get(differing ?? "")?.join(" and ")).join("; ")}`;
      return undefined;
    },
    { nodes, withinMs: AGREE_WITHIN_MS },
  );
  return agreed.catch((error: unknown) => Promise.reject(new Error(`${last}; ${(error as Error).message}`)));
}

/** Undefined when the node does not answer for long. */
export async function contentsAt(url: string, keys: readonly string[]): Promise<Map<string, readonly string[]> | undefined> {
  const contents = new Map<string, readonly string[]>();
  for (let from = 0; from < keys.length; from += 16) {
    const some = keys.slice(from, from + 16);
    const shown = await Promise.all(some.map((key) => readPatiently(url, key)));
    for (const [i, key] of some.entries()) {
      const values = shown[i]?.values;
      if (values === undefined) return undefined;
      contents.set(key, [...values].sort());
    }
  }
  return contents;
}

/** Kept connections break when a node is killed, and one that has just started lets clients wait for its first round. */
async function readPatiently(url: string, key: string): Promise<Shown | undefined> {
  for (let tries = 0; tries < READ_TRIES; tries++) {
    const shown = await readKey(url, key);
    if (shown !== undefined) return shown;
    await sleep(100);
  }
  return undefined;
}
