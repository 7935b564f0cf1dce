/**
 * Watching through breaks: the stream is opened again with the id of the last event, and the node tells what came in between, or says
 * with `reset` that it cannot.
 */
import { ConcordError } from "../core/errors.ts";
import { readEvents } from "./events.ts";

export interface WatchEvent {
  /** `reset`: what was missed is not known; whoever keeps a copy reads it anew. */
  readonly kind: "put" | "delete" | "expire" | "reset";
  readonly id: string;
  /** The event's data as the node sent it: JSON text. */
  readonly text: string;
}

export interface WatchDeps {
  /** Opens the stream, after this event or from now on. Throws ConcordError. */
  readonly open: (lastEventId: string | undefined) => Promise<AsyncIterable<Uint8Array>>;
  /** Hears why a stream ended, before it is opened again. */
  readonly onBreak?: ((why: ConcordError) => void) | undefined;
}

/** From the first try to the tenth or so, doubled each time: a restart takes seconds. */
const PAUSE_MS = 250;
const PAUSE_MS_MAX = 10_000;

const KINDS: ReadonlySet<string> = new Set(["put", "delete", "expire", "reset"]);

/** Refusals that waiting changes. */
const PASSING: ReadonlySet<string> = new Set(["peer-failed", "overloaded", "stopping"]);

export async function* watchEvents({ open, onBreak }: WatchDeps): AsyncGenerator<WatchEvent> {
  let lastId: string | undefined;
  let stream = await open(undefined);
  for (;;) {
    let why = new ConcordError("peer-failed", "the node ended the stream");
    try {
      for await (const { id, event, data } of readEvents(stream)) {
        lastId = id;
        if (isKind(event)) yield { kind: event, id, text: data };
      }
    } catch (error) {
      why = new ConcordError("peer-failed", error instanceof Error ? error.message : String(error), { cause: error });
    }
    onBreak?.(why);
    stream = await reopen(open, lastId);
  }
}

function isKind(event: string): event is WatchEvent["kind"] {
  return KINDS.has(event);
}

async function reopen(open: WatchDeps["open"], lastId: string | undefined): Promise<AsyncIterable<Uint8Array>> {
  for (let pauseMs = PAUSE_MS; ; pauseMs = Math.min(PAUSE_MS_MAX, pauseMs * 2)) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    try {
      return await open(lastId);
    } catch (error) {
      if (!(error instanceof ConcordError) || !PASSING.has(error.code)) throw error;
    }
  }
}
