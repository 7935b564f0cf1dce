/**
 * Why a key shows what it shows: which writes it holds, what they replaced, what chose among them, and who holds them. The writes are what
 * this node knows: the siblings, and the replaced values that it remembers since its start (recent-removals.ts). Nothing is kept for this
 * alone. The peers are asked.
 */
import { formatDot, includesDot, type Dot } from "../core/dot.ts";
import { byPick, dotsOf, isExpired, type Siblings } from "../core/entry.ts";
import type { KvHolder, KvWhy, KvWhyGone, KvWhyWrite } from "../core/kv.ts";
import type { EntryKey } from "../core/layout.ts";
import type { Held } from "../core/output.ts";
import { show as shownBy } from "../core/policy.ts";
import type { PolicyName } from "../core/policy/names.ts";
import { seenOf } from "../core/policy/seen.ts";
import type { Removal } from "../core/recent-removals.ts";
import type { Member } from "../replica.ts";
import { KvView, show, type Showing } from "./kv-view.ts";

/** More of what is gone nobody reads. */
const GONE_MAX = 100;

const SENTENCES: Readonly<Record<PolicyName, string>> = {
  latest: "of several values the one with the latest time is shown, and of equal times that of the node whose name is greater",
  siblings: "the policy of the key is siblings: all values are given to who reads it, the one with the latest time first",
  max: "the policy of the key is max: the greatest number is shown",
  min: "the policy of the key is min: the least number is shown",
  fields: "fields: of each property the latest write is shown, less what was removed by a write that had seen it",
  union: "union: all elements are shown that any write added, less those that were removed by a write that had seen them",
  counter: "counter: what each node has added is added up",
};

export interface WhyAbout {
  readonly showing: Showing;
  readonly key: EntryKey;
  readonly siblings: Siblings;
  readonly gone: readonly Removal[];
}

export function explain({ showing, key, siblings, gone }: WhyAbout): KvWhy {
  const shown = show(showing, key, siblings);
  const writes = [...siblings]
    .sort((a, b) => byPick(b, a))
    .map((sibling): KvWhyWrite => {
      const expired = isExpired(sibling, showing.nowMs);
      // What has expired shows nothing; it is told of here as it was.
      const atMs = expired ? sibling.expiresAtMs - 1 : showing.nowMs;
      const alone = shownBy(showing.policies.of(key), [sibling], atMs)!;
      const replaced = gone.filter(({ by }) => includesDot(by, sibling.dot)).map(({ dot }) => formatDot(dot));
      return { value: new KvView(showing, key, siblings, alone), isExpired: expired, replaced, seen: seenOf(sibling) };
    });
  const goneLast = gone.slice(-GONE_MAX).reverse().map(goneOf);
  return { shown, because: becauseOf(shown, siblings, showing.nowMs), writes, gone: goneLast };
}

function goneOf({ dot, by, written }: Removal): KvWhyGone {
  return { dot: formatDot(dot), writer: written?.writer, writtenMs: written?.stamp.ms, by: by.map((write: Dot) => formatDot(write)) };
}

function becauseOf(shown: KvView | undefined, siblings: Siblings, nowMs: number): string {
  if (shown === undefined) return siblings.length === 0 ? "the key holds nothing" : "all that the key holds has expired";
  const isMerged = shown.rule === "fields" || shown.rule === "union" || shown.rule === "counter";
  if (isMerged || shown.siblings > 1) return SENTENCES[shown.rule];
  const live = siblings.filter((sibling) => !isExpired(sibling, nowMs)).length;
  return live === 1 ? "it is the only value that the key holds" : `${live} writes hold equal values, which are one`;
}

export function holdersOf(
  self: { readonly name: string; readonly address: string },
  siblings: Siblings,
  members: readonly Member[],
  held: readonly Held[],
): KvHolder[] {
  const own = dotsOf(siblings).map((dot) => formatDot(dot));
  const peers = members.map(({ address, name, isUp }): KvHolder => {
    const writes = held.find(({ peer }) => peer === address)?.dots.map((dot) => formatDot(dot));
    const holds = writes === undefined ? (isUp ? "unknown" : "away") : heldBeside(own, writes);
    return { name: name === "" ? address : name, address, holds, writes };
  });
  return [{ name: self.name, address: self.address, holds: "here", writes: own }, ...peers];
}

/** Both are in the order of dots. */
function heldBeside(own: readonly string[], writes: readonly string[]): "same" | "other" | "nothing" {
  if (own.length === writes.length && own.every((dot, at) => dot === writes[at])) return "same";
  return writes.length === 0 ? "nothing" : "other";
}
