/**
 * `npm run bench -- wire [keys]`: what crosses the wire between two real nodes, counted by a proxy, with a million keys unless told
 * otherwise; and the turns of the event loop of either node meanwhile (turns.ts): those of its own work, and what the garbage collector
 * took, apart. On disk, and where a case can be made of them in memory.
 *
 * Protocol bytes are those of the frames less the entries; HTTP's headers stand beside them.
 */
import { PINGS, sumOf } from "../support/reading-proxy.ts";
import { Wire, type Counted } from "../support/wire.ts";
import type { TestNode } from "../cluster/support.ts";
import type { Teardown } from "../cluster/support.ts";
import { healTogether } from "../support/wire-many.ts";
import type { TurnFigures } from "./turns.ts";

const KEYS = 1_000_000;

/** A tenth of the keys is written twice, so that a rebuilt context is large. */
const AGAIN_SHARE = 0.1;

/** The nodes measure their turns. */
const WRAP = ["env", "NODE_OPTIONS=--import=tsx --import=./test/bench/turns.ts"];

export async function run(): Promise<void> {
  const keys = Number(process.argv[3] ?? KEYS);
  const scope = createScope();
  try {
    const wire = await Wire.create(scope, keys, { again: Math.round(AGAIN_SHARE * keys), wrap: WRAP });
    await warm(wire);
    console.log(`${keys} keys on both nodes, ${(await wire.stays.client.status()).incarnations} incarnations; bytes of both directions\n`);
    console.log(columns(["case", "rung", "requests", "protocol", "+ headers", "entries", "everything", "seconds"]));
    await inSync(wire);
    for (const changed of [10, 1_000, 10_000, 100_000])
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
    for (const differences of [2, 48, 1_000, 10_000, 100_000]) {
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
  await inMemory(keys);
  await together();
}

async function inMemory(keys: number): Promise<void> {
  const scope = createScope();
  try {
    const wire = await Wire.create(scope, keys, { memory: true, wrap: WRAP });
    console.log("\nthe same in memory");
    const written = wire.split(() => wire.write(500, 100_000));
    await print(wire, "split, 100000 keys written", written);
    const empty = wire.outage(() => Promise.resolve());
    await print(wire, "one side empty", empty);
  } finally {
    await scope.end();
  }
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
  console.log(columns(["in sync, one ping or pong", "", "", each(protocolBytes), each(protocolBytes + headerBytes), "", "", ""]));
}

async function print(wire: Wire, what: string, happening: Promise<Counted>): Promise<void> {
  const counted = await happening;
  printCounted(what, counted);
  for (const node of [wire.stays, wire.returns]) printTurns(node.name, await turnsOf(node));
}

function printCounted(what: string, { allBytes, repair, receipt, took }: Counted): void {
  const figures = [receipt.requests, repair.protocolBytes, repair.protocolBytes + repair.headerBytes, repair.entryBytes, allBytes];
  console.log(columns([what, receipt.kind, ...figures.map(String), (took / 1000).toFixed(1)]));
}

function printTurns(name: string, { ownP999Ms, ownMaxMs, over20, allMaxMs, gcMaxMs }: TurnFigures): void {
  const own = `p99.9 ${ownP999Ms.toFixed(1)} ms, longest ${ownMaxMs.toFixed(1)}, over 20: ${over20}`;
  console.log(`    ${name}: ${own}; with the collector ${allMaxMs.toFixed(1)}, whose longest is ${gcMaxMs.toFixed(1)}`);
}

async function turnsOf(node: TestNode): Promise<TurnFigures> {
  const said = (): string | undefined => node.lines.findLast((line) => line.startsWith("turns "));
  const before = said();
  process.kill(node.pid, "SIGUSR2");
  for (let tries = 0; tries < 500 && said() === before; tries++) await pause(20);
  return JSON.parse(said()?.slice("turns ".length) ?? "{}") as TurnFigures;
}

function columns(cells: readonly string[]): string {
  const widths = [32, 8, 9, 9, 10, 11, 11, 8];
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
