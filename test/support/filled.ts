/** A small store with all that a store knows, and a peer that holds the same: what tests of damage begin with. */
import assert from "node:assert/strict";
import { MARK } from "../../lib/core/layout.ts";
import { START_MS } from "./chance.ts";
import { json, openTestStore, rowsOf, type TestStore } from "./stores.ts";
import { pullToEnd } from "./world.ts";

const NOW = START_MS;

/** Two keys that are live, one of them to expire, one that was deleted, one with siblings. */
export async function createFilled(name = "a"): Promise<TestStore> {
  const side = await openTestStore(name);
  side.store.put("k", json("1"), NOW);
  side.store.put("l", json('{"x":2}', { expiresAtMs: NOW + 60_000 }), NOW);
  side.store.put("gone", json("3"), NOW);
  side.store.remove("gone", undefined, NOW);
  side.store.put("both", json("4", { observed: [] }), NOW);
  side.store.put("both", json("5", { observed: [] }), NOW);
  await side.persist();
  return side;
}

/** A peer that holds the same. */
export async function peerOf({ store }: TestStore): Promise<TestStore> {
  const peer = await openTestStore("b");
  assert.equal(pullToEnd(peer.store, store), "joined");
  await peer.persist();
  return peer;
}

/** Keys that wait for what the disk has lost. */
export function marked(side: TestStore): string[] {
  return [...rowsOf(side.store.reader, MARK)].map(([row]) => row.slice(MARK.length));
}
