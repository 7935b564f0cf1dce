/**
 * The course and the README, held by machine: every command of a lesson is run against real nodes, and what it prints is compared with
 * what the lesson says (examples/lesson.ts). To write new outputs into the lessons, and then read the difference:
 *
 *   UPDATE_LESSONS=1 npx ava test/examples.test.ts
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { makeClone, type Clone } from "./examples/clone.ts";
import { plain } from "./examples/compare.ts";
import { parseLesson, replaceOutputs, type Step } from "./examples/lesson.ts";
import { runSteps } from "./examples/run.ts";

const root = new URL("../", import.meta.url);
const isUpdate = process.env.UPDATE_LESSONS === "1";
const lessons = readdirSync(new URL("examples", root)).filter((name) => existsSync(new URL(`examples/${name}/README.md`, root)));

/** A lesson takes ten seconds on a machine that does nothing else. */
const LESSON_MS_MAX = 60_000;

for (const lesson of lessons) {
  test.serial(`examples/${lesson}`, async (t) => runLesson(t, `examples/${lesson}/README.md`));
}

test.serial("README: the session", async (t) => runLesson(t, "README.md", "A session"));

test.serial("README: the program that embeds a node", async (t) => {
  const clone = await cloneFor(t);
  const program = /```ts\n([\s\S]*?)```/.exec(readText("README.md"))?.[1] ?? "";
  t.regex(program, /from "concord"/);
  clone.write("embedding.ts", program.replace('from "concord"', 'from "./lib/index.ts"').replaceAll("8001", String(clone.firstPort)));
  t.deepEqual(await clone.run("node --import=tsx embedding.ts"), ["world"]);
});

test.serial("README: every flag of serve and up is in the table, with its default", async (t) => {
  const clone = await cloneFor(t);
  const readme = readText("README.md");
  for (const command of ["serve", "up"]) {
    const help = (await clone.run(`node --import=tsx cmd/main.ts ${command} --help`)).join(" ").replace(/\s+/g, " ");
    const flags = [...help.matchAll(/ --(\w+)(?:=\S+)? [A-Z].*?(?= --\w+(?:=\S+)? [A-Z]|$)/g)].filter(([, name]) => name !== "help");
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

async function runLesson(t: ExecutionContext, path: string, section?: string): Promise<void> {
  t.timeout(LESSON_MS_MAX);
  const text = readText(path);
  const steps = parseLesson(text, section);
  t.true(steps.length > 3);
  const outputs = new Map<Step, readonly string[]>();
  await runSteps(steps, {
    clone: await cloneFor(t),
    onDifference({ step, printed }) {
      outputs.set(step, printed);
      return isUpdate;
    },
  });
  if (isUpdate) writeFileSync(new URL(path, root), replaceOutputs(text, outputs));
  else for (const [step, printed] of outputs) compare(t, path, step, printed);
}

function compare(t: ExecutionContext, path: string, { kind, terminal, lines, expected, place }: Step, printed: readonly string[]): void {
  const what =
    kind === "excerpt" ? `terminal ${terminal} has not printed all of these lines` : `printed something else: ${lines.join("; ")}`;
  t.deepEqual(printed.map(plain), expected.map(plain), `${path}, line ${place.from}: ${what}`);
}

async function cloneFor(t: ExecutionContext): Promise<Clone> {
  const clone = await makeClone();
  t.teardown(() => clone.remove());
  return clone;
}

function readText(path: string): string {
  return readFileSync(fileURLToPath(new URL(path, root)), "utf8");
}
