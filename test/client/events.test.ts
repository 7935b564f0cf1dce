/** Server-sent events: the same whatever chunks they come in; a stream that breaks is opened again where it was. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { readEvents, type StreamEvent } from "../../lib/client/events.ts";
import { watchEvents, type WatchEvent } from "../../lib/client/watch.ts";
import { ConcordError } from "../../lib/core/errors.ts";
import { holdsAsync } from "../support/property.ts";

async function* chunksOf(text: string, cuts: readonly number[] = []): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  let from = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    yield bytes.subarray(from, Math.min(cut, bytes.length));
    from = Math.min(cut, bytes.length);
  }
  yield bytes.subarray(from);
}

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

const STREAM =
  'retry: 1000\nid: a-0\n\nid: a-1\nevent: put\ndata: {"key":"ключ",\ndata: "value":1}\n\n: \nid: a-2\n\nevent:delete\r\ndata:x\r\n\r\nevent: cut\ndata: o';

test("events do not depend on how they are cut into chunks; one that is cut off is not given", async (t) => {
  const expected: StreamEvent[] = [
    { id: "a-0", event: "message", data: "" },
    { id: "a-1", event: "put", data: '{"key":"ключ",\n"value":1}' },
    { id: "a-2", event: "message", data: "" },
    { id: "a-2", event: "delete", data: "x" },
  ];
  await holdsAsync(
    t,
    fc.asyncProperty(fc.array(fc.nat({ max: Buffer.byteLength(STREAM) }), { maxLength: 12 }), async (cuts) => {
      assert.deepEqual(await collect(readEvents(chunksOf(STREAM, cuts))), expected);
    }),
  );
});

test("a stream that breaks is opened again after the last id, until the node refuses for good", async (t) => {
  const asked: (string | undefined)[] = [];
  const why: string[] = [];
  const opens: (() => AsyncIterable<Uint8Array>)[] = [
    () => chunksOf('id: a-1\nevent: put\ndata: {"key":"k"}\n\n: \nid: a-5\n\n'),
    () => {
      throw new ConcordError("peer-failed", "nobody is there");
    },
    () => chunksOf('id: b-0\nevent: reset\ndata: {}\n\nid: b-1\nevent: later\ndata: {}\n\nid: b-2\nevent: expire\ndata: {"key":"k"}\n\n'),
    () => {
      throw new ConcordError("invalid", "no more");
    },
  ];
  const open = async (id: string | undefined): Promise<AsyncIterable<Uint8Array>> => {
    asked.push(id);
    return opens.shift()!();
  };
  const seen: WatchEvent[] = [];
  const watching = async (): Promise<void> => {
    for await (const event of watchEvents({ open, onBreak: ({ message }) => why.push(message) })) seen.push(event);
  };
  await t.throwsAsync(watching(), { message: "no more" });
  t.deepEqual(seen.map(({ kind, id }) => `${kind} ${id}`), ["put a-1", "reset b-0", "expire b-2"]); // prettier-ignore
  t.deepEqual(asked, [undefined, "a-5", "a-5", "b-2"]);
  t.is(why.length, 2);
});
