/**
 * Lets Node run the TypeScript of a clone: `node --import=./.ci/typescript.mjs FILE.ts`. For the tests and the processes that they start.
 *
 * By itself it is tsx. `npm test` has compiled everything while it checked the types, and says in TEST_BUILT where that lies: then the
 * modules come from there, which saves each of some five hundred processes half a second of processor time. The modules keep the names of
 * their sources, so that import.meta.url, and what ava reports, are the same either way.
 */
import { register } from "node:module";

const built = process.env.TEST_BUILT;
if (built === undefined) await import("tsx");
else {
  const root = new URL("../", import.meta.url);
  register("./typescript-hooks.mjs", import.meta.url, { data: { root: root.href, built: new URL(`${built}/`, root).href } });
  process.setSourceMapsEnabled(true);
}
