/** As much of PouchDB's packages as the bench uses; they carry no types of their own. */
declare module "pouchdb-core" {
  export interface Replicated {
    readonly ok: boolean;
    readonly errors: readonly unknown[];
  }
  export interface Row {
    readonly id: string;
    /** Missing for a key that was never there. */
    readonly value?: { readonly rev: string };
    readonly doc: Readonly<Record<string, unknown>>;
  }
  export interface Database {
    allDocs(options: { readonly include_docs?: boolean; readonly keys?: readonly string[] }): Promise<{ readonly rows: readonly Row[] }>;
    bulkDocs(docs: readonly object[] | object): Promise<readonly { readonly error?: unknown }[]>;
    bulkGet(options: object): Promise<unknown>;
    changes(options: object): Promise<unknown>;
    revsDiff(revisions: object): Promise<unknown>;
    get(id: string): Promise<unknown>;
    put(doc: object): Promise<unknown>;
    info(): Promise<unknown>;
    sync(other: Database, options: object): Promise<{ readonly push: Replicated; readonly pull: Replicated }>;
    close(): Promise<void>;
  }
  export interface Plugin {
    readonly isPlugin?: never;
  }
  const PouchDB: {
    new (name: string, options: { readonly adapter: "memory" | "http" }): Database;
    plugin(plugin: Plugin): typeof PouchDB;
  };
  export default PouchDB;
}

declare module "pouchdb-adapter-http" {
  import type { Plugin } from "pouchdb-core";
  const plugin: Plugin;
  export default plugin;
}

declare module "pouchdb-adapter-memory" {
  import type { Plugin } from "pouchdb-core";
  const plugin: Plugin;
  export default plugin;
}

declare module "pouchdb-replication" {
  import type { Plugin } from "pouchdb-core";
  const plugin: Plugin;
  export default plugin;
}
