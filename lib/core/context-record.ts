/** The context in the storage, one record for each incarnation so that a batch writes only those that changed, and its hash. */
import { ByteReader, ByteWriter, readRanges, writeRanges } from "./codec.ts";
import { Context } from "./context.ts";
import { shortHash, type DigestKey } from "./digest.ts";
import type { Incarnation } from "./dot.ts";
import { after, CONTEXT } from "./layout.ts";
import type { StorageReader } from "./ports.ts";

/** Rows read at once. */
const PAGE_ROWS = 1024;

/** Eight bytes that are equal for equal contexts, whatever the order in which their incarnations were met. */
export function hashOfContext(digestKey: DigestKey, context: Context): string {
  const writer = new ByteWriter();
  for (const incarnation of [...context.incarnations()].sort()) {
    writer.fixedChars(incarnation);
    writeRanges(writer, context.rangesOf(incarnation));
  }
  return shortHash(digestKey, writer.view());
}

/** The record of one incarnation; undefined when none of its dots has been seen. */
export function contextRecord(context: Context, incarnation: Incarnation): Uint8Array | undefined {
  const ranges = context.rangesOf(incarnation);
  if (ranges.length === 0) return undefined;
  const writer = new ByteWriter();
  writeRanges(writer, ranges);
  return writer.view();
}

/** Throws `malformed` or `damaged`. */
export function loadContext(reader: StorageReader): Context {
  const context = new Context();
  let from = CONTEXT;
  for (;;) {
    const page = reader.range(from, after(CONTEXT), PAGE_ROWS);
    for (const row of page.rows) readRanges(new ByteReader(row.value), row.key.slice(CONTEXT.length), context);
    if (!page.more) return context;
    from = page.rows[page.rows.length - 1]!.key + "\0";
  }
}
