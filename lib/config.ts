/** What a replica is told at its start, and what it assumes where it is told nothing: each default with its reason. */
import type { ReplicaOptions } from "./replica.ts";

/** A page of text or a picture; what is larger belongs into files. Far under what one key may hold, so that a few siblings always fit. */
export const VALUE_BYTES_MAX = 1024 * 1024;

export type ReplicaDefaults = Omit<ReplicaOptions, "name" | "address" | "peers">;

export const REPLICA_DEFAULTS: ReplicaDefaults = {
  /** What the store that this one grew from used: a difference is found within ten seconds, for some ten bytes a second. */
  pingEveryMs: 10_000,
  /** One and a half pings: one slow answer does not make a peer dead. */
  timeoutMs: 15_000,
  /** A page is made in milliseconds; five seconds of silence mean that the answer is lost. */
  answerTimeoutMs: 5_000,
  /** Less than a ping, enough to spread the starts of a handful of nodes. */
  jitterMs: 1_000,
  /** As much as anybody sends at once (repair/answer.ts): a store of a gigabyte in a thousand requests. */
  answerBytesMax: 1024 * 1024,
  /** Some four milliseconds, after which clients are served before the rest of the page is made. */
  answerStepMax: 1_024,
  /** Two milliseconds or three, after which clients are answered before the rest of the page is merged. */
  stepEntriesMax: 256,
  /** A millisecond or three in a process that has not merged before, whose code is not compiled yet: it takes ten times as long. */
  firstStepEntries: 16,
  /** A few milliseconds, when what they are joined to has a hundred thousand. */
  stepRangesMax: 16_384,
  /** A second or two of writes at full speed. */
  pushKeysMax: 16_384,
  /** Nobody sees ten milliseconds, and a hundred batches a second cost a peer little beside the writes in them. */
  pushEveryMs: 10,
  /** A write to a peer is durable in milliseconds; after this the batch is lost and repair takes over. */
  pushTimeoutMs: 5_000,
  /** Shorter than a client's usual patience of ten seconds or more. */
  copiesTimeoutMs: 5_000,
  /** Some MB of waiting requests. */
  waitingWritesMax: 10_000,
  /**
   * An expired value is not served from its very millisecond; the sweep frees its space, and tells those who watch. So it looks at each
   * tick: when nothing has expired that is one look at the first row of an index.
   */
  sweepEveryMs: 1_000,
  /** A few milliseconds of one turn. */
  sweepMax: 500,
  /** Half a store that vanishes at once is more likely a fault than a wish. */
  dropShareMax: 0.5,
  /** A record takes some fifty bytes beside its value, so from eighteen entries on a first sketch costs less than they do. */
  entryBytes: 64,
  /** A little over a kilobyte: less than HTTP's headers of a few pings, and enough for some fifty differences. */
  firstCells: 96,
  /** Below this a share says little. */
  dropsAllowed: 1_000,
};
