/**
 * JSON as text: validated once, minified, and never turned into objects.
 *
 * A value in Concord is any JSON. Parsing it and writing it again would change it (2^53+1 rounds, 1.0 becomes 1), would bite
 * (`__proto__`), and would accept what cannot be answered later (a depth of 5,000 parses but does not stringify; of two equal
 * property names one vanishes). So one scanner, stricter than JSON.parse, walks the text a single time and keeps its slices.
 * At the size of usual values it takes no longer than JSON.parse, which moreover cannot say where a value ends.
 */

/** Deeper than people nest data, and shallow enough for every reader's recursion, this one's included. */
export const jsonDepthMax = 64;
/** Pairs in one request: ten usual batches. The limit of the body is met first, unless the pairs are tiny. */
export const jsonPairsMax = 100_000;

export interface JsonRefusal {
  readonly ok: false;
  /** A sentence for a person, without the offset. */
  readonly problem: string;
  /** The offset in the text, in UTF-16 code units. */
  readonly at: number;
}
export type JsonOutcome<T> = ({ readonly ok: true } & T) | JsonRefusal;

export interface Pair {
  readonly key: string;
  /** Validated and minified. Empty, which no JSON is, when it was neither needed nor sent. */
  readonly valueText: string;
}

/** Strict RFC 8259, and besides: no lone surrogates, no property twice in one object, no deeper than `depthMax`. */
export function validateJson(text: string, { depthMax = jsonDepthMax } = {}): JsonOutcome<{ readonly text: string }> {
  const scan = startScan(text, depthMax);
  const value = scanValue(scan, skipSpace(scan, 0), 0);
  const end = value < 0 ? -1 : scanEnd(scan, value);
  return end < 0 ? scan.refusal : { ok: true, text: scan.collected + text.slice(scan.collectFrom, end) };
}

/** Reads `{"key": …, "value": …}`; a lookup needs no value. Other properties are validated and ignored. */
export function parsePair(text: string, { valueNeeded = true } = {}): JsonOutcome<Pair> {
  const scan = startScan(text, jsonDepthMax);
  const pair = scanPair(scan, skipSpace(scan, 0), valueNeeded);
  return pair === undefined || scanEnd(scan, scan.end) < 0 ? scan.refusal : { ok: true, ...pair };
}

/** Reads one pair or an array of pairs, in order; a key may occur in several. A problem in an array names the pair, from 0. */
export function parsePairs(text: string, { pairsMax = jsonPairsMax } = {}): JsonOutcome<{ readonly pairs: readonly Pair[] }> {
  const scan = startScan(text, jsonDepthMax);
  const start = skipSpace(scan, 0);
  if (text.charCodeAt(start) !== openBracket) {
    const pair = scanPair(scan, start, true);
    return pair === undefined || scanEnd(scan, scan.end) < 0 ? scan.refusal : { ok: true, pairs: [pair] };
  }
  const pairs: Pair[] = [];
  let at = scanFirst(scan, start, closeBracket);
  while (!scan.closed) {
    if (pairs.length >= pairsMax) return { ok: false, problem: `more than ${pairsMax} pairs`, at };
    const pair = scanPair(scan, at, true);
    if (pair === undefined) return { ...scan.refusal, problem: `pair ${pairs.length}: ${scan.refusal.problem}` };
    pairs.push(pair);
    at = scanNext(scan, scan.end, closeBracket);
    if (at < 0) return scan.refusal;
  }
  return scanEnd(scan, at) < 0 ? scan.refusal : { ok: true, pairs };
}

/**
 * One form for texts that differ only in the order of properties or in escaping: for hashing, never for storing. Properties
 * are sorted by name (UTF-16 code units), strings are escaped as JSON.stringify does. Numbers stay as written, so 1, 1.0 and
 * 1e0 remain three: to call them equal takes decimal arithmetic of any size, and replicas hand each other the text as it is.
 * Takes validated text only, for which it never fails.
 */
export function canonicalJson(validated: string): string {
  if (!validated.includes("{") && !validated.includes("\\")) return validated;
  return canonicalValue(startScan(validated, jsonDepthMax), 0);
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];

/**
 * One walk over one text. The functions below take the offset where something starts and return the offset after it, or -1
 * and leave the refusal here.
 */
interface Scan {
  readonly text: string;
  readonly depthMax: number;
  /** Minified text so far, and where the slice begins that is not yet in it. */
  collected: string;
  collectFrom: number;
  /** Whether the last string held a backslash. */
  escaped: boolean;
  /** Whether scanFirst or scanNext met the closing bracket. */
  closed: boolean;
  /** Where the last pair or canonical value ended. */
  end: number;
  refusal: JsonRefusal;
}

