/**
 * The log that people read: one line an event, with the node's name before it, because several nodes often share a terminal.
 *
 * Coloured when the stream is a terminal, plain when it is a file or a pipe. Everything goes to ONE stream: what went down and
 * what came up must stay in order also when the output is redirected. Times are left to whoever keeps the log: journald and
 * docker stamp each line, and in a terminal they would only push the text to the right.
 */
import { createConsola, type ConsolaOptions, type LogObject } from "consola";
import { getColor, type ColorName } from "consola/utils";
import type { Log, LogLevel } from "../core/ports.ts";

/** What is needed of a stream. */
export interface LogStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface LogOptions {
  /** The least that is shown; "info" by default. */
  readonly level?: LogLevel | undefined;
  /** Shows nothing at all: for a node behind a prompt. */
  readonly silent?: boolean | undefined;
  /** Standard output by default. */
  readonly stream?: LogStream | undefined;
}

/** What a peer says of itself comes into lines; it must not be able to begin new ones, or to steer the terminal. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;

/** consola's own numbers. */
const LEVELS: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 3, debug: 4 };
const SILENT = -1;

/** Told apart on dark and on light ground; red and yellow are for errors and warnings. */
const NAME_COLORS: readonly ColorName[] = ["cyan", "green", "magenta", "blue", "cyanBright", "greenBright", "magentaBright", "blueBright"];

export function createLog(name: string, options: LogOptions = {}): Log {
  const { level = "info", silent = false, stream = process.stdout } = options;
  const paint = stream.isTTY === true ? getColor : () => String;
  const prefix = paint(colorOf(name))(`[${name}]`);
  const lineOf = ({ type, args }: LogObject): string => {
    const text = args.join(" ").replace(CONTROL, "?");
    if (type === "error") return paint("red")(text);
    if (type === "warn") return paint("yellow")(text);
    return type === "debug" ? paint("gray")(text) : text;
  };
  const reporter = { log: (entry: LogObject) => void stream.write(`${prefix} ${lineOf(entry)}\n`) };
  // By default consola folds repeated lines into one: that would hide that a peer goes up and down.
  const consolaOptions: Partial<ConsolaOptions> = { level: silent ? SILENT : LEVELS[level], reporters: [reporter], throttle: 0 };
  const consola = createConsola(consolaOptions);
  return { write: (at, line) => consola[at](line) };
}

/** The same name has the same colour in every run. */
function colorOf(name: string): ColorName {
  let sum = 0;
  for (let i = 0; i < name.length; i++) sum = (sum * 31 + name.charCodeAt(i)) >>> 0;
  return NAME_COLORS[sum % NAME_COLORS.length] as ColorName;
}
