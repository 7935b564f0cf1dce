/**
 * What has changed on this node lately, in order, for those who watch: kept in a ring that is bounded in events and in bytes, so
 * that a watcher whose connection broke can go on where it was, or be told that its place is gone.
 *
 * An event's number is of this process alone, and its id names the process: another node has seen the same changes in another order,
 * and after a restart nobody knows what was told before. The ring begins to turn with the first watcher of the process, so a node
 * that nobody watches pays nothing; whoever holds an id has watched, so the ring has turned since.
 */
import { randomBytes } from "node:crypto";
import type { Kv, KvEvent } from "../../core/kv.ts";
import { valueField } from "../answer.ts";
import { etagOf } from "./conditions.ts";
import { expiresIn } from "./value.ts";

export interface FeedLimits {
  /** Events that the ring keeps. */
  readonly eventsMax: number;
  /** Bytes of events that the ring keeps. */
  readonly bytesMax: number;
  /** A value of more bytes is named in its event and not sent with it. */
  readonly valueBytesMax: number;
}

export const FEED_LIMITS: FeedLimits = {
  /** Half a minute of a busy node, and hours of a quiet one. */
  eventsMax: 16_384,
  /** What one node may spend on those who were away for a moment. */
  bytesMax: 16 * 1024 * 1024,
  /** A quarter of what may wait for one watcher (watch.ts). */
  valueBytesMax: 1024 * 1024,
};

export interface FeedEvent {
  readonly number: number;
  readonly key: string;
  /** As it travels. */
  readonly bytes: Uint8Array;
}

export interface Feed {
  /** The id of the last event, or of the moment before the first one. */
  readonly lastId: string;
  /** Events after this id, oldest first; undefined when it is not known here, or no longer. */
  since(id: string): readonly FeedEvent[] | undefined;
  /** Hears of every event from now on. Returns how to stop. */
  listen(listener: (event: FeedEvent) => void): () => void;
}

export function createFeed(kv: Pick<Kv, "watch">, limits: FeedLimits = FEED_LIMITS): Feed {
  const epoch = randomBytes(6).toString("hex");
  const listeners = new Set<(event: FeedEvent) => void>();
  /** A queue whose head moves, and which is cut off behind it now and then. */
  let ring: FeedEvent[] = [];
  let head = 0;
  let bytesKept = 0;
  let last = 0;

  const forgetOldest = (): void => {
    while (ring.length - head > limits.eventsMax || bytesKept > limits.bytesMax) bytesKept -= ring[head++]!.bytes.length;
    if (head > limits.eventsMax) {
      ring = ring.slice(head);
      head = 0;
    }
  };

  kv.watch("", (event) => {
    const number = ++last;
    const bytes = Buffer.from(render(event, `${epoch}-${number}`, limits.valueBytesMax), "utf8");
    const entry = { number, key: event.key, bytes };
    ring.push(entry);
    bytesKept += bytes.length;
    forgetOldest();
    for (const listener of listeners) listener(entry);
  });

  return {
    get lastId() {
      return `${epoch}-${last}`;
    },
    since(id) {
      const [, ofEpoch, digits] = /^([0-9a-f]{12})-(0|[1-9]\d{0,15})$/.exec(id) ?? [];
      const number = Number(digits);
      const oldest = ring[head]?.number ?? last + 1;
      if (ofEpoch !== epoch || number > last || number + 1 < oldest) return undefined;
      return ring.slice(head + number + 1 - oldest);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** One event as server-sent events have it. A line break within JSON text becomes a new line of data, which its reader puts back. */
function render({ kind, key, value, token }: KvEvent, id: string, valueBytesMax: number): string {
  const about = { key, token, etag: value === undefined ? undefined : etagOf(value.tag) };
  let data = JSON.stringify(about);
  if (value !== undefined) {
    const siblings = value.siblings > 1 ? value.siblings : undefined;
    const bytes = value.value.length;
    data = `${data.slice(0, -1)},${JSON.stringify({ siblings, bytes, expiresIn: expiresIn(value, Date.now()) }).slice(1)}`;
    if (bytes <= valueBytesMax) data = `${data.slice(0, -1)},${valueField(value)}}`;
  }
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}`);
  return `id: ${id}\nevent: ${kind}\n${lines.join("\n")}\n\n`;
}
