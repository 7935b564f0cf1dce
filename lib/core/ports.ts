/**
 * All that a node may touch of the world: five ports, injected, and no other way out (the fifth, Transport, is in transport.ts).
 *
 * The simulator implements the same five with one seed and virtual time. Whatever reaches for Date, Math.random, a timer or
 * a socket behind their back cannot be replayed, so test/tidy.test.ts bans those names by name.
 */
/** One reading of the clock. */
export interface Now {
  /** Milliseconds since 1970, by this machine's own opinion: it may be wrong, and may step backwards. For stamps and expiry. */
  readonly wallMs: number;
  /** Milliseconds since some start; never runs backwards. For timeouts and intervals. */
  readonly monotonicMs: number;
}

export interface Clock {
  now(): Now;
}

/** Randomness: incarnations and jitter. Not for secrets. */
export interface Random {
  /** An unsigned 32-bit integer, uniform. */
  uint32(): number;
}

/**
 * A storage key: one character a byte (char codes 0–255), 1 to 1,900 of them, compared byte by byte, which for such strings is
 * what `<` does. A string because a Map cannot be keyed by bytes; bytes because every engine then has the same order.
 */
export type StorageKey = string;

/** One change in a batch: `value` undefined removes the key. Whoever hands a value over does not modify it afterwards. */
export interface StorageChange {
  readonly key: StorageKey;
  readonly value: Uint8Array | undefined;
}

export interface StoragePage {
  /** In key order. The values may be views of the engine's memory: valid until the next await, not to be modified. */
  readonly rows: readonly { readonly key: StorageKey; readonly value: Uint8Array }[];
  /** True when the range holds more keys after the last row. */
  readonly more: boolean;
}

export interface StorageReader {
  /** The durable value, or undefined; not to be modified, valid for as long as it is held. Throws ConcordError `damaged` when its checksum does not match. */
  get(key: StorageKey): Uint8Array | undefined;
  /** Keys k with `from <= k < to`, in order, `limit` of them at most. Throws `damaged` as `get` does. */
  range(from: StorageKey, to: StorageKey, limit: number): StoragePage;
}

/**
 * An ordered map of byte strings. Reads are synchronous and see only durable batches. A batch is atomic: after a crash all of it is
 * there or none. `write` resolves when the batch is durable; until it does, reads do not show it. It rejects with ConcordError
 * `disk-full` or `storage-failed`, and from then on the engine refuses every write: what the batch left behind is decided by the next open.
 */
export interface Storage extends StorageReader {
  write(batch: readonly StorageChange[]): Promise<void>;
  /** Waits for writes under way, then releases the folder. Idempotent. */
  close(): Promise<void>;
}

export type LogLevel = "debug" | "info" | "warn" | "error";

/** One line for a person. Fields are for machines and carry no secrets. */
export interface Log {
  write(level: LogLevel, line: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}
