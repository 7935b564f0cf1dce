/**
 * Leads a request under /v1, /openapi.json and /docs to its route, and turns what is thrown there into a problem.
 *
 * The routes, with the schema library and the document, are loaded by the first request that needs them: a node that is only asked by
 * its peers and by the base protocol never pays for them, and none waits for them when it starts.
 */
import type { Bindings, Handler } from "../request.ts";
import { parseTarget } from "../url.ts";
import type { ModernDeps } from "./deps.ts";
import { match } from "./match.ts";
import { Problem, problemAnswer, problemOf } from "./problem.ts";
import type { Route } from "./route.ts";

export function createModern(deps: ModernDeps): Handler {
  let loaded: readonly Route[] | undefined;
  let loading: Promise<readonly Route[]> | undefined;
  const load = async (): Promise<readonly Route[]> => (loaded = (await import("./routes.ts")).createRoutes(deps));
  const refuse = (error: unknown): Response => {
    const problem = problemOf(error);
    if (problem !== undefined) return problemAnswer(problem);
    deps.log.write(
      "error",
      `a request failed in a way that it should not: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
    return problemAnswer(new Problem("internal", "an internal error"));
  };

  return ({ env }) => {
    if (loaded === undefined) return (loading ??= load()).then((routes) => dispatch(routes, env)).catch(refuse);
    try {
      const answer = dispatch(loaded, env);
      return answer instanceof Promise ? answer.catch(refuse) : answer;
    } catch (error) {
      return refuse(error);
    }
  };
}

/** Throws Problem. */
function dispatch(routes: readonly Route[], bindings: Bindings): Response | Promise<Response> {
  const { incoming } = bindings;
  const target = parseTarget(incoming.url ?? "/");
  if (!target.ok) throw new Problem(target.status === 414 ? "url-too-long" : "invalid", target.problem, { field: "URL" });
  const asked = incoming.method === "HEAD" ? "GET" : incoming.method;
  const allowed = new Set<string>();
  for (const route of routes) {
    const found = match(route.path, target.segments);
    if (found === undefined) continue;
    if (route.method === asked) return route.handle(found.key, target.query, bindings);
    allowed.add(route.method);
    if (route.method === "GET") allowed.add("HEAD");
  }
  if (allowed.size === 0) throw new Problem("no-such-route", `there is nothing at /${target.segments.join("/")}`);
  const allow = [...allowed].join(", ");
  throw new Problem("wrong-method", `${incoming.method} is not a method of this path; it takes ${allow}`, { headers: { allow } });
}
