/**
 * The app: which path and method leads where, and what is said when none does.
 *
 * Each route has one handler and there is no middleware but that which asks who it is (access.ts), where a node has one: Hono answers
 * such a route without its chain of promises. Paths are matched as they stood on the wire.
 */
import type { IncomingMessage } from "node:http";
import { Hono } from "hono";
import type { Kv } from "../core/kv.ts";
import type { Log } from "../core/ports.ts";
import type { Access } from "./access.ts";
import { json, refusal, refusalOf, Unread } from "./answer.ts";
import { createExpress, type Express } from "./express.ts";
import { createHealthRoutes, type Health } from "./health.ts";
import { createKeyRoutes } from "./key.ts";
import type { Meter, RouteMeter } from "./meter.ts";
import { createPeerRoutes, type PeerInbox, type TakePairs } from "./peer.ts";
import { createRepairRoute } from "./repair.ts";
import { createBodies, NO_QUERY, pathOf, withoutQuery, type Env, type Handler } from "./request.ts";
import { createStoreRoutes } from "./store.ts";
import { parseTarget } from "./url.ts";
import { createModern } from "./v1/dispatch.ts";

export interface AppDeps {
  readonly meter: Meter;
  readonly health: Health;
  /** Bytes that a value may have which is written here. */
  readonly valueBytesMax: number;
  readonly kv: Kv;
  readonly inbox: PeerInbox;
  readonly takePairs: TakePairs;
  readonly log: Log;
  readonly gate: Gate;
  /** Decides first; undefined lets everybody in. */
  readonly access: Access | undefined;
  /** What GET /status says beside the node's own status. */
  readonly about: () => Readonly<Record<string, unknown>>;
  /** Aborted when the node begins to stop. */
  readonly stopping: AbortSignal;
}

/** Clients wait here until the node has met its peers. */
export interface Gate {
  readonly isOpen: boolean;
  readonly opened: Promise<void>;
}

/** What answers requests. */
export interface App {
  readonly fetch: (request: Request, env: Env["Bindings"]) => Response | Promise<Response>;
  /** Comes first where there is one. */
  readonly express?: Express | undefined;
}

type Method = "GET" | "POST" | "DELETE";

export function createApp(deps: AppDeps): App {
  const { kv, inbox, takePairs, log, gate, access, about, stopping, meter, health, valueBytesMax } = deps;
  const app = new Hono<Env>({ getPath: (_request, options) => pathOf((options as { env: Env["Bindings"] }).env.incoming) });
  if (access !== undefined) app.use(access);
  const methods = new Map<string, Method[]>();

  const open = (method: Method, path: string, handler: Handler): RouteMeter => {
    const route = meter.route(method, path);
    app.on(method, path, (call) => {
      call.env.outgoing.route = route;
      return handler(call);
    });
    methods.set(path, [...(methods.get(path) ?? []), method]);
    return route;
  };
  const waiting =
    (handler: Handler): Handler =>
    (call) =>
      gate.isOpen ? handler(call) : gate.opened.then(() => handler(call));
  const gated = (method: Method, path: string, handler: Handler): RouteMeter => open(method, path, waiting(handler));

  const every = (path: string, handler: Handler): void => {
    const routes = new Map(["GET", "HEAD", "PUT", "POST", "DELETE"].map((method) => [method, meter.route(method, path)]));
    app.all(path, (call) => {
      call.env.outgoing.route = routes.get(call.env.incoming.method ?? "");
      return handler(call);
    });
  };

  const bodies = createBodies(valueBytesMax);
  const unread = new Unread();
  const store = createStoreRoutes(kv, bodies, unread);
  const peer = createPeerRoutes(inbox, takePairs, bodies);
  open("GET", "/ping", withoutQuery(peer.ping));
  open("POST", "/peer", withoutQuery(peer.frame));
  open("POST", "/replicate", withoutQuery(peer.replicate));
  open("GET", "/store/hash", withoutQuery(store.hash));
  open(
    "GET",
    "/status",
    withoutQuery(() => json(JSON.stringify({ ...kv.status(), ...about() }))),
  );
  open(
    "POST",
    "/scrub",
    withoutQuery(() => json(`{"scrub":${kv.scrub()}}`, 202)),
  );
  for (const [path, handler] of Object.entries(createHealthRoutes(health))) open("GET", path, withoutQuery(handler));
  open("POST", "/repair", createRepairRoute(kv));
  gated("GET", "/store", withoutQuery(store.readAll));
  const writes = gated("POST", "/store", store.write);
  const reads = gated("GET", "/store/key", store.readKey);
  gated("DELETE", "/store/key", store.removeKey);

  const key = createKeyRoutes(kv, bodies, unread);
  open("GET", "/health", key.health);
  gated("POST", "/key", key.create);
  gated("GET", "/key/*", key.read);
  gated("DELETE", "/key/*", key.remove);

  // Every method: what is not one of theirs they refuse in their own way.
  const modern = createModern({ kv, bodies, unread, log, version: String(about()["version"]), stopping });
  every("/v1/*", waiting(modern));
  for (const path of ["/openapi.json", "/docs"]) every(path, modern);

  app.notFound(({ env: { incoming } }) => {
    const target = parseTarget(incoming.url ?? "/");
    if (!target.ok) return refusal(target.status, target.problem);
    const path = pathOf(incoming);
    const allowed = methods.get(path) ?? methods.get(path.replace(/^(\/key)\/.*/, "$1/*"));
    if (allowed === undefined) return refusal(404, `there is nothing at ${JSON.stringify(path)}`);
    const allow = allowed.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
    return refusal(405, `${incoming.method} is not a method of ${path}; it takes ${allow}`, { allow });
  });
  const refuse = (error: unknown): Response => {
    const known = refusalOf(error);
    if (known !== undefined) return known;
    log.write("error", `a request failed in a way that it should not: ${error instanceof Error ? error.stack : String(error)}`);
    return refusal(500, "an internal error; the node's log says more");
  };
  app.onError(refuse);
  const write = (incoming: IncomingMessage): Promise<string> => store.writeBody(incoming, NO_QUERY);
  const express = access === undefined ? createExpress({ kv, gate, reads, writes, write, refuse }) : undefined;
  return { fetch: (request, env) => app.fetch(request, env), express };
}
