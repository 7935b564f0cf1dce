/** A terminal for tests: what a command reads is given, what it writes is kept. */
import type { Command, Terminal } from "../../cmd/command.ts";
import { Failure } from "../../cmd/exit.ts";

export interface Run {
  readonly exitCode: number;
  readonly stdout: string;
  /** The message of the failure. */
  readonly failure: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Undefined is a terminal at which nobody types. */
  readonly stdin?: string | Uint8Array | undefined;
  readonly isTTY?: boolean;
}

export async function runCommand(
  command: Command,
  argv: readonly string[],
  { env = {}, stdin, isTTY = false }: RunOptions = {},
): Promise<Run> {
  let stdout = "";
  const output = {
    isTTY,
    write(text: string, done?: () => void) {
      stdout += text;
      done?.();
      return true;
    },
  };
  const terminal: Terminal = { stdin: inputOf(stdin), stdout: output, stderr: output, env, exit: () => undefined };
  try {
    return { exitCode: await command.run(argv, terminal), stdout, failure: "" };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return { exitCode: error.exitCode, stdout, failure: error.message };
  }
}

function inputOf(text: string | Uint8Array | undefined): Terminal["stdin"] {
  const bytes = Buffer.from(text ?? "");
  // In two pieces, as a pipe gives them.
  const pieces = [bytes.subarray(0, 1), bytes.subarray(1)].filter((piece) => piece.length > 0);
  return {
    isTTY: text === undefined,
    async *[Symbol.asyncIterator]() {
      yield* pieces;
    },
  };
}
