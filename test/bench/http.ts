/**
 * `npm run bench -- http`: requests a second and latencies over real sockets, 50 connections, each figure beside bare hono in the same
 * run; then a bulk load of a million keys, and an empty node that joins them while the source answers reads.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, get as httpGet, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chooseGenerator, FIRST, type Figures, type Generator } from "./load.ts";
import { line, median } from "./measure.ts";

const ROUNDS = 5;
const KEYS = 10_000;
const BULK_KEYS = 1_000_000;
const BULK_PAIRS = 5_000;
const VALUE = "x".repeat(80);
const FIRST_PORT = 18_100;

interface Server {
  readonly url: string;
  readonly child: ChildProcess;
}

const running = new Set<ChildProcess>();
let nextPort = FIRST_PORT;

export async function run(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  build();
  try {
    const generator = chooseGenerator(folder);
    console.log(`load: ${generator.name}`);
    await reads(generator);
    await durableWrites(folder, generator);
    await bulkAndJoin();
    await others(folder, generator);
  } finally {
    for (const child of running) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is measured is what is published. */
function build(): void {
  const built = spawnSync("npm", ["run", "--silent", "build"], { stdio: "inherit", shell: process.platform === "win32" });
  if (built.status !== 0) throw new Error("npm run build failed");
}

async function reads({ load }: Generator): Promise<void> {
  const bare = await start(["test/bench/http-server.ts", "map"]);
  const ours = await startNode([], ["--memory"]);
  for (const { url } of [bare, ours])
    for (let i = 0; i < KEYS; i++) if (i % 100 === 0) await post(`${url}/store`, JSON.stringify({ key: `key${FIRST + i}`, value: VALUE }));
  const measure = ({ url }: Server) => load(url, { method: "GET", path: "/store/key?key=key%d", stride: 100, of: KEYS });
  report(
    "GET",
    "bare hono over a Map",
    "one node",
    await pairs(
      () => measure(bare),
      () => measure(ours),
    ),
  );
  await stop(bare, ours);
}

async function durableWrites(folder: string, { load }: Generator): Promise<void> {
  const bare = await start(["test/bench/http-server.ts", "lmdb"], [join(folder, "bare")]);
  const body = JSON.stringify({ key: "key%d", value: VALUE });
  const measure = ({ url }: Server) => load(url, { method: "POST", path: "/store", body, stride: 7919, of: 1_000_003 });
  const alone = await startNode([], [`--data=${join(folder, "alone")}`]);
  report(
    "durable POST",
    "bare hono + lmdb",
    "one node",
    await pairs(
      () => measure(bare),
      () => measure(alone),
    ),
  );
  await stop(alone);
  const ports = [nextPort++, nextPort++, nextPort++];
  const cluster = await Promise.all(
    ports.map((port, i) =>
      startNode(
        ports.filter((other) => other !== port),
        [`--data=${join(folder, `n${i}`)}`],
        port,
      ),
    ),
  );
  await until(async () => (await status(cluster[0]!.url)).peers.every((peer) => peer.status === "alive"), "three nodes to see each other");
  report(
    "durable POST",
    "bare hono + lmdb",
    "with two live peers",
    await pairs(
      () => measure(bare),
      () => measure(cluster[0]!),
    ),
  );
  await stop(bare, ...cluster);
}

async function bulkAndJoin(): Promise<void> {
  const source = await startNode([], ["--memory"]);
  const startedMs = performance.now();
  let next = 0;
  const client = async () => {
    while (next < BULK_KEYS) {
      const from = next;
      next += BULK_PAIRS;
      const pairsText = Array.from({ length: BULK_PAIRS }, (_, i) => `{"key":"key${from + i}","value":"${VALUE}"}`);
      await post(`${source.url}/store`, `[${pairsText.join(",")}]`);
    }
  };
  await Promise.all([client(), client()]);
  const seconds = (performance.now() - startedMs) / 1000;
  line(
    `load of ${BULK_KEYS.toLocaleString("en")} keys in bulk, in memory`,
    `${Math.round(BULK_KEYS / seconds).toLocaleString("en")} keys/s`,
    "aim: 50,000",
  );

  const hash = await text(`${source.url}/store/hash`);
  const joinedMs = performance.now();
  const joiner = await startNode([Number(new URL(source.url).port)], ["--memory"]);
  const latencies: number[] = [];
  while ((await text(`${joiner.url}/store/hash`)) !== hash) {
    for (let i = 0; i < 20; i++) {
      const askedMs = performance.now();
      await text(`${source.url}/store/key?key=key${(i * 7919) % BULK_KEYS}`);
      latencies.push(performance.now() - askedMs);
      await pause(5);
    }
    if (performance.now() - joinedMs > 120_000) throw new Error("the empty node has not caught up in two minutes");
  }
  latencies.sort((a, b) => a - b);
  const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? 0;
  line(
    "an empty node joins them",
    `${((performance.now() - joinedMs) / 1000).toFixed(1)} s`,
    `aim: under 12; p99 of GET at the source ${p99.toFixed(0)} ms, aim: under 50`,
  );
  await stop(source, joiner);
}

/** Where they are installed: Debian's etcd-server and redis-server. */
async function others(folder: string, generator: Generator): Promise<void> {
  await etcd(folder, generator);
  redis(folder);
}

