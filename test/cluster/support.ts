/**
 * Real nodes for tests: processes of the real command, on free ports, each with a folder of its own, reached through a gate that can be
 * shut. Whatever a test starts is ended, by its process id, when the test ends.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ExecutionContext } from "ava";
import { createClient, type Client, type NodeStatus } from "../../lib/client.ts";
import { MAIN, ROOT } from "../support/launch.ts";
import { openGate, type Gate } from "./gate.ts";

const LINES_KEPT = 200;
/** Only for what does not come about at all. On a machine that is busy otherwise a node may need half a minute to start. */
const WAIT_MS = 60_000;

export interface NodeOptions {
  readonly name?: string;
  readonly port?: number;
  /** Undefined keeps the data in memory. */
  readonly folder?: string | undefined;
  readonly peers?: readonly string[];
  readonly address?: string;
  readonly pingfreq?: number;
  readonly timeout?: number;
}

/** What ends with whoever asked for it: a test, or a run outside of the tests. */
export type Teardown = Pick<ExecutionContext, "teardown">;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One node through its lives: it may be ended and started as often as a test wants. */
export class TestNode {
  readonly port: number;
  readonly options: NodeOptions;
  readonly client: Client;
  /** What it wrote in all its lives, the last of it. */
  readonly lines: string[] = [];
  #child: ChildProcess | undefined;
  #exited: Promise<Exit> = Promise.resolve({ code: null, signal: null });

