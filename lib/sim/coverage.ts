/**
 * What has happened at least once. A simulation that never partitions, or never uses the full push, proves nothing about them and looks
 * just as green; so a long run fails when one of the names below was never counted.
 */

/** Faults, in the words of the plan; each counts when it took effect, not when it was planned. */
const FAULTS = [
  ...["loss", "duplicate", "reorder", "delay", "stale-sketch", "cut-one-way", "cut-asymmetric", "split", "unreachable"],
  ...["crash-lost", "crash-kept", "fast-restart", "restart-empty", "restart-copy", "restart-lost-entries"],
  ...["disk-failed", "disk-full", "slow-disk", "pause", "clock-hour", "clock-back", "forged", "different-peers"],
  ...["restart-flipped-bits", "flip-bits"],
] as const;

const OPERATIONS = [
  ...["put", "put-token-here", "put-token-elsewhere", "put-token-old", "rewrite", "put-expiring", "batch", "same-moment"],
  ...["delete", "delete-token", "delete-nothing", "two-copies", "too-few-copies", "refused-storage", "read-expired"],
  ...["demand-met", "demand-refused", "touch", "touch-nothing", "read-two", "read-two-refused", "read-two-repaired"],
  ...["increment", "add", "add-token-old", "counters-added-up", "sets-complete"],
] as const;

const PATHS = [
  ...[
    "sibling-created",
    "siblings-merged",
    "delta-joined",
    "sketch-joined",
    "sketch-of-ours",
    "sketch-unasked",
    "sketch-failed",
    "full-joined",
    "repair-many-pages",
    "repair-interrupted",
    "repair-behind",
  ],
  ...["too-many-drops", "dropped", "new-incarnation", "incarnation-renounced", "push-dropped", "swept", "swept-foreign"],
  ...["clock-far-ahead", "rebuilt", "peer-down", "peer-learned", "deletion-forgotten", "lost-for-good", "audited"],
  ...["healed-at-open", "scrubbed", "damage-touched", "set-apart", "read-refused", "refused-damaged", "all-refilled"],
] as const;

export type Covered = (typeof FAULTS)[number] | (typeof OPERATIONS)[number] | (typeof PATHS)[number];

const GROUPS: Readonly<Record<string, readonly Covered[]>> = { faults: FAULTS, operations: OPERATIONS, paths: PATHS };

export class Coverage {
  readonly #counts = new Map<Covered, number>();

  count(name: Covered, times = 1): void {
    this.#counts.set(name, this.of(name) + times);
  }

  of(name: Covered): number {
    return this.#counts.get(name) ?? 0;
  }

  add(other: Coverage): void {
    for (const [name, times] of other.#counts) this.count(name, times);
  }

  missing(): Covered[] {
    return Object.values(GROUPS)
      .flat()
      .filter((name) => this.of(name) === 0);
  }

  /** One line for each group. */
  lines(): string[] {
    return Object.entries(GROUPS).map(([group, names]) => `${group}: ${names.map((name) => `${name} ${this.of(name)}`).join(", ")}`);
  }
}
