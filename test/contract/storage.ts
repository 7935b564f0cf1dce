/**
 * What every storage engine must do, whatever it is made of. An engine hands in a way to open one, and ways to hurt it.
 */
import test from "ava";
import { ConcordError } from "../../lib/core/errors.ts";
import { STORAGE_KEY_BYTES_MAX } from "../../lib/storage/record.ts";
import { bytes, codeOf, put, rejection, remove, rowsOf, text, type StorageEngine } from "./storage-engine.ts";
import { testModel } from "./storage-model.ts";

export function testStorage(engine: StorageEngine): void {
  testBatches(engine);
  testRanges(engine);
  testDamage(engine);
  testClosing(engine);
  testModel(engine);

  test(`${engine.name}: a full disk refuses the batch whole, says so, and refuses every later one; reads go on`, async (t) => {
    const { report, code } = await engine.fillDisk(t);
    t.like(report, { code, codeAfter: code, lost: 0, stray: 0 });
    t.true(report.acknowledged > 0);
  });
}

function testBatches(engine: StorageEngine): void {
  test(`${engine.name}: what is written is read, replaced and removed`, async (t) => {
    const { storage } = await engine.open(t);
    t.is(storage.get("a"), undefined);
    await storage.write([put("a", "1"), put("empty", ""), remove("never there")]);
    t.is(text(storage.get("a")), "1");
    t.is(text(storage.get("empty")), "");
    await storage.write([put("a", "2"), remove("empty")]);
    t.is(text(storage.get("a")), "2");
    t.is(storage.get("empty"), undefined);
    await storage.write([]);
  });

  test(`${engine.name}: a batch is not seen in the turn that writes it`, async (t) => {
    const { storage } = await engine.open(t);
    await storage.write([put("a", "old")]);
    const written = storage.write([put("a", "new"), put("b", "new")]);
    t.is(text(storage.get("a")), "old");
    t.deepEqual(rowsOf(storage, "a", "z"), [["a", "old"]]);
    await written;
    t.deepEqual(rowsOf(storage, "a", "z"), [
      ["a", "new"],
      ["b", "new"],
    ]);
  });

  test(`${engine.name}: a batch that is durable is not seen before it is acknowledged`, async (t) => {
    const { storage } = await engine.open(t);
    let acknowledged = false;
    let early = false;
    const watch = (): void => {
      if (acknowledged) return;
      // This thread sleeps, the disk does not: the batch becomes durable before its promise can resolve.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      early ||= storage.get("a") !== undefined || storage.range("a", "b", 1).rows.length > 0;
      setImmediate(watch);
    };
    const written = storage.write([put("a", "1")]).then(() => (acknowledged = true));
    setImmediate(watch);
    await written;
    t.false(early);
    t.is(text(storage.get("a")), "1");
  });

  test(`${engine.name}: within a batch, and among writes not awaited, the last change of a key stands`, async (t) => {
    const { storage } = await engine.open(t);
    await storage.write([put("a", "1"), put("a", "2"), put("b", "1"), remove("b"), remove("c"), put("c", "1")]);
    t.deepEqual(rowsOf(storage, "a", "z"), [
      ["a", "2"],
      ["c", "1"],
    ]);
    await Promise.all([storage.write([put("a", "3")]), storage.write([put("a", "4"), remove("c")]), storage.write([put("b", "5")])]);
    t.deepEqual(rowsOf(storage, "a", "z"), [
      ["a", "4"],
      ["b", "5"],
    ]);
  });

  test(`${engine.name}: entries, context and digest change in one transaction`, async (t) => {
    const { storage } = await engine.open(t);
    const keys = ["c1", "e1", "m"];
    const seen = new Set<string>();
    let writing = true;
    const reader = (async () => {
      while (writing) {
        seen.add(keys.map((key) => text(storage.get(key)) ?? "-").join());
        await new Promise(setImmediate);
      }
    })();
    for (let round = 0; round < 50; round++) {
      await storage.write(keys.map((key) => put(key, String(round))));
      if (round % 5 === 0) await new Promise(setImmediate);
    }
    writing = false;
    await reader;
    t.deepEqual(
      [...seen].filter((values) => new Set(values.split(",")).size > 1),
      [],
    );
    t.true(seen.size > 1, "some rounds were seen");
  });

  test(`${engine.name}: a batch that breaks the rules is refused whole, and only that one`, async (t) => {
    const { storage } = await engine.open(t);
    for (const key of ["", "k".repeat(STORAGE_KEY_BYTES_MAX + 1), "š"]) {
      await t.throwsAsync(storage.write([put("a", "1"), put(key, "2")]), { message: /^broken invariant: .*storage key/ });
    }
    t.is(storage.get("a"), undefined);
    await storage.write([put("a", "3")]);
    t.is(text(storage.get("a")), "3");
  });

  test(`${engine.name}: values stay whole on the way out`, async (t) => {
    const { storage } = await engine.open(t);
    const value = bytes("mine");
    const written = storage.write([{ key: "a", value }, { key: "b", value: Buffer.alloc(9_000_000, 7) }, put("c", "third")]);
    await written;
    const [first, second] = [storage.get("a"), storage.get("c")];
    t.deepEqual([text(first), text(second)], ["mine", "third"]);
    const { rows } = storage.range("a", "d", 10);
    t.deepEqual(
      rows.map(({ key }) => key),
      ["a", "b", "c"],
    );
    t.deepEqual(
      [text(rows[0]?.value), rows[1]?.value.length, rows[1]?.value[8_999_999], text(rows[2]?.value)],
      ["mine", 9_000_000, 7, "third"],
    );
    t.is(storage.get("b")?.length, 9_000_000);
    t.is(text(first), "mine");
  });
}

