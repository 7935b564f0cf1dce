/**
 * The cluster key: one secret that all nodes of a cluster share. Whoever has it is a peer.
 *
 * Its file holds a key a line, one or two. The first signs, both are accepted, so that a cluster gets a new key while it runs: the new one is added as second line everywhere, then
 * moved to the first everywhere, then the old one is removed.
 */
import { createSecretKey, randomBytes, type KeyObject } from "node:crypto";
import { invalid, linesOf, readTextFile } from "./secret-file.ts";

/** The first signs; each is accepted. One at least. */
export type ClusterKeys = readonly KeyObject[];

/** What is random in a new key, and as much as its hash can use. */
const KEY_BYTES = 32;

/** Of one that was made elsewhere. 128 random bits as hex are just enough; signatures can be guessed at offline for as long as one likes. */
const KEY_CHARS_MIN = 32;
const KEY_CHARS_MAX = 1_024;

/** Throws `invalid`. */
export function readClusterKeys(path: string): ClusterKeys {
  const what = "the cluster key file";
  const lines = linesOf(readTextFile(path, what, "owner"));
  if (lines.length === 0) throw invalid(`${what} ${path} holds no key: concord keygen FILE makes one`);
  if (lines.length > 2) throw invalid(`${what} ${path} holds ${lines.length} keys; one is enough, and a second while it is being changed`);
  for (const { number, text } of lines) {
    if (text.length < KEY_CHARS_MIN || text.length > KEY_CHARS_MAX) {
      throw invalid(
        `${what} ${path}, line ${number}: a key has ${KEY_CHARS_MIN} to ${KEY_CHARS_MAX} characters; concord keygen FILE makes a good one`,
      );
    }
  }
  return lines.map(({ text }) => createSecretKey(Buffer.from(text, "utf8")));
}

export function createClusterKey(): string {
  return randomBytes(KEY_BYTES).toString("base64url");
}
