/**
 * Counts what the HTTP server does: requests by route and class of status, how long they took, and what was refused, by reason.
 *
 * Plain numbers, found through the response itself: a metrics library takes a microsecond for each request, to build names out of
 * labels that are always the same. The library only sees these numbers when somebody asks for them (runtime/metrics.ts).
 */
import { ServerResponse, type IncomingMessage } from "node:http";

/** Upper bounds in seconds: from a read out of memory to the longest that a request may take (http.ts). */
export const LATENCY_BOUNDS_S: readonly number[] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Requests by the first digit of their status; at 0 those whose client went away before the answer was sent. */
type StatusClasses = [number, number, number, number, number, number];

export class RouteMeter {
  readonly method: string;
  readonly path: string;
  readonly classes: StatusClasses = [0, 0, 0, 0, 0, 0];
  /** For each bound the requests that took no longer, but longer than the bound before; the last are those above all. */
  readonly buckets: number[] = new Array<number>(LATENCY_BOUNDS_S.length + 1).fill(0);
  seconds = 0;

  constructor(method: string, path: string) {
    this.method = method;
    this.path = path;
  }

  count(status: number, seconds: number): void {
    this.classes[Math.floor(status / 100) as 0]++;
    this.seconds += seconds;
    let at = 0;
    while (at < LATENCY_BOUNDS_S.length && seconds > LATENCY_BOUNDS_S[at]!) at++;
    this.buckets[at]!++;
  }
}

/** What a status says of the input, in a word. A key that is not there is no input that was refused. */
const REASONS: Readonly<Record<number, string>> = {
  400: "malformed",
  401: "unauthorized",
  403: "forbidden",
  405: "method",
  408: "slow",
  413: "too-large",
  414: "url-too-long",
  415: "media-type",
  417: "expectation",
  431: "headers-too-large",
  503: "overloaded",
  507: "disk-full",
};

export class Meter {
  /** One for each route, and first the one for what has none. */
  readonly routes: RouteMeter[] = [new RouteMeter("", "")];
  readonly #refused = new Map<string, number>();
  /** Connections that were closed without a word, because there were too many. */
  droppedConnections = 0;

  get other(): RouteMeter {
    return this.routes[0]!;
  }

  route(method: string, path: string): RouteMeter {
    const route = new RouteMeter(method, path);
    this.routes.push(route);
    return route;
  }

  #refuse(status: number): void {
    const reason = REASONS[status];
    if (reason !== undefined) this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1);
  }

  /** By reason, those that have occurred. */
  get refused(): ReadonlyMap<string, number> {
    return this.#refused;
  }

  /** A request of this route was answered; 0 stands for one whose client went away before. */
  count(route: RouteMeter | undefined, status: number, seconds: number): void {
    (route ?? this.other).count(status, seconds);
    // That it is not ready is what /readyz was asked for.
    if (status >= 400 && route?.path !== "/readyz") this.#refuse(status);
  }

  /** From now to the end of the response. */
  watch(outgoing: MeteredResponse): void {
    outgoing.meter = this;
    outgoing.startedMs = performance.now();
    outgoing.on("close", onClose);
  }
}

/** A response that knows what it is counted as: the route's handler tells it. */
export interface Routed {
  route?: RouteMeter | undefined;
}

/** Those of a server of ours. */
export class MeteredResponse extends ServerResponse<IncomingMessage> implements Routed {
  meter: Meter | undefined = undefined;
  route: RouteMeter | undefined = undefined;
  startedMs = 0;
}

/** One function for all responses: no closure for each. */
function onClose(this: MeteredResponse): void {
  const { meter, route, startedMs, statusCode } = this;
  meter?.count(route, this.writableFinished ? statusCode : 0, (performance.now() - startedMs) / 1000);
}
