/**
 * TinyBase: two MergeableStores that synchronise over WebSockets through its own server, as its guide has it. The server is a relay that
 * holds nothing; the proxy lies between it and side a, so what is counted is what either side would send and receive on a direct link.
 *
 * A MergeableStore compares hashes of all, then of tables, then of rows, then of cells, and one table that differs is compared by the
 * hashes of ALL its rows. So two forms are measured: one table with a row for each key, which is what a key-value store in it
 * would look like; and the rows spread over about as many tables as each then has rows, by the end of the key, which makes a tree
 * of it by hand. Nothing is compressed, which is the default of its server. It knows what a key-value store has no word for (tables, cells, schemas), and every cell carries a stamp of
 * its own. Deleted rows leave their stamps behind for ever.
 */
import { createMergeableStore, type MergeableStore } from "tinybase";
import { createWsSynchronizer, type WsSynchronizer } from "tinybase/synchronizers/synchronizer-ws-client";
import { createWsServer } from "tinybase/synchronizers/synchronizer-ws-server";
import { WebSocket, WebSocketServer } from "ws";
import { freePorts } from "../../support/nodes.ts";
import { startCountingProxy } from "../../support/counting-proxy.ts";
import { startWatch, until, untilQuiet, type Measured, type System } from "./system.ts";
import type { Change, Side } from "./workload.ts";

/** Its default is 1 s, which a large table of hashes may exceed on a slow machine; the limit of the bench is the limit. */
const REQUEST_TIMEOUT_S = 120;

const CELL = "value";

/** The table that a key's row lies in. */
type TableOf = (key: string) => string;

export function createTinybase(tables: number): () => Promise<System> {
  const tableOf: TableOf = tables === 1 ? () => "store" : (key) => `t${Number(key.slice(3, 11)) % tables}`;
  return () => createSystem(tableOf);
}

async function createSystem(tableOf: TableOf): Promise<System> {
  const stores: Readonly<Record<Side, MergeableStore>> = { a: createMergeableStore("a"), b: createMergeableStore("b") };
  const [port = 0] = await freePorts(1);
  const server = createWsServer(new WebSocketServer({ port, host: "127.0.0.1", perMessageDeflate: false }));
  const link = await startCountingProxy(`http://127.0.0.1:${port}`);
  const synchronizers: WsSynchronizer<WebSocket>[] = [];
  let messages = 0;
  const count = (): void => void messages++;
  const bytes = (): number => link.bytes().up + link.bytes().down;
  const connect = async (side: Side, url: string): Promise<WsSynchronizer<WebSocket>> => {
    const counted = side === "a" ? count : undefined;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const synchronizer = await createWsSynchronizer(stores[side], socket, REQUEST_TIMEOUT_S, counted, counted);
    synchronizers.push(synchronizer);
    return synchronizer;
  };
  const hashes = (side: Side): string => JSON.stringify(stores[side].getMergeableContentHashes());
  const isEqual = (): boolean => hashes("a") === hashes("b");

  return {
    async load(before) {
      apply(
        stores.a,
        tableOf,
        [...before].map(([key, value]) => ({ key, value })),
      );
      // Stamps and hashes included, as an earlier synchronisation leaves them.
      stores.b.applyMergeableChanges(stores.a.getMergeableContent());
      if (!isEqual()) throw new Error("TinyBase: the two stores differ before anything was changed");
    },
    async change(side, changes) {
      apply(stores[side], tableOf, changes);
    },
    async reconcile(): Promise<Measured> {
      const b = await connect("b", `ws://127.0.0.1:${port}`);
      const watch = startWatch();
      const a = await connect("a", `ws://127.0.0.1:${link.port}`);
      await Promise.all([a.startSync(), b.startSync()]);
      await until(isEqual);
      const times = watch();
      await untilQuiet(bytes);
      return { bytes: bytes(), messages, ...times };
    },
    async contents(side) {
      const rows = Object.values(stores[side].getTables()).flatMap((table) => Object.entries(table));
      return new Map(rows.map(([key, row]) => [key, row[CELL] as string]));
    },
    async close() {
      for (const synchronizer of synchronizers) await synchronizer.destroy();
      await server.destroy();
      await link.close();
    },
  };
}

function apply(store: MergeableStore, tableOf: TableOf, changes: readonly Change[]): void {
  store.transaction(() => {
    for (const { key, value } of changes) {
      if (value === undefined) store.delRow(tableOf(key), key);
      else store.setCell(tableOf(key), key, CELL, value);
    }
  });
}
