/** Nodes and other servers as processes, and requests to them, for the benches over sockets. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { Agent, get as httpGet, request } from "node:http";

const FIRST_PORT = 18_100;

export interface Server {
  readonly url: string;
  readonly child: ChildProcess;
}

const running = new Set<ChildProcess>();
let nextPort = FIRST_PORT;

export function takePort(): number {
  return nextPort++;
}

/** A process that must not outlive the bench. */
export function keep(child: ChildProcess): void {
  running.add(child);
}

export function killAll(): void {
  for (const child of running) child.kill("SIGKILL");
}

export interface StartOptions {
  readonly port?: number;
  /** What answers before clients are let in. */
  readonly path?: string;
  /** Modules that are loaded before the program. */
  readonly imports?: readonly string[];
}

export function startNode(peerPorts: readonly number[], flags: readonly string[], options: StartOptions = {}): Promise<Server> {
  const { port = takePort() } = options;
  const peers = peerPorts.map((peer) => `http://localhost:${peer}`).join(",");
  const script = ["dist/cmd/main.js", "serve", `--port=${port}`, `--peers=${peers}`, "--pingfreq=1", "--timeout=15", ...flags];
  return launch(script, { ...options, port });
}

/** A script that takes its port as the first argument. */
export function start(script: readonly string[], more: readonly string[] = []): Promise<Server> {
  const port = takePort();
  return launch([...script, String(port), ...more], { port });
}

async function launch(script: readonly string[], { port, path = "/store/key?key=none", imports = [] }: StartOptions): Promise<Server> {
  const flags = ["tsx", ...imports].map((module) => `--import=${module}`);
  const child = spawn(process.execPath, [...flags, ...script], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  keep(child);
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await text(`${url}${path}`).catch(() => undefined)) !== undefined, `${script.join(" ")} to listen`);
  return { url, child };
}

export async function stop(...servers: readonly Server[]): Promise<void> {
  for (const { child } of servers) {
    running.delete(child);
    child.kill("SIGTERM");
    await once(child, "exit");
  }
}

export async function status(url: string): Promise<{ readonly peers: readonly { readonly status: string }[] }> {
  return JSON.parse(await text(`${url}/status`)) as { peers: { status: string }[] };
}

export async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  for (let i = 0; i < 150; i++) {
    if (await condition()) return;
    await pause(100);
  }
  throw new Error(`waited 15 s for ${what}`);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** What is measured is what is published. */
export function build(): void {
  const built = spawnSync("npm", ["run", "--silent", "build"], { stdio: "inherit", shell: process.platform === "win32" });
  if (built.status !== 0) throw new Error("npm run build failed");
}

const agent = new Agent({ keepAlive: true });

export async function text(url: string): Promise<string> {
  const asked = httpGet(url, { agent });
  const [answer] = (await once(asked, "response")) as [AsyncIterable<Buffer>];
  return read(answer);
}

export async function post(url: string, body: string): Promise<string> {
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
