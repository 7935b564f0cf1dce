/**
 * Compares what a lesson says with what was printed. The lesson's ports stand for those of this run; its process numbers for
 * those that were met where it names them, each for one. What no two runs share is left out of the comparison: tokens, times, the identities in dots,
 * numbers of bytes, messages and requests, curl's own words, why a peer is down, from which of several peers a node has repaired, and whether it
 * then looked once more. Everything else is compared, hashes included.
 */
const FIRST_LESSON_PORT = 8001;

/** The first four ports of the lessons: 8001 to 8004. */
export const PORTS = 4;

const VOLATILE: readonly (readonly [RegExp, string])[] = [
  [/"token":"[\w-]+"/g, '"token":"…"'],
  [/\b[0-9a-f]{16}:(\d+)\b/g, "…:$1"],
  [/\b\d{4}-\d\d-\d\dT[\d:.]+Z/g, "…"],
  [/"etag":"\\"[\w-]+\\""/g, '"etag":"…"'],
  [/^(concord-expires-in:) [\d.]+/i, "$1 …"],
  [/"(sinceMs|roundTripMs|uptimeMs|tookMs|bytesIn)":[\d.]+/g, '"$1":…'],
  [/\b(pid|kill|kill -9) \d+/g, "$1 …"],
  [/\b\d+(\.\d+)? (ms|s|min)\b/g, "… s"],
  [/\b\d[\d,]* (bytes|messages)\b/g, "… $1"],
  [/\bversion \d+\.\d+\.\d+/g, "version …"],
  [/\b\d+ requests?\b/g, "… requests"],
  [/\b[1-9]\d* writes were\b/g, "… writes were"],
  [/^(curl: \(\d+\)).*/, "$1 …"],
  [/( is down:) .*/, "$1 …"],
  [/http:\/\/localhost:\d+: (repaired|store hashes)/, "http://localhost:…: $1"],
  [/^last repair .*/, "last repair …"],
  [/^last sent .*/, "last sent …"],
  // Columns are as wide as what is in them.
  [/ {2,}/g, "  "],
];

export class Translation {
  readonly #firstPort: number;
  readonly #pids = new Map<string, string>();

  constructor(firstPort: number) {
    this.#firstPort = firstPort;
  }

  /** A command of the lesson as it has to be run. Throws when it would end a process that is not one of the lesson's. */
  command(line: string): string {
    const ported = this.#ports(line, FIRST_LESSON_PORT, this.#firstPort);
    return ported.replace(/\bkill (-\w+ )?([^;&|]*)/g, (_all, signal: string | undefined, pids: string) => {
      const real = pids
        .trim()
        .split(" ")
        .map((pid) => this.#pids.get(pid));
      if (real.includes(undefined)) throw new Error(`no process is known for: kill ${pids}`);
      return `kill ${signal ?? ""}${real.join(" ")}`;
    });
  }

  /** What was printed, as the lesson would show it. */
  output(line: string): string {
    const byReal = new Map(Array.from(this.#pids, ([lesson, real]) => [real, lesson]));
    const ported = this.#ports(line, this.#firstPort, FIRST_LESSON_PORT).trimEnd();
    return ported.replace(/\b(pid|kill|kill -9) (\d+)/g, (_all, word: string, pid: string) => `${word} ${byReal.get(pid) ?? pid}`);
  }

  /** Remembers the processes that an equal line names. */
  isSame(expected: string, printed: string): boolean {
    if (plain(expected) !== plain(this.output(printed))) return false;
    const [lesson, real] = [pidsIn(expected), pidsIn(printed)];
    if (lesson.some((pid, i) => (this.#pids.get(pid) ?? real[i]) !== real[i])) return false;
    lesson.forEach((pid, i) => this.#pids.set(pid, real[i] ?? ""));
    return true;
  }

  areSame(expected: readonly string[], printed: readonly string[]): boolean {
    return expected.length === printed.length && expected.every((line, i) => this.isSame(line, printed[i] ?? ""));
  }

  #ports(line: string, from: number, to: number): string {
    let text = line;
    for (let i = 0; i < PORTS; i++) text = text.replaceAll(new RegExp(`(?<![\\w.])${from + i}(?![\\w.])`, "g"), String(to + i));
    return text;
  }
}

export function plain(line: string): string {
  return VOLATILE.reduce((text, [pattern, replacement]) => text.replace(pattern, replacement), line.trimEnd());
}

function pidsIn(line: string): string[] {
  return Array.from(line.matchAll(/\b(?:pid|kill|kill -9) (\d+)/g), ([, pid = ""]) => pid);
}
