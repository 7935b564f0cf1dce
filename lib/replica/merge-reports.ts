/** What a replica says of merges: which keys changed, that siblings came about, and once for each peer that its clock is far ahead. */
import type { MergeOutcome } from "../core/change.ts";
import type { Output } from "../core/output.ts";

/** Peers of which it is remembered that this was said. */
const TOLD_MAX = 1024;

export class MergeReports {
  readonly #toldFarAhead = new Set<string>();

  of(from: string, merged: readonly MergeOutcome[]): Output[] {
    const outputs: Output[] = [];
    let farAhead = 0;
    for (const { key, before, after, farAhead: ahead } of merged) {
      farAhead += ahead;
      if (before === after) continue;
      outputs.push({ type: "changed", key, before, after });
      if (after.length > 1 && after.length > before.length) outputs.push({ type: "event", event: { kind: "sibling-created", key } });
    }
    if (farAhead === 0) return outputs;
    const isFirst = !this.#toldFarAhead.has(from) && this.#toldFarAhead.size < TOLD_MAX;
    if (isFirst) this.#toldFarAhead.add(from);
    outputs.push({ type: "event", event: { kind: "clock-far-ahead", peer: from, siblings: farAhead, isFirst } });
    return outputs;
  }
}
