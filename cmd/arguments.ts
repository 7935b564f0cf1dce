/**
 * Puts a command line into the one form that the parser takes without guessing: every flag as --name=value, then "--", then the rest.
 *
 * The parser alone would accept unknown flags in silence, tear -port=8001 into letters, and take the next flag for a missing value. So
 * flags are checked and completed here: one dash or two, the value attached or apart, and what the command line does not say
 * is looked up in the environment (--pingfreq is CONCORD_PINGFREQ).
 */
import type { ArgDef, ArgsDef } from "citty";
import { usageFailure } from "./exit.ts";
import { suggest } from "./suggest.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ArgumentRules {
  readonly args: ArgsDef;
  /** Flags of which only one may be given. */
  readonly conflicts?: readonly (readonly [string, string])[] | undefined;
  /** Flags that may be given several times: their values are joined with commas. */
  readonly lists?: readonly string[] | undefined;
}

export interface Normalised {
  readonly help: boolean;
  readonly argv: readonly string[];
}

const HELP: ReadonlySet<string> = new Set(["--help", "-h", "-help"]);
const TRUE: ReadonlySet<string> = new Set(["true", "1", "yes", "on"]);
const FALSE: ReadonlySet<string> = new Set(["false", "0", "no", "off"]);

/** Throws a Failure that says what to type instead. */
export function normalise(argv: readonly string[], rules: ArgumentRules, env: Environment): Normalised {
  const { flags, rest, help } = split(argv, rules);
  if (help) return { help, argv: [] };
  checkConflicts(flags, rules);
  addEnvironment(flags, rules, env);
  checkRest(rest, rules.args);
  checkRequired(flags, rest, rules.args);
  return { help, argv: [...Array.from(flags, ([name, value]) => `--${name}=${value}`), "--", ...rest] };
}

export function environmentName(flag: string): string {
  return `CONCORD_${flag.toUpperCase().replaceAll("-", "_")}`;
}

interface Split {
  readonly flags: Map<string, string>;
  readonly rest: string[];
  readonly help: boolean;
}

function split(argv: readonly string[], rules: ArgumentRules): Split {
  const flags = new Map<string, string>();
  const rest: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? "";
    if (HELP.has(argument)) return { flags, rest, help: true };
    if (argument === "--") {
      rest.push(...argv.slice(i + 1));
      break;
    }
    // A lone dash is standard input, and -5 is a value.
    if (!argument.startsWith("-") || argument === "-" || /^-\.?[0-9]/.test(argument)) {
      rest.push(argument);
      continue;
    }
    const { name, definition, value, negated } = readFlag(argument, rules.args);
    if (definition.type === "boolean") add(flags, rules, name, truthOf(`--${name}`, value ?? "true") !== negated);
    else if (value !== undefined) add(flags, rules, name, value);
    else {
      const next = argv[++i];
      if (next === undefined || isFlag(next, rules.args))
        throw usageFailure(`--${name} needs a value, such as ${exampleOf(name, definition)}`);
      add(flags, rules, name, next);
    }
  }
  return { flags, rest, help: false };
}

/** What people try when they are asked for a token. */
const SECRETS = /^(token|bearer|auth|secret|pass|password|passphrase|cluster-?key)$/i;

interface Flag {
  readonly name: string;
  readonly definition: ArgDef;
  readonly value: string | undefined;
  readonly negated: boolean;
}

function readFlag(argument: string, args: ArgsDef): Flag {
  const [, dashes = "", written = "", value] = /^(--?)([^=]*)(?:=([\s\S]*))?$/.exec(argument) ?? [];
  const definition = flagNamed(written, args);
  if (definition !== undefined) return { name: written, definition, value, negated: false };
  const positive = written.startsWith("no-") ? flagNamed(written.slice(3), args) : undefined;
  if (positive?.type === "boolean") return { name: written.slice(3), definition: positive, value, negated: true };
  const names = flagNames(args);
  const hint = /key/i.test(written) ? "cluster-key-file" : "token-file";
  if (SECRETS.test(written) && names.includes(hint)) {
    throw usageFailure(
      `${dashes}${written} is no flag: every program on this machine can see what is typed; write the secret into a file, and give --${hint}=FILE`,
    );
  }
  const near = suggest(written, [...names, "help"]);
  const shown = `${dashes}${written}`;
  if (near !== undefined) throw usageFailure(`unknown flag ${shown}; did you mean --${near}?`);
  throw usageFailure(`unknown flag ${shown}; there ${names.length === 1 ? "is" : "are"} ${names.map((name) => `--${name}`).join(", ")}`);
}

