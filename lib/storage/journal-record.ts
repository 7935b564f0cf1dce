/**
 * The journal's records, and how they are found again after a crash. Pure: bytes in, bytes out.
 *
 * A record holds the rows of one or more batches: a checksum of all that follows it, its bytes, the salt, its number, and then each row: the
 * bytes of the key, the bytes of the value and one (0 removes the key), the key, the value. It begins at a multiple of BLOCK_BYTES, so that writing
 * one never rewrites a block of the disk in which another lies.
 *
 * The journal is written in the same place over and over, and between and behind the records lies what was there before. Three things tell them
 * apart. The salt is new at every opening and known to no client: no value passes for a record. The number goes up by one from record to
 * record. And a record that a crash has cut short fails its checksum.
 */
import { crc32 } from "node:zlib";
import type { StorageChange } from "../core/ports.ts";

/** What disks write at once, at least. */
export const BLOCK_BYTES = 4_096;

/** Checksum, bytes, salt, number (a double). */
const HEAD_BYTES = 4 + 4 + 8 + 8;
const ROW_HEAD_BYTES = 2 + 4;

/** 64 bits. */
export type Salt = readonly [number, number];

export interface JournalRecord {
  readonly number: number;
  readonly changes: readonly StorageChange[];
}

type Batches = readonly (readonly StorageChange[])[];

export function journalRecordBytes(batches: Batches): number {
  let bytes = HEAD_BYTES;
  for (const batch of batches) for (const { key, value } of batch) bytes += ROW_HEAD_BYTES + key.length + (value?.length ?? 0);
  return bytes;
}

/** Where the next block begins. */
export function blockAfter(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Writes the record into `target`, where there is room for it, and returns that part. Keys and values are within the port's limits. */
export function encodeJournalRecord(target: Buffer, number: number, salt: Salt, batches: Batches): Buffer {
  let at = HEAD_BYTES;
  for (const batch of batches) {
    for (const { key, value } of batch) {
      target.writeUInt16LE(key.length, at);
      target.writeUInt32LE(value === undefined ? 0 : value.length + 1, at + 2);
      at += ROW_HEAD_BYTES;
      at += target.write(key, at, "latin1");
      if (value === undefined) continue;
      target.set(value, at);
      at += value.length;
    }
  }
  const record = target.subarray(0, at);
  record.writeUInt32LE(at, 4);
  record.writeUInt32LE(salt[0], 8);
  record.writeUInt32LE(salt[1], 12);
  record.writeDoubleLE(number, 16);
  record.writeUInt32LE(crc32(record.subarray(4)), 0);
  return record;
}

/** All whole records with this salt, wherever in the journal they lie, by their number. */
export function findJournalRecords(journal: Buffer, salt: Salt): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (let at = 0; at + HEAD_BYTES <= journal.length; at += BLOCK_BYTES) {
    const record = wholeRecordAt(journal, at, salt);
    if (record !== undefined) records.push({ number: record.readDoubleLE(16), changes: changesIn(record) });
  }
  return records.sort((a, b) => a.number - b.number);
}

function wholeRecordAt(journal: Buffer, at: number, salt: Salt): Buffer | undefined {
  if (journal.readUInt32LE(at + 8) !== salt[0] || journal.readUInt32LE(at + 12) !== salt[1]) return undefined;
  const bytes = journal.readUInt32LE(at + 4);
  if (bytes < HEAD_BYTES || bytes > journal.length - at) return undefined;
  const record = journal.subarray(at, at + bytes);
  return crc32(record.subarray(4)) === record.readUInt32LE(0) ? record : undefined;
}

function changesIn(record: Buffer): StorageChange[] {
  const changes: StorageChange[] = [];
  for (let at = HEAD_BYTES; at < record.length;) {
    const keyEnd = at + ROW_HEAD_BYTES + record.readUInt16LE(at);
    const valueBytes = record.readUInt32LE(at + 2) - 1;
    const key = record.toString("latin1", at + ROW_HEAD_BYTES, keyEnd);
    at = keyEnd + Math.max(valueBytes, 0);
    changes.push({ key, value: valueBytes < 0 ? undefined : record.subarray(keyEnd, at) });
  }
  return changes;
}
