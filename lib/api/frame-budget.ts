/**
 * How much memory the messages of peers may take while they wait: a frame of two hundred kilobytes can hold sixty thousand entries, and as
 * objects they take eighty times as much. One message is always taken, or a large one never would be.
 */
import type { Context } from "../core/context.ts";
import { claimedKind } from "../core/frame.ts";
import type { Message } from "../core/message.ts";
import { CLOSE, Refusal, RETRY } from "./answer.ts";

/** Some forty pushes of the usual size, which take half a megabyte each when they are decoded. */
const HELD_BYTES_MAX = 24 * 1024 * 1024;

/** A request of a repair that is larger than this names gaps by the ten thousand: one at a time. */
const HEAVY_BYTES = 128 * 1024;

/** What the parts of a message take in memory, measured on Node 20. */
const [ENTRY_BYTES, DOT_BYTES, IDENTITY_BYTES, RANGE_BYTES] = [300, 56, 200, 16];

/** A cell of a sketch that is asked for: twelve bytes that are copied, folded, encoded and put into a frame, and lie about until they are collected. */
const CELL_BYTES = 128;

export class FrameBudget {
  #held = 0;
  #heavy = 0;

  /** Before a frame is decoded. Returns what to call when it is answered. Throws Refusal. */
  enter(frame: Uint8Array): () => void {
    const isHeavy = frame.length > HEAVY_BYTES && claimedKind(frame) === "repair-request";
    if (!isHeavy) return () => undefined;
    if (this.#heavy > 0) throw busy();
    this.#heavy++;
    return () => void this.#heavy--;
  }

  /** Keeps room for a message while it is worked on. Throws Refusal. */
  async hold<T>(message: Message, frameBytes: number, work: () => Promise<T>): Promise<T> {
    const bytes = frameBytes + weightOf(message);
    if (this.#held > 0 && this.#held + bytes > HELD_BYTES_MAX) throw busy();
    this.#held += bytes;
    try {
      return await work();
    } finally {
      this.#held -= bytes;
    }
  }
}

function busy(): Refusal {
  return new Refusal(503, "too many messages at once; try again", { ...CLOSE, ...RETRY });
}

function weightOf(message: Message): number {
  switch (message.kind) {
    case "push":
      return weightOfContext(message.context) + message.entries.reduce((sum, { gone }) => sum + ENTRY_BYTES + gone.length * DOT_BYTES, 0);
    case "repair-request":
      return weightOfContext(message.seen) + weightOfContext(message.wanted) + message.cells * CELL_BYTES;
    default:
      return 0;
  }
}

function weightOfContext(context: Context | undefined): number {
  if (context === undefined) return 0;
  const { incarnationCount, exceptionCount } = context;
  return incarnationCount * IDENTITY_BYTES + exceptionCount * RANGE_BYTES;
}
