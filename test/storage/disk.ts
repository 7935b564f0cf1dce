/** What the tests of the disk engine share: folders that go away, a failing disk, a small disk, and other processes. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ExecutionContext } from "ava";
import { open } from "lmdb";
import type { ErrorCode } from "../../lib/core/errors.ts";
import type { FullDiskReport } from "../contract/full-disk.ts";
import { LOADER } from "../support/launch.ts";
import type { ChildLine, DiskEngine } from "./child.ts";

const CHILD = [process.execPath, LOADER, fileURLToPath(new URL("./child.ts", import.meta.url))];
/** Room for some 200 of `fill`'s batches. */
const SMALL_DISK_BYTES = 4 * 1024 * 1024;

/** A folder of its own for a test, by its real path, removed when the test ends. */
export async function scratch(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "concord-storage-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Changes a record of a closed storage, as a failing disk does. */
export async function tamper(folder: string, key: string, change: (record: Buffer) => Buffer): Promise<void> {
  const options = { path: folder, encoding: "binary", keyEncoding: "binary", maxDbs: 1, overlappingSync: false } as const;
  const database = open<Buffer, Buffer>(options);
  const name = Buffer.from(key, "latin1");
  await database.put(name, change(database.get(name) ?? Buffer.alloc(0)));
  await database.close();
}

export interface Child {
  readonly process: ChildProcess;
  /** The next line that it says; undefined when it has ended. */
  next(): Promise<ChildLine | undefined>;
  kill(): Promise<void>;
}

export function startChild(
  t: ExecutionContext,
  what: string,
  folder: string,
  engine: DiskEngine = "disk",
  wrapper: readonly string[] = [],
): Child {
  const [command = "", ...args] = [...wrapper, ...CHILD, what, folder, engine];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let complaints = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints += text));
  const ended = once(child, "close");
  // Every line is kept as it comes: the interface's own iterator was seen to end before the last lines of a killed process.
  const said: string[] = [];
  let wake = (): void => undefined;
  let isOver = false;
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    said.push(line);
    wake();
  });
  lines.on("close", () => {
    isOver = true;
    wake();
  });
  const kill = async (): Promise<void> => {
    child.kill("SIGKILL");
    await ended;
  };
  t.teardown(kill);
  return {
    process: child,
    kill,
    async next() {
      while (said.length === 0 && !isOver) await new Promise<void>((resolve) => (wake = resolve));
      const line = said.shift();
      if (line !== undefined) return JSON.parse(line) as ChildLine;
      await ended;
      if (child.exitCode !== 0 && child.signalCode !== "SIGKILL") t.log(complaints);
      return undefined;
    },
  };
}

/** Fills a disk of 4 MB in a child process: a memory file system that only that process sees. */
export async function fillSmallDisk(
  t: ExecutionContext,
  engine: DiskEngine,
): Promise<{ readonly report: FullDiskReport; readonly code: ErrorCode }> {
  const folder = await scratch(t);
  const mount = `mount -t tmpfs -o size=${SMALL_DISK_BYTES} none "$0"`;
  const namespace = ["-rm", "-m"].find((flags) => spawnSync("unshare", [flags, "sh", "-c", mount, folder]).status === 0);
  if (namespace === undefined) {
    t.log("this machine lets nobody mount a small disk: a limit on file sizes stands in for it");
    return { report: await fillUnderLimit(t, engine), code: "storage-failed" };
  }
  return {
    report: await fillIn(t, engine, folder, ["unshare", namespace, "sh", "-c", `${mount} && exec "$@"`, folder]),
    code: "disk-full",
  };
}

/** Fills a file up to a size limit: lmdb sees a write that was cut short, which the system calls an input/output error. */
export async function fillUnderLimit(t: ExecutionContext, engine: DiskEngine): Promise<FullDiskReport> {
  // The unit is 512 or 1,024 bytes, as the shell likes.
  const limit = `ulimit -f ${SMALL_DISK_BYTES / 1024} && exec "$@"`;
  return fillIn(t, engine, await scratch(t), ["sh", "-c", limit, "sh"]);
}

async function fillIn(t: ExecutionContext, engine: DiskEngine, folder: string, wrapper: readonly string[]): Promise<FullDiskReport> {
  const child = startChild(t, "fill", join(folder, "data"), engine, wrapper);
  const said: ChildLine[] = [];
  for (let line = await child.next(); line !== undefined; line = await child.next()) said.push(line);
  const last = said.at(-1);
  t.deepEqual(said.slice(0, -1), [{ open: true }]);
  if (last === undefined || !("full" in last)) return t.fail(`it said ${JSON.stringify(said)}`);
  t.is(child.process.exitCode, 0);
  return last.full;
}
