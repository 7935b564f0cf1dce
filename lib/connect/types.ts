/**
 * What a program sees of the client. A schema, if it gives one, says which keys hold what: `connect<{ config: Config; [user: `user/${string}`]: User }>(…)`.
 * It is a promise of the program to its compiler; what a node holds is not checked against it.
 */
import type { Fetch } from "./exchange.ts";
import type { SessionState } from "./session.ts";

export interface ConnectOptions {
  /** Base URLs of nodes of one cluster, the nearest first; such as http://localhost:8001, or with the path that a node is mounted under. */
  readonly nodes: readonly string[];
  /** Shown as `Authorization: Bearer …`. */
  readonly token?: string | undefined;
  /** How long one node is waited for, 10 s by default: a node may take 5 s to collect copies, and as long to meet its peers. */
  readonly timeoutMs?: number | undefined;
  /** The platform's by default; that of an embedded node needs no network. */
  readonly fetch?: Fetch | undefined;
}

export type Key<S> = keyof S & string;

/** No type was given. */
export interface Unset {
  readonly " unset": true;
}

/** The type that was given, else the one that the schema has for the key. */
export type Value<S, K extends Key<S>, T> = [T] extends [Unset] ? S[K] : T;

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface ReadOptions extends CallOptions {
  /** How many nodes are read, 1 by default; what they hold is merged. */
  readonly copies?: number;
  /** What the answer must have seen: the token of an earlier one for the same key. */
  readonly token?: string | undefined;
}

export interface WriteOptions extends CallOptions {
  /** How many nodes must hold it on their disks, 1 by default. */
  readonly copies?: number;
  /** Only if the key holds what this ETag names, at the node that takes the write. */
  readonly ifMatch?: string;
  /** Only if the key holds nothing, at the node that takes the write. */
  readonly ifAbsent?: boolean;
  /** Replaces exactly what an earlier answer showed; what has come since stays beside it. */
  readonly token?: string | undefined;
}

export interface PutOptions extends WriteOptions {
  /** Milliseconds until the value is gone. */
  readonly ttlMs?: number | undefined;
  /** Of bytes or of a text; JSON without one, application/octet-stream for bytes. */
  readonly contentType?: string;
}

export interface Found<T> {
  readonly value: T;
  readonly contentType: string;
  readonly etag: string;
  readonly token: string;
  /** Over 1 when writes did not know of each other: one of them is shown. */
  readonly siblings: number;
  /** Undefined when it stays. */
  readonly expiresInMs: number | undefined;
  /** The base URL of the node that answered. */
  readonly node: string;
}

export interface Receipt {
  readonly key: string;
  /** Nodes that are known to hold it. */
  readonly copies: number;
  readonly token: string;
  readonly etag: string | undefined;
}

export interface Incremented {
  /** As the node shows it now; undefined when it is gone already. */
  readonly value: number | undefined;
  readonly token: string | undefined;
}

export interface ListOptions extends CallOptions {
  readonly prefix?: string;
  /** Without values the list is shorter; true by default. */
  readonly values?: boolean;
}

export interface Entry<T> {
  readonly key: string;
  /** Undefined when the list is without values. */
  readonly value: T | undefined;
  readonly contentType: string;
  readonly bytes: number;
  readonly siblings: number;
  readonly expiresInMs: number | undefined;
  readonly etag: string | undefined;
  readonly token: string | undefined;
}

export interface WatchOptions extends CallOptions {
  readonly prefix?: string;
}

/** `reset`: what was missed is not known, for instance because another node answers now; whoever keeps a copy lists the keys anew. */
export type Change<T> =
  | {
      readonly kind: "put";
      readonly key: string;
      /** Undefined for a value over 1 MiB: read it. */
      readonly value: T | undefined;
      readonly contentType: string;
      readonly token: string;
    }
  | { readonly kind: "delete" | "expire"; readonly key: string; readonly token: string }
  | { readonly kind: "reset" };

export interface Watch<T> extends AsyncIterable<Change<T>> {
  /** Resolves when the node watches: what is written from then on is told. */
  readonly opened: Promise<void>;
  close(): void;
}

export type BatchOperation<S = Record<string, unknown>> =
  | { [K in Key<S>]: { readonly op: "put"; readonly key: K; readonly value: S[K] } & BatchPut }[Key<S>]
  | ({ readonly op: "delete"; readonly key: Key<S>; readonly token?: string } & BatchCondition)
  | ({ readonly op: "touch"; readonly key: Key<S>; readonly ttlMs?: number } & BatchCondition);

interface BatchCondition {
  readonly ifMatch?: string;
  readonly ifAbsent?: boolean;
}

interface BatchPut extends BatchCondition {
  readonly ttlMs?: number;
  readonly contentType?: string;
  readonly token?: string;
}

export interface BatchResult {
  readonly key: string;
  /** False for a deletion or a touch that found nothing. */
  readonly changed: boolean;
  readonly token: string;
  readonly etag?: string;
}

/** Everything rejects with ClientError, or with the reason of the signal. */
export interface Calls<S> {
  /** Undefined when the key is not there. */
  get<T = Unset, const K extends Key<S> = Key<S>>(key: K, options?: ReadOptions): Promise<Value<S, K, T> | undefined>;
  /** The value and what there is to say of it. */
  read<T = Unset, const K extends Key<S> = Key<S>>(key: K, options?: ReadOptions): Promise<Found<Value<S, K, T>> | undefined>;
  /** Resolves when it is on the disk of the node, and on as many others as asked for. */
  put<const K extends Key<S>>(key: K, value: S[K], options?: PutOptions): Promise<Receipt>;
  /** False when the key was not there. */
  delete(key: Key<S>, options?: WriteOptions): Promise<boolean>;
  /** The values stay, and expire after so many milliseconds, or never. False when the key was not there. */
  touch(key: Key<S>, ttlMs: number | undefined, options?: CallOptions): Promise<boolean>;
  /** Adds a whole number; what is added at all nodes adds up. After a lost answer it is not tried again: it would count twice. */
  increment(key: Key<S>, by?: number, options?: CallOptions): Promise<Incremented>;
  /** Durable on one node all together, or not at all. */
  batch(operations: readonly BatchOperation<S>[], options?: CallOptions & { readonly copies?: number }): Promise<readonly BatchResult[]>;
  /** Keys in the order of their bytes, fetched page by page. */
  list<T = S[Key<S>]>(options?: ListOptions): AsyncIterable<Entry<T>>;
  /** What changes at a node, from now on. Goes on after a break, at another node if need be. */
  watch<T = S[Key<S>]>(options?: WatchOptions): Watch<T>;
}

export interface Connection<S = Record<string, unknown>> extends Calls<S> {
  /**
   * Calls that see what earlier calls of the same session have seen and written, whichever node answers: a node that is behind catches up
   * first, or another one is asked, or the call is refused as `behind`. Lists and watches have no such promise.
   */
  session(state?: SessionState): Session<S>;
}

export interface Session<S = Record<string, unknown>> extends Calls<S> {
  /** What the session has seen, to go on with elsewhere: JSON. */
  save(): SessionState;
}
