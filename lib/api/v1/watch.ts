/**
 * GET /v1/watch: changes as they become durable on this node, as server-sent events.
 *
 * Nothing is dropped in silence. A watcher that cannot be told what it has missed is told that (`reset`); one that reads slower than
 * things change is told so (`overrun`) and let go, and comes back with the id of the last event that it has read.
 */
import * as v from "valibot";
import type { ModernDeps } from "./deps.ts";
import { createFeed, type Feed, type FeedEvent } from "./feed.ts";
import { Problem } from "./problem.ts";
import { createRoute, type Route } from "./route.ts";
import * as schemas from "./schemas.ts";

/** Connections that watch. A fourth of those that the server takes, so that watchers cannot shut everybody else out. */
const WATCHERS_MAX = 200;

/** Bytes that wait for one watcher. All of them together: under a gigabyte in the worst case, and next to nothing in the usual one. */
const QUEUE_BYTES_MAX = 4 * 1024 * 1024;

/** Shorter than what proxies take for silence, and than the server's own deadline (http.ts), which counts from the last byte. */
const HEARTBEAT_MS = 5_000;

/** How long a client is to wait before it comes back. */
const RETRY_MS = 1_000;

export interface WatchLimits {
  readonly watchersMax: number;
  readonly queueBytesMax: number;
  readonly heartbeatMs: number;
}

export const WATCH_LIMITS: WatchLimits = { watchersMax: WATCHERS_MAX, queueBytesMax: QUEUE_BYTES_MAX, heartbeatMs: HEARTBEAT_MS };

const eventData = v.object({
  key: v.string(),
  token: v.pipe(v.string(), v.description("Names what the key holds after the change, for a write that has seen it.")),
  etag: v.optional(v.string()),
  siblings: v.optional(v.number()),
  bytes: v.optional(v.pipe(v.number(), v.description("The value's size. Values over 1 MiB are not sent along."))),
  expiresIn: v.optional(v.number()),
  ...schemas.valueMembers,
});

export function createWatchRoute({ kv, stopping }: ModernDeps, limits: WatchLimits = WATCH_LIMITS): Route {
  let feed: Feed | undefined;
  const watchers = new Set<() => void>();
  stopping.addEventListener("abort", () => {
    for (const close of [...watchers]) close();
  });
  return createRoute({
    method: "GET",
    path: "/v1/watch",
    summary: "Watches keys",
    description:
      "Server-sent events: put, delete and expire, each with an id. With Last-Event-ID it goes on after that event; when the place is no longer " +
      "known, or was another node's, a reset event comes first: list the keys again. overrun: the reader is too slow; come back with the last id. " +
      "To begin with what is there, open the watch and then list.",
    query: { prefix: v.optional(schemas.prefix, "") },
    headers: { "last-event-id": v.optional(v.pipe(v.string(), v.description("The id of the last event that the client has read."))) },
    answers: { 200: { description: "Events without an end.", content: { "text/event-stream": eventData } } },
    problems: [400, 503],
    example: "curl -N 'localhost:8001/v1/watch?prefix=user/'",
    handle({ query: { prefix }, headers: { "last-event-id": lastEventId }, incoming }) {
      const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
      if (incoming.method === "HEAD") return new Response(null, { headers });
      if (stopping.aborted) throw new Problem("stopping", "this node is stopping");
      if (watchers.size >= limits.watchersMax) throw new Problem("overloaded", `${limits.watchersMax} watch already`);
      feed ??= createFeed(kv);
      return new Response(streamOf({ feed, prefix, lastEventId, limits, watchers }), { headers });
    },
  });
}

interface Watcher {
  readonly feed: Feed;
  readonly prefix: string;
  readonly lastEventId: string | undefined;
  readonly limits: WatchLimits;
  /** How to let go each that watches; this one adds itself, and takes itself out when it is gone for whatever reason. */
  readonly watchers: Set<() => void>;
}

/** The queue of the stream is the watcher's queue, counted in bytes; what is in it stays there until the socket takes it. */
function streamOf({ feed, prefix, lastEventId, limits, watchers }: Watcher): ReadableStream<Uint8Array> {
  let end: () => void = () => undefined;
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        let ended = false;
        const push = (text: string | Uint8Array): void => controller.enqueue(typeof text === "string" ? Buffer.from(text, "utf8") : text);
        const tell = ({ key, bytes }: FeedEvent): void => {
          if (ended || !key.startsWith(prefix)) return;
          if ((controller.desiredSize ?? 0) > 0) return push(bytes);
          push(`event: overrun\ndata: {"hint":"what is read comes slower than what changes; come back with the id of the last event"}\n\n`);
          close();
        };
        const unlisten = feed.listen(tell);
        // With the id of what was passed over too: a watcher of a quiet prefix would otherwise lose its place to what others write.
        const beat = setInterval(() => push(`: \nid: ${feed.lastId}\n\n`), limits.heartbeatMs);
        beat.unref();
        const close = (): void => {
          if (ended) return;
          end();
          controller.close();
        };
        end = () => {
          if (ended) return;
          ended = true;
          clearInterval(beat);
          unlisten();
          watchers.delete(close);
        };
        watchers.add(close);
        push(`retry: ${RETRY_MS}\n`);
        const missed = lastEventId === undefined ? [] : feed.since(lastEventId);
        if (missed === undefined)
          push(`id: ${feed.lastId}\nevent: reset\ndata: {"hint":"what was missed is not known here; list the keys again"}\n\n`);
        else {
          for (const event of missed) tell(event);
          if (!ended) push(`id: ${feed.lastId}\n\n`);
        }
      },
      cancel: () => end(),
    },
    { highWaterMark: limits.queueBytesMax, size: (chunk) => chunk.length },
  );
}
