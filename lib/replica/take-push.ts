/** What a peer pushes: each entry is merged by itself, and one that meets a damaged record of ours does not keep the others out. */
import type { MergeOutcome } from "../core/change.ts";
import { DamagedRecordError } from "../core/damaged.ts";
import { ConcordError } from "../core/errors.ts";
import type { Push } from "../core/message.ts";
import type { Output } from "../core/output.ts";
import type { Store } from "../core/store.ts";
import { refusedOf } from "../repair/puller.ts";
import type { MergeReports } from "./merge-reports.ts";
import type { Objections } from "./objections.ts";

export interface PushTakers {
  readonly store: Store;
  readonly objections: Objections;
  readonly reports: MergeReports;
}

export function takePush({ store, objections, reports }: PushTakers, from: string, push: Push, nowMs: number): Output[] {
  const objected = objections.to(from, push.context);
  const outputs: Output[] = objected ?? [];
  const merged: MergeOutcome[] = [];
  let accepted = objected === undefined;
  for (const entry of accepted ? push.entries : []) {
    try {
      merged.push(store.merge(entry, push.context, nowMs));
    } catch (error) {
      if (!(error instanceof ConcordError)) throw error;
      accepted = false;
      outputs.push(refusedOf(from, error));
      if (!(error instanceof DamagedRecordError)) break;
    }
  }
  outputs.push(...reports.of(from, merged), { type: "reply", message: { kind: "push-ack", exchange: push.exchange, accepted } });
  return outputs;
}
