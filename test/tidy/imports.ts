/**
 * Who may import whom. The table below is the architecture: the values of core know nobody, and only the composition roots
 * (serve, sim, cmd) know everybody. A type-only import counts like any other: to name a thing is to know it.
 */
import { isBuiltin } from "node:module";
import { importsOf, type Finding, type Import, type Source } from "./source.ts";

interface Layer {
  /** Layers, or single files of a layer, that this one may import, besides itself. */
  readonly from: readonly string[];
  /** The same, but for types alone. */
  readonly typesFrom?: readonly string[];
  /** Whether it may use modules of Node, or which of its files may use which. */
  readonly node: boolean | Readonly<Record<string, readonly string[]>>;
}

/** A layer is the first name below lib, file or folder ("lib/node.ts" and "lib/node/inbox.ts" are both `node`), or cmd. */
const layers: Readonly<Record<string, Layer>> = {
  core: { from: [], node: { "lib/core/digest.ts": ["node:crypto"], "lib/core/frame.ts": ["node:zlib"] } },
  repair: { from: ["core"], node: false },
  peers: { from: ["core"], node: false },
  replica: { from: ["core", "repair", "peers"], node: false },
  node: { from: ["core", "replica"], node: false },
  auth: { from: ["core"], node: true },
  storage: { from: ["core"], node: true },
  transport: { from: ["core", "auth"], node: true },
  runtime: { from: ["core"], node: true },
  api: { from: ["core", "auth"], node: true },
  config: { from: ["core"], typesFrom: ["replica"], node: true },
  client: { from: ["core", "auth"], node: true },
  // Runs in browsers too.
  connect: { from: ["lib/client/events.ts"], node: false },
  adapters: { from: ["connect"], node: false },
  serve: {
    from: ["core", "repair", "peers", "replica", "node", "storage", "auth", "transport", "runtime", "api", "config", "client"],
    node: true,
  },
  sim: { from: ["core", "replica", "node", "config"], typesFrom: ["repair", "peers"], node: false },
  index: { from: ["core", "replica", "node", "storage", "transport", "runtime", "api", "config", "client", "serve"], node: false },
  cmd: { from: ["serve", "client", "auth", "config", "sim", "lib/core/errors.ts", "lib/core/policy/names.ts"], node: true },
};

/**
 * Each library's home. A file: only that one may import it, so that replacing the library means rewriting one file. A folder: its
 * files share the library's idiom (routes, commands). A library without a line here may not be imported by lib or cmd.
 */
export const libraries: Readonly<Record<string, string>> = {
  "@hono/node-server": "lib/api/http.ts",
  "@peculiar/x509": "lib/auth/certificates.ts",
  "@valibot/to-json-schema": "lib/api/v1/openapi.ts",
  citty: "cmd/",
  consola: "lib/runtime/log.ts",
  hono: "lib/api/",
  lmdb: "lib/storage/lmdb.ts",
  "node-cron": "lib/runtime/cron.ts",
  "object-hash": "lib/core/digest.ts",
  "prom-client": "lib/runtime/metrics.ts",
  undici: "lib/transport/http.ts",
  valibot: "lib/api/v1/",
};

/** Imports of lib and cmd that the table does not allow. */
export function checkImports(sources: readonly Source[]): Finding[] {
  return sources.flatMap((source) => {
    const name = layerOf(source.path);
    const layer = name === undefined ? undefined : layers[name];
    if (name === undefined || layer === undefined) {
      return [{ path: source.path, message: `belongs to no layer: give it a line in the table of test/tidy/imports.ts` }];
    }
    return importsOf(source).flatMap((imported) => {
      const message = refuse(source.path, name, layer, imported);
      return message === undefined ? [] : [{ path: source.path, line: imported.line, message }];
    });
  });
}

/** What the package exports, and the program. */
const roots: readonly string[] = ["lib/index.ts", "lib/connect.ts", "lib/adapters/keyv.ts", "lib/adapters/unstorage.ts", "cmd/main.ts"];

