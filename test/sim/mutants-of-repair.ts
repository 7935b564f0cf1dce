/** The planted bugs of repairs: of the exchange, of the sketch, and of the messages that carry both. The others are in mutant-table.ts. */
import type { FaultName } from "../../lib/sim/plan.ts";

export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** The only faults in whose presence it shows: the others would keep the simulator busy. All of them by default. */
  readonly faults?: readonly FaultName[];
  /** The first of the seeds: one in hundreds shows a rare bug, and those before it would be played in vain each time. 1 by default. */
  readonly from?: number;
}

const repair: readonly Mutant[] = [
  {
    name: "the context is joined after a part of the exchange",
    file: "lib/repair/pull.ts",
    find: "if (answer.more && answer.found === undefined) this.#asking.cover(answer);",
    replace: `if (answer.more && answer.found === undefined) {
      this.#asking.cover(answer);
      this.#store.joinContext(this.#pages[this.#pages.length - 1]!.theirs);
    }`,
  },
  {
    name: "a peer that asks again and again is never asked in return",
    file: "lib/repair/puller.ts",
    find: "if (monotonicMs - sinceMs < SPARED_MS) this.#wanted.delete(peer);",
    replace: "this.#wanted.delete(peer);",
    from: 600,
  },
  {
    name: "a delta is not verified",
    file: "lib/repair/verification.ts",
    find: "#verdict(): Verdict {\n    this.stop();",
    replace: `#verdict(): Verdict {
    this.stop();
    if (this.#drops.length === 0) return { verified: true, drops: [], differences: 0, peerLacks: 0 };`,
  },
  {
    name: "a full push removes whatever it did not name",
    file: "lib/repair/verification.ts",
    find: "if (live && this.#theirs.has(dot)) this.#drops.push(dot);",
    replace: "if (live) this.#drops.push(dot);",
  },
  {
    name: "what a full push dropped stays",
    file: "lib/repair/settling.ts",
    find: "const outcome = this.#store.drop(dot);",
    replace: "const outcome = counts.dropped < 0 ? this.#store.drop(dot) : undefined;",
  },
  {
    name: "no limit to what one repair may remove",
    file: "lib/core/removal-guard.ts",
    find: "if (this.#removed + removals > Math.max(",
    replace: "if (this.#removed + removals > 100 * Math.max(",
  },
  {
    name: "a page claims an entry that it did not hold",
    file: "lib/repair/answer.ts",
    find: "if (this.pauses) return counter - 1;",
    replace: "if (this.pauses) return counter;",
  },
  {
    name: "a page that was made in several turns tells what was seen when it was finished",
    file: "lib/repair/answer.ts",
    find: "context: this.#began?.context ?? this.#bound() };",
    replace: "context: this.#bound() };",
  },
  {
    name: "a page is the last although something was written while it was made",
    file: "lib/repair/answer.ts",
    find: " || (this.#began !== undefined && !sameSummary(this.#began.summary, summary))",
    replace: "",
  },
  {
    name: "nodes that are both behind wait for each other",
    file: "lib/repair/puller.ts",
    find: "const patient = (this.#behind.get(peer) ?? 0) < BEHIND_MAX;",
    replace: "const patient = (this.#behind.get(peer) ?? 0) < 1e9 * BEHIND_MAX;",
  },
];

const sketch: readonly Mutant[] = [
  {
    name: "a sketch drifts: what goes stays in it",
    file: "lib/repair/sketches.ts",
    find: "else this.#tables.remove(incarnationLow32(dot.incarnation), dot.counter);",
    replace: "",
  },
  {
    name: "a sketch drifts: only one of its tables follows",
    file: "lib/repair/sketch.ts",
    find: "large.put(mapping, low, high, sign);",
    replace: "if (sign > 0) large.put(mapping, low, high, sign);",
  },
  {
    name: "a sketch folds onto the wrong cells",
    file: "lib/repair/sketch.ts",
    find: "combineCells(words, begin, end, half, 1);",
    replace: "combineCells(words, begin, end, half >> 1, 1);",
  },
  {
    name: "what a sketch shows is dropped without verification",
    file: "lib/repair/pull.ts",
    find: "this.#shown = { drops: decoded.drops, onlyTheirs: decoded.superseded };\n    return this.#verify(page);",
    replace: "this.#settle([...decoded.drops.dots()]);\n    return undefined;",
  },
  {
    name: "the context is joined when a sketch is decoded, before what it shows to be missing has come",
    file: "lib/repair/pull.ts",
    find: "this.#asking.fetch(missing, theirs);",
    replace: "this.#asking.fetch(missing, theirs);\n      this.#store.joinContext(theirs);",
  },
];

const messages: readonly Mutant[] = [
  {
    name: "an acknowledgement that arrives twice counts for the next push",
    file: "lib/repair/push.ts",
    find: "if (this.#inFlight?.exchange !== exchange) return undefined;",
    replace: "if (this.#inFlight === undefined || exchange < 0) return undefined;",
  },
  {
    name: "an answer says that it had seen what came after it",
    file: "lib/core/relative-context.ts",
    find: "gained: context.clone()",
    replace: "gained: context",
  },
  {
    name: "a push queue without a limit",
    file: "lib/repair/push.ts",
    find: "if (this.#waiting.size >= this.#keysMax) givenUp",
    replace: "if (this.#waiting.size >= 1e6 * this.#keysMax) givenUp",
  },
];

export const REPAIR_MUTANTS: readonly Mutant[] = [...repair, ...sketch, ...messages];
