/**
 * What `concord up` says: where the nodes are, and what to try, each line ready to be pasted into another terminal.
 */
import { table, type Paint } from "../terminal.ts";
import type { ChildNode, Ended } from "./child.ts";
import type { Program } from "./plan.ts";

const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

export function renderGuide(children: readonly ChildNode[], program: Program, paint: Paint): string {
  const alone = children.length === 1;
  const nodes = children.map(({ plan, pid }) => [`  ${plan.name}`, plan.url, `pid ${pid}`, plan.folder ?? "in memory"]);
  const steps = alone ? stepsAlone(children, program) : stepsTogether(children, program);
  return [
    "",
    alone ? "One node is up:" : `${capital(WORDS[children.length] ?? String(children.length))} nodes are up and see each other:`,
    ...table(nodes),
    "",
    "To try in another terminal, in this folder:",
    ...steps.flatMap(({ what, commands }) => [`  ${paint("gray", `# ${what}`)}`, ...commands.map((command) => `  ${command}`)]),
    "",
    `Ctrl-C stops ${alone ? "it" : "all of them"}.`,
    "",
  ].join("\n");
}

interface Step {
  readonly what: string;
  readonly commands: readonly string[];
}

function stepsAlone([child]: readonly ChildNode[], { shown }: Program): Step[] {
  const at = `localhost:${child?.plan.port}`;
  return [
    { what: "write, and read", commands: [writing(at, "hello", "world"), reading(at, "hello")] },
    { what: "see how it is", commands: [`${shown} status --node=http://${at}`] },
  ];
}

function stepsTogether(children: readonly ChildNode[], { shown }: Program): Step[] {
  const [first, second] = children;
  const last = children.at(-1);
  if (first === undefined || second === undefined || last === undefined) return [];
  const [here, away, there] = [first, second, last].map(({ plan }) => `localhost:${plan.port}`) as [string, string, string];
  return [
    { what: "write on one node, read on another", commands: [writing(here, "hello", "world"), reading(there, "hello")] },
    {
      what: `stop ${second.plan.name}, and write while it is away`,
      commands: [`kill ${second.pid}`, writing(here, "missed", "while away")],
    },
    { what: "start it again; it catches up by itself", commands: [second.plan.commandLine] },
    { what: "from a third terminal: what it has missed is there", commands: [reading(away, "missed")] },
    { what: "who is up, and who holds the same", commands: [`${shown} status --node=http://${here}`] },
  ];
}

function writing(at: string, key: string, value: string): string {
  return `curl ${at}/store -d '{"key":"${key}","value":"${value}"}'`;
}

function reading(at: string, key: string): string {
  return `curl '${at}/store/key?key=${key}'`;
}

/** One line about a node that nobody asked us to stop. */
export function endedLine({ plan, pid }: ChildNode, end: Ended): string {
  return `${plan.name} (pid ${pid}) ${reasonOf(end)}; to start it again: ${plan.commandLine}`;
}

export function reasonOf({ exitCode, signal }: Ended): string {
  if (signal !== null) return `was killed by ${signal}`;
  if (exitCode === null) return "could not be started";
  return exitCode === 0 ? "has stopped" : `has stopped with exit code ${exitCode}`;
}

function capital(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
