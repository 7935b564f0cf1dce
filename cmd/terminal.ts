/**
 * What a person sees: colours only where a person looks (a terminal, and NO_COLOR not set), columns made of spaces, text that
 * somebody else has written without the control characters that would let it rewrite the screen.
 */
import { styleText } from "node:util";

export type Colour = "red" | "green" | "yellow" | "blue" | "magenta" | "cyan" | "gray" | "bold";
export type Paint = (colour: Colour, text: string) => string;

/** What is used of process.stdout and process.stderr. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  hasColors?(): boolean;
  write(text: string, done?: (error?: Error | null) => void): boolean;
}

/** Node's hasColors knows NO_COLOR, FORCE_COLOR and dumb terminals. */
export function createPaint(output: Output): Paint {
  const coloured = output.isTTY === true && output.hasColors?.() === true;
  return (colour, text) => (coloured ? styleText(colour, text, { validateStream: false }) : text);
}

/** Rows of equally many cells as lines; the last column is not padded. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((widest, row) => row.map((cell, i) => Math.max(widest[i] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}

/** Control characters, C1 included, and marks that turn the direction of writing, as escapes; line breaks and tabs may stay. */
export function printable(text: string, { keepLines = false } = {}): string {
  return text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu, (character) => {
    if (keepLines && (character === "\n" || character === "\t")) return character;
    return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

/** Breaks at spaces; a word that is longer than the line stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Waits while the reader is slow, so that memory stays small however much is written. */
export async function writeAll(output: Output, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) =>
    output.write(text, (error) => (error === undefined || error === null ? resolve() : reject(error))),
  );
}
