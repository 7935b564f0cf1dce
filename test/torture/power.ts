/**
 * Power loss: what a node does to its folder is recorded (strace), and folders are made of the record as a disk may hold them when the power goes
 * away at some moment: all that was synchronised, and of the rest any sectors. A node that is started on such a folder shows every write that was
 * answered before that moment, of each batch all or nothing, and nothing else than what was written.
 */
import { mkdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Prng } from "../../lib/sim/prng.ts";
import { freePorts, temporaryFolder, TestNode, type Teardown } from "../cluster/support.ts";
import { LineChild } from "./child.ts";
import { withTeardown } from "./cluster.ts";
import type { ImageReport, ImageTask } from "./power-child.ts";
import { imageAt, type Image } from "./power-image.ts";
import { writeLoad, type Load } from "./power-load.ts";
import { readTrace, TRACED, type DiskEvent } from "./power-trace.ts";
import { progressOf } from "./progress.ts";
import { needTool } from "./tools.ts";

const CHILD = fileURLToPath(new URL("./power-child.ts", import.meta.url));
/** Images of one record, and writes of each of its writers. */
const IMAGES_OF_RECORD = 500;
const TURNS = 40;
/** Beginnings have their own dangers: names, and files that are empty. */
const EARLY_SHARE = 0.15;

export interface PowerFigures {
  kept: boolean;
  images: number;
  /** Images in which something that was not synchronised is missing. */
  torn: number;
  answers: number;
  readonly broken: string[];
}

interface Recording extends Load {
  readonly events: readonly DiskEvent[];
}

export async function run(from: number, count: number, say: (line: string) => void): Promise<PowerFigures> {
  needTool("strace");
  const figures: PowerFigures = { kept: true, images: 0, torn: 0, answers: 0, broken: [] };
  await withTeardown(async (t) => {
    const child = new LineChild<ImageTask, ImageReport>(CHILD);
    t.teardown(() => child.end());
    const home = await temporaryFolder(t);
    let recording: Recording | undefined;
    let recorded = -1;
    const progress = progressOf(count, say);
    for (let seed = from; seed < from + count; seed++) {
      // By the seed alone, so that an image can be made again.
      const record = Math.floor(seed / IMAGES_OF_RECORD);
      if (record !== recorded || recording === undefined) recording = await recordNode(t, record);
      recorded = record;
      const problem = await judge(child, join(home, "image"), recording, seed, figures);
      progress(seed - from + 1);
      if (problem === undefined) continue;
      figures.broken.push(`seed ${seed}: ${problem}`);
      say(`seed ${seed}: ${problem}`);
    }
  });
  figures.kept = figures.broken.length === 0;
  const { images, torn, answers, broken } = figures;
  say(
    `${images} images after a power loss from seed ${from}: ${torn} with some sectors missing, ` +
      `${answers} answered writes looked for; ${broken.length} broken promises`,
  );
  return figures;
}

/** One life of a node, from an empty folder on. */
async function recordNode(t: Teardown, seed: number): Promise<Recording> {
  const folder = await realpath(await temporaryFolder(t));
  const trace = join(folder, "trace");
  const data = join(folder, "data");
  const [port = 0] = await freePorts(1);
  const node = new TestNode(t, port, { name: "node", folder: data });
  const wrap = ["strace", "-D", "-f", "-y", "-xx", "--seccomp-bpf", "-s", "100000000", "-e", `trace=${TRACED}`, "-e", "signal=none"];
  await node.start({ wrap: [...wrap, "-o", trace] });
  const load = await writeLoad(node.url, seed, TURNS);
  const exit = await node.end("SIGTERM");
  if (exit.code !== 0) throw new Error(`the recorded node ended with ${exit.code}: ${node.lines.join("\n")}`);
  const events = await readTrace(trace, data);
  const answered = events.filter(({ kind }) => kind === "answer").length;
  if (answered === 0 || !events.some(({ kind }) => kind === "sync"))
    throw new Error(`strace has seen ${events.length} events, ${answered} answers`);
  await rm(folder, { recursive: true });
  return { ...load, events };
}

async function judge(
  child: LineChild<ImageTask, ImageReport>,
  folder: string,
  recording: Recording,
  seed: number,
  figures: PowerFigures,
): Promise<string | undefined> {
  const { events, steps, together } = recording;
  const prng = new Prng(`power image ${seed}`);
  const cut = prng.chance(EARLY_SHARE) ? prng.below(Math.min(60, events.length)) : prng.below(events.length);
  const image = imageAt(events, cut, prng);
  await place(folder, image);
  figures.images++;
  if (image.kept < image.loose) figures.torn++;
  const keys = [...steps.keys()];
  const report = await child.ask({ folder, keys });
  if (report === undefined) return `cut at event ${cut}: the node crashed on it`;
  if (report.refused !== undefined) return `cut at event ${cut}: the node refused to start: ${report.refused}`;
  if (report.warnings.length > 0) return `cut at event ${cut}: ${report.warnings[0]}`;
  const answered = answersBefore(events, cut);
  for (const count of answered.values()) figures.answers += count;
  const shown = new Map(keys.map((key, i) => [key, report.values[i] ?? undefined]));
  return problemOf(shown, answered, { steps, together });
}

async function place(folder: string, { files }: Image): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  for (const [name, content] of files) await writeFile(join(folder, name), content);
}

/** For each key, how many of its writes were answered. */
function answersBefore(events: readonly DiskEvent[], cut: number): Map<string, number> {
  const counts = new Map<string, number>();
  for (const event of events.slice(0, cut)) {
    if (event.kind !== "answer") continue;
    for (const key of event.keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** A key is as its last answered write left it, or as a later one. */
function problemOf(shown: ReadonlyMap<string, string | undefined>, answered: ReadonlyMap<string, number>, load: Load): string | undefined {
  const brief = (value: string | undefined): string => (value === undefined ? "nothing" : value.slice(0, 30));
  for (const [key, list] of load.steps) {
    const states = [undefined, ...list].slice(answered.get(key) ?? 0);
    const value = shown.get(key);
    if (!states.includes(value))
      return `${key} shows ${brief(value)}; ${answered.get(key) ?? 0} writes were answered, the last of ${brief(states[0])}`;
  }
  const apart = load.together.find((keys) => new Set(keys.map((key) => shown.get(key))).size > 1);
  return apart === undefined ? undefined : `half of a batch is there: ${apart.map((key) => `${key} ${brief(shown.get(key))}`).join(", ")}`;
}
