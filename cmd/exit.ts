/**
 * The exit codes, for scripts, and the one way in which a command says that it failed: a Failure with its code. cmd/main.ts prints the
 * message in one line on standard error; anything else that is thrown is a fault of ours and shows where it came from.
 */
import { ConcordError } from "../lib/core/errors.ts";

export const EXIT = {
  done: 0,
  /** get or del of a key that is not there; a scrub that leaves values which no peer has sent. */
  keyMissing: 1,
  /** A flag, a value, a port that is taken: what was typed cannot be done. */
  usage: 2,
  /** The node cannot be reached, or it refused. */
  refused: 3,
  /** The node had to stop: its storage failed or cannot be opened. */
  storage: 4,
  /** Told to stop twice, and did not finish what was under way (128 and SIGINT). */
  impatient: 130,
  /** A fault of this program (EX_SOFTWARE of sysexits.h). */
  bug: 70,
} as const;

export class Failure extends Error {
  readonly exitCode: number;
  /** Whether the command's help would have told. */
  readonly seeHelp: boolean;

  constructor(
    exitCode: number,
    message: string,
    { seeHelp = false, cause }: { readonly seeHelp?: boolean; readonly cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.name = "Failure";
    this.exitCode = exitCode;
    this.seeHelp = seeHelp;
  }
}

/** What was typed is not a way to call the command. */
export function usageFailure(message: string): Failure {
  return new Failure(EXIT.usage, message, { seeHelp: true });
}

/** How a node that does not start, or cannot go on, ends its process. */
export function nodeFailure(error: unknown): unknown {
  if (!(error instanceof ConcordError)) return error;
  return new Failure(error.code === "invalid" ? EXIT.usage : EXIT.storage, error.message, { cause: error });
}

/** How a client's request ends its process that was not answered, or refused. */
export function clientFailure(error: unknown): unknown {
  return error instanceof ConcordError ? new Failure(EXIT.refused, error.message, { cause: error }) : error;
}
