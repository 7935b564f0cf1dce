/**
 * A stored record: four bytes of checksum, then the value.
 *
 * The checksum covers the key and the value, so that three kinds of damage become one clear error instead of a wrong answer: a
 * flipped bit, a torn value, and a whole record that turns up under another key (a stray page write does that). lmdb has no
 * checksums of its own: after random bytes of a file were flipped, dozens of values came back wrong and nothing said so. And a
 * wrong value would not stay on this node: repair would carry it to the others.
 *
 * CRC-32, because it finds every burst of up to 32 bits and is in Node. Against malice it is nothing; who can write to the
 * data folder needs no forgery. The key is summed in JavaScript, and so is a short value: a native call costs as much as some 80 bytes.
 */
import { crc32 } from "node:zlib";
import { DamagedRecordError, printableKey } from "../core/damaged.ts";
import { assert } from "../core/errors.ts";
import type { StorageKey } from "../core/ports.ts";

/** The port's limit, and lmdb's on 4 KB pages, less what later formats may want of it. */
export const STORAGE_KEY_BYTES_MAX = 1_900;

const CHECKSUM_BYTES = 4;

/** Twice what one key's siblings may hold, and below the 16 MiB from which lmdb hands out its own memory instead of a copy. */
export const VALUE_BYTES_MAX = 16 * 1024 * 1024 - 1 - CHECKSUM_BYTES;

const NATIVE_FROM_BYTES = 80;
const TABLE = createTable();
const ONE_BYTE_CHARS = /^[\x00-\xff]*$/;

/** The record to store: a copy, so that the caller may use its buffer again. */
export function seal(key: StorageKey, value: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(recordBytes(value));
  sealInto(record, 0, key, value);
  return record;
}

/** Bytes of the record that holds a value. */
export function recordBytes(value: Uint8Array): number {
  if (value.length > VALUE_BYTES_MAX) refuse(`a stored value has ${value.length} bytes, at most ${VALUE_BYTES_MAX}`);
  return CHECKSUM_BYTES + value.length;
}

/** Puts the record at `start`, where there is room for it, and returns where it ends. */
export function sealInto(bytes: Buffer, start: number, key: StorageKey, value: Uint8Array): number {
  const at = start + CHECKSUM_BYTES;
  if (value.length >= NATIVE_FROM_BYTES) bytes.set(value, at);
  else for (let i = 0; i < value.length; i++) bytes[at + i] = value[i]!;
  const sum = checksum(key, value);
  bytes[start] = sum;
  bytes[start + 1] = sum >> 8;
  bytes[start + 2] = sum >> 16;
  bytes[start + 3] = sum >> 24;
  return at + value.length;
}

/** The value inside a record: a view, not a copy. Throws DamagedRecordError. */
export function unseal(key: StorageKey, record: Uint8Array): Uint8Array {
  if (record.length < CHECKSUM_BYTES) throw new DamagedRecordError(key);
  const value = record.subarray(CHECKSUM_BYTES);
  if (storedChecksum(record) !== checksum(key, value)) throw new DamagedRecordError(key);
  return value;
}

/** The value inside a record that lies at the start of a buffer which is about to be used again: a copy. Throws DamagedRecordError. */
export function unsealCopy(key: StorageKey, buffer: Buffer, size: number): Uint8Array {
  if (size < CHECKSUM_BYTES) throw new DamagedRecordError(key);
  const value = Buffer.allocUnsafe(size - CHECKSUM_BYTES);
  buffer.copy(value, 0, CHECKSUM_BYTES, size);
  if (storedChecksum(buffer) !== checksum(key, value)) throw new DamagedRecordError(key);
  return value;
}

export function checkKey(key: StorageKey): void {
  if (key.length > 0 && key.length <= STORAGE_KEY_BYTES_MAX) return;
  refuse(`a storage key has ${key.length} bytes, not 1 to ${STORAGE_KEY_BYTES_MAX}`);
}

/** What `seal` checks, for an engine that does not seal. */
export function checkRow(key: StorageKey, value: Uint8Array | undefined): void {
  checkKey(key);
  if (!isBytes(key)) refuse(`the storage key ${printableKey(key)} is not one character a byte`);
  if (value !== undefined && value.length > VALUE_BYTES_MAX) refuse(`a stored value has ${value.length} bytes, at most ${VALUE_BYTES_MAX}`);
}

/** Short keys are gone through here, because to call the expression costs as much as some sixty characters. */
function isBytes(key: StorageKey): boolean {
  if (key.length > 64) return ONE_BYTE_CHARS.test(key);
  let seen = 0;
  for (let i = 0; i < key.length; i++) seen |= key.charCodeAt(i);
  return seen <= 255;
}

export function checkLimit(limit: number): void {
  if (!Number.isSafeInteger(limit) || limit < 0) refuse(`a range is limited to ${limit} rows`);
}

function storedChecksum(record: Uint8Array): number {
  return (record[0] ?? 0) | ((record[1] ?? 0) << 8) | ((record[2] ?? 0) << 16) | ((record[3] ?? 0) << 24);
}

function checksum(key: StorageKey, value: Uint8Array): number {
  let sum = -1;
  let seen = 0;
  for (let index = 0; index < key.length; index++) {
    const code = key.charCodeAt(index);
    seen |= code;
    sum = (sum >>> 8) ^ (TABLE[(sum ^ code) & 255] ?? 0);
  }
  if (seen > 255) refuse(`the storage key ${printableKey(key)} is not one character a byte`);
  if (value.length >= NATIVE_FROM_BYTES) return crc32(value, ~sum >>> 0) | 0;
  for (let index = 0; index < value.length; index++) {
    sum = (sum >>> 8) ^ (TABLE[(sum ^ (value[index] ?? 0)) & 255] ?? 0);
  }
  return ~sum;
}

/** As `assert`, for checks made once a record: the message is composed only when it is needed. */
function refuse(message: string): never {
  assert(false, message);
}

/** The remainders of all bytes under CRC-32's polynomial, reflected, as zlib and Ethernet use it. */
function createTable(): Int32Array {
  const table = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte;
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
    table[byte] = remainder;
  }
  return table;
}
