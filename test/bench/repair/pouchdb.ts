/**
 * PouchDB: one side replicates with the other over HTTP, both ways (`sync`), with its own replicator and defaults; the other side is a
 * PouchDB behind the routes of CouchDB (pouchdb-server.ts). Both are in memory. They were synced before, so the checkpoints are there.
 *
 * It does not compare states: it reads the other's list of changes since the last checkpoint. That costs what has changed, whatever the
 * size of the store, as long as both sides kept their checkpoint; without one it reads the whole list. Each document carries the
 * hashes of its former revisions, and a deleted document is kept for ever.
 */
import HttpAdapter from "pouchdb-adapter-http";
import MemoryAdapter from "pouchdb-adapter-memory";
import PouchDB, { type Database } from "pouchdb-core";
import replication from "pouchdb-replication";
import { startCountingProxy } from "../../support/counting-proxy.ts";
import { startPouchServer } from "./pouchdb-server.ts";
import { parts, startWatch, untilQuiet, type Measured, type System } from "./system.ts";
import type { Change } from "./workload.ts";

const WRITES = 1_000;

PouchDB.plugin(MemoryAdapter).plugin(HttpAdapter).plugin(replication);

export async function createPouchdb(): Promise<System> {
  const sides = { a: new PouchDB("a", { adapter: "memory" }), b: new PouchDB("b", { adapter: "memory" }) };
  const server = await startPouchServer(sides.b, "b");
  const link = await startCountingProxy(`http://127.0.0.1:${server.port}`);
  const bytes = (): number => link.bytes().up + link.bytes().down;
  const sync = async (options: { readonly batch_size?: number }): Promise<void> => {
    const remote = new PouchDB(`http://localhost:${link.port}/b`, { adapter: "http" });
    const { push, pull } = await sides.a.sync(remote, options);
    if (!push.ok || !pull.ok) throw new Error(`PouchDB: the replication failed: ${JSON.stringify([...push.errors, ...pull.errors])}`);
  };

  return {
    async load(before) {
      await write(
        sides.a,
        [...before].map(([key, value]) => ({ key, value })),
      );
      await sync({ batch_size: WRITES });
      // Once more: each direction's checkpoint now stands behind what the other one brought.
      await sync({});
    },
    async change(side, changes) {
      await write(sides[side], changes);
    },
    async reconcile(): Promise<Measured> {
      link.reset();
      const before = server.requests();
      const watch = startWatch();
      await sync({});
      const times = watch();
      await untilQuiet(bytes);
      return { bytes: bytes(), messages: 2 * (server.requests() - before), ...times };
    },
    async contents(side) {
      const { rows } = await sides[side].allDocs({ include_docs: true });
      return new Map(rows.map(({ id, doc }) => [id, String(doc.value)]));
    },
    async close() {
      await server.close();
      await link.close();
      await Promise.all([sides.a.close(), sides.b.close()]);
    },
  };
}

async function write(database: Database, changes: readonly Change[]): Promise<void> {
  for (const some of parts(changes, WRITES)) {
    const held = await database.allDocs({ keys: some.map(({ key }) => key) });
    const docs = some.map(({ key, value }, i) => {
      const revision = held.rows[i]?.value?.rev;
      return { _id: key, ...(revision === undefined ? {} : { _rev: revision }), ...(value === undefined ? { _deleted: true } : { value }) };
    });
    const results = await database.bulkDocs(docs);
    if (results.some((result) => result.error !== undefined)) throw new Error("PouchDB refused a write");
  }
}
