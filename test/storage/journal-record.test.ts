/** Records come back as they were written, whatever lies around them; what is not whole, or is somebody else's, is none. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import {
  BLOCK_BYTES,
  blockAfter,
  encodeJournalRecord,
  findJournalRecords,
  journalRecordBytes,
  type Salt,
} from "../../lib/storage/journal-record.ts";
import { holds } from "../support/property.ts";

const SALT: Salt = [0xdead_beef, 7];

const row = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
  value: fc.option(fc.uint8Array({ maxLength: 6_000 }), { nil: undefined }),
});
const batches = fc.array(fc.array(row, { maxLength: 5 }), { minLength: 1, maxLength: 4 });

function recordOf(number: number, rows: Parameters<typeof journalRecordBytes>[0], salt = SALT): Buffer {
  const bytes = journalRecordBytes(rows);
  const record = encodeJournalRecord(Buffer.alloc(bytes), number, salt, rows);
  assert.equal(record.length, bytes);
  return record;
}

/** The records one after the other, each at the beginning of a block, on ground that is not empty. */
function journalOf(records: readonly Buffer[], ground: number): Buffer {
  const journal = Buffer.alloc(
    records.reduce((sum, { length }) => sum + blockAfter(length), BLOCK_BYTES),
    ground,
  );
  let at = 0;
  for (const record of records) {
    record.copy(journal, at);
    at += blockAfter(record.length);
  }
  return journal;
}

const plain = (records: ReturnType<typeof findJournalRecords>) =>
  records.map(({ number, changes }) => ({
    number,
    rows: changes.map(({ key, value }) => [key, value && Buffer.from(value).toString("hex")]),
  }));

test("records come back by their numbers, in whatever order they lie; those under another salt do not", (t) => {
  holds(
    t,
    fc.property(fc.array(batches, { maxLength: 5 }), fc.nat(255), fc.infiniteStream(fc.boolean()), (list, ground, others) => {
      const isOurs = list.map(() => others.next().value);
      const records = list.map((rows, index) => recordOf(index + 1, rows, isOurs[index] ? SALT : [SALT[0], 8]));
      const expected = list.flatMap((rows, index) => (isOurs[index] ? [{ number: index + 1, changes: rows.flat() }] : []));
      assert.deepEqual(plain(findJournalRecords(journalOf([...records].reverse(), ground), SALT)), plain(expected));
    }),
  );
});

test("a record in which any bit is another is none, and takes no other with it", (t) => {
  holds(
    t,
    fc.property(batches, batches, fc.nat(), fc.nat(7), (first, second, place, bit) => {
      const [damaged, whole] = [recordOf(1, first), recordOf(2, second)];
      damaged[place % damaged.length]! ^= 1 << bit;
      assert.deepEqual(
        findJournalRecords(journalOf([damaged, whole], 0), SALT).map(({ number }) => number),
        [2],
      );
    }),
  );
});

test("a record that was cut short is none", (t) => {
  holds(
    t,
    fc.property(batches, fc.nat(), fc.nat(255), (rows, cut, ground) => {
      const record = recordOf(1, rows);
      const kept = cut % record.length;
      const rest = Buffer.alloc(record.length - kept, ground);
      fc.pre(!rest.equals(record.subarray(kept)));
      assert.deepEqual(findJournalRecords(journalOf([Buffer.concat([record.subarray(0, kept), rest])], ground), SALT), []);
    }),
  );
});

test("noise is none, also with the right salt and a length of its own making", (t) => {
  holds(
    t,
    fc.property(fc.uint8Array({ minLength: 0, maxLength: 3 * BLOCK_BYTES }), fc.nat(0xffff_ffff), (bytes, length) => {
      const journal = Buffer.from(bytes);
      for (let at = 0; at + 24 <= journal.length; at += BLOCK_BYTES) {
        journal.writeUInt32LE(length, at + 4);
        journal.writeUInt32LE(SALT[0], at + 8);
        journal.writeUInt32LE(SALT[1], at + 12);
      }
      assert.deepEqual(findJournalRecords(journal, SALT), []);
    }),
  );
});

test("a value that holds a record, at the beginning of a block, becomes one only under the salt that it knows", (t) => {
  const forged = recordOf(2, [[{ key: "a", value: Buffer.from("forged") }]], [1, 2]);
  const padding = Buffer.alloc(BLOCK_BYTES - journalRecordBytes([[{ key: "k", value: Buffer.alloc(0) }]]));
  const journal = journalOf([recordOf(1, [[{ key: "k", value: Buffer.concat([padding, forged]) }]])], 0);
  t.is(journal.indexOf(forged) % BLOCK_BYTES, 0);
  t.deepEqual(
    findJournalRecords(journal, SALT).map(({ number }) => number),
    [1],
  );
});
