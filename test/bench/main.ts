/**
 * `npm run bench -- NAME`: the benches. Every figure is taken in one run with the thing it is compared to, because machines
 * differ and are noisy: quote the ratios, not the absolute numbers.
 */
import { cpus, totalmem } from "node:os";

const benches: Readonly<Record<string, () => Promise<{ run(): Promise<void> }>>> = {
  core: () => import("./core.ts"),
  http: () => import("./http.ts"),
  overload: () => import("./overload.ts"),
  repair: () => import("./repair.ts"),
  join: () => import("./join.ts"),
  sketch: () => import("./sketch-cells.ts"),
  wire: () => import("./wire.ts"),
};

const name = process.argv[2];
const load = name === undefined ? undefined : benches[name];
if (load === undefined) {
  console.error(`Usage: npm run bench -- ${Object.keys(benches).join("|")}`);
  process.exitCode = 2;
} else {
  const processors = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  console.log(`machine: ${processors.length} × ${processors[0]?.model ?? "?"}, ${memory}, Node ${process.version}, ${process.platform}`);
  await (await load()).run();
}
