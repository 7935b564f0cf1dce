/**
 * `concord console`: a node with a prompt in the same process, or a prompt onto a node that runs elsewhere.
 *
 * From a terminal there is a prompt, with history and completion; from a pipe only the answers are written, a line a command, so that a
 * program can read them. The end of the input is the end of the console.
 */
import { createInterface, type Interface } from "node:readline";
import { createCommand, type Terminal, type Values } from "./command.ts";
import { complete, execute, type Backend } from "./console/commands.ts";
import { backendOfClient, backendOfNode } from "./console/backends.ts";
import { EXIT, Failure, nodeFailure, usageFailure } from "./exit.ts";
import { withClient } from "./client.ts";
import { readOptions, SERVE_ARGS } from "./serve.ts";
import { listenForStop } from "./signals.ts";

const args = {
  ...SERVE_ARGS,
  port: { ...SERVE_ARGS.port, required: false },
  peers: { ...SERVE_ARGS.peers, required: false, default: "", description: "The other nodes, with commas between them." },
  "cli-only": { type: "boolean", description: "Leaves the node's log out." },
  node: { type: "string", valueHint: "URL", description: "A prompt onto this node instead of a node of its own." },
} as const;

export const consoleCommand = createCommand({
  name: "console",
  summary: "a node with a prompt",
  details: [
    "Starts a node as serve does, with its data in a folder, and takes commands: put KEY VALUE (or set), get KEY, delete KEY, nodes, help, exit (or quit, " +
      "sair). A value may hold spaces; JSON is stored as JSON, anything else as a string. The vector clock names each node that wrote what the key holds, and " +
      "the number of its write.",
    "On a terminal there is history, and the tab key completes commands and keys. From a pipe it reads a command a line, without a prompt, and ends with the input.",
  ],
  args,
  conflicts: [["data", "memory"]],
  lists: ["peers", "merge", "allow-origin"],
  examples: [
    ["concord console --port=8081 --id=node1 --cli-only", "a node alone, its data in data/node1"],
    ["concord console --port=8082 --id=node2 --peers=http://localhost:8081", "a second one, which finds the first"],
    ["concord console --node=http://localhost:8001", "a prompt onto a node that runs"],
    ["echo 'get hello' | concord console --node=http://localhost:8001", "from a pipe"],
  ],
  run: runConsole,
});

async function runConsole(values: Values<typeof args>, terminal: Terminal): Promise<number> {
  if (values.node !== undefined) {
    if (values.port !== undefined) throw usageFailure("--node asks a node that runs, and --port starts one: leave one of them out");
    return withClient({ ...values, node: values.node }, async (client) => {
      const { name } = await client.status();
      return converse(backendOfClient(client, name), terminal);
    });
  }
  const { port } = values;
  if (port === undefined) throw usageFailure("--port is missing: add --port=8081, or --node=URL for a node that runs");
  return withOwnNode({ ...values, port }, terminal);
}

async function withOwnNode(values: Values<typeof args> & { readonly port: string }, terminal: Terminal): Promise<number> {
  let prompt: Interface | undefined;
  // A line of the log goes above the line that is being typed, which is drawn again below it.
  const stream = {
    isTTY: terminal.stdout.isTTY === true,
    write(text: string): void {
      const isTyping = prompt !== undefined && terminal.stdout.isTTY === true;
      terminal.stdout.write(isTyping ? `\r\u001b[K${text}` : text);
      if (isTyping) prompt?.prompt(true);
    },
  };
  const { startNode } = await import("../lib/serve.ts");
  const options = { ...readOptions(values), log: { silent: values["cli-only"], stream } };
  const node = await startNode(options).catch((error: unknown) => {
    throw nodeFailure(error);
  });
  try {
    const failed = node.failed.then((error): never => {
      throw new Failure(EXIT.storage, `the node has stopped: ${error.message}`, { cause: error });
    });
    return await Promise.race([failed, converse(backendOfNode(node), terminal, (opened) => (prompt = opened))]);
  } finally {
    prompt = undefined;
    await node.stop();
  }
}

/** Until the input ends, somebody types exit, or a signal comes. Commands are carried out one after the other. */
async function converse(
  backend: Backend,
  { stdin, stdout, stderr, exit }: Terminal,
  onOpen?: (prompt: Interface) => void,
): Promise<number> {
  const isTyped = stdin.isTTY === true && stdout.isTTY === true;
  const input = stdin as unknown as NodeJS.ReadableStream;
  const output = stdout as unknown as NodeJS.WritableStream;
  const completer = (line: string, done: (error: null, found: [string[], string]) => void): void => {
    void complete(backend, line).then((found) => done(null, found));
  };
  const prompt = createInterface({ input, prompt: "> ", ...(isTyped ? { output, completer, terminal: true } : { terminal: false }) });
  onOpen?.(prompt);
  const stop = listenForStop(() => {
    stderr.write("concord console: stopped at once; what was acknowledged is safe\n");
    exit(EXIT.impatient);
  });
  void stop.asked.then(() => prompt.close());
  prompt.on("SIGINT", () => prompt.close());
  try {
    if (isTyped) prompt.prompt();
    for await (const line of prompt) {
      const answer = await execute(backend, line);
      if (answer.text !== "") stdout.write(`${answer.text}\n`);
      if (answer.ends) return EXIT.done;
      if (isTyped) prompt.prompt();
    }
    if (isTyped) stdout.write("\nExiting...\n");
    return EXIT.done;
  } finally {
    prompt.close();
    stop.dispose();
  }
}
