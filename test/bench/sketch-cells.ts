/**
 * `npm run bench -- sketch [trials]`: cells per difference from 1 to 10,000 differences, and microseconds a write and a decoded
 * difference, of processor time.
 *
 * `fails` is the share of differences that cellsFor(d) cells do not decode: what it costs to ask for cellsFor(d) cells once.
 * A thousand trials (the default) take about two minutes, most of them for 10,000 differences.
 */
import { cellsFor, createSketchTables, type SketchTables } from "../../lib/repair/sketch.ts";
import { median } from "./measure.ts";
import { cellsNeeded, createDice, randomDifference, randomKey, statistics } from "../repair/sketch-trials.ts";

const DIFFERENCES = [1, 2, 3, 5, 10, 20, 30, 50, 70, 100, 200, 300, 500, 1000, 2000, 3000, 5000, 10_000];
const WRITES = 500_000;
const WRITE_ROUNDS = 9;
const TRIALS = 1000;

export async function run(): Promise<void> {
  printTimes();
  console.log("");
  printCells(Number(process.argv[3] ?? TRIALS));
}

function printCells(trials: number): void {
  console.log("differences   mean    p50    p99   most  cellsFor  fails   (cells per difference, trials that fail)");
  for (const dots of DIFFERENCES) {
    const needed = Array.from({ length: trials }, (_, seed) => cellsNeeded(seed, dots));
    const { mean, p50, p99, most } = statistics(needed);
    const asked = cellsFor(dots);
    const fails = needed.filter((cells) => cells > asked).length / trials;
    const columns = [mean, p50, p99, most, asked].map((cells) => (cells / dots).toFixed(3).padStart(6));
    console.log(`${String(dots).padStart(11)} ${columns.slice(0, 4).join(" ")}    ${columns[4]}  ${(100 * fails).toFixed(1)} %`);
  }
}

function printTimes(): void {
  const dice = createDice(1);
  const tables = createSketchTables({ key: randomKey(dice) });
  writeAll(tables, dice(), WRITES);
  const writes = Array.from({ length: WRITE_ROUNDS }, () => writeAll(tables, dice(), WRITES));
  console.log(`\nwrite into both tables: ${median(writes).toFixed(3)} µs, at least ${Math.min(...writes).toFixed(3)}`);
  decodeTime(100);
  for (const dots of [100, 1000, 10_000]) console.log(`decode ${dots} differences: ${decodeTime(dots).toFixed(3)} µs each`);
  foldTime(tables);
  console.log(`fold 65,536 cells to 8,192: ${foldTime(tables).toFixed(0)} µs`);
}

/** Microseconds a write. */
function writeAll(tables: SketchTables, incarnation: number, writes: number): number {
  const before = processorMicroseconds();
  for (let counter = 0; counter < writes; counter++) tables.add(incarnation, counter);
  return (processorMicroseconds() - before) / writes;
}

/** Microseconds a fold. */
function foldTime(tables: SketchTables): number {
  const before = processorMicroseconds();
  for (let i = 0; i < 200; i++) tables.take(8192);
  return (processorMicroseconds() - before) / 200;
}

/** Microseconds a decoded difference, on average over some 200,000 of them. */
function decodeTime(dots: number): number {
  const rounds = Math.ceil(200_000 / dots);
  let spent = 0;
  for (let round = 0; round < rounds; round++) {
    const { sketch } = randomDifference(round, dots, cellsFor(dots));
    const before = processorMicroseconds();
    sketch.decode({ dotsMax: dots });
    spent += processorMicroseconds() - before;
  }
  return spent / (rounds * dots);
}

/** Of this process: the machine may do other things meanwhile. */
function processorMicroseconds(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
