/** All routes under /v1, in the order in which the document lists them. */
import { createBatchRoute } from "./batch.ts";
import type { ModernDeps } from "./deps.ts";
import { createListRoute } from "./list.ts";
import { createReadRoute } from "./read.ts";
import type { Route } from "./route.ts";
import { createWatchRoute } from "./watch.ts";
import { createWriteRoutes } from "./write.ts";

export function createRoutes(deps: ModernDeps): readonly Route[] {
  return [createReadRoute(deps), ...createWriteRoutes(deps), createListRoute(deps), createBatchRoute(deps), createWatchRoute(deps)];
}
