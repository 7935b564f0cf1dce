/**
 * Looks at a data file in a child process before this one opens it.
 *
 * lmdb reads its file through a memory map and trusts what it finds there: a file that was cut short, or whose pages are zeros or
 * noise, often gives no error but kills the process that reads it (SIGBUS, SIGSEGV). A node that dies so at every start says nothing
 * to its operator. So a child goes first: it opens the file, reads the tree's both ends and then as much as it can in a fifth of a
 * second, and reads everything when the file is shorter than it says of itself, which is rarely harmless. If it dies, that is the
 * finding.
 *
 * Then its pages are read once more without lmdb (page-check.ts), because a structure that is broken need not kill its reader: it
 * may wait for the next write. A file that is damaged further in passes. A bit flipped there is found by the record's checksum; a page lost there may still
 * kill the node, whose supervisor starts it again. Reading every page at every start would cost more than that is worth; but starts
 * are counted in a small file, which an orderly end removes, and the third in a row without one reads everything. So a file that
 * kills its reader ends in a refusal that says why, and not in a loop.
 */
import { spawn } from "node:child_process";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ConcordError } from "../core/errors.ts";
import { CORRUPTED, damagedStore, lockedFolder, storageError } from "./failure.ts";
import { checkPages } from "./page-check.ts";

export const DATA_FILE = "data.mdb";

/** For the child and for the pages, each: some 50,000 records on one slow core; a node with a million still opens in a second. */
const READ_MS = 200;
/** Reading everything, at 50 MB/s from a slow disk, is 30 GB. Longer, and somebody should look. */
const GIVE_UP_MS = 600_000;
/** Starts without an orderly end after which everything is read: somebody who kills a node twice waits once. */
const STARTS_MAX = 2;
const STARTS_FILE = ".concord-starts";
/** More than the child ever says. */
const OUTPUT_BYTES_MAX = 65_536;

/**
 * Address space, not memory and not disk: what can be mapped without mapping anew. lmdb doubles it when the file outgrows it, which is
 * safe but leaves the old map in place, so most stores should never come there. 64-bit systems have at least 256 GiB of addresses.
 */
export const MAP_BYTES = 16 * 1024 * 1024 * 1024;

/** In both of lmdb's meta pages. With one of them gone lmdb would take the other, and silently lose the last batch. */
const META_MAGIC = "dec0efbe";

/** Runs as `node -e`, so that it is the same from source and from the built package. Its arguments: lmdb, the folder, READ_MS. */
const CHILD = `
const { openSync, fstatSync, readSync } = require("node:fs");
const [, lmdb, folder, readMs] = process.argv;
let last;
const report = (finding) => process.stdout.write(JSON.stringify(finding));
try {
  const database = require(lmdb).open({ path: folder, readOnly: true, encoding: "binary", keyEncoding: "binary", maxDbs: 1, mapSize: ${MAP_BYTES} });
  const readers = database.readerList().split("\\n").map((line) => parseInt(line, 10));
  const holders = readers.filter((pid) => pid > 0 && pid !== process.pid);
  if (holders.length === 0) {
    const { pageSize, lastPageNumber } = database.getStats();
    const file = openSync(folder + "/${DATA_FILE}");
    for (const page of [0, 1]) {
      const head = Buffer.alloc(32);
      readSync(file, head, 0, head.length, page * pageSize);
      if (!head.includes("${META_MAGIC}", 0, "hex")) throw Object.assign(new Error("meta page " + page + " is lost"), { code: ${CORRUPTED} });
    }
    const short = fstatSync(file).size < (lastPageNumber + 1) * pageSize;
    for (const { value } of database.getRange({ reverse: true, limit: 100 })) value.length;
    const deadline = Date.now() + Number(readMs);
    for (const { key, value } of database.getRange()) {
      // The last byte lies beyond the file when the size is wrong.
      value.length > 0 && value[value.length - 1];
      if (last !== undefined && Buffer.compare(last, key) >= 0) throw Object.assign(new Error("keys out of order"), { code: ${CORRUPTED} });
      last = key;
      if (!short && Date.now() > deadline) break;
    }
  }
  report({ holders });
} catch (error) {
  report({ message: error.message, code: error.code });
}
`;

