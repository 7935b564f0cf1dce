/**
 * The house rules, held by machine: first each rule against the project, then each rule against planted examples, so that a rule
 * that has stopped finding anything is noticed.
 */
import test from "ava";
import { checkFileSize, checkFunctionSize, checkGlobals, checkHeadComment, checkMarks, checkTests } from "./tidy/code.ts";
import { checkCycles, checkDeadFiles, checkImports, libraries } from "./tidy/imports.ts";
import { createSource, importsOf, show, type Finding, type Source } from "./tidy/source.ts";
import { checkTopLevel } from "./tidy/top.ts";
import { listFiles, readSources, readText, readTopLevel } from "./tidy/tree.ts";

const product = readSources(["cmd", "lib"]);
const everything = [...product, ...readSources(["test", "examples"])];

test("the project: every import is one that the table allows", (t) => {
  t.deepEqual(show(checkImports(product)), []);
});

test("the project: no import cycles", (t) => {
  t.deepEqual(show(checkCycles(everything)), []);
});

test("the project: no dead files", (t) => {
  t.deepEqual(show(checkDeadFiles(everything)), []);
});

test("the project: what is simulated touches no clock, dice, timer, network or process", (t) => {
  t.deepEqual(show(product.flatMap(checkGlobals)), []);
});

test("the project: files and functions are short", (t) => {
  t.deepEqual(show([...product.flatMap(checkFileSize), ...product.flatMap(checkFunctionSize)]), []);
});

test("the project: every file of lib and cmd opens with its head comment", (t) => {
  t.deepEqual(show(product.flatMap(checkHeadComment)), []);
});

test("the project: no marks of unfinished work", (t) => {
  const texts = ["cmd", "lib", "test", "examples", ".ci"].flatMap(listFiles).filter((path) => /\.(ts|mjs|md|sh)$/.test(path));
  t.deepEqual(show(texts.flatMap((path) => checkMarks(path, readText(path)))), []);
});

test("the project: every test runs, and can fail", (t) => {
  t.deepEqual(show(everything.flatMap(checkTests)), []);
});

test("the project: the top level holds only what belongs there", (t) => {
  t.deepEqual(show(checkTopLevel(readTopLevel())), []);
});

test("the project: every library with a home is a dependency", (t) => {
  const { dependencies } = JSON.parse(readText("package.json")) as { dependencies: Record<string, string> };
  t.deepEqual(
    Object.keys(libraries).filter((name) => dependencies[name] === undefined),
    [],
  );
});

// Planted examples.

const plant = (path: string, ...lines: string[]): Source => createSource(path, lines.join("\n"));
const messages = (findings: readonly Finding[]): string[] => findings.map(({ message }) => message);

test("imports: all their forms are seen", (t) => {
  const source = plant(
    "lib/core/a.ts",
    'import { b } from "./b.ts";',
    'import type { C } from "../repair/c.ts";',
    'export * from "./d.ts";',
    'type E = import("./e.ts").E;',
    'const f = await import("node:fs");',
    'const child = new URL("./child.ts", import.meta.url);',
    '// import "./comment.ts"',
    "const text = 'import \"./string.ts\"';",
  );
  t.deepEqual(
    importsOf(source).map(({ specifier, path, typeOnly, line }) => [specifier, path, typeOnly, line]),
    [
      ["./b.ts", "lib/core/b.ts", false, 1],
      ["../repair/c.ts", "lib/repair/c.ts", true, 2],
      ["./d.ts", "lib/core/d.ts", false, 3],
      ["./e.ts", "lib/core/e.ts", true, 4],
      ["node:fs", undefined, false, 5],
      ["./child.ts", "lib/core/child.ts", false, 6],
    ],
  );
});

const refusedImports: readonly (readonly [path: string, code: string, message: RegExp])[] = [
  ["lib/core/a.ts", 'import "../repair/delta.ts";', /^core may not import lib\/repair\/delta\.ts: it may import core itself$/],
  ["lib/core/a.ts", 'import type { X } from "../node.ts";', /^core may not import lib\/node\.ts/],
  ["lib/core/a.ts", 'import "node:crypto";', /only through the ports/],
  ["lib/core/digest.ts", 'import "node:fs";', /only through the ports/],
  ["lib/core/codec.ts", 'import "object-hash";', /only lib\/core\/digest\.ts may import/],
  ["lib/repair/a.ts", 'import "../peers/member.ts";', /^repair may not import/],
  ["lib/peers/a.ts", 'import "../repair/push.ts";', /^peers may not import/],
  ["lib/replica.ts", 'import "./node.ts";', /^replica may not import/],
  ["lib/node.ts", 'import "./storage/memory.ts";', /^node may not import/],
  ["lib/storage/a.ts", 'import "../transport/http.ts";', /^storage may not import/],
  ["lib/storage/memory.ts", 'import "lmdb";', /only lib\/storage\/lmdb\.ts may import/],
  ["lib/storage/lmdb.ts", 'import "fs";', /write node:fs/],
  ["lib/api/kv.ts", 'import "@hono/node-server/conninfo";', /^imports @hono\/node-server, which only lib\/api\/http\.ts/],
  ["lib/api/kv.ts", 'import "../replica.ts";', /^api may not import/],
  ["lib/serve.ts", 'import "./sim/cluster.ts";', /^serve may not import/],
  ["lib/index.ts", 'export * from "./sim/cluster.ts";', /^index may not import/],
  ["lib/sim/a.ts", 'import "../storage/memory.ts";', /^sim may not import/],
  ["lib/sim/a.ts", 'import { x } from "../repair/delta.ts";', /^sim may not import/],
  ["lib/client.ts", 'import "left-pad";', /no home/],
  ["cmd/kv.ts", 'import "../lib/core/kv.ts";', /^cmd may not import lib\/core\/kv\.ts: .*lib\/core\/errors\.ts/],
  ["cmd/kv.ts", 'import "../test/tidy/tree.ts";', /^cmd may not import/],
  ["lib/extras/a.ts", "", /belongs to no layer/],
];

