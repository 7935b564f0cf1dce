/**
 * `npm run bench -- repair [--keys=10000] [--changes=100] [--seed=1]`: two stores that agreed and then differ are made to agree again,
 * by Concord and by others, each in the way that is usual for it. How many bytes, how many messages, how long.
 *
 * Counted is the reconciliation alone: everything that both sides' sockets carry (repair/system.ts, a counting proxy between them), with
 * headers and handshakes, from the moment when the link is back until nothing more crosses. What both held before was synced before.
 * Afterwards the bench looks at every key on both sides, deleted ones too, and says so in the table when one is not what it must be.
 *
 * The systems do not do the same, and the figures must be read with that. What each is, how it is set up, and what of it cannot be
 * compared stands at the head of its file: repair/concord.ts, full-push.ts, tinybase.ts, okra.ts, pouchdb.ts. In short: Okra is a tree and a
 * walk without a network or a rule for who is right, and got the leanest ones here; PouchDB reads a log from a checkpoint, and compares no
 * states; TinyBase knows tables and cells; Concord's figures hold the pings in which the nodes find each other again. Both sides run in one
 * process over the loopback, so the time has no network's delays in it: Okra with its many round trips would lose most by a real
 * network. The CPU is that of both sides and the link. Bytes are nearly the same in each run; times are of one run, and orders of magnitude.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { SYSTEMS, type CellReport, type CellResult, type SystemName } from "./repair/cell.ts";
import { createWorkload, SHAPES, type WorkloadOptions } from "./repair/workload.ts";

/** What takes longer is no longer usable beside the others. */
const CELL_MS_MAX = 120_000;

/** To load and to sync a store for the first time is not what is measured, but must end. */
const LOAD_MS_MAX = 300_000;

const CELL = fileURLToPath(new URL("./repair/cell-process.ts", import.meta.url));

type Outcome = CellResult | { readonly failed: string };

export async function run(): Promise<void> {
  const { keys, changes, seed } = readOptions();
  console.log(`${count(keys)} keys with values of 80 bytes, synced; then ${count(changes)} of them differ. Seed ${seed}.\n`);
  console.log("shape        system                      bytes  × payload   messages        time         CPU");
  const bad = { wrong: 0, failed: 0 };
  for (const shape of SHAPES) {
    const options: WorkloadOptions = { shape, keys, changes, seed };
    const { payloadBytes } = createWorkload(options);
    console.log(`${shape.padEnd(12)} ${"(the keys and values)".padEnd(22)} ${count(payloadBytes).padStart(10)}`);
    for (const system of SYSTEMS) {
      const outcome = await runCell(system, options);
      console.log(`${"".padEnd(12)} ${system.padEnd(22)} ${shown(outcome, payloadBytes)}`);
      if ("failed" in outcome) bad.failed++;
      else if (outcome.wrong !== undefined) bad.wrong++;
    }
  }
  const others = bad.failed === 0 ? "" : ` ${bad.failed} gave no result.`;
  console.log(bad.wrong === 0 ? `\nAfter each, both sides held what they had to.${others}` : `\n${bad.wrong} ended WRONG.${others}`);
  if (bad.wrong > 0) process.exitCode = 1;
}

function readOptions(): Omit<WorkloadOptions, "shape"> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args: process.argv.slice(3), options: { keys: text, changes: text, seed: text } });
  const whole = (name: "keys" | "changes" | "seed", fallback: number, least: number): number => {
    const number = Number(values[name] ?? fallback);
    if (!Number.isSafeInteger(number) || number < least) throw new Error(`--${name}=${values[name]}: a whole number of ${least} or more`);
    return number;
  };
  const keys = whole("keys", 10_000, 2);
  const changes = whole("changes", 100, 1);
  if (changes > keys / 2) throw new Error(`--changes=${changes}: half of the ${keys} keys at most`);
  return { keys, changes, seed: whole("seed", 1, 0) };
}

function shown(outcome: Outcome, payloadBytes: number): string {
  if ("failed" in outcome) return outcome.failed.padStart(10);
  const { bytes, messages, tookMs, cpuMs, wrong } = outcome;
  const times = (bytes / payloadBytes).toFixed(bytes < 10 * payloadBytes ? 1 : 0);
  const milliseconds = [tookMs, cpuMs].map((ms) => `${count(Math.round(ms))} ms`.padStart(11));
  const columns = [count(bytes).padStart(10), times.padStart(10), count(messages).padStart(10), ...milliseconds];
  return columns.join(" ") + (wrong === undefined ? "" : `  WRONG: ${wrong}`);
}

async function runCell(system: SystemName, options: WorkloadOptions): Promise<Outcome> {
  const task = JSON.stringify({ ...options, system });
  const child = fork(CELL, [task], { execArgv: ["--import=tsx"], stdio: ["ignore", "ignore", "pipe", "ipc"] });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
  const exited = once(child, "exit");
  let outcome = await nextReport(child, LOAD_MS_MAX, "to load over");
  if (outcome === "ready") outcome = await nextReport(child, CELL_MS_MAX, "over");
  child.kill("SIGKILL");
  await exited;
  if (outcome === "ready") return { failed: "it was ready twice" };
  return "failed" in outcome && said !== "" ? { failed: `${outcome.failed}: ${said.trim().split("\n").slice(0, 8).join("\n")}` } : outcome;
}

/** What the cell says next; a failure when it ends, or says nothing for so long. */
async function nextReport(child: ChildProcess, waitMs: number, over: string): Promise<CellReport | { readonly failed: string }> {
  const controller = new AbortController();
  const { signal } = controller;
  const late = new Promise<{ readonly failed: string }>((resolve) => {
    const timer = setTimeout(() => resolve({ failed: `${over} ${waitMs / 1000} s` }), waitMs);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
  const ended = once(child, "exit", { signal }).then(
    () => ({ failed: "it ended without a result" }),
    () => ({ failed: "" }),
  );
  const reported = once(child, "message", { signal }).then(
    ([report]) => report as CellReport,
    () => ({ failed: "" }),
  );
  try {
    return await Promise.race([reported, ended, late]);
  } finally {
    controller.abort();
  }
}

function count(number: number): string {
  return number.toLocaleString("en");
}
