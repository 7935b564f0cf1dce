/**
 * A turn: the inputs that share a batch, and what was decided of them. And the pace of turns: when what has come is worth a batch.
 *
 * A node that lets all inputs of one look at the sockets gather has one batch of everybody: fifty clients are read, then all wait for the
 * disk while the processor has nothing to do, then all are answered while the disk has nothing to do. So a turn is ripe as soon as
 * gathering has taken half as long as the last batch took to become durable: then the disk writes some of the clients while the processor
 * reads the others. Where gathering is quicker than that (few clients, or a slow disk) nothing is split, because every batch has its
 * price whatever it holds.
 *
 * Half, because those who wait for a batch are told of the one before when it is handed over: they come back only after that, so that
 * in this very rhythm gathering is always shorter than the batch. With the whole of it the disk did nothing for a quarter of the time.
 */
import type { Output } from "../core/output.ts";
import type { Clock } from "../core/ports.ts";
import type { Message } from "../core/message.ts";
import type { Input } from "../replica.ts";

export type Reply = ((message: Message | undefined) => void) | undefined;

export interface Queued {
  readonly input: Input;
  readonly reply: Reply;
}

/** What waits for the batch. To go on with a long work does not. */
export type Effect = Exclude<Output, { readonly type: "continue" | "again" }>;

/** What was decided since the last batch was handed to the storage. */
export interface Turn {
  readonly inputs: Queued[];
  readonly outputs: [Effect, Reply][];
  operations: number;
}

export function newTurn(): Turn {
  return { inputs: [], outputs: [], operations: 0 };
}

/** Inputs of one turn: bounds the turn and the batch. */
export const TURN_INPUTS_MAX = 1_024;

/** Operations of one turn: a bulk request of thousands is a turn of its own. */
const TURN_OPERATIONS_MAX = 8_192;

/** Rows of one batch after which no more inputs join it: handing them to the storage takes about two microseconds each, in one go. */
const TURN_ROWS_MAX = 4_096;

/** Whether another input may join the turn, whose changes take so many rows already. */
export function hasRoom({ inputs, operations }: Turn, pendingRows: number): boolean {
  return inputs.length < TURN_INPUTS_MAX && operations < TURN_OPERATIONS_MAX && pendingRows < TURN_ROWS_MAX;
}

/** Steps of milliseconds: pages of a repair, asked for or merged, slices of the work after them, and of a scrub, which goes on by ticks too. */
export function isLong(input: Input): boolean {
  if (input.type === "continue" || input.type === "tick" || input.type === "scrub-slice") return true;
  return input.type === "message" && (input.message.kind === "repair-request" || input.message.kind === "repair-answer");
}

/** Whether to hand so many rows to the storage takes milliseconds too. */
export function isLongBatch(rows: number): boolean {
  return rows >= LONG_BATCH_ROWS;
}

/** Two milliseconds, and three more for what they replace: less is not worth another look at the sockets. */
const LONG_BATCH_ROWS = 1_024;

/** Of the time that the last batch took. */
const GATHER_SHARE = 0.5;

/** Inputs gather at least this long before they become a batch out of turn: in memory a batch takes no time, and has a price all the same. */
const GATHER_MS_MIN = 0.5;

export class Pace {
  readonly #clock: Clock;
  #handedMs = 0;
  #tookMs = 0;
  #gatheringMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The first input of a turn has come. */
  beginGathering(): void {
    this.#gatheringMs = this.#clock.now().monotonicMs;
  }

  handedOver(): void {
    this.#handedMs = this.#clock.now().monotonicMs;
  }

  becameDurable(): void {
    this.#tookMs = this.#clock.now().monotonicMs - this.#handedMs;
  }

  /** Gathering has taken its share of the time. */
  get isRipe(): boolean {
    return this.#clock.now().monotonicMs - this.#gatheringMs >= Math.max(this.#tookMs * GATHER_SHARE, GATHER_MS_MIN);
  }
}