const noRefusal: JsonRefusal = { ok: false, problem: "", at: 0 };

function startScan(text: string, depthMax: number): Scan {
  return { text, depthMax, collected: "", collectFrom: 0, escaped: false, closed: false, end: 0, refusal: noRefusal };
}

function fail(scan: Scan, at: number, problem: string): -1 {
  scan.refusal = { ok: false, problem, at };
  return -1;
}

function show(text: string, at: number): string {
  return at < text.length ? JSON.stringify(String.fromCodePoint(text.codePointAt(at) as number)) : "end of the text";
}

/** A name as a message shows it: whatever a caller sends, the answer is short. */
function brief(name: string): string {
  return name.length <= 60 ? name : `${name.slice(0, 60)}…`;
}

const spaceForm = /[ \t\n\r]+/y;

/** Skips whitespace and leaves it out of the minified text. */
function skipSpace(scan: Scan, start: number): number {
  if (!(scan.text.charCodeAt(start) <= 0x20)) return start;
  spaceForm.lastIndex = start;
  if (!spaceForm.test(scan.text)) return start;
  scan.collected += scan.text.slice(scan.collectFrom, start);
  scan.collectFrom = spaceForm.lastIndex;
  return scan.collectFrom;
}

/** Only whitespace may follow. */
function scanEnd(scan: Scan, start: number): number {
  const end = skipSpace(scan, start);
  return end === scan.text.length ? end : fail(scan, end, `unexpected ${show(scan.text, end)} after the value`);
}

/** From an opening bracket to the first element, or past the closing bracket. */
function scanFirst(scan: Scan, open: number, close: number): number {
  const at = skipSpace(scan, open + 1);
  scan.closed = scan.text.charCodeAt(at) === close;
  return scan.closed ? at + 1 : at;
}

/** From the end of an element over its comma to the next element, or past the closing bracket. */
function scanNext(scan: Scan, end: number, close: number): number {
  const at = skipSpace(scan, end);
  const code = scan.text.charCodeAt(at);
  scan.closed = code === close;
  if (scan.closed) return at + 1;
  if (code !== comma) return fail(scan, at, `expected "," or "${String.fromCharCode(close)}", found ${show(scan.text, at)}`);
  const next = skipSpace(scan, at + 1);
  return scan.text.charCodeAt(next) === close ? fail(scan, at, "a comma without another element after it") : next;
}

const scalarForm = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null/y;

function scanValue(scan: Scan, start: number, depth: number): number {
  const { text } = scan;
  const code = text.charCodeAt(start);
  if (code === quote) return scanString(scan, start);
  if (code === openBrace || code === openBracket) {
    if (depth >= scan.depthMax) return fail(scan, start, `nested deeper than ${scan.depthMax}`);
    return code === openBrace ? scanObject(scan, start, depth + 1) : scanArray(scan, start, depth + 1);
  }
  scalarForm.lastIndex = start;
  if (scalarForm.test(text)) return scalarForm.lastIndex;
  return fail(scan, start, text === "" ? "the text is empty" : `unexpected ${show(text, start)}`);
}

function scanArray(scan: Scan, open: number, depth: number): number {
  let at = scanFirst(scan, open, closeBracket);
  while (!scan.closed) {
    const end = scanValue(scan, at, depth);
    if (end < 0) return -1;
    at = scanNext(scan, end, closeBracket);
    if (at < 0) return -1;
  }
  return at;
}

/** The fields of a pair as far as they are read, and the first property that is neither. */
type Found = { key?: string; valueText?: string; stray?: string };

/** Up to so many names a linear search is faster than a Set. */
const namesListMax = 8;

function scanObject(scan: Scan, open: number, depth: number, found?: Found): number {
  const { text } = scan;
  const list: string[] = [];
  let set: Set<string> | undefined;
  let at = scanFirst(scan, open, closeBrace);
  while (!scan.closed) {
    if (text.charCodeAt(at) !== quote) return fail(scan, at, `expected a property name in double quotes, found ${show(text, at)}`);
    const nameEnd = scanString(scan, at);
    if (nameEnd < 0) return -1;
    // Compared with its quotes on: a string of digits alone has a predictable hash, and a caller could make all collide.
    const name = normalString(text.slice(at, nameEnd), scan.escaped);
    if (set === undefined ? list.includes(name) : set.has(name)) return fail(scan, at, `duplicate property ${brief(name)}`);
    if (set !== undefined) set.add(name);
    else if (list.push(name) === namesListMax) set = new Set(list);
    at = skipSpace(scan, nameEnd);
    if (text.charCodeAt(at) !== colon) return fail(scan, at, `expected ":" after ${brief(name)}, found ${show(text, at)}`);
    at = skipSpace(scan, at + 1);
    const end = found === undefined ? scanValue(scan, at, depth) : scanField(scan, at, name, found);
    if (end < 0) return -1;
    at = scanNext(scan, end, closeBrace);
    if (at < 0) return -1;
  }
  return at;
}

