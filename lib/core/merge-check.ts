/** What an entry of a peer must satisfy before it changes anything: there is room for it, and its contents are what their hashes say. */
import { malformed } from "./codec.ts";
import type { Context } from "./context.ts";
import { contentHash, type DigestKey } from "./digest.ts";
import type { Siblings } from "./entry.ts";
import type { WireEntry } from "./message.ts";
import { checkMergeRoom } from "./room.ts";

/** `merged`: what the key would hold. Throws `malformed` or `overloaded`. */
export function checkMerge(digestKey: DigestKey, context: Context, entry: WireEntry, before: Siblings, merged: Siblings): void {
  checkMergeRoom(merged, entry.gone.length, context);
  for (const sibling of merged) {
    if (before.includes(sibling)) continue;
    if (contentHash(digestKey, entry.key, sibling.contentType, sibling.value) !== sibling.digest) {
      throw malformed("an entry whose content does not match its hash");
    }
  }
}
