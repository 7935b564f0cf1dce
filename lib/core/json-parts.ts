/**
 * The parts of validated, minified JSON (json.ts) as text: the members of an object, the elements of an array, one level deep. For
 * requests that carry values beside other things: a value must stay the text that it was, whatever JavaScript would make of it.
 */
import { assert } from "./errors.ts";

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];

/** The members in order; undefined when the text is no object. No name occurs twice: the validation has seen to it. */
export function membersOf(text: string): Map<string, string> | undefined {
  if (!text.startsWith("{")) return undefined;
  const members = new Map<string, string>();
  for (const part of partsOf(text)) {
    const nameEnd = stringEnd(part, 0);
    members.set(JSON.parse(part.slice(0, nameEnd)) as string, part.slice(nameEnd + 1));
  }
  return members;
}

/** Undefined when the text is no array. */
export function elementsOf(text: string): string[] | undefined {
  return text.startsWith("[") ? partsOf(text) : undefined;
}

/** What stands between the outer brackets, cut at its commas. */
function partsOf(text: string): string[] {
  const parts: string[] = [];
  let start = 1;
  let depth = 0;
  for (let at = 1; at < text.length - 1; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) at = stringEnd(text, at) - 1;
    else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
    else if (code === comma && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  if (text.length > 2) parts.push(text.slice(start, -1));
  return parts;
}

/** The offset after the string that begins here. */
function stringEnd(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === backslash) at++;
    else if (code === quote) return at + 1;
  }
  assert(false, "only validated JSON is cut into parts");
}
