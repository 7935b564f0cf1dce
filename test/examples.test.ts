/**
 * The course and the README, held by machine: every command of a lesson is run against real nodes, and what it prints is compared with
 * what the lesson says (examples/lesson.ts). To write new outputs into the lessons, and then read the difference:
 *
 *   UPDATE_LESSONS=1 npx ava test/examples.test.ts
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { makeClone, pause, type Clone } from "./examples/clone.ts";
import { plain } from "./examples/compare.ts";
import { parseLesson, replaceOutputs, type Step } from "./examples/lesson.ts";
import { runSteps } from "./examples/run.ts";

const root = new URL("../", import.meta.url);
const isUpdate = process.env.UPDATE_LESSONS === "1";
const lessons = readdirSync(new URL("examples", root)).filter((name) => existsSync(new URL(`examples/${name}/README.md`, root)));

/** A lesson takes ten seconds on a machine that does nothing else. */
const LESSON_MS_MAX = 120_000;

/** Runs of a lesson whose picture is far from the one that it shows: what the code sends is the same in all of them. */
const ROUNDS_MAX = 4;

for (const lesson of lessons) {
  test.serial(`examples/${lesson}`, async (t) => runLesson(t, `examples/${lesson}/README.md`));
}

test.serial("README: the session", async (t) => runLesson(t, "README.md", { section: "A session", compiles: true }));

/** The README's block of that name, to be run in a clone. */
function programIn(name: string, clone: Clone): string {
  const program = new RegExp(`\`\`\`ts ${name}\n([^]*?)\`\`\``).exec(readText("README.md"))?.[1] ?? "";
  const local = program
    .replace('from "concord"', 'from "./lib/index.ts"')
    .replace(
      /from "concord\/(client|keyv|unstorage)"/g,
      (_, part: string) => `from "./lib/${part === "client" ? "connect" : `adapters/${part}`}.ts"`,
    );
  return [8001, 8002, 8003, 3000].reduce((text, port, i) => text.replaceAll(String(port), String(clone.firstPort + i)), local);
}

test.serial("README: the programs that run a node, connect to one, embed one, and use the adapters", async (t) => {
  const clone = await cloneFor(t, { compiles: true });
  const run = async (name: string, after = ""): Promise<string[]> => {
    clone.write(`${name}.ts`, `${programIn(name, clone)}\n${after}`);
    return clone.run(`node --import=tsx ${name}.ts`);
  };
  t.deepEqual(await run("node"), ["world"]);
  const shown = "\nconst { kv } = node; await node.ready; kv.hash(); console.log(kv.status().address); process.exit();\n";
  t.is((await run("embedded", shown)).at(-1), `http://localhost:${clone.firstPort + 3}/kv`);
  const serving = clone.open(`node --import=tsx cmd/main.ts serve --port=${clone.firstPort} --peers= --memory`);
  while (!serving.lines.some((line) => line.includes("listens on"))) await pause(50);
  t.deepEqual(await run("client"), ["Ada", "user/ada { name: 'Ada' }"]);
  const used = "\nawait cache.set('a', 1); await storage.setItem('b', 2); console.log(await cache.get('a'), await storage.getItem('b'));\n";
  t.deepEqual(await run("adapters", used), ["1 2"]);
});

test.serial("README: every flag of serve and up is in the table, with its default", async (t) => {
  const clone = await cloneFor(t, { compiles: false });
  const readme = readText("README.md");
  for (const command of ["serve", "up"]) {
    const help = (await clone.run(`node --import=tsx cmd/main.ts ${command} --help`)).join(" ").replace(/\s+/g, " ");
    const flags = [...help.matchAll(/ --([\w-]+)(?:=\S+)? [A-Z].*?(?= --[\w-]+(?:=\S+)? [A-Z]|$)/g)].filter(([, name]) => name !== "help");
    t.true(flags.length >= 6, `${command}: ${flags.length} flags`);
    for (const [text, name = ""] of flags) {
      const value = / Default: (\S+)\. /.exec(`${text} `)?.[1] ?? "";
      const row = readme.split("\n").find((line) => isRowOf(line, name, command, value));
      t.truthy(row, `${command} --${name}, default ${value || "none"}`);
    }
  }
});

