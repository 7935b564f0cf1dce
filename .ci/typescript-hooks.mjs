/** The hooks of typescript.mjs, which Node runs in a thread of their own: root/x.ts is what the compiler has made of it, built/x.js. */
import { readFile } from "node:fs/promises";

let root;
let built;

export function initialize(places) {
  ({ root, built } = places);
}

/** Inside of the sources, imports lead to sources; the compiler has written .js for their .ts. */
export function resolve(specifier, context, next) {
  if (!/^\.{1,2}\//.test(specifier) || !isSource(context.parentURL ?? "")) return next(specifier, context);
  return { url: new URL(specifier.replace(/\.js$/, ".ts"), context.parentURL).href, format: "module", shortCircuit: true };
}

export async function load(url, context, next) {
  if (!isSource(url)) return next(url, context);
  const source = await readFile(new URL(url.slice(root.length).replace(/\.ts$/, ".js"), built), "utf8");
  return { format: "module", source, shortCircuit: true };
}

function isSource(url) {
  return url.startsWith(root) && url.endsWith(".ts") && !url.includes("/node_modules/");
}
