/** The client runs in browsers: nothing that it imports, however deep, is a module of Node or a package, and no global is Node's own. */
import test from "ava";
import ts from "typescript";
import { createSource, importsOf, visit, type Source } from "../tidy/source.ts";
import { readText } from "../tidy/tree.ts";

/** Names that Node has and browsers do not. */
const OF_NODE = new Set(["Buffer", "process", "global", "require", "setImmediate", "clearImmediate", "__dirname", "__filename"]);

function graphOf(root: string): Source[] {
  const sources = new Map<string, Source>();
  const walk = (path: string): void => {
    if (sources.has(path)) return;
    const source = createSource(path, readText(path));
    sources.set(path, source);
    for (const { path: next } of importsOf(source)) if (next !== undefined) walk(next);
  };
  walk(root);
  return [...sources.values()];
}

function globalsIn(source: Source): string[] {
  const names: string[] = [];
  visit(source.tree, (node) => {
    if (!ts.isIdentifier(node) || !OF_NODE.has(node.text)) return;
    const { parent } = node;
    if (ts.isPropertyAccessExpression(parent) && parent.name === node) return;
    names.push(node.text);
  });
  return names;
}

test("the client's modules import only each other, and use no global of Node's", (t) => {
  const graph = graphOf("lib/connect.ts");
  t.true(graph.length > 8);
  const foreign = graph.flatMap((source) =>
    importsOf(source)
      .filter(({ path }) => path === undefined)
      .map(({ specifier }) => `${source.path}: ${specifier}`),
  );
  t.deepEqual(foreign, []);
  t.deepEqual(
    graph.flatMap((source) => globalsIn(source).map((name) => `${source.path}: ${name}`)),
    [],
  );
});

test("the walk finds what it looks for", (t) => {
  const server = graphOf("lib/client.ts");
  t.true(server.some((source) => importsOf(source).some(({ specifier }) => specifier === "node:http")));
  t.deepEqual(globalsIn(createSource("a.ts", 'const a = Buffer.from("a"); x.process; // require\n')), ["Buffer"]);
});
