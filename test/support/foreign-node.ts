/**
 * A node that somebody else wrote from the table of the base protocol alone: strings in a map, last write wins, single pairs only, and a
 * hash of its own kind. It knows nothing of frames, contexts or deletions.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { ExecutionContext } from "ava";

export interface ForeignNode {
  readonly url: string;
  readonly data: Map<string, unknown>;
  /** Requests that it has had, as "METHOD path". */
  readonly seen: string[];
  stop(): Promise<void>;
}

export async function startForeignNode(t: ExecutionContext, port = 0): Promise<ForeignNode> {
  const data = new Map<string, unknown>();
  const seen: string[] = [];
  const hash = (): string =>
    createHash("md5")
      .update(JSON.stringify([...data].sort()))
      .digest("hex");
  const answer = async (incoming: IncomingMessage): Promise<readonly [number, unknown]> => {
    const body = await bodyOf(incoming);
    switch (`${incoming.method} ${incoming.url}`) {
      case "GET /ping":
        return [200, { message: "pong" }];
      case "GET /store/hash":
        return [200, { hash: hash() }];
      case "POST /store":
      case "POST /replicate": {
        const { key, value } = JSON.parse(body) as { key?: unknown; value: unknown };
        if (typeof key !== "string") return [400, { error: "key is missing" }];
        data.set(key, value);
        return [200, { message: "Key-value pair replicated successfully" }];
      }
      default:
        return [404, { error: "not found" }];
    }
  };
  const server = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    void answer(incoming).then(([status, json]) =>
      outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(json)),
    );
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.teardown(stop);
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, data, seen, stop };
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of incoming) text += String(chunk);
  return text;
}
