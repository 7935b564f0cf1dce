/**
 * POST /repair?peer=…: what an operator may ask of a node beside its data. Only a peer that the node knows is repaired from, so that the route
 * does nothing that the next pings would not do as well.
 */
import type { Kv } from "../core/kv.ts";
import { json, Refusal } from "./answer.ts";
import { queryOf, type Handler } from "./request.ts";

export function createRepairRoute(kv: Kv): Handler {
  return async ({ env: { incoming } }) => {
    const query = queryOf(incoming);
    for (const name of query.keys())
      if (name !== "peer" && name !== "dryRun") throw new Refusal(400, `"${name}" is no parameter of /repair`);
    const peer = query.get("peer");
    const dryRun = query.get("dryRun") ?? "false";
    if (peer === undefined || peer === "") throw new Refusal(400, '"peer" is missing: /repair?peer=http://localhost:8002');
    if (dryRun !== "true" && dryRun !== "false") throw new Refusal(400, `"dryRun" is true or false, not ${JSON.stringify(dryRun)}`);
    if (dryRun === "true") return json(JSON.stringify(await kv.compare(peer)));
    const answer = await kv.repair(peer);
    return json(JSON.stringify(answer), "underWay" in answer ? 202 : 200);
  };
}
