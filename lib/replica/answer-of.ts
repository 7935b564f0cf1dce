/** The answers to peers' repair requests, whichever rung they ask for: each is made within one turn or in several. */
import { ConcordError } from "../core/errors.ts";
import type { RepairAnswer, RepairRequest } from "../core/message.ts";
import { weight } from "../core/relative-context.ts";
import type { Store } from "../core/store.ts";
import { Answering, type AnswerOptions } from "../repair/answer.ts";
import { sketchAnswerSteps } from "../repair/sketch-answer.ts";
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

/** Answers that are made in several turns at once, for different peers; those to further ones are as small as one turn. Each holds a page. */
const IN_STEPS_MAX = 4;

/** Doubled with each turn until it is what the options say. */
const FIRST_STEP_MAX = 64;

/** The work of one turn, of about so many rows. */
type Begun = (stepMax: number) => RepairAnswer | undefined;

export class Answers {
  readonly #store: Store;
  readonly #sketches: Sketches;
  readonly #options: AnswerOptions;
  /** Those that have begun and are not finished. */
  readonly #begun = new Map<RepairRequest, Begun>();
  /** Rows of the next turn's work: few at first, because code that has not run yet takes ten times as long. */
  #stepMax: number;

  constructor(store: Store, sketches: Sketches, options: AnswerOptions) {
    this.#store = store;
    this.#sketches = sketches;
    this.#options = options;
    this.#stepMax = Math.min(FIRST_STEP_MAX, options.answerStepMax);
  }

  hasBegun(request: RepairRequest): boolean {
    return this.#begun.has(request);
  }

  /** Dots have left the context: what was begun would still claim to have seen them. It is begun anew. */
  abandon(): void {
    this.#begun.clear();
  }

  /** The work of one turn on the answer to this request. Undefined when it is to be called again; an error says why there is no answer. */
  step(request: RepairRequest): RepairAnswer | ConcordError | undefined {
    const begun = this.#begun.get(request);
    this.#begun.delete(request);
    const stepMax = this.#stepMax;
    this.#stepMax = Math.min(2 * stepMax, this.#options.answerStepMax);
    try {
      const inSteps = this.#begun.size < IN_STEPS_MAX;
      const step = begun ?? this.#begin(request, inSteps);
      for (;;) {
        const answer = step(stepMax);
        if (answer !== undefined) return answer;
        if (inSteps) return void this.#begun.set(request, step);
      }
    } catch (error) {
      if (error instanceof ConcordError) return error;
      throw error;
    }
  }

  #begin(request: RepairRequest, inSteps: boolean): Begun {
    if (request.sketch === undefined) {
      const answering = new Answering(this.#store, request, this.#sketches, this.#options, inSteps);
      return (stepMax) => answering.step(stepMax);
    }
    const steps = sketchAnswerSteps(this.#store, this.#sketches, request, request.sketch, this.#options.answerStepMax);
    return () => steps.next().value;
  }
}
