/**
 * Where a lesson runs: a folder that looks like a fresh clone, so that commands work as they are written and data/ is its own; and in it
 * the terminals, each a process group, of which none outlives the lesson.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { LOADER_URL } from "../support/launch.ts";
import { PORTS } from "./compare.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Four digits, so that columns are as wide as in the lessons; and below those that systems give to outgoing connections. */
const [PORT_MIN, PORT_MAX] = [3_000, 9_990];
const COMMAND_MS_MAX = 40_000;
const STOP_MS_MAX = 10_000;

export interface Terminal {
  /** All lines so far. */
  readonly lines: readonly string[];
  /** As Ctrl-C does: to everything that runs in the terminal. */
  interrupt(): Promise<void>;
}

export interface Clone {
  readonly firstPort: number;
  /** Resolves with the lines that a command prints, when it has ended. The variables that it sets are there for the next one. */
  run(command: string): Promise<string[]>;
  open(command: string): Terminal;
  write(file: string, text: string): void;
  read(file: string): string;
  remove(): Promise<void>;
}

/** `compiles`: everything runs by the real tsx, even in `npm test`. */
export async function makeClone({ compiles }: { readonly compiles: boolean }): Promise<Clone> {
  if (spawnSync("curl", ["--version"]).status !== 0)
    throw new Error("the lessons talk to the nodes with curl, which is not on this machine: install it");
  const folder = mkdtempSync(join(tmpdir(), "concord-lesson-"));
  const names = readdirSync(root).filter((name) => !/^(\.git|data|dist|.*\.log)$/.test(name));
  for (const name of names) symlinkSync(join(root, name), join(folder, name));
  if (!compiles && process.env.TEST_BUILT !== undefined) takeCompiled(folder);
  // curl draws its progress meter into pipes, not into terminals.
  writeFileSync(join(folder, ".curlrc"), "no-progress-meter\n");
  const firstPort = await findPorts();
  const env = environment(folder, firstPort);
  const terminals: Terminal[] = [];
  return {
    firstPort,
    run: (command) => runCommand(`[ -f .variables ] && . ./.variables\nset -a\n${command}\nexport -p > .variables`, folder, env),
    open(command) {
      // npm start takes its ports from here, and hands them on to its nodes.
      const own = command.startsWith("npm start") ? { ...env, CONCORD_PORT: String(firstPort) } : env;
      const terminal = openTerminal(spawnShell(command, folder, own));
      terminals.push(terminal);
      return terminal;
    },
    write: (file, text) => writeFileSync(join(folder, file), text),
    read: (file) => readFileSync(join(folder, file), "utf8"),
    async remove() {
      await Promise.all(terminals.map((terminal) => terminal.interrupt()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/**
 * In `npm test` tsx is in this clone what the other tests run with: all of it is compiled by then. Two hundred processes that compile it again
 * for themselves took more processor time than any other test.
 */
function takeCompiled(folder: string): void {
  const modules = join(folder, "node_modules");
  rmSync(modules);
  mkdirSync(join(modules, "tsx"), { recursive: true });
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "tsx") symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  writeFileSync(join(modules, "tsx/package.json"), JSON.stringify({ name: "tsx", type: "module", exports: "./loader.js" }));
  writeFileSync(join(modules, "tsx/loader.js"), `import ${JSON.stringify(LOADER_URL)};\n`);
}

function environment(folder: string, firstPort: number): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(CONCORD_|FORCE_COLOR$|NODE_OPTIONS$)/.test(name));
  return {
    ...Object.fromEntries(inherited),
    NO_COLOR: "1",
    CURL_HOME: folder,
    no_proxy: "localhost,127.0.0.1",
    CONCORD_NODE: `http://127.0.0.1:${firstPort}`,
  };
}

function spawnShell(command: string, folder: string, env: NodeJS.ProcessEnv): ChildProcess {
  return spawn("sh", ["-c", command], { cwd: folder, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
}

async function runCommand(command: string, folder: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const child = spawnShell(command, folder, env);
  const text = collect(child);
  const ended = new Promise<boolean>((resolve) => child.once("close", () => resolve(true)));
  const inTime = await Promise.race([ended, pause(COMMAND_MS_MAX)]);
  if (inTime === true) return linesOf(text());
  signalGroup(child, "SIGKILL");
  throw new Error(`after ${COMMAND_MS_MAX / 1000} s this has not ended: ${command}\n${text()}`);
}

function openTerminal(child: ChildProcess): Terminal {
  const text = collect(child);
  const ended = new Promise<boolean>((resolve) => child.once("close", () => resolve(true)));
  return {
    get lines() {
      return linesOf(text());
    },
    async interrupt() {
      signalGroup(child, "SIGINT");
      if ((await Promise.race([ended, pause(STOP_MS_MAX)])) === true) return;
      signalGroup(child, "SIGKILL");
      await ended;
    },
  };
}

function collect({ stdout, stderr }: ChildProcess): () => string {
  let text = "";
  for (const stream of [stdout, stderr]) stream?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return () => text;
}

function linesOf(text: string): string[] {
  const lines = stripVTControlCharacters(text).split("\n");
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines;
}

/** A group whose leader has ended and been waited for may be anybody's by now. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  process.kill(-child.pid, signal);
}

async function findPorts(): Promise<number> {
  for (;;) {
    const first = PORT_MIN + Math.floor(Math.random() * (PORT_MAX - PORT_MIN));
    const free = await Promise.all(Array.from({ length: PORTS }, (_, i) => isFree(first + i)));
    if (free.every((one) => one)) return first;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
