/** Frames that no encoder makes: any body under a head and a checksum that are right. */
import { crc32 } from "node:zlib";
import { PROTOCOL_VERSION } from "../../lib/core/message.ts";

const MAGIC = 0xc0;

export function framed(kind: number, body: Uint8Array, version = PROTOCOL_VERSION, magic = MAGIC): Buffer {
  const head = Buffer.concat([Buffer.from([magic, version, kind, 1, 0, 0, 0]), body]);
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(head));
  return Buffer.concat([head, sum]);
}
