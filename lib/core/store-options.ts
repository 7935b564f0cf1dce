/** What a store is told at its opening. */
import type { DigestKey } from "./digest.ts";
import type { Policies } from "./policy/names.ts";
import type { Random } from "./ports.ts";

export interface StoreOptions {
  /** This node's name: written into its siblings as the tie-break. */
  readonly name: string;
  readonly digestKey: DigestKey;
  readonly random: Random;
  /** Deletions remembered by key, so that a short outage is repaired by naming them. */
  readonly recentDeletionsMax: number;
  /** How concurrent values merge; the latest for all keys without. */
  readonly policies?: Policies | undefined;
}