test("README: every path that it names is there", (t) => {
  const links = [...readText("README.md").matchAll(/\]\((?!https?:|#)([^)]+)\)|`((?:cmd|lib|test|examples)\/[\w./-]*)`/g)];
  t.true(links.length > 5);
  t.deepEqual(
    links.map(([, link, path]) => link ?? path ?? "").filter((path) => !existsSync(new URL(path, root))),
    [],
  );
});

function isRowOf(line: string, name: string, command: string, value: string): boolean {
  const [, flag, of, byDefault] = line.split("|").map((cell) => cell.trim().replaceAll("`", ""));
  return flag?.split("=")[0] === `--${name}` && of === command && byDefault?.includes(value.replace(/[,.]$/, "")) === true;
}

interface LessonOptions {
  /** Only this one of a longer text. */
  readonly section?: string;
  readonly compiles?: boolean;
}

async function runLesson(t: ExecutionContext, path: string, { section, compiles = false }: LessonOptions = {}): Promise<void> {
  const text = readText(path);
  const steps = parseLesson(text, section);
  t.true(steps.length > 3);
  for (let round = 1; ; round++) {
    t.timeout(LESSON_MS_MAX);
    const outputs = new Map<Step, readonly string[]>();
    const clone = await cloneFor(t, { compiles });
    await runSteps(steps, {
      clone,
      onDifference({ step, printed }) {
        outputs.set(step, printed);
        return isUpdate;
      },
    });
    if (isUpdate) writeFileSync(new URL(path, root), replaceOutputs(text, outputs));
    else for (const [step, printed] of outputs) compare(t, path, step, printed);
    if (outputs.size > 0 && !isUpdate) return;
    const pictures = [...text.matchAll(/!\[[^\]]*\]\(([\w-]+\.svg)\)/g)].map(([, name = ""]) => name);
    const far = pictures.flatMap((name) => comparePicture(t, path, name, clone.read(`data/${name}`)));
    if (far.length === 0) return;
    if (round === ROUNDS_MAX) return t.fail(far.join("; "));
    await clone.remove();
  }
}

/**
 * A picture that a lesson shows is one that its commands drew, by the code as it is now: the same but for the figures, which are the
 * lesson's own, and near those of this run; returns those that are not. How many pings pass in a run is chance, and so is which node asks
 * first: on a busy machine a lesson is run again.
 */
function comparePicture(t: ExecutionContext, path: string, name: string, drawn: string): string[] {
  const shown = new URL(path.replace(/[^/]*$/, name), root);
  if (isUpdate) writeFileSync(shown, drawn);
  const kept = readFileSync(shown, "utf8");
  t.is(withoutFigures(drawn), withoutFigures(kept), `${path}: ${name} is not what the lesson draws: UPDATE_LESSONS=1 writes it anew`);
  const [figures, bytes] = [bytesIn(kept), bytesIn(drawn)];
  t.true(figures.length > 3 && bytes.length === figures.length);
  for (const figure of figures) {
    if (figure < FIGURE_MAX) t.true(readText(path).includes(figure.toLocaleString("en")), `${path} does not say the ${figure} of ${name}`);
  }
  const isNear = (figure: number, now: number): boolean => figure / FIGURE_FACTOR <= now && now <= FIGURE_FACTOR * figure;
  return figures.flatMap((figure, i) => (isNear(figure, bytes[i]!) ? [] : [`${path}: ${name} says ${figure} bytes, this run ${bytes[i]}`]));
}

/** Enough to notice that something else is sent than the lesson says. */
const FIGURE_FACTOR = 4;

/** What a picture says beyond it is for comparison, and need not be in the text. */
const FIGURE_MAX = 100_000;

function withoutFigures(picture: string): string {
  return picture.replace(/\d[\d,.]*/g, "…");
}

function bytesIn(picture: string): number[] {
  return [...picture.matchAll(/([\d,]+) bytes<\/text>/g)].map(([, figure = ""]) => Number(figure.replaceAll(",", "")));
}

function compare(t: ExecutionContext, path: string, { kind, terminal, lines, expected, place }: Step, printed: readonly string[]): void {
  const what =
    kind === "excerpt" ? `terminal ${terminal} has not printed all of these lines` : `printed something else: ${lines.join("; ")}`;
  t.deepEqual(printed.map(plain), expected.map(plain), `${path}, line ${place.from}: ${what}`);
}

/** `compiles`: as it is for whoever has just cloned this repository. */
async function cloneFor(t: ExecutionContext, { compiles }: { readonly compiles: boolean }): Promise<Clone> {
  const clone = await makeClone({ compiles });
  t.teardown(() => clone.remove());
  return clone;
}

function readText(path: string): string {
  return readFileSync(fileURLToPath(new URL(path, root)), "utf8");
}
