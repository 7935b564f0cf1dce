/** Turns what a node reports of itself into coverage, and checks right then what the report makes worth checking. */
import type { ReplicaEvent, RepairReceipt } from "../core/output.ts";
import type { Store } from "../core/store.ts";
import type { Disk } from "./disk.ts";
import type { View } from "./view.ts";
import type { World } from "./world.ts";

/** Whom is heard. */
interface Heard {
  readonly name: string;
  readonly disk: Disk;
}

export function hear(world: World, { name, disk }: Heard, view: View, store: Store, event: ReplicaEvent): void {
  world.say(() => `${name} reports ${describe(event)}`);
  switch (event.kind) {
    case "sibling-created":
    case "push-dropped":
    case "clock-far-ahead":
    case "incarnation-renounced":
    case "peer-down":
    case "peer-learned":
      return world.coverage.count(event.kind);
    case "damage-found":
      world.coverage.count("damage-touched");
      if (!disk.damage.happened) world.fail("needless-damage", `${name} says that ${JSON.stringify(event.key)} is damaged`);
      return;
    case "scrub-ended":
      world.coverage.count("scrubbed");
      return world.coverage.count("set-apart", event.report.lost);
    case "all-refilled":
      return world.coverage.count("all-refilled");
    case "audit-failed":
      return world.fail("digest-wrong", `${name} says: ${event.problem}`);
    case "refused":
      return world.fail("peer-refused", `${name} refused what ${event.peer} sent: ${event.why}`);
    case "repair-ended":
      return hearRepair(world, name, view, store, event.receipt);
    default:
  }
}

function hearRepair(world: World, name: string, view: View, store: Store, receipt: RepairReceipt): void {
  const { coverage, plan } = world;
  view.checkSeen();
  if (receipt.result === "joined") coverage.count(`${receipt.kind}-joined`);
  for (const [why, path] of REASONS) if (receipt.why.startsWith(why)) coverage.count(path);
  if (receipt.result === "behind") coverage.count("repair-behind");
  if (receipt.result === "interrupted") coverage.count("repair-interrupted");
  if (receipt.result === "too-many-drops") coverage.count("too-many-drops");
  if (receipt.requests > 2) coverage.count("repair-many-pages");
  if (receipt.dropped === 0) return;
  coverage.count("dropped", receipt.dropped);
  const { dropsAllowed, dropShareMax } = plan.settings;
  const before = Math.max(store.removals.heldAtFirst, store.count + receipt.dropped);
  if (receipt.dropped > Math.max(dropsAllowed, dropShareMax * before)) {
    world.fail("too-many-dropped", `${name} dropped ${receipt.dropped} of ${before} values in one repair`);
  }
}

const REASONS = [
  ["this node's context takes", "sketch-of-ours"],
  ["the peer has forgotten", "sketch-unasked"],
  ["two sketches in a row", "sketch-failed"],
] as const;

function describe(event: ReplicaEvent): string {
  if (event.kind === "repair-ended") {
    const { kind, peer, result, requests, entriesIn, dropped } = event.receipt;
    return `repair from ${peer} ended: ${kind} ${result}, ${requests} requests, ${entriesIn} entries, ${dropped} dropped`;
  }
  if (event.kind === "scrub-ended") return `scrub ${event.report.number} ended: ${event.report.damaged} damaged, ${event.report.lost} lost`;
  const { kind, ...rest } = event;
  return [kind, ...Object.values<unknown>(rest).map(String)].join(" ");
}
