/** A suite in the small, as a test: it says its last line, and fails with all of them when a promise was broken. */
import type { ExecutionContext } from "ava";

type Run<F> = (from: number, count: number, say: (line: string) => void) => Promise<F>;

export interface Bounded<F> {
  readonly figures: F;
  /** The line of its report. */
  readonly report: string | undefined;
}

/** Only against one that hangs: the longest takes less than a minute on a machine that does nothing else. */
const MS_MAX = 480_000;

export async function runBounded<F extends { readonly broken: readonly unknown[] }>(
  t: ExecutionContext,
  run: Run<F>,
  count: number,
): Promise<Bounded<F>> {
  t.timeout(MS_MAX);
  const lines: string[] = [];
  const figures = await run(1, count, (line) => lines.push(line));
  const report = lines.at(-1);
  t.log(report);
  t.deepEqual(figures.broken, [], lines.join("\n"));
  return { figures, report };
}