  constructor(t: Teardown, port: number, options: NodeOptions) {
    this.port = port;
    this.options = options;
    this.client = createClient({ node: this.url });
    t.teardown(async () => {
      this.client.close();
      await this.end("SIGKILL");
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get exited(): Promise<Exit> {
    return this.#exited;
  }

  /** Resolves when it answers. `wrap` puts another program before node, such as one that sets limits. */
  async start({ extra = [], wrap = [] }: { readonly extra?: readonly string[]; readonly wrap?: readonly string[] } = {}): Promise<this> {
    await this.launch({ extra, wrap });
    await waitFor(`${this.name} to answer`, () => this.client.status().catch(() => undefined), { nodes: [this] });
    return this;
  }

  /** Without waiting for an answer. */
  async launch({ extra = [], wrap = [] }: { readonly extra?: readonly string[]; readonly wrap?: readonly string[] } = {}): Promise<void> {
    const [command = "", ...argv] = [...wrap, process.execPath, ...MAIN, "serve", ...this.#flags(), ...extra];
    const child = spawn(command, argv, { cwd: ROOT, env: plainEnvironment(), stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) keepLines(stream, this.lines);
    this.#exited = new Promise((resolve) => child.once("close", (code, signal) => resolve({ code, signal })));
  }

  /** Resolves when the process is gone. */
  async end(signal: NodeJS.Signals): Promise<Exit> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) child.kill(signal);
    const exit = await this.#exited;
    this.#child = undefined;
    return exit;
  }

  async status(): Promise<NodeStatus | undefined> {
    return this.client.status().catch(() => undefined);
  }

  get name(): string {
    return this.options.name ?? `node at ${this.port}`;
  }

  #flags(): string[] {
    const { name, folder, peers = [], address, pingfreq = 1, timeout = 2 } = this.options;
    const flags = [`--port=${this.port}`, `--peers=${peers.join(",")}`, `--pingfreq=${pingfreq}`, `--timeout=${timeout}`];
    if (name !== undefined) flags.push(`--id=${name}`);
    if (address !== undefined) flags.push(`--address=${address}`);
    flags.push(folder === undefined ? "--memory" : `--data=${folder}`);
    return flags;
  }
}

/** Nodes that reach each other through gates: each node is known to the others under the address of its gate. */
export interface TestCluster {
  readonly nodes: readonly TestNode[];
  readonly gates: readonly Gate[];
  /** Shuts all gates, or opens them. */
  cut(): void;
  heal(): void;
}

export interface ClusterOptions {
  readonly count: number;
  readonly memory?: boolean;
  readonly pingfreq?: number;
  readonly timeout?: number;
}

/** Not started yet. */
export async function createCluster(
  t: ExecutionContext,
  { count, memory = false, pingfreq, timeout }: ClusterOptions,
): Promise<TestCluster> {
  const ports = await freePorts(count);
  const gates = await Promise.all(ports.map((port) => openGate(t, port)));
  const home = memory ? undefined : await temporaryFolder(t);
  const nodes = ports.map((port, i) => {
    const name = `node${i + 1}`;
    const peers = gates.filter((_, other) => other !== i).map((gate) => gate.url);
    const folder = home === undefined ? undefined : join(home, name);
    return new TestNode(t, port, {
      name,
      folder,
      peers,
      address: gates[i]?.url ?? "",
      ...(pingfreq && { pingfreq }),
      ...(timeout && { timeout }),
    });
  });
  return {
    nodes,
    gates,
    cut: () => gates.forEach((gate) => gate.refuse()),
    heal: () => gates.forEach((gate) => gate.pass()),
  };
}

export async function startedCluster(t: ExecutionContext, options: ClusterOptions): Promise<TestCluster> {
  const cluster = await createCluster(t, options);
  await Promise.all(cluster.nodes.map((node) => node.start()));
  await allUp(cluster.nodes);
  return cluster;
}

export async function allUp(nodes: readonly TestNode[]): Promise<void> {
  await waitFor(
    "all nodes to see each other",
    async () => (await statuses(nodes)).every((status) => status?.peers.every((peer) => peer.status === "alive") === true),
    { nodes },
  );
}

export async function allDown(nodes: readonly TestNode[]): Promise<void> {
  await waitFor(
    "all nodes to be alone",
    async () => (await statuses(nodes)).every((status) => status?.peers.every((peer) => peer.status === "dead") === true),
    { nodes },
  );
}

/** Resolves with the content of all, when each has so many keys, one hash, and the same entries. */
export async function sameData(nodes: readonly TestNode[], keys: number): Promise<Record<string, unknown>> {
  return waitFor(
    `all nodes to hold the same ${keys} keys`,
    async () => {
      const answers = await statuses(nodes);
      if (!answers.every((status) => status?.keys === keys && status.hash === answers[0]?.hash)) return undefined;
      // The hash is that of what a node has decided; a read shows it when it is on the disk, some milliseconds later.
      const [first = {}, ...others] = await Promise.all(nodes.map(contentOf));
      return others.every((other) => isDeepStrictEqual(other, first)) && Object.keys(first).length === keys ? first : undefined;
    },
    { nodes },
  );
}

/** Resolves when all answer with the same hash. */
export async function sameHash(nodes: readonly TestNode[], withinMs = 60_000): Promise<void> {
  const hashes = () => Promise.all(nodes.map((node) => node.client.hash().catch(() => undefined)));
  const agree = async (): Promise<boolean> => {
    const [first, ...others] = await hashes();
    return first !== undefined && others.every((hash) => hash === first);
  };
  await waitFor("all to hold the same", agree, { nodes, withinMs });
}

function statuses(nodes: readonly TestNode[]): Promise<(NodeStatus | undefined)[]> {
  return Promise.all(nodes.map((node) => node.status()));
}

/** The store as an object without a prototype. */
export async function contentOf(node: TestNode): Promise<Record<string, unknown>> {
  const content = Object.create(null) as Record<string, unknown>;
  for await (const { key, text } of node.client.entries()) content[key] = JSON.parse(text);
  return content;
}

/** Keys and values, the number within: `prefix1` … */
export function pairs(prefix: string, count: number, value: (i: number) => unknown = (i) => i): { key: string; value: unknown }[] {
  return Array.from({ length: count }, (_, i) => ({ key: `${prefix}${i}`, value: value(i) }));
}

export async function putAll(node: TestNode, entries: readonly { readonly key: string; readonly value: unknown }[]): Promise<void> {
  const response = await fetch(`${node.url}/store`, { method: "POST", body: JSON.stringify(entries) });
  if (response.status !== 200) throw new Error(`${node.name} refused: ${await response.text()}`);
}

/** Asks again and again until the answer is neither false nor undefined. */
export async function waitFor<T>(
  what: string,
  ask: () => Promise<T> | T,
  { nodes = [], withinMs = WAIT_MS }: { readonly nodes?: readonly TestNode[]; readonly withinMs?: number } = {},
): Promise<Exclude<T, false | undefined>> {
  const deadlineMs = performance.now() + withinMs;
  while (true) {
    const answer = await ask();
    if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>;
    if (performance.now() > deadlineMs) {
      const lines = nodes.flatMap((node) => ["", `${node.name} (port ${node.port}):`, ...node.lines.slice(-30)]);
      throw new Error([`waited ${withinMs} ms for ${what}`, ...lines].join("\n"));
    }
    await sleep(40);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function temporaryFolder(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "concord-test-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Below the range from which the system takes ports for outgoing connections: one of those may not take the place of a node that is down. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count && tries < 1_000; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

/** Settings of the shell that runs the tests are not for the nodes. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(CONCORD_|FORCE_COLOR$|NODE_OPTIONS$)/.test(name)));
}

export function keepLines(stream: NodeJS.ReadableStream | null, lines: string[]): void {
  let rest = "";
  stream?.setEncoding("utf8");
  stream?.on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
    if (lines.length > LINES_KEPT) lines.splice(0, lines.length - LINES_KEPT);
  });
}
