/** All routes under /v1, in the order in which the document lists them, and the document itself. */
import { createBatchRoute } from "./batch.ts";
import { createConflictsRoute } from "./conflicts.ts";
import type { ModernDeps } from "./deps.ts";
import { DOCS_HEADERS, renderDocs } from "./docs.ts";
import { createIncrementRoute } from "./increment.ts";
import { createListRoute } from "./list.ts";
import { describeApi } from "./openapi.ts";
import { createReadRoute } from "./read.ts";
import { createRoute, type Route } from "./route.ts";
import { createWatchRoute } from "./watch.ts";
import { createWhyRoute } from "./why.ts";
import { createWriteRoutes } from "./write.ts";

export function createRoutes(deps: ModernDeps): readonly Route[] {
  const routes: Route[] = [createReadRoute(deps), ...createWriteRoutes(deps), createListRoute(deps), createBatchRoute(deps)];
  routes.push(createIncrementRoute(deps), createConflictsRoute(deps), createWhyRoute(deps), createWatchRoute(deps));
  const document = once(() => describeApi(routes, deps.version));
  const page = (path: string, summary: string, type: string, headers: Record<string, string>, make: () => string): Route =>
    createRoute({
      method: "GET",
      path,
      summary,
      query: {},
      headers: {},
      answers: { 200: { description: "The document.", content: { [type]: undefined } } },
      problems: [],
      example: `curl localhost:8001${path}`,
      handle: () => new Response(make(), { headers }),
    });
  const json = once(() => JSON.stringify(document()));
  const html = once(() => renderDocs(document()));
  routes.push(
    page("/openapi.json", "This API as an OpenAPI document", "application/json", { "content-type": "application/json" }, json),
    page("/docs", "This API as a page for people", "text/html", DOCS_HEADERS, html),
  );
  return routes;
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
