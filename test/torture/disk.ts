/**
 * Bad disks: calls that write fail with EIO, ENOSPC and the like (strace makes them), synchronising takes long, a small disk is really full.
 *
 * A node whose disk fails stops: exit code 4 and a last line that says what to do. Whatever it has acknowledged it shows when it is started again on
 * a good disk. While a disk is slow, pings and reads are answered.
 */
import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts, sleep, temporaryFolder, TestNode, waitFor, type Teardown } from "../cluster/support.ts";
import { ask } from "./clients.ts";
import { LineChild } from "./child.ts";
import { withTeardown } from "./cluster.ts";
import { diskFault, type DiskFault } from "./disk-faults.ts";
import type { ImageReport, ImageTask } from "./power-child.ts";
import { progressOf } from "./progress.ts";
import { needTool } from "./tools.ts";

export interface DiskFigures {
  kept: boolean;
  cases: number;
  /** Stopped while it ran, or did not start: with the right code and line. */
  stopped: number;
  refused: number;
  /** The call did not come so often. */
  notReached: number;
  slow: number;
  acknowledged: number;
  readonly broken: string[];
}

const CHECKER = fileURLToPath(new URL("./power-child.ts", import.meta.url));
const WRITES = 60;
const VALUE_CHARS = 3_000;
/** More than a record of the journal may hold: every so many writes the tree is written too. */
const LARGE_CHARS = 300_000;
const LARGE_EVERY = 5;
const LAST_LINE =
  /^concord serve: (the node has stopped: )?(the (disk that holds .* has no room|storage in .* failed) \(.*\): .* start this node again|the data in .* is damaged)/;

export async function run(from: number, count: number, say: (line: string) => void): Promise<DiskFigures> {
  needTool("strace");
  const figures: DiskFigures = { kept: true, cases: 0, stopped: 0, refused: 0, notReached: 0, slow: 0, acknowledged: 0, broken: [] };
  const checker = new LineChild<ImageTask, ImageReport>(CHECKER);
  const judge = async (what: string, body: (t: Teardown) => Promise<string | undefined>): Promise<void> => {
    const problem = await withTeardown((each) => body(each));
    figures.cases++;
    if (problem === undefined) return;
    figures.broken.push(`${what}: ${problem}`);
    say(`${what}: ${problem}`);
  };
  await withTeardown(async (t) => {
    t.teardown(() => checker.end());
    const progress = progressOf(count, say);
    const desk: Desk = { figures, checker, filled: await fillFolder(t) };
    for (let seed = from; seed < from + count; seed++) {
      const fault = diskFault(seed);
      await judge(`seed ${seed}, ${fault.what}`, (each) => (fault.isSlow ? playSlow(each, fault, desk) : playFailing(each, fault, desk)));
      progress(seed - from + 1);
    }
    await judge("a disk that is really full", (each) => playFull(each, desk, say));
  });
  figures.kept = figures.broken.length === 0;
  const { cases, stopped, refused, notReached, slow, acknowledged, broken } = figures;
  say(
    `${cases} bad disks from seed ${from}: ${stopped} stopped the node, ${refused} kept it from starting, ${slow} were slow, ${notReached} were not ` +
      `met; ${acknowledged} acknowledged writes looked for; ${broken.length} broken promises`,
  );
  return figures;
}

/** What the cases share. */
interface Desk {
  readonly figures: DiskFigures;
  /** Looks into folders afterwards. */
  readonly checker: LineChild<ImageTask, ImageReport>;
  /** A folder with one key, to be copied. */
  readonly filled: string;
}

async function playFailing(t: Teardown, fault: DiskFault, desk: Desk): Promise<string | undefined> {
  const { node, trace } = await prepare(t, fault.isFresh ? undefined : desk.filled);
  await node.launch({ wrap: fault.wrap(node.options.folder!, trace) });
  const acknowledged = await writeUntilItStops(node);
  const isThere = (await node.status()) !== undefined;
  if (isThere && !(await readFile(trace, "utf8")).includes("(INJECTED)")) {
    desk.figures.notReached++;
    await node.end("SIGKILL");
    return await lookFor(node, acknowledged, desk);
  }
  return (await judgeEnd(node, acknowledged, desk.figures)) ?? (await lookFor(node, acknowledged, desk));
}

/** The node has to be gone by itself, soon. */
async function judgeEnd(node: TestNode, acknowledged: readonly string[], figures: DiskFigures): Promise<string | undefined> {
  const exit = await Promise.race([node.exited, sleep(STOP_WITHIN_MS)]);
  if (exit === undefined) return `the node goes on; its last line: ${node.lines.at(-1) ?? "none"}`;
  if (exit.code !== 4) return `exit code ${exit.code}, ${exit.signal}: ${node.lines.slice(-5).join(" / ")}`;
  if (!LAST_LINE.test(node.lines.at(-1) ?? "")) return `its last line says not what to do: ${node.lines.at(-1)}`;
  if (acknowledged.length > 0 || node.lines.some((line) => line.includes("listens on"))) figures.stopped++;
  else figures.refused++;
  return undefined;
}

