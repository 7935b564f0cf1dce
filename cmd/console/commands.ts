/** The commands of the console as functions of a line: what is typed, what is answered, how it is completed. */
import { ConcordError } from "../../lib/core/errors.ts";
import { suggest } from "../suggest.ts";
import { definitions } from "../help.ts";
import { printable } from "../terminal.ts";

/** One write that a key holds. */
export interface Version {
  readonly node: string;
  readonly counter: number;
}

export interface Backend {
  /** Undefined when the key is not there. `text`: JSON, or what stands for it. */
  get(key: string): Promise<{ readonly text: string; readonly versions: readonly Version[] } | undefined>;
  /** JSON text. */
  put(key: string, text: string): Promise<void>;
  /** False when the key was not there. */
  delete(key: string): Promise<boolean>;
  nodes(): Promise<readonly { readonly name: string; readonly status: string }[]>;
  /** Some keys that begin with it. */
  keys(prefix: string, limit: number): Promise<readonly string[]>;
}

export interface Answer {
  /** Without the line break at its end; "" for nothing. */
  readonly text: string;
  readonly ends?: boolean;
}

interface Command {
  readonly usage: string;
  readonly what: string;
  readonly takesKey: boolean;
  run(backend: Backend, key: string, value: string): Promise<Answer>;
}

const NOT_FOUND = "Key not found.";

const COMMANDS: Readonly<Record<string, Command>> = {
  put: {
    usage: "put KEY VALUE",
    what: "writes a value; it may hold spaces (also: set)",
    takesKey: true,
    async run(backend, key, value) {
      if (key === "" || value === "") return { text: "Usage: put KEY VALUE" };
      await backend.put(key, isJson(value) ? value : JSON.stringify(value));
      return { text: "OK" };
    },
  },
  get: {
    usage: "get KEY",
    what: "reads a value and its vector clock",
    takesKey: true,
    async run(backend, key, more) {
      if (key === "" || more !== "") return { text: "Usage: get KEY" };
      const found = await backend.get(key);
      if (found === undefined) return { text: NOT_FOUND };
      const plain = found.text.startsWith('"') ? (JSON.parse(found.text) as string) : found.text;
      return { text: `Value: ${printable(plain)}, VectorClock: ${clockOf(found.versions)}` };
    },
  },
  delete: {
    usage: "delete KEY",
    what: "deletes a key",
    takesKey: true,
    async run(backend, key, more) {
      if (key === "" || more !== "") return { text: "Usage: delete KEY" };
      return { text: (await backend.delete(key)) ? "OK" : NOT_FOUND };
    },
  },
  nodes: {
    usage: "nodes",
    what: "the nodes of the cluster, and whether they are there",
    takesKey: false,
    async run(backend) {
      const lines = (await backend.nodes()).map(({ name, status }) => `Node: ${printable(name)}, Status: ${status}`);
      return { text: lines.join("\n") };
    },
  },
  help: { usage: "help", what: "shows this", takesKey: false, run: () => Promise.resolve({ text: renderHelp() }) },
  exit: {
    usage: "exit",
    what: "stops the console, and its node (also: quit, sair)",
    takesKey: false,
    run: () => Promise.resolve({ text: "Exiting...", ends: true }),
  },
};

const ALIASES: Readonly<Record<string, string>> = { set: "put", del: "delete", quit: "exit", sair: "exit" };

/** Keys that one press of the tab key offers. */
const COMPLETIONS_MAX = 50;

/** A refusal is an answer like any other: the console goes on. */
export async function execute(backend: Backend, line: string): Promise<Answer> {
  const [, name = "", key = "", value = ""] = /^\s*(\S*)\s*(\S*)\s*([\s\S]*?)\s*$/.exec(line) ?? [];
  if (name === "") return { text: "" };
  const command = commandNamed(name);
  if (command === undefined) {
    const near = suggest(name, [...Object.keys(COMMANDS), ...Object.keys(ALIASES)]);
    return { text: `Unknown command: ${printable(name)}${near === undefined ? "" : `; did you mean ${near}?`} (help lists the commands)` };
  }
  try {
    return await command.run(backend, key, value);
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return { text: `Error: ${printable(error.message)}` };
  }
}

/** What the word under the cursor, at the end of the line, may become, and that word. */
export async function complete(backend: Backend, line: string): Promise<[string[], string]> {
  const [, name = "", space = "", key = "", more = ""] = /^\s*(\S*)(\s*)(\S*)(\s*)/.exec(line) ?? [];
  if (space === "") {
    const names = [...Object.keys(COMMANDS), ...Object.keys(ALIASES)].sort();
    return [names.filter((other) => other.startsWith(name)).map((other) => `${other} `), name];
  }
  if (more !== "" || commandNamed(name)?.takesKey !== true) return [[], line];
  const keys = await backend.keys(key, COMPLETIONS_MAX).catch(() => []);
  // What the console could not take back as one word it does not offer.
  return [keys.filter((other) => /^[^\s\p{Cc}]+$/u.test(other)), key];
}

/** `map[node1:1 node2:3]`: of each node the last of its writes that the key holds, sorted by name. */
export function clockOf(versions: readonly Version[]): string {
  const counters = new Map<string, number>();
  for (const { node, counter } of versions) counters.set(node, Math.max(counter, counters.get(node) ?? 0));
  const sorted = [...counters].sort(([a], [b]) => (a < b ? -1 : 1));
  return `map[${sorted.map(([node, counter]) => `${printable(node)}:${counter}`).join(" ")}]`;
}

function commandNamed(name: string): Command | undefined {
  const lower = name.toLowerCase();
  const known = Object.hasOwn(ALIASES, lower) ? ALIASES[lower]! : lower;
  return Object.hasOwn(COMMANDS, known) ? COMMANDS[known] : undefined;
}

function renderHelp(): string {
  return definitions(
    Object.values(COMMANDS).map(({ usage, what }) => [usage, what] as const),
    100,
  ).join("\n");
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
