/**
 * `npm run torture -- KIND [COUNT] [FROM]`: the suites that take minutes or hours. `npm test` runs a bounded version of each; here they run in
 * full, and report their figures.
 */
import { cpus } from "node:os";

interface Torture {
  /** How many by default. */
  readonly count: number;
  readonly what: string;
  load(): Promise<{
    /** Resolves with the lines of its report, and whether all promises were kept. */
    run(from: number, count: number, say: (line: string) => void): Promise<{ readonly kept: boolean }>;
  }>;
}

const kinds: Readonly<Record<string, Torture>> = {
  kill: { count: 300, what: "kill -9 of one of three nodes under load", load: () => import("./kill.ts") },
  partition: { count: 200, what: "cut, slow and one-way networks, halted nodes", load: () => import("./partition.ts") },
  history: {
    count: 200,
    what: "kills, halts and cuts, and every write and read held against the others",
    load: () => import("./history.ts"),
  },
  power: {
    count: 5_000,
    what: "the disk after a power loss: what was synchronised, and any of the rest",
    load: () => import("./power.ts"),
  },
  disk: { count: 60, what: "failing, full and slow disks at each call that writes", load: () => import("./disk.ts") },
  clock: { count: 40, what: "clocks that are wrong by hours, step, and pass changes of summer time", load: () => import("./clock.ts") },
  fuzz: { count: 500_000, what: "bad requests over sockets, and bodies that mean nothing", load: () => import("./fuzz.ts") },
  soak: {
    count: 15,
    what: "minutes of overwriting and deleting with a fault every 30 s; memory, files and descriptors",
    load: () => import("./soak.ts"),
  },
};

const [name = "", count, from = "1"] = process.argv.slice(2);
const kind = Object.hasOwn(kinds, name) ? kinds[name] : undefined;
const isCount = (text: string): boolean => /^[1-9][0-9]{0,8}$/.test(text);
if (kind === undefined || !isCount(count ?? "1") || !isCount(from)) {
  console.error(`Usage: npm run torture -- KIND [COUNT] [FROM]`);
  for (const [each, { count: usual, what }] of Object.entries(kinds)) console.error(`  ${each.padEnd(10)} ${what}; ${usual} unless told`);
  process.exitCode = 2;
} else {
  console.log(`machine: ${cpus().length} × ${cpus()[0]?.model ?? "?"}, Node ${process.version}, ${process.platform}`);
  const { kept } = await (await kind.load()).run(Number(from), Number(count ?? kind.count), (line) => console.log(line));
  process.exitCode = kept ? 0 : 1;
}
