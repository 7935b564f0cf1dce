/** What a comparison of two nodes found, before anything is changed: what a repair would do on each side. */

/** Values on one side, siblings counted each. */
export interface SideGain {
  /** Values that it would receive. */
  readonly receives: number;
  /** Values that it would remove, because the other side knows them to be replaced or deleted. */
  readonly removes: number;
}

export interface Comparison {
  readonly peer: string;
  /** How many values differ; `atMost` is missing when even that is not known. */
  readonly atLeast: number;
  readonly atMost: number | undefined;
  /** Missing when too much differs to tell what. */
  readonly sides: { readonly here: SideGain; readonly peer: SideGain } | undefined;
  readonly requests: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly tookMs: number;
}
