/**
 * One source file as the rules see it: its path, its text, its syntax tree, and what it imports.
 *
 * The rules read the tree of the TypeScript compiler, not the text, so that a name in a comment or in a string is not a use of it.
 */
import { dirname, join } from "node:path/posix";
import ts from "typescript";

export interface Source {
  /** From the root of the project, with forward slashes: "lib/core/dot.ts". */
  readonly path: string;
  readonly text: string;
  readonly tree: ts.SourceFile;
}

/** One broken rule. */
export interface Finding {
  readonly path: string;
  readonly line?: number;
  readonly message: string;
}

export interface Import {
  /** As written: "./dot.ts", "node:crypto", "hono/cors". */
  readonly specifier: string;
  /** The file meant, from the root of the project; undefined for a package or a module of Node. */
  readonly path: string | undefined;
  readonly typeOnly: boolean;
  readonly line: number;
}

export function createSource(path: string, text: string): Source {
  return { path, text, tree: ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true) };
}

export function show(findings: readonly Finding[]): string[] {
  return findings.map(({ path, line, message }) => `${path}${line === undefined ? "" : `:${line}`} ${message}`);
}

export function lineOf(source: Source, node: ts.Node): number {
  return source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree)).line + 1;
}

export function visit(node: ts.Node, see: (node: ts.Node) => void): void {
  see(node);
  ts.forEachChild(node, (child) => visit(child, see));
}

/** Static and dynamic imports, re-exports, import types, and `new URL("./x.ts", import.meta.url)`, which starts a child with a file. */
export function importsOf(source: Source): Import[] {
  const found: Import[] = [];
  visit(source.tree, (node) => {
    const literal = specifierIn(node);
    if (literal === undefined) return;
    const specifier = literal.text;
    const path = specifier.startsWith(".") ? join(dirname(source.path), specifier) : undefined;
    found.push({ specifier, path, typeOnly: isTypeOnly(node), line: lineOf(source, literal) });
  });
  return found;
}

function specifierIn(node: ts.Node): ts.StringLiteralLike | undefined {
  let candidate: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) candidate = node.moduleSpecifier;
  else if (ts.isImportTypeNode(node)) candidate = ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) candidate = node.arguments[0];
  else if (ts.isNewExpression(node) && isRelativeUrl(node)) candidate = node.arguments?.[0];
  return candidate !== undefined && ts.isStringLiteralLike(candidate) ? candidate : undefined;
}

function isRelativeUrl(node: ts.NewExpression): boolean {
  const [target, base] = node.arguments ?? [];
  if (node.expression.getText() !== "URL" || base?.getText() !== "import.meta.url") return false;
  return target !== undefined && ts.isStringLiteralLike(target) && /^\..*\.[jt]s$/.test(target.text);
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (ts.isExportDeclaration(node)) return node.isTypeOnly;
  return ts.isImportDeclaration(node) && node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}
