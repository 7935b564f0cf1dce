/**
 * `npm run bench -- wire [keys]`: what crosses the wire between two real nodes, counted by a proxy, with a million keys unless told
 * otherwise; and the longest turn of the event loop of either node meanwhile.
 *
 * Protocol bytes are those of the frames less the entries; HTTP's headers stand beside them. The nodes run with a sampler of their
 * turns (an --import of a few lines, for Linux), because a probe in this process would measure this process.
 */
import { PINGS, sumOf } from "../support/reading-proxy.ts";
import { Wire, type Counted } from "../support/wire.ts";
import type { TestNode } from "../cluster/support.ts";
import type { Teardown } from "../cluster/support.ts";
import { healTogether } from "../support/wire-many.ts";

const KEYS = 1_000_000;

/** A tenth of the keys is written twice, so that a rebuilt context is large. */
const AGAIN_SHARE = 0.1;

/**
 * Prints the longest turn of the event loop in milliseconds of the main thread's processor time, and begins anew, whenever it is told to. (By
 * the clock a turn also takes what other processes take.) It also begins anew when the node meets its first peer: what came before is the
 * start of the program. A timer of a millisecond runs once in every turn that is longer.
 */
const SAMPLER = `import { readFileSync } from "node:fs";
const usedMs = () => Number(readFileSync("/proc/self/task/" + process.pid + "/schedstat", "latin1").split(" ")[0]) / 1e6;
let [before, most] = [usedMs(), 0];
setInterval(() => {
  const now = usedMs();
  most = Math.max(most, now - before);
  before = now;
}, 1).unref();
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write;
  stream.write = (text, ...rest) => {
    if (String(text).includes(" is up")) most = 0;
    return write.call(stream, text, ...rest);
  };
}
process.on("SIGUSR2", () => {
  console.error("loop", most);
  most = 0;
});`;

const WRAP = ["env", `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(SAMPLER)}`];

export async function run(): Promise<void> {
  const keys = Number(process.argv[3] ?? KEYS);
  const scope = createScope();
  try {
    const wire = await Wire.create(scope, keys, { again: Math.round(AGAIN_SHARE * keys), wrap: WRAP });
    await warm(wire);
    console.log(`${keys} keys on both nodes, ${(await wire.stays.client.status()).incarnations} incarnations; bytes of both directions\n`);
    console.log(columns(["case", "rung", "requests", "protocol", "+ headers", "entries", "everything", "seconds", "longest turns, ms"]));
    await inSync(wire);
    for (const changed of [10, 1_000, 10_000])
      await print(
        wire,
        `split, ${changed} keys written`,
        wire.split(() => wire.write(500, changed)),
      );
    await print(
      wire,
      "restart, 10 keys written",
      wire.outage(() => wire.write(300, 10)),
    );
    for (const differences of [2, 48, 1_000, 10_000]) {
      const lost = wire.outage(async () => {
        await wire.loseContext();
        await wire.write(0, differences / 2, (i) => 150_000 + 13 * i);
      });
      await print(wire, `context lost, ${differences} differ`, lost);
    }
    let from = 0;
    for (const deleted of [1, 48, 1_000, 10_000]) {
      const first = from;
      from += 7 * deleted;
      const forgotten = wire.split(async () => {
        await wire.remove(deleted, (i) => 20_000 + first + 7 * i);
        await wire.forget();
      });
      await print(wire, `split, ${deleted} forgotten deletions`, forgotten);
    }
    await print(
      wire,
      "one side empty",
      wire.outage(() => wire.empty()),
    );
  } finally {
    await scope.end();
  }
  await together();
}

/** The first repair of a process is the slowest: its code is not compiled yet. */
async function warm(wire: Wire): Promise<void> {
  await wire.outage(() => wire.write(0, 2_000));
}

async function inSync(wire: Wire): Promise<void> {
  await wire.inSync();
  const crossings = () => [...wire.toStays.crossings, ...wire.toReturns.crossings];
  while (crossings().length < 4) await pause(200);
  const { exchanges, protocolBytes, headerBytes } = sumOf(crossings(), PINGS);
  const each = (bytes: number): string => String(Math.round(bytes / exchanges / 2));
  console.log(columns(["in sync, one ping or pong", "", "", each(protocolBytes), each(protocolBytes + headerBytes), "", "", "", ""]));
}

async function print(wire: Wire, what: string, happening: Promise<Counted>): Promise<void> {
  const counted = await happening;
  const [one, other] = [await loopOf(wire.stays), await loopOf(wire.returns)];
  printCounted(what, counted, one, other);
}

function printCounted(what: string, { allBytes, repair, receipt, took }: Counted, stays: number, returns: number): void {
  const figures = [receipt.requests, repair.protocolBytes, repair.protocolBytes + repair.headerBytes, repair.entryBytes, allBytes];
  const turns = `${stays.toFixed(0)} and ${returns.toFixed(0)}`;
  console.log(columns([what, receipt.kind, ...figures.map(String), (took / 1000).toFixed(1), turns]));
}

async function loopOf(node: TestNode): Promise<number> {
  const before = node.lines.length;
  process.kill(node.pid, "SIGUSR2");
  for (let tries = 0; tries < 100; tries++) {
    const line = node.lines.slice(before - 1).find((one) => one.startsWith("loop "));
    if (line !== undefined) return Number(line.slice(5));
    await pause(20);
  }
  return NaN;
}

function columns(cells: readonly string[]): string {
  const widths = [32, 8, 9, 9, 10, 11, 11, 8, 18];
  return cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i]!))).join(" ");
}

async function together(): Promise<void> {
  console.log("\nnodes that come back at once, a thousand keys written meanwhile: entries sent for each that had to be");
  for (const [nodes, away] of [
    [3, 1],
    [3, 2],
    [5, 2],
    [5, 3],
  ] as const) {
    const scope = createScope();
    try {
      const { entries, needed } = await healTogether(scope, { nodes, away, keys: 10_000, changed: 1_000 });
      console.log(`${nodes} nodes, ${away} of them away`.padEnd(32), (entries / needed).toFixed(2));
    } finally {
      await scope.end();
    }
  }
}

interface EndingScope extends Teardown {
  end(): Promise<void>;
}

function createScope(): EndingScope {
  const works: (() => unknown)[] = [];
  return {
    teardown: (work: () => unknown) => void works.push(work),
    async end() {
      for (const work of works.reverse()) await work();
    },
  };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