interface Finding {
  readonly holders?: readonly number[];
  readonly message?: string;
  readonly code?: number | string;
}

interface Ending {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly complaints: string;
}

/** Returns when the data file can be opened, or may be made. Throws ConcordError `damaged`, `locked` or `storage-failed`. */
export async function probe(folder: string, fresh: boolean): Promise<void> {
  const begun = await countStart(folder);
  if (!(await hasData(folder))) {
    if (fresh) return;
    throw damagedStore(folder, `${DATA_FILE} is missing or empty`);
  }
  const readMs = begun < STARTS_MAX ? READ_MS : GIVE_UP_MS;
  const ending = await run(folder, readMs);
  const finding = findingOf(folder, ending);
  if (finding.message !== undefined) throw storageError(folder, Object.assign(new Error(finding.message), { code: finding.code }));
  const [holder] = finding.holders ?? [];
  if (holder !== undefined) throw lockedFolder(folder, `process ${holder}`);
  const problem = await checkPages(join(folder, DATA_FILE), readMs);
  if (problem !== undefined) throw damagedStore(folder, problem);
}

/** An empty file is what lmdb leaves behind when it is killed while it makes one. */
async function hasData(folder: string): Promise<boolean> {
  try {
    const { size } = await stat(join(folder, DATA_FILE));
    return size > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw storageError(folder, error);
  }
}

/** The folder was closed as it should be. */
export async function forgetStarts(folder: string): Promise<void> {
  await rm(join(folder, STARTS_FILE), { force: true }).catch(() => undefined);
}

/** Returns how many starts came before this one since the folder was last closed. A file that cannot be written counts nothing. */
async function countStart(folder: string): Promise<number> {
  const path = join(folder, STARTS_FILE);
  const text = await readFile(path, "utf8").catch(() => "0");
  const begun = /^[0-9]{1,6}$/.test(text) ? Number(text) : 0;
  await writeFile(path, String(begun + 1), { mode: 0o600 }).catch(() => undefined);
  return begun;
}

function run(folder: string, readMs: number): Promise<Ending> {
  const lmdb = createRequire(import.meta.url).resolve("lmdb");
  // Without NODE_OPTIONS: loaders and debuggers of this process are none of the child's business.
  const { NODE_OPTIONS: _, ...env } = process.env;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["-e", CHILD, lmdb, folder, String(readMs)], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: GIVE_UP_MS,
      killSignal: "SIGKILL",
      windowsHide: true,
    });
    let output = "";
    let complaints = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output = (output + text).slice(0, OUTPUT_BYTES_MAX)));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (complaints = (complaints + text).slice(0, OUTPUT_BYTES_MAX)));
    child.on("error", (error) => reject(storageError(folder, error)));
    child.on("close", (exitCode, signal) => resolve({ exitCode, signal, output, complaints }));
  });
}

function findingOf(folder: string, { exitCode, signal, output, complaints }: Ending): Finding {
  if (exitCode === 0 && output !== "") return JSON.parse(output) as Finding;
  const [complaint] = complaints.trim().split("\n");
  if (signal === "SIGKILL" || signal === "SIGTERM") {
    const message = `the check of the data in ${folder} was stopped by ${signal}: see whether memory ran out, then start this node again`;
    throw new ConcordError("storage-failed", message);
  }
  // Windows has no signals: a crash there is an exit code from 0xC0000000 upwards.
  if (signal !== null || (exitCode ?? 0) >= 0xc000_0000) {
    throw damagedStore(folder, `reading it crashed with ${signal ?? exitCode}${complaint ? `: ${complaint}` : ""}`);
  }
  throw storageError(folder, new Error(`its check ended with ${exitCode}: ${complaint ?? "no reason given"}`));
}