function testRanges(engine: StorageEngine): void {
  const longest = "\xff".repeat(STORAGE_KEY_BYTES_MAX);
  const keys = ["\x00", "\x00\x00", "\x00\x01", "a", "a\x00", "aa", "b", "\x7f", "\x80", "\xfe\xff", "\xff", "\xff\x00", longest];

  test(`${engine.name}: ranges are in byte order, and end before their end`, async (t) => {
    const { storage } = await engine.open(t);
    await storage.write(keys.toReversed().map((key) => put(key, "")));
    const found = (from: string, to: string): string[] => rowsOf(storage, from, to).map(([key]) => key);
    t.deepEqual(found("", longest), keys.slice(0, -1));
    t.deepEqual(found("", `${longest.slice(1)}\xff\xff`), keys);
    t.deepEqual(found("a", "b"), ["a", "a\x00", "aa"]);
    t.deepEqual(found("a\x00", "a\x00"), []);
    t.deepEqual(found("b", "a"), []);
    t.deepEqual(found("c", "d"), []);
    t.deepEqual(found("a\x01", "aaa"), ["aa"]);
  });

  test(`${engine.name}: a page says whether there is more`, async (t) => {
    const { storage } = await engine.open(t);
    t.deepEqual(storage.range("", "\xff", 5), { rows: [], more: false });
    await storage.write(["a", "b", "c", "d"].map((key) => put(key, key)));
    const page = (from: string, to: string, limit: number): unknown => {
      const { rows, more } = storage.range(from, to, limit);
      return [rows.map(({ key }) => key).join(""), more];
    };
    t.deepEqual(page("a", "e", 3), ["abc", true]);
    t.deepEqual(page("a", "e", 4), ["abcd", false]);
    t.deepEqual(page("a", "c", 2), ["ab", false]);
    t.deepEqual(page("a", "e", 0), ["", true]);
    t.deepEqual(page("x", "z", 0), ["", false]);
    t.throws(() => storage.range("a", "b", -1), { message: /^broken invariant/ });
    t.throws(() => storage.range("a", "b", 0.5), { message: /^broken invariant/ });
  });

  test(`${engine.name}: thousands of keys are paged through once each, while others are added and removed`, async (t) => {
    const { storage } = await engine.open(t);
    const key = (number: number): string => `k${String(number).padStart(5, "0")}`;
    const shuffled = Array.from({ length: 5_000 }, (_, index) => (index * 2_741) % 5_000);
    await storage.write(shuffled.map((number) => put(key(number), String(number))));
    const seen: string[] = [];
    for (let from = "k", more = true; more;) {
      const page = storage.range(from, "l", 170);
      for (const row of page.rows) seen.push(row.key);
      from = `${page.rows.at(-1)?.key}\x00`;
      more = page.more;
      const last = Number(page.rows.at(-1)?.key.slice(1));
      await storage.write([put(`${key(last - 100)}+`, "behind the page"), remove(key(last - 50))]);
    }
    t.deepEqual(
      seen,
      Array.from({ length: 5_000 }, (_, number) => key(number)),
    );
    await storage.write(Array.from({ length: 4_990 }, (_, number) => remove(key(number))));
    t.deepEqual(
      rowsOf(storage, "k", "l").filter(([name]) => !name.endsWith("+")),
      Array.from({ length: 10 }, (_, index) => [key(4_990 + index), String(4_990 + index)]).filter(([name]) => name !== key(4_999 - 50)),
    );
  });
}

