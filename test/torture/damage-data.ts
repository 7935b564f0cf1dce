/** The data that is damaged: a few hundred keys with all that a store knows (replaced, deleted, expiring, concurrent, large values). */
import type { Kv, KvOperation } from "../../lib/core/kv.ts";

const KEYS = 400;
const HOUR_MS = 3_600_000;

export async function fill(kv: Kv): Promise<void> {
  const names = Array.from({ length: KEYS }, (_, i) => `key ${i}`);
  await writeAll(
    kv,
    names.map((key, i) => ({ key, value: text(`${i} first`) })),
  );
  // Replaced, so that the file also holds old pages with older values.
  await writeAll(
    kv,
    names.map((key, i) => ({ key, value: text(`${i} ${"x".repeat(i % 40 === 7 ? 9_000 : (i * 37) % 300)}`) })),
  );
  await writeAll(
    kv,
    names.filter((_, i) => i % 9 === 0).map((key) => ({ key, value: undefined })),
  );
  await writeAll(
    kv,
    names.filter((_, i) => i % 25 === 4).map((key, i) => ({ key, value: text(`beside ${i}`), beside: true })),
  );
  await writeAll(
    kv,
    names.filter((_, i) => i % 31 === 5).map((key) => ({ key, value: text("for an hour"), ttlMs: HOUR_MS })),
  );
}

/** What every key shows: all its values, or nothing. */
export function contentsOf(kv: Kv): Map<string, string> {
  const contents = new Map<string, string>();
  for (let i = 0; i < KEYS; i++) {
    const values = kv.siblings(`key ${i}`).map(({ value }) => Buffer.from(value).toString("utf8"));
    contents.set(`key ${i}`, values.sort().join(" | "));
  }
  return contents;
}

async function writeAll(kv: Kv, operations: readonly KvOperation[]): Promise<void> {
  // Several batches, so that the tree grows as it does in life.
  for (let from = 0; from < operations.length; from += 50) await kv.write(operations.slice(from, from + 50));
}

function text(words: string): Uint8Array {
  return Buffer.from(JSON.stringify(words));
}
