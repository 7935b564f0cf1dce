/** Nodes as processes of their own, for a bench. Whatever was started is ended by its own process id. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

export interface BenchNode {
  readonly url: string;
  readonly child: ChildProcess;
}

const FIRST_PORT = 18_200;
const running = new Set<ChildProcess>();
let nextPort = FIRST_PORT;

/** A node alone. Resolves when it serves. */
export async function startNode(flags: readonly string[]): Promise<BenchNode> {
  const port = nextPort++;
  const argv = ["--import=tsx", "cmd/main.ts", "serve", `--port=${port}`, "--peers=", ...flags];
  const child = keep(spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "inherit"] }));
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; !(await isReady(url)); tries++) {
    if (tries > 300) throw new Error("waited 30 s for a node");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { url, child };
}

/** It is ended at the latest when the bench is. */
export function keep(child: ChildProcess): ChildProcess {
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

export async function stop({ child }: BenchNode): Promise<void> {
  child.kill("SIGTERM");
  await once(child, "exit");
}

export function stopAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

async function isReady(url: string): Promise<boolean> {
  const answer = await fetch(`${url}/readyz`).catch(() => undefined);
  return answer?.ok === true;
}
