/**
 * The elements of one JSON array as they arrive, each as text: a store of any size is listed with the memory of one entry.
 *
 * Works on bytes: a chunk may end in the middle of a character, and the six bytes that matter ({ } [ ] " \) are never part of one. It finds
 * where elements end and leaves it to the caller to judge what they are. An array that is cut off is an error, not an end:
 * half a listing must not pass for a whole one.
 */
import { ConcordError } from "../core/errors.ts";

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/** One entry, twice over: what a key may hold is 8 MiB, and escapes make it longer. */
const ELEMENT_BYTES_MAX = 64 * 1024 * 1024;

/** Throws ConcordError `peer-failed` when what comes is no array, or does not end. */
export async function* readElements(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const splitter = new Splitter();
  for await (const chunk of chunks) {
    yield* splitter.take(chunk);
  }
  if (!splitter.ended) throw failure("the listing ends in the middle");
}

class Splitter {
  ended = false;
  #began = false;
  #depth = 0;
  #inString = false;
  #escaped = false;
  /** What came of the element in earlier chunks. */
  #parts: Uint8Array[] = [];
  #partBytes = 0;

  *take(chunk: Uint8Array): Generator<string> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#inString) {
        this.#onStringByte(byte);
        continue;
      }
      if (byte === quote) this.#inString = true;
      else if (byte === openBrace || byte === openBracket) {
        if (!this.#began) {
          if (byte !== openBracket) throw failure("the listing is no array");
          this.#began = true;
          start = at + 1;
        } else this.#depth++;
      } else if (byte === closeBrace || byte === closeBracket) {
        if (this.#depth > 0) this.#depth--;
        else {
          yield* this.#end(chunk.subarray(start, at));
          this.ended = true;
          return;
        }
      } else if (byte === comma && this.#depth === 0) {
        yield* this.#end(chunk.subarray(start, at));
        start = at + 1;
      }
    }
    this.#keep(chunk.subarray(start));
  }

  #onStringByte(byte: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (byte === backslash) this.#escaped = true;
    else if (byte === quote) this.#inString = false;
  }

  #keep(part: Uint8Array): void {
    this.#partBytes += part.length;
    if (this.#partBytes > ELEMENT_BYTES_MAX) throw failure(`an entry of the listing is larger than ${ELEMENT_BYTES_MAX} bytes`);
    this.#parts.push(part);
  }

  *#end(last: Uint8Array): Generator<string> {
    const bytes = this.#parts.length === 0 ? last : Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#partBytes = 0;
    const text = new TextDecoder().decode(bytes).trim();
    if (text !== "") yield text;
  }
}

function failure(problem: string): ConcordError {
  return new ConcordError("peer-failed", problem);
}
