/** What merged entries of a peer are told of: changed keys, new siblings, and once for each peer that its clock is far ahead. */
import type { Change, MergeOutcome } from "../core/change.ts";
import { damagedNow, DamagedRecordError } from "../core/damaged.ts";
import type { ConcordError } from "../core/errors.ts";
import type { Output } from "../core/output.ts";
import { damageFound } from "../repair/puller.ts";

/** Peers whose clock has been spoken of. */
const TOLD_MAX = 1024;

export class Changes {
  readonly #toldFarAhead = new Set<string>();

  of(from: string, merged: readonly MergeOutcome[]): Output[] {
    const outputs: Output[] = [];
    let farAhead = 0;
    for (const { key, before, after, farAhead: ahead } of merged) {
      farAhead += ahead;
      if (before === after) continue;
      outputs.push(changed({ key, before, after }));
      if (after.length > 1 && after.length > before.length) outputs.push({ type: "event", event: { kind: "sibling-created", key } });
    }
    if (farAhead === 0) return outputs;
    const isFirst = !this.#toldFarAhead.has(from) && this.#toldFarAhead.size < TOLD_MAX;
    if (isFirst) this.#toldFarAhead.add(from);
    outputs.push({ type: "event", event: { kind: "clock-far-ahead", peer: from, siblings: farAhead, isFirst } });
    return outputs;
  }
}

export function changed({ key, before, after }: Pick<Change, "key" | "before" | "after">): Output {
  return { type: "changed", key, before, after };
}

export function isDamageFound(output: Output): boolean {
  return output.type === "event" && output.event.kind === "damage-found";
}

/** The answer to a client's write that cannot be carried out. Damage: so many operations of the request came before it and are stored. */
export function refused(ticket: number, error: ConcordError, before = 0): Output[] {
  const settle = (told: ConcordError): Output => ({ type: "settle", ticket, result: { ok: false, error: told, copies: 0 } });
  if (!(error instanceof DamagedRecordError)) return [settle(error)];
  const stored = before === 0 ? "" : " (what came before it in the request is stored)";
  return [damageFound(error), settle(damagedNow(error, stored))];
}
