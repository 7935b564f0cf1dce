/**
 * A node's HTTP without a port of its own: requests come from the server of the program that the node runs in, under a path of that
 * server, or as a Request of the program itself.
 *
 * The routes look at the raw target and the raw body of a request (request.ts). So a request that comes through node-server's adapter is
 * handed on with its own IncomingMessage, the path of the mount taken off its target; and a bare Request is given one that says the same.
 */
import { IncomingMessage, type ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Hono } from "hono";
import { isLoopback } from "../auth/loopback.ts";
import { refusal, RETRY } from "./answer.ts";
import type { App } from "./app.ts";
import { Meter } from "./meter.ts";
import type { Bindings } from "./request.ts";

export interface Mounted {
  readonly meter: Meter;
  /** Those of the program's server are not this node's to count. */
  readonly connections: number;
  /** To be mounted in the program's own app: `app.route("/kv", node.app)`. */
  readonly app: Hono<{ Bindings: Partial<Bindings> }>;
  /** For the program itself: nobody asks where the request came from. Whoever passes on requests of others answers for them. */
  fetch(request: Request): Promise<Response>;
  /** Answers from now on; called once. */
  serve(app: App): void;
  /** Takes no more requests, and resolves when those under way are answered, or after the deadline. */
  close(deadlineMs: number): Promise<void>;
}

export interface MountedOptions {
  /** What stands before the routes, such as /kv; "" for nothing. */
  readonly path: string;
  /** Whoever is elsewhere is refused: there is nothing else that says who may. */
  readonly ownMachineOnly: boolean;
}

export function createMounted({ path, ownMachineOnly }: MountedOptions): Mounted {
  let inner: App | undefined;
  let isClosed = false;
  let underWay = 0;
  let onIdle: () => void = () => undefined;

  const meter = new Meter();

  const answer = async (request: Request, source: IncomingMessage, outgoing: Bindings["outgoing"]): Promise<Response> => {
    if (inner === undefined || isClosed) return refusal(503, "this node is stopping; ask another one", RETRY);
    if (ownMachineOnly && !isLoopback((source.socket.remoteAddress ?? "").replace(/^::ffff:/, ""))) return refusal(403, ELSEWHERE);
    const target = withoutPath(source.url ?? "/", path);
    if (target === undefined) return refusal(404, `this node answers under ${path}`);
    const bindings = { incoming: source.url === target ? source : retargeted(source, target), outgoing };
    const startedMs = performance.now();
    underWay++;
    try {
      const response = await inner.fetch(request, bindings);
      meter.count(outgoing.route, response.status, (performance.now() - startedMs) / 1000);
      return response;
    } finally {
      underWay--;
      if (underWay === 0) onIdle();
    }
  };

  const app = new Hono<{ Bindings: Partial<Bindings> }>();
  app.all("*", ({ req, env: { incoming, outgoing } = {} }) =>
    incoming === undefined || outgoing === undefined ? refusal(500, NO_BINDINGS) : answer(req.raw, incoming, outgoing),
  );
  return {
    meter,
    connections: 0,
    app,
    fetch: (request) => answer(request, incomingOf(request), nowhere()),
    serve: (given) => void (inner = given),
    async close(deadlineMs) {
      isClosed = true;
      if (underWay === 0) return;
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        onIdle = resolve;
        timer = setTimeout(resolve, deadlineMs);
      });
      clearTimeout(timer);
    },
  };
}

/** The target as the routes know it; undefined when it is not under the path. */
function withoutPath(target: string, path: string): string | undefined {
  if (path === "") return target;
  if (!target.startsWith(path)) return undefined;
  const rest = target.slice(path.length);
  if (rest === "" || rest.startsWith("?")) return `/${rest}`;
  return rest.startsWith("/") ? rest : undefined;
}

/** The same message with another target. Not a changed one: the program's own code, such as its log of requests, still looks at it. */
function retargeted(incoming: IncomingMessage, url: string): IncomingMessage {
  return new Proxy(incoming, {
    get(target, name) {
      if (name === "url") return url;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A message as if this Request had come by a socket of this machine. */
function incomingOf(request: Request): IncomingMessage {
  const incoming = new IncomingMessage(Object.defineProperty(new Socket(), "remoteAddress", { value: "127.0.0.1" }));
  const { pathname, search } = new URL(request.url);
  incoming.method = request.method;
  incoming.url = pathname + search;
  request.headers.forEach((value, name) => (incoming.headers[name] = value));
  const { body } = request;
  if (body !== null && incoming.headers["content-length"] === undefined) incoming.headers["transfer-encoding"] = "chunked";
  void feed(incoming, body);
  return incoming;
}

async function feed(incoming: IncomingMessage, body: Request["body"]): Promise<void> {
  try {
    for await (const chunk of body ?? []) incoming.push(chunk);
    incoming.push(null);
  } catch (error) {
    incoming.destroy(error as Error);
  }
}

const NO_BINDINGS = "the program's server must be one of @hono/node-server: the node needs the request as it came";
const ELSEWHERE = "without a cluster key this node answers its own machine only: give createNode a clusterKeyFile, or say insecure";

/** Where what is said past the Response goes when there is no socket: nobody waits for it to be read. */
function nowhere(): Bindings["outgoing"] {
  const socketless = { removeHeader: () => undefined, once: (_event: string, listener: () => void) => listener() };
  return socketless as unknown as ServerResponse;
}
