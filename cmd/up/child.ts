/**
 * One node of a local cluster, as a process of its own: started, its lines passed on under its name, its end told.
 *
 * It gets a process group of its own, so that Ctrl-C reaches only the one who then stops all of them in order; and a channel, by
 * which it says that it listens, and whose end tells it that we are gone, however we went.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { Environment } from "../arguments.ts";
import type { NodePlan, Program } from "./plan.ts";

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildNode {
  readonly plan: NodePlan;
  /** Undefined when the process could not be started. */
  readonly pid: number | undefined;
  /** Resolves when it answers requests. */
  readonly listening: Promise<void>;
  readonly ended: Promise<Ended>;
  readonly hasEnded: boolean;
  kill(signal: NodeJS.Signals): void;
}

export type LineWriter = (line: string) => void;

/** Longer lines are cut into pieces of this length. */
const LINE_CHARS_MAX = 16 * 1024;

export function startChild(plan: NodePlan, program: Program, env: Environment, writeLine: LineWriter): ChildNode {
  const child = spawn(program.command, [...program.prefix, ...plan.argv], {
    detached: true,
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("CONCORD_"))),
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const passedOn = [child.stdout, child.stderr].map((stream) => (stream === null ? Promise.resolve() : passOn(stream, writeLine)));
  let hasEnded = false;
  const ended = endOf(child).then(async (end) => {
    await Promise.all(passedOn);
    hasEnded = true;
    return end;
  });
  return {
    plan,
    pid: child.pid,
    listening: new Promise((resolve) => child.once("message", () => resolve())),
    ended,
    get hasEnded() {
      return hasEnded;
    },
    kill: (signal) => void child.kill(signal),
  };
}

function endOf(child: ChildProcess): Promise<Ended> {
  return new Promise((resolve) => {
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
    child.once("error", () => resolve({ exitCode: null, signal: null }));
  });
}

/** Resolves when the stream has ended. */
function passOn(stream: Readable, writeLine: LineWriter): Promise<void> {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) writeLine(line);
    for (; rest.length > LINE_CHARS_MAX; rest = rest.slice(LINE_CHARS_MAX)) writeLine(rest.slice(0, LINE_CHARS_MAX));
  });
  return new Promise((resolve) => {
    stream.once("close", () => {
      if (rest !== "") writeLine(rest);
      resolve();
    });
  });
}
