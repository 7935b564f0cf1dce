/** Servers that answer as a test says, and ports at which nobody listens. */
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExecutionContext } from "ava";

export async function startStub(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Below those that are given out as free, so that no other test listens here; of those that fetch does not refuse by itself. */
export const NOBODY = "http://127.0.0.1:2";
export const NOBODY_EITHER = "http://127.0.0.1:3";

export async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  return text;
}

/** A problem as a node writes it. */
export function problem(kind: string, status: number): string {
  return JSON.stringify({ type: `/docs#${kind}`, title: kind, status, detail: `because of ${kind}`, hint: "do this", field: "key" });
}
