/**
 * `npm run sim:mutants`: plants each bug of mutant-table.ts into a copy of the sources and lets the simulator loose on it. A bug that no
 * seed finds means that a check is blind, and fails the command. What counts as found is said in mutant-verdict.ts.
 *
 * The sources are compiled once, and of a copy only the file with the bug: a process that compiles for itself takes longer to load than to
 * find most bugs.
 */
import { spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import ts from "typescript";
import { runSeeds } from "../../lib/sim/campaign.ts";
import { ROOT } from "../support/launch.ts";
import { MUTANTS, type Mutant } from "./mutant-table.ts";
import { problemOf, whyNotCaught, type MutantResult } from "./mutant-verdict.ts";

const SEEDS_MAX = 2_000;

const CHILD = "test/sim/mutant-child.ts";
/** What the child needs beside the sources of the program. */
const CHILD_FILES = [CHILD, "test/sim/mutant-verdict.ts"];
const COMPILING: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.ESNext,
  verbatimModuleSyntax: true,
  rewriteRelativeImportExtensions: true,
};

interface Row {
  readonly mutant: Mutant;
  readonly result: MutantResult | undefined;
  /** Why it is not caught. */
  readonly problem: string | undefined;
  readonly seconds: number;
}

const only = process.argv.slice(2).join(" ");
const chosen = MUTANTS.filter(({ name }) => name.includes(only));
const startedMs = performance.now();
const rows: Row[] = [];
const waiting = [...chosen];
/** What the unchanged program makes of a seed, by the seed and the faults. */
const unchanged = new Map<string, Promise<string | undefined>>();
const compiled = await compileAll();
try {
  await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, lane));
} finally {
  await rm(compiled, { recursive: true, force: true });
}
const survivors = rows.filter(({ problem }) => problem !== undefined);
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
    const outcome = problemOf(mutant) ?? (await plant(mutant, folder)) ?? (await hunt(folder, mutant));
    const result = typeof outcome === "string" ? undefined : outcome;
    const problem = typeof outcome === "string" ? outcome : await whyNotCaught(outcome, (seed) => playUnchanged(seed, mutant));
    return { mutant, result, problem, seconds: (performance.now() - beganMs) / 1000 };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In this process: it has nothing to do but to wait, and many bugs show with the same few seeds. */
function playUnchanged(seed: number, { faults }: Mutant): Promise<string | undefined> {
  const name = `${seed} ${faults?.join(" ") ?? ""}`;
  let played = unchanged.get(name);
  if (played === undefined) {
    const limits = faults === undefined ? {} : { faults };
    played = runSeeds({ from: seed, count: 1, limits }).then(({ failed }) => failed?.outcome.failure?.check);
    unchanged.set(name, played);
  }
  return played;
}

/** Returns the folder with what a process needs to play the simulator. */
async function compileAll(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "concord-mutants-"));
  await cp(join(ROOT, "package.json"), join(folder, "package.json"));
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const files = (await readdir(join(ROOT, "lib"), { recursive: true })).filter((file) => file.endsWith(".ts"));
  for (const file of [...files.map((name) => join("lib", name)), ...CHILD_FILES])
    await compile(file, await readFile(join(ROOT, file), "utf8"), folder);
  return folder;
}

/** Without a look at the types: some of the bugs are of the kind that a compiler would complain about. */
async function compile(file: string, text: string, folder: string): Promise<void> {
  const { outputText } = ts.transpileModule(text, { compilerOptions: COMPILING, fileName: file });
  const path = join(folder, compiledName(file));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, outputText);
}

function compiledName(file: string): string {
  return file.replace(/\.ts$/, ".js");
}

/** Copies what is compiled and plants the bug; returns what is wrong with the mutant itself. */
async function plant({ file, find, replace }: Mutant, folder: string): Promise<string | undefined> {
  const text = await readFile(join(ROOT, file), "utf8");
  const times = text.split(find).length - 1;
  if (times !== 1) return `its text occurs ${times} times in ${file}`;
  await cp(compiled, folder, { recursive: true });
  await compile(
    file,
    text.replace(find, () => replace),
    folder,
  );
  return undefined;
}

/** Returns what is wrong when the copy cannot even be loaded. */
function hunt(folder: string, { from = 1, faults = [] }: Mutant): Promise<MutantResult | string> {
  return new Promise((resolve, reject) => {
    const hunter = spawn(process.execPath, [join(folder, compiledName(CHILD)), folder, String(from), String(SEEDS_MAX), ...faults], {
      cwd: ROOT,
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
  return `✔ ${time}  ${mutant.name.padEnd(64)} seed ${String(result?.seed).padStart(4)}  ${result?.check}`;
}
