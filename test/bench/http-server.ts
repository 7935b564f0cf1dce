/**
 * What the node is compared to, as a process of its own: bare hono and @hono/node-server over a Map or over lmdb, without any of
 * what makes a store of it. `node --import=tsx test/bench/http-server.ts map|lmdb PORT [FOLDER]`
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { open } from "lmdb";

const [engine, port, folder] = process.argv.slice(2);
const app = new Hono();

interface PairBody {
  readonly key: string;
  readonly value: unknown;
}

if (engine === "lmdb") {
  const database = open<string, string>({ path: folder!, encoding: "string", overlappingSync: false });
  app.get("/store/key", (c) => c.json({ value: database.get(c.req.query("key") ?? "") }));
  app.post("/store", async (c) => {
    const { key, value } = await c.req.json<PairBody>();
    await database.put(key, JSON.stringify(value));
    return c.json({ key, stored: true });
  });
} else {
  const map = new Map<string, unknown>();
  app.get("/store/key", (c) => c.json({ value: map.get(c.req.query("key") ?? "") }));
  app.post("/store", async (c) => {
    const { key, value } = await c.req.json<PairBody>();
    map.set(key, value);
    return c.json({ key, stored: true });
  });
}
serve({ fetch: app.fetch, port: Number(port), hostname: "127.0.0.1" });
