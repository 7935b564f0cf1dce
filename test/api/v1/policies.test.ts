/** Increments, conflicts, why and merge policies over real sockets. */
import test from "ava";
import type { PolicyRule } from "../../../lib/core/policy/names.ts";
import { send } from "../../support/http.ts";
import { startCluster, startTestNode, until } from "../../support/nodes.ts";

const JSON_TYPE = { "content-type": "application/json" };
const merge: readonly PolicyRule[] = [
  { prefix: "cart:", policy: "union" },
  { prefix: "all:", policy: "siblings" },
];

test("increments: by what the body says, one without; refusals are 400 with a hint and change nothing", async (t) => {
  const { url } = await startTestNode(t);
  const first = await send(url, "POST", "/v1/kv/n/increment");
  t.is(first.status, 200, first.text);
  t.like(first.json, { key: "n", value: 1, copies: 1 });
  t.like((await send(url, "POST", "/v1/kv/n/increment", { body: '{"by":-5}' })).json, { value: -4 });
  t.like((await send(url, "POST", "/v1/kv/a%2Fb/increment?ttl=60", { body: "{}" })).json, { key: "a/b", value: 1 });
  t.is((await send(url, "GET", "/v1/kv/n")).text, "-4");
  t.deepEqual((await send(url, "GET", "/store/key?key=n")).json, { value: -4 });
  const batch = JSON.stringify({ operations: [{ op: "increment", key: "n", by: 2 }, { op: "increment", key: "m" }] }); // prettier-ignore
  t.like((await send(url, "POST", "/v1/batch", { body: batch })).json, { results: [{ key: "n", changed: true }, { key: "m", changed: true }] }); // prettier-ignore
  await send(url, "PUT", "/v1/kv/text", { body: '"x"', headers: JSON_TYPE });
  for (const [path, body] of [
    ["/v1/kv/text/increment", ""],
    ["/v1/kv/n/increment", '{"by":0.5}'],
    ["/v1/kv/n/increment", '{"by":"1"}'],
    ["/v1/kv/n/increment", '{"bye":1}'],
    ["/v1/kv/n/increment", "1"],
    ["/v1/kv/n/increment", "{"],
    ["/v1/kv/n/increment?token=x", ""],
  ] as const) {
    const { status, json } = await send(url, "POST", path, { body });
    t.is(status, 400, `${path} ${body}`);
    t.truthy((json as { hint?: string }).hint);
  }
  t.is((await send(url, "GET", "/v1/kv/n")).text, "-2");
});

test("values that a policy cannot take, and the store's own media types, are refused with the reason", async (t) => {
  const { url } = await startTestNode(t, { merge });
  const refused = await send(url, "PUT", "/v1/kv/cart:1", { body: "1", headers: JSON_TYPE });
  t.is(refused.status, 400);
  t.regex(refused.text, /union, so its value must be a JSON array/);
  const own = await send(url, "PUT", "/v1/kv/x", { body: "{}", headers: { "content-type": "application/vnd.concord.union" } });
  t.is(own.status, 400);
  t.is((await send(url, "POST", "/store", { body: '{"key":"cart:1","value":1}' })).status, 400);
  const batch = JSON.stringify({ operations: [{ op: "put", key: "ok", value: 1 }, { op: "put", key: "cart:1", value: 1 }] }); // prettier-ignore
  t.like((await send(url, "POST", "/v1/batch", { body: batch })).json, { field: "operations[1]" });
  t.is((await send(url, "GET", "/v1/kv/ok")).status, 404);
});

