/**
 * Help as a page of plain text: what it is for, how to call it, each flag in a sentence, and examples that work as they stand.
 */
import type { ArgDef, ArgsDef } from "citty";
import { environmentName, flagNames, positionalNames } from "./arguments.ts";
import { createPaint, wrap, type Output } from "./terminal.ts";

export interface HelpText {
  readonly name: string;
  /** A line. */
  readonly summary: string;
  /** Paragraphs between the usage and the flags. */
  readonly details?: readonly string[] | undefined;
  readonly args: ArgsDef;
  /** What to type, and what it does. */
  readonly examples: readonly (readonly [line: string, what: string])[];
}

/** Lines longer than this are hard to read, however wide the window. */
const WIDTH_MAX = 100;
const WIDTH_MIN = 40;
/** Without a terminal, or when it does not know its size and says 0. */
const WIDTH_UNKNOWN = 90;

export function renderHelp(help: HelpText, output: Output): string {
  const paint = createPaint(output);
  const width = Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, output.columns || WIDTH_UNKNOWN));
  const title = (text: string): string => paint("bold", text);
  const lines = [`${paint("cyan", `concord ${help.name}`)}: ${help.summary}`, "", title("Usage"), `  ${usageOf(help)}`];
  for (const paragraph of help.details ?? []) lines.push("", ...wrap(paragraph, width));
  lines.push("", title("Flags"), ...definitions(flagRows(help.args), width));
  const example = flagNames(help.args)[0] ?? "node";
  lines.push(
    "",
    ...wrap(`Each flag can also come from the environment (--${example} as ${environmentName(example)}); what is typed wins.`, width),
  );
  lines.push("", title("Examples"));
  for (const [line, what] of help.examples) lines.push(`  ${paint("gray", `# ${what}`)}`, `  ${line}`);
  return `${lines.join("\n")}\n`;
}

/** A longer name stands on a line of its own. */
const NAME_WIDTH_MAX = 30;

/** Two columns: a name, and what it is, broken over as many lines as it takes. */
export function definitions(rows: readonly (readonly [name: string, what: string])[], width: number): string[] {
  const nameWidth = Math.max(...rows.map(([name]) => (name.length > NAME_WIDTH_MAX ? 0 : name.length)));
  const indent = nameWidth + 4;
  return rows.flatMap(([name, what]) => {
    const lines = wrap(what, Math.max(30, width - indent));
    const [first = "", ...others] = name.length > NAME_WIDTH_MAX ? ["", ...lines] : lines;
    return [`  ${name.padEnd(nameWidth)}  ${first}`.trimEnd(), ...others.map((line) => " ".repeat(indent) + line)];
  });
}

function usageOf({ name, args }: HelpText): string {
  const required = flagNames(args).filter((flag) => args[flag]?.required === true);
  const flags = required.map((flag) => `--${flag}=${args[flag]?.valueHint ?? "VALUE"}`);
  const positionals = positionalNames(args).map((positional) =>
    args[positional]?.required === false ? `[${positional.toUpperCase()}]` : positional.toUpperCase(),
  );
  return ["concord", name, ...positionals, ...flags, "[flags]"].join(" ");
}

function flagRows(args: ArgsDef): (readonly [string, string])[] {
  const rows = flagNames(args).map((name) => [spellingOf(name, args[name] ?? {}), sentenceOf(args[name] ?? {})] as const);
  return [...rows, ["--help", "Shows this."]];
}

function spellingOf(name: string, definition: ArgDef): string {
  return definition.type === "boolean" ? `--${name}` : `--${name}=${definition.valueHint ?? "VALUE"}`;
}

function sentenceOf({ description = "", default: value, required }: ArgDef): string {
  if (required === true) return `${description} Required.`;
  return value === undefined || value === "" || typeof value === "boolean" ? description : `${description} Default: ${value}.`;
}
