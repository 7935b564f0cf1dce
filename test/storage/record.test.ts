/** The form of a stored record, which old folders depend on. */
import { crc32 } from "node:zlib";
import test from "ava";
import fc from "fast-check";
import { DamagedRecordError } from "../../lib/core/damaged.ts";
import { seal, unseal, unsealCopy } from "../../lib/storage/record.ts";

test("record: its form does not change", (t) => {
  t.is(seal("key", Buffer.from("value")).toString("hex"), "e6f355c676616c7565");
});

test("record: CRC-32 over the key's bytes and the value's, for values of any length", (t) => {
  const key = fc.array(fc.nat(255), { minLength: 1, maxLength: 40 }).map((codes) => String.fromCharCode(...codes));
  fc.assert(
    fc.property(key, fc.uint8Array({ maxLength: 200 }), (name, value) => {
      const record = seal(name, value);
      t.is(record.readUInt32LE(0), crc32(Buffer.concat([Buffer.from(name, "latin1"), value])));
      t.deepEqual(Buffer.from(unseal(name, record)), Buffer.from(value));
      const longer = Buffer.concat([record, Buffer.from("of an earlier read")]);
      t.deepEqual(Buffer.from(unsealCopy(name, longer, record.length)), Buffer.from(value));
    }),
  );
});

test("record: its damage names the key, readable", (t) => {
  const error = t.throws(() => unseal("a\x00ü\n", Buffer.alloc(3)), { instanceOf: DamagedRecordError, code: "damaged" });
  t.is(error?.key, "a\x00ü\n");
  t.is(error?.message, 'the stored record of key "a\\u0000\\xfc\\n" is damaged: its checksum does not match its bytes');
  t.throws(() => unseal("k".repeat(100), Buffer.alloc(3)), { message: /"k{60}" \(and 40 more bytes\) is damaged/ });
});
