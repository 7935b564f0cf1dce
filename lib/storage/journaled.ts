/**
 * A storage with a journal before it: a small batch becomes durable by one write to a file, and reaches the tree with a thousand others.
 *
 * A B-tree that is copied on write pays two waits for the disk per batch (its pages, then the page that says where the tree begins), and
 * writes a page or two for every row. A journal pays one wait, and writes the rows. So batches are acknowledged when their record in the
 * journal is durable; their rows lie in memory over those of the tree, and when there are enough of them the tree is given all at once. A row
 * that every batch changes, as the store's own is, is then written there once.
 *
 * - The journal has two halves. While the tree takes the rows of one, records go to the other; a half is written over when the tree has all
 *   of it.
 * - With the rows the tree is given the mark: up to which record it holds everything, and the salt that tells the records of this opening from
 *   what lay there before. After a crash the records behind the mark are handed to the tree. Each was begun when the one before it was
 *   durable: where one is missing among others the journal is damaged, and the opening says so. The last may be cut short: nobody was told of it.
 * - A large batch goes straight to the tree, after everything before it: it would be written twice, and waits for more than the disk anyway.
 * - A failed write is the end, as the port says. What was acknowledged is in the journal or in the tree.
 */
import { ConcordError } from "../core/errors.ts";
import type { Storage, StorageChange, StorageKey, StoragePage } from "../core/ports.ts";
import { decodeMark, encodeMark, MARKS, type Mark } from "./journal-mark.ts";
import { blockAfter, encodeJournalRecord, findJournalRecords, journalRecordBytes, type Salt } from "./journal-record.ts";
import { Memtable, overlaidPage } from "./memtable.ts";
import { checkKey, checkLimit, checkRow } from "./record.ts";

/** Where the records are: a file, or what a test puts in its place. */
export interface JournalMedium {
  /** What is there, at most JOURNAL_BYTES_MAX of it; undefined when there is no such place. */
  read(): Promise<Buffer | undefined>;
  /** Makes the place, durably, when there is none. */
  open(): Promise<void>;
  /** Resolves when the bytes are durable. The buffer stays as it is until then. */
  write(bytes: Buffer, at: number): Promise<void>;
  close(): Promise<void>;
}

export interface JournalLimits {
  /** A batch whose record is larger goes straight to the tree. Such a record fits into a half. */
  readonly recordBytesMax: number;
  readonly halfBytes: number;
  /** So many rows are handed to the tree together. */
  readonly rowsMax: number;
}

/** A thousand rows take this thread some three milliseconds to hand over; a half holds five hundred batches of up to two blocks. */
const LIMITS: JournalLimits = { recordBytesMax: 256 * 1024, halfBytes: 4 * 1024 * 1024, rowsMax: 1_000 };
export const JOURNAL_BYTES_MAX = 2 * LIMITS.halfBytes;

export interface JournaledOptions {
  /** The tree. Nobody else writes to it. */
  readonly below: Storage;
  readonly medium: JournalMedium;
  /** Never used before, and not to be guessed: a value that looks like a record must not become one. */
  readonly salt: Salt;
  /** What is said when the journal lacks what it should hold, and when it could not be written. */
  readonly damaged: (detail: string) => ConcordError;
  readonly failed: (cause: unknown) => ConcordError;
  readonly limits?: JournalLimits;
}

/** Hands the tree what a crash has left in the journal. Rejects with what `damaged` makes, and what `medium` and `below` reject with; closes neither. */
export async function openJournaled(options: JournaledOptions): Promise<Storage> {
  const { below, medium, salt, damaged } = options;
  const before = readMark(below, damaged);
  const rows = new Memtable();
  let number = before?.number ?? 0;
  if (before !== undefined) {
    const journal = await medium.read();
    if (journal === undefined) throw damaged("is missing");
    for (const record of findJournalRecords(journal, before.salt)) {
      if (record.number <= before.number) continue;
      number += 1;
      if (record.number !== number) throw damaged(`lacks record ${number} and has record ${record.number}`);
      rows.apply(record.changes);
    }
  }
  const mark: Mark = { number, salt };
  await medium.open();
  await below.write([...rows.changes(), ...encodeMark(mark)]);
  return new JournaledStorage(options, mark);
}

function readMark(below: Storage, damaged: (detail: string) => ConcordError): Mark | undefined {
  let found = 0;
  for (const key of MARKS) {
    try {
      const value = below.get(key);
      if (value !== undefined) return decodeMark(value);
    } catch (error) {
      if (!(error instanceof ConcordError) || error.code !== "damaged") throw error;
      found += 1;
    }
  }
  if (found > 0) throw damaged("may hold writes, but which of them are in the data already cannot be read");
  return undefined;
}

