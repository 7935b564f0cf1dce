/** Frames of two megabytes or so that become much more when they are decoded, if anybody lets them. */
import { ByteWriter, writeDot } from "../../lib/core/codec.ts";
import { framed } from "./frames.ts";

const [PUSH, REPAIR_REQUEST] = [2, 4];

export function manyEntries(): Buffer {
  const writer = new ByteWriter();
  writer.varint(0);
  writer.varint(500_000);
  for (let i = 0; i < 500_000; i++) for (const byte of [2, 0x61, 0]) writer.uint8(byte);
  return framed(PUSH, writer.copy());
}

export function manyRanges(): Buffer {
  const writer = new ByteWriter();
  writer.uint8(0);
  writer.varint(256 * 1024);
  writer.varint(0);
  writer.varint(1);
  writer.fixedChars("hostile!");
  writer.varint(1_000_000);
  for (let i = 0; i < 2_000_000; i++) writer.uint8(0);
  return framed(REPAIR_REQUEST, writer.copy());
}

export function manyIdentities(): Buffer {
  const writer = new ByteWriter();
  writer.varint(65_536);
  for (let i = 0; i < 65_536; i++) {
    writer.fixedChars(String(i).padStart(8, "i"));
    for (const byte of [1, 0, 0]) writer.uint8(byte);
  }
  writer.varint(0);
  return framed(PUSH, writer.copy());
}

export function manyGone(): Buffer {
  const writer = new ByteWriter();
  writer.varint(0);
  writer.varint(20);
  for (let i = 0; i < 20; i++) {
    const key = `gone${i}`;
    writer.varint(2 * key.length + 1);
    writer.fixedChars(key);
    writer.varint(60_000);
    for (let counter = 1; counter <= 60_000; counter++) writeDot(writer, { incarnation: "hostile!", counter: counter * 20 + i });
    writer.varint(0);
  }
  return framed(PUSH, writer.copy());
}