for (const [path, code, message] of refusedImports) {
  test(`imports: refused: ${path}: ${code}`, (t) => {
    const [finding, ...rest] = messages(checkImports([plant(path, code)]));
    t.regex(finding ?? "", message);
    t.deepEqual(rest, []);
  });
}

test("imports: what the table allows is not refused", (t) => {
  const sources = [
    plant("lib/core/digest.ts", 'import "node:crypto"; import "object-hash"; import "./dot.ts";'),
    plant("lib/replica.ts", 'import "./core/dot.ts"; import "./repair/delta.ts"; import "./peers/member.ts";'),
    plant("lib/node.ts", 'import "./replica.ts"; import "./core/ports.ts";'),
    plant("lib/storage/lmdb.ts", 'import "lmdb"; import "node:fs"; import "../core/ports.ts";'),
    plant("lib/api/routes/kv.ts", 'import "hono/cors"; import "../../core/kv.ts";'),
    plant("lib/sim/cluster.ts", 'import "../node.ts"; import type { X } from "../repair/delta.ts";'),
    plant("cmd/serve.ts", 'import "citty"; import "../lib/serve.ts"; import "../lib/core/errors.ts"; import "./flags.ts";'),
  ];
  t.deepEqual(show(checkImports(sources)), []);
});

test("cycles: found once, wherever the walk begins", (t) => {
  const sources = [
    plant("lib/core/z.ts", 'import "./c.ts";'),
    plant("lib/core/c.ts", 'import "./a.ts";'),
    plant("lib/core/b.ts", 'import type { C } from "./c.ts";'),
    plant("lib/core/a.ts", 'import "./b.ts"; import "./leaf.ts";'),
    plant("lib/core/leaf.ts"),
  ];
  t.deepEqual(show(checkCycles(sources)), ["lib/core/a.ts imports itself: lib/core/a.ts → lib/core/b.ts → lib/core/c.ts → lib/core/a.ts"]);
  t.deepEqual(checkCycles(sources.slice(0, 2)), []);
});

test("dead files: only its own test is not enough; another's test, an example or a root is", (t) => {
  const sources = [
    plant("lib/index.ts", 'export * from "./core/used.ts";'),
    plant("cmd/main.ts", 'await import("./simulate.ts");'),
    plant("cmd/simulate.ts", 'import "../lib/sim/cluster.ts";'),
    plant("lib/sim/cluster.ts"),
    plant("lib/core/used.ts", 'import "./deep.ts";'),
    plant("lib/core/deep.ts"),
    plant("lib/core/dead.ts"),
    plant("test/core/dead.test.ts", 'import "../../lib/core/dead.ts"; import "../../lib/core/tested.ts";'),
    plant("test/core/dead.laws.test.ts", 'import "../../lib/core/dead.ts";'),
    plant("lib/core/tested.ts"),
    plant("lib/core/taught.ts"),
    plant("examples/01/main.ts", 'import "../../lib/core/taught.ts"; import "concord";'),
    plant("lib/core/orphan.ts"),
  ];
  t.deepEqual(
    checkDeadFiles(sources).map(({ path }) => path),
    ["lib/core/dead.ts", "lib/core/orphan.ts"],
  );
  t.deepEqual(checkDeadFiles(sources.slice(1)), [], "without its roots, a tree that is still growing is not judged");
});

test("globals: found where they are used, with what to use instead", (t) => {
  const source = plant(
    "lib/core/a.ts",
    "const a = Date.now();",
    "const b = Math.random();",
    "setTimeout(f, 1); setInterval(f, 1);",
    "await fetch(`http://${process.env.HOST}`);",
    "crypto.randomUUID(); randomUUID();",
    'names.sort((x, y) => x.localeCompare(y) || "a"["length"]);',
    "globalThis.f(performance.now(), new Date());",
  );
  t.deepEqual(
    checkGlobals(source).map(({ line, message }) => `${line} ${message.replace(/:.*/, "")}`),
    [
      ...["1 uses Date", "2 uses Math.random", "3 uses setTimeout", "3 uses setInterval", "4 uses fetch", "4 uses process"],
      ...["5 uses crypto", "5 uses randomUUID", "5 uses randomUUID", "6 uses localeCompare"],
      ...["7 uses globalThis", "7 uses performance", "7 uses Date"],
    ],
  );
  t.regex(messages(checkGlobals(source))[0] ?? "", /take a Clock/);
});

