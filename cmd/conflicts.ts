/** `concord conflicts` and `concord resolve`: which keys hold several values, and a write that settles one of them. */
import { createInterface } from "node:readline/promises";
import { listConflicts, readSiblings, writeSeen, type ClientSibling, type Siblings } from "../lib/client/conflicts.ts";
import { createCommand, type Terminal } from "./command.ts";
import { EXIT, Failure, usageFailure } from "./exit.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { isJson } from "./kv.ts";
import { printable, table, writeAll } from "./terminal.ts";

/** More of a value does not fit a line. */
const SHOWN_CHARS_MAX = 120;

export const conflicts = createCommand({
  name: "conflicts",
  summary: "lists the keys that hold several values",
  details: [
    "Values that were written by nodes which did not hear of each other stay beside each other until somebody writes who has seen them. One line a key: " +
      "the key, how many values, and the merge policy that makes or chooses what is shown. Equal values are one.",
  ],
  args: {
    prefix: { type: "string", valueHint: "user/", default: "", description: "Only keys that begin with it." },
    json: { type: "boolean", description: "Each line is JSON: key, siblings, rule, token." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord conflicts", "all of them"],
    ["concord conflicts --prefix=user/ --json", "for a program"],
  ],
  async run({ prefix, json, ...asking }, { stdout }) {
    await withClient(asking, async (client) => {
      for await (const conflict of listConflicts(client, prefix)) {
        const { key, siblings, rule } = conflict;
        await writeAll(stdout, json ? `${JSON.stringify(conflict)}\n` : `${printable(key)}\t${siblings} values\t${rule}\n`);
      }
    });
    return EXIT.done;
  },
});

export const resolve = createCommand({
  name: "resolve",
  summary: "settles a key that holds several values",
  details: [
    "Writes one value in place of those that the node shows: one that you give, or one of them. What is written to the key meanwhile is not " +
      "replaced, and stays beside it. On a terminal, without a flag, it shows the values and asks. Exit code 1: the key does not hold several values.",
  ],
  args: {
    key: { type: "positional", required: true, description: "The key." },
    value: { type: "string", valueHint: "VALUE", description: "Writes this: JSON, or any text as a string." },
    take: {
      type: "string",
      valueHint: "DOT",
      description: "Writes the value with this dot, as get?siblings and why show it; its first digits are enough.",
    },
    latest: { type: "boolean", description: "Writes the value with the latest time." },
    json: { type: "boolean", description: "Prints the node's receipt as JSON instead of OK." },
    ...CLIENT_FLAGS,
  },
  conflicts: [
    ["value", "take"],
    ["value", "latest"],
    ["take", "latest"],
  ],
  examples: [
    ["concord resolve user/1", "shows the values and asks"],
    ["concord resolve user/1 --latest", "keeps the latest"],
    ['concord resolve user/1 --value=\'{"name":"Ada"}\'', "writes another"],
  ],
  async run({ key, value, take, latest, json, ...asking }, terminal) {
    const receipt = await withClient(asking, async (client) => {
      const siblings = await readSiblings(client, key);
      if (siblings === undefined) throw new Failure(EXIT.keyMissing, `${printable(key)} does not hold several values`);
      const chosen = await choose(siblings, { value, take, latest }, terminal);
      return writeSeen(client, key, chosen, siblings.token);
    });
    terminal.stdout.write(json ? `${receipt}\n` : "OK\n");
    return EXIT.done;
  },
});

interface Choice {
  readonly value: string | undefined;
  readonly take: string | undefined;
  readonly latest: boolean;
}

type Chosen = Pick<ClientSibling, "text" | "contentType">;

async function choose(siblings: Siblings, { value, take, latest }: Choice, terminal: Terminal): Promise<Chosen> {
  if (value !== undefined) return { text: isJson(value) ? value : JSON.stringify(value), contentType: undefined };
  if (latest) return siblings.values[0]!;
  if (take !== undefined) return takeDot(siblings, take);
  if (terminal.stdin.isTTY !== true || terminal.stdout.isTTY !== true) {
    throw usageFailure("say which value is to stay: --latest, --take=DOT or --value=VALUE");
  }
  terminal.stdout.write(renderSiblings(siblings));
  const asking = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await asking.question(`Which one is to stay, 1 to ${siblings.values.length}? `);
    const chosen = siblings.values[Number(answer.trim()) - 1];
    if (chosen === undefined) throw usageFailure(`${JSON.stringify(answer)} is none of them; nothing was written`);
    return chosen;
  } finally {
    asking.close();
  }
}

function takeDot({ values }: Siblings, take: string): ClientSibling {
  const found = values.filter(({ dot }) => dot.startsWith(take));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const dots = values.map(({ dot, node }) => `${dot} of ${node}`).join(", ");
  throw usageFailure(`--take=${take} names ${found.length === 0 ? "none" : "several"} of the values; there are ${dots}`);
}

/** A line each, numbered from 1. */
export function renderSiblings({ values }: Siblings): string {
  const rows = values.map(({ dot, node, time, text, contentType }, i) => {
    const shown = contentType === undefined ? text : `${contentType}: ${text}`;
    return [`${i + 1}`, dot, node, time, printable(shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown)];
  });
  return `${table(rows).join("\n")}\n`;
}
