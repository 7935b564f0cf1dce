/** The answer to a peer's repair request, whichever rung it asks for. */
import { ConcordError } from "../core/errors.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import { weight } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { answerRequest } from "../repair/answer.ts";
import type { LadderOptions } from "../repair/ladder.ts";
import { answerSketch } from "../repair/sketch-answer.ts";
import type { Sketches } from "../repair/sketches.ts";

/** About five thousand gaps: such a context comes from a store that was rebuilt from its entries. */
const HEAVY_CONTEXT_BYTES = 16 * 1024;

/**
 * An answer now would tell a context full of gaps, which the asker's own replaces as soon as this node has repaired from it. The asker has
 * seen all that is here; it will ask again, and be told the same in a hundred bytes. One that sends a sketch has such a context itself, and
 * is answered: else two of them would wait for each other.
 */
export function isBetterAnsweredLater({ context }: Store, { seen, sketch }: RepairRequest): boolean {
  return sketch === undefined && weight(context) > HEAVY_CONTEXT_BYTES && seen.covers(context) && !context.covers(seen);
}

/** Or why there is none. */
export function answerOf(store: Store, sketches: Sketches, request: RepairRequest, options: LadderOptions): RepairAnswer | ConcordError {
  try {
    if (request.sketch !== undefined) return answerSketch(store, sketches, request, request.sketch);
    return answerRequest(store, request, sketches, options);
  } catch (error) {
    if (error instanceof ConcordError) return error;
    throw error;
  }
}