test("conflicts are listed page by page and end with a write that has seen them; siblings answers 300", async (t) => {
  const { url, kv } = await startTestNode(t, { merge });
  for (const key of ["a", "b", "all:1", "c"]) {
    await kv.write([{ key, value: Buffer.from("1") }]);
    await kv.write([{ key, value: Buffer.from(key === "c" ? "1" : "2"), beside: true }]);
  }
  type Page = { conflicts: { key: string; siblings: number; rule: string; token: string }[]; cursor?: string };
  const page = async (query: string): Promise<Page> => (await send(url, "GET", `/v1/conflicts${query}`)).json;
  const all = await page("");
  t.deepEqual(
    all.conflicts.map(({ key, siblings, rule }) => [key, siblings, rule]),
    [
      ["a", 2, "latest"],
      ["all:1", 2, "siblings"],
      ["b", 2, "latest"],
    ],
  );
  const first = await page("?limit=1");
  t.is(first.conflicts.length, 1);
  t.is((await page(`?limit=1&cursor=${first.cursor}`)).conflicts[0]!.key, "all:1");
  t.deepEqual(
    (await page("?prefix=b")).conflicts.map(({ key }) => key),
    ["b"],
  );
  t.is((await send(url, "GET", `/v1/conflicts?prefix=b&cursor=${first.cursor}`)).status, 400);
  t.is((await send(url, "GET", "/v1/kv/a")).status, 200);
  const several = await send(url, "GET", "/v1/kv/all:1");
  t.is(several.status, 300);
  const { token } = several.json as { token: string };
  await send(url, "PUT", `/v1/kv/all:1?token=${token}`, { body: "3", headers: JSON_TYPE });
  t.is((await send(url, "GET", "/v1/kv/all:1")).status, 200);
  t.deepEqual(
    (await page("")).conflicts.map(({ key }) => key),
    ["a", "b"],
  );
});

test("why: which writes, what they replaced, which rule, who holds it; also of what is gone", async (t) => {
  const [one, two] = (await startCluster(t, 2, { merge })) as [
    Awaited<ReturnType<typeof startTestNode>>,
    Awaited<ReturnType<typeof startTestNode>>,
  ];
  type Why = {
    rule?: string;
    because: string;
    value?: unknown;
    writes: { dot: string; node: string; replaced: string[]; seen?: string[]; value?: unknown }[];
    gone: { dot: string; node: string; by: string[] }[];
    holders: { name: string; holds: string; writes?: string[] }[];
  };
  const why = async (key: string): Promise<Why> => (await send(one.url, "GET", `/v1/why/${encodeURIComponent(key)}`)).json;
  await one.kv.write([{ key: "k", value: Buffer.from("1") }]);
  await one.kv.write([{ key: "k", value: Buffer.from("2") }]);
  await one.kv.write([{ key: "k", value: Buffer.from("3"), beside: true }]);
  await one.kv.write([{ key: "cart:", value: Buffer.from("[1]") }]);
  await until(t, "both are equal", () => one.kv.hash() === two.kv.hash(), [one, two]);
  const k = await why("k");
  t.is(k.rule, "latest");
  t.regex(k.because, /latest time/);
  t.deepEqual(
    k.writes.map(({ value }) => value),
    [3, 2],
  );
  t.is(k.gone.length, 1);
  t.deepEqual(k.writes[1]!.replaced, [k.gone[0]!.dot]);
  t.deepEqual(k.gone[0]!.by, [k.writes[1]!.dot]);
  t.is(k.gone[0]!.node, one.name);
  t.deepEqual(
    k.holders.map(({ holds }) => holds),
    ["here", "same"],
  );
  const cart = await why("cart:");
  t.deepEqual([cart.rule, cart.value, cart.writes[0]!.seen], ["union", [1], [cart.writes[0]!.dot]]);
  await one.kv.write([{ key: "k", value: undefined }]);
  const gone = await why("k");
  t.deepEqual([gone.rule, gone.writes, gone.gone.length, gone.because], [undefined, [], 3, "the key holds nothing"]);
  // Asking who holds it has told nobody of anything: what only one node knows stays so.
  await two.kv.write([{ key: "apart", value: Buffer.from("1") }], { local: true });
  const apart = await why("apart");
  t.deepEqual([apart.writes, apart.holders[1]!.holds, apart.holders[1]!.writes], [[], "other", [two.kv.get("apart")!.dot]]);
  t.is((await send(two.url, "GET", "/v1/why/apart")).json.holders[1].holds, "nothing");
  await two.stop();
  await until(t, "the other is away", async () => (await why("apart")).holders[1]!.holds === "away", [one]);
});
