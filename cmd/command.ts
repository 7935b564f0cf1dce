/**
 * One command: its flags, its help and what it does, over citty, which parses what arguments.ts has put in order.
 *
 * A command answers with its exit code and ends the process never: only cmd/main.ts does.
 */
import { defineCommand, runCommand, type ArgsDef } from "citty";
import { normalise, type ArgumentRules, type Environment } from "./arguments.ts";
import { renderHelp, type HelpText } from "./help.ts";
import type { Output } from "./terminal.ts";

/** What a command may touch of the process. */
export interface Terminal {
  readonly stdin: AsyncIterable<Uint8Array> & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Environment;
  /** Ends the process at once. */
  readonly exit: (exitCode: number) => void;
}

/** The values of the flags and of what stands without a flag. */
export type Values<T extends ArgsDef> = {
  readonly [K in keyof T]: T[K] extends { readonly type: "boolean" }
    ? boolean
    : T[K] extends { readonly required: true } | { readonly default: string }
      ? string
      : string | undefined;
};

export interface CommandOptions<T extends ArgsDef> extends ArgumentRules, Omit<HelpText, "args"> {
  readonly args: T;
  run(values: Values<T>, terminal: Terminal): Promise<number>;
}

export interface Command {
  /** Takes what follows the command's name; resolves with the exit code. */
  run(argv: readonly string[], terminal: Terminal): Promise<number>;
}

export function createCommand<const T extends ArgsDef>(options: CommandOptions<T>): Command {
  return {
    async run(argv, terminal) {
      const { help, argv: rawArgs } = normalise(argv, options, terminal.env);
      if (help) {
        terminal.stdout.write(renderHelp(options, terminal.stdout));
        return 0;
      }
      let exitCode = 0;
      const command = defineCommand({
        args: options.args,
        run: async ({ args }) => {
          exitCode = await options.run(valuesOf(options.args, args), terminal);
        },
      });
      await runCommand(command, { rawArgs: [...rawArgs] });
      return exitCode;
    },
  };
}

/** citty's types promise a value for every flag, and leave a missing boolean undefined. */
function valuesOf<T extends ArgsDef>(definitions: T, parsed: Readonly<Record<string, unknown>>): Values<T> {
  const entries = Object.entries(definitions).map(([name, { type }]) => [name, type === "boolean" ? parsed[name] === true : parsed[name]]);
  return Object.fromEntries(entries) as Values<T>;
}
