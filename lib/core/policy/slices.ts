/**
 * The parts of a JSON text as texts: an array's elements, an object's properties. A merge policy moves parts between values and must not
 * change them on the way, as parsing and printing would (1.0 becomes 1, 2^53 + 1 rounds); see json.ts.
 */
import { canonicalJson } from "../json.ts";

export interface Property {
  /** Canonical JSON text of the name, quotes included: equal for equal names. */
  readonly name: string;
  readonly value: string;
}

/** The elements of an array; undefined when the text, which must be valid JSON, is something else. */
export function elementsOf(json: string): string[] | undefined {
  const text = json.trim();
  return text.startsWith("[") ? split(text) : undefined;
}

/** The properties of an object, in their order; undefined when the text, which must be valid JSON, is something else. */
export function propertiesOf(json: string): Property[] | undefined {
  const text = json.trim();
  if (!text.startsWith("{")) return undefined;
  return split(text).map((property) => {
    const end = stringEnd(property, 0);
    return { name: canonicalJson(property.slice(0, end)), value: property.slice(property.indexOf(":", end) + 1).trim() };
  });
}

/** What stands between the commas of the outermost brackets. */
function split(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 1;
  for (let at = 1; at < text.length - 1; at++) {
    const char = text[at];
    if (char === '"') at = stringEnd(text, at) - 1;
    else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    else if (char === "," && depth === 0) {
      parts.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  const last = text.slice(from, -1).trim();
  return last === "" ? parts : [...parts, last];
}

/** The offset behind the string that begins at `start`. */
function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
