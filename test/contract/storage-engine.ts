/** What a storage engine hands to the contract, and the short words in which the contract is written. */
import type { ExecutionContext } from "ava";
import { ConcordError, type ErrorCode } from "../../lib/core/errors.ts";
import type { Storage, StorageChange, StorageKey } from "../../lib/core/ports.ts";
import type { FullDiskReport } from "./full-disk.ts";

export interface StorageEngine {
  readonly name: string;
  /** A fresh, empty one; what it leaves on the disk is removed when the test ends. */
  open(t: ExecutionContext): Promise<OpenedStorage>;
  /** Fills a small disk with `fill`, wherever that disk is, and says which error that kind of disk gives. */
  fillDisk(t: ExecutionContext): Promise<{ readonly report: FullDiskReport; readonly code: ErrorCode }>;
  /** Runs of the model check: a disk engine waits for the disk at each step. */
  readonly modelRuns: number;
}

export interface OpenedStorage {
  readonly storage: Storage;
  /** Changes a stored record behind the engine's back, as a failing disk does. Its answer replaces `storage`. */
  tamper(key: StorageKey, change: (record: Buffer) => Buffer): Promise<Storage>;
  /** Closes and opens again. Absent when closing forgets. */
  readonly reopen?: () => Promise<Storage>;
}

export type Row = readonly [StorageKey, string];

export const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
export const put = (key: StorageKey, value: string): StorageChange => ({ key, value: bytes(value) });
export const remove = (key: StorageKey): StorageChange => ({ key, value: undefined });
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString("latin1");
export const rowsOf = (storage: Storage, from: StorageKey, to: StorageKey, limit = 1_000): Row[] =>
  storage.range(from, to, limit).rows.map(({ key, value }) => [key, text(value) ?? ""]);

export function codeOf(action: () => unknown): ErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof ConcordError) return error.code;
    throw error;
  }
  return undefined;
}

export const rejection = async (promise: Promise<unknown>): Promise<{ readonly code?: string; readonly message: string }> =>
  promise.then(
    () => ({ message: "it did not reject" }),
    (error: unknown) => error as ConcordError,
  );