interface Waiting {
  readonly batch: readonly StorageChange[];
  readonly resolve: () => void;
  readonly reject: (error: ConcordError) => void;
}

class JournaledStorage implements Storage {
  readonly #below: Storage;
  readonly #medium: JournalMedium;
  readonly #salt: Salt;
  readonly #limits: JournalLimits;
  readonly #toFailure: (cause: unknown) => ConcordError;
  readonly #buffer: Buffer;
  /** Of the newest durable record. */
  #number: number;
  #half: 0 | 1 = 0;
  /** Where in the half the next record begins. */
  #position = 0;
  /** What the records of this half say. */
  #fresh = new Memtable();
  /** What those of the other half say, until the tree says it. */
  #settling = new Memtable();
  #settled: Promise<void> = Promise.resolve();
  #isSettling = false;
  #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;
  #refusal: ConcordError | undefined;
  #closing: Promise<void> | undefined;

  constructor({ below, medium, failed, limits = LIMITS }: JournaledOptions, { number, salt }: Mark) {
    this.#below = below;
    this.#medium = medium;
    this.#salt = salt;
    this.#limits = limits;
    this.#toFailure = failed;
    this.#buffer = Buffer.allocUnsafeSlow(limits.recordBytesMax);
    this.#number = number;
  }

  get(key: StorageKey): Uint8Array | undefined {
    this.#checkOpen();
    checkKey(key);
    if (this.#fresh.has(key)) return this.#fresh.get(key);
    if (this.#settling.has(key)) return this.#settling.get(key);
    return this.#below.get(key);
  }

  range(from: StorageKey, to: StorageKey, limit: number): StoragePage {
    this.#checkOpen();
    checkLimit(limit);
    return overlaidPage(this.#below, [this.#fresh, this.#settling], MARKS, from, to, limit);
  }

  async write(batch: readonly StorageChange[]): Promise<void> {
    this.#checkOpen();
    for (const { key, value } of batch) checkRow(key, value);
    if (this.#refusal !== undefined) throw this.#refusal;
    const written = new Promise<void>((resolve, reject) => this.#waiting.push({ batch, resolve, reject }));
    this.#draining ??= this.#drain();
    await written;
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#release());
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new ConcordError("stopping", "the storage is closed");
  }

  /** Makes what waits durable, one record after the other, until nothing waits. */
  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      try {
        await this.#writeGroup(group.map(({ batch }) => batch));
        for (const { resolve } of group) resolve();
      } catch (error) {
        this.#refusal ??= this.#toFailure(error);
        for (const { reject } of group) reject(this.#refusal);
      }
    }
    this.#draining = undefined;
  }

  async #writeGroup(batches: readonly (readonly StorageChange[])[]): Promise<void> {
    this.#checkSound();
    if (batches.every((batch) => batch.length === 0)) return;
    const bytes = journalRecordBytes(batches);
    const { recordBytesMax, halfBytes, rowsMax } = this.#limits;
    if (bytes > recordBytesMax) {
      await this.#settleAll();
      return this.#below.write(batches.flat());
    }
    if (this.#position + bytes > halfBytes) {
      await this.#waitUntilSettled();
      this.#settle();
    }
    const record = encodeJournalRecord(this.#buffer, this.#number + 1, this.#salt, batches);
    await this.#medium.write(record, this.#half * halfBytes + this.#position);
    this.#number += 1;
    this.#position += blockAfter(bytes);
    for (const batch of batches) this.#fresh.apply(batch);
    if (this.#fresh.size >= rowsMax && !this.#isSettling) this.#settle();
  }

  /** Begins to hand the newest rows to the tree, and turns to the other half, of which the tree has everything. */
  #settle(): void {
    this.#settling = this.#fresh;
    this.#fresh = new Memtable();
    this.#half = this.#half === 0 ? 1 : 0;
    this.#position = 0;
    this.#isSettling = true;
    const mark = encodeMark({ number: this.#number, salt: this.#salt });
    this.#settled = this.#below.write([...this.#settling.changes(), ...mark]).then(
      () => {
        this.#settling = new Memtable();
        this.#isSettling = false;
      },
      (error: unknown) => {
        this.#refusal ??= this.#toFailure(error);
      },
    );
  }

  async #waitUntilSettled(): Promise<void> {
    await this.#settled;
    this.#checkSound();
  }

  async #settleAll(): Promise<void> {
    await this.#waitUntilSettled();
    if (this.#fresh.size === 0) return;
    this.#settle();
    await this.#waitUntilSettled();
  }

  #checkSound(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  async #release(): Promise<void> {
    await this.#draining;
    // What cannot be handed over now is in the journal, and is at the next opening.
    await this.#settleAll().catch(() => undefined);
    try {
      await this.#medium.close();
    } finally {
      await this.#below.close();
    }
  }
}
