/**
 * `concord put`, `get`, `del` and `ls`: a node's keys from the command line, made for scripts as much as for people. Results go
 * to standard output and nothing else does; whether a key was there is the exit code.
 */
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createCommand, type Terminal } from "./command.ts";
import { EXIT, Failure, usageFailure } from "./exit.ts";
import { printable, writeAll } from "./terminal.ts";

const KEY = { type: "positional", required: true, description: "The key." } as const;

export const put = createCommand({
  name: "put",
  summary: "writes a value",
  details: [
    'A VALUE that is JSON is stored as that JSON: 42 is a number, true a boolean, {"a":1} an object. Anything else is stored as a ' +
      "string; with --string, everything is. Without a VALUE, or with -, it is read from standard input, less one line break at its end.",
    "OK means that the value is safe on the disk of the node that was asked, which hands it on to the others.",
  ],
  args: {
    key: KEY,
    value: { type: "positional", required: false, description: "JSON, or any text." },
    string: { type: "boolean", description: "Stores the VALUE as a string, also when it is JSON." },
    json: { type: "boolean", description: "Prints the node's receipt as JSON instead of OK." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord put hello world", 'stores the string "world"'],
    ["concord put answer 42", "stores a number"],
    ["concord put zip 01234 --string", "stores a string of digits"],
    ["concord put readme < README.md", "stores a file"],
  ],
  async run({ key, value, string, json, ...asking }, terminal) {
    const text = value === undefined || value === "-" ? await readStdin(terminal, value) : value;
    const receipt = await withClient(asking, (client) => client.putText(key, string || !isJson(text) ? JSON.stringify(text) : text));
    terminal.stdout.write(json ? `${JSON.stringify(receipt)}\n` : "OK\n");
    return EXIT.done;
  },
});

export const get = createCommand({
  name: "get",
  summary: "reads a value",
  details: ["Prints a string as it is and anything else as JSON; with --json, a string as JSON too. Exit code 1: the key is not there."],
  args: { key: KEY, json: { type: "boolean", description: "Prints the value as JSON, whatever it is." }, ...CLIENT_FLAGS },
  examples: [
    ["concord get hello", "prints world"],
    ["concord get hello --json", 'prints "world"'],
    ["concord get hello --node=http://localhost:8003", "asks another node"],
    ["concord get hello --node=https://localhost:8001 --tls-ca=certs/ca.crt --token-file=tokens", "asks one that is guarded"],
  ],
  async run({ key, json, ...asking }, { stdout }) {
    const text = await withClient(asking, (client) => client.getText(key));
    if (text === undefined) throw missing(key);
    const plain = json || !text.startsWith('"') ? text : (JSON.parse(text) as string);
    await writeAll(stdout, `${stdout.isTTY === true ? printable(plain, { keepLines: true }) : plain}\n`);
    return EXIT.done;
  },
});

export const del = createCommand({
  name: "del",
  summary: "deletes a key",
  details: [
    "A deletion reaches the other nodes as a write does, and is not undone by a node that was away. Exit code 1: the key is not there.",
  ],
  args: { key: KEY, json: { type: "boolean", description: "Prints JSON instead of OK." }, ...CLIENT_FLAGS },
  examples: [["concord del hello", "deletes it everywhere"]],
  async run({ key, json, ...asking }, { stdout }) {
    const deleted = await withClient(asking, (client) => client.delete(key));
    if (!deleted) throw missing(key);
    stdout.write(json ? `${JSON.stringify({ key, deleted })}\n` : "OK\n");
    return EXIT.done;
  },
});

export const ls = createCommand({
  name: "ls",
  summary: "lists the keys",
  details: [
    "One line a key, in the order of their bytes, as they come from the node: a store of any size can be listed. " +
      "Control characters in a key are shown as escapes; --json prints each line as JSON, which is exact.",
  ],
  args: {
    values: { type: "boolean", description: "Prints the value as JSON after each key, with a tab between them." },
    json: { type: "boolean", description: "Each line is JSON: the key as a string, with --values an object of key and value." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord ls", "all keys"],
    ["concord ls | head", "the first ten"],
    ["concord ls --values --json > backup.jsonl", "everything, a pair a line"],
  ],
  async run({ values, json, ...asking }, { stdout }) {
    await withClient(asking, async (client) => {
      let lines = "";
      for await (const { key, text } of client.entries()) {
        const name = json ? JSON.stringify(key) : printable(key);
        if (!values) lines += `${name}\n`;
        else lines += json ? `{"key":${name},"value":${text}}\n` : `${name}\t${text}\n`;
        if (lines.length < CHUNK_CHARS) continue;
        await writeAll(stdout, lines);
        lines = "";
      }
      await writeAll(stdout, lines);
    });
    return EXIT.done;
  },
});

/** Lines that are written at once: few enough writes, and the first of them soon. */
const CHUNK_CHARS = 32 * 1024;

/** More than a node takes: its own refusal then says what the limit is. */
const STDIN_BYTES_MAX = 64 * 1024 * 1024;

function missing(key: string): Failure {
  return new Failure(EXIT.keyMissing, `key not found: ${printable(key)}`);
}

async function readStdin({ stdin }: Terminal, value: string | undefined): Promise<string> {
  const lacking = usageFailure("the VALUE is missing: write it after the key, or pipe it in");
  if (value === undefined && stdin.isTTY === true) throw lacking;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    bytes += chunk.length;
    if (bytes > STDIN_BYTES_MAX) throw new Failure(EXIT.usage, `standard input holds more than ${STDIN_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  // Nobody means the nothing that a job without a terminal is given; whoever does writes a dash.
  if (value === undefined && bytes === 0) throw lacking;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks)).replace(/\r?\n$/, "");
  } catch {
    throw new Failure(EXIT.usage, "standard input is not valid UTF-8; a value is text or JSON");
  }
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
