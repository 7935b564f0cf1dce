/**
 * Concord as a store of Keyv: `new Keyv({ store: new KeyvConcord("http://localhost:8001") })`.
 *
 * Keys of Keyv stand under a prefix, so that its `clear` empties nothing but what came by it. Its expiry is the node's: a value that has
 * expired is gone for everybody. It is no import of Keyv: the shape of a store is all that the two share.
 */
import { connect } from "../connect.ts";
import type { ConnectOptions } from "../connect/types.ts";
import { removeAll, removeKeys, type Store } from "./remove-all.ts";

export interface KeyvConcordOptions {
  /** Stands before every key; "keyv/" by default. */
  readonly prefix?: string;
}

interface KeyvEntry {
  readonly key: string;
  readonly value: unknown;
  readonly ttl?: number;
}

export class KeyvConcord {
  /** Keyv looks here for what it wants to know of a store. */
  readonly opts: Record<string, unknown>;
  /** Set by Keyv, which also puts it before the keys. */
  namespace?: string | undefined;
  readonly #store: Store;
  readonly #prefix: string;

  /** Takes a base URL, the options of `connect`, or what `connect` has returned. */
  constructor(store: string | ConnectOptions | Store, { prefix = "keyv/" }: KeyvConcordOptions = {}) {
    this.#store = typeof store === "string" || "nodes" in store ? connect(store) : store;
    this.#prefix = prefix;
    // Of a store that can iterate Keyv wants to see a URL.
    this.opts = { prefix, url: "concord" };
  }

  /** A call that fails rejects; nothing fails between calls, so there is nothing to tell. */
  on(_event: string, _listener: (...values: never[]) => void): this {
    return this;
  }

  async get<Value>(key: string): Promise<Value | undefined> {
    return (await this.#store.get(this.#prefix + key)) as Value | undefined;
  }

  getMany<Value>(keys: string[]): Promise<(Value | undefined)[]> {
    return Promise.all(keys.map((key) => this.get<Value>(key)));
  }

  async set(key: string, value: unknown, ttl?: number): Promise<boolean> {
    await this.#store.put(this.#prefix + key, value, { ttlMs: ttl });
    return true;
  }

  async setMany(entries: readonly KeyvEntry[]): Promise<void> {
    await Promise.all(entries.map(({ key, value, ttl }) => this.set(key, value, ttl)));
  }

  delete(key: string): Promise<boolean> {
    return this.#store.delete(this.#prefix + key);
  }

  /** False when none of them was there. */
  async deleteMany(keys: string[]): Promise<boolean> {
    return (
      (await removeKeys(
        this.#store,
        keys.map((key) => this.#prefix + key),
      )) > 0
    );
  }

  async has(key: string): Promise<boolean> {
    return (await this.#store.read(this.#prefix + key)) !== undefined;
  }

  /** Of the namespace, if there is one. */
  async clear(): Promise<void> {
    await removeAll(this.#store, this.#prefix + this.#inNamespace(this.namespace));
  }

  async *iterator<Value>(namespace?: string): AsyncGenerator<[string, Value | undefined], void> {
    for await (const { key, value } of this.#store.list<Value>({ prefix: this.#prefix + this.#inNamespace(namespace) })) {
      yield [key.slice(this.#prefix.length), value];
    }
  }

  async disconnect(): Promise<void> {
    // Connections belong to the platform's fetch, which lets go of them by itself.
  }

  #inNamespace(namespace: string | undefined): string {
    return namespace === undefined || namespace === "" ? "" : `${namespace}:`;
  }
}
