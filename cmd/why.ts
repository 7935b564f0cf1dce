/** `concord why`: which writes a key holds, what they replaced, and which rule made of them what is shown, as a small graph. */
import { encodeKey } from "../lib/client.ts";
import { createCommand } from "./command.ts";
import { EXIT } from "./exit.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createPaint, printable, table, writeAll, type Paint } from "./terminal.ts";

/** More of a value does not fit a line. */
const SHOWN_CHARS_MAX = 100;
/** Replaced values are shown so many deep; --json has all that the node knows. */
const DEPTH_MAX = 8;

export interface Why {
  readonly key: string;
  readonly rule?: string;
  readonly because: string;
  readonly value?: unknown;
  readonly contentType?: string;
  readonly bytes?: number;
  readonly writes: readonly {
    readonly dot: string;
    readonly node: string;
    readonly time: string;
    readonly expired?: boolean;
    readonly replaced: readonly string[];
    readonly seen?: readonly string[];
    readonly value?: unknown;
    readonly contentType?: string;
    readonly bytes: number;
  }[];
  readonly gone: readonly { readonly dot: string; readonly node?: string; readonly time?: string; readonly by: readonly string[] }[];
  readonly holders: readonly {
    readonly name: string;
    readonly address: string;
    readonly holds: string;
    readonly writes?: readonly string[];
  }[];
}

export const why = createCommand({
  name: "why",
  summary: "why a key shows what it shows",
  details: [
    "Each write that the key holds, with the node that took it and its time by that node's clock; below it, what it is known to have replaced. Then the rule " +
      "that made the answer of them, and what each node holds now: the peers are asked. A node remembers what was replaced for a while, and not over a restart.",
    "A dot names a write: the incarnation of the node that took it, and its number there.",
  ],
  args: {
    key: { type: "positional", required: true, description: "The key." },
    json: { type: "boolean", description: "Prints what the node answers, as JSON." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord why hello", "where the value comes from"],
    ["concord why hello --json", "for a program"],
  ],
  async run({ key, json, ...asking }, { stdout }) {
    const { text } = await withClient(asking, (client) => client.request("GET", `/v1/why/${encodeKey(key)}`));
    await writeAll(stdout, json ? `${text}\n` : renderWhy(JSON.parse(text) as Why, createPaint(stdout)));
    return EXIT.done;
  },
});

const HOLDS: Readonly<Record<string, string>> = {
  here: "the node that was asked",
  same: "holds the same",
  nothing: "holds nothing of it",
  unknown: "did not answer in time",
  away: "is away",
};

export function renderWhy(about: Why, paint: Paint): string {
  const { key, because, writes, gone, holders } = about;
  const title = about.rule === undefined ? paint("gray", "(nothing)") : valueOf(about);
  const lines = [`${paint("bold", printable(key))}  ${title}`, `  ${because}`, ""];
  const shown = new Set<string>();
  for (const { dot, node, time, expired, replaced, seen, ...value } of writes) {
    const ended = expired === true ? paint("yellow", "  expired") : "";
    lines.push(`  * ${paint("cyan", dot)}  ${printable(node)}  ${time}  ${valueOf(value)}${ended}`);
    if (seen !== undefined && seen.length > 0) lines.push(`  |   holds what was written up to ${seen.join(", ")}`);
    lines.push(...replacedLines(replaced, gone, shown, "  |", 1));
    if (replaced.length === 0) lines.push("  |   what it replaced, if anything, is not known any more");
  }
  const rest = gone.filter(({ dot }) => !shown.has(dot));
  if (rest.length > 0) lines.push("  gone, by a deletion or by a write that is gone as well");
  for (const entry of rest) lines.push(`    x ${goneText(entry)}, by ${entry.by.join(", ")}`);
  const rows = holders.map(({ name, address, holds, writes: theirs = [] }) => {
    return [`  ${printable(name)}`, printable(address), holds === "other" ? `holds ${theirs.join(", ")}` : (HOLDS[holds] ?? holds)];
  });
  return `${[...lines, "", "who holds it", ...table(rows)].join("\n")}\n`;
}

function replacedLines(dots: readonly string[], gone: Why["gone"], shown: Set<string>, indent: string, depth: number): string[] {
  if (depth > DEPTH_MAX) return [];
  return dots.flatMap((dot) => {
    const entry = gone.find((other) => other.dot === dot);
    if (entry === undefined || shown.has(dot)) return [];
    shown.add(dot);
    const before = gone.filter(({ by }) => by.includes(dot)).map((other) => other.dot);
    return [`${indent}-- replaced ${goneText(entry)}`, ...replacedLines(before, gone, shown, `${indent}  `, depth + 1)];
  });
}

function goneText({ dot, node, time }: Why["gone"][number]): string {
  return [dot, ...(node === undefined ? [] : [printable(node)]), ...(time === undefined ? [] : [time])].join("  ");
}

function valueOf({ value, contentType, bytes }: Pick<Why, "value" | "contentType" | "bytes">): string {
  if (contentType !== undefined) return `${bytes} bytes of ${printable(contentType)}`;
  if (value === undefined) return `${bytes} bytes of JSON`;
  const text = JSON.stringify(value);
  return printable(text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text);
}
