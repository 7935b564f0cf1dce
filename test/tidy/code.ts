/**
 * Rules for what a file says: names that would make a run unrepeatable, sizes, head comments, and the marks of unfinished work.
 */
import ts from "typescript";
import { lineOf, visit, type Finding, type Source } from "./source.ts";

/** Files that must give the same run for the same seed. */
const repeatable = /^lib\/(core|repair|peers|replica|node|sim)(\/|\.ts$)/;

const instead = {
  clock: "take a Clock (lib/core/ports.ts), or nowMs as an argument",
  random: "take a Random (lib/core/ports.ts)",
  timer: "count ticks: time arrives as input",
  network: "answer with an Output, which a Transport (lib/core/ports.ts) carries",
  process: "take what is needed as an argument",
  order: "compare with < and >, which are the same on every machine",
} as const;

/** Names of globals, and, with a leading dot, of properties of whatever object. */
const banned: ReadonlyMap<string, string> = new Map([
  ["Date", instead.clock],
  ["performance", instead.clock],
  ["Math.random", instead.random],
  ["crypto", instead.random],
  ["randomUUID", instead.random],
  [".randomUUID", instead.random],
  ["setTimeout", instead.timer],
  ["setInterval", instead.timer],
  ["fetch", instead.network],
  ["process", instead.process],
  ["globalThis", instead.process],
  [".localeCompare", instead.order],
]);

const limits = { fileLines: 300, functionLines: 70 } as const;

/** Globals that core, repair, peers, replica, node and sim must not touch. */
export function checkGlobals(source: Source): Finding[] {
  if (!repeatable.test(source.path)) return [];
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    const name = nameUsed(node);
    const advice = name === undefined ? undefined : banned.get(name);
    if (name === undefined || advice === undefined) return;
    findings.push({ path: source.path, line: lineOf(source, node), message: `uses ${name.replace(/^\./, "")}: ${advice}` });
  });
  return findings;
}

export function checkFileSize({ path, text }: Source): Finding[] {
  const lines = text.trimEnd().split("\n").length;
  return lines <= limits.fileLines ? [] : [{ path, message: `has ${lines} lines, ${limits.fileLines} at most: split it by subject` }];
}

/**
 * Functions that are too long. The lines of a named function inside another count for the inner one alone: a factory is as long
 * as what it does itself, not as all the methods that it returns. A callback has no name and counts where it stands.
 */
export function checkFunctionSize(source: Source): Finding[] {
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    if (!ts.isFunctionLike(node) || !("body" in node) || node.body === undefined) return;
    const lines = ownLines(source, node);
    if (lines <= limits.functionLines) return;
    const message = `${nameOf(node) ?? "a function"} has ${lines} lines, ${limits.functionLines} at most: name its parts`;
    findings.push({ path: source.path, line: lineOf(source, node), message });
  });
  return findings;
}

export function checkHeadComment({ path, text }: Source): Finding[] {
  if (/^(#!.*\n)?\/\*\*/.test(text)) return [];
  return [{ path, line: 1, message: "opens without a head comment (/**): say what the file is, and why it is so" }];
}

/** Marks of work put off. They are read in comments too, so this rule alone reads the text. */
export function checkMarks(path: string, text: string): Finding[] {
  return text.split("\n").flatMap((line, index) => {
    const mark = /\b(?:FIX[M]E|TO[D]O|X[X]X)\b/.exec(line)?.[0];
    return mark === undefined ? [] : [{ path, line: index + 1, message: `says ${mark}: do it now, or write down why not` }];
  });
}

/** Tests that are skipped, that skip the others, or that cannot fail. */
export function checkTests(source: Source): Finding[] {
  const findings: Finding[] = [];
  visit(source.tree, (node) => {
    if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return;
    const called = node.expression.getText(source.tree);
    const unfinished = /^(?:test|t)\b.*\.(?:only|skip|todo)$/.test(called);
    if (!unfinished && called !== "t.pass") return;
    findings.push({ path: source.path, line: lineOf(source, node), message: `calls ${called}(): every test runs, and can fail` });
  });
  return findings;
}

/** The name that this node uses: a global's, or a property's with its dot. A declared or assigned property's name is no use. */
function nameUsed(node: ts.Node): string | undefined {
  if (!ts.isIdentifier(node)) return undefined;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && parent.name === node) {
    return parent.expression.getText() === "Math" ? `Math.${node.text}` : `.${node.text}`;
  }
  if (ts.isBindingElement(parent) && parent.propertyName === node) return undefined;
  const isMember =
    ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isTypeElement(parent) || ts.isMethodDeclaration(parent);
  if (isMember && parent.name === node) return undefined;
  if (ts.isQualifiedName(parent) && parent.right === node) return undefined;
  return node.text;
}

function ownLines(source: Source, outer: ts.Node): number {
  let lines = spanOf(source, outer);
  const subtract = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && nameOf(node) !== undefined) lines -= spanOf(source, node);
    else ts.forEachChild(node, subtract);
  };
  ts.forEachChild(outer, subtract);
  return lines;
}

function spanOf(source: Source, node: ts.Node): number {
  const end = source.tree.getLineAndCharacterOfPosition(node.end).line;
  return end - lineOf(source, node) + 2;
}

/** A function's own name, or that of the constant or property which holds it. */
function nameOf(node: ts.SignatureDeclaration): string | undefined {
  if (node.name !== undefined) return node.name.getText();
  if (ts.isConstructorDeclaration(node)) return "constructor";
  const { parent } = node;
  if ((ts.isVariableDeclaration(parent) || ts.isPropertyAssignment(parent)) && parent.initializer === node) return parent.name.getText();
  return undefined;
}
