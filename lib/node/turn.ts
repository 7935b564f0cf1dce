/** A turn of a node: what it takes in, and what that decided. */
import type { Message } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Input } from "../replica.ts";

export type Reply = ((message: Message | undefined) => void) | undefined;

export interface Queued {
  readonly input: Input;
  readonly reply: Reply;
}

/** What waits for the batch. To go on with a long work does not. */
export type Effect = Exclude<Output, { readonly type: "continue" }>;

/** What was decided since the last batch was handed to the storage. */
export interface Turn {
  readonly inputs: Queued[];
  readonly outputs: [Effect, Reply][];
  operations: number;
}

export function newTurn(): Turn {
  return { inputs: [], outputs: [], operations: 0 };
}

/** Steps of milliseconds: pages of a repair, asked for or merged, and slices of the work after them. */
export function isLong(input: Input): boolean {
  if (input.type === "continue") return true;
  return input.type === "message" && (input.message.kind === "repair-request" || input.message.kind === "repair-answer");
}
