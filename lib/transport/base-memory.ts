/**
 * What is known of the peers of the base protocol, and how their pairs are merged.
 *
 * A pair at POST /replicate says neither who wrote it nor what its writer had seen, and the simplest of such peers hand their whole
 * store around whenever two hashes differ. Taken as a plain write, an hour-old copy would win over everything acknowledged
 * since. So it is remembered what each of them was given and what came from them: a value that is here already, or that one of
 * them merely hands back, is no news; what replaces their own last value replaces it; anything else is kept BESIDE what is here, as a
 * write that did not know of it.
 *
 * The memory is bounded and gone after a restart. Then more is kept beside than need be, and nothing is lost.
 */
import { hash } from "node:crypto";
import type { Pair } from "../core/json.ts";
import type { Kv, KvOperation, KvValue } from "../core/kv.ts";

/** Keys remembered of each peer: some 10 MB. */
const KEYS_MAX = 50_000;

/** Pairs that become durable together. */
const TOGETHER_MAX = 1_000;

export interface BaseMemory {
  /** The peer took this value. */
  gave(peer: string, key: string, valueText: string): void;
  /** Merges pairs that came by POST /replicate. Rejects as Kv.write does. */
  take(pairs: readonly Pair[]): Promise<void>;
}

export function createBaseMemory(kv: Pick<Kv, "get" | "siblings" | "write">): BaseMemory {
  /** For each peer the digests of what it was last given. */
  const given = new Map<string, Map<string, string>>();
  /** For each key the token of the one sibling that the last value from them became. */
  const taken = new Map<string, string>();

  /** Undefined when the pair is no news. */
  const operationOf = ({ key, valueText }: Pair): KvOperation | undefined => {
    const value = Buffer.from(valueText, "utf8");
    const held = kv.siblings(key);
    const equals = (sibling: KvValue): boolean => sibling.contentType === "" && value.equals(sibling.value);
    const merged = kv.get(key);
    if (held.some(equals) || (merged !== undefined && equals(merged))) return undefined;
    const [shown] = held;
    const gifts = [...given.values()].map((digests) => digests.get(key));
    if (gifts.includes(digestOf(valueText))) return undefined;
    if (shown === undefined) return { key, value };
    const token = taken.get(key);
    if (token !== undefined) return { key, value, token };
    const shownDigest = digestOf(Buffer.from(shown.value).toString("utf8"));
    const allHaveSeen = gifts.length > 0 && held.length === 1 && gifts.every((gift) => gift === shownDigest);
    return { key, value, beside: !allHaveSeen };
  };

  const takeSome = async (pairs: readonly Pair[]): Promise<void> => {
    const operations = pairs.map(operationOf).filter((operation) => operation !== undefined);
    if (operations.length === 0) return;
    const { tokens } = await kv.write(operations, { local: true });
    operations.forEach(({ key }, i) => remember(taken, key, tokens[i] as string));
  };

  return {
    gave(peer, key, valueText) {
      let digests = given.get(peer);
      if (digests === undefined) {
        digests = new Map<string, string>();
        given.set(peer, digests);
      }
      remember(digests, key, digestOf(valueText));
    },
    async take(pairs) {
      // Of a key that occurs twice the later pair counts; and one batch must not read past its own writes.
      const last = [...new Map(pairs.map((pair) => [pair.key, pair])).values()];
      for (let from = 0; from < last.length; from += TOGETHER_MAX) await takeSome(last.slice(from, from + TOGETHER_MAX));
    },
  };
}

/** The keys used last stay. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= KEYS_MAX) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}

function digestOf(valueText: string): string {
  return hash("sha1", valueText, "base64");
}
