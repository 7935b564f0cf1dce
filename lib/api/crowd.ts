/**
 * More clients than a node serves at once. Each connection has one request under way, so the number of connections is the length of the
 * queue: up to `servedMax` they wait their turn, and those beyond are told to come back later, before anything is done for them. Closed
 * without a word they would try again at once. Peers, pings and the questions of whoever watches over the node are answered all the same.
 */
import type { IncomingMessage } from "node:http";
import type { Server, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import { CLOSE, RETRY } from "./answer.ts";
import type { MeteredResponse } from "./meter.ts";
import { pathOf } from "./request.ts";
import { Problem, PROBLEM_TYPE, problemText } from "./v1/problem.ts";

export interface Crowd {
  /** It is answered at once, however many others wait. */
  isUrgent(incoming: IncomingMessage): boolean;
  /** Returns true when it has answered. */
  turnsAway(incoming: IncomingMessage, outgoing: MeteredResponse): boolean;
}

const URGENT: ReadonlySet<string> = new Set(["/ping", "/health", "/livez", "/readyz", "/metrics", "/status", "/peer"]);

const WHY = "too many connections; try again";
const BUSY = busy("application/json", JSON.stringify({ error: WHY }));
const BUSY_UNDER_V1 = busy(PROBLEM_TYPE, problemText(new Problem("overloaded", WHY)));

function busy(type: string, text: string) {
  return { text, headers: { "content-type": type, "content-length": String(text.length), ...RETRY, ...CLOSE } } as const;
}

export function createCrowd(server: Server, connections: () => number, servedMax: number): Crowd {
  const late = new WeakSet<Socket>();
  server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
    if (connections() > servedMax) late.add(socket);
  });
  const isUrgent = (incoming: IncomingMessage): boolean => URGENT.has(pathOf(incoming));
  return {
    isUrgent,
    turnsAway(incoming, outgoing) {
      if (connections() <= servedMax || !late.has(incoming.socket) || isUrgent(incoming)) return false;
      const { text, headers } = pathOf(incoming).startsWith("/v1/") ? BUSY_UNDER_V1 : BUSY;
      outgoing.writeHead(503, headers).end(text);
      return true;
    },
  };
}
