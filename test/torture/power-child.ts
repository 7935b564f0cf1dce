/** Starts a node on one image after the other and says what it holds, a line of JSON each; a process of its own, because an image may kill it. */
import { createInterface } from "node:readline";
import { ConcordError } from "../../lib/core/errors.ts";
import { startNode } from "../../lib/serve.ts";

export interface ImageTask {
  readonly folder: string;
  readonly keys: readonly string[];
}

export interface ImageReport {
  /** Why the node does not start; undefined when it does. */
  readonly refused: string | undefined;
  /** What was logged as a warning or an error. */
  readonly warnings: readonly string[];
  /** In the order of the task's keys; null where there is nothing. */
  readonly values: readonly (string | null)[];
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await look(JSON.parse(line) as ImageTask))}\n`);
}
process.exit(0);

async function look({ folder, keys }: ImageTask): Promise<ImageReport> {
  const warnings: string[] = [];
  const log = { write: (level: string, text: string) => void (/warn|error/.test(level) && warnings.push(text)) };
  try {
    const node = await startNode({ port: 0, name: "node", folder, peers: [], log, createTicker: () => ({ stop: () => undefined }) });
    const values = keys.map((key) => {
      const value = node.kv.get(key);
      return value === undefined ? null : (JSON.parse(Buffer.from(value.value).toString("utf8")) as string);
    });
    await node.stop();
    return { refused: undefined, warnings, values };
  } catch (error) {
    if (!(error instanceof ConcordError)) throw error;
    return { refused: `${error.code}: ${error.message}`, warnings, values: [] };
  }
}
