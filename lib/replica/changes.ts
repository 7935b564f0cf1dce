/** What a step says of a change, of damage, and to the client whose request cannot be carried out. */
import type { Change } from "../core/change.ts";
import { damagedNow, DamagedRecordError } from "../core/damaged.ts";
import type { ConcordError } from "../core/errors.ts";
import type { Output } from "../core/output.ts";
import { damageFound } from "../repair/puller.ts";

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
