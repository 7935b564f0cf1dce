/**
 * `concord keygen`: a new cluster key, or tokens for clients, into a file that only its owner can read.
 */
import { writeFileSync } from "node:fs";
import { createClusterKey } from "../lib/auth/cluster-key.ts";
import { createToken } from "../lib/auth/tokens.ts";
import { createCommand } from "./command.ts";
import { EXIT, Failure } from "./exit.ts";

export const keygen = createCommand({
  name: "keygen",
  summary: "makes a cluster key, or tokens for clients",
  details: [
    "Writes a new FILE that only you can read; one that is there is never overwritten. All nodes of a cluster get the same key, each as --cluster-key-file. " +
      "With --tokens it makes a token that may read and one that may write as well, for --token-file.",
    "A key is changed without a stop, in three steps, each on all nodes before the next: the new key as second line of the file; the new one first; the old one gone. Nodes read " +
      "the file again by themselves.",
  ],
  args: {
    file: { type: "positional", required: true, description: "Where to write." },
    tokens: { type: "boolean", description: "Tokens instead of a cluster key." },
  },
  examples: [
    ["concord keygen cluster.key", "for --cluster-key-file of all nodes"],
    ["concord keygen --tokens tokens", "for --token-file of nodes and clients"],
  ],
  async run({ file, tokens }, { stdout }) {
    const text = tokens
      ? `# what clients show; ro reads, rw writes as well\nrw ${createToken()}\nro ${createToken()}\n`
      : `${createClusterKey()}\n`;
    try {
      writeFileSync(file, text, { mode: 0o600, flag: "wx" });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const why = code === "EEXIST" ? "is there already, and is not overwritten" : `cannot be written: ${String(code)}`;
      throw new Failure(EXIT.usage, `${file} ${why}`, { cause: error });
    }
    stdout.write(`${file}\n`);
    return EXIT.done;
  },
});
