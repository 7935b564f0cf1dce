/** What the faces of a node call: keys and tokens at the border, values that have expired, listings page by page, and watchers. */
import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import type { ConcordError } from "../../lib/core/errors.ts";
import type { KvEvent, KvOperation, KvValue } from "../../lib/core/kv.ts";
import { createClock, START_MS } from "../support/chance.ts";
import { createCluster, createHeldStorage, createTestNode, quiet } from "../support/driven-nodes.ts";
import { holdsAsync } from "../support/property.ts";

const put = (key: string, text: string, more: Partial<KvOperation> = {}): KvOperation => ({ key, value: Buffer.from(/^[a-z]+$/.test(text) ? JSON.stringify(text) : text), ...more }); // prettier-ignore
const textOf = (value: KvValue | undefined): string | undefined =>
  value === undefined
    ? undefined
    : Buffer.from(value.value)
        .toString()
        .replace(/^"([a-z]+)"$/, "$1");
const byBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

test("a value comes back as it was written, with who wrote it, when, and as what", async (t) => {
  const { kv } = await createTestNode("a");
  const { changed, copies, tokens } = await kv.write([
    put("ключ", '{"x":1}'),
    put("k", "\0\xff", { contentType: "text/plain", ttlMs: 10 }),
  ]);
  t.deepEqual([changed, copies, tokens.length], [[true, true], 1, 2]);
  const value = kv.get("ключ")!;
  t.is(textOf(value), '{"x":1}');
  t.like(value, { contentType: "", siblings: 1, expiresAtMs: 0, writer: "a", writtenMs: START_MS });
  t.like(kv.get("k"), { contentType: "text/plain", expiresAtMs: START_MS + 10 });
  t.deepEqual([kv.get("other"), kv.siblings("other")], [undefined, []]);
});

test("keys have 1 to 1,024 bytes of UTF-8", async (t) => {
  const { kv } = await createTestNode("a");
  const refusals: [string, string][] = [
    ["", "invalid"],
    ["k".repeat(1025), "too-large"],
    ["ключ".repeat(128) + "к", "too-large"],
  ];
  for (const [key, code] of refusals) {
    t.throws(() => kv.get(key), { code });
    t.throws(() => kv.siblings(key), { code });
    await t.throwsAsync(kv.write([put(key, "1")]), { code });
  }
  await kv.write([put("ключ".repeat(128), "1"), put("\0", "2")]);
  t.deepEqual([textOf(kv.get("ключ".repeat(128))), textOf(kv.get("\0"))], ["1", "2"]);
});

test("lifetimes: from one millisecond to a hundred years; the value is gone from its very millisecond", async (t) => {
  const clock = createClock();
  const { kv } = await createTestNode("a", { clock });
  for (const ttlMs of [0, -1, NaN, Infinity, 1e14]) await t.throwsAsync(kv.write([put("k", "1", { ttlMs })]), { code: "invalid" });
  await kv.write([put("k", "short", { ttlMs: 100 }), put("l", "lasting"), put("m", "1", { ttlMs: 0.5 })]);
  t.is(kv.get("m")?.expiresAtMs, START_MS + 1);
  clock.advance(99);
  t.is(textOf(kv.get("k")), "short");
  clock.advance(1);
  t.deepEqual([kv.get("k"), kv.siblings("k"), textOf(kv.get("l"))], [undefined, [], "lasting"]);
  t.deepEqual(kv.list({ limit: 10 }).entries.map(({ key }) => key), ["l"]); // prettier-ignore
  await kv.write([put("k", "other", { token: (await kv.write([put("k", "again")])).tokens[0] })]);
  t.is(textOf(kv.get("k")), "other");
});

test("tokens: a write with one replaces what its read showed and nothing else; a deletion likewise", async (t) => {
  const { kv } = await createTestNode("a");
  await kv.write([put("k", "1")]);
  const { token } = kv.get("k")!;
  await kv.write([put("k", "2", { token })]);
  const late = await kv.write([put("k", "3", { token })]);
  t.deepEqual(kv.siblings("k").map(textOf).sort(), ["2", "3"]);
  t.is(kv.get("k")!.siblings, 2);
  await kv.write([{ key: "k", value: undefined, token: late.tokens[0] }]);
  t.deepEqual(kv.siblings("k").map(textOf), ["2"]);
  await kv.write([put("k", "4", { beside: true })]);
  t.is(kv.siblings("k").length, 2);
  await kv.write([put("k", "5", { token: kv.get("k")!.token })]);
  t.deepEqual(kv.siblings("k").map(textOf), ["5"], "the token of any of them names all of them");
  t.deepEqual((await kv.write([{ key: "k", value: undefined, token }])).changed, [false], "seen already");
});

