/**
 * A shop whose prices are in every branch: a web server with a node of Concord in the same process, under /kv.
 *
 *   node --import=tsx examples/8-embedding/shop.ts 8001 8002     its own port, and that of the other branch
 *
 * In a program of your own the import is "concord".
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { createNode } from "../../lib/index.ts";

const [port = "8001", other = "8002"] = process.argv.slice(2);

const node = await createNode({
  name: `shop-${port}`,
  address: `http://localhost:${port}/kv`,
  peers: [`http://localhost:${other}/kv`],
  folder: `data/shop-${port}`,
  pingEveryMs: 1_000,
  timeoutMs: 5_000,
});

const app = new Hono();
app.route("/kv", node.app);

app.put("/prices/:item", async (call) => {
  const price = Number(await call.req.text());
  if (!Number.isFinite(price)) return call.text("a price is a number\n", 400);
  await node.kv.write([{ key: `price/${call.req.param("item")}`, value: Buffer.from(JSON.stringify(price)) }]);
  return call.text("noted\n");
});

app.get("/prices", async (call) => {
  // After a start: what was missed has come from the other branch, or it does not answer.
  await node.ready;
  const { entries } = node.kv.list({ prefix: "price/", limit: 100 });
  const lines = entries.map(({ key, value }) => `${key.slice("price/".length)} ${Buffer.from(value.value).toString()}\n`);
  return call.text(lines.join(""));
});

const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(port) }, () => console.log(`open on port ${port}`));
process.once("SIGINT", () => {
  server.close();
  void node.stop().then(() => process.exit(0));
});
