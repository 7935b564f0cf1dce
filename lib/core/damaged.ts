/**
 * A stored record whose checksum does not match its bytes, as an error that names the record: whoever meets it can leave that one
 * record alone and go on with the others.
 */
import { ConcordError } from "./errors.ts";
import { ENTRY, keyFromBytes } from "./layout.ts";
import type { StorageKey } from "./ports.ts";

export class DamagedRecordError extends ConcordError {
  readonly key: StorageKey;

  constructor(key: StorageKey) {
    super("damaged", `the stored record of key ${printableKey(key)} is damaged: its checksum does not match its bytes`);
    this.name = "DamagedRecordError";
    this.key = key;
  }
}

/** What clients are told until the record has been set apart. */
export function damagedNow({ key }: DamagedRecordError, more = ""): ConcordError {
  const isEntry = key.startsWith(ENTRY);
  const what = isEntry ? `the stored value of ${JSON.stringify(keyFromBytes(key.slice(ENTRY.length)))}` : "a record that this needs";
  return new ConcordError("damaged", `${what} is damaged on this node's disk and is being set apart: try again in a moment${more}`);
}

/** Nothing is certain but the entries. */
export function rebuildNeeded(problem: string): ConcordError {
  const advice = "start the node again, and it is rebuilt from them";
  return new ConcordError("damaged", `the store does not agree with its entries (${problem}); ${advice}`);
}

/** Keys hold bytes; in a message each is a visible character or an escape, and a long one is cut. */
export function printableKey(key: StorageKey): string {
  const text = JSON.stringify(key.slice(0, SHOWN_MAX)).replace(
    /[^\x20-\x7e]/g,
    (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return key.length <= SHOWN_MAX ? text : `${text} (and ${key.length - SHOWN_MAX} more bytes)`;
}

const SHOWN_MAX = 60;
