/** The answer to a peer's repair request, whichever rung it asks for. */
import { ConcordError } from "../core/errors.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import type { Store } from "../core/store.ts";
import { answerRequest } from "../repair/answer.ts";
import { answerSketch } from "../repair/sketch-answer.ts";
import type { Sketches } from "../repair/sketches.ts";

/** Or why there is none. */
export function answerOf(store: Store, sketches: Sketches, request: RepairRequest): RepairAnswer | ConcordError {
  try {
    return request.sketch === undefined ? answerRequest(store, request) : answerSketch(store, sketches, request, request.sketch);
  } catch (error) {
    if (error instanceof ConcordError) return error;
    throw error;
  }
}
