/**
 * `npm run sim:mutants`: plants each bug of mutant-table.ts into a copy of the sources and lets the simulator loose on it. A bug that no
 * seed finds means that a check is blind, and fails the command.
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { MutantResult } from "./mutant-child.ts";
import { MUTANTS, type Mutant } from "./mutant-table.ts";

const SEEDS_MAX = 2_000;

const root = fileURLToPath(new URL("../..", import.meta.url));
const child = fileURLToPath(new URL("./mutant-child.ts", import.meta.url));

interface Row {
  readonly mutant: Mutant;
  readonly result: MutantResult | undefined;
  readonly problem: string | undefined;
  readonly seconds: number;
}

const only = process.argv.slice(2).join(" ");
const chosen = MUTANTS.filter(({ name }) => name.includes(only));
const startedMs = performance.now();
const rows: Row[] = [];
const waiting = [...chosen];
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, lane));
const survivors = rows.filter(({ result, problem }) => problem !== undefined || result?.check === undefined);
const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
console.log(
  survivors.length === 0
    ? `all ${rows.length} planted bugs were caught, in ${seconds} s`
    : `${survivors.length} of ${rows.length} planted bugs were NOT caught: ${survivors.map(({ mutant }) => mutant.name).join("; ")}`,
);
process.exitCode = survivors.length === 0 ? 0 : 1;

async function lane(): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    const row = await runMutant(mutant);
    rows.push(row);
    console.log(lineOf(row));
  }
}

async function runMutant(mutant: Mutant): Promise<Row> {
  const beganMs = performance.now();
  const folder = await mkdtemp(join(tmpdir(), "concord-mutant-"));
  try {
    const problem = await plant(mutant, folder);
    const outcome = problem === undefined ? await hunt(folder, mutant.faults ?? []) : problem;
    const secondsTaken = (performance.now() - beganMs) / 1000;
    if (typeof outcome === "string") return { mutant, result: undefined, problem: outcome, seconds: secondsTaken };
    return { mutant, result: outcome, problem: undefined, seconds: secondsTaken };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Copies the sources and plants the bug; returns what is wrong with the mutant itself. */
async function plant({ file, find, replace }: Mutant, folder: string): Promise<string | undefined> {
  await cp(join(root, "lib"), join(folder, "lib"), { recursive: true });
  await cp(join(root, "package.json"), join(folder, "package.json"));
  await cp(join(root, "tsconfig.json"), join(folder, "tsconfig.json"));
  await symlink(join(root, "node_modules"), join(folder, "node_modules"));
  const path = join(folder, file);
  const text = await readFile(path, "utf8");
  const times = text.split(find).length - 1;
  if (times !== 1) return `its text occurs ${times} times in ${file}`;
  await writeFile(
    path,
    text.replace(find, () => replace),
  );
  return undefined;
}

/** Returns what is wrong when the copy cannot even be loaded. */
function hunt(folder: string, faults: readonly string[]): Promise<MutantResult | string> {
  return new Promise((resolve, reject) => {
    const hunter = spawn(process.execPath, ["--import=tsx", child, folder, "1", String(SEEDS_MAX), ...faults], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    hunter.stdout.on("data", (chunk: Buffer) => (output += chunk.toString("utf8")));
    hunter.on("error", reject);
    hunter.on("close", () => {
      try {
        resolve(JSON.parse(output) as MutantResult);
      } catch {
        resolve("its sources cannot be loaded");
      }
    });
  });
}

function lineOf({ mutant, result, problem, seconds: took }: Row): string {
  const time = `${took.toFixed(1)} s`.padStart(7);
  if (problem !== undefined) return `✘ ${time}  ${mutant.name}: ${problem}`;
  if (result?.check === undefined) return `✘ ${time}  ${mutant.name}: survived ${result?.seeds} seeds`;
  return `✔ ${time}  ${mutant.name.padEnd(64)} seed ${String(result.seed).padStart(4)}  ${result.check}`;
}
