/**
 * Concord as a driver of unstorage: `createStorage({ driver: concordDriver({ nodes: ["http://localhost:8001"] }) })`.
 *
 * Items stand under a prefix, so that `clear` empties nothing but what came by it. unstorage writes every value as a text; it is stored as
 * one, and what another client has written as JSON is read as what it is. It is no import of unstorage: the shape of a driver is all that the two share.
 */
import { connect } from "../connect.ts";
import type { ConnectOptions } from "../connect/types.ts";
import { removeAll, type Store } from "./remove-all.ts";

export type ConcordDriverOptions = (ConnectOptions | { readonly store: Store }) & {
  /** Stands before every key; "unstorage/" by default. */
  readonly prefix?: string;
};

/** Seconds, as unstorage has it. */
interface ItemOptions {
  readonly ttl?: number;
}

type Value = null | string | number | boolean | object;

const TEXT = "text/plain; charset=utf-8";

export function concordDriver(options: ConcordDriverOptions) {
  const { prefix = "unstorage/" } = options;
  const store: Store = "store" in options ? options.store : connect(options);
  const put = async (key: string, value: unknown, contentType: string | undefined, { ttl }: ItemOptions = {}): Promise<void> => {
    const expiry = ttl === undefined ? {} : { ttlMs: ttl * 1000 };
    await store.put(prefix + key, value, { ...expiry, ...(contentType === undefined ? {} : { contentType }) });
  };
  return {
    name: "concord",
    flags: { ttl: true },
    options,
    getInstance: () => store,
    hasItem: async (key: string): Promise<boolean> => (await store.read(prefix + key)) !== undefined,
    async getItem(key: string): Promise<Value> {
      const value = await store.get<Value>(prefix + key);
      return value instanceof Uint8Array ? new TextDecoder().decode(value) : (value ?? null);
    },
    getItemRaw: async (key: string): Promise<unknown> => (await store.get(prefix + key)) ?? null,
    setItem: (key: string, value: string, itemOptions?: ItemOptions): Promise<void> => put(key, value, TEXT, itemOptions),
    setItemRaw: (key: string, value: unknown, itemOptions?: ItemOptions): Promise<void> =>
      put(key, value, typeof value === "string" ? TEXT : undefined, itemOptions),
    async removeItem(key: string): Promise<void> {
      await store.delete(prefix + key);
    },
    async getMeta(key: string): Promise<{ readonly ttl?: number; readonly etag: string } | null> {
      const found = await store.read(prefix + key);
      if (found === undefined) return null;
      const { etag, expiresInMs } = found;
      return expiresInMs === undefined ? { etag } : { etag, ttl: expiresInMs / 1000 };
    },
    async getKeys(base = ""): Promise<string[]> {
      const keys: string[] = [];
      for await (const { key } of store.list({ prefix: prefix + base, values: false })) keys.push(key.slice(prefix.length));
      return keys;
    },
    clear: (base = ""): Promise<void> => removeAll(store, prefix + base),
    dispose: (): void => undefined,
    /** A reset, after which something may have been missed, is not one of unstorage's events. */
    async watch(callback: (event: "update" | "remove", key: string) => unknown): Promise<() => void> {
      const watch = store.watch({ prefix });
      await watch.opened;
      const tell = async (): Promise<void> => {
        for await (const change of watch) {
          if (change.kind !== "reset") callback(change.kind === "put" ? "update" : "remove", change.key.slice(prefix.length));
        }
      };
      // What ends it for good, such as a token that was taken back, leaves nobody to tell.
      tell().catch(() => undefined);
      return () => watch.close();
    },
  };
}
