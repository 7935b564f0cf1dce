/**
 * What a policy stores in place of the value that a client gave, when the value alone would not be enough to merge it: the parts with
 * their dots, the shares of a counter. It lies in a sibling under a media type of its own, and says by it what it is: so every node
 * shows it alike, also one that was started with other policies.
 */
import { includesDot, type Dot } from "../dot.ts";
import type { Sibling, Siblings } from "../entry.ts";
import { canonicalJson } from "../json.ts";
import type { Stamp } from "../time.ts";
import { addShare, decodeShares, encodeShares, foundNumber, integerOf, joinShares, totalOf, type Shares } from "./counter.ts";
import { CONTENT_TYPE_PREFIX } from "./names.ts";
import { decodeParts, encodeParts, joinParts, latestParts, writeParts, type Parts, type PartsForm } from "./parts.ts";
import { elementsOf, propertiesOf } from "./slices.ts";

export interface Stored {
  readonly contentType: string;
  readonly value: Uint8Array;
}

export interface PolicyWrite extends Stored {
  /** What the replica holds of the key, without what has expired. */
  readonly held: Siblings;
  /** The dots that the writer had read; undefined when it goes by what the replica holds. */
  readonly read: readonly Dot[] | undefined;
  readonly dot: Dot;
  readonly stamp: Stamp;
}

/** One way of storing values so that they merge. */
export interface StoredForm {
  readonly contentType: string;
  /** What a client's value must be. */
  readonly needs: string;
  /** Whether a client's JSON text is that. */
  takes(json: string): boolean;
  /** The JSON text that these siblings show together; undefined when one of them is of another form. */
  show(siblings: Siblings): string | undefined;
  /** A plain value as it is stored in this form; undefined when it cannot be. */
  convert(sibling: Sibling): Stored | undefined;
  /** What is stored for a client's value, which takes up all that is held. */
  write(write: PolicyWrite): Stored;
}

/** An object whose properties merge one by one. */
export const FIELDS = storedParts("fields", "a JSON object", {
  read: propertiesOf,
  write: (parts) => `{${parts.map(({ name, value }) => `${name}:${value}`).join(",")}}`,
});

/** An array that is a set: equal elements are one, and their order means nothing. */
export const UNION = storedParts("union", "a JSON array", {
  read: (json) => elementsOf(json)?.map((element) => ({ name: canonicalJson(element), value: element })),
  write: (parts) => `[${parts.map(({ value }) => value).join(",")}]`,
});

const COUNTER_TYPE = CONTENT_TYPE_PREFIX + "counter";

/** A number to which increments add up. To write a number is to add its difference from what is there. */
export const COUNTER: StoredForm = {
  contentType: COUNTER_TYPE,
  needs: "a whole number",
  takes: (json) => integerOf(json) !== undefined,
  show(siblings) {
    const total = totalOf(sharesOf(siblings) ?? NO_SHARES);
    return siblings.some((sibling) => readShares(sibling) === undefined) ? undefined : String(total ?? null);
  },
  convert(sibling) {
    const shares = readShares(sibling);
    return shares && { contentType: COUNTER_TYPE, value: bytesOf(encodeShares(shares)) };
  },
  write(write) {
    const total = totalOf(sharesOf(write.held) ?? NO_SHARES) ?? 0;
    return increment(write.held, write.dot, integerOf(textOf(write).trim())! - total);
  },
};

/** What is stored when a client adds to what is held. */
export function increment(held: Siblings, dot: Dot, by: number): Stored {
  return { contentType: COUNTER_TYPE, value: bytesOf(encodeShares(addShare(sharesOf(held) ?? NO_SHARES, dot, by))) };
}

/** Why what is held cannot be incremented by this much; undefined when it can. */
export function incrementProblem(held: Siblings, by: number): string | undefined {
  const shares = sharesOf(held);
  if (shares === undefined) return "the key holds something else than a whole number";
  const total = totalOf(shares);
  const fits = total !== undefined && Number.isSafeInteger(total + by) && Number.isSafeInteger(by);
  return fits ? undefined : "the sum would be over 2^53 - 1";
}

export function textOf({ value }: Pick<Stored, "value">): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}

const NO_SHARES: Shares = new Map();

function sharesOf(siblings: Siblings): Shares | undefined {
  const all = siblings.map(readShares);
  return all.includes(undefined) ? undefined : joinShares(all as Shares[]);
}

function readShares(sibling: Sibling): Shares | undefined {
  if (sibling.contentType === COUNTER_TYPE) return decodeShares(textOf(sibling));
  const number = sibling.contentType === "" ? integerOf(textOf(sibling).trim()) : undefined;
  return number === undefined ? undefined : foundNumber(sibling.dot, number);
}

function storedParts(name: string, needs: string, form: PartsForm): StoredForm {
  const contentType = CONTENT_TYPE_PREFIX + name;

  /** A value that was written plainly is one write's parts. */
  const read = (sibling: Sibling): Parts | undefined => {
    if (sibling.contentType === contentType) return decodeParts(textOf(sibling), form);
    const named = sibling.contentType === "" ? form.read(textOf(sibling)) : undefined;
    const { dot, stamp } = sibling;
    return named && { seen: new Map([[dot.incarnation, dot.counter]]), parts: named.map((part) => ({ ...part, dot, stamp })) };
  };

  return {
    contentType,
    needs,
    takes: (json) => form.read(json) !== undefined,
    show(siblings) {
      const states = siblings.map(read);
      return states.includes(undefined) ? undefined : form.write([...latestParts(joinParts(states as Parts[])).values()]);
    },
    convert(sibling) {
      const parts = read(sibling);
      return parts && { contentType, value: bytesOf(encodeParts(parts, form)) };
    },
    write(write) {
      const { dot, stamp } = write;
      const held = write.held.flatMap((sibling) => read(sibling) ?? []);
      const seenByWriter = write.held.filter((sibling) => write.read === undefined || includesDot(write.read, sibling.dot));
      const state = writeParts({
        held,
        read: seenByWriter.flatMap((sibling) => read(sibling) ?? []),
        readDots: write.read ?? [],
        value: form.read(textOf(write))!,
        dot,
        stamp,
      });
      return { contentType, value: bytesOf(encodeParts(state, form)) };
    },
  };
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
