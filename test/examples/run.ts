/**
 * Runs a lesson: its steps in order, each checked before the next. A block that only reads is read again for some seconds until it says
 * what the lesson says, because nodes agree soon and not at once; a block that writes is run once.
 */
import { pause, type Clone, type Terminal } from "./clone.ts";
import { Translation } from "./compare.ts";
import type { Step } from "./lesson.ts";

/** Nodes agree within some hundred milliseconds; on a machine that is busy otherwise a single command may take seconds. */
const READ_AGAIN_MS = 15_000;
/** Nodes start, and ping each other; on a slow machine all at once. */
const PRINTED_WITHIN_MS = 40_000;
const LOOK_EVERY_MS = 50;

export interface Difference {
  readonly step: Step;
  readonly printed: readonly string[];
}

export interface Options {
  readonly clone: Clone;
  /** Returns whether to go on. */
  readonly onDifference: (difference: Difference) => boolean;
}

export async function runSteps(steps: readonly Step[], { clone, onDifference }: Options): Promise<void> {
  const translation = new Translation(clone.firstPort);
  const windows = new Map<string, Window>();
  for (const step of steps) {
    const difference = await runStep(step, clone, translation, windows);
    if (difference !== undefined && !onDifference({ step, printed: difference.map((line) => translation.output(line)) })) return;
  }
}

/** A terminal, and from which of its lines on nothing has been looked at. */
interface Window {
  readonly terminal: Terminal;
  seen: number;
}

/** Returns the lines that were printed when they are not those of the lesson. */
async function runStep(step: Step, clone: Clone, translation: Translation, windows: Map<string, Window>): Promise<string[] | undefined> {
  const { kind, lines, expected } = step;
  const window = windows.get(step.terminal);
  if (kind === "start") {
    windows.set(step.terminal, { terminal: clone.open(translation.command(lines.join("\n"))), seen: 0 });
    return undefined;
  }
  if (kind === "commands") return runCommands(lines, expected, clone, translation);
  if (window === undefined) throw new Error(`nothing was started in terminal ${step.terminal}`);
  if (kind === "excerpt") return findLines(expected, window, translation);
  await window.terminal.interrupt();
  return undefined;
}

async function runCommands(
  lines: readonly string[],
  expected: readonly string[],
  clone: Clone,
  translation: Translation,
): Promise<string[] | undefined> {
  const commands = lines.map((line) => translation.command(line));
  const untilMs = commands.every(onlyReads) ? performance.now() + READ_AGAIN_MS : 0;
  for (;;) {
    const printed: string[] = [];
    for (const command of commands) printed.push(...(await clone.run(command)));
    if (translation.areSame(expected, printed)) return undefined;
    if (performance.now() >= untilMs) return printed;
    await pause(LOOK_EVERY_MS);
  }
}

function onlyReads(command: string): boolean {
  const isRequest = command.startsWith("curl ") && !/ -X (POST|PUT|DELETE)|\/store(\?\S*)? .*-d /.test(command);
  return isRequest || /^node --import=tsx cmd\/main\.ts (get|ls|status) /.test(`${command} `);
}

/** Each expected line takes one of the terminal's. */
async function findLines(expected: readonly string[], window: Window, translation: Translation): Promise<string[] | undefined> {
  const untilMs = performance.now() + PRINTED_WITHIN_MS;
  for (;;) {
    const { lines } = window.terminal;
    const taken = new Set<number>();
    const areThere = expected.every((line) => {
      const at = lines.findIndex((printed, i) => i >= window.seen && !taken.has(i) && translation.isSame(line, printed));
      return at >= 0 && taken.add(at);
    });
    if (areThere) {
      window.seen = Math.max(window.seen, ...Array.from(taken, (at) => at + 1));
      return undefined;
    }
    if (performance.now() >= untilMs) return lines.slice(window.seen);
    await pause(LOOK_EVERY_MS);
  }
}