function testDamage(engine: StorageEngine): void {
  const large = "x".repeat(100_000);
  const flip =
    (from: "start" | "end", bit: number) =>
    (record: Buffer): Buffer => {
      const at = from === "start" ? bit >> 3 : record.length - 1 - (bit >> 3);
      record[at] = (record[at] ?? 0) ^ (1 << (bit & 7));
      return record;
    };
  const kinds: readonly (readonly [string, (record: Buffer, other: Buffer) => Buffer])[] = [
    ["a bit of the checksum", flip("start", 13)],
    ["a bit of the value", flip("end", 3)],
    ["the end is missing", (record) => record.subarray(0, -1)],
    ["nearly all is missing", (record) => record.subarray(0, 3)],
    ["nothing is left", () => Buffer.alloc(0)],
    ["zeros", (record) => Buffer.alloc(record.length)],
    ["another key's record", (_record, other) => other],
  ];

  test(`${engine.name}: a damaged record is an error that names its key, never a value`, async (t) => {
    const opened = await engine.open(t);
    let storage = opened.storage;
    for (const value of ["one value", "", large]) {
      for (const [kind, change] of kinds) {
        if (value === "" && kind === "a bit of the value") continue;
        await storage.write([put("a", "before"), put("b", value), put("c", "after"), put("d", value)]);
        let other: Buffer = Buffer.alloc(0);
        await opened.tamper("d", (record) => (other = Buffer.from(record)));
        storage = await opened.tamper("b", (record) => change(record, other));
        t.throws(() => storage.get("b"), { instanceOf: ConcordError, code: "damaged", message: /key "b" is damaged/ }, kind);
        t.is(
          codeOf(() => storage.range("a", "z", 10)),
          "damaged",
          kind,
        );
        t.deepEqual([rowsOf(storage, "a", "b"), rowsOf(storage, "c", "d")], [[["a", "before"]], [["c", "after"]]], kind);
        await storage.write([put("b", "healed")]);
        t.is(text(storage.get("b")), "healed");
        t.is(storage.range("a", "z", 10).rows.length, 4);
      }
    }
  });
}

function testClosing(engine: StorageEngine): void {
  test(`${engine.name}: closing waits for writes under way, then everything is refused; closing twice is closing once`, async (t) => {
    const opened = await engine.open(t);
    let acknowledged = false;
    const written = opened.storage.write([put("a", "1")]).then(() => (acknowledged = true));
    await opened.storage.close();
    await opened.storage.close();
    t.true(acknowledged);
    await written;
    t.is(
      codeOf(() => opened.storage.get("a")),
      "stopping",
    );
    t.is(
      codeOf(() => opened.storage.range("a", "b", 1)),
      "stopping",
    );
    t.is((await rejection(opened.storage.write([put("a", "2")]))).code, "stopping");
    if (opened.reopen !== undefined) t.is(text((await opened.reopen()).get("a")), "1");
  });
}
