#!/usr/bin/env node
/**
 * The root of the command line, and the only place that ends the process.
 *
 * Commands are loaded when they are called, so that help and a mistyped flag are answered at once. A failure is one line on standard
 * error and an exit code (exit.ts); a fault of ours shows its stack, because somebody has to find it.
 */
import { createRequire } from "node:module";
import type { Command, Terminal } from "./command.ts";
import { EXIT, Failure } from "./exit.ts";
import { definitions } from "./help.ts";
import { suggest } from "./suggest.ts";
import { createPaint } from "./terminal.ts";

interface Listed {
  readonly summary: string;
  /** Runs until it is told to stop: it does not end with the reader of its output. */
  readonly stays?: boolean;
  load(): Promise<Command>;
}

const commands: Readonly<Record<string, Listed>> = {
  up: { summary: "a local cluster in one command", stays: true, load: async () => (await import("./up.ts")).up },
  serve: { summary: "one node", stays: true, load: async () => (await import("./serve.ts")).serve },
  put: { summary: "writes a value", load: async () => (await import("./kv.ts")).put },
  get: { summary: "reads a value", load: async () => (await import("./kv.ts")).get },
  del: { summary: "deletes a key", load: async () => (await import("./kv.ts")).del },
  ls: { summary: "lists the keys", load: async () => (await import("./kv.ts")).ls },
  conflicts: { summary: "lists the keys that hold several values", load: async () => (await import("./conflicts.ts")).conflicts },
  resolve: { summary: "settles a key that holds several values", load: async () => (await import("./conflicts.ts")).resolve },
  why: { summary: "why a key shows what it shows", load: async () => (await import("./why.ts")).why },
  console: { summary: "a node with a prompt", stays: true, load: async () => (await import("./console.ts")).consoleCommand },
  watch: { summary: "prints what changes, as it happens", load: async () => (await import("./watch.ts")).watch },
  status: { summary: "a node, its peers, and whether they hold the same", load: async () => (await import("./status.ts")).status },
  keygen: { summary: "makes a cluster key, or tokens for clients", load: async () => (await import("./keygen.ts")).keygen },
  certs: { summary: "makes a CA and certificates for nodes", load: async () => (await import("./certs.ts")).certs },
  repair: {
    summary: "repairs a node from a peer now, or tells what that would do",
    load: async () => (await import("./repair.ts")).repair,
  },
  scrub: {
    summary: "has a node read all that it has stored, and put right what its disk has damaged",
    load: async () => (await import("./scrub.ts")).scrub,
  },
  simulate: {
    summary: "looks for broken promises in simulated clusters",
    load: async () => (await import("./simulate.ts")).simulateCommand,
  },
};

const HELP: ReadonlySet<string> = new Set(["--help", "-h", "-help", "help"]);
const VERSION: ReadonlySet<string> = new Set(["--version", "-v", "-version", "version"]);

const terminal: Terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  exit: (exitCode) => process.exit(exitCode),
};

async function main(argv: readonly string[]): Promise<number> {
  const [first, second] = argv;
  if (first === undefined) {
    terminal.stderr.write(renderRootHelp());
    return EXIT.usage;
  }
  if (VERSION.has(first)) {
    terminal.stdout.write(`${versionOf()}\n`);
    return EXIT.done;
  }
  if (HELP.has(first)) {
    if (second === undefined) {
      terminal.stdout.write(renderRootHelp());
      return EXIT.done;
    }
    return runCommand(second, ["--help"]);
  }
  return runCommand(first, argv.slice(1));
}

async function runCommand(name: string, argv: readonly string[]): Promise<number> {
  const listed = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (listed === undefined) throw unknownCommand(name);
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      // The reader has had enough: `concord ls | head`.
      if (error.code === "EPIPE" && listed.stays !== true) process.exit(EXIT.done);
    });
  }
  const command = await listed.load();
  return command.run(argv, terminal);
}

function unknownCommand(name: string): Failure {
  const near = suggest(name, [...Object.keys(commands), "help", "version"]);
  const what = name.startsWith("-") ? `unknown flag ${name}: a command comes first` : `unknown command ${JSON.stringify(name)}`;
  const advice = near === undefined ? `there are ${Object.keys(commands).join(", ")}` : `did you mean ${near}?`;
  return new Failure(EXIT.usage, `${what}; ${advice}`, { seeHelp: true });
}

function renderRootHelp(): string {
  const paint = createPaint(process.stdout);
  const rows = Object.entries(commands).map(([name, { summary }]) => [name, summary] as const);
  return [
    `${paint("cyan", "concord")}: a replicated key-value store whose nodes ping each other, compare one hash, and repair what differs`,
    "",
    paint("bold", "Usage"),
    "  concord COMMAND [flags]",
    "",
    paint("bold", "Commands"),
    ...definitions(rows, 100),
    "",
    "concord COMMAND --help shows a command's flags, with examples; concord --version the version.",
    "",
    paint("bold", "To begin"),
    `  ${paint("gray", "# three nodes on this machine, and what to try with them")}`,
    "  concord up",
    `  ${paint("gray", "# the same in a clone of the repository, where concord is: node --import=tsx cmd/main.ts")}`,
    "  npm start",
    "",
    "Exit codes: 0 done, 1 key not there (simulate: a promise broken; scrub: values lost), 2 wrong call, 3 node not reachable or it refused, 4 storage failed.",
    "",
  ].join("\n");
}

/** The package names itself, from the source and from dist alike. */
function versionOf(): string {
  const { version } = createRequire(import.meta.url)("concord/package.json") as { readonly version: string };
  return version;
}

/** One line, whatever is in the message. */
function report(error: unknown, name: string | undefined): number {
  const known = name !== undefined && Object.hasOwn(commands, name);
  const prefix = known ? `concord ${name}` : "concord";
  if (!(error instanceof Failure)) {
    terminal.stderr.write(
      `${prefix}: this should not have happened: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return EXIT.bug;
  }
  const help = error.seeHelp ? ` (${prefix} --help)` : "";
  terminal.stderr.write(`${createPaint(process.stderr)("red", `${prefix}:`)} ${error.message.replace(/\s*\n\s*/g, " ")}${help}\n`);
  return error.exitCode;
}

const argv = process.argv.slice(2);
const exitCode = await main(argv).catch((error: unknown) => report(error, argv[0]));
// What is still open (a timer, a kept connection) must not keep the process.
process.stdout.write("", () => process.exit(exitCode));
