/**
 * "Did you mean …?": the nearest known name, when it is near enough to be what the hand meant.
 *
 * Case, dashes and underscores are ignored, so that --pingFreq and --ping-freq find --pingfreq. A third of the letters may
 * be wrong: with more, a suggestion is a guess and only distracts from the list in the help.
 */
const WRONG_SHARE_MAX = 1 / 3;

export function suggest(written: string, known: readonly string[]): string | undefined {
  const wanted = plain(written);
  let best: string | undefined;
  let bestDistance = Infinity;
  for (const name of known) {
    const candidate = plain(name);
    const allowed = Math.max(1, Math.floor(Math.max(wanted.length, candidate.length) * WRONG_SHARE_MAX));
    // Half a word is a good hint as well: --ping for --pingfreq.
    const distance = wanted.length >= 3 && candidate.startsWith(wanted) ? 0.5 : editDistance(wanted, candidate);
    if (distance <= allowed && distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, "");
}

/** Insertions, deletions, replacements and swaps of two neighbours, each counted one. */
export function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? at(i - 2, j - 2) + 1 : Infinity;
      row.push(Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replaced, swapped));
    }
  }
  return at(a.length, b.length);
}
