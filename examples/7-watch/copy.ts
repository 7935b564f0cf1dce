/**
 * Keeps a copy of all orders, from whichever of two nodes answers: watch first, list then, and list again after a reset. Prints a line for
 * each change.
 *
 *   node --import=tsx examples/7-watch/copy.ts http://localhost:8001 http://localhost:8002
 */
import { connect } from "../../lib/connect.ts";

interface Order {
  readonly dish: string;
}

const store = connect<Record<`order/${string}`, Order>>({ nodes: process.argv.slice(2) });
const orders = new Map<string, Order>();

async function listAgain(): Promise<void> {
  orders.clear();
  for await (const { key, value } of store.list({ prefix: "order/" })) if (value !== undefined) orders.set(key, value);
  console.log(`listed: ${orders.size} orders`);
}

const watch = store.watch({ prefix: "order/" });
await watch.opened;
await listAgain();
for await (const change of watch) {
  if (change.kind === "reset") {
    await listAgain();
    continue;
  }
  if (change.kind === "put" && change.value !== undefined) orders.set(change.key, change.value);
  else orders.delete(change.key);
  console.log(`${change.kind} ${change.key}, ${orders.size} in all`);
}
