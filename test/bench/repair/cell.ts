/** One cell of the table: a system, set up, loaded, changed on both sides while apart, reconciled, and looked at key by key. */
import { createConcord } from "./concord.ts";
import { createFullPush } from "./full-push.ts";
import { createOkra } from "./okra.ts";
import { createPouchdb } from "./pouchdb.ts";
import type { CreateSystem, Measured } from "./system.ts";
import { createTinybase } from "./tinybase.ts";
import { createWorkload, type Shape, type WorkloadOptions } from "./workload.ts";

export const SYSTEMS = ["Concord", "Concord, full push", "TinyBase", "TinyBase, √N tables", "Okra", "PouchDB"] as const;

export type SystemName = (typeof SYSTEMS)[number];

export interface CellTask extends WorkloadOptions {
  readonly system: SystemName;
}

/** "ready" is said when the counting begins. */
export type CellReport = "ready" | CellResult;

export interface CellResult extends Measured {
  /** Why the two sides are not what they have to be; undefined when they are. */
  readonly wrong: string | undefined;
}

function creatorOf(system: SystemName, keys: number): CreateSystem {
  switch (system) {
    case "Concord":
      return createConcord;
    case "Concord, full push":
      return createFullPush;
    case "TinyBase":
      return createTinybase(1);
    case "TinyBase, √N tables":
      return createTinybase(Math.round(Math.sqrt(keys)));
    case "Okra":
      return createOkra;
    case "PouchDB":
      return createPouchdb;
  }
}

export async function runCell(task: CellTask, tell: (report: CellReport) => void): Promise<void> {
  const workload = createWorkload(task);
  const system = await creatorOf(task.system, task.keys)();
  await system.load(workload.before);
  for (const side of ["a", "b"] as const) for (const changes of workload.rounds[side]) await system.change(side, changes);
  tell("ready");
  const measured = await system.reconcile();
  const wrong = (["a", "b"] as const).map(async (side) => differenceOf(side, await system.contents(side), workload.after, task.shape));
  tell({ ...measured, wrong: (await Promise.all(wrong)).find((each) => each !== undefined) });
  await system.close();
}

export function differenceOf(
  side: string,
  found: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
  shape: Shape,
): string | undefined {
  const missing = [...wanted.keys()].filter((key) => !found.has(key)).length;
  const other = [...wanted].filter(([key, value]) => found.has(key) && found.get(key) !== value).length;
  const extra = [...found.keys()].filter((key) => !wanted.has(key)).length;
  if (missing + other + extra === 0) return undefined;
  const returned = shape === "deleted" ? "deleted keys are back" : "keys are too many";
  return `on side ${side}, ${missing} keys are missing, ${other} hold another value, ${extra} ${returned}`;
}