/** Cycles of imports, each once, at its first file by name. */
export function checkCycles(sources: readonly Source[]): Finding[] {
  const edges = new Map(sources.map((source) => [source.path, pathsImportedBy(source)]));
  const findings: Finding[] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const walk = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) findings.push(describeCycle(trail.slice(start)));
    if (start >= 0 || finished.has(path)) return;
    trail.push(path);
    for (const next of edges.get(path) ?? []) walk(next);
    trail.pop();
    finished.add(path);
  };
  for (const path of [...edges.keys()].sort()) walk(path);
  return findings;
}

/**
 * Files of lib that nothing needs. What is reachable from a root, an example or a test is alive, except that a file's
 * own test does not keep it alive: code that only its test calls is dead code with a test. Judged only once both roots exist.
 */
export function checkDeadFiles(sources: readonly Source[]): Finding[] {
  const edges = new Map(sources.map((source) => [source.path, pathsImportedBy(source)]));
  if (!edges.has("lib/index.ts") || !edges.has("cmd/main.ts")) return [];
  const alive = [...edges.keys()].filter((path) => roots.includes(path) || path.startsWith("examples/") || path.endsWith(".test.ts"));
  return [...edges.keys()]
    .filter((path) => path.startsWith("lib/") && !reach(alive, path, edges))
    .map((path) => ({ path, message: "nothing but its own test needs this file: use it or remove it" }));
}

function refuse(path: string, name: string, layer: Layer, imported: Import): string | undefined {
  if (imported.path !== undefined) return refuseFile(name, layer, imported.path, imported.typeOnly);
  if (isBuiltin(imported.specifier)) return refuseBuiltin(path, name, layer, imported.specifier);
  const library = imported.specifier.split("/", imported.specifier.startsWith("@") ? 2 : 1).join("/");
  const home = libraries[library];
  if (home === undefined) return `imports ${library}, which has no home: give it a line in test/tidy/imports.ts, or do without`;
  const atHome = home.endsWith("/") ? path.startsWith(home) : path === home;
  return atHome ? undefined : `imports ${library}, which only ${home} may import`;
}

function refuseFile(name: string, layer: Layer, target: string, typeOnly: boolean): string | undefined {
  const other = layerOf(target);
  if (other === name) return undefined;
  const allowed = typeOnly ? [...layer.from, ...(layer.typesFrom ?? [])] : layer.from;
  if (allowed.includes(target) || (other !== undefined && allowed.includes(other))) return undefined;
  const list = [name === "cmd" ? "itself" : `${name} itself`, ...allowed].join(", ");
  return `${name} may not import ${target}: it may import ${list}`;
}

function refuseBuiltin(path: string, name: string, layer: Layer, specifier: string): string | undefined {
  if (!specifier.startsWith("node:")) return `imports ${specifier}: write node:${specifier}`;
  if (layer.node === true) return undefined;
  if (layer.node !== false && layer.node[path]?.includes(specifier) === true) return undefined;
  return `imports ${specifier}: ${name} touches the world only through the ports of lib/core/ports.ts`;
}

function layerOf(path: string): string | undefined {
  const [top, first] = path.split("/");
  if (top === "cmd") return "cmd";
  return top === "lib" ? first?.replace(/\.ts$/, "") : undefined;
}

function pathsImportedBy(source: Source): string[] {
  return importsOf(source).flatMap(({ path, specifier }) => path ?? (specifier === "concord" ? ["lib/index.ts"] : []));
}

function describeCycle(cycle: readonly string[]): Finding {
  const first = cycle.indexOf([...cycle].sort()[0] ?? "");
  const turned = [...cycle.slice(first), ...cycle.slice(0, first)];
  return { path: turned[0] ?? "", message: `imports itself: ${[...turned, turned[0]].join(" → ")}` };
}

function reach(starts: readonly string[], target: string, edges: ReadonlyMap<string, readonly string[]>): boolean {
  const seen = new Set(starts.filter((root) => !isOwnTest(root, target)));
  for (const path of seen) {
    if (path === target) return true;
    for (const next of edges.get(path) ?? []) if (!isOwnTest(next, target)) seen.add(next);
  }
  return false;
}

/** test/core/dot.test.ts and test/core/dot.laws.test.ts are the own tests of lib/core/dot.ts. */
function isOwnTest(test: string, path: string): boolean {
  const stem = path.replace(/^lib\//, "test/").replace(/\.ts$/, "");
  return test.startsWith(`${stem}.`) || test.startsWith(`${stem}-`);
}