function scanField(scan: Scan, start: number, name: string, found: Found): number {
  scan.collected = "";
  scan.collectFrom = start;
  const end = scanValue(scan, start, 0);
  if (end < 0) return -1;
  if (name === '"value"') found.valueText = detach(scan.collected + scan.text.slice(scan.collectFrom, end), scan.text);
  else if (name !== '"key"') found.stray ??= brief(name);
  else if (scan.text.charCodeAt(start) !== quote) return fail(scan, start, '"key" must be a string');
  else found.key = JSON.parse(scan.text.slice(start, end)) as string;
  return end;
}

/** Reads one object as a pair. Broken JSON is reported as such before a wrong shape is. */
function scanPair(scan: Scan, start: number, valueNeeded: boolean): Pair | undefined {
  const found: Found = {};
  const isObject = scan.text.charCodeAt(start) === openBrace;
  scan.end = isObject ? scanObject(scan, start, 0, found) : scanValue(scan, start, 0);
  if (scan.end < 0) return undefined;
  const { key, valueText = valueNeeded ? undefined : "", stray } = found;
  if (key !== undefined && valueText !== undefined) return { key, valueText };
  const missing = `"${key === undefined ? "key" : "value"}" is missing${stray === undefined ? "" : `, and ${stray} is ignored`}`;
  fail(scan, start, isObject ? missing : 'expected an object such as {"key":"hello"}');
  return undefined;
}

/** A slice keeps its whole text in memory. A value that may outlive a much longer request is copied out of it. */
function detach(slice: string, text: string): string {
  return slice.length * 2 < text.length ? ` ${slice}`.slice(1) : slice;
}

/** A surrogate escape counts only with its other half, escaped as well. */
const escapeForm = /\\(?:["\\/bfnrt]|u(?:(?![dD][89a-fA-F])[0-9a-fA-F]{4}|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}))/y;
/** Faster than the loop once a string is long: tried at every 32nd character. */
const plainForm = /[^"\\\u0000-\u001f\ud800-\udfff]*/y;

function scanString(scan: Scan, open: number): number {
  const { text } = scan;
  scan.escaped = false;
  for (let at = open + 1; at < text.length; at += 1) {
    if ((at - open) % 32 === 0) {
      plainForm.lastIndex = at;
      if (plainForm.test(text)) at = plainForm.lastIndex;
    }
    const code = text.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code < 0x20) return fail(scan, at, `a string must hold ${JSON.stringify(text.charAt(at))} escaped`);
    if (code === backslash) {
      scan.escaped = true;
      escapeForm.lastIndex = at;
      if (!escapeForm.test(text))
        return fail(scan, at, `bad escape, or half of a surrogate pair: ${JSON.stringify(text.slice(at, at + 6))}`);
      at = escapeForm.lastIndex - 1;
    } else if (code >= 0xd800 && code <= 0xdfff) {
      if ((text.codePointAt(at) as number) <= 0xffff) return fail(scan, at, "half of a surrogate pair");
      at += 1;
    }
  }
  return fail(scan, text.length, "the text ends inside a string");
}

/** A string with its quotes as JSON.stringify writes it. `escaped` is what the scan of it has found. */
function normalString(quoted: string, escaped: boolean): string {
  return escaped ? JSON.stringify(JSON.parse(quoted)) : quoted;
}

/** Over validated text. */
function canonicalValue(scan: Scan, start: number): string {
  const { text } = scan;
  const code = text.charCodeAt(start);
  if (code !== openBrace && code !== openBracket) {
    scan.end = scanValue(scan, start, 0);
    return normalString(text.slice(start, scan.end), code === quote && scan.escaped);
  }
  const close = code === openBrace ? closeBrace : closeBracket;
  const members: { readonly name: string; readonly text: string }[] = [];
  let at = scanFirst(scan, start, close);
  while (!scan.closed) {
    if (code === openBrace) {
      const nameEnd = scanString(scan, at);
      const quoted = normalString(text.slice(at, nameEnd), scan.escaped);
      members.push({ name: JSON.parse(quoted) as string, text: `${quoted}:${canonicalValue(scan, nameEnd + 1)}` });
    } else members.push({ name: "", text: canonicalValue(scan, at) });
    at = scanNext(scan, scan.end, close);
  }
  scan.end = at;
  if (code === openBrace) members.sort((a, b) => (a.name < b.name ? -1 : 1));
  const inside = members.map((member) => member.text).join(",");
  return code === openBrace ? `{${inside}}` : `[${inside}]`;
}
