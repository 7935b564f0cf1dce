/**
 * `npm run bench -- overload`: what a node does under five times what it can. First its peak (durable writes on 50 connections that never
 * wait), then five times as many writes a second as it then stored, from as many connections as that takes, and the peak once more.
 * Goodput is what is stored in a second. A ping goes out every fifty milliseconds, from a process that does nothing else, on a connection
 * of its own; those without an answer when the load ends are waited for, since they are the slow ones.
 */
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { keep, startNode, stop, stopAll } from "./nodes.ts";
import { line } from "./measure.ts";
import type { LoadOrder, LoadResult } from "./overload-load.ts";

const TIMES = 5;
const SECONDS = 5;
const PEAK_SOCKETS = 50;
/** More clients than a node serves at once (900). */
const CROWD_SOCKETS = 1_500;
const PING_EVERY_MS = 50;

export async function run(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "concord-bench-"));
  try {
    const node = await startNode([`--data=${join(folder, "node")}`]);
    const port = Number(new URL(node.url).port);
    const peak = (): Promise<LoadResult> => load({ port, rate: null, socketsMax: PEAK_SOCKETS, seconds: SECONDS });
    // The first seconds go to the compiler.
    await peak();
    const before = await peak();
    const capacity = before.stored / before.seconds;
    const pings = startPings(node.url);
    const crowd = await load({ port, rate: TIMES * capacity, socketsMax: CROWD_SOCKETS, seconds: SECONDS });
    const latencies = await pings.stop();
    const after = await peak();
    report("peak before", before, capacity);
    report(`${TIMES} times as much`, crowd, capacity);
    report("peak after", after, capacity);
    const share = (100 * crowd.stored) / crowd.seconds / ((before.stored / before.seconds + after.stored / after.seconds) / 2);
    line("goodput under overload, of the peak around it", `${share.toFixed(0)} %`, "aim: 80 % or more");
    const [median, last] = [latencies[Math.floor(latencies.length / 2)], latencies[latencies.length - 1]];
    line("ping meanwhile", `${last?.toFixed(0)} ms at most`, `median ${median?.toFixed(0)} ms of ${latencies.length}; aim: under 1,000 ms`);
    await stop(node);
  } finally {
    stopAll();
    await rm(folder, { recursive: true, force: true });
  }
}

function report(what: string, { due, sent, stored, refused, other, cut, seconds }: LoadResult, capacity: number): void {
  const rate = `${Math.round(stored / seconds).toLocaleString("en")} /s`;
  const offered = due === 0 ? "" : `offered ${(due / seconds / capacity).toFixed(1)} ×, `;
  line(`stored, ${what}`, rate, `${offered}sent ${sent}, 503 ${refused}, other answers ${other}, cut ${cut}`);
}

function load(order: LoadOrder): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL("overload-load.ts", import.meta.url), [JSON.stringify(order)], { execArgv: ["--import=tsx"] });
    keep(child);
    child.once("error", reject);
    child.once("message", (result) => resolve(result as LoadResult));
  });
}

function startPings(url: string): { stop(): Promise<number[]> } {
  const pings: Promise<number>[] = [];
  const ping = (): void => {
    const startedMs = performance.now();
    const answered = new Promise<number>((resolve) => {
      const request = get(`${url}/ping`, { agent: false }, (answer) => {
        answer.resume();
        answer.on("end", () => resolve(answer.statusCode === 200 ? performance.now() - startedMs : Infinity));
      });
      request.on("error", () => resolve(Infinity));
    });
    pings.push(answered);
  };
  const timer = setInterval(ping, PING_EVERY_MS);
  return {
    async stop() {
      clearInterval(timer);
      return (await Promise.all(pings)).sort((a, b) => a - b);
    },
  };
}
