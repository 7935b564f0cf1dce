/** How a node sees one peer, for people and programs. */
export interface MemberView {
  readonly address: string;
  /** The name that the peer gives itself; "" before it was heard. */
  readonly name: string;
  readonly status: "unknown" | "alive" | "suspect" | "dead";
  /** False for a peer that was learned from its ping. */
  readonly listed: boolean;
  /** Since when it is up or down, by this machine's clock. */
  readonly sinceMs: number;
  readonly roundTripMs: number | undefined;
  /** Undefined before the first comparison. */
  readonly inSync: boolean | undefined;
}