async function playSlow(t: Teardown, fault: DiskFault, desk: Desk): Promise<string | undefined> {
  const { node, trace } = await prepare(t, desk.filled);
  await node.start({ wrap: fault.wrap(node.options.folder!, trace) });
  let answered = 0;
  const acknowledged: string[] = [];
  for (let i = 0; i < 5; i++) {
    let isWritten = false;
    const writing = write(node, `slow${i}`).then((fine) => {
      isWritten = true;
      if (fine) acknowledged.push(`slow${i}`);
    });
    while (!isWritten) {
      const ping = await ask(`${node.url}/ping`, "GET", {}, undefined, PATIENCE_MS);
      const read = await ask(`${node.url}/store/key?key=before`, "GET", {}, undefined, PATIENCE_MS);
      if (ping?.status !== 200 || read?.status !== 200) return "a ping or a read was not answered";
      if (!isWritten) answered++;
    }
    await writing;
  }
  desk.figures.slow++;
  if (acknowledged.length < 5) return `only ${acknowledged.length} of 5 writes were acknowledged`;
  if (answered < 5) return `only ${answered} pings and reads were answered while 5 writes waited for the disk`;
  await node.end("SIGKILL");
  return lookFor(node, acknowledged, desk);
}

/** A file system of 3 MiB; who may not mount one has a limit on the size of files instead. */
async function playFull(t: Teardown, desk: Desk, say: (line: string) => void): Promise<string | undefined> {
  const { node } = await prepare(t, undefined);
  const folder = node.options.folder!;
  await mkdir(folder, { recursive: true });
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=3m", "tmpfs", folder]);
  if (mounted.status === 0) t.teardown(() => spawnSync("umount", ["-l", folder]));
  else say("no small disk may be mounted here; a limit on the size of files stands for it");
  t.teardown(() => node.end("SIGKILL"));
  const limit = ["sh", "-c", 'ulimit -f 6144 && exec "$@"', "sh"];
  await node.start(mounted.status === 0 ? {} : { wrap: limit });
  const acknowledged = await writeUntilItStops(node, 2_000);
  const problem = await judgeEnd(node, acknowledged, desk.figures);
  if (problem !== undefined) return problem;
  if (mounted.status === 0) spawnSync("mount", ["-o", "remount,size=64m", folder]);
  return lookFor(node, acknowledged, desk);
}

const STOP_WITHIN_MS = 20_000;
/** A node under strace, on a busy machine. */
const PATIENCE_MS = 20_000;

/** `filled`: what is in the folder at first. */
async function prepare(t: Teardown, filled: string | undefined): Promise<{ readonly node: TestNode; readonly trace: string }> {
  const home = await temporaryFolder(t);
  const [port = 0] = await freePorts(1);
  const folder = join(home, "data");
  if (filled !== undefined) await cp(filled, folder, { recursive: true });
  return { node: new TestNode(t, port, { name: "node", folder }), trace: join(home, "trace") };
}

async function fillFolder(t: Teardown): Promise<string> {
  const { node } = await prepare(t, undefined);
  await node.start();
  await write(node, "before");
  await node.end("SIGTERM");
  return node.options.folder!;
}

async function writeUntilItStops(node: TestNode, writes = WRITES): Promise<string[]> {
  let isGone = false;
  void node.exited.then(() => (isGone = true));
  await waitFor("the node to answer or to end", async () => isGone || (await ask(`${node.url}/ping`, "GET", {})) !== undefined, {
    nodes: [node],
    withinMs: 60_000,
  });
  const acknowledged: string[] = [];
  for (let i = 0; i < writes && !isGone; i++) {
    if (!(await write(node, `k${i}`))) break;
    acknowledged.push(`k${i}`);
  }
  return acknowledged;
}

async function write(node: TestNode, key: string): Promise<boolean> {
  const answer = await ask(`${node.url}/store`, "POST", {}, JSON.stringify({ key, value: valueOf(key) }), PATIENCE_MS);
  return answer?.status === 200;
}

function valueOf(key: string): string {
  const isLarge = (Number(/\d+$/.exec(key)?.[0] ?? 0) + 1) % LARGE_EVERY === 0;
  return key.repeat(Math.ceil((isLarge ? LARGE_CHARS : VALUE_CHARS) / key.length));
}

/** On a disk that is well again. */
async function lookFor(node: TestNode, acknowledged: readonly string[], { checker, figures }: Desk): Promise<string | undefined> {
  const report = await checker.ask({ folder: node.options.folder!, keys: acknowledged });
  if (report === undefined) return "a node that was started again crashed";
  if (report.refused !== undefined) return `a node does not start again: ${report.refused}`;
  for (const [i, key] of acknowledged.entries()) {
    const value = report.values[i];
    if (value !== valueOf(key)) return `${key} was acknowledged and is ${value === null ? "lost" : "not what was written"}`;
    figures.acknowledged++;
  }
  return undefined;
}
