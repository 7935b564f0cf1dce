/** Conditions, touches and batches through the Kv: judged in the step that writes, so that of two who demand the same one is refused. */
import test from "ava";
import type { ConcordError } from "../../lib/core/errors.ts";
import type { KvOperation, KvValue } from "../../lib/core/kv.ts";
import { createClock, START_MS } from "../support/chance.ts";
import { createTestNode } from "../support/driven-nodes.ts";

const put = (key: string, text: string, more: Partial<KvOperation> = {}): KvOperation => ({ key, value: Buffer.from(text), ...more });
const textOf = (value: KvValue | undefined): string | undefined => (value === undefined ? undefined : Buffer.from(value.value).toString());
const absent = { kind: "absent" } as const;

test("of two writers who demand that the key is free, one is refused, also when both are in one turn", async (t) => {
  const { kv } = await createTestNode("a");
  const results = await Promise.allSettled([1, 2, 3].map((i) => kv.write([put("k", `${i}`, { condition: absent })])));
  t.deepEqual(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
  t.is(kv.get("k")!.siblings, 1);
  t.is(textOf(kv.get("k")), "1");
});

test("a tag is good for one write", async (t) => {
  const { kv } = await createTestNode("a");
  await kv.write([put("k", "1")]);
  const condition = { kind: "matching", tags: [kv.get("k")!.tag] } as const;
  const receipt = await kv.write([put("k", "2", { condition })]);
  t.deepEqual(receipt.tags, [kv.get("k")!.tag]);
  await t.throwsAsync(kv.write([put("k", "3", { condition })]), { code: "condition-failed" });
  await t.throwsAsync(kv.write([{ key: "k", value: undefined, condition }]), { code: "condition-failed" });
  t.is(textOf(kv.get("k")), "2");
  t.deepEqual((await kv.write([{ key: "k", value: undefined, condition: { kind: "present" } }])).changed, [true]);
  await t.throwsAsync(kv.write([put("k", "3", { condition: { kind: "present" } })]), { code: "condition-failed" });
});

test("a batch is written whole or not at all, and says which of its operations is to blame", async (t) => {
  const { kv } = await createTestNode("a");
  await kv.write([put("taken", "1")]);
  const before = kv.hash();
  const batch = [put("x", "1"), { key: "taken", value: undefined }, put("taken", "2", { condition: absent })];
  const error = await t.throwsAsync<ConcordError>(kv.write(batch), { code: "condition-failed" });
  t.is(error.operation, 2);
  t.deepEqual([kv.get("x"), textOf(kv.get("taken")), kv.hash()], [undefined, "1", before]);
  await kv.write([put("x", "1", { condition: absent }), put("x", "2", { condition: absent })]);
  t.is(textOf(kv.get("x")), "2", "conditions are judged against what was there before the batch");
});

test("what has expired is not there for a condition, before any sweep", async (t) => {
  const clock = createClock();
  const { kv } = await createTestNode("a", { clock });
  await kv.write([put("k", "1", { ttlMs: 10 })]);
  await t.throwsAsync(kv.write([put("k", "2", { condition: absent })]), { code: "condition-failed" });
  clock.advance(10);
  await kv.write([put("k", "2", { condition: absent })]);
  t.is(textOf(kv.get("k")), "2");
});

test("a touch moves the time of every sibling, settles none, and keeps the one that is shown", async (t) => {
  const clock = createClock();
  const { kv } = await createTestNode("a", { clock });
  t.deepEqual((await kv.write([{ key: "k", value: undefined, touch: true, ttlMs: 5 }])).changed, [false]);
  await kv.write([
    put("k", "1", { ttlMs: 10 }),
    put("k", "2", { beside: true }),
    put("k", "3", { beside: true, contentType: "text/plain" }),
  ]);
  const { tag } = kv.get("k")!;
  const receipt = await kv.write([{ key: "k", value: undefined, touch: true, ttlMs: 1_000 }]);
  t.deepEqual(kv.siblings("k").map(({ expiresAtMs }) => expiresAtMs), [1, 2, 3].map(() => START_MS + 1_000)); // prettier-ignore
  t.deepEqual([textOf(kv.get("k")), kv.get("k")!.siblings, kv.get("k")!.contentType], ["3", 3, "text/plain"]);
  t.not(kv.get("k")!.tag, tag);
  t.is(receipt.tags[0], kv.get("k")!.tag);
  await kv.write([put("k", "4", { token: receipt.tokens[0] })]);
  t.is(kv.get("k")!.siblings, 1, "its token names all that it wrote");
  await kv.write([put("k", "5", { ttlMs: 10 })]);
  await kv.write([{ key: "k", value: undefined, touch: true }]);
  clock.advance(1_000_000);
  t.is(textOf(kv.get("k")), "5");
  t.is(kv.get("k")!.expiresAtMs, 0);
});

test("what has expired cannot be touched back to life", async (t) => {
  const clock = createClock();
  const { kv } = await createTestNode("a", { clock });
  await kv.write([put("k", "1", { ttlMs: 10 })]);
  clock.advance(10);
  t.deepEqual((await kv.write([{ key: "k", value: undefined, touch: true, ttlMs: 1_000 }])).changed, [false]);
  t.is(kv.get("k"), undefined);
});

test("JSON with spaces between its parts stays as it is, and the node goes on", async (t) => {
  const { kv, failures } = await createTestNode("a");
  const texts = ['{"a":\n1, "b" : [ 1 , {} ] }', ' {"a":1}\t', '{"a":"b , c"}', "[1, 2]"];
  for (const text of texts) await kv.write([put(text, text)]);
  t.deepEqual(texts.map((text) => textOf(kv.get(text))), texts); // prettier-ignore
  t.deepEqual(failures, []);
});

test("a page ends after so many bytes, and has one entry at least", async (t) => {
  const { kv } = await createTestNode("a");
  const keys = Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(2, "0")}`);
  await kv.write(keys.map((key, i) => put(key, `"${"x".repeat((i % 7) * 100)}"`)));
  const seen: string[] = [];
  const sizes: number[] = [];
  for (let after: string | undefined; ;) {
    const page = kv.list({ limit: 50, bytesMax: 1_000, ...(after === undefined ? {} : { after }) });
    seen.push(...page.entries.map(({ key }) => key));
    sizes.push(page.entries.length);
    after = page.cursor;
    if (after === undefined) break;
  }
  t.deepEqual(seen, keys);
  t.true(sizes.every((size) => size >= 1 && size <= 8), sizes.join(" ")); // prettier-ignore
  t.is(kv.list({ limit: 50, bytesMax: 1 }).entries.length, 1);
});
