/**
 * A token says what a reader has seen of one key: the dots of its siblings. Given back with a write, exactly those are replaced.
 *
 * It is opaque to clients, and sealed together with its key: a dot that a write names counts as seen everywhere, so a token
 * that was mixed up with another key's, or made up, would delete what nobody meant to delete. Without a cluster key the seal only
 * guards against accidents.
 */
import { ByteReader, ByteWriter, readDot, writeDot } from "./codec.ts";
import { shortHash, type DigestKey } from "./digest.ts";
import type { Dot } from "./dot.ts";
import { ConcordError } from "./errors.ts";
import type { EntryKey } from "./layout.ts";

/** Dots of one token; more siblings than this cannot be named and are not, so they stay. */
export const TOKEN_DOTS_MAX = 128;

const SEAL_CHARS = 8;

/** Every write and many reads make a token: these two are used again and again. */
const tokenWriter = new ByteWriter();
const sealWriter = new ByteWriter();

export function encodeToken(digestKey: DigestKey, key: EntryKey, dots: readonly Dot[]): string {
  tokenWriter.reset();
  for (let i = 0; i < dots.length && i < TOKEN_DOTS_MAX; i++) writeDot(tokenWriter, dots[i]!);
  tokenWriter.fixedChars(sealOf(digestKey, key, tokenWriter.view()));
  return tokenWriter.view().toString("base64url");
}

/** Throws `invalid` when the token is not one that a node of this cluster gave for this key. */
export function decodeToken(digestKey: DigestKey, key: EntryKey, token: string): Dot[] {
  const bytes = Buffer.from(token, "base64url");
  const dots: Dot[] = [];
  const body = bytes.subarray(0, Math.max(0, bytes.length - SEAL_CHARS));
  const isWhole = bytes.length >= SEAL_CHARS && body.length % 12 === 0 && body.length <= 12 * TOKEN_DOTS_MAX;
  if (!isWhole || bytes.toString("latin1", body.length) !== sealOf(digestKey, key, body)) {
    throw new ConcordError(
      "invalid",
      "the token was not given by this cluster for this key; read the key again and use that answer's token",
    );
  }
  const reader = new ByteReader(body);
  while (reader.left > 0) dots.push(readDot(reader));
  return dots;
}

function sealOf(digestKey: DigestKey, key: EntryKey, dots: Uint8Array): string {
  // The key's length, or a token could be cut anew into one of a longer key that ends in its first dot.
  sealWriter.reset();
  sealWriter.fixedChars(`${key.length} ${key}`);
  sealWriter.raw(dots);
  return shortHash(digestKey, sealWriter.view());
}
