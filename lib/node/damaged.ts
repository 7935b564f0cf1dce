/** What is said when a store contradicts its entries: the node stops, and its next start rebuilds the store. */
import { ConcordError } from "../core/errors.ts";

export function damaged(problem: string): ConcordError {
  return new ConcordError(
    "damaged",
    `the store does not agree with its entries (${problem}); start the node again, and it is rebuilt from them`,
  );
}
