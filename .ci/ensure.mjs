/**
 * Installs the dependencies when they are missing or not those of package-lock.json, and otherwise does nothing, in a few
 * milliseconds. Plain Node on purpose: it runs before there is a node_modules.
 *
 * It compares versions, not file times: git and npm write the two lock files in either order, so times would install
 * again for nothing. Install scripts stay off: lmdb and esbuild bring prebuilt binaries, and our own `prepare` would build
 * a dist/ that neither the tests nor `npm start` use.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Returns true when everything is in place, also if that took an install. npm's output goes to standard error. */
export function ensureInstalled() {
  const missing = firstMissing();
  if (missing === undefined) return true;
  console.error(`installing dependencies (${missing})`);
  const command = existsSync(join(root, "node_modules")) ? "install" : "ci";
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const result = spawnSync("npm", [command, ...flags], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (result.status === 0) return true;
  console.error(`npm ${command} failed: ${result.error?.message ?? `exit code ${result.status}`}`);
  return false;
}

/** What makes an install necessary, in words, or undefined. */
function firstMissing() {
  const installed = readPackages("node_modules/.package-lock.json");
  if (installed === undefined) return "first run";
  const locked = readPackages("package-lock.json");
  if (locked === undefined) return "no package-lock.json";
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    if (installed[`node_modules/${name}`] === undefined) return `${name} is missing`;
  }
  for (const [path, { version, optional, devOptional, peer }] of Object.entries(locked)) {
    if (path === "") continue;
    const present = installed[path];
    if (present === undefined && (optional || devOptional || peer)) continue; // another platform's binary
    if (present?.version !== version) return `${path} is ${present?.version ?? "missing"}, not ${version}`;
  }
  return undefined;
}

function readPackages(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return undefined;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exitCode = ensureInstalled() ? 0 : 1;
}
