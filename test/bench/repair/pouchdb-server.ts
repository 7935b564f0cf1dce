/**
 * The routes of CouchDB that a replication by PouchDB calls, over a PouchDB in this process.
 *
 * PouchDB's own server, express-pouchdb, is not used: it is of 2020, brings two hundred packages of that time, and sends more headers
 * than this does. What the routes take and give is PouchDB's and CouchDB's, and answers of a kilobyte and more are compressed, as there. In one
 * comparison of the two (10,000 keys, 100 of them changed) express-pouchdb's way took 37 kB and this one 40.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { Database } from "pouchdb-core";

export interface PouchServer {
  readonly port: number;
  requests(): number;
  close(): Promise<void>;
}

/** As express-pouchdb does, by the default of its compression. */
const PACKED_FROM = 1024;

export async function startPouchServer(database: Database, name: string): Promise<PouchServer> {
  let requests = 0;
  const answerTo = async (incoming: IncomingMessage): Promise<unknown> => {
    requests++;
    const body: unknown = JSON.parse((await textOf(incoming)) || "{}");
    const { pathname, searchParams } = new URL(incoming.url ?? "/", "http://localhost");
    if (pathname === "/") return { couchdb: "Welcome", uuid: "00000000000000000000000000000001" };
    const [, of, ...rest] = decodeURIComponent(pathname).split("/");
    if (of !== name) throw Object.assign(new Error("missing"), { status: 404 });
    return route(database, incoming.method ?? "GET", rest.join("/"), searchParams, body as object);
  };
  const server = createServer((incoming, outgoing) => {
    const send = (status: number, answer: unknown): void => {
      const text = JSON.stringify(answer);
      const isPacked = text.length >= PACKED_FROM && /\bgzip\b/.test(String(incoming.headers["accept-encoding"]));
      const headers = { "content-type": "application/json", ...(isPacked ? { "content-encoding": "gzip" } : {}) };
      outgoing.writeHead(status, headers).end(isPacked ? gzipSync(text) : text);
    };
    answerTo(incoming).then(
      (answer) => send(200, answer),
      (error: { readonly status?: number; readonly name?: string; readonly message?: string }) =>
        send(error.status ?? 500, { error: error.name, reason: error.message }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests: () => requests,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function route(database: Database, method: string, path: string, query: URLSearchParams, body: object): Promise<unknown> {
  if (path === "") return database.info();
  if (path.startsWith("_local/")) return method === "PUT" ? database.put(body) : database.get(path);
  if (path === "_changes") {
    const since = Number(query.get("since") ?? 0);
    return database.changes({ style: query.get("style") ?? "main_only", since, limit: Number(query.get("limit") ?? 100) });
  }
  if (path === "_revs_diff") return database.revsDiff(body);
  if (path === "_bulk_get")
    return database.bulkGet({ ...body, revs: query.get("revs") === "true", latest: query.get("latest") === "true" });
  if (path === "_bulk_docs") return database.bulkDocs(body);
  throw Object.assign(new Error(`no route for ${method} ${path}`), { status: 404 });
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
