/**
 * The HTTP server. Node's own, with limits; the app answers through node-server's adapter.
 *
 * Node's default timeouts are a minute and five, looked at twice a minute: none of six slow attacks was cut in 45 seconds. It listens on
 * this machine alone unless told otherwise.
 *
 * With TLS it asks whoever connects for a certificate and takes everybody: clients have none. What a certificate is needed for, and what a bad
 * one is worth, is decided with each request (access.ts), which can say why. Sessions are not resumed: on one that is, OpenSSL says
 * "verified" of a client that has shown nothing.
 *
 * The port is taken first, before the storage is opened: when it is taken already that is said at once, with nothing half done.
 * Requests that come between are kept until there is an app.
 */
import { constants } from "node:crypto";
import { createServer, IncomingMessage } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { TLS_VERSION_MIN, type TlsTexts } from "../auth/tls-files.ts";
import { assert, ConcordError } from "../core/errors.ts";
import { refusal, RETRY } from "./answer.ts";
import type { App } from "./app.ts";
import { answerBroken, HEADERS_BYTES_MAX } from "./broken.ts";
import { createCrowd } from "./crowd.ts";
import { createDeadlines } from "./deadlines.ts";
import { answerEarly } from "./health.ts";
import type { AnswerWith } from "./express.ts";
import { Meter, MeteredResponse } from "./meter.ts";
import type { Bindings } from "./request.ts";
import { createSlices } from "./slices.ts";

export interface HttpServerOptions {
  readonly hostname: string;
  /** 0 takes any free one. */
  readonly port: number;
  /** Undefined speaks plain HTTP. */
  readonly tls?: TlsTexts | undefined;
  /** For tests: connections that are served, and that are taken. */
  readonly servedMax?: number;
  readonly connectionsMax?: number;
}

export interface HttpServer {
  readonly meter: Meter;
  /** Open connections. */
  readonly connections: number;
  readonly port: number;
  /** The base URL at which this machine reaches it. */
  readonly url: string;
  /** Answers from now on; called once. */
  serve(app: App): void;
  /** For connections from now on. */
  renew(tls: TlsTexts): void;
  /** Takes no new connections, lets requests finish, and cuts what has not after the deadline. */
  close(deadlineMs: number): Promise<void>;
}

export const DEFAULT_HOSTNAME = "127.0.0.1";

/** The headers of a request are one or two packets. */
const HEADERS_TIMEOUT_MS = 5_000;
/** The largest body at 1 MB/s. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A write may wait five seconds for copies, and a client as long for the first round with the peers. */
const HANDLER_TIMEOUT_MS = 10_500;
/**
 * Longer than peers keep idle connections (transport/http.ts), so that it is them who close, and than the usual pause between their
 * pings; short enough for every connection that does nothing to be gone in a quarter of a minute.
 */
const KEEP_ALIVE_MS = 12_500;
/** Each with a request under way: as many durable writes take about a tenth of a second. */
const SERVED_MAX = 900;
/**
 * Those beyond are there for as long as it takes to turn them away (crowd.ts). A socket takes some 20 KB, and Node raises the limit of open
 * files to what the system allows, which is far more.
 */
const CONNECTIONS_MAX = 2_000;
/** A handshake is one round trip; whoever takes longer holds a socket without having said a word. */
const HANDSHAKE_TIMEOUT_MS = 5_000;
/** Requests kept before there is an app: it takes a second at most. */
const EARLY_MAX = 1_000;

const LIMITS = {
  IncomingMessage,
  ServerResponse: MeteredResponse,
  maxHeaderSize: HEADERS_BYTES_MAX,
  headersTimeout: HEADERS_TIMEOUT_MS,
  requestTimeout: REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
  keepAliveTimeout: KEEP_ALIVE_MS,
  noDelay: true,
} as const;

const TLS_LIMITS = { requestCert: true, rejectUnauthorized: false, handshakeTimeout: HANDSHAKE_TIMEOUT_MS } as const;

function secureContextOf({ cert, key, ca }: TlsTexts) {
  return { cert, key, ca, minVersion: TLS_VERSION_MIN, secureOptions: constants.SSL_OP_NO_TICKET } as const;
}

type Listener = (incoming: IncomingMessage, outgoing: MeteredResponse) => unknown;

