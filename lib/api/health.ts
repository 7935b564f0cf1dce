/**
 * The routes for whoever watches over the node: is it alive, may it be given requests, and how is it doing.
 *
 * A node whose data is still being opened has no app yet. It answers the first two all the same (http.ts), because whoever starts it
 * would otherwise take it for hung and start it again.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { json, refusal, RETRY } from "./answer.ts";
import { pathOf, type Handler } from "./request.ts";

export interface Health {
  /** Why no client should be sent here; undefined when the node is ready. */
  notReady(): string | undefined;
  /** All metrics, in the text form of Prometheus. */
  metrics(): Promise<MetricsText>;
}

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** It answers, so it is: whether it can serve is another question. */
const ALIVE = '{"alive":true}';

const READY = '{"ready":true}';

export function createHealthRoutes(health: Health): Readonly<Record<string, Handler>> {
  return {
    "/livez": () => json(ALIVE),
    "/readyz": () => {
      const why = health.notReady();
      return why === undefined ? json(READY) : refusal(503, notReady(why), RETRY);
    },
    "/metrics": async () => {
      const { text, contentType } = await health.metrics();
      return new Response(text, { headers: { "content-type": contentType } });
    },
  };
}

function notReady(why: string): string {
  return `not ready: ${why}`;
}

/** Before there is an app. Returns false for what has to wait for it. */
export function answerEarly(incoming: IncomingMessage, outgoing: ServerResponse): boolean {
  const path = pathOf(incoming);
  if (path !== "/livez" && path !== "/readyz") return false;
  const isLive = path === "/livez";
  const body = isLive ? ALIVE : JSON.stringify({ error: notReady("the data is being opened") });
  outgoing.writeHead(isLive ? 200 : 503, { "content-type": "application/json", ...(isLive ? {} : RETRY) }).end(body);
  return true;
}