async function etcd(folder: string, { load }: Generator): Promise<void> {
  if (spawnSync("etcd", ["--version"]).status !== 0) return line("etcd, JSON put", "not installed", "apt-get install etcd-server");
  const url = `http://127.0.0.1:${nextPort++}`;
  const peer = `http://127.0.0.1:${nextPort++}`;
  const clients = ["--listen-client-urls", url, "--advertise-client-urls", url];
  const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`];
  const child = spawn("etcd", ["--data-dir", join(folder, "etcd"), ...clients, ...peers], { stdio: "ignore" });
  running.add(child);
  await until(async () => (await text(`${url}/health`).catch(() => "")).includes("true"), "etcd to be healthy");
  const base64 = (of: string) => Buffer.from(of).toString("base64");
  const value = base64(VALUE);
  // Seven digits make it twelve characters, which is base64 as it stands.
  const body = JSON.stringify({ key: "a2V5x%d", value });
  const { rate, p50, p99 } = await load(url, { method: "POST", path: "/v3/kv/put", body, stride: 7919, of: 1_000_003 });
  line("etcd, JSON put, one node", `${Math.round(rate).toLocaleString("en")} /s`, `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
  await stop({ url, child });
}

function redis(folder: string): void {
  if (spawnSync("redis-server", ["--version"]).status !== 0)
    return line("redis (appendfsync always)", "not installed", "apt-get install redis-server");
  const port = nextPort++;
  const child = spawn("redis-server", ["--port", String(port), "--dir", folder, "--appendonly", "yes", "--appendfsync", "always"], {
    stdio: "ignore",
  });
  running.add(child);
  const result = spawnSync("sh", ["-c", `sleep 1; redis-benchmark -p ${port} -c 50 -n 50000 -d 80 -t set,get --csv`], { encoding: "utf8" });
  for (const row of result.stdout.split("\n").filter((each) => /^"(SET|GET)"/.test(each))) {
    const [name, rate] = row.replaceAll('"', "").split(",");
    line(`redis ${name} (appendfsync always)`, `${Math.round(Number(rate)).toLocaleString("en")} /s`, "its own protocol, its own client");
  }
  child.kill();
  running.delete(child);
}

async function pairs(bare: () => Promise<Figures>, ours: () => Promise<Figures>): Promise<readonly (readonly [Figures, Figures])[]> {
  const rounds: (readonly [Figures, Figures])[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push([await bare(), await ours()]);
  return rounds;
}

function report(what: string, bareName: string, ourName: string, rounds: readonly (readonly [Figures, Figures])[]): void {
  const rate = (side: 0 | 1) => median(rounds.map((round) => round[side].rate));
  const of = (pick: (figures: Figures) => number) => median(rounds.map((round) => pick(round[1]))).toFixed(1);
  const ratios = rounds.map(([bare, node]) => node.rate / bare.rate);
  const compared = `${median(ratios).toFixed(2)} of it (${ratios.map((ratio) => ratio.toFixed(2)).join(" ")})`;
  line(`${what}, ${bareName}`, `${Math.round(rate(0)).toLocaleString("en")} /s`);
  line(
    `${what}, ${ourName}`,
    `${Math.round(rate(1)).toLocaleString("en")} /s`,
    `${compared}; p50 ${of((f) => f.p50)} ms, p99 ${of((f) => f.p99)} ms`,
  );
}

function startNode(peerPorts: readonly number[], flags: readonly string[], port = nextPort++): Promise<Server> {
  const peers = peerPorts.map((peer) => `http://localhost:${peer}`).join(",");
  return start(["dist/cmd/main.js", "serve", `--port=${port}`, `--peers=${peers}`, "--pingfreq=1", "--timeout=15", ...flags], [], port);
}

async function start(script: readonly string[], more: readonly string[] = [], port = nextPort++): Promise<Server> {
  const last = script[0] === "dist/cmd/main.js" ? [] : [String(port), ...more];
  const child = spawn(process.execPath, ["--import=tsx", ...script, ...last], { stdio: ["ignore", "ignore", "inherit"] });
  running.add(child);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await text(`${url}/store/key?key=none`).catch(() => undefined)) !== undefined, `${script.join(" ")} to listen`);
  return { url, child };
}

async function stop(...servers: readonly Server[]): Promise<void> {
  for (const { child } of servers) {
    running.delete(child);
    child.kill("SIGTERM");
    await once(child, "exit");
  }
}

async function status(url: string): Promise<{ readonly peers: readonly { readonly status: string }[] }> {
  return JSON.parse(await text(`${url}/status`)) as { peers: { status: string }[] };
}

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if (await condition()) return;
    await pause(100);
  }
  throw new Error(`waited 15 s for ${what}`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const agent = new Agent({ keepAlive: true });

async function text(url: string): Promise<string> {
  const asked = httpGet(url, { agent });
  const [answer] = (await once(asked, "response")) as [AsyncIterable<Buffer>];
  return read(answer);
}

async function post(url: string, body: string): Promise<string> {
  const asked = request(url, { method: "POST", agent, headers: { "content-type": "application/json" } });
  asked.end(body);
  const [answer] = (await once(asked, "response")) as [AsyncIterable<Buffer> & { readonly statusCode?: number }];
  const said = await read(answer);
  if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${said}`);
  return said;
}

async function read(answer: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part);
  return Buffer.concat(parts).toString("utf8");
}
