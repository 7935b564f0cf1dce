/** The store's own record: what is known of the whole without reading the entries. It is written in every batch. */
import { ByteReader, ByteWriter } from "./codec.ts";
import { shortHash, type DigestKey, type Hash128 } from "./digest.ts";
import type { Tally } from "./tally.ts";
import type { Stamp } from "./time.ts";

export interface Meta {
  readonly root: Hash128;
  readonly dotRoot: Hash128;
  /** Live siblings. */
  readonly count: number;
  readonly keyCount: number;
  /** The last stamp of the clock, so that it does not run backwards over a restart. */
  readonly stamp: Stamp;
  /** Tells whether the digests were made with this cluster's key. */
  readonly keyFingerprint: string;
}

export function metaOf({ root, dotRoot, count, keyCount }: Tally, stamp: Stamp, digestKey: DigestKey): Meta {
  return { root: root.toHash(), dotRoot: dotRoot.toHash(), count, keyCount, stamp, keyFingerprint: fingerprintOf(digestKey) };
}

/** Every batch names the key, and it is nearly always the same one. */
function fingerprintOf(digestKey: DigestKey): string {
  if (last?.digestKey !== digestKey) last = { digestKey, fingerprint: shortHash(digestKey, new Uint8Array(0)) };
  return last.fingerprint;
}

let last: { readonly digestKey: DigestKey; readonly fingerprint: string } | undefined;

export function encodeMeta(meta: Meta): Uint8Array {
  const writer = new ByteWriter(64);
  writer.fixedChars(meta.root);
  writer.fixedChars(meta.dotRoot);
  writer.varint(meta.count);
  writer.varint(meta.keyCount);
  writer.uint48(meta.stamp.ms);
  writer.varint(meta.stamp.tick);
  writer.fixedChars(meta.keyFingerprint);
  return writer.view();
}

/** Throws `malformed`. */
export function decodeMeta(bytes: Uint8Array): Meta {
  const reader = new ByteReader(bytes);
  const meta: Meta = {
    root: reader.fixedChars(16),
    dotRoot: reader.fixedChars(16),
    count: reader.varint(Number.MAX_SAFE_INTEGER),
    keyCount: reader.varint(Number.MAX_SAFE_INTEGER),
    stamp: { ms: reader.uint48(), tick: reader.varint(0xffff) },
    keyFingerprint: reader.fixedChars(8),
  };
  reader.end();
  return meta;
}
