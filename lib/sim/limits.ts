/** Checked every few seconds: whatever is bounded is within its bound. */
import { INBOX_MAX } from "../node.ts";
import { REPLICA_DEFAULTS } from "../config.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

export function checkLimits(world: World, machine: Machine): void {
  if (machine.life === undefined) return;
  const { replica, backlog } = machine.life.node;
  const { settings, nodes } = world.plan;
  const members = replica.membership.members();
  const { pushKeys, waitingWrites, wantedPulls } = replica.load;
  const bounded: readonly (readonly [string, number, number])[] = [
    ["keys waiting to be pushed", pushKeys, settings.pushKeysMax * members.length],
    ["writes waiting for copies", waitingWrites, REPLICA_DEFAULTS.waitingWritesMax],
    ["peers to repair from", wantedPulls, members.length],
    ["inputs waiting", backlog.inbox, INBOX_MAX],
    ["writes waiting", backlog.writes, INBOX_MAX],
    // Nobody but the planned nodes ever pings.
    ["members", members.length, nodes.length],
    ["recent deletions", replica.store.recentDeletions.size, settings.recentDeletionsMax],
  ];
  for (const [what, size, max] of bounded) {
    if (size > max) world.fail("limit-exceeded", `${machine.name} has ${size} ${what}, ${max} at most`);
  }
}
