/** What crosses between two Okra trees, as bytes: frames of a length and a body; nodes, leaves and records as short as they can be said. */
import type { Socket } from "node:net";
import { hashEntry, type Key, type Node } from "@canvas-js/okra";

/** A key, its stamp, and its value; undefined for a key that was deleted. */
export interface OkraRecord {
  readonly key: string;
  readonly value: string | undefined;
  readonly stamp: Uint8Array;
}

const HASH_BYTES = 16;
const STAMP_BYTES = 9;
const NO_VALUE = 0xffffffff;

/** Frames over a socket: four bytes of length, then the body. */
export class FrameReader {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, onFrame: (frame: Buffer) => void) {
    this.#socket = socket;
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
      while (this.#received.length >= 4 && this.#received.length >= 4 + this.#received.readUInt32BE()) {
        const end = 4 + this.#received.readUInt32BE();
        const frame = this.#received.subarray(4, end);
        this.#received = this.#received.subarray(end);
        onFrame(frame);
      }
    });
  }

  send(body: Uint8Array): void {
    this.#socket.write(Buffer.concat([uint32(body.length), body]));
  }
}

export function writeNode({ level, key, hash }: Node): Uint8Array {
  return Buffer.concat([Uint8Array.of(level), hash, key ?? Buffer.alloc(0)]);
}

export function readNode(bytes: Uint8Array): Node {
  const key = bytes.subarray(1 + HASH_BYTES);
  return { level: bytes[0]!, hash: bytes.subarray(1, 1 + HASH_BYTES), key: key.length === 0 ? null : key };
}

/** Of one level: of leaves the key and the value, from which the hash follows; of the others the key and the hash. */
export function writeNodes(nodes: readonly Node[]): Uint8Array {
  return Buffer.concat(
    nodes.flatMap(({ level, key, hash, value }) => {
      const said = level === 0 && value !== undefined ? value : hash;
      return [Uint8Array.of(key?.length ?? 0), key ?? Buffer.alloc(0), said];
    }),
  );
}

export function readNodes(bytes: Uint8Array, level: number): Node[] {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.length;) {
    const keyBytes = bytes[at]!;
    const key: Key = keyBytes === 0 ? null : bytes.subarray(at + 1, at + 1 + keyBytes);
    at += 1 + keyBytes;
    // The first leaf of a tree has neither key nor value: it is its left edge, and travels as its hash.
    const said = bytes.subarray(at, at + (level === 0 && key !== null ? STAMP_BYTES : HASH_BYTES));
    at += said.length;
    if (level === 0 && key !== null) nodes.push({ level, key, value: said, hash: hashEntry(key, said) });
    else nodes.push({ level, key, hash: said });
  }
  return nodes;
}

export function writeRecords(records: readonly OkraRecord[]): Uint8Array {
  return Buffer.concat(
    records.flatMap(({ key, value, stamp }) => {
      const text = Buffer.from(value ?? "");
      return [Uint8Array.of(key.length), Buffer.from(key), stamp, uint32(value === undefined ? NO_VALUE : text.length), text];
    }),
  );
}

export function readRecords(bytes: Uint8Array): OkraRecord[] {
  const buffer = Buffer.from(bytes);
  const records: OkraRecord[] = [];
  for (let at = 0; at < buffer.length;) {
    const keyBytes = buffer[at]!;
    const key = buffer.toString("utf8", at + 1, at + 1 + keyBytes);
    at += 1 + keyBytes;
    const stamp = buffer.subarray(at, at + STAMP_BYTES);
    const length = buffer.readUInt32BE(at + STAMP_BYTES);
    at += STAMP_BYTES + 4;
    if (length === NO_VALUE) records.push({ key, stamp, value: undefined });
    else records.push({ key, stamp, value: buffer.toString("utf8", at, (at += length)) });
  }
  return records;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
