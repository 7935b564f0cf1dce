/**
 * `npm run bench -- http`: requests a second and latencies over real sockets, 50 connections, each figure beside bare hono in the same
 * run; then a bulk load of a million keys, and an empty node that joins them while the source answers reads.
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { joins } from "./join.ts";
import { chooseGenerator, FIRST, type Figures, type Generator } from "./load.ts";
import { line, median } from "./measure.ts";
import { build, keep, killAll, post, start, startNode, status, stop, takePort, text, until, type Server } from "./servers.ts";

const ROUNDS = 5;
const KEYS = 10_000;
const VALUE = "x".repeat(80);

export async function run(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  build();
  try {
    const generator = chooseGenerator(folder);
    console.log(`load: ${generator.name}`);
    await reads(generator);
    await durableWrites(folder, generator);
    await joins(folder);
    await others(folder, generator);
  } finally {
    killAll();
    await rm(folder, { recursive: true, force: true });
  }
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
  const ports = [takePort(), takePort(), takePort()];
  const cluster = await Promise.all(
    ports.map((port, i) =>
      startNode(
        ports.filter((other) => other !== port),
        [`--data=${join(folder, `n${i}`)}`],
        { port },
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

/** Where they are installed: Debian's etcd-server and redis-server. */
async function others(folder: string, generator: Generator): Promise<void> {
  await etcd(folder, generator);
  redis(folder);
}

async function etcd(folder: string, { load }: Generator): Promise<void> {
  if (spawnSync("etcd", ["--version"]).status !== 0) return line("etcd, JSON put", "not installed", "apt-get install etcd-server");
  const url = `http://127.0.0.1:${takePort()}`;
  const peer = `http://127.0.0.1:${takePort()}`;
  const clients = ["--listen-client-urls", url, "--advertise-client-urls", url];
  const peers = ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`];
  const child = spawn("etcd", ["--data-dir", join(folder, "etcd"), ...clients, ...peers], { stdio: "ignore" });
  keep(child);
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
  const port = takePort();
  const child = spawn("redis-server", ["--port", String(port), "--dir", folder, "--appendonly", "yes", "--appendfsync", "always"], {
    stdio: "ignore",
  });
  keep(child);
  const result = spawnSync("sh", ["-c", `sleep 1; redis-benchmark -p ${port} -c 50 -n 50000 -d 80 -t set,get --csv`], { encoding: "utf8" });
  for (const row of result.stdout.split("\n").filter((each) => /^"(SET|GET)"/.test(each))) {
    const [name, rate] = row.replaceAll('"', "").split(",");
    line(`redis ${name} (appendfsync always)`, `${Math.round(Number(rate)).toLocaleString("en")} /s`, "its own protocol, its own client");
  }
  child.kill();
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
