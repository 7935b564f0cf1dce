/**
 * How a test starts Node: with what it compiled beforehand in `npm test`, which says so in TEST_BUILT (.ci/typescript.mjs), and straight
 * from the sources in `npx ava FILE`.
 */
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export const LOADER_URL = new URL("../../.ci/typescript.mjs", import.meta.url).href;

/** What node needs before a TypeScript file of the tests. */
export const LOADER = `--import=${LOADER_URL}`;

const built = process.env.TEST_BUILT;

/** The program, for a process whose folder is ROOT. */
export const MAIN: readonly string[] = built === undefined ? ["--import=tsx", "cmd/main.ts"] : [`${built}/cmd/main.js`];
