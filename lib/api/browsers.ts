/**
 * Pages in browsers, which may be anybody's.
 *
 * A browser lets every page send requests to every address, those of the user's own machine included, and asks the server only before it
 * shows the page the answer, or sends what a form could not. A node that trusts its own machine would so be written to by any page that
 * its user looks at: a POST of text needs nobody's leave. But the browser says from where the page is, in Origin. So a request with an
 * Origin is refused unless it is the node's own or one of those that the node was told to allow; programs send none.
 *
 * A page can also come from a name that its owner makes lead to 127.0.0.1 after the page was loaded ("DNS rebinding"): then its Origin is
 * the node's own by all appearance. It betrays itself by that name in Host: what comes from the node's own machine, and is trusted for
 * that, must use one that is known to lead here.
 *
 * For the origins that are allowed this speaks CORS (the Fetch standard, section 3.3): what may be sent, and which headers may be read.
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { isLoopback } from "../auth/loopback.ts";
import type { App } from "./app.ts";
import { CLOSE } from "./answer.ts";
import { pathOf } from "./request.ts";
import { refusalAt } from "./v1/problem.ts";

export interface BrowsersOptions {
  /** Origins whose pages may use this node, such as https://app.example.com. */
  readonly allowed: readonly string[];
  /** Clients on this machine are trusted because they are there. */
  readonly trustsOwnMachine: boolean;
  /** The URL under which this node is known. */
  readonly address: string;
}

const PREFLIGHT = {
  "access-control-allow-methods": "GET, HEAD, PUT, POST, DELETE",
  "access-control-allow-headers": "authorization, content-type, concord-token, if-match, if-none-match, last-event-id",
  // Two hours, in seconds: Chromium keeps it no longer.
  "access-control-max-age": "7200",
} as const;

const READABLE = "etag, retry-after, concord-token, concord-siblings, concord-expires-in";

export function guardBrowsers(app: App, options: BrowsersOptions): App {
  const allowed = new Set(options.allowed);
  const known = new Set(["localhost", new URL(options.address).hostname]);
  /** Nearly all requests of a node come by one name, which is looked at once. */
  let lastGood: string | undefined;

  const fetch: App["fetch"] = (request, env) => {
    const { incoming } = env;
    const { host, origin } = sentBy(incoming);
    if (host !== undefined && host !== lastGood) {
      if (leadsHere(host, known)) lastGood = host;
      else if (options.trustsOwnMachine && isOnThisMachine(incoming)) return refuse(incoming, strangeName(host));
    }
    if (origin === undefined || isOwn(origin, host)) return app.fetch(request, env);
    if (!allowed.has(origin)) return refuse(incoming, strangePage(origin));
    const answer = isPreflight(incoming) ? new Response(null, { status: 204, headers: PREFLIGHT }) : app.fetch(request, env);
    return answer instanceof Promise ? answer.then((given) => openTo(origin, given)) : openTo(origin, answer);
  };
  const { express } = app;
  if (express === undefined) return { fetch, express };
  return {
    fetch,
    express(incoming, outgoing, answerWith) {
      const { host, origin } = sentBy(incoming);
      return origin === undefined && host !== undefined && host === lastGood && express(incoming, outgoing, answerWith);
    },
  };
}

/** Looked for in the raw list: the parsed headers are not made for requests of which nobody asks them. */
function sentBy({ rawHeaders }: IncomingMessage): { readonly host: string | undefined; readonly origin: string | undefined } {
  let host: string | undefined;
  let origin: string | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length === 4 && name.toLowerCase() === "host") host ??= rawHeaders[i + 1];
    else if (name.length === 6 && name.toLowerCase() === "origin") origin ??= rawHeaders[i + 1];
  }
  return { host, origin };
}

/** Browsers leave the usual port away in both. */
function isOwn(origin: string, host: string | undefined): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

function leadsHere(host: string, known: ReadonlySet<string>): boolean {
  const name = host.replace(/:\d*$/, "").toLowerCase();
  return known.has(name) || /^[\w.-]+\.localhost$/.test(name) || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
}

/** Those elsewhere are not trusted for where they are. */
function isOnThisMachine({ socket }: IncomingMessage): boolean {
  return isLoopback((socket.remoteAddress ?? "").replace(/^::ffff:/, ""));
}

function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === "OPTIONS" && headers["access-control-request-method"] !== undefined;
}

function openTo(origin: string, answer: Response): Response {
  const { headers } = answer;
  headers.set("access-control-allow-origin", origin);
  headers.set("access-control-expose-headers", READABLE);
  headers.append("vary", "Origin");
  return answer;
}

/** What follows on the connection may be a body that nobody reads. */
function refuse(incoming: IncomingMessage, problem: string): Response {
  return refusalAt(pathOf(incoming), 403, problem, CLOSE);
}

function strangePage(origin: string): string {
  return `pages of ${JSON.stringify(origin)} may not use this node: start it with --allow-origin, or createNode with allowOrigins`;
}

function strangeName(host: string): string {
  return `this node is not known as ${JSON.stringify(host)}: use localhost, an IP address, or the name that it was given with --address`;
}