/** Rejects with `invalid` when the port or the interface cannot be had. */
export async function listenHttp(options: HttpServerOptions): Promise<HttpServer> {
  const { hostname, port, tls, servedMax = SERVED_MAX, connectionsMax = CONNECTIONS_MAX } = options;
  const meter = new Meter();
  const early: (readonly [IncomingMessage, MeteredResponse])[] = [];
  let listener: Listener = (incoming, outgoing) => {
    if (answerEarly(incoming, outgoing)) return;
    if (early.length < EARLY_MAX) early.push([incoming, outgoing]);
    else outgoing.writeHead(503, { "content-type": "application/json", ...RETRY }).end('{"error":"the data is being opened; try again"}');
  };
  const server = tls === undefined ? createServer(LIMITS) : createTlsServer({ ...LIMITS, ...TLS_LIMITS, ...secureContextOf(tls) });
  server.maxConnections = connectionsMax;
  const deadlines = createDeadlines(server, HANDLER_TIMEOUT_MS, servedMax);
  const crowd = createCrowd(server, () => deadlines.connections, servedMax);
  const slices = createSlices<readonly [IncomingMessage, MeteredResponse]>(([incoming, outgoing]) => void listener(incoming, outgoing));
  server.on("request", (incoming: IncomingMessage, outgoing: MeteredResponse) => {
    deadlines.watch(outgoing);
    meter.watch(outgoing);
    if (crowd.turnsAway(incoming, outgoing)) return;
    if (crowd.isUrgent(incoming)) void listener(incoming, outgoing);
    else slices.take([incoming, outgoing]);
  });
  server.on("connection", () => slices.hurry());
  server.on("drop", () => void meter.droppedConnections++);
  server.on("clientError", (error: Error, socket: Socket) => {
    const status = answerBroken(error, socket, deadlines.answering(socket));
    if (status !== undefined) meter.count(undefined, status, 0);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      deadlines.stop();
      reject(listenError(error, hostname, port));
    });
    // As many may wait to be taken: whoever finds that queue full tries again after a second.
    server.listen(port, hostname, connectionsMax, resolve);
  });

  const taken = (server.address() as AddressInfo).port;
  return {
    meter,
    get connections() {
      return deadlines.connections;
    },
    port: taken,
    url: `${tls === undefined ? "http" : "https"}://${reachable(hostname)}:${taken}`,
    serve(app) {
      const { fetch, express } = app;
      const answer = adapted(fetch);
      const answerWith: AnswerWith = (incoming, outgoing, response) => void adapted(() => response)(incoming, outgoing);
      listener = (incoming, outgoing) => express?.(incoming, outgoing, answerWith) === true || answer(incoming, outgoing);
      for (const [incoming, outgoing] of early.splice(0)) void listener(incoming, outgoing);
    },
    renew(renewed) {
      assert(tls !== undefined, "only a server with TLS has a certificate to renew");
      (server as TlsServer).setSecureContext(secureContextOf(renewed));
    },
    async close(deadlineMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      // A connection whose request ends now would stay open for the next one.
      const sweep = setInterval(() => server.closeIdleConnections(), 20);
      const deadline = setTimeout(() => server.closeAllConnections(), deadlineMs);
      await closed;
      clearInterval(sweep);
      clearTimeout(deadline);
      deadlines.stop();
    },
  };
}

/** The library's way from Node's request to the app's answer, and back. */
function adapted(fetch: App["fetch"]): Listener {
  const errorHandler = () => refusal(400, "the request's line or its Host header is not valid");
  return getRequestListener((request, env) => fetch(request, env as unknown as Bindings), { errorHandler });
}

/** An interface as a URL names it; all interfaces are reached at the machine itself. */
function reachable(hostname: string): string {
  if (hostname === "0.0.0.0" || hostname === "::") return "localhost";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

function listenError(error: NodeJS.ErrnoException, hostname: string, port: number): ConcordError {
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: `port ${port} is taken already: stop the program that listens there, or choose another port`,
    EACCES: `port ${port} may not be used by this user: choose one over 1023`,
    EADDRNOTAVAIL: `${hostname} is not an address of this machine`,
    ENOTFOUND: `${hostname} is not an address of this machine`,
  };
  return new ConcordError("invalid", why[error.code ?? ""] ?? `cannot listen on ${hostname}:${port}: ${error.message}`, { cause: error });
}
