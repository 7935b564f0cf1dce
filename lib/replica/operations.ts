/**
 * A client's operations: judged all together before the first one changes anything, then carried out one by one, in one step.
 *
 * So a condition has no race on this node: what it was judged against is what the operation meets. Conditions of a batch are judged
 * against what the node held before the batch.
 */
import type { Change } from "../core/change.ts";
import { isMet, unmetText } from "../core/condition.ts";
import type { Dot } from "../core/dot.ts";
import { byPick, isExpired, type Siblings } from "../core/entry.ts";
import { ConcordError } from "../core/errors.ts";
import type { EntryKey } from "../core/layout.ts";
import { checkWrite, pilesUp } from "../core/local-write.ts";
import { asMergeable } from "../core/policy.ts";
import { checkIdentityRoom, SIBLINGS_WRITE_MAX } from "../core/room.ts";
import type { Store } from "../core/store.ts";
import type { Operation } from "./input.ts";

/** What one operation did, whatever number of dots it took. */
export interface Applied {
  readonly key: EntryKey;
  readonly before: Siblings;
  readonly after: Siblings;
  /** What peers must be told to forget. */
  readonly gone: readonly Dot[];
  /** The dot of what was written, or one for each value that was touched. */
  readonly dots: Dot | readonly Dot[];
}

/** Why the operations are not carried out; undefined when they are. */
export function refusalOf(store: Store, operations: readonly Operation[], nowMs: number): ConcordError | undefined {
  let added: Map<EntryKey, Uint8Array[]> | undefined;
  for (let at = 0; at < operations.length; at++) {
    const { key, write, observed, condition, touch } = operations[at]!;
    try {
      checkIdentityRoom(store);
      if (condition !== undefined || touch !== undefined || write?.increment !== undefined) store.quarantine.checkKnown(key);
      else if (write === undefined && observed === undefined) store.quarantine.checkRemove(key);
      if (condition !== undefined && !isMet(condition, store.options.digestKey, key, store.read(key), nowMs))
        throw new ConcordError("condition-failed", unmetText(condition), { operation: at });
      if (touch !== undefined) checkTouch(valuesOf(store.read(key), nowMs));
      if (write === undefined) continue;
      const landing = store.landing(key, write, nowMs);
      const isPiled = pilesUp(landing);
      const alongside = isPiled ? (added?.get(key) ?? []) : [];
      checkWrite(landing, alongside);
      if (write.increment !== undefined) checkAlone(operations, at);
      if (isPiled) (added ??= new Map<EntryKey, Uint8Array[]>()).set(key, [...alongside, write.value]);
    } catch (error) {
      if (error instanceof ConcordError) return error;
      throw error;
    }
  }
  return undefined;
}

/** Undefined when there was nothing to delete or to touch. */
export function apply(store: Store, { key, write, observed, touch }: Operation, nowMs: number): Applied | undefined {
  if (touch !== undefined) return applyTouch(store, key, touch.expiresAtMs, nowMs);
  const change = write === undefined ? store.remove(key, observed, nowMs) : store.put(key, write, nowMs);
  if (change === undefined) return undefined;
  // Member by member: a spread of the change would cost as much as the rest of the step.
  return { key, before: change.before, after: change.after, gone: change.entry.gone, dots: change.dot };
}

/**
 * Every value that has not expired is written again with the new time, each as the successor of itself alone: touching a key settles no
 * conflict. The one that is shown comes last, so that it has the latest stamp and goes on being shown.
 *
 * A plain value that would begin to count as another one by its new dot (a number that two nodes touch would be added twice) is stored
 * as the policy of its key stores it.
 */
function applyTouch(store: Store, key: EntryKey, expiresAtMs: number, nowMs: number): Applied | undefined {
  const before = store.read(key);
  const changes: Change[] = valuesOf(before, nowMs)
    .sort(byPick)
    .map((sibling) => {
      const { dot } = sibling;
      const { contentType, value } = asMergeable(store.policies.of(key), sibling);
      return store.put(key, { contentType, value, expiresAtMs, observed: [dot], isStored: true }, nowMs);
    });
  const last = changes[changes.length - 1];
  if (last === undefined) return undefined;
  return { key, before, after: last.after, gone: changes.flatMap(({ entry }) => entry.gone), dots: changes.map(({ dot }) => dot) };
}

/** What an increment was judged by must be what it meets. */
function checkAlone(operations: readonly Operation[], at: number): void {
  if (operations.every(({ key }, i) => i === at || key !== operations[at]!.key)) return;
  const message = "a key that is incremented can have only this one operation in a batch; add the increments up";
  throw new ConcordError("invalid", message, { operation: at });
}

function checkTouch(values: Siblings): void {
  if (values.length <= SIBLINGS_WRITE_MAX) return;
  throw new ConcordError("too-large", `the key holds ${values.length} concurrent values; read it and write with the token of that answer`);
}

function valuesOf(siblings: Siblings, nowMs: number): Siblings[number][] {
  return siblings.filter((sibling) => !isExpired(sibling, nowMs));
}
