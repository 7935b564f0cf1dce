/**
 * GET /v1/watch as an iterator that goes on: when the stream breaks, or has been silent for too long, it is opened again after the last
 * event that was read, at the same node or at the next one. A node that cannot go on from there says so, and the watcher is told: `reset`.
 */
import { readEvents, type StreamEvent } from "../client/events.ts";
import { ClientError } from "./error.ts";
import type { Stream } from "./exchange.ts";
import type { Nodes } from "./nodes.ts";
import type { Change, Watch, WatchOptions } from "./types.ts";
import { encodeText, typeOf, valueOf, type Carried } from "./value.ts";

/** Three heartbeats of a node. */
const SILENCE_MS_MAX = 15_000;

/** From the first try to the last, doubled each time: a restart takes seconds. */
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 10_000;

/** Refusals that waiting does not change. */
const FINAL: ReadonlySet<string> = new Set(["invalid", "no-token", "not-allowed", "no-such-route"]);

export function createWatch(nodes: Nodes): (options?: WatchOptions) => Watch<unknown> {
  return ({ prefix = "", signal } = {}) => {
    const controller = new AbortController();
    const stop = (): void => controller.abort(signal?.reason);
    if (signal?.aborted === true) stop();
    else signal?.addEventListener("abort", stop, { once: true });
    let stream: Stream | undefined;
    let closed = false;
    const path = `/v1/watch?prefix=${encodeText(prefix)}`;
    const open = async (lastId: string | undefined): Promise<Stream> => {
      const headers = lastId === undefined ? {} : { "last-event-id": lastId };
      stream = await nodes.open({ method: "GET", path, headers, signal: controller.signal, fine: [200] }, SILENCE_MS_MAX);
      if (controller.signal.aborted) stream.close();
      return stream;
    };
    controller.signal.addEventListener("abort", () => stream?.close());
    const first = open(undefined);
    const close = (): void => {
      closed = true;
      signal?.removeEventListener("abort", stop);
      controller.abort();
    };
    const opened = first.then(() => undefined);
    opened.catch(() => undefined);

    const changes = async function* (): AsyncGenerator<Change<unknown>> {
      let lastId: string | undefined;
      try {
        for (let current = await first; ; current = await reopen(open, lastId, controller.signal)) {
          try {
            for await (const event of readEvents(current.chunks)) {
              lastId = event.id;
              const change = changeOf(event);
              if (change !== undefined) yield change;
            }
          } catch (error) {
            if (isFault(error)) throw error;
          } finally {
            current.close();
          }
          signal?.throwIfAborted();
        }
      } catch (error) {
        if (!closed) throw error;
      } finally {
        close();
      }
    };
    return { opened, close, [Symbol.asyncIterator]: changes };
  };
}

/** Data that cannot be read is no break in the line: to come back would only meet it again. */
function isFault(error: unknown): boolean {
  return error instanceof SyntaxError;
}

function changeOf({ event, data }: StreamEvent): Change<unknown> | undefined {
  if (event === "reset") return { kind: "reset" };
  if (event !== "put" && event !== "delete" && event !== "expire") return undefined;
  const told = JSON.parse(data) as Carried & { readonly key: string; readonly token: string };
  const { key, token } = told;
  return event === "put" ? { kind: "put", key, value: valueOf(told), contentType: typeOf(told), token } : { kind: event, key, token };
}

async function reopen(
  open: (lastId: string | undefined) => Promise<Stream>,
  lastId: string | undefined,
  signal: AbortSignal,
): Promise<Stream> {
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)) {
    await pause(pauseMs, signal);
    try {
      return await open(lastId);
    } catch (error) {
      if (!(error instanceof ClientError) || FINAL.has(error.code)) throw error;
    }
  }
}

/** Rejects with the signal's reason. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const over = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", over);
      if (signal.aborted) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(over, ms);
    signal.addEventListener("abort", over);
    if (signal.aborted) over();
  });
}
