/** One peer as this node sees it: where it is, whether it answers, and what it last said that it holds. */
import type { Summary } from "../core/message.ts";
import { Detector, type MemberStatus } from "./detector.ts";

export class Member {
  readonly address: string;
  /** True for a peer of this node's own list, false for one that was learned from its ping. */
  readonly listed: boolean;
  name = "";
  /** The number that the node behind the address drew at its start; "" before it answered. */
  instance = "";
  /** What the world was last told: events are changes of this. */
  status: MemberStatus = "unknown";
  /** Since when it has that status, by the wall clock, for people. */
  sinceMs: number;
  /** It was up before, in this life of ours. */
  wasMet = false;
  roundTripMs: number | undefined;
  summary: Summary | undefined;
  /** Summaries in a row that differed from ours. */
  differed = 0;
  /** When it last held what we hold, by the monotonic clock. */
  agreedMs: number | undefined;
  /** The ping that waits for its pong. */
  ping: { readonly exchange: number; readonly sentMs: number } | undefined;
  lastPingMs = -Infinity;
  lastHeardMs = -Infinity;
  readonly detector: Detector;

  constructor(address: string, listed: boolean, timeoutMs: number, wallMs: number) {
    this.address = address;
    this.listed = listed;
    this.sinceMs = wallMs;
    this.detector = new Detector(timeoutMs);
  }

  /** At the last comparison it held what we hold. */
  get isInSync(): boolean {
    return this.summary !== undefined && this.differed === 0;
  }

  /** Worth sending to. */
  get isUp(): boolean {
    return this.status === "alive" || this.status === "suspect";
  }
}
