/**
 * `concord watch`: what changes at a node, as it happens, a line an event, until it is told to stop. A connection that breaks is
 * opened again and goes on where it was; where that cannot be, the line `reset` says so.
 */
import type { WatchEvent } from "../lib/client.ts";
import { CLIENT_FLAGS, withClient } from "./client.ts";
import { createCommand } from "./command.ts";
import { EXIT } from "./exit.ts";
import { createPaint, printable, writeAll, type Colour, type Paint } from "./terminal.ts";

const COLOURS: Readonly<Record<WatchEvent["kind"], Colour>> = { put: "green", delete: "red", expire: "yellow", reset: "magenta" };

/** More of a value does not fit a line; --json prints all of it. */
const SHOWN_CHARS_MAX = 200;

export const watch = createCommand({
  name: "watch",
  summary: "prints what changes, as it happens",
  details: [
    "One line an event: put, delete or expire, the key, and for a put its value. It begins with what changes from now on; ls lists what is there.",
    "When the connection breaks it is opened again, and what came in between is printed then. When the node no longer knows what that was " +
      "(it was started again, or too much has happened), the line says reset.",
  ],
  args: {
    prefix: { type: "string", valueHint: "user/", default: "", description: "Only keys that begin with it." },
    json: { type: "boolean", description: "Each line is JSON: kind, id, key, token, and for a put value, etag and more." },
    ...CLIENT_FLAGS,
  },
  examples: [
    ["concord watch", "everything"],
    ["concord watch --prefix=user/ --json", "the keys of users, for a program"],
  ],
  async run({ prefix, json, ...asking }, { stdout, stderr }) {
    const paint = createPaint(stdout);
    await withClient(asking, async (client) => {
      const onBreak = (): void => void stderr.write("concord watch: the connection broke; trying again\n");
      for await (const event of client.watch({ prefix, onBreak })) {
        await writeAll(stdout, `${json ? jsonLine(event) : textLine(event, paint)}\n`);
      }
    });
    return EXIT.done;
  },
});

function jsonLine({ kind, id, text }: WatchEvent): string {
  // Values keep their text, but a line is a line: JSON may be broken only where spaces are.
  return `{"kind":"${kind}","id":${JSON.stringify(id)},${text.slice(1).replace(/[\r\n]+/g, " ")}`;
}

function textLine({ kind, text }: WatchEvent, paint: Paint): string {
  const { key = "", value, contentType, bytes } = JSON.parse(text) as EventData;
  const name = paint(COLOURS[kind], kind.padEnd("expire".length));
  if (kind === "reset") return `${name}  what came in between is not known`;
  if (kind !== "put") return `${name}  ${printable(key)}`;
  const shown = contentType === undefined && value !== undefined ? JSON.stringify(value) : `${bytes} bytes of ${contentType ?? "JSON"}`;
  return `${name}  ${printable(key)}\t${printable(shown.length > SHOWN_CHARS_MAX ? `${shown.slice(0, SHOWN_CHARS_MAX)}…` : shown)}`;
}

interface EventData {
  readonly key?: string;
  readonly value?: unknown;
  readonly contentType?: string;
  readonly bytes?: number;
}