test("globals: comments, strings and members of the same name are no use of them", (t) => {
  const source = plant(
    "lib/replica.ts",
    "/** Never Date.now(); see process. */",
    'const a = "setTimeout"; // fetch',
    "const b = { fetch: 1, process() {} }; b.fetch; b.process();",
    "interface C { readonly process: number; fetch(): void }",
    "const { fetch: wanted } = b; Math.max(1, 2);",
  );
  t.deepEqual(show(checkGlobals(source)), []);
});

test("globals: the rule covers what is simulated, and nothing else", (t) => {
  const uses = (path: string): number => checkGlobals(plant(path, "Date.now();")).length;
  const covered = ["lib/core/a.ts", "lib/repair/a.ts", "lib/peers/a.ts", "lib/replica.ts", "lib/node.ts", "lib/sim/a.ts"];
  t.deepEqual(
    covered.filter((path) => uses(path) === 0),
    [],
  );
  t.deepEqual(
    ["lib/runtime/clock.ts", "lib/serve.ts", "lib/nodes.ts", "cmd/main.ts"].filter((path) => uses(path) > 0),
    [],
  );
});

const lines = (count: number): string[] => Array.from({ length: count }, (_, index) => `  f(${index});`);

test("sizes: 300 lines in a file, not 301", (t) => {
  t.deepEqual(checkFileSize(plant("lib/a.ts", ...lines(300), "")), []);
  t.regex(messages(checkFileSize(plant("lib/a.ts", ...lines(301))))[0] ?? "", /has 301 lines/);
});

test("sizes: 70 lines in a function, not 71, of whatever form", (t) => {
  t.deepEqual(checkFunctionSize(plant("lib/a.ts", "function f() {", ...lines(68), "}")), []);
  const forms = [
    "function big() {",
    "const big = () => {",
    "const o = { big() {",
    "const o = { big: async function () {",
    "class A { big() {",
  ];
  for (const form of forms) {
    const closing = form.startsWith("const o") || form.startsWith("class") ? "}}" : "}";
    t.regex(messages(checkFunctionSize(plant("lib/a.ts", form, ...lines(69), closing)))[0] ?? "", /^big has 71 lines/, form);
  }
});

test("sizes: a factory is not charged for its methods, a function is for its callbacks", (t) => {
  const factory = [
    "function create() {",
    "  const one = () => {",
    ...lines(50),
    "  };",
    "  return { one, two() {",
    ...lines(50),
    "  } };",
    "}",
  ];
  t.deepEqual(show(checkFunctionSize(plant("lib/a.ts", ...factory))), []);
  const callback = ["function all() {", "  list.forEach(() => {", ...lines(68), "  });", "}"];
  t.deepEqual(messages(checkFunctionSize(plant("lib/a.ts", ...callback))), ["all has 72 lines, 70 at most: name its parts"]);
});

test("head comments: required, before anything but the interpreter line", (t) => {
  const count = (...text: string[]): number => checkHeadComment(plant("lib/a.ts", ...text)).length;
  t.is(count("/** What it is. */", "export {};"), 0);
  t.is(count("#!/usr/bin/env node", "/** What it is. */"), 0);
  t.is(count("// What it is.", "export {};"), 1);
  t.is(count('import "./b.ts";', "/** Too late. */"), 1);
});

test("marks: found in comments and in code", (t) => {
  const marks = ["FIX" + "ME", "TO" + "DO", "XX" + "X"];
  const text = ["// all is well", ...marks.map((mark) => `// ${mark}: later`), "const TODOS = 1;"].join("\n");
  t.deepEqual(
    checkMarks("lib/a.ts", text).map(({ line }) => line),
    [2, 3, 4],
  );
});

test("tests: skipped, exclusive, empty and vain ones are found", (t) => {
  const source = plant(
    "test/a.test.ts",
    'test.only("a", f);',
    'test.serial.skip("a", f);',
    'test.todo("a");',
    't.is.skip(1, 1); test("a", (t) => t.pass());',
    'rows.skip(1); test("a", (t) => t.is(1, 1)); // t.pass()',
  );
  t.deepEqual(
    checkTests(source).map(({ line, message }) => `${line} ${message.replace(/:.*/, "")}`),
    ["1 calls test.only()", "2 calls test.serial.skip()", "3 calls test.todo()", "4 calls t.is.skip()", "4 calls t.pass()"],
  );
});

test("top level: strangers are found", (t) => {
  const names = [".ci", ".npmrc", "LICENSE", "README.md", "cmd", "dist", "jest.config.js", "lib", "node_modules", "npm-debug.log", "src"];
  t.deepEqual(
    checkTopLevel(names).map(({ path }) => path),
    ["jest.config.js", "src"],
  );
});
