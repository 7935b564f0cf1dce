/**
 * `npm test`: installs what is missing, then runs every check and ends with one line, "N passed, N failed".
 *
 * The step that checks the types also compiles, sources and tests, into BUILT; what runs after it runs from there (typescript.mjs), since
 * compiling again in each of some five hundred processes took a third of the time.
 *
 * Stages run one after the other, the steps of one stage together, at most one a core. A step that passes says so in one line;
 * a step that fails shows all that it said. Only the tests themselves are shown as they run. The sum counts each test
 * of ava and each other step as one.
 */
import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath, pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { ensureInstalled } from "./ensure.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const cache = "node_modules/.cache";
const built = `${cache}/built`;

/**
 * name: shown and counted. arguments: what node runs. onlyIf: the step exists when this file does.
 * live: show the output while it runs. tell: on success, show the last line of the output as well. count: reads how many
 * checks passed and failed; without it, the step is one check.
 */
const stages = [
  [
    { name: "types", arguments: ["node_modules/typescript/bin/tsc", "--pretty", "false", ...compiling()] },
    { name: "lint", arguments: ["node_modules/eslint/bin/eslint.js", "-c", ".eslint.config.js", "--max-warnings", "0", "."] },
    {
      name: "format",
      arguments: [
        "node_modules/prettier/bin/prettier.cjs",
        ...["--check", "--log-level", "warn", "--cache", "--cache-strategy", "content", "--cache-location", `${cache}/prettier.json`, "."],
      ],
    },
  ],
  [{ name: "tests", arguments: ["node_modules/ava/entrypoints/cli.mjs"], live: true, count: countAva }],
  [
    {
      name: "simulation",
      onlyIf: "cmd/simulate.ts",
      arguments: [`${built}/cmd/main.js`, "simulate", "--seeds", "500"],
      tell: true,
    },
    { name: "mutants", onlyIf: "test/sim/mutants.ts", arguments: ["--import=./.ci/typescript.mjs", "test/sim/mutants.ts"], tell: true },
  ],
];

const total = { passed: 0, failed: 0 };
try {
  if (!ensureInstalled()) total.failed += 1;
  else {
    mkdirSync(`${root}/${built}`, { recursive: true });
    // Compiled modules read their version there, and learn from it that they are modules.
    copyFileSync(`${root}/package.json`, `${root}/${built}/package.json`);
    for (const stage of stages) await runStage(stage);
  }
} catch (error) {
  console.error(error);
  total.failed += 1;
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** The maps lead from what is compiled to its source, by its whole path: modules bear the names of their sources. */
function compiling() {
  const places = ["--outDir", built, "--tsBuildInfoFile", `${built}/tsbuildinfo`];
  return ["--noEmit", "false", ...places, "--inlineSourceMap", "--sourceRoot", pathToFileURL(root).href];
}

async function runStage(stage) {
  const waiting = stage.filter((step) => step.onlyIf === undefined || existsSync(`${root}/${step.onlyIf}`));
  const lane = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) await runStep(step);
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
}

async function runStep(step) {
  const startedMs = performance.now();
  const { code, output } = await run(step);
  const seconds = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`;
  const counted = step.count?.(output) ?? { passed: code === 0 ? 1 : 0, failed: 0 };
  // The exit code has the last word: a runner that dies without a summary has failed.
  if (code !== 0 && counted.failed === 0) counted.failed = 1;
  if (code === 0 && counted.passed + counted.failed === 0) counted.failed = 1;
  total.passed += counted.passed;
  total.failed += counted.failed;
  if (counted.failed === 0) {
    const told = step.tell ? `  ${output.trimEnd().split("\n").at(-1)}` : "";
    console.log(`✔ ${step.name} (${seconds})${told}`);
  } else {
    const shown = step.live ? "" : `\n${output.trimEnd()}\n`;
    console.log(`✘ ${step.name} (${seconds}, exit code ${code})${shown}`);
  }
}

function run(step) {
  return new Promise((resolve) => {
    const env = { ...process.env, TEST_BUILT: built };
    if (process.stdout.isTTY && env.NO_COLOR === undefined) env.FORCE_COLOR ??= "1";
    const child = spawn(process.execPath, step.arguments, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    const chunks = [];
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => {
        chunks.push(chunk);
        if (step.live) process.stdout.write(chunk);
      });
    }
    child.on("error", (error) => resolve({ code: -1, output: String(error) }));
    child.on("close", (code, signal) => resolve({ code: code ?? signal, output: Buffer.concat(chunks).toString() }));
  });
}

/**
 * Reads ava's closing summary: "12 tests passed", "1 hook failed", "2 uncaught exceptions" … each alone on a line. When something
 * failed ava leaves out how many passed, and their lines above are counted instead.
 */
function countAva(output) {
  const lines = stripVTControlCharacters(output).split("\n");
  const sum = (pattern) => lines.reduce((count, line) => count + Number(pattern.exec(line)?.[1] ?? 0), 0);
  const ticks = lines.filter((line) => /^ {2}[✔√] /u.test(line)).length;
  return {
    passed: sum(/^ *(\d+) tests? passed *$/) || ticks,
    failed: sum(/^ *(\d+) (?:(?:tests?|hooks?) failed|uncaught exceptions?|unhandled rejections?|tests? remained pending.*) *$/),
  };
}