function isFlag(argument: string, args: ArgsDef): boolean {
  const name = /^--?([a-zA-Z][^=]*)/.exec(argument)?.[1];
  return name !== undefined && (flagNamed(name, args) !== undefined || HELP.has(argument));
}

function flagNamed(name: string, args: ArgsDef): ArgDef | undefined {
  const definition = Object.hasOwn(args, name) ? args[name] : undefined;
  return definition?.type === "positional" ? undefined : definition;
}

export function flagNames(args: ArgsDef): string[] {
  return Object.keys(args).filter((name) => args[name]?.type !== "positional");
}

export function positionalNames(args: ArgsDef): string[] {
  return Object.keys(args).filter((name) => args[name]?.type === "positional");
}

function add(flags: Map<string, string>, { lists = [] }: ArgumentRules, name: string, value: string | boolean): void {
  const before = flags.get(name);
  if (before === undefined) flags.set(name, String(value));
  else if (lists.includes(name)) flags.set(name, `${before},${value}`);
  else throw usageFailure(`--${name} is given twice`);
}

function truthOf(source: string, value: string): boolean {
  const text = value.toLowerCase();
  if (TRUE.has(text)) return true;
  if (FALSE.has(text)) return false;
  throw usageFailure(`${source} is either true or false, not ${JSON.stringify(value)}`);
}

function checkConflicts(flags: ReadonlyMap<string, string>, { conflicts = [] }: ArgumentRules): void {
  for (const [one, other] of conflicts) {
    if (isOn(flags, one) && isOn(flags, other)) throw usageFailure(`--${one} and --${other} exclude each other: leave one out`);
  }
}

/** A flag that was typed beats a variable, also one of a flag that it excludes. */
function addEnvironment(flags: Map<string, string>, rules: ArgumentRules, env: Environment): void {
  const typed = new Map(flags);
  for (const name of flagNames(rules.args)) {
    const variable = environmentName(name);
    const value = env[variable];
    if (value === undefined || flags.has(name)) continue;
    const excluded = (rules.conflicts ?? []).some((pair) => pair.includes(name) && pair.some((other) => isOn(typed, other)));
    if (excluded) continue;
    flags.set(name, rules.args[name]?.type === "boolean" ? String(truthOf(variable, value)) : value);
  }
  checkConflicts(flags, rules);
}

function isOn(flags: ReadonlyMap<string, string>, name: string): boolean {
  return flags.has(name) && flags.get(name) !== "false";
}

function checkRest(rest: readonly string[], args: ArgsDef): void {
  const names = positionalNames(args);
  if (rest.length <= names.length) return;
  const extra = JSON.stringify(rest[names.length]);
  const advice = names.length === 0 ? "there is nothing to give but flags" : "put quotes around what holds spaces";
  throw usageFailure(`unexpected argument ${extra}: ${advice}`);
}

function checkRequired(flags: ReadonlyMap<string, string>, rest: readonly string[], args: ArgsDef): void {
  const missing = flagNames(args).filter((name) => args[name]?.required === true && !flags.has(name));
  if (missing.length > 0) {
    const names = missing.map((name) => `--${name}`).join(" and ");
    const examples = missing.map((name) => exampleOf(name, args[name] ?? {})).join(" ");
    throw usageFailure(`${names} ${missing.length === 1 ? "is" : "are"} missing: add ${examples}`);
  }
  const needed = positionalNames(args).filter((name) => args[name]?.required !== false);
  const lacking = needed[rest.length];
  if (lacking !== undefined) throw usageFailure(`the ${lacking.toUpperCase()} is missing`);
}

function exampleOf(name: string, definition: ArgDef): string {
  return `--${name}=${definition.valueHint ?? "VALUE"}`;
}
