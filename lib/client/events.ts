/**
 * Server-sent events as they arrive, for a client that watches: a small reader of exactly what the standard says of a stream.
 *
 * An event without data is given too, because it carries an id: a node sends it as its heartbeat, and whoever comes back after a
 * break goes on from there.
 */
import { ConcordError } from "../core/errors.ts";

export interface StreamEvent {
  /** The last id that the stream has named. */
  readonly id: string;
  /** "message" when the stream names none. */
  readonly event: string;
  /** "" for a heartbeat. */
  readonly data: string;
}

/** One event: a value of a mebibyte as base64, and room. */
const EVENT_CHARS_MAX = 16 * 1024 * 1024;

/** Throws ConcordError `peer-failed` for an event without an end. An event that is cut off is not given. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let text = "";
  let id = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    for (;;) {
      const end = /\r\n\r\n|\n\n|\r\r/.exec(text);
      if (end === null) break;
      const event = parseEvent(text.slice(0, end.index), id);
      text = text.slice(end.index + end[0].length);
      id = event.id;
      yield event;
    }
    if (text.length > EVENT_CHARS_MAX) throw new ConcordError("peer-failed", `an event of over ${EVENT_CHARS_MAX} characters`);
  }
}

function parseEvent(block: string, lastId: string): StreamEvent {
  let [id, event] = [lastId, "message"];
  const data: string[] = [];
  for (const line of block.split(/\r\n|\n|\r/)) {
    const [, name = "", value = ""] = /^([^:]*):? ?([\s\S]*)$/.exec(line) ?? [];
    if (name === "id" && !value.includes("\0")) id = value;
    else if (name === "event") event = value;
    else if (name === "data") data.push(value);
  }
  return { id, event, data: data.join("\n") };
}
