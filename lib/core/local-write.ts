/**
 * What a client's write becomes under the merge policy of its key: what it replaces, and what is stored for it.
 *
 * Usually the value as it is, in place of what its writer had seen. Under a policy that merges values (policy.ts) it is what this replica holds and the
 * value together, in place of all that this replica holds: nothing is lost by that, since what the writer had not read stays in it.
 */
import type { LocalWrite } from "./change.ts";
import { dotsOf, isExpired, NO_SIBLINGS, remove, type Siblings } from "./entry.ts";
import { includesDot, type Dot } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import type { EntryKey } from "./layout.ts";
import { canMerge, increment, incrementProblem, policyProblem, stored, takesUpAll, type Stored } from "./policy.ts";
import { policyHeld } from "./policy/held.ts";
import type { Policies, PolicyName } from "./policy/names.ts";
import { checkMergingRoom, checkRoom } from "./room.ts";
import type { Stamp } from "./time.ts";

/** One write, and what it meets. */
export interface Landing {
  readonly policies: Policies;
  readonly key: EntryKey;
  readonly before: Siblings;
  readonly input: LocalWrite;
  readonly nowMs: number;
}

/** What the write replaces. */
export function replacedBy(landing: Landing): readonly Dot[] {
  const { before, input } = landing;
  if (input.observed === undefined) return dotsOf(before);
  const policy = mergingPolicy(landing);
  if (policy === undefined) return input.observed;
  // What the policy cannot merge stays beside it, unless its writer has seen it.
  const others = before.filter((sibling) => !includesDot(input.observed!, sibling.dot) && canMerge(policy, sibling));
  return [...input.observed, ...dotsOf(others)];
}

/** What is stored for it. The dot and the stamp are its own. */
export function contentOf(landing: Landing, dot: Dot, stamp: Stamp): Stored {
  const { before, input, nowMs } = landing;
  const policy = mergingPolicy(landing);
  if (policy === undefined) return input;
  const held = unexpired(before, nowMs);
  if (input.increment !== undefined) return increment(held, dot, input.increment);
  const { contentType, value, observed } = input;
  return stored(policy, { contentType, value, held, read: observed, dot, stamp });
}

/** Throws `invalid` or `too-large` when the key cannot take this write. `alongside`: what the same request adds to it before. */
export function checkWrite(landing: Landing, alongside: readonly Uint8Array[] = []): void {
  const { before, input, nowMs } = landing;
  const held = unexpired(before, nowMs);
  const problem = input.increment === undefined ? undefined : incrementProblem(held, input.increment);
  if (problem !== undefined) throw new ConcordError("invalid", problem);
  if (mergingPolicy(landing) !== undefined) checkMergingRoom(held, input.value, alongside);
  else checkRoom(input.observed === undefined ? NO_SIBLINGS : remove(before, input.observed), input.value, alongside);
}

/** Whether several writes of one request pile up in the key. */
export function pilesUp(landing: Landing): boolean {
  return landing.input.observed !== undefined || mergingPolicy(landing) !== undefined;
}

/** The policy by which the write and what is held become one; undefined when the value is stored as it is. */
function mergingPolicy({ policies, key, before, input, nowMs }: Landing): PolicyName | undefined {
  if (input.increment !== undefined) return "counter";
  if (input.isStored === true) return undefined;
  const configured = policies.of(key);
  // A value that was incremented goes on being counted, whatever this node was started with.
  const policy = takesUpAll(configured) ? configured : policyHeld(unexpired(before, nowMs));
  return policy === undefined || policyProblem(policy, input) !== undefined ? undefined : policy;
}

function unexpired(siblings: Siblings, nowMs: number): Siblings {
  return siblings.some((sibling) => isExpired(sibling, nowMs)) ? siblings.filter((sibling) => !isExpired(sibling, nowMs)) : siblings;
}
