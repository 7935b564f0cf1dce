/** Arbitrary dots, contexts, siblings and messages: well-formed in every respect, and with nothing to do with each other. */
import fc from "fast-check";
import { encodeSiblings } from "../../lib/core/codec.ts";
import { Context } from "../../lib/core/context.ts";
import { compareDots, COUNTER_MAX, type Dot } from "../../lib/core/dot.ts";
import type { Sibling, Siblings } from "../../lib/core/entry.ts";
import type { Message, RepairAnswer, RepairRequest, SketchFound, Summary, WireEntry } from "../../lib/core/message.ts";
import { wholeContext, type RelativeContext } from "../../lib/core/relative-context.ts";

/** Without null prototypes, which strict equality tells from plain objects. */
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> => fc.record<T>(model, { noNullPrototype: true });

const chars = (length: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString("latin1"));
const name = fc.string({ unit: "grapheme", maxLength: 12 });

const incarnation = fc.oneof(fc.constantFrom("aaaaaaaa", "bbbbbbbb", "\xff\xff\xff\xff\xff\xff\xff\xff"), chars(8));
const counter = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: COUNTER_MAX }));

export const anyDot: fc.Arbitrary<Dot> = record({ incarnation, counter });

export const anyContext: fc.Arbitrary<Context> = fc
  .tuple(fc.array(anyDot, { maxLength: 20 }), fc.array(fc.tuple(incarnation, counter, fc.nat({ max: 1000 })), { maxLength: 4 }))
  .map(([dots, ranges]) => {
    const context = Context.of(dots);
    for (const [owner, from, length] of ranges) context.addRange(owner, from, Math.min(from + length, COUNTER_MAX));
    return context;
  });

const sibling: fc.Arbitrary<Sibling> = record({
  dot: anyDot,
  stamp: record({ ms: fc.nat({ max: 2 ** 48 - 1 }), tick: fc.nat({ max: 0xffff }) }),
  expiresAtMs: fc.oneof(fc.constant(0), fc.nat({ max: Number.MAX_SAFE_INTEGER })),
  writer: name,
  contentType: fc.constantFrom("", "text/plain", "application/octet-stream"),
  value: fc.uint8Array({ maxLength: 40 }).map((bytes): Uint8Array => Buffer.from(bytes)),
  digest: chars(16),
});

/** At least one, sorted, each dot once. */
export const anySiblings: fc.Arbitrary<Siblings> = fc
  .uniqueArray(sibling, { minLength: 1, maxLength: 5, comparator: (a, b) => compareDots(a.dot, b.dot) === 0 })
  .map((siblings) => siblings.toSorted((a, b) => compareDots(a.dot, b.dot)));

const summary: fc.Arbitrary<Summary> = record({
  root: chars(16),
  dotRoot: chars(16),
  count: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  context: chars(8),
});

const entry: fc.Arbitrary<WireEntry> = record({
  key: fc.integer({ min: 1, max: 20 }).chain(chars),
  record: fc.oneof(
    fc.constant<Uint8Array>(Buffer.alloc(0)),
    anySiblings.map((siblings): Uint8Array => encodeSiblings(siblings)),
  ),
  gone: fc.array(anyDot, { maxLength: 3 }),
});
const entries = fc.array(entry, { maxLength: 5 });
const exchange = fc.nat({ max: 0xffff_ffff });

const flag = fc.boolean();
/** The keys of one of these, or none of them. */
const optional = <T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | object> => fc.oneof(fc.constant({}), arbitrary);
const bytes = fc.uint8Array({ maxLength: 60 }).map((some): Uint8Array => Buffer.from(some));

const request: fc.Arbitrary<RepairRequest> = fc
  .tuple(
    record({
      kind: fc.constant("repair-request" as const),
      exchange,
      seen: anyContext,
      bytesMax: fc.nat({ max: 1 << 20 }),
      count: fc.nat(),
      cells: fc.nat({ max: 65_536 }),
    }),
    optional(record({ wanted: anyContext })),
    optional(record({ sketch: bytes })),
  )
  .map((parts) => Object.assign({}, ...parts) as RepairRequest);

const relative: fc.Arbitrary<RelativeContext> = fc.oneof(
  anyContext.map(wholeContext),
  record({ from: fc.constant("seen" as const), gained: anyContext, lacked: anyContext }),
);
const found: fc.Arbitrary<SketchFound> = record({
  result: fc.constantFrom("decoded" as const, "undecodable" as const, "not-ready" as const),
  missing: anyContext,
  drops: anyContext,
});
const answer: fc.Arbitrary<RepairAnswer> = fc
  .tuple(
    record({ kind: fc.constant("repair-answer" as const), exchange, entries, namesDeletions: flag, context: relative }),
    fc.oneof(
      record({ more: fc.constant(true), covered: anyContext }),
      record({ more: fc.constant(true), covered: anyContext, summary, found }),
      record({ more: fc.constant(false), covered: fc.constant(new Context()), summary }),
      record({ more: fc.constant(false), covered: fc.constant(new Context()), summary, found }),
    ),
    optional(record({ sketch: bytes })),
  )
  .map((parts) => Object.assign({}, ...parts) as RepairAnswer);

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  record({ kind: fc.constantFrom("ping" as const, "pong" as const), exchange, name, address: name, instance: chars(8), summary }),
  record({ kind: fc.constant("push" as const), exchange, entries, context: anyContext }),
  record({ kind: fc.constant("push-ack" as const), exchange, accepted: fc.boolean() }),
  record({
    kind: fc.constant("read-request" as const),
    exchange,
    key: fc.integer({ min: 1, max: 20 }).chain(chars),
    held: fc.array(anyDot, { maxLength: 3 }),
  }),
  record({ kind: fc.constant("read-answer" as const), exchange, entry }),
  request,
  answer,
);

/** A copy whose parts are comparable: bytes are plain Buffers, contexts are their ranges. */
export function plain(value: unknown): unknown {
  if (value instanceof Context) return [...value.incarnations()].map((owner) => [owner, [...value.rangesOf(owner)]]);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, plain(part)]));
  return value;
}
