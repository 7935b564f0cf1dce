/**
 * The picture of the lesson, from the figures of a run: above what crossed, by what it was for; below, on a scale on which each line is ten
 * times the one before, what crossed beside what other ways would have sent.
 *
 * It is an image of its own wherever it is shown: it brings its background and its colours for light and dark, and uses the fonts that
 * are there.
 */
import type { Account, Part } from "./account.ts";

export interface StoreSize {
  readonly keys: number;
  /** The store as GET /store gives it. */
  readonly storeBytes: number;
}

interface Bar {
  readonly label: string;
  readonly bytes: number;
  readonly accent?: boolean;
}

const WIDTH = 760;
const LEFT = 250;
/** Of the longest bar. */
const RIGHT = 640;
const ROW = 30;
const BAR = 18;

const LABELS: Readonly<Record<Part, string>> = {
  headers: "HTTP’s own headers",
  pings: "pings: “do we agree?”",
  questions: "questions: “what did I miss?”",
  answers: "answers, around the entry",
  entries: "the entry that differed",
};

/** The smallest power of ten on the lower scale; a hash alone would be smaller. */
const DECADE_FROM = 2;
const DECADE_TO = 7;

const HASH_BYTES = 16;

export function drawPicture({ messages, bytes, parts }: Account, { keys, storeBytes }: StoreSize): string {
  const bars = (Object.keys(LABELS) as Part[]).map((part) => ({ label: LABELS[part], bytes: parts[part], accent: part === "entries" }));
  const widest = Math.max(...bars.map((bar) => bar.bytes), 1);
  const upper = bars.map((bar, i) => row(bar, 84 + ROW * i, (RIGHT - LEFT) * (bar.bytes / widest)));
  const ways: Bar[] = [
    { label: "what crossed", bytes, accent: true },
    { label: "a hash of each key", bytes: HASH_BYTES * keys },
    { label: "everything", bytes: storeBytes },
  ];
  const lowerTop = 84 + ROW * bars.length + 72;
  const lower = ways.map((way, i) => row(way, lowerTop + ROW * i, scaled(way.bytes)));
  const height = lowerTop + ROW * ways.length + 44;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `<title>One key in ${text(keys)} differs: ${text(bytes)} bytes in ${messages} messages until both nodes agree</title>`,
    STYLE,
    `<rect class="ground" width="${WIDTH}" height="${height}" rx="8"/>`,
    `<text class="title" x="24" y="38">One key in ${text(keys)} differs</text>`,
    `<text x="24" y="62">${text(bytes)} bytes in ${messages} messages until both nodes agree. What they were for:</text>`,
    ...upper.flat(),
    `<text x="24" y="${lowerTop - 22}">The same beside other ways to find it; each line stands for ten times the bytes of the one before:</text>`,
    ...grid(lowerTop - 8, ROW * ways.length + 4),
    ...lower.flat(),
    "</svg>",
    "",
  ].join("\n");
}

/** Colours whose contrast with the ground is over 4.5 to 1 in both schemes. */
const STYLE = `<style>
text { font: 14px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 }
.small { font-size: 12px; fill: #59636e }
.figure { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
.ground { fill: #ffffff; stroke: #d1d9e0 }
.bar { fill: #57606a }
.accent { fill: #0969da }
.line { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.small { fill: #9198a1 }
.figure { stroke: #0d1117 }
.ground { fill: #0d1117; stroke: #3d444d }
.bar { fill: #8b949e }
.accent { fill: #58a6ff }
.line { stroke: #3d444d }
}
</style>`;

function row({ label, bytes, accent }: Bar, top: number, length: number): string[] {
  const width = Math.max(2, Math.round(length));
  const baseline = top + BAR - 4;
  return [
    `<text x="24" y="${baseline}">${label}</text>`,
    `<rect class="${accent === true ? "accent" : "bar"}" x="${LEFT}" y="${top}" width="${width}" height="${BAR}" rx="2"/>`,
    `<text class="figure" x="${LEFT + width + 8}" y="${baseline}">${text(bytes)} bytes</text>`,
  ];
}

function scaled(bytes: number): number {
  return ((RIGHT - LEFT) * (Math.log10(Math.max(bytes, 1)) - DECADE_FROM)) / (DECADE_TO - DECADE_FROM);
}

function grid(top: number, height: number): string[] {
  return Array.from({ length: DECADE_TO - DECADE_FROM + 1 }, (_, i) => {
    const x = LEFT + Math.round(scaled(10 ** (DECADE_FROM + i)));
    return [
      `<line class="line" x1="${x}" x2="${x}" y1="${top}" y2="${top + height}"/>`,
      `<text class="small" x="${x}" y="${top + height + 18}" text-anchor="middle">${NAMES[i]}</text>`,
    ];
  }).flat();
}

/** From 10 ** DECADE_FROM on. */
const NAMES = ["100 bytes", "1 kB", "10 kB", "100 kB", "1 MB", "10 MB"];

function text(number: number): string {
  return number.toLocaleString("en");
}