test("a token of another key, or none at all, is refused before anything is written", async (t) => {
  const { kv } = await createTestNode("a");
  await kv.write([put("k", "1"), put("l", "1")]);
  const { token } = kv.get("k")!;
  for (const wrong of [token, "", "nonsense", token.slice(0, -2)]) {
    const write = kv.write([put("k", "2"), put("l", "2", { token: wrong })]);
    await t.throwsAsync(write, { code: "invalid", message: /token/ }, wrong);
  }
  t.deepEqual([textOf(kv.get("k")), textOf(kv.get("l"))], ["1", "1"]);
});

test("get shows one of the siblings, the same one that siblings shows first", async (t) => {
  const { kv } = await createTestNode("a");
  for (const text of ["1", "2", "3"]) await kv.write([put("k", text, { beside: true })]);
  t.is(textOf(kv.get("k")), "3", "the latest");
  t.deepEqual(kv.siblings("k").map(textOf), ["3", "1", "2"]);
});

/** Also what shares bytes, and what is more bytes than characters. */
const name = fc.string({ unit: fc.constantFrom("a", "b", "é", "è", "鍵", "🔑", "\u{10ffff}", "\x7f"), minLength: 1, maxLength: 4 });

test("list: the keys with a prefix, in the order of their bytes, page by page, each once", async (t) => {
  await holdsAsync(
    t,
    fc.asyncProperty(
      fc.uniqueArray(name, { maxLength: 25, size: "max" }),
      fc.oneof(name, fc.constant("")),
      fc.integer({ min: 1, max: 7 }),
      async (keys, prefix, limit) => {
        const { kv } = await createTestNode("a");
        if (keys.length > 0) await kv.write(keys.map((key) => put(key, "1")));
        const expected = keys.filter((key) => key.startsWith(prefix)).sort(byBytes);
        const listed: string[] = [];
        for (let after: string | undefined, pages = 0; ; pages++) {
          const { entries, cursor } = kv.list({ prefix, limit, ...(after === undefined ? {} : { after }) });
          assert.ok(entries.length <= limit && pages <= keys.length);
          listed.push(...entries.map(({ key }) => key));
          if (cursor === undefined) break;
          after = cursor;
        }
        assert.deepEqual(listed, expected);
        const from = keys[0] ?? "a";
        const rest = kv.list({ prefix, after: from, limit: 100 }).entries.map(({ key }) => key);
        assert.deepEqual(rest, expected.filter((key) => byBytes(key, from) > 0)); // prettier-ignore
      },
    ),
    { numRuns: 60 },
  );
});

test("list: pages of nothing but expired keys are empty and still lead on", async (t) => {
  const clock = createClock();
  const { kv } = await createTestNode("a", { clock });
  for (let n = 0; n < 6; n++) await kv.write([put(`k${n}`, "1", n < 4 ? { ttlMs: 1 } : {})]);
  clock.advance(1);
  const first = kv.list({ limit: 3 });
  t.deepEqual([first.entries.length, first.cursor], [0, "k2"]);
  const second = kv.list({ limit: 3, after: "k2" });
  t.deepEqual([second.entries.map(({ key }) => key), second.cursor], [["k4", "k5"], undefined]);
});

test("reads see what is durable, and nothing else", async (t) => {
  const storage = createHeldStorage();
  const { kv } = await createTestNode("a", { storage });
  const events: KvEvent[] = [];
  kv.watch("", (event) => events.push(event));
  const writing = kv.write([put("k", "1")]);
  await quiet();
  t.deepEqual([kv.get("k"), kv.siblings("k"), kv.list({ limit: 9 }).entries, events], [undefined, [], [], []]);
  await storage.release();
  await writing;
  t.is(textOf(kv.get("k")), "1");
  t.is(events.length, 1);
});

