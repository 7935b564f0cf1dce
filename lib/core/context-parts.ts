/** A context in pieces, for works on one that may be large: a context that was rebuilt from entries has a range for each write that was superseded. */
import { Context } from "./context.ts";

/** Pieces of so many ranges, the last of which may have fewer. */
export function partsOf(context: Context, rangesMax: number): Context[] {
  const parts: Context[] = [];
  let rangesLeft = 0;
  for (const incarnation of context.incarnations()) {
    const ranges = context.rangesOf(incarnation);
    for (let from = 0; from < ranges.length;) {
      if (rangesLeft === 0) {
        parts.push(new Context());
        rangesLeft = rangesMax;
      }
      const taken = ranges.slice(from, from + 2 * rangesLeft);
      parts[parts.length - 1]!.adopt(incarnation, taken);
      from += taken.length;
      rangesLeft -= taken.length / 2;
    }
  }
  return parts;
}
