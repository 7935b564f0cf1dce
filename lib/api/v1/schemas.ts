/** The schemas that several routes share: what may stand in a query, a header and a body, and what answers consist of. */
import * as v from "valibot";

const SECONDS = /^\d{1,10}(?:\.\d{1,9})?$/;
const COUNT = /^[1-9]\d{0,3}$/;

const millisecondsOf = (seconds: string): number => Number(seconds) * 1000;

/** A list of entity tags, or a star. */
const TAGS = /^\s*(?:\*|(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"(?:\s*,\s*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")*)\s*$/;

export const ttl = v.pipe(
  v.string(),
  v.regex(SECONDS, "a number of seconds, such as 30 or 0.5"),
  v.check((text) => Number(text) > 0, "more than 0 seconds"),
  v.description("Seconds until the value is gone, fractions allowed. The node's clock counts them."),
  v.transform(millisecondsOf),
);

export const touchTtl = v.pipe(
  v.string(),
  v.regex(/^(?:none|\d{1,10}(?:\.\d{1,9})?)$/, 'a number of seconds, such as 30 or 0.5, or "none"'),
  v.check((text) => text === "none" || Number(text) > 0, "more than 0 seconds"),
  v.description("Seconds from now until the value is gone, or none for never."),
  v.transform((text) => (text === "none" ? undefined : millisecondsOf(text))),
);

const count = (description: string) =>
  v.pipe(v.string(), v.regex(COUNT, "a number of nodes: 1 or more"), v.description(description), v.transform(Number));

export const w = count("How many nodes must hold the write on their disks before it is answered.");
export const r = count("How many nodes are read, this one included. What they hold is merged, and repaired where it was stale.");

const flag = (description: string) =>
  v.pipe(
    v.picklist(["", "true", "1", "false", "0"], "true or false"),
    v.description(description),
    v.transform((text) => text === "" || text === "true" || text === "1"),
  );

export const siblings = flag("Answers 300 with all values when the key holds several.");
export const values = flag("Whether values are listed too.");

export const prefix = v.pipe(v.string(), v.description("Keys that begin with it; all by default."));

const LIMIT_MAX = 1_000;
/** A page on a screen, or a batch of work; what programs want is said. */
export const LIMIT_DEFAULT = 100;
export const limit = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,4}$/, `a number from 1 to ${LIMIT_MAX}`),
  v.check((text) => Number(text) <= LIMIT_MAX, `${LIMIT_MAX} at most`),
  v.description(`How many keys a page has at most: 1 to ${LIMIT_MAX}. It may have fewer.`),
  v.transform(Number),
);

export const token = v.pipe(
  v.string(),
  v.regex(/^[\w-]{1,4096}$/, "a token as a node gave it"),
  v.description("What the caller has seen of the key: the Concord-Token of an earlier answer for the same key."),
);

export const by = v.pipe(v.number(), v.safeInteger("a whole number"), v.description("How much is added; may be negative."));

const tags = (description: string) =>
  v.pipe(
    v.string(),
    v.regex(TAGS, 'entity tags in double quotes with commas between them, or *: such as "jF8d2LxXoqE"'),
    v.description(description),
  );

export const ifMatch = tags("412 unless the key holds what one of these ETags names; * unless it holds anything.");
export const ifNoneMatch = tags("412 when the key holds what one of these ETags names; * when it holds anything.");
export const ifNoneMatchRead = tags("304 when the key still holds what one of these ETags names.");

/** Headers of answers. */
export const answerHeaders = {
  etag: v.pipe(v.string(), v.description("Names what the key holds; another after each write. Equal on all nodes that hold the same.")),
  token: v.pipe(v.string(), v.description("Names all values that the key holds, for a write that has seen them.")),
  siblings: v.pipe(
    v.string(),
    v.description("How many different values the key holds, when there are several; its merge policy decides what is shown."),
  ),
  expiresIn: v.pipe(v.string(), v.description("Seconds until the value is gone; absent when it stays.")),
} as const;

export const receipt = v.object({
  key: v.string(),
  copies: v.pipe(v.number(), v.description("Nodes that are known to hold it on their disks.")),
  token: v.pipe(v.string(), v.description("Names what was written.")),
  etag: v.optional(v.pipe(v.string(), v.description("The key's ETag while nothing else is written to it; absent for a deletion."))),
});

/** A value inside a JSON answer. */
export const valueMembers = {
  value: v.optional(v.pipe(v.unknown(), v.description("JSON as it was stored; anything else as base64."))),
  contentType: v.optional(v.pipe(v.string(), v.description("The media type; absent for JSON."))),
  encoding: v.optional(v.literal("base64")),
} as const;