test("watchers hear of puts and deletions of their prefix, from whomever they come, until they stop", async (t) => {
  const { nodes } = await createCluster(["a", "b"]);
  const [a, b] = nodes.map(({ kv }) => kv) as [NonNullable<(typeof nodes)[0]>["kv"], NonNullable<(typeof nodes)[0]>["kv"]];
  const heard: string[] = [];
  const stop = b.watch("кл", ({ kind, key, value }) => heard.push(`${kind} ${key} ${textOf(value) ?? ""}`));
  await a.write([put("ключ", "1"), put("other", "1")]);
  await quiet();
  await b.write([put("клад", "2", { ttlMs: 5 })]);
  await a.write([{ key: "ключ", value: undefined }]);
  await quiet();
  await a.write([{ key: "ключ", value: undefined }]);
  t.deepEqual(heard, ["put ключ 1", "put клад 2", "delete ключ "]);
  stop();
  await a.write([put("ключ", "3")]);
  await quiet();
  t.is(heard.length, 3);
});

test("a watcher hears of an expiry when it is swept", async (t) => {
  const clock = createClock();
  const { kv, node } = await createTestNode("a", { clock });
  await kv.write([put("k", "1", { ttlMs: 5 })]);
  const heard: string[] = [];
  kv.watch("", ({ kind, key }) => heard.push(`${kind} ${key}`));
  clock.advance(20_000);
  node.tick();
  await quiet();
  t.deepEqual(heard, ["expire k"]);
  t.is(kv.status().keys, 0);
});

test("copies: a write counts the nodes that hold it, and fails with the count when they are too few", async (t) => {
  const { nodes, network, tick } = await createCluster(["a", "b", "c"]);
  const { kv } = nodes[0]!;
  const outcome = async (copies: number): Promise<number | string> => {
    const writing = kv.write([put("k", `${copies}`)], { copies }).then(
      (receipt) => receipt.copies,
      (error: unknown) => (error as ConcordError).code,
    );
    await quiet();
    for (let seconds = 0; seconds < 6; seconds++) await tick();
    return writing;
  };
  t.deepEqual([await outcome(1), await outcome(2), await outcome(3), await outcome(4)], [1, 2, 3, "invalid"]);
  network.detach("b");
  network.detach("c");
  t.is(await outcome(2), "too-few-copies");
  t.is(textOf(kv.get("k")), "2", "the write stays");
  network.attach("b", nodes[1]!.node);
  for (let seconds = 0; seconds < 40; seconds++) await tick();
  t.is(textOf(nodes[1]!.kv.get("k")), "2", "and reaches the others when they are back");
});

test("the status: what is held, who is there, whether it is the same, and what the last repair did", async (t) => {
  const { nodes, tick } = await createCluster(["a", "b"]);
  const [a, b] = nodes.map(({ kv }) => kv) as [NonNullable<(typeof nodes)[0]>["kv"], NonNullable<(typeof nodes)[0]>["kv"]];
  await a.write([put("k", "1"), put("l", "2")], { local: true });
  await a.write([put("k", "3", { beside: true })], { local: true });
  t.not(a.hash(), b.hash());
  for (let seconds = 0; seconds < 30; seconds++) await tick();
  t.is(a.hash(), b.hash());
  t.like(b.status(), {
    name: "b",
    address: "b",
    keys: 2,
    count: 3,
    hash: a.hash(),
    exceptions: 0,
    repairingWith: undefined,
    sketchReady: true,
    stopped: undefined,
  });
  t.like(b.status().peers[0], { address: "a", name: "a", status: "alive", listed: true, inSync: true });
  t.like(b.status().lastRepair, { peer: "a", result: "joined", entriesIn: 2 });
  await nodes[1]!.node.stop();
  t.is(b.status().stopped, "the node is stopping");
});

test("text that is no JSON is refused where it is said to be JSON, and the node goes on", async (t) => {
  const { kv } = await createTestNode("a");
  await t.throwsAsync(kv.write([{ key: "k", value: Buffer.from('{"a') }]), { code: "invalid", message: /not JSON .* content type/ });
  await kv.write([{ key: "k", value: Buffer.from('{"a'), contentType: "text/plain" }]);
  t.is(kv.get("k")?.contentType, "text/plain");
});

test("a watcher that throws is reported, and neither the write nor the other watchers suffer", async (t) => {
  const errors: unknown[] = [];
  const { kv } = await createTestNode("a", { onWatcherError: (error) => errors.push(error) });
  const heard: string[] = [];
  kv.watch("", () => {
    throw new Error("a bug of the program");
  });
  kv.watch("", ({ key }) => heard.push(key));
  await kv.write([put("k", "1")]);
  await kv.write([put("l", "1")]);
  t.deepEqual(
    [heard, errors.map((error) => (error as Error).message)],
    [
      ["k", "l"],
      ["a bug of the program", "a bug of the program"],
    ],
  );
});
