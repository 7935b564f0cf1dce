/**
 * A lesson is a Markdown file whose commands can be run. What counts:
 *
 *   ```sh              commands, one a line, each for a shell of its own
 *   ```sh terminal 1   one command that stays, in that terminal; or ^C, which stops it
 *   ```text            what the commands above print, in full
 *   ```text terminal 1 lines that this terminal prints, in any order and with others between them
 *
 * Commands without a text block below them print nothing. All other blocks are prose.
 */
export interface Step {
  readonly kind: "commands" | "start" | "stop" | "excerpt";
  /** The terminal; "" for commands. */
  readonly terminal: string;
  readonly lines: readonly string[];
  /** What commands print. */
  readonly expected: readonly string[];
  /** The lines of the file that a new output replaces. */
  readonly place: Place;
}

interface Place {
  readonly from: number;
  /** After the last. */
  readonly to: number;
  readonly hasFence: boolean;
}

interface Fence {
  readonly language: string;
  readonly terminal: string;
  readonly lines: readonly string[];
  readonly from: number;
  readonly to: number;
}

/** `section`: only what stands below this heading. */
export function parseLesson(text: string, section?: string): Step[] {
  const fences = readFences(text.split("\n"), section).filter(({ language }) => language === "sh" || language === "text");
  const steps: Step[] = [];
  fences.forEach((fence, i) => {
    const { terminal, lines } = fence;
    const inside = { from: fence.from, to: fence.to, hasFence: true };
    if (fence.language === "text") {
      if (terminal !== "") steps.push({ kind: "excerpt", terminal, lines: [], expected: lines, place: inside });
      return;
    }
    if (terminal !== "") {
      steps.push({ kind: lines[0] === "^C" ? "stop" : "start", terminal, lines: joined(lines), expected: [], place: inside });
      return;
    }
    const next = fences[i + 1];
    const output = next?.language === "text" && next.terminal === "" ? next : undefined;
    const place = output ?? { from: fence.to + 1, to: fence.to + 1 };
    const expected = output?.lines ?? [];
    steps.push({ kind: "commands", terminal, lines: joined(lines), expected, place: { ...place, hasFence: output !== undefined } });
  });
  return steps;
}

/** The text with new outputs in the places of these steps. */
export function replaceOutputs(text: string, outputs: ReadonlyMap<Step, readonly string[]>): string {
  const lines = text.split("\n");
  const byPlace = [...outputs].sort(([a], [b]) => b.place.from - a.place.from);
  for (const [{ place }, output] of byPlace) {
    const fenced = place.hasFence ? output : ["", "```text", ...output, "```"];
    lines.splice(place.from, place.to - place.from, ...fenced);
  }
  return lines.join("\n");
}

function readFences(lines: readonly string[], section: string | undefined): Fence[] {
  const fences: Fence[] = [];
  let inSection = section === undefined;
  for (let i = 0; i < lines.length; i++) {
    const [, language, info = ""] = /^```(\w+) ?(.*)$/.exec(lines[i] ?? "") ?? [];
    if (language === undefined) {
      if (section !== undefined && /^## /.test(lines[i] ?? "")) inSection = lines[i] === `## ${section}`;
      continue;
    }
    const from = i + 1;
    const to = lines.indexOf("```", from);
    if (to < 0) throw new Error(`line ${from}: the block has no end`);
    i = to;
    if (!inSection) continue;
    fences.push({ language, terminal: /^terminal (\w+)$/.exec(info)?.[1] ?? "", lines: lines.slice(from, to), from, to });
  }
  return fences;
}

/** A line that ends in a backslash goes on in the next. */
function joined(lines: readonly string[]): string[] {
  return lines
    .join("\n")
    .replaceAll("\\\n", " ")
    .split("\n")
    .filter((line) => line !== "");
}
